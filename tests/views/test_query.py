"""Querying: every option, on JavaScript and on Python views alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, FunctionError, NotFound, QueryParseError
from pouchdb_core.results import Record

Design = Callable[..., Any]

JAVASCRIPT = {
    "map": "function (doc) { if (doc.kind) emit([doc.kind, doc.n], doc.n); }",
    "reduce": "_sum",
}


def by_kind(doc: Any) -> Iterator[tuple[Any, Any]]:
    if doc.get("kind"):
        yield [doc["kind"], doc["n"]], doc["n"]


DOCS = [{"_id": f"d{n:02}", "kind": "abc"[n % 3], "n": n} for n in range(30)] + [{"_id": "other"}]


@pytest.fixture(params=["javascript", "python", "temporary javascript", "temporary python"])
def ask(request: pytest.FixtureRequest, database: SyncPouchDB, design: Design) -> Callable[..., Record]:
    """Query the same view, however it is written."""
    database.bulk_docs(DOCS)
    fun: Any = {"map": by_kind, "reduce": "_sum"} if "python" in request.param else JAVASCRIPT
    if "temporary" not in request.param:
        if request.param == "python":
            database.environment.register_function("by kind", by_kind)
            design("app", language="python", views={"kinds": {"map": "by kind", "reduce": "_sum"}})
        else:
            design("app", views={"kinds": JAVASCRIPT})
        fun = "app/kinds"

    def ask(**options: Any) -> Record:
        return database.query(fun, **options)

    return ask


def ids(answer: Record) -> list[str]:
    return [row["id"] for row in answer["rows"]]


def test_rows_come_by_key(ask: Any) -> None:
    answer = ask(reduce=False)
    assert (answer.total_rows, answer.offset) == (30, 0)
    assert ids(answer) == [f"d{n:02}" for kind in range(3) for n in range(kind, 30, 3)]
    assert answer.rows[0] == {"id": "d00", "key": ["a", 0], "value": 0}
    assert type(answer.rows[0]) is Record


RANGES: list[tuple[dict[str, Any], list[int]]] = [
    ({"key": ["a", 3]}, [3]),
    ({"key": ["a", 4]}, []),
    ({"startkey": ["b"], "endkey": ["b", {}]}, list(range(1, 30, 3))),
    ({"start_key": ["b"], "end_key": ["b", {}]}, list(range(1, 30, 3))),
    ({"startkey": ["b", 4], "endkey": ["b", 10]}, [4, 7, 10]),
    ({"startkey": ["b", 4], "endkey": ["b", 10], "inclusive_end": False}, [4, 7]),
    ({"startkey": ["b", 10], "endkey": ["b", 4], "descending": True}, [10, 7, 4]),
    ({"startkey": ["b", 10], "endkey": ["b", 4], "descending": True, "inclusive_end": False}, [10, 7]),
    ({"startkey": ["c", 23]}, [23, 26, 29]),
    ({"startkey": ["a", 6], "descending": True}, [6, 3, 0]),
    ({"limit": 2}, [0, 3]),
    ({"limit": 0}, []),
    ({"skip": 28}, [26, 29]),
    ({"skip": 2, "limit": 2, "descending": True}, [23, 20]),
    ({"skip": 100}, []),
    ({"keys": [["c", 2], ["a", 0], ["zzz"], ["c", 2]]}, [2, 0, 2]),
    ({"keys": [["c", 2], ["a", 0], ["b", 1]], "skip": 1, "limit": 1}, [0]),
    ({"keys": []}, []),
    ({"startkey": None, "endkey": "x"}, []),
    ({"key": ("a", 3)}, [3]),
    ({"startkey": ["a", 3.0], "endkey": ["a", 3]}, [3]),
]


def test_ranges(ask: Any) -> None:
    for options, numbers in RANGES:
        assert [row["value"] for row in ask(reduce=False, **options).rows] == numbers, options


def test_reducing(ask: Any) -> None:
    assert ask().rows == [{"key": None, "value": sum(range(30))}]
    assert ask(group_level=1).rows == [{"key": [k], "value": sum(range(i, 30, 3))} for i, k in enumerate("abc")]
    assert ask(group_level=0).rows == ask().rows
    assert len(ask(group=True).rows) == 30
    assert ask(group_level=2, limit=1, skip=1).rows == [{"key": ["a", 3], "value": 3}]
    assert [row.key for row in ask(group_level=1, descending=True).rows] == [["c"], ["b"], ["a"]]
    assert ask(keys=[["b", 1], ["a", 0], ["no"], ["b", 1]], group=True).rows == [
        {"key": ["b", 1], "value": 1},
        {"key": ["a", 0], "value": 0},
        {"key": ["b", 1], "value": 1},
    ]
    assert ask(startkey=["b", 4], endkey=["b", 10]).rows == [{"key": None, "value": 21}]
    assert ask(startkey=["b", 4], endkey=["c", 2], group_level=1).rows == [
        {"key": ["b"], "value": sum(range(4, 30, 3))},
        {"key": ["c"], "value": 2},
    ]
    assert ask(startkey=["x"]).rows == []
    assert ask(startkey=["x"], group=True).rows == []


def test_other_reduce_functions_than_the_views(ask: Any) -> None:
    assert ask(reduce="_count").rows == [{"key": None, "value": 30}]
    assert ask(reduce="_stats", group_level=1).rows[0].value == {
        "sum": 135,
        "count": 10,
        "min": 0,
        "max": 27,
        "sumsqr": 2565,
    }
    assert ask(reduce="_approx_count_distinct").rows[0].value == 30
    assert [row.value for row in ask(reduce="_first", group_level=1).rows] == [0, 1, 2]
    assert [row.value for row in ask(reduce="_last", group_level=1, descending=True).rows] == [29, 28, 27]
    assert [row.value for row in ask(reduce="_top_2", group_level=1).rows] == [[27, 24], [28, 25], [29, 26]]
    assert ask(reduce=lambda keys, values, rereduce: max(values), group_level=1).rows[2].value == 29
    assert ask(reduce=lambda keys, values: len(values) if keys else sum(values)).rows[0].value == 30


def test_documents_come_along(ask: Any) -> None:
    rows = ask(reduce=False, include_docs=True, limit=2).rows
    assert [row.doc["_id"] for row in rows] == ["d00", "d03"]
    assert rows[0].doc["_rev"].startswith("1-")
    assert type(rows[0].doc) is Record


def test_the_state_of_the_index(ask: Any, database: SyncPouchDB) -> None:
    assert ask(update_seq=True)["update_seq"] == database.info()["update_seq"]
    assert ask(reduce=False, update_seq=True)["update_seq"] == database.info()["update_seq"]


def test_the_true_offset_is_counted_on_request(ask: Any) -> None:
    assert ask(reduce=False, startkey=["b"], skip=1).offset == 1
    assert ask(reduce=False, startkey=["b"], skip=1, offset=True).offset == 11
    assert ask(reduce=False, startkey=["b", {}], descending=True, offset=True).offset == 10
    assert ask(reduce=False, skip=3, offset=True).offset == 3


def test_several_queries_at_once(ask: Any) -> None:
    answer = ask(queries=[{"reduce": False, "limit": 1}, {"group_level": 1}, {"key": ["a", 3]}])
    assert [len(each.rows) for each in answer.results] == [1, 3, 1]
    assert answer.results[2].rows == [{"key": None, "value": 3}]
    # What is given beside them holds for all; a query's own option goes first, in either spelling.
    answer = ask(startkey=["b"], reduce=False, queries=[{}, {"start_key": ["c"]}, {"startkey": ["a"], "limit": 2}])
    assert [len(each.rows) for each in answer.results] == [20, 10, 2]
    assert ask(queries=[]).results == []
    with pytest.raises(BadRequest, match="unknown option 'startKey'"):
        ask(queries=[{"startKey": 1}])
    with pytest.raises(QueryParseError, match="list"):
        ask(queries={"limit": 1})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"startkey": 2, "endkey": 1}, "No rows can match"),
    ({"startkey": 1, "endkey": 2, "descending": True}, "No rows can match"),
    ({"startkey": 2, "endkey": 1}, "set descending=true"),
    ({"startkey": 1, "endkey": 2, "descending": True}, "set descending=false"),
    ({"include_docs": True}, "invalid for reduce"),
    ({"keys": [1, 2]}, "Multi-key fetches"),
    ({"keys": []}, "Multi-key fetches"),
    ({"keys": [1, 2], "group_level": 0}, "Multi-key fetches"),
    ({"keys": [1, 2], "group": True, "group_level": 0}, "Multi-key fetches"),
    ({"reduce": False, "group": True}, "grouping"),
    ({"reduce": False, "group_level": 1}, "grouping"),
    ({"keys": "abc"}, "list"),
    ({"limit": -1}, "limit"),
    ({"limit": "1"}, "limit"),
    ({"skip": -1}, "skip"),
    ({"group_level": -1}, "group_level"),
    ({"stale": "maybe"}, "stale"),
    ({"stale": "ok", "update": True}, "stale"),
    ({"update": "soon"}, "update"),
    ({"startkey": float("nan")}, "NaN"),
    ({"key": object()}, "JSON"),
    ({"startkey_docid": 1}, "startkey_docid"),
    ({"reduce": 7}, "reduce"),
    ({"conflicts": True}, "conflicts:true} is invalid for reduce"),
    ({"group": False, "group_level": 1}, "group=False"),
    ({"update": ["true"]}, "update"),
    ({"update": 1}, "update"),
    ({"stale": {}}, "stale"),
    ({"queries": 5}, "queries"),
    ({"queries": [1]}, "queries"),
    ({"queries": [{"limit": -1}]}, "limit"),
    ({"queries": [{}, {"descending": "true"}]}, "descending"),
    *[
        ({name: value}, f"{name} must be True or False")
        for name in (
            "descending",
            "group",
            "include_docs",
            "inclusive_end",
            "offset",
            "sorted",
            "stable",
            "update_seq",
        )
        for value in ("false", 0, [])
    ],
]


def test_wrong_options_say_what_is_wrong(ask: Any) -> None:
    for options, text in WRONG:
        with pytest.raises(QueryParseError, match=text) as caught:
            ask(**options)
        assert (caught.value.status, caught.value.name) == (400, "query_parse_error"), options


def test_an_option_that_does_not_exist(ask: Any) -> None:
    with pytest.raises(BadRequest, match="startKey"):
        ask(startKey=1)
    with pytest.raises(BadRequest, match="startkey and start_key are one option and were given two values"):
        ask(startkey=1, start_key=2)
    with pytest.raises(BadRequest, match="endkey_docid and end_key_doc_id are one option"):
        ask(endkey_docid="a", end_key_doc_id="b")


def test_none_is_not_given(ask: Any) -> None:
    for name in ("descending", "group", "inclusive_end", "limit", "skip", "keys", "stale", "update", "sorted"):
        assert ask(startkey=["b", 4], endkey=["b", 10], **{name: None}).rows == [{"key": None, "value": 21}]


# -- names ---------------------------------------------------------------------------------------


def test_names_of_views(database: SyncPouchDB, design: Design) -> None:
    view = {"map": "function (doc) { emit(doc._id); }"}
    design("a", views={"a": view, "b": view, "c/d": view, "e(f)": view})
    database.put({"_id": "x"})
    for name in ("a", "a/a", "a/b", "a/c/d", "a/e(f)", "_design/a/_view/b"):
        assert ids(database.query(name)) == ["x"], name


@pytest.mark.parametrize("name", ["nothing", "no/thing", "app/nothing"])
def test_a_view_that_is_not_there(database: SyncPouchDB, design: Design, name: str) -> None:
    design("app", views={"lib": {"a": "1"}, "x": {"map": "function () {}"}, "y": 1, "z": {"reduce": "_count"}})
    with pytest.raises(NotFound):
        database.query(name)
    with pytest.raises(NotFound):
        database.query("app/lib")
    with pytest.raises(NotFound, match="there are: x"):
        database.query("app/z")


def test_a_deleted_design_document_is_not_there(database: SyncPouchDB, design: Design) -> None:
    doc = design("a", views={"a": {"map": "function (doc) { emit(1); }"}})
    database.query("a")
    database.remove(doc)
    with pytest.raises(NotFound):
        database.query("a")


@pytest.mark.parametrize("views", [None, 1, [], {}, {"a": None}, {"a": {}}, {"lib": {"map": "1"}}], ids=str)
def test_members_that_are_no_views(database: SyncPouchDB, design: Design, views: Any) -> None:
    design("a", views=views)
    with pytest.raises(NotFound):
        database.query("a")


NO_VIEWS: list[Any] = [None, 1, "", {}, {"map": 1}, {"reduce": "_sum"}, {"map": "x", "other": 1}]
NO_VIEWS += [{"map": "x", "reduce": reduce} for reduce in (True, 7, {}, ["_sum"])]


@pytest.mark.parametrize("fun", NO_VIEWS, ids=str)
def test_what_is_no_view(database: SyncPouchDB, fun: Any) -> None:
    with pytest.raises(BadRequest):
        database.query(fun)


def test_reducing_a_view_without_reduce(database: SyncPouchDB, design: Design) -> None:
    design("a", views={"a": {"map": "function (doc) { emit(1); }"}})
    with pytest.raises(QueryParseError, match="map-only"):
        database.query("a", reduce=True)
    with pytest.raises(QueryParseError, match="grouping"):
        database.query("a", group=True)
    assert database.query("a", reduce="_count").rows == []


def test_an_empty_database(database: SyncPouchDB, design: Design) -> None:
    design("a", views={"a": {"map": "function (doc) { emit(1); }", "reduce": "_count"}})
    assert database.query("a").rows == []
    assert database.query("a", reduce=False) == {"total_rows": 0, "offset": 0, "rows": []}
    assert database.query(lambda doc: []) == {"total_rows": 0, "offset": 0, "rows": []}


# -- rows of one key -------------------------------------------------------------------------------


def test_rows_of_one_key_come_by_document(database: SyncPouchDB, design: Design) -> None:
    design("a", views={"a": {"map": "function (doc) { emit(doc.k, 1); emit(doc.k, 2); }"}})
    database.bulk_docs([{"_id": id, "k": k} for id, k in (("a", 1), ("b", 1), ("c", 1), ("d", 2))])

    def rows(**options: Any) -> list[str]:
        return [f"{row.id}{row.value}" for row in database.query("a", **options).rows]

    assert rows() == ["a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2"]
    assert rows(startkey=1, startkey_docid="b") == ["b1", "b2", "c1", "c2", "d1", "d2"]
    assert rows(startkey=1, start_key_doc_id="b", endkey=1, end_key_doc_id="b") == ["b1", "b2"]
    assert rows(endkey=1, endkey_docid="b") == ["a1", "a2", "b1", "b2"]
    assert rows(endkey=1, endkey_docid="b", inclusive_end=False) == ["a1", "a2"]
    assert rows(startkey=1, startkey_docid="b", descending=True) == ["b1", "b2", "a1", "a2"]
    assert rows(startkey=2, endkey=1, endkey_docid="c", descending=True) == ["d1", "d2", "c1", "c2"]
    assert rows(startkey_docid="c") == rows()
    assert rows(startkey=1, startkey_docid="c", endkey=1, endkey_docid="a") == []
    assert rows(keys=[2, 1], descending=True) == ["c1", "c2", "b1", "b2", "a1", "a2", "d1", "d2"]


def test_more_rows_of_one_key_than_a_page(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": f"{n:05}"} for n in range(2500)])
    for descending in (False, True):
        rows = database.query(lambda doc: [(1, None), (1, 5)], descending=descending).rows
        assert len(rows) == 5000
        assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=descending)


# -- linked documents --------------------------------------------------------------------------------


def test_linked_documents(database: SyncPouchDB) -> None:
    first = database.put({"_id": "linked", "n": 1})
    database.put({"_id": "linked", "_rev": first["rev"], "n": 2})
    gone = database.put({"_id": "gone"})
    database.remove("gone", gone["rev"])
    database.bulk_docs(
        [
            {"_id": "a", "to": {"_id": "linked"}},
            {"_id": "b", "to": {"_id": "linked", "_rev": first["rev"]}},
            {"_id": "c", "to": {"_id": "nothing"}},
            {"_id": "d", "to": {"_id": "gone"}},
            {"_id": "e", "to": {"_id": 7}},
            {"_id": "f", "to": {"_id": "linked"}},
            {"_id": "g", "to": {"_id": "linked", "_rev": "9-nothing"}},
            {"_id": "h", "n": 1},
            {"_id": "i", "to": {"_rev": "9-nothing"}},
            {"_id": "j", "to": {"_rev": "no revision"}},
            {"_id": "k", "to": {"_rev": 7}},
        ]
    )

    own = database.get("h")["_rev"]
    database.put({"_id": "h", "_rev": own, "to": {"_rev": own}})

    def links(doc: Any) -> Iterator[Any]:
        if "to" in doc:
            yield doc["_id"], doc["to"]

    rows = database.query(links, include_docs=True).rows
    docs = {row.key: row.doc for row in rows}
    assert docs["a"]["n"] == docs["f"]["n"] == 2
    assert docs["b"]["n"] == 1
    assert docs["c"] is docs["d"] is docs["g"] is None
    assert docs["e"]["_id"] == "e"
    # A revision alone is one of the row's own document.
    assert (docs["h"]["n"], docs["h"]["_rev"]) == (1, own)
    assert docs["i"] is docs["j"] is None
    assert docs["k"]["_id"] == "k"
    # Each row has its own.
    docs["a"]["n"] = 3
    assert docs["f"]["n"] == 2


def test_conflicts_and_attachments_of_the_documents(database: SyncPouchDB) -> None:
    database.put({"_id": "a", "_attachments": {"t": {"content_type": "text/plain", "data": "aGk="}}})
    database.bulk_docs([{"_id": "b", "_rev": "1-a"}, {"_id": "b", "_rev": "1-b"}], new_edits=False)
    rows = database.query(lambda doc: [(doc["_id"], None)], include_docs=True, conflicts=True).rows
    assert rows[1].doc["_conflicts"] == ["1-a"]
    assert rows[0].doc["_attachments"]["t"]["stub"] is True
    rows = database.query(lambda doc: [(1, None)], include_docs=True, attachments=True, limit=1).rows
    assert rows[0].doc["_attachments"]["t"]["data"] == "aGk="
    rows = database.query(lambda doc: [(1, None)], include_docs=True, attachments=True, binary=True, limit=1).rows
    assert rows[0].doc["_attachments"]["t"]["data"] == b"hi"


# -- stale answers -----------------------------------------------------------------------------------


def test_an_index_that_is_not_brought_up_to_date(database: SyncPouchDB, design: Design) -> None:
    design("a", views={"a": {"map": "function (doc) { emit(1); }", "reduce": "_count"}})
    database.put({"_id": "x"})
    for options in ({"update": False}, {"stale": "ok"}, {"update": "false"}):
        assert database.query("a", reduce=False, **options).rows == []
        assert database.query("a", **options).rows == []
    assert len(database.query("a", reduce=False).rows) == 1
    database.put({"_id": "y"})
    assert len(database.query("a", reduce=False, stale="ok").rows) == 1
    assert len(database.query("a", reduce=False).rows) == 2


def test_an_index_that_is_brought_up_to_date_afterwards(database: SyncPouchDB, design: Design) -> None:
    design("a", views={"a": {"map": "function (doc) { emit(1); }"}})
    database.put({"_id": "x"})
    seen: list[Any] = []
    database.on("indexing", seen.append)
    for option in ({"update": "lazy"}, {"stale": "update_after"}):
        database.put({"_id": f"x{len(seen)}"})
        before = len(seen)
        assert len(database.query("a", **option).rows) == before + (before > 0)
        assert database.environment.context.wait_until_called(seen.append, timeout=10)
    assert len(database.query("a", stale="ok").rows) == 3


# -- failing functions -------------------------------------------------------------------------------


def test_a_reduce_function_that_is_none_is_an_error(database: SyncPouchDB) -> None:
    database.put({"_id": "x"})
    with pytest.raises(FunctionError, match="not a built-in reduce function"):
        database.query("function (doc) { emit(1, 'text'); }", reduce="_average")


def test_reducing_in_many_steps_is_reducing_at_once(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": f"{n:05}", "n": n} for n in range(3000)])
    calls: list[tuple[int, bool]] = []

    def add(keys: Any, values: Any, rereduce: bool) -> Any:
        calls.append((len(values), rereduce))
        assert rereduce is (keys is None)
        return sum(values)

    def emit(doc: Any) -> Any:
        return [([doc["n"] % 2, doc["n"]], doc["n"])]

    assert database.query(emit, reduce=add).rows[0].value == sum(range(3000))
    assert max(size for size, _ in calls) <= 500
    assert any(rereduce for _, rereduce in calls)
    assert [row.value for row in database.query(emit, reduce=add, group_level=1).rows] == [
        sum(range(0, 3000, 2)),
        sum(range(1, 3000, 2)),
    ]
    javascript = "function (keys, values, rereduce) { return sum(values); }"
    assert len(database.query(emit, reduce=add, group=True).rows) == 3000
    assert database.query({"map": "function (doc) { emit(1, doc.n); }", "reduce": javascript}).rows[0].value == sum(
        range(3000)
    )


def test_what_a_reduce_function_is_given(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": "b", "n": 2}, {"_id": "a", "n": 1}])
    seen: list[Any] = []

    def look(keys: Any, values: Any, rereduce: bool) -> Any:
        seen.append((keys, values, rereduce))

    assert database.query(lambda doc: [(doc["n"], [doc["_id"]])], reduce=look).rows == [{"key": None, "value": None}]
    assert seen == [([[1, "a"], [2, "b"]], [["a"], ["b"]], False)]


# -- built-in functions over what SQL cannot aggregate -------------------------------------------------


def test_sums_of_arrays_and_objects_by_group(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": f"{n}", "n": n, "v": [n, 1] if n % 2 else n} for n in range(10)])
    rows = database.query(lambda doc: [([doc["n"] % 2, doc["n"]], doc["v"])], reduce="_sum", group_level=1).rows
    assert rows == [{"key": [0], "value": 20}, {"key": [1], "value": [25, 5]}]
    [row] = database.query(lambda doc: [(doc["n"] % 2, {"a": doc["v"]} if doc["n"] else 1)], reduce="_sum").rows
    assert row.value.error == "builtin_reduce_error"


def test_groups_of_few_rows_are_groups_of_many(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": f"{n:05}", "n": n} for n in range(400)])

    def emit(doc: Any) -> Any:
        n = doc["n"]
        # Single rows first, then a group of many, then one that SQL cannot sum.
        return [([min(n, 300), n], n if n < 399 else [n])]

    for descending in (False, True):
        rows = database.query(emit, reduce="_sum", group_level=1, descending=descending)
        found = {row.key[0]: row.value for row in rows.rows}
        assert found == {**{n: n for n in range(300)}, 300: [sum(range(300, 400))]}
        assert [row.key[0] for row in rows.rows] == sorted(found, reverse=descending)
        distinct = database.query(emit, reduce="_approx_count_distinct", group_level=1, descending=descending)
        assert {row.key[0]: row.value for row in distinct.rows} == {**dict.fromkeys(range(300), 1), 300: 100}


def test_keys_of_every_type_group_by_themselves(database: SyncPouchDB) -> None:
    keys: list[Any] = [None, False, True, -1, 0, 1.5, 2**53 + 1, "", "a", "é", [], [1], [1, 2], {}, {"a": 1}]
    database.bulk_docs([{"_id": f"{n:02}", "k": key} for n, key in enumerate(keys)])
    answer = database.query(lambda doc: [(doc["k"], 1)], reduce="_count", group=True)
    assert [row.key for row in answer.rows] == keys
    answer = database.query(lambda doc: [(doc["k"], 1)], reduce="_count", group_level=1)
    assert [row.key for row in answer.rows] == [*keys[:-4], [1], {}, {"a": 1}]
    assert [row.value for row in answer.rows] == [1] * 11 + [2, 1, 1]


STRANGE = [
    *("\0", "a\0b", "a\0", "\0\0", "a\0b\0c", "\\u0000", "'", "*", "[a]", "%"),
    "\U0010ffff\0",
    "x" * 1_000_000 + "\0",
]


@pytest.mark.parametrize("id", STRANGE, ids=lambda id: ascii(id)[:20])
def test_rows_of_a_document_go_with_it_whatever_its_id(database: SyncPouchDB, design: Design, id: str) -> None:
    """SQLite's json_each cuts a text at a NUL: rows stayed, and later rows met them."""
    design("a\0pp", views={"by\0id": {"map": "function (doc) { emit(doc._id, doc.n); emit('all', 1); }"}})
    others = [each for each in ("a", id.partition("\0")[0] + "x", id + "b") if each != id]
    database.bulk_docs([{"_id": each, "n": 0} for each in others])

    def listed() -> list[Any]:
        return [row.value for row in database.query("a\0pp/by\0id", key=id).rows]

    assert listed() == []
    rev = database.put({"_id": id, "n": 1}).rev
    assert listed() == [1]
    rev = database.bulk_docs([{"_id": "other"}, {"_id": id, "n": 2, "_rev": rev}])[1].rev
    assert listed() == [2]
    database.remove(id, rev)
    assert listed() == []
    rev = database.put({"_id": id, "n": 3}).rev
    assert listed() == [3]
    assert database.query("a\0pp/by\0id").total_rows == 2 * (len(others) + 2)
    database.purge(id, rev)
    assert listed() == []
    assert database.query("a\0pp/by\0id").total_rows == 2 * (len(others) + 1)


def test_integers_of_any_size_as_keys_and_values(database: SyncPouchDB, design: Design) -> None:
    numbers = [-(10**400), -(2**64), -(2**53) - 1, 2**53, 2**53 + 1, 2**53 + 2, 10**29, 10**29 + 1, 10**400]
    database.bulk_docs([{"_id": f"{place}", "n": number} for place, number in enumerate(numbers)])
    database.environment.register_function("by_n", lambda doc: [(doc["n"], doc["n"])], version=1)
    design("py", language="python", views={"n": {"map": "by_n", "reduce": "_sum"}})
    rows = database.query("py/n", reduce=False).rows
    assert [row.key for row in rows] == [row.value for row in rows] == numbers
    for number in numbers:
        assert [row.value for row in database.query("py/n", reduce=False, key=number).rows] == [number]
    assert [row.key for row in database.query("py/n", reduce=False, startkey=10**29 + 1).rows] == numbers[-2:]
    assert database.query("py/n").rows[0].value == sum(numbers)
    assert [row.value for row in database.query("py/n", group=True).rows] == numbers


def test_javascript_sees_doubles(database: SyncPouchDB, design: Design) -> None:
    design("app", views={"n": {"map": "function (doc) { if (doc.n) emit(doc.n, typeof doc.n); }"}})
    database.bulk_docs([{"_id": "a", "n": 10**400}, {"_id": "b", "n": 10**20 + 1}, {"_id": "c", "n": 2**53 + 1}])
    rows = database.query("app/n").rows
    assert [(row.id, row.key, row.value) for row in rows] == [
        ("a", None, "number"),
        ("c", 2**53, "number"),
        ("b", 10**20, "number"),
    ]
    # JavaScript writes such a number as an integer: that is what can be asked for.
    assert [row.id for row in database.query("app/n", key=10**20).rows] == ["b"]
