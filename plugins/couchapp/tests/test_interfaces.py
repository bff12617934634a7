"""Python functions, asynchronous calls, callbacks, users."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import Forbidden, FunctionError, PouchDBError

DESIGN = {
    "_id": "_design/t",
    "views": {"v": {"map": "function (doc) { emit(doc._id); }"}},
    "shows": {"s": "function (doc, req) { return (doc && doc._id) + toJSON(req.query) + req.userCtx.name; }"},
    "lists": {"l": "function () { return getRow().id; }"},
    "updates": {"u": "function (doc, req) { return [{_id: req.id}, 'made']; }"},
    "rewrites": [{"from": "/:id", "to": "_show/s/:id"}],
}


def test_promises_and_both_spellings() -> None:
    async def main() -> None:
        async with pouchdb.setup_async(":memory:", plugins=["couchapp"]) as environment:
            db: Any = environment["a"]
            await db.put(DESIGN)
            assert (await db.show("t/s")).body == "null{}null"
            assert (await db.update("t/u/x")).code == 201
            assert (await db.list("t/l/v", query={"limit": 1})).body == "x"
            assert (await db.rewrite("t/x", {"query": {"a": 1}})).body == 'x{"id":"x","a":1}null'
            assert (await db.rewriteResultRequestObject("t/x")).path[-1] == "x"
            assert (await db.rewrite_result_request_object("t/x")).id == "x"
            with pytest.raises(PouchDBError):
                await db.show("t/none")

    asyncio.run(main())


def test_callbacks() -> None:
    environment: Any = pouchdb.setup(":memory:", async_=True, plugins=["couchapp"])
    try:
        db = environment["a"]
        seen: list[Any] = []

        def callback(*arguments: Any) -> None:
            seen.append(arguments)

        for call in (
            lambda: db.put(DESIGN, callback),
            lambda: db.show("t/s", callback),
            lambda: db.show("t/s", {"query": {"a": 1}}, callback),
            lambda: db.show("t/s", query={"a": 1}, callback=callback),
            lambda: db.list("t/l/none", callback),
            lambda: db.update("t/u/x", callback),
            lambda: db.rewrite("t/x", callback),
        ):
            call()
            environment.context.wait_until_called(callback)
        errors = [arguments[0] for arguments in seen]
        assert [error is None for error in errors] == [True, True, True, True, False, True, True]
        assert errors[4].status == 404
        assert seen[2][1].body == seen[3][1].body == 'null{"a":1}null'
    finally:
        environment.close()


@pytest.fixture
def python() -> Any:
    with pouchdb.setup(":memory:", plugins=["couchapp"]) as environment:
        db: Any = environment["a"]
        db.put({"_id": "x", "n": 1})
        yield db


def test_functions_in_python(python: Any) -> None:
    register = python.environment.register_function

    @register("page")
    def page(doc: Any, req: Any) -> Any:
        yield {"code": 201, "headers": {"A": "b"}}
        yield f"n {doc['n']} "
        return {"json": req["query"]}

    @register("table")
    def table(head: Any, req: Any, rows: Any) -> Any:
        yield f"{head['total_rows']}:"
        for row in rows:
            yield row["id"]

    @register("count")
    def count(doc: Any, req: Any) -> Any:
        return [{**doc, "n": doc["n"] + 1}, {"code": 202, "body": "counted"}]

    @register("route")
    def route(req: Any) -> Any:
        return {"path": f"../../{req['query']['id']}"}

    @register("all")
    def all_documents(doc: Any) -> Any:
        yield doc["_id"], None

    @register("refuses")
    def refuses(doc: Any) -> Any:
        raise Forbidden("not for you")

    @register("fails")
    def fails(doc: Any) -> Any:
        raise LookupError("nothing there")

    python.put(
        {
            "_id": "_design/p",
            "language": "python",
            "views": {"v": {"map": "all"}},
            "shows": {"page": "page", "refuses": "refuses", "fails": "fails", "none": "not registered"},
            "lists": {"table": "table"},
            "updates": {"count": "count"},
            "rewrites": "route",
        }
    )
    shown = python.show("p/page/x", query={"a": 1})
    assert (shown.code, shown.headers["A"], shown.body) == (201, "b", 'n 1 {"a":1}')
    assert python.list("p/table/v").body == "1:x"
    updated = python.update("p/count/x")
    assert (updated.code, updated.body, python["x"]["n"]) == (202, "counted", 2)
    assert python.rewrite("p/any", query={"id": "x"}).n == 2
    with pytest.raises(Forbidden, match="not for you"):
        python.show("p/refuses/x")
    with pytest.raises(PouchDBError) as caught:
        python.show("p/fails/x")
    assert (caught.value.status, caught.value.name) == (500, "LookupError")
    assert "nothing there" in caught.value.message
    with pytest.raises(FunctionError) as missing:
        python.show("p/none/x")
    assert missing.value.name == "compilation_error"


def test_the_user_of_a_view(python: Any) -> None:
    python.put(DESIGN)
    assert python.as_user({"name": "ann", "roles": ["r"]}).show("t/s").body == "null{}ann"


def test_a_language_that_nobody_speaks(python: Any) -> None:
    python.put({"_id": "_design/e", "language": "erlang", "shows": {"s": "fun"}})
    with pytest.raises(PouchDBError):
        python.show("e/s")
