"""Text search: pouchdb-search's words, Lucene's syntax, facets, sorting (spec: plugins, section 5)."""

from __future__ import annotations

import json
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from pouchdb_search.analysis import LANGUAGES, REFUSED, analyzer_of, known_analyzers

import pouchdb
from pouchdb_core.views import indexes


@pytest.fixture
def env() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        yield environment


@pytest.fixture
def db(env: Any) -> Any:
    return env["texts"]


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer.rows]


# -- without an analyzer -----------------------------------------------------------------------------

PLAIN = """function (doc) {
  if (doc.text !== undefined) index('default', doc.text);
  if (doc.title) index('title', doc.title);
  if (doc.num) index('num', doc.num);
}"""


@pytest.fixture
def plain(db: Any) -> Any:
    db.bulk_docs(
        [
            {"_id": "a", "text": "The quick brown fox jumps", "title": "Foxes", "num": 3},
            {"_id": "b", "text": "lazy dogs and quick foxes; foxes again", "title": "Dogs", "num": 1},
            {"_id": "c", "text": "running runner ran", "title": "Run", "num": 2},
            {"_id": "e", "text": "freeholder"},
            {"_id": "f", "text": "Ein Café in Zürich"},
            {"_id": "g", "text": ["x1", "y1"]},
        ]
    )
    db.put({"_id": "_design/d", "indexes": {"plain": {"index": PLAIN}}})
    return db


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("quick", ["a", "b"]),
        ("fox", ["b", "a"]),
        ("foxes", ["b", "a"]),
        ("quick fox", ["b", "a"]),
        ("quick zzz", []),
        ("the", []),
        ("run", ["c"]),
        ("free", ["e"]),
        ("title:dogs", ["b"]),
        ("num:3", ["a"]),
        ("title:fox quick", []),
        ("quick OR lazy", ["b"]),
        ("qui*", ["a", "b"]),
        ("QUICK", ["a", "b"]),
        ('"quick brown"', ["a"]),
        ("quick -lazy", ["b"]),
        ("", []),
        ("nofield:x", []),
        ("café", ["f"]),
        ("zürich", ["f"]),
        ("x1,y1", ["g"]),
    ],
)
def test_words_as_pouchdb_search_finds_them(plain: Any, q: str, found: list[str]) -> None:
    answer = plain.search("d/plain", q=q)
    assert sorted(ids(answer)) == sorted(found)
    if q not in ("quick fox",):
        assert ids(answer) == found, [(row.id, row.score) for row in answer.rows]
    assert answer.total_rows == len(found)
    assert sorted(ids(plain.search(PLAIN, q=q))) == sorted(found), "a temporary one"


def test_rows_documents_and_limits(plain: Any) -> None:
    answer = plain.search("d/plain", q="quick", include_docs=True)
    row = answer.rows[0]
    assert (row.key, row.value["rev"][:2], row.doc.title) == ("a", "1-", "Foxes")
    assert row.score > 0
    assert ids(plain.search("d/plain", q="quick", limit=1)) == ["a"]
    assert ids(plain.search("d/plain", q="quick", skip=1)) == ["b"]


@pytest.mark.parametrize("analyzer", [None, "standard"])
@pytest.mark.parametrize("options", [{}, {"skip": 3, "limit": 5}, {"limit": 0}, {"skip": 100}])
def test_rows_are_the_same_however_they_are_read(db: Any, analyzer: str | None, options: dict[str, Any]) -> None:
    """From the index alone, and with what documents and other options need."""
    index = {"index": "function (doc) { index('default', doc.text, {store: doc.n % 2}); index('n', doc.n); }"}
    db.put({"_id": "_design/d", "indexes": {"i": index if analyzer is None else {**index, "analyzer": analyzer}}})
    db.bulk_docs([{"_id": f"{n:02}", "text": "same " * (n % 5 + 1) + "word", "n": n} for n in range(20)])
    db.put({**db["07"], "text": "same again"})
    plainly = db.search("d/i", q="same", **options)
    read = db.search("d/i", q="same", include_docs=True, **options)
    for row in read.rows:
        assert row.pop("doc")["_rev"] == row.value.rev
    assert plainly == read
    assert plainly == db.search("d/i", q="same", include_fields=["default"], **options)


def test_shorter_and_more_frequent_come_first(db: Any) -> None:
    words = "lorem ipsum dolor sit amet consectetur adipiscing elit sed eiusmod tempor".split()
    db.bulk_docs(
        [
            {"_id": "long", "text": " ".join(["freehold", *words * 11, "one", "two", "three"])},
            {"_id": "short", "text": " ".join(["freehold", *words * 11])},
            {"_id": "twice", "text": " ".join(["freehold", "freehold", *words * 11])},
            {"_id": "other", "text": "nothing"},
        ]
    )
    db.put({"_id": "_design/d", "indexes": {"plain": {"index": PLAIN}}})
    assert ids(db.search("d/plain", q="freehold")) == ["twice", "short", "long"]


def test_the_index_follows_the_database(plain: Any) -> None:
    assert ids(plain.search("d/plain", q="quick")) == ["a", "b"]
    plain.remove(plain["a"])
    plain["e"] = {"text": "quick"}
    assert sorted(ids(plain.search("d/plain", q="quick"))) == ["b", "e"]
    plain["n"] = {"text": "quick"}
    assert "n" not in ids(plain.search("d/plain", q="quick", stale="ok"))
    plain.purge("b", plain["b"]._rev)
    assert sorted(ids(plain.search("d/plain", q="quick"))) == ["e", "n"]
    ddoc = plain["_design/d"]
    ddoc["indexes"]["plain"]["index"] = "function (doc) { index('default', 'everything'); }"
    plain.put(ddoc)
    assert len(ids(plain.search("d/plain", q="everything"))) == 5
    assert plain.view_cleanup().ok


def test_an_index_as_it_is_and_one_brought_up_to_date_afterwards(plain: Any) -> None:
    seen: list[Any] = []
    plain.on("indexing", seen.append)
    assert ids(plain.search("d/plain", q="fox", update=False)) == []
    assert ids(plain.search("d/plain", q="fox", stale="ok")) == []
    assert ids(plain.search("d/plain", q="fox", update="lazy")) == []
    assert plain.environment.context.wait_until_called(seen.append, timeout=10)
    assert ids(plain.search("d/plain", q="fox", update="false")) == ["b", "a"]
    for options in ({"update": "maybe"}, {"stale": "update_after"}, {"stale": "ok", "update": "lazy"}):
        with pytest.raises(pouchdb.BadRequest, match=r"stale|update"):
            plain.search("d/plain", q="fox", **options)


def test_one_document_that_throws_is_left_out(db: Any) -> None:
    db.bulk_docs([{"_id": "a"}, {"_id": "b", "bad": True}])
    db.put(
        {
            "_id": "_design/d",
            "indexes": {"i": {"index": "function (doc) { if (doc.bad) throw('x'); index('default', 'y'); }"}},
        }
    )
    assert ids(db.search("d/i", q="y")) == ["a"]


@pytest.mark.parametrize(
    ("path", "options", "status", "name", "match"),
    [
        ("no/i", {"q": "x"}, 404, "not_found", "missing"),
        ("d/no", {"q": "x"}, 404, "not_found", "no not found"),
        ("d", {"q": "x"}, 404, "not_found", None),
        ("d/plain", {}, 400, "query_parse_error", "Query must include a 'q' or 'query' argument"),
        ("d/plain", {"q": "x", "colour": 1}, 400, "bad_request", "colour"),
        ("d/lucene", {"q": "x", "limit": -1}, 400, "query_parse_error", "limit must be greater than or equal to zero"),
        ("d/lucene", {"q": "x", "limit": 201}, 400, "query_parse_error", "must not exceed 200"),
        ("d/lucene", {"q": "x", "limit": "y"}, 400, "query_parse_error", "Invalid value for limit"),
        ("d/lucene", {"q": "x", "stale": "y"}, 400, "query_parse_error", "stale only available as stale=ok"),
        ("d/lucene", {"q": "x", "bookmark": "y"}, 400, "query_parse_error", "bookmark"),
        ("d/lucene", {"q": "x", "group_field": "a", "group_limit": 0}, 400, "query_parse_error", "greater than zero"),
        ("d/lucene", {"q": "x", "counts": ["text"]}, 400, "bad_request", "facet"),
        ("d/lucene", {"q": "x", "ranges": {"text": {"a": "[0 TO 1]"}}}, 400, "bad_request", "number"),
        ("d/lucene", {"q": "a AND"}, 400, "bad_request", "cannot be parsed"),
        ("d/lucene", {"q": "(a"}, 400, "bad_request", "cannot be parsed"),
        ("d/lucene", {"q": '"a'}, 400, "bad_request", None),
        ("d/lucene", {"q": "*x"}, 400, "bad_request", "wildcard"),
        ("d/lucene", {"q": "/[/"}, 400, "bad_request", None),
        ("d/broken", {"q": "x"}, 500, "compilation_error", None),
    ],
)
def test_errors(db: Any, path: str, options: Any, status: int, name: str, match: str) -> None:
    db.put({"_id": "a", "text": "x"})
    lucene = {"analyzer": "standard", "index": PLAIN}
    indexes = {"plain": {"index": PLAIN}, "lucene": lucene, "broken": {"index": "function ("}}
    db.put({"_id": "_design/d", "indexes": indexes})
    with pytest.raises(pouchdb.PouchDBError, match=match) as caught:
        db.search(path, **options)
    assert (caught.value.status, caught.value.name) == (status, name)


# -- with an analyzer --------------------------------------------------------------------------------

BOOKS: list[dict[str, Any]] = [
    {"_id": "1", "title": "The Quick Brown Fox", "text": "a quick brown fox jumps over the lazy dog"},
    {"_id": "2", "title": "Lazy Dogs", "text": "dogs are lazy and quick to sleep"},
    {"_id": "3", "title": "Cooking", "text": "quick meals: a brown roux, then fox-glove never"},
    {"_id": "4", "title": "Gärten", "text": "café garden (1+1):2", "year": 1985, "tag": "home"},
]
BOOKS[0].update({"year": 1999, "tag": "animals", "lon": 9.2, "lat": 45.5})
BOOKS[1].update({"year": 2005, "tag": "animals", "lon": 13.4, "lat": 52.5})
BOOKS[2].update({"year": 2010, "tag": "food", "lon": 2.35, "lat": 48.9})
INDEX = """function (doc) {
  index('default', doc.text);
  index('text', doc.text, {store: true});
  index('title', doc.title, {store: true});
  index('year', doc.year, {store: true, facet: true});
  index('tag', doc.tag, {store: true, facet: true});
  if (doc.lon) { index('lon', doc.lon); index('lat', doc.lat); }
}"""


@pytest.fixture
def books(db: Any) -> Any:
    db.bulk_docs(BOOKS)
    perfield = {"name": "perfield", "default": "standard", "fields": {"tag": "keyword", "title": "english"}}
    indexes = {
        "std": {"analyzer": "standard", "index": INDEX},
        "per": {"analyzer": perfield, "index": INDEX},
        "fold": {"analyzer": "simple_asciifolding", "index": INDEX},
        "stop": {"analyzer": {"name": "standard", "stopwords": ["quick"]}, "index": INDEX},
    }
    db.put({"_id": "_design/d", "indexes": indexes})
    return db


QUERIES = [
    ("quick", "123"),
    ("quick dog", "123"),
    ("quick AND dog", "1"),
    ("quick && dog", "1"),
    ("dog OR dogs", "12"),
    ("dog || dogs", "12"),
    ("quick NOT dog", "23"),
    ("quick !dog", "23"),
    ("+quick -lazy", "3"),
    ("+lazy +dogs", "2"),
    ("quick AND (dog OR dogs)", "12"),
    ('"quick brown fox"', "1"),
    ('"brown quick"', ""),
    ('"quick fox"', ""),
    ('"quick fox"~1', "1"),
    ("qu?ck", "123"),
    ("dog*", "12"),
    ("d*s", "2"),
    ("/d[aeo]g/", "1"),
    ("quikc~", "123"),
    ("dgo~1", "1"),
    ("laxy~0.7", "12"),
    ("title:lazy", "2"),
    ("title:(lazy OR cooking)", "23"),
    ("title:lazy text:meals", "23"),
    ("year:1999", "1"),
    ("year:[1999 TO 2005]", "12"),
    ("year:{1999 TO 2005]", "2"),
    ("year:[1999 TO 2005}", "1"),
    ("year:[2000 TO Infinity]", "23"),
    ("year:[-Infinity TO 1990]", "4"),
    ("year:[* TO 1990]", "4"),
    ("tag:[a TO g]", "123"),
    ("tag:{animals TO home]", "34"),
    ("*:*", "1234"),
    ("*:* AND NOT tag:animals", "34"),
    ("brown^5 dogs", "123"),
    ("the", ""),
    ("-quick", ""),
    (r"text:\(1\+1\)\:2", "4"),
    ("café", "4"),
    ("cafe", ""),
    ("QUICK and", "123"),
]


@pytest.mark.parametrize(("q", "found"), QUERIES)
def test_lucene(books: Any, q: str, found: str) -> None:
    assert "".join(sorted(ids(books.search("d/std", q=q)))) == found


def test_boosts_order(books: Any) -> None:
    assert ids(books.search("d/std", q="title:cooking^10 dogs"))[0] == "3"
    assert ids(books.search("d/std", q="title:cooking dogs^10"))[0] == "2"


def test_analyzers_by_field(books: Any) -> None:
    assert ids(books.search("d/per", q="tag:animals AND title:dog")) == ["2"], "English: dog is dogs"
    assert ids(books.search("d/fold", q="cafe")) == ["4"]
    assert ids(books.search("d/fold", q="café")) == ["4"]
    assert ids(books.search("d/stop", q="quick")) == []


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("year", "4123"),
        ("year<number>", "4123"),
        ("-year<number>", "3214"),
        ("tag<string>", "1234"),
        (["-tag<string>", "-year"], "4321"),
        ("<distance,lon,lat,13.4,52.5,km>", "2134"),
        ("-<score>", None),
        ("<doc>", "1234"),
    ],
)
def test_sort(books: Any, sort: Any, found: str | None) -> None:
    answer = books.search("d/std", q="*:*", sort=sort)
    if found is not None:
        assert "".join(ids(answer)) == found
    if sort == "<distance,lon,lat,13.4,52.5,km>":
        assert answer.rows[0].order[0] == pytest.approx(0, abs=1)
        assert answer.rows[1].order[0] == pytest.approx(840, abs=20)


@pytest.mark.parametrize("sort", ["year<string>", "tag<number>", "<distance,lon>", 5])
def test_wrong_sort(books: Any, sort: Any) -> None:
    with pytest.raises(pouchdb.BadRequest):
        books.search("d/std", q="*:*", sort=sort)


def test_bookmarks_page_through_all(books: Any) -> None:
    found, bookmark = [], None
    for _ in range(4):
        answer = books.search("d/std", q="*:*", sort="year", limit=2, bookmark=bookmark)
        found += ids(answer)
        bookmark = answer.bookmark
    assert found == ["4", "1", "2", "3"]
    assert answer.total_rows == 4


def test_facets(books: Any) -> None:
    answer = books.search(
        "d/std",
        q="*:*",
        counts=["tag", "year"],
        ranges={"year": {"old": "[0 TO 1999]", "new": "{1999 TO Infinity}"}},
    )
    assert answer.counts.tag == {"animals": 2, "food": 1, "home": 1}
    assert answer.counts.year["1999"] == 1
    assert answer.ranges.year == {"old": 2, "new": 2}
    assert sorted(ids(books.search("d/std", q="*:*", drilldown=["tag", "food", "home"]))) == ["3", "4"]
    drilled = books.search("d/std", q="quick", drilldown=[["tag", "animals"], ["year", "2005"]], counts=["tag"])
    assert (ids(drilled), drilled.counts.tag) == (["2"], {"animals": 1})


def test_fields_groups_highlights(books: Any) -> None:
    answer = books.search("d/std", q="dogs", include_fields=["year"])
    assert answer.rows[0].fields == {"year": 2005}
    groups = books.search(
        "d/std", q="*:*", group_field="tag", group_sort="-tag<string>", group_limit=2, sort="year"
    ).groups
    assert [(group.by, group.total_rows, [row.id for row in group.rows]) for group in groups] == [
        ("home", 1, ["4"]),
        ("food", 1, ["3"]),
        ("animals", 2, ["1", "2"]),
    ]
    answer = books.search("d/std", q="text:(brown AND do*)", highlight_fields=["text"])
    assert answer.rows[0].highlights.text == ["a quick <em>brown</em> fox jumps over the lazy <em>dog</em>"]
    answer = books.search(
        "d/per", q="title:dog", highlight_fields=["title"], highlight_pre_tag="[", highlight_post_tag="]"
    )
    assert answer.rows[0].highlights.title == ["Lazy [Dogs]"]


def test_nouveau(db: Any) -> None:
    db.bulk_docs(BOOKS)
    source = """function (doc) {
      index('text', 'default', doc.text, {store: false});
      index('string', 'tag', doc.tag, {store: true});
      index('double', 'year', doc.year, {store: true});
      index('stored', 'raw', {a: 1});
    }"""
    db.put(
        {"_id": "_design/n", "nouveau": {"i": {"default_analyzer": "standard", "field_analyzers": {}, "index": source}}}
    )
    answer = db.search("n/i", q="quick AND year:[2000 TO 2010]", sort="-year<double>", counts=["tag"])
    assert [hit.id for hit in answer.hits] == ["3", "2"]
    assert (answer.total_hits, answer.total_hits_relation) == (2, "EQUAL_TO")
    assert answer.hits[0].fields == {"tag": "food", "year": 2010, "raw": {"a": 1}}
    assert answer.counts.tag == {"animals": 1, "food": 1}
    ranges = {"year": [{"label": "old", "max": 2000, "max_inclusive": False}, {"label": "new", "min": 2000}]}
    assert db.search("n/i", q="*:*", ranges=ranges).ranges.year == {"old": 2, "new": 2}


def test_python_functions_and_callbacks(env: Any) -> None:
    env["texts"].bulk_docs([{"_id": "a", "t": "hello"}, {"_id": "b", "t": "world"}])
    assert ids(env["texts"].search(lambda doc: [("default", doc["t"])], q="hello")) == ["a"]
    env["texts"].put({"_id": "_design/d", "indexes": {"i": {"index": "function (doc) { index('default', doc.t); }"}}})
    view: Any = env.async_view
    got: list[Any] = []

    def callback(err: Any, resp: Any = None) -> None:
        got.append((err, resp and ids(resp)))

    view["texts"].search("d/i", callback, q="world")
    assert view.context.waitUntilCalled(callback, timeout=20)
    assert got == [(None, ["b"])]


# -- files -------------------------------------------------------------------------------------------


def test_an_index_of_a_python_function_follows_it(env: Any, db: Any) -> None:
    """Also while it runs: the design document names the function, and does not change."""
    design = {"indexes": {"i": {"analyzer": "standard", "index": "f"}}, "nouveau": {"n": {"index": "g"}}}
    db.bulk_docs([{"_id": "a"}, {"_id": "_design/py", "language": "python", **design}])
    for word in ("one", "two", "three"):
        env.register_function("f", lambda doc, word=word: [("default", word)])
        env.register_function("g", lambda doc, word=word: [(("text", "default", word, {"store": True}), None)])
        for _ in range(2):
            assert [q for q in ("one", "two", "three") if db.search("py/i", q=q).total_rows] == [word]
            assert [hit.fields.default for hit in db.search("py/n", q="one OR two OR three").hits] == [word]


def test_rows_have_the_current_revision(plain: Any) -> None:
    def revision(**options: Any) -> str | None:
        (row,) = plain.search("d/plain", q="griffin", **options).rows
        return str(row.value.rev) if row.value.rev else None

    first = plain.put({"_id": "rev", "text": "griffin"})["rev"]
    assert revision() == first
    second = plain.put({"_id": "rev", "_rev": first, "text": "griffin griffin"})["rev"]
    assert revision() == second
    plain.bulk_docs([{"_id": "rev", "_rev": "3-conflict", "text": "griffin"}], new_edits=False)
    assert revision() == "3-conflict" == revision(include_docs=True)
    plain.purge("rev", "3-conflict")
    assert revision() == second
    third = plain.put({"_id": "rev", "_rev": second, "text": "hidden"})["rev"]
    assert revision(stale="ok") == third, "as all_docs has it"
    plain.remove("rev", third)
    assert revision(update=False) != second
    assert plain.search("d/plain", q="griffin").rows == []
    source = "function (doc) { index('default', doc.text); }"
    assert {row.id: row.value.rev for row in plain.search(source, q="quick").rows} == {
        row.id: row.value.rev for row in plain.search("d/plain", q="quick").rows
    }


def test_an_index_survives_and_is_built_again_where_it_is_lost(tmp_path: Path) -> None:
    def opened() -> Any:
        return pouchdb.setup(tmp_path, plugins=["search"])

    with opened() as env:
        env["texts"].bulk_docs([{"_id": str(n), "text": f"word{n}"} for n in range(50)])
        env["texts"].put({"_id": "_design/d", "indexes": {"plain": {"index": PLAIN}}})
        assert ids(env["texts"].search("d/plain", q="word7")) == ["7"]
    (meta,) = tmp_path.rglob("meta.json")
    with opened() as env:
        assert ids(env["texts"].search("d/plain", q="word7", stale="ok")) == ["7"], "nothing is built again"
    for damage in ("gone", "half", "garbage"):
        if damage == "gone":
            shutil.rmtree(meta.parent)
        elif damage == "half":
            for file in list(meta.parent.glob("*.idx")) + list(meta.parent.glob("*.store")):
                file.unlink()
        else:
            meta.write_text("{")
        with opened() as env:
            assert ids(env["texts"].search("d/plain", q="word7")) == ["7"], damage
            env["texts"].put({"_id": damage, "text": damage})
            assert ids(env["texts"].search("d/plain", q=damage)) == [damage]


def test_the_server_answers_and_is_asked() -> None:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    http = urllib3.PoolManager()
    with pouchdb.setup(":memory:", plugins=["server", "search"]) as env, couch_server(env) as server:
        env["books"].bulk_docs(BOOKS)
        env["books"].put({"_id": "_design/d", "indexes": {"std": {"analyzer": "standard", "index": INDEX}}})
        url = f"{server.url}/books/_design/d/_search/std"
        answer = json.loads(
            http.request("GET", url, fields={"q": "quick", "limit": "1", "sort": '"-year<number>"'}).data
        )
        assert (answer["total_rows"], answer["rows"][0]["id"]) == (3, "3")
        answer = json.loads(http.request("POST", url, json={"q": "tag:food", "counts": ["tag"]}).data)
        assert answer["counts"] == {"tag": {"food": 1}}
        assert http.request("GET", url, fields={"limit": "1"}).status == 400
        # As Cloudant does, all of several.
        for values, total in ((["food"], 1), (["food", "animals"], 3)):
            drills = urllib.parse.urlencode(
                [("q", "*:*"), ("drilldown", json.dumps(["tag", *values])), ("drilldown", '["tag", "food", "animals"]')]
            )
            assert json.loads(http.request("GET", f"{url}?{drills}").data)["total_rows"] == total
        info = json.loads(http.request("GET", f"{server.url}/books/_design/d/_search_info/std").data)
        assert info["search_index"]["doc_count"] == 4
        tokens = http.request(
            "POST", f"{server.url}/_search_analyze", json={"analyzer": "standard", "text": "ablanks@renovations.com"}
        )
        assert json.loads(tokens.data) == {"tokens": ["ablanks", "renovations.com"]}
        remote: Any = env.PouchDB(f"{server.url}/books")
        assert ids(remote.search("d/std", q='"quick brown fox"')) == ["1"]
    http.clear()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    from pouchdb.cli.app import run

    monkeypatch.chdir(tmp_path)
    with pouchdb.setup("data", plugins=[]) as env:
        env["books"].bulk_docs(BOOKS)
        env["books"].put({"_id": "_design/d", "indexes": {"std": {"analyzer": "standard", "index": INDEX}}})
    assert run(["search", "books", "d/std", "dogs OR meals", "--sort", "year"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["2", "3"]
    assert run(["search", "books", "d/std", "(dogs"]) == 1
    capsys.readouterr()
    assert run(["search", "books", "d/std", "dogs OR meals", "--counts", "tag", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[2:] == [{"counts": {"tag": {"animals": 1, "food": 1}}}]


# -- analyzers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analyzer", "text", "tokens"),
    [
        ("standard", "ablanks@renovations.com", ["ablanks", "renovations.com"]),
        ("keyword", "ablanks@renovations.com", ["ablanks@renovations.com"]),
        ("email", "ablanks@renovations.com x", ["ablanks@renovations.com", "x"]),
        ("whitespace", "A-b C", ["A-b", "C"]),
        ("simple", "A1b Über", ["a", "b", "über"]),
        ("simple_asciifolding", "Café", ["cafe"]),
        ("standard", "The Quick", ["quick"]),
        ({"name": "standard", "stopwords": ["quick"]}, "The Quick", ["the"]),
        ("english", "running dogs", ["run", "dog"]),
        ("german", "die Häuser", ["haus"]),
    ],
)
def test_analyzers(analyzer: Any, text: str, tokens: list[str]) -> None:
    assert analyzer_of(analyzer).words(text) == tokens


def test_every_language_works_or_is_refused_by_name() -> None:
    for name in known_analyzers():
        assert analyzer_of(name).words("word")
    assert not LANGUAGES & REFUSED
    for name in (*REFUSED, "klingon", 5, {"name": "keyword", "stopwords": ["a"]}, {"stopwords": []}):
        with pytest.raises(pouchdb.BadRequest):
            analyzer_of(name)


def test_an_index_whose_function_changed_is_closed(plain: Any) -> None:
    opened: list[Any] = []
    for number in range(4):
        ddoc = plain.get("_design/d")
        plain.put({**ddoc, "indexes": {"plain": {"index": PLAIN.replace("'num'", f"'num{number}'")}}})
        assert ids(plain.search("d/plain", q="fox"))
        [follower] = indexes(plain)._followers.values()
        opened.append(follower.index)
        del follower
    assert [each._index is None for each in opened] == [True, True, True, False]
