"""Map functions: what they may emit, what happens when they fail, and who runs them."""

from __future__ import annotations

import logging
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, FunctionError, PouchDBError
from pouchdb_core.javascript import Js2Py, Limits
from pouchdb_core.views.javascript_maps import pool_of

Design = Callable[..., Any]


def keys(answer: Any) -> list[Any]:
    return [row["key"] for row in answer["rows"]]


# -- what is emitted ---------------------------------------------------------------------------------


def test_what_javascript_emits(database: SyncPouchDB) -> None:
    database.put({"_id": "x"})
    for source, pairs in {
        "emit()": [(None, None)],
        "emit(undefined, undefined)": [(None, None)],
        "emit([undefined, NaN, 1 / 0], {a: undefined, b: NaN})": [([None, None, None], {"b": None})],
        "emit(new Date(0))": [("1970-01-01T00:00:00.000Z", None)],
        "emit(1.0, -0)": [(1, 0)],
        "emit('日本 😀', 'é')": [("日本 😀", "é")],
        "emit('\\ud800', '\\udfff')": [("\ud800", "\udfff")],
        "emit('a\\u0000b')": [("a\0b", None)],
        "emit(2); emit(1)": [(1, None), (2, None)],
        # Of one key, in the order of the values, in both directions.
        "emit(1, 'b'); emit(1, 'a')": [(1, "a"), (1, "b")],
        "emit(1, [2]); emit(1, true); emit(1, {a: 1}); emit(1, 'x'); emit(1, 9); emit(1); emit(1, false)": [
            (1, 9),
            (1, False),
            (1, None),
            (1, True),
            (1, {"a": 1}),
            (1, [2]),
            (1, "x"),
        ],
        "emit({b: 1, a: 2})": [({"b": 1, "a": 2}, None)],
        "emit(function () {})": [(None, None)],
        "for (var i = 0; i < 3; i++) { emit(i); }": [(0, None), (1, None), (2, None)],
        "if (false) { emit(1); }": [],
    }.items():
        rows = database.query(f"function (doc) {{ {source} }}").rows
        assert [(row.key, row.value) for row in rows] == pairs, source
        rows = database.query(f"function (doc) {{ {source} }}", descending=True).rows
        assert [(row.key, row.value) for row in rows] == (pairs if source.startswith("emit(1, ") else pairs[::-1])


def test_what_python_emits(database: SyncPouchDB) -> None:
    database.put({"_id": "x", "list": [1, 2]})

    class Emitter:
        def __call__(self, doc: Any, emit: Any) -> None:
            emit()
            emit("k")

    def nothing(doc: Any) -> None:
        pass

    def emitting(doc: Any, emit: Any) -> Any:
        emit(doc["list"], {"a": 1})
        return [(1, 2), (3, 4)]

    for function, pairs in (
        (lambda doc: [("a", 1), ["b", 2]], [("a", 1), ("b", 2)]),
        (lambda doc: (("t", 1),), [("t", 1)]),
        (lambda doc: {"a": 1}.items(), [("a", 1)]),
        (nothing, []),
        (emitting, [([1, 2], {"a": 1})]),
        (Emitter(), [(None, None), ("k", None)]),
        (lambda doc: [(2**60 + 1, 2**63)], [(2**60 + 1, 2**63)]),
        (lambda doc: [("\ud800", "\udfff")], [("\ud800", "\udfff")]),
    ):
        rows = database.query(function).rows
        assert [(row.key, row.value) for row in rows] == pairs


class Geometry:
    """A geometry object of Python."""

    def __init__(self, value: Any) -> None:
        self.__geo_interface__ = value


def test_python_emits_geometry_objects_as_geojson(database: SyncPouchDB) -> None:
    """Indexes of places are made of them; keys and values are what ``__geo_interface__`` says, at any depth."""
    database.put({"_id": "a"})
    point = {"type": "Point", "coordinates": (1, 2)}
    found = database.query(lambda doc: [(Geometry(point), {"at": [Geometry(point)]})])
    shown = {"type": "Point", "coordinates": [1, 2]}
    assert [(row["key"], row["value"]) for row in found["rows"]] == [(shown, {"at": [shown]})]
    errors: list[Any] = []
    database.on("error", errors.append)
    assert database.query(lambda doc: [(Geometry(object()), None)])["rows"] == []
    assert "key: object is not JSON serializable" in str(errors[0])


def test_a_function_gets_a_document_of_its_own(database: SyncPouchDB, design: Design) -> None:
    def spoil(doc: Any) -> Any:
        doc["n"] = 99
        yield doc["n"], None

    database.environment.register_function("spoil", spoil)
    database.environment.register_function("z", lambda doc: [(doc["n"], None)])
    design("app", language="python", views={"a": {"map": "spoil"}, "z": {"map": "z"}})
    database.put({"_id": "x", "n": 1})
    assert keys(database.query("app/a")) == [99]
    assert keys(database.query("app/z")) == [1]
    assert database.get("x")["n"] == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda doc: 1 / 0,
        lambda doc: [1],
        lambda doc: [(1, 2, 3)],
        lambda doc: (1, 2),
        lambda doc: 5,
        lambda doc: [({1, 2}, None)],
        lambda doc: [(1, object())],
        lambda doc: [(float("nan"), None)],
        lambda doc: [(10**30_000, None)],
        lambda doc: [({1: 2}, None)],
    ],
    ids="raises no-pairs triples a-pair a-number a-set an-object NaN huge number-names".split(),
)
def test_a_document_whose_function_fails_is_left_out_and_told(database: SyncPouchDB, function: Any) -> None:
    database.bulk_docs([{"_id": "bad"}, {"_id": "good"}])
    told: list[Any] = []
    database.on("error", told.append)
    rows = database.query(lambda doc: function(doc) if doc["_id"] == "bad" else [(1, None)]).rows
    assert [row.id for row in rows] == ["good"]
    assert [error["id"] for error in told] == ["bad"]
    assert isinstance(told[0], FunctionError)


def test_javascript_that_throws_leaves_the_document_out(
    database: SyncPouchDB, design: Design, caplog: pytest.LogCaptureFixture
) -> None:
    design(
        "app",
        views={
            "a": {"map": "function (doc) { if (doc.n % 2) { emit(0); throw TypeError('odd ' + doc.n); } emit(1); }"},
            "b": {"map": "function (doc) { emit(doc.n); }"},
        },
    )
    database.bulk_docs([{"_id": f"{n:02}", "n": n} for n in range(40)])
    told: list[Any] = []
    database.on("error", told.append)
    with caplog.at_level(logging.WARNING, "pouchdb.views"):
        assert len(database.query("app/a").rows) == 20
    assert [(error["id"], error.name) for error in told[:2]] == [("01", "TypeError"), ("03", "TypeError")]
    assert "view 'a', document '01': TypeError: odd 1" in told[0].message
    # The log is not flooded.
    assert len(caplog.records) == 11
    assert "20 documents in all" in caplog.records[-1].message
    # One pass for all views, and one that fails leaves the others alone.
    told.clear()
    assert keys(database.query("app/b")) == list(range(40))
    assert told == []


def test_one_document_that_emits_a_hundred_thousand_rows() -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        database = environment["test"]
        source = "function (doc) { for (var i = 0; i < doc.n; i++) { emit(i, 1); } }"
        database.put({"_id": "_design/a", "views": {"a": {"map": source}}})
        database.bulk_docs([{"_id": "x", "n": 100_000}, {"_id": "y", "n": 3}])
        assert database.query("a", limit=0).total_rows == 100_003
        assert database.query("a", reduce="_sum").rows[0].value == 100_003
        database.put({**database.get("x"), "n": 1})
        assert keys(database.query("a")) == [0, 0, 1, 2]


def test_long_and_deep_keys(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": "long"}, {"_id": "deep"}])
    source = """function (doc) {
        if (doc._id === 'long') { emit(new Array(1000001).join('x')); }
        else { var key = 1; for (var i = 0; i < 150; i++) { key = [key]; } emit(key, 'deep'); }
    }"""
    rows = database.query(source).rows
    assert [len(rows[0].key), rows[1].value] == [1_000_000, "deep"]
    assert database.query(source, key="x" * 1_000_000).rows[0].id == "long"


def test_what_documents_look_like_to_a_function(database: SyncPouchDB, design: Design) -> None:
    design(
        "app",
        options={"include_design": True, "local_seq": True},
        views={"a": {"map": "function (doc) { emit(doc._id, doc); }"}},
    )
    design("plain", views={"a": {"map": "function (doc) { emit(doc._id, doc); }"}})
    database.bulk_docs([{"_id": "c", "_rev": "1-a"}, {"_id": "c", "_rev": "1-b"}], new_edits=False)
    database.put({"_id": "att", "_attachments": {"t": {"content_type": "text/plain", "data": "aGk="}}})
    database.put({"_id": "empty"})
    database.put({"_id": 'quo"te\\ é\n', "é": "ü\ud800"})
    rows = {row.key: row.value for row in database.query("app/a").rows}
    assert rows["c"] == {"_id": "c", "_rev": "1-b", "_conflicts": ["1-a"], "_local_seq": 3}
    assert rows["att"]["_attachments"]["t"]["stub"] is True
    assert rows["_design/app"]["_id"] == "_design/app"
    assert rows['quo"te\\ é\n']["é"] == "ü\ud800"
    plain = {row.key: row.value for row in database.query("plain/a").rows}
    assert sorted(plain) == ["att", "c", "empty", 'quo"te\\ é\n']
    assert plain["empty"] == {"_id": "empty", "_rev": database.get("empty")["_rev"]}


# -- functions that are none ---------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["", "function (doc) {", "42", "'text'", "nonsense here", "({})"])
def test_source_that_is_no_function(database: SyncPouchDB, design: Design, source: str) -> None:
    design("app", views={"bad": {"map": source}, "good": {"map": "function (doc) { emit(1); }"}})
    database.put({"_id": "x"})
    for _ in range(2):
        with pytest.raises(FunctionError) as caught:
            database.query("app/bad")
        assert (caught.value.status, caught.value.name) == (500, "compilation_error")
    # It spoils only itself.
    assert keys(database.query("app/good")) == [1]
    with pytest.raises(FunctionError):
        database.query({"map": source or " "})
    with pytest.raises(FunctionError):
        database.query({"map": "function (doc) { emit(1); }", "reduce": source or "function"})


@pytest.mark.parametrize("deleted", [False, True])
def test_a_function_that_does_not_compile_is_reported_if_there_is_no_document_too(
    database: SyncPouchDB, design: Design, deleted: bool
) -> None:
    design("app", views={"bad": {"map": "function (doc) {"}, "good": {"map": "function (doc) { emit(1); }"}})
    if deleted:
        database.remove({"_id": "x", "_rev": database.put({"_id": "x"}).rev})
    for _ in range(2):
        with pytest.raises(FunctionError) as caught:
            database.query("app/bad")
        assert caught.value.name == "compilation_error"
        assert keys(database.query("app/good")) == []


@pytest.mark.parametrize("source", [None, 1, {"a": 1}, ["function"]], ids=str)
def test_a_map_member_that_is_no_text(database: SyncPouchDB, design: Design, source: Any) -> None:
    design("app", views={"bad": {"map": source}, "good": {"map": "function (doc) { emit(1); }"}})
    database.put({"_id": "x"})
    with pytest.raises(FunctionError):
        database.query("app/bad")
    assert keys(database.query("app/good")) == [1]


def test_a_view_whose_reduce_is_wrong_can_be_read(database: SyncPouchDB, design: Design) -> None:
    design("a", views={"a": {"map": "function (doc) { emit(1); }", "reduce": "nonsense"}})
    database.put({"_id": "x"})
    assert len(database.query("a", reduce=False).rows) == 1
    with pytest.raises(FunctionError):
        database.query("a")


def test_libraries(database: SyncPouchDB, design: Design) -> None:
    views = {"lib": {"m": "exports.twice = function (n) { return n * 2; };"}}
    source = "function (doc) { emit(require('views/lib/m').twice(doc.n)); }"
    design("a", views={**views, "a": {"map": source}})
    database.put({"_id": "x", "n": 4})
    assert keys(database.query("a")) == [8]
    design("a", views={"lib": {"m": "exports.twice = function (n) { return n * 3; };"}, "a": {"map": source}})
    assert keys(database.query("a")) == [12]


def test_a_design_document_that_changes_while_it_is_built(database: SyncPouchDB, design: Design) -> None:
    database.bulk_docs([{"_id": f"{n:04}"} for n in range(1500)])
    design("a", views={"a": {"map": "function (doc) { emit(1); }"}})

    def change(event: Any) -> None:
        database.remove_listener("indexing", change)
        design("a", views={"a": {"map": "function (doc) { emit(2); }"}})

    database.on("indexing", change)
    # Who asked before gets what it asked for.
    assert set(keys(database.query("a"))) == {1}
    assert set(keys(database.query("a"))) == {2}


def test_reading_an_index_that_is_up_to_date_needs_no_worker(tmp_path: Path) -> None:
    for start in (True, False):
        with pouchdb.setup(tmp_path, plugins=[]) as environment:
            database = environment["test"]
            if start:
                database.put({"_id": "_design/a", "views": {"a": {"map": "function (doc) { emit(1); }"}}})
                database.put({"_id": "x"})
            assert len(database.query("a", reduce="_count").rows) == 1
            started = any("javascript" in repr(slot) for slot in environment.engine.slots._states)
            assert started is start


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_worker_that_dies_in_the_middle_is_started_again(database: SyncPouchDB, design: Design) -> None:
    design("a", views={"a": {"map": "function (doc) { emit(doc.n); }"}})
    database.bulk_docs([{"_id": f"{n:05}", "n": n} for n in range(2500)])
    worker = pool_of(database.environment.engine)

    def kill(event: Any) -> None:
        for pid in worker.pids:
            os.kill(pid, signal.SIGKILL)

    # After each batch, so that the next one finds a dead process.
    database.on("indexing", kill)
    assert keys(database.query("a")) == list(range(2500))


def test_an_endless_function_is_stopped(tmp_path: Path) -> None:
    with pouchdb.setup(":memory:", plugins=[], js_limits=Limits(seconds=0.3)) as environment:
        database = environment["test"]
        database.put({"_id": "_design/a", "views": {"a": {"map": "function (doc) { while (true) {} }"}}})
        database.put({"_id": "_design/b", "views": {"b": {"map": "function (doc) { emit(1); }"}}})
        database.put({"_id": "x"})
        for _ in range(2):
            with pytest.raises(FunctionError, match="_design/a") as caught:
                database.query("a")
            assert caught.value.name == "os_process_timeout"
        with pytest.raises(FunctionError):
            database.query("b", reduce="function () { while (true) {} }")
        assert len(database.query("b").rows) == 1
        assert environment.active_tasks() == []


ATTACKS = {
    "endless": "for (;;) { try { for (;;) {} } finally { continue; } }",
    "memory": "var a = []; for (;;) { a.push(a.length + 'x'); }",
    "recursion": "function f() { return [1].map(f); } f();",
    "thrown": "throw {toString: function () { for (;;) {} }};",
    "tampered": "Array.prototype.push = JSON.stringify = Object.prototype.toJSON = function () { throw 1; }; emit(1);",
}


@pytest.mark.parametrize("engine", ["quickjs-ng", "js2py"])
def test_the_database_answers_after_every_attack(engine: str) -> None:
    """tests/javascript has all of them; this is what a user sees of it."""
    if engine == "js2py" and not Js2Py().available():
        pytest.skip(f"JavaScript engine js2py is NOT INSTALLED, nothing of it is tested; run: {Js2Py().install}")
    limits = Limits(seconds=0.8, memory=32 * 2**20)
    with pouchdb.setup(":memory:", plugins=[], js_engine=engine, js_limits=limits) as environment:
        database = environment["test"]
        good = {"map": "function (doc) { emit(doc.n); }", "reduce": "function (k, v) { return v.length; }"}
        database.put({"_id": "_design/good", "views": {"good": good}})
        stopped: dict[str, FunctionError] = {}
        for n, (name, body) in enumerate(ATTACKS.items()):
            database.put({"_id": f"_design/{name}", "views": {name: {"map": f"function (doc) {{ {body} }}"}}})
            database.put({"_id": f"d{n}", "n": n})
            try:
                database.query(name)
            except FunctionError as error:
                stopped[name] = error
            assert database.get(f"d{n}")["n"] == n
            assert keys(database.query("good", reduce=False)) == list(range(n + 1))
            assert database.query("good").rows[0].value == n + 1
            assert keys(database.query(lambda doc: [(doc["n"], 1)])) == list(range(n + 1))
        assert {"endless", "thrown"} <= set(stopped)
        for name, error in stopped.items():
            assert error.name in ("os_process_timeout", "os_process_error")
            assert f"_design/{name}" in error.message
        assert environment.active_tasks() == []


# -- Python functions by name ----------------------------------------------------------------------------


def test_registered_functions(database: SyncPouchDB, design: Design) -> None:
    env = database.environment

    @env.register_function("ages")
    def ages(doc: Any) -> Iterator[Any]:
        yield doc["age"], 1

    assert callable(ages)
    env.registerFunction("total", lambda keys, values, rereduce: sum(values))
    design("app", language="python", views={"ages": {"map": "ages", "reduce": "total"}, "n": {"map": "unknown"}})
    database.bulk_docs([{"_id": "a", "age": 3}, {"_id": "b", "age": 4}])
    assert database.query("app/ages").rows == [{"key": None, "value": 2}]
    with pytest.raises(FunctionError, match="'unknown' that is not registered"):
        database.query("app/n")
    env.register_function("unknown", lambda doc: [(1, 1)])
    assert len(database.query("app/n").rows) == 2


def test_a_function_that_changes_is_a_new_index(database: SyncPouchDB, design: Design) -> None:
    env = database.environment
    design("app", language="python", views={"a": {"map": "f"}})
    database.put({"_id": "x"})
    env.register_function("f", lambda doc: [(1, None)])
    assert keys(database.query("app/a")) == [1]
    env.register_function("f", lambda doc: [(2, None)])
    assert keys(database.query("app/a")) == [2]
    # What a function calls is not seen; a version says it.
    held = [3]
    env.register_function("f", lambda doc: [(held[0], None)], version=1)
    assert keys(database.query("app/a")) == [3]
    held[0] = 4
    assert keys(database.query("app/a")) == [3]
    env.register_function("f", lambda doc: [(held[0], None)], version=2)
    assert keys(database.query("app/a")) == [4]


def made(value: Any) -> Any:
    def function(doc: Any) -> Any:
        yield value, None

    return function


def keyed(value: Any, doc: Any) -> Any:
    yield value, None


class Keyed:
    def __init__(self, value: Any) -> None:
        self.value = value

    def map(self, doc: Any) -> Any:
        yield 1, None


def test_the_values_that_a_function_was_made_with_are_part_of_it(database: SyncPouchDB, design: Design) -> None:
    design("app", language="python", views={"a": {"map": "f"}})
    database.put({"_id": "x"})
    for make in (made, lambda value: partial(keyed, value), lambda value: lambda doc, value=value: [(value, None)]):
        for value in (1, 2.5, "text", [1, 2], {"a": [1]}):
            database.environment.register_function("f", make(value))
            assert keys(database.query("app/a")) == [value]
    database.environment.register_function("f", Keyed(1).map)
    assert keys(database.query("app/a")) == [1]


DIGEST = """
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pouchdb_core.views.python import _digest
def f(doc):
    if doc["kind"] in {"a", "b", "c", "d", "e"}:
        yield doc["kind"], (lambda x=frozenset(["p", "q", "r"]): x)()
print(_digest(f), _digest(partial(f, {"x", "y", "z"})))
"""


def test_a_function_is_the_same_one_in_every_process() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in range(3)
    }
    assert len(found) == 1


async def asynchronous(doc: Any) -> Any:
    return [(1, 1)]


MISFITS: list[Any] = [asynchronous, lambda: [(1, 1)], lambda a, b, c: [], lambda *, doc: []]


@pytest.mark.parametrize("function", MISFITS, ids=["asynchronous", "none", "three", "named"])
def test_a_function_that_cannot_be_called_is_refused_at_once(
    database: SyncPouchDB, design: Design, function: Any
) -> None:
    told: list[Any] = []
    database.on("error", told.append)
    database.put({"_id": "x"})
    with pytest.raises(FunctionError, match=r"cannot be a map function: .*, not \(doc\) or \(doc, emit\)") as caught:
        database.query(function)
    assert caught.value.name == "compilation_error"
    database.environment.register_function("f", function)
    design("app", language="python", views={"a": {"map": "f"}})
    with pytest.raises(FunctionError, match="cannot be a map function"):
        database.query("app/a")
    assert told == []
    with pytest.raises(FunctionError, match="cannot be a reduce function: it takes"):
        database.query(lambda doc: [(1, 1)], reduce=lambda values: 1)


def test_a_second_parameter_with_a_default_is_the_callers_own(database: SyncPouchDB) -> None:
    database.put({"_id": "x", "a": 1})
    field = "a"
    assert keys(database.query(lambda doc, field=field: [(doc[field], None)])) == [1]
    assert keys(database.query(lambda doc, *, field=field: [(doc[field], None)])) == [1]

    def emits(doc: Any, emit: Any = None) -> None:
        emit(doc["a"])

    def yields(doc: Any, emit: Any) -> Any:
        emit(1)
        yield 2, None

    assert keys(database.query(emits)) == [1]
    assert keys(database.query(yields)) == [1, 2]


def test_the_design_document_is_no_part_of_a_view(database: SyncPouchDB, design: Design) -> None:
    """What a function could read there may change while the view's signature does not."""
    view = {"map": "function (doc) { emit(this.flag === undefined); }", "reduce": "function () { return !this.flag; }"}
    design("a", flag="one", views={"a": view})
    database.put({"_id": "x"})
    assert keys(database.query("a", reduce=False)) == [True]
    assert database.query("a").rows[0].value is True


@pytest.mark.parametrize(("name", "function"), [("", print), (1, print), ("x", 5)], ids=str)
def test_wrong_registrations(database: SyncPouchDB, name: Any, function: Any) -> None:
    with pytest.raises(BadRequest):
        database.environment.register_function(name, function)


def test_code_in_a_python_design_document_is_never_run(database: SyncPouchDB, design: Design) -> None:
    design("app", language="python", views={"a": {"map": "lambda doc: [(1, __import__('os').getpid())]"}})
    database.put({"_id": "x"})
    with pytest.raises(FunctionError, match="not registered"):
        database.query("app/a")


def test_a_slow_view_of_one_database_leaves_anothers_query_its_time(tmp_path: Path) -> None:
    """A document takes 0.6 s in one database; nobody in another one waits for it."""
    slow_map = "function (doc) { var end = Date.now() + 600; while (Date.now() < end) {} emit(1); }"
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        slow, other = environment["slow"], environment["other"]
        slow.put({"_id": "_design/a", "views": {"a": {"map": slow_map}}})
        slow.bulk_docs([{"_id": f"{n}"} for n in range(60)])
        other.put({"_id": "_design/b", "views": {"b": {"map": "function (doc) { emit(doc.n); }"}}})

        def query(n: int) -> float:
            other.put({"_id": f"{n}", "n": n})  # so that the function is asked
            began = time.perf_counter()
            assert len(other.query("b").rows) == n + 1
            return time.perf_counter() - began

        query(0)
        with ThreadPoolExecutor(1) as threads:
            building = threads.submit(slow.query, "a")
            while not pool_of(environment.engine).pids:
                time.sleep(0.001)
            taken = [query(n) for n in range(1, 10)]
            assert statistics.median(taken) < 0.6
            assert not building.done()
            environment.close()
            with pytest.raises(PouchDBError):
                building.result()
