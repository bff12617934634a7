"""Filters of the changes feed: Python functions, functions of design documents, views, ids."""

from __future__ import annotations

from typing import Any

import pytest

import pouchdb
from pouchdb_core.changes.filters import BatchFilter, ChangesFilter, Judge
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, FunctionError, NotFound, NotSupported
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.javascript import Limits
from pouchdb_core.requests import Changes


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["results"]]


@pytest.fixture
def filled(database: SyncPouchDB) -> SyncPouchDB:
    database.put(
        {
            "_id": "_design/app",
            "filters": {
                "odd": "function (doc, req) { return doc.n % 2; }",
                "over": "function (doc, req) { return doc.n > req.query.n; }",
                "app": "function (doc) { return doc._id === 'd01'; }",
                "text": "function (doc) { return ''; }",
                "list": "function (doc) { return []; }",
                "throws": "function (doc) { if (doc.n === 2) { throw new Error('two'); } return true; }",
                "user": "function (doc, req) { return req.userCtx.name === 'ada' && req.userCtx.roles[0] === 'r'; }",
                "broken": "function (",
                "deleted": "function (doc) { return doc._deleted; }",
                "number": 5,
            },
            "views": {
                "odd": {"map": "function (doc) { if (doc.n % 2) { emit(null); } }"},
                "app": {"map": "function (doc) { if (doc.n === 4) { emit(null); } }"},
                "throws": {"map": "function (doc) { throw new Error('no'); }"},
            },
        }
    )
    database.bulk_docs([{"_id": f"d{n:02}", "n": n} for n in range(6)])
    return database


ODD = ["d01", "d03", "d05"]
FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"filter": "app/odd"}, ODD),
    ({"filter": "_design/app/odd"}, ODD),
    ({"filter": "app/over", "query_params": {"n": 3}}, ["d04", "d05"]),
    ({"filter": "app"}, ["d01"]),
    ({"filter": "app/text"}, []),
    ({"filter": "app/list", "limit": 1}, ["_design/app"]),
    ({"filter": "_view", "view": "app/odd"}, ODD),
    ({"view": "app/odd"}, ODD),
    ({"view": "app"}, ["d04"]),
    ({"filter": "_view", "query_params": {"view": "app/odd"}}, ODD),
    ({"filter": "_design"}, ["_design/app"]),
    ({"filter": "_doc_ids", "doc_ids": ["d02", "d00", "nothing"]}, ["d00", "d02"]),
    ({"filter": "_doc_ids", "query_params": {"doc_ids": '["d02"]'}}, ["d02"]),
    ({"filter": "app/odd", "doc_ids": ["d01", "d02"]}, ["d01"]),
    ({"filter": lambda doc: doc.get("n") == 3}, ["d03"]),
    ({"filter": lambda doc, req: doc.get("n") == req.query["n"], "query_params": {"n": 3}}, ["d03"]),
    ({"filter": "app/odd", "limit": 2}, ["d01", "d03"]),
    ({"filter": "app/odd", "descending": True, "limit": 2}, ["d05", "d03"]),
    ({"filter": "app/odd", "since": 3}, ["d03", "d05"]),
]


def test_filters(filled: SyncPouchDB) -> None:
    for options, expected in FILTERS:
        assert ids(filled.changes(**options)) == expected, options


def test_the_seq_to_go_on_from(filled: SyncPouchDB) -> None:
    end = filled.info()["update_seq"]
    assert filled.changes(filter="app/text").last_seq == end
    limited = filled.changes(filter="app/odd", limit=1)
    assert limited.last_seq == limited.results[0].seq


def test_many_documents(filled: SyncPouchDB) -> None:
    filled.bulk_docs([{"_id": f"m{n:04}", "n": n} for n in range(1234)])
    assert len(ids(filled.changes(filter="app/odd"))) == 617 + 3
    assert len(ids(filled.changes(filter="app/odd", include_docs=True, limit=500))) == 500
    assert filled.changes(filter="app/odd", include_docs=True, limit=1).results[0].doc["n"] == 1


def test_every_leaf_is_judged_and_those_that_pass_are_told(filled: SyncPouchDB) -> None:
    docs = [{"_id": "c", "_rev": f"1-{letter}", "n": n} for n, letter in enumerate("abcd")]
    filled.bulk_docs(docs, new_edits=False)
    for wanted in ("app/odd", lambda doc: doc.get("n", 0) % 2):
        row = filled.changes(filter=wanted, style="all_docs").results[-1]
        assert (row.id, [each.rev for each in row.changes]) == ("c", ["1-d", "1-b"])
    # Without that style, the winner.
    assert "c" in ids(filled.changes(filter="app/odd"))
    assert "c" not in ids(filled.changes(filter="app/over", query_params={"n": 3}))


def test_deleted_documents_are_judged_too(filled: SyncPouchDB) -> None:
    filled.remove(filled.get("d02"))
    assert ids(filled.changes(filter="app/deleted")) == ["d02"]


def test_a_filter_sees_on_whose_behalf_it_is_asked(filled: SyncPouchDB) -> None:
    assert ids(filled.changes(filter="app/user")) == []
    assert len(ids(filled.as_user({"name": "ada", "roles": ["r"]}).changes(filter="app/user"))) == 7


def test_a_filter_that_changes_is_another_one(filled: SyncPouchDB) -> None:
    assert ids(filled.changes(filter="app")) == ["d01"]
    doc = filled.get("_design/app")
    doc["filters"]["app"] = "function (doc) { return doc._id === 'd02'; }"
    filled.put(doc)
    assert ids(filled.changes(filter="app")) == ["d02"]


def test_python_functions_by_name(database: SyncPouchDB) -> None:
    database.environment.register_function("odd", lambda doc: doc.get("n", 0) % 2 == 1)
    database.environment.register_function("over", lambda doc, req: doc.get("n", 0) > req["query"]["n"])
    database.put({"_id": "_design/p", "language": "python", "filters": {"odd": "odd", "over": "over"}})
    database.bulk_docs([{"_id": f"d{n:02}", "n": n} for n in range(6)])
    assert ids(database.changes(filter="p/odd")) == ODD
    assert ids(database.changes(filter="p/over", query_params={"n": 3})) == ["d04", "d05"]


async def asynchronous(doc: Any) -> bool:
    return False


@pytest.mark.parametrize("function", [asynchronous, lambda: True, lambda a, b, c: True], ids=["async", "0", "3"])
def test_a_function_that_is_no_filter(database: SyncPouchDB, function: Any) -> None:
    database.put({"_id": "x"})
    with pytest.raises(BadRequest, match=r"a filter takes \(doc\) or \(doc, req\)"):
        database.changes(filter=function)
    database.environment.register_function("f", function)
    database.put({"_id": "_design/p", "language": "python", "filters": {"f": "f"}})
    with pytest.raises(FunctionError, match="cannot be a filter function"):
        database.changes(filter="p/f")


def test_registered_filters_are_as_free_as_others(database: SyncPouchDB) -> None:
    field = "n"
    database.environment.register_function("own", lambda doc, field=field: doc.get(field))
    database.environment.register_function("object", lambda doc: object() if doc.get("n") else None)
    database.put({"_id": "_design/p", "language": "python", "filters": {"own": "own", "object": "object"}})
    database.bulk_docs([{"_id": "a", "n": 0}, {"_id": "b", "n": [1]}])
    assert ids(database.changes(filter="p/own")) == ids(database.changes(filter="p/object")) == ["b"]


def test_what_is_not_there(filled: SyncPouchDB) -> None:
    for wanted in ("no/thing", "app/nothing", "nothing"):
        with pytest.raises(NotFound):
            filled.changes(filter=wanted)
    with pytest.raises(NotFound):
        filled.changes(view="app/nothing")
    with pytest.raises(NotFound):
        filled.changes(view="nothing")
    with pytest.raises(NotSupported, match="there are: _design, _doc_ids, _view"):
        filled.changes(filter="_nothing")
    with pytest.raises(NotSupported, match="pouchdb-find"):
        filled.changes(selector={"n": 1})
    # Also of a live feed, at the call.
    with pytest.raises(NotFound):
        filled.changes(filter="no/thing", live=True)


def test_wrong_options(filled: SyncPouchDB) -> None:
    for options in (
        {"filter": "_view"},
        {"filter": "_doc_ids"},
        {"filter": "_doc_ids", "query_params": {"doc_ids": "nonsense"}},
        {"filter": "app/odd", "view": "app/odd"},
        {"filter": "app/odd", "selector": {}},
        {"selector": 5},
        {"filter": 5},
        {"query_params": 5},
    ):
        with pytest.raises(BadRequest):
            filled.changes(**options)


def test_a_filter_that_fails_is_an_error(filled: SyncPouchDB) -> None:
    with pytest.raises(BadRequest, match=r"Filter function threw: filter 'app/throws', document 'd02': Error: two"):
        filled.changes(filter="app/throws")
    with pytest.raises(BadRequest, match="Error: no"):
        filled.changes(view="app/throws")
    with pytest.raises(ZeroDivisionError):
        filled.changes(filter=lambda doc: 1 / 0)
    for wanted in ("app/broken", "app/number"):
        with pytest.raises(FunctionError) as caught:
            filled.changes(filter=wanted)
        assert caught.value.name == "compilation_error"


def test_a_filter_that_never_ends_is_stopped() -> None:
    with pouchdb.setup(":memory:", plugins=[], js_limits=Limits(seconds=0.3)) as environment:
        database = environment["test"]
        database.put({"_id": "_design/a", "filters": {"a": "function () { while (true) {} }"}})
        with pytest.raises(FunctionError) as caught:
            database.changes(filter="a")
        assert caught.value.name == "os_process_timeout"


def test_a_live_feed_is_filtered(filled: SyncPouchDB) -> None:
    feed = filled.changes(filter="app/odd", live=True, limit=5)
    filled.bulk_docs([{"_id": f"e{n}", "n": n} for n in range(4)])
    assert [row.id for row in feed] == [*ODD, "e1", "e3"]


@pytest.mark.parametrize(("options", "expected"), FILTERS[:13])
def test_a_live_feed_takes_every_filter(filled: SyncPouchDB, options: dict[str, Any], expected: list[str]) -> None:
    feed = filled.live_changes(**{"since": 0, "limit": max(1, len(expected)), **options})
    if not expected:
        feed.cancel()
    assert [row["id"] for row in feed] == expected


def test_a_live_feed_refuses_what_a_feed_refuses(filled: SyncPouchDB) -> None:
    with pytest.raises(NotSupported, match="_selector"):
        filled.live_changes(selector={"n": 1})
    with pytest.raises(BadRequest, match="a filter of its own"):
        filled.live_changes(view="app/odd", filter="app/odd")


def test_a_batch_filter_judges_single_documents_too() -> None:
    assert BatchFilter(lambda docs: [doc["_id"] == "a" for doc in docs])({"_id": "a"}) is True  # type: ignore[arg-type]


def test_hook_changes_filters() -> None:
    sizes: list[int] = []

    class Starts(ChangesFilter):
        name = "_starts"

        def open(self, database: SyncPouchDB, request: Changes) -> Judge:
            start = request.query_params["with"]

            def judge(docs: Any) -> list[bool]:
                sizes.append(len(docs))
                return [doc["_id"].startswith(start) for doc in docs]

            return judge

    class Plugin:
        @hookimpl
        def pouchdb_changes_filters(self) -> list[ChangesFilter]:
            return [Starts()]

    with pouchdb.setup(":memory:", plugins=[Plugin()]) as environment:
        database = environment["test"]
        database.bulk_docs([{"_id": f"{'ab'[n % 2]}{n:03}"} for n in range(250)])
        assert len(ids(database.changes(filter="_starts", query_params={"with": "a"}))) == 125
        # Asked in batches, not for each row.
        assert sizes == [100, 100, 50]
