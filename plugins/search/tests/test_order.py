"""The order of hits: scores and boosts, sorting, pages, groups; what analyzers make of texts."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_search.analysis import analyzer_of, porter
from pouchdb_search.entries import clouseau_definition, indexed
from pouchdb_search.tokens import Standard

import pouchdb


@pytest.fixture
def db() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        yield environment["texts"]


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer.rows]


def define(db: Any, source: str, analyzer: Any = "standard", **others: Any) -> None:
    index = {"index": source} if analyzer is None else {"index": source, "analyzer": analyzer}
    db.put({"_id": "_design/d", "indexes": {"i": index, **others}})


# -- scores ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("analyzer", [None, "standard"])
def test_boosts_of_fields_below_and_above_one(db: Any, analyzer: Any) -> None:
    boosts = {"tenth": 0.1, "half": 0.5, "one": 1, "three": 3, "ten": 10}
    db.bulk_docs([{"_id": name, "text": "fox den", "boost": boost} for name, boost in boosts.items()])
    define(db, "function (doc) { index('default', doc.text, {boost: doc.boost}); }", analyzer)
    rows = db.search("d/i", q="fox").rows
    assert [row.id for row in rows] == ["ten", "three", "one", "half", "tenth"]
    scores = {row.id: row.score for row in rows}
    assert scores["ten"] / scores["one"] == pytest.approx(10, rel=0.01)
    assert scores["tenth"] / scores["one"] == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("q", ["fox", '"fox den"', "fo*", "fxo~", "[fo TO fz]", "+fox +den", "/f.x/"])
def test_a_boost_changes_the_order_and_nothing_else(db: Any, q: str) -> None:
    db.bulk_docs([{"_id": f"{n:02}", "text": "fox den", "boost": 2} for n in range(30)])
    db.put({"_id": "low", "text": "fox den", "boost": 0.5})
    db.put({"_id": "plain", "text": "fox den"})
    define(db, "function (doc) { index('default', doc.text, {boost: doc.boost || 1}); }")
    found = ids(db.search("d/i", q=q, limit=200))
    assert len(found) == 32
    assert found[-2:] == ["plain", "low"], "the one low document is not better for being rare"


def test_hits_of_a_fuzzy_query_are_ordered_by_likeness_and_the_word_itself_by_its_score(db: Any) -> None:
    words = {"none": "query", "two": "qucks", "one": "quikc", "long": f"quick {'dog ' * 30}", "once": "quick"}
    words["twice"] = "quick quick"
    db.bulk_docs([{"_id": name, "text": f"{text} dog ant"} for name, text in words.items()])
    define(db, "function (doc) { index('default', doc.text); }")
    assert ids(db.search("d/i", q="quick~2")) == ["twice", "once", "long", "one", "two"]
    assert ids(db.search("d/i", q="quick~1")) == ["twice", "once", "long", "one"]


@pytest.mark.parametrize("boost", ["0", "-1", "'x'", "true"])
def test_boosts_that_are_none(db: Any, boost: str) -> None:
    db.bulk_docs([{"_id": "a", "text": "fox"}, {"_id": "b", "text": "fox", "bad": True}])
    define(db, f"function (doc) {{ index('default', doc.text, {{boost: doc.bad ? {boost} : 1}}); }}")
    errors: list[Any] = []
    db.on("error", errors.append)
    assert ids(db.search("d/i", q="fox")) == ["a"]
    assert "boost" in str(errors[0])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 180), st.integers(1, 20), st.sampled_from(["rare", "often", "short"]))
def test_what_makes_a_hit_better_without_an_analyzer(length: int, more: int, rule: str) -> None:
    """More occurrences, rarer words, shorter documents: each for itself."""
    filler = [f"w{n}" for n in range(length)]
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db: Any = environment["texts"]
        if rule == "short":
            texts = {"better": ["fox", *filler], "worse": ["fox", *filler, *["z"] * more]}
        elif rule == "often":
            size = length + more
            texts = {"better": ["fox"] * (more + 1) + filler, "worse": ["fox", *(f"v{n}" for n in range(size))]}
        else:
            texts = {"better": ["fox", *filler], "worse": ["dog", *filler], "other": ["dog", *filler]}
        db.bulk_docs([{"_id": name, "text": " ".join(words)} for name, words in texts.items()])
        q = "fox"
        define(db, "function (doc) { index('default', doc.text); }", None)
        if rule == "rare":
            scores = {word: db.search("d/i", q=word).rows[0].score for word in ("fox", "dog")}
            assert scores["fox"] > scores["dog"]
        else:
            assert ids(db.search("d/i", q=q)) == ["better", "worse"]


def test_the_length_of_one_field_does_not_matter_in_another(db: Any) -> None:
    """Up to 16 fields; the hashes of some of these names are equal."""
    names = "default message title state text year name tags city email category address summary tag".split()
    source = "function (doc) { for (var name in doc.fields) index(name, doc.fields[name]); }"
    db.put({"_id": "_design/d", "indexes": {"i": {"analyzer": "standard", "index": source}}})
    for place, name in enumerate(names):
        others = {other: " ".join(["word"] * (10 * place + 5)) for other in names if other != name}
        db.bulk_docs([{"fields": {name: f"only {name}"}}, {"fields": {name: f"only {name}", **others}}])
    for name in names:
        rows = db.search("d/i", q=f"{name}:only").rows
        assert len(rows) == 2
        assert rows[0].score == pytest.approx(rows[1].score), name


def test_more_fields_than_tantivy_has_here(db: Any) -> None:
    names = [f"field{n}" for n in range(40)]
    source = "function (doc) { for (var name in doc.fields) index(name, doc.fields[name]); }"
    db.put({"_id": "_design/d", "indexes": {"i": {"analyzer": "standard", "index": source}}})
    db.bulk_docs([{"_id": name, "fields": {name: "ant bee", "all": name}} for name in names])
    for name in names:
        assert [row.id for row in db.search("d/i", q=f'{name}:"ant bee"').rows] == [name]
    db.put({"_id": "later", "fields": {"field39": "ant", "field40": "ant"}})
    assert {row.id for row in db.search("d/i", q="field39:ant").rows} == {"field39", "later"}
    assert [row.id for row in db.search("d/i", q="field40:ant").rows] == ["later"]


def test_a_beginning_finds_all_words_however_many(db: Any) -> None:
    db.bulk_docs([{"_id": f"{n:04}", "text": f"a{n:04}x common"} for n in range(500)])
    define(db, "function (doc) { index('default', doc.text); }", None)
    assert db.search("d/i", q="a0").total_rows == 500
    assert len(db.search("d/i", q="a").rows) == 0, "one letter that is a common word"


# -- sorting -----------------------------------------------------------------------------------------

PLACES = [
    {"_id": f"{n:02}", "n": (n * 7) % 20 if n % 5 else None, "t": f"t{(n * 3) % 20:02}" if n % 4 else None,
     "lon": (n * 13) % 40 - 20.0, "lat": (n * 17) % 40 - 20.0, "even": n % 2 == 0}
    for n in range(40)
]  # fmt: skip
PLACES_INDEX = """function (doc) {
  index('default', 'word');
  if (doc.n !== null) index('n', doc.n, {store: true});
  if (doc.t !== null) index('t', doc.t, {store: true});
  index('lon', doc.lon); index('lat', doc.lat); index('even', doc.even);
}"""


@pytest.fixture(scope="module")
def places() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db: Any = environment["places"]
        db.bulk_docs(PLACES)
        define(db, PLACES_INDEX, "keyword")
        yield db


def paged(db: Any, **options: Any) -> list[str]:
    found: list[str] = []
    bookmark = None
    while True:
        answer = db.search("d/i", q="*:*", limit=7, bookmark=bookmark, **options)
        assert answer.total_rows == 40
        if not answer.rows:
            assert answer.bookmark == bookmark
            return found
        found += ids(answer)
        bookmark = answer.bookmark


def in_order(*keys: tuple[str, bool]) -> list[str]:
    rows = list(PLACES)
    for name, descending in reversed(keys):
        there = sorted((row for row in rows if row[name] is not None), key=lambda row: row[name], reverse=descending)
        rows = [*there, *(row for row in rows if row[name] is None)]
    return [row["_id"] for row in rows]


@pytest.mark.parametrize(
    ("sort", "keys"),
    [
        ("n", [("n", False)]),
        ("-n", [("n", True)]),
        ("t<string>", [("t", False)]),
        ("-t<string>", [("t", True)]),
        (["n", "-t<string>"], [("n", False), ("t", True)]),
        (["-t<string>", "n<number>"], [("t", True), ("n", False)]),
        (["even<string>", "n"], [("even", False), ("n", False)]),
        ("<doc>", [("_id", False)]),
        ("-<doc>", [("_id", True)]),
    ],
)
def test_sorted_pages_fit_together(places: Any, sort: Any, keys: list[tuple[str, bool]]) -> None:
    found = paged(places, sort=sort)
    assert len(set(found)) == 40
    by_id = {row["_id"]: row for row in PLACES}
    for name, _ in keys[:1]:
        assert [by_id[id][name] for id in found] == [by_id[id][name] for id in in_order(*keys)], "missing ones last"
    if len(keys) > 1 or keys[0][0] == "_id":
        assert [tuple(by_id[id][name] for name, _ in keys) for id in found] == [
            tuple(by_id[id][name] for name, _ in keys) for id in in_order(*keys)
        ]


def test_unsorted_pages_fit_together(places: Any) -> None:
    assert sorted(paged(places)) == [row["_id"] for row in PLACES]


def kilometres(lon: float, lat: float, lon2: float, lat2: float) -> float:
    a, b = math.radians(lat), math.radians(lat2)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lon2 - lon) / 2) ** 2
    return 2 * 6371.0088 * math.asin(math.sqrt(half))


@pytest.mark.parametrize("unit", [",km", ",mi", ""])
@pytest.mark.parametrize("sign", ["", "-"])
def test_sorted_by_distance(places: Any, unit: str, sign: str) -> None:
    sort = f"{sign}<distance,lon,lat,3.5,4.25{unit}>"
    rows = places.search("d/i", q="*:*", limit=40, sort=sort).rows
    away = {row["_id"]: kilometres(3.5, 4.25, row["lon"], row["lat"]) for row in PLACES}
    assert [row.id for row in rows] == sorted(away, key=lambda id: away[id], reverse=bool(sign))
    factor = 3958.7613 / 6371.0088 if unit == ",mi" else 1
    assert [row.order[0] for row in rows] == pytest.approx([away[row.id] * factor for row in rows])
    assert paged(places, sort=sort) == [row.id for row in rows]


def test_the_order_of_a_row_is_what_sorted_it(places: Any) -> None:
    row = places.search("d/i", q="*:*", sort="-n", limit=1).rows[0]
    assert row.order == [row.fields["n"], 0] == [19, 0]
    row = places.search("d/i", q="*:*", sort=["t<string>", "n"], limit=1).rows[0]
    assert row.order == [row.fields["t"], row.fields["n"], 0]


@pytest.mark.parametrize(
    "sort",
    ["n<string>", "t<number>", "t", ["n", "t"], "", "-", 5, [5], "n<date>", "<distance,lon,lat,x,y>",
     "<distance,lon,lat,1,2,yd>", "<distance,lon,lat,1>", "<distance,lon,lat,1,91>", "<distance,lon,lat,1,2"],
)  # fmt: skip
def test_wrong_sorts(places: Any, sort: Any) -> None:
    with pytest.raises(pouchdb.BadRequest):
        places.search("d/i", q="*:*", sort=sort)


def test_sorting_by_a_field_that_nobody_has(places: Any) -> None:
    assert len(ids(places.search("d/i", q="*:*", sort="nobody", limit=200))) == 40


def test_more_fields_than_columns(db: Any) -> None:
    db.bulk_docs([{"_id": f"{n}", "n": n} for n in (3, 1, 2)])
    define(
        db, "function (doc) { for (var i = 0; i < 20; i++) { index('n' + i, doc.n); index('t' + i, 'x' + doc.n); } }"
    )
    for name in ("n0", "n19", "t0<string>", "t19<string>"):
        assert ids(db.search("d/i", q="*:*", sort=name)) == ["1", "2", "3"]


def test_texts_that_no_column_takes_are_sorted_too(db: Any) -> None:
    texts = {"a": "y" * 100, "b": "x", "c": "z", "d": "y" * 99 + "x"}
    db.bulk_docs([{"_id": id, "text": text} for id, text in texts.items()])
    define(db, "function (doc) { index('text', doc.text); }", "keyword")
    assert ids(db.search("d/i", q="*:*", sort="text<string>", limit=4)) == ["b", "d", "a", "c"]
    with pytest.raises(pouchdb.BadRequest):
        db.search("d/i", q="*:*", sort="text<number>")


def test_terms_with_blanks_in_them(db: Any) -> None:
    db.bulk_docs([{"_id": "a", "tag": "red fox"}, {"_id": "b", "tag": "red\tfox"}, {"_id": "c", "tag": "redfox"}])
    define(db, "function (doc) { index('tag', doc.tag); }", "keyword")
    for q, found in (('tag:"red fox"', "a"), (r"tag:red\ f*", "a"), ("tag:/red.fox/", "ab"), ("tag:/red fox/", "a"),
                     ('tag:["red" TO "red fox"]', "ab"), ('tag:{"red fox" TO *]', "c"), ("tag:redfx~", "abc"),
                     (r"tag:red\ fx~1", "a"), ('tag:["red e" TO "red g"]', "a")):  # fmt: skip
        assert "".join(sorted(ids(db.search("d/i", q=q)))) == found, q
    assert [each.text for each in db.search_completions("d/i", "red", field="tag").completions] == [
        "red\tfox", "red fox", "redfox"
    ]  # fmt: skip


# -- groups, fields ----------------------------------------------------------------------------------


def test_groups_old_and_new(places: Any) -> None:
    answer = places.search("d/i", q="*:*", group_field="even<string>", group_limit=3, group_sort="-even<string>")
    assert answer.keys() == {"total_rows", "groups"}
    assert [(group.by, group.total_rows, len(group.rows)) for group in answer.groups] == [
        ("true", 20, 3),
        ("false", 20, 3),
    ]
    old = places.search("d/i", q="*:*", group_by="even<string>", group_sort="even<string>")
    assert old.keys() == {"total_hits", "total_grouped_hits", "groups"}
    assert [(group.by, group.total_hits, len(group.hits)) for group in old.groups] == [
        ("false", 20, 1),
        ("true", 20, 1),
    ]
    missing = places.search("d/i", q="*:*", group_field="n", group_sort="n", limit=200)
    assert missing.groups[-1].by is None, "documents without the field are a group, the last"
    for bad in ({"group_limit": 0}, {"group_limit": 201}, {"group_sort": 5}):
        with pytest.raises(pouchdb.BadRequest):
            places.search("d/i", q="*:*", group_field="n", **bad)


@pytest.mark.parametrize("kind", ["keyword", "facet", "nouveau"])
def test_sorting_and_groups_by_long_strings(db: Any, kind: str) -> None:
    values = {"a": "x" * 5000 + "b", "b": "x" * 5000 + "a", "c": "m", "d": "x" * 5000 + "b", "e": None}
    db.bulk_docs([{"_id": name, "v": value} for name, value in values.items()])
    if kind == "nouveau":
        source = "function (doc) { index('text', 'default', 'x'); if (doc.v) index('string', 'v', doc.v); }"
        db.put({"_id": "_design/d", "nouveau": {"i": {"index": source}}})
    else:
        facet = ", {facet: true}" if kind == "facet" else ""
        source = f"function (doc) {{ index('default', 'x'); if (doc.v) index('v', doc.v{facet}); }}"
        define(db, source, "standard" if kind == "facet" else "keyword")
    for sort, order in (("v<string>", "cbade"), ("-v<string>", "adbce"), (["v<string>", "<doc>"], "cbade")):
        answer = db.search("d/i", q="*:*", sort=sort)
        assert "".join(row.id for row in answer.get("rows", answer.get("hits"))) == order
    if kind != "nouveau":
        groups = db.search("d/i", q="*:*", group_field="v<string>").groups
        assert {group.by: group.total_rows for group in groups} == dict(collections.Counter(values.values()))


def test_fields_by_a_query_string(places: Any) -> None:
    for wanted in (["t"], '["t"]', "t"):
        row = places.search("d/i", q="*:*", include_fields=wanted, sort="t<string>", limit=1).rows[0]
        assert row.fields.keys() == {"t"}
    assert places.search("d/i", q="*:*", include_fields=[], limit=1).rows[0].fields == {}


def test_highlights_of_phrases_and_stems(db: Any) -> None:
    text = " ".join(["filler"] * 50 + ["two", "red", "foxes"] + ["filler"] * 50 + ["red", "foxes"])
    db.put({"_id": "a", "text": text})
    define(db, "function (doc) { index('default', doc.text, {store: true}); }", "english")
    row = db.search("d/i", q='"red fox"', highlight_fields=["default"], highlight_number=5, highlight_size=40).rows[0]
    assert len(row.highlights.default) == 2
    assert all("<em>red</em> <em>foxes</em>" in each and len(each) < 70 for each in row.highlights.default)
    row = db.search("d/i", q="fox NOT zebra", highlight_fields=["default"], highlight_size=1).rows[0]
    assert row.highlights.default == ["<em>foxes</em>"]
    none = db.search("d/i", q="filler NOT fox", highlight_fields=["default"])
    assert none.rows == []
    for name in ("highlight_number", "highlight_size"):
        with pytest.raises(pouchdb.BadRequest, match="greater than zero"):
            db.search("d/i", q="fox", highlight_fields=["default"], **{name: 0})


@pytest.mark.parametrize(
    ("q", "shown"),
    [
        ('"quick fox"', "fox, quick dog, the <quick> <fox> of a fox"),
        ('"quick fox" dog', "fox, quick <dog>, the <quick> <fox> of a fox"),
        ('"quick fox" fox', "<fox>, quick dog, the <quick> <fox> of a <fox>"),
        ('"fox quick"', "<fox>, <quick> dog, the quick fox of a fox"),
        ('"quick the fox"~1', "fox, quick dog, the <quick> <fox> of a fox"),
        ('"fox fox"~2', "fox, quick dog, the quick <fox> of a <fox>"),
        ('"dog fox"~2', "fox, quick <dog>, the quick <fox> of a fox"),
        ('"the fox of a fox"', "fox, quick dog, the quick <fox> of a <fox>"),
        ('"dog quick fox"~200', "<fox>, <quick> <dog>, the <quick> <fox> of a fox"),
        ('fox -"quick dog"', None),
        ('dog -"fox dog"', "fox, quick <dog>, the quick fox of a fox"),
    ],
)
def test_a_phrase_is_highlighted_where_it_is_whole(db: Any, q: str, shown: str | None) -> None:
    db.put({"_id": "a", "text": "fox, quick dog, the quick fox of a fox"})
    define(db, "function (doc) { index('default', doc.text, {store: true}); }")
    tags = {"highlight_pre_tag": "<", "highlight_post_tag": ">"}
    rows = db.search("d/i", q=q, highlight_fields=["default"], **tags).rows
    assert [row.highlights.default for row in rows] == ([[shown]] if shown else [])


def test_what_nouveau_calls_a_string_is_not_analysed(db: Any) -> None:
    db.put({"_id": "a", "tag": "Red Fox"})
    source = "function (doc) { index('string', 'tag', doc.tag); }"
    db.put({"_id": "_design/n", "nouveau": {"i": {"index": source}}})
    assert [hit.id for hit in db.search("n/i", q='tag:"Red Fox"').hits] == ["a"]
    assert db.search("n/i", q="tag:fox").hits == []
    assert [hit.id for hit in db.search("n/i", q="tag:Red*").hits] == ["a"]


def test_info_says_how_far_the_index_is(db: Any) -> None:
    from pouchdb_search.searching import search_info

    db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    define(db, "function (doc) { index('default', 'x'); }")
    info = search_info(db, "d/i").search_index
    assert (info.doc_count, info.update_seq) == (2, db.info().update_seq)
    assert info.disk_size == 0, "in memory, as the database"


# -- calls of index ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [["f", None], ["f", {}], ["f", [1]], [5, "x"], ["f", math.inf], ["f", math.nan], ["f", "x", {"boost": 0}]],
)
def test_calls_that_leave_the_document_out(call: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"^index\("):
        indexed(clouseau_definition({"index": "", "analyzer": "standard"}), "id", [(call, None)])


# -- analyzers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analyzer", "text", "tokens"),
    [
        ("standard", "1,000.5 and a.1 can't", ["1,000.5", "1", "can't"]),
        ("standard", "東京 カタカナ", ["東", "京", "カタカナ"]),
        ("standard", "cafe\u0301 हिन्दी", ["cafe\u0301", "हिन्दी"]),
        ("standard", "well-known x_y", ["well", "known", "x_y"]),
        ("classic", "AT&T I.B.M. John's XL-1000 wi-fi", ["at&t", "ibm", "john", "xl-1000", "wi", "fi"]),
        ("classic", "me@x.org 10.0.0.1 foo.com", ["me@x.org", "10.0.0.1", "foo.com"]),
        ("email", "see http://x.org/a?b=1, or me@x.org.", ["see", "http://x.org/a?b=1,", "me@x.org."]),
        ("cjk", "東京都 is 日 good", ["東京", "京都", "日", "good"]),
        ("simple_asciifolding", "Straße Łódź Crème", ["strasse", "lodz", "creme"]),
        ("english", "John's ponies running", ["john", "poni", "run"]),
        ("french", "l'avion d'Alice", ["avion", "alic"]),
        ("standard", "_ __ x_ ½ x² 1.a a.1 a'1b 'x'", ["x_", "x", "1", "1", "1b", "x"]),
        ("standard", "mixカナmix 한é สวัสดีx", ["mix", "カナ", "mix", "한é", "สวัสดี", "x"]),
        ("standard", "zwj\u200dx ש״ס", ["zwj\u200dx", "ש״ס"]),
        ("standard", "İstanbul", ["istanbul"]),
        ("simple", "x² Ⅳ नमस्ते", ["x", "नमस", "त"]),
        ("whitespace", "a\u00a0b\u2003c", ["a\u00a0b", "c"]),
        ("classic", "U.S.A U.S.A. foo.bar. x.y.z", ["u.s.a", "usa", "foo.bar", "x.y.z"]),
        ("classic", "1.2.3 日本 12-AB-9 dogs'", ["1.2.3", "日", "本", "12-ab-9", "dogs"]),
        ("cjk", "foo.bar www t 한국어 日本カナ ｆｏｏ", ["foo.bar", "한국", "국어", "日本", "本カ", "カナ", "foo"]),
        ("simple_asciifolding", "ひらがな 한 ﬁn", ["ひらがな", "한", "fin"]),
        ("email", "a@b.c x.y@mail-host.co.uk", ["b.c", "x.y@mail-host.co.uk"]),
        ("keyword", "The Quick", ["The Quick"]),
        ("keyword", "", []),
        ("whitespace", "The Quick-fox", ["The", "Quick-fox"]),
        ("catalan", "els llibres de l'home i d'una", ["llibr", "hom"]),
        ("french", "Les amis qu'il était, c'est son été", ["amis"]),
        ("greek", "Είναι το σπίτι του", ["σπιτ"]),
        ("irish", "na leabhair agus an teach", ["leabhair", "teach"]),
        ("italian", "dell'uomo e gl'amici", ["uom", "amic"]),
        ("turkish", "Işık İstanbul'da ve çocuklar", ["ışık", "istanbul", "çocuk"]),
        ("indonesian", "buku adalah yang", ["buku"]),
        ({"name": "turkish", "stopwords": ["ev"]}, "ve ev", ["ve"]),
        ({"name": "english", "stopwords": ["fox"]}, "the fox", ["the"]),
        ({"name": "standard", "stopwords": []}, "the fox", ["the", "fox"]),
    ],
)  # fmt: skip
def test_tokens(analyzer: Any, text: str, tokens: list[str]) -> None:
    found = analyzer_of(analyzer)
    assert found.words(text) == tokens
    assert [term.text for term in found.terms(text)] == tokens


@pytest.mark.parametrize(
    ("word", "stem"),
    [("s", "s"), ("os", "os"), ("psychology", "psycholog"), ("technologies", "technolog"), ("logi", "logi"),
     ("analogie", "analogi"), ("analogies", "analog"), ("analogy", "analog"), ("analogieness", "analogi"),
     ("possibly", "possibl"), ("possible", "possibl"), ("assemblies", "assembl"), ("assembly", "assembl"),
     ("bly", "bly"), ("yblies", "ybli"), ("humblying", "humbl"),
     ("running", "run"), ("relational", "relat"), ("sky", "sky"), ("y", "y"), ("ponies", "poni")],
)  # fmt: skip
def test_stems_are_those_of_lunr(word: str, stem: str) -> None:
    assert porter(word) == stem


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=40), st.sampled_from(["standard", "classic", "email", "cjk", "simple", "english", "whitespace"])
)
def test_terms_are_where_they_say(text: str, name: str) -> None:
    analyzer = analyzer_of(name)
    for term in analyzer.terms(text):
        assert analyzer.words(text[term.start : term.end])[:1] in ([term.text], []) or name in (
            "cjk",
            "email",
            "classic",
        )
        assert text[term.start : term.end]
    assert [term.text for term in analyzer.terms(text)] == analyzer.words(text)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="ab1_2. ',:;-", max_size=30))
def test_words_of_ascii_are_those_of_any_text(text: str) -> None:
    beyond = Standard().words(f"{text} \u00e9")
    assert Standard().words(text) == beyond[:-1]
    assert Standard().words(text) == [text[start:end] for start, end in Standard().spans(text)]


@pytest.mark.parametrize("name", ["standard", "classic", "email", "cjk", "english"])
@pytest.mark.parametrize("text", ["_" * 20_000, "a_" * 10_000, "é" + "_" * 20_000, "a+" * 10_000])
def test_long_runs_of_signs_take_no_time_by_their_square(name: str, text: str) -> None:
    """They took minutes."""
    words = analyzer_of(name).words(text + " end")
    assert words[-1] == "end"
