"""What goes wrong inside of a reduce function is the value of its row alone, as in CouchDB."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.api.querying import query_rows
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import FunctionError
from pouchdb_core.views.reduce import ReduceFunction

Design = Callable[..., Any]
Value = Callable[..., Any]

SUM = (
    "The _sum function requires that map values be numbers, arrays of numbers, or objects. Objects cannot be mixed "
    "with other data structures. Objects can be arbitrarily nested, provided that the values for all fields are "
    "themselves numbers, arrays of numbers, or objects."
)
STATS = "The _stats function requires that map values be numbers or arrays of numbers"


@pytest.fixture(params=["saved", "temporary"])
def groups(request: pytest.FixtureRequest, database: SyncPouchDB) -> Callable[..., list[Any]]:
    """Reduce three groups: one of numbers, one with a text among numbers, one of numbers; return (key, value)."""
    values = {"a": [1, 2], "b": [3, "x", 4], "c": [5]}
    database.bulk_docs([{"_id": f"{key}{n}", "k": key, "v": v} for key in values for n, v in enumerate(values[key])])
    emit = "function (doc) { if (doc.k) emit([doc.k, doc._id], doc.v); }"

    def ask(reduce: Any, **options: Any) -> list[Any]:
        view: Any = {"map": emit, "reduce": reduce}
        if request.param == "saved" and isinstance(reduce, str):
            if "_design/r" not in database:
                database.put({"_id": "_design/r", "views": {"r": view}})
            view = "r"
        return [tuple(row.values()) for row in database.query(view, **options).rows]

    return ask


def failure(reason: str, **more: Any) -> dict[str, Any]:
    return {"error": "builtin_reduce_error", "reason": reason, **more}


def test_sum_over_text(groups: Value) -> None:
    told = failure(SUM, caused_by="x")
    assert groups("_sum", group_level=1) == [(["a"], 3), (["b"], told), (["c"], 5)]


def test_one_wrong_value_spoils_the_whole_sum_and_no_other(groups: Value) -> None:
    assert groups("_sum") == [(None, failure(SUM, caused_by="x"))]
    assert groups("_sum", startkey=["c"]) == [(None, 5)]
    found = {key[1]: value for key, value in groups("_sum", group=True)}
    assert found == {"a0": 1, "a1": 2, "b0": 3, "b1": failure(SUM, caused_by="x"), "b2": 4, "c0": 5}


def test_stats_over_text(groups: Value) -> None:
    [(_, first), (_, second), (_, third)] = groups("_stats", group_level=1)
    assert second == failure(STATS, caused_by="x")
    assert (first.sum, third.sum) == (3, 5)


THROWS: Any = [
    "function (keys, values) { if (values.indexOf('x') >= 0) { throw('r'); } return sum(values); }",
    "function (keys, values) { if (values.indexOf('x') >= 0) { values.no.such; } return sum(values); }",
    lambda keys, values, rereduce: sum(values),
]


@pytest.mark.parametrize("reduce", THROWS, ids=["throws", "fails", "python"])
def test_a_function_that_throws(
    groups: Value, database: SyncPouchDB, reduce: Any, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Any] = []
    database.on("error", errors.append)
    with caplog.at_level(logging.WARNING, "pouchdb.views"):
        assert groups(reduce, group_level=1) == [(["a"], 3), (["b"], None), (["c"], 5)]
    [error] = errors
    assert isinstance(error, FunctionError)
    assert "thrown" in error.details
    assert [record.message for record in caplog.records] == [f"a row has no value: {error}"]


def test_an_answer_that_is_no_json(groups: Value) -> None:
    assert groups(lambda keys, values: {1}) == [(None, None)]


def test_null_is_reduced_on(database: SyncPouchDB) -> None:
    """CouchDB: a chunk whose function threw is null among the others."""
    database.bulk_docs([{"_id": f"{n:05}", "n": n} for n in range(2500)])

    def reduce(keys: Any, values: Any, rereduce: bool) -> Any:
        if rereduce:
            return [each for value in values if value is not None for each in value]
        return [1 // (values[0] > 0)]

    [row] = database.query(lambda doc: [(doc["_id"], doc["n"])], reduce=reduce).rows
    assert row.value == [1] * 4


def test_output_that_does_not_shrink(groups: Value) -> None:
    """The recorded exchange, group by group: no value, but ``error`` and ``reason``."""
    grows = "function (k, v, r) { if (v[0] === 3) return new Array(502).join('abcdefghij,').split(','); return v; }"
    [first, (key, error, reason), third] = groups(grows, group_level=1)
    assert (first, third) == ((["a"], [1, 2]), (["c"], [5]))
    assert (key, error) == (["b"], "reduce_overflow_error")
    assert reason.startswith("Reduce output must shrink more rapidly: input size: ")


def test_the_recorded_sizes_of_an_overflow(database: SyncPouchDB) -> None:
    database.put({"_id": "x"})
    reduce = "function(k, v, r){ var o = []; for (var i = 0; i < 500; i++) o.push('abcdefghij'); return o; }"
    [row] = database.query({"map": "function(d){ emit(1, 1); }", "reduce": reduce}).rows
    reason = "Reduce output must shrink more rapidly: input size: 29 output size: 6503"
    assert row == {"key": None, "error": "reduce_overflow_error", "reason": reason}


def test_output_that_does_not_shrink_is_told_of_the_whole(database: SyncPouchDB) -> None:
    database.bulk_docs([{"text": "x" * 100} for _ in range(1200)])
    [row] = database.query(lambda doc: [(1, doc["text"])], reduce=lambda keys, values: values).rows
    assert row.error == "reduce_overflow_error"


def test_a_streamed_answer_reports_what_failed(database: SyncPouchDB, design: Design) -> None:
    design("r", views={"r": {"map": "function (doc) { emit(doc._id); }", "reduce": THROWS[1].replace("'x'", "null")}})
    database.bulk_docs([{"_id": f"{n:04}"} for n in range(300)])
    errors: list[Any] = []
    database.on("error", errors.append)
    rows = query_rows(database, "r", group=True)["rows"]
    assert [row["value"] for row in rows] == [None] * 300
    assert len(errors) == 1


def test_listeners_may_write(database: SyncPouchDB, design: Design) -> None:
    design("r", views={"r": {"map": "function (doc) { emit(doc._id); }", "reduce": "function () { throw('r'); }"}})
    database.put({"_id": "x"})
    database.on("error", lambda error: database.put({"_id": "_local/error", "text": error.message}))
    assert database.query("r").rows == [{"key": None, "value": None}]
    assert "r" in database.get("_local/error").text


class Odd(ReduceFunction):
    """Fails at the step that it names."""

    def __init__(self, step: str, error: Exception) -> None:
        self.name, self._step, self._error = f"_odd_{step}", step, error

    def _at(self, step: str) -> int:
        if step == self._step:
            raise self._error
        return 1

    def reduce(self, keys: Any, values: Any) -> Any:
        return self._at("reduce")

    def rereduce(self, partials: Any) -> Any:
        return self._at("rereduce")

    def finalize(self, partial: Any) -> Any:
        return self._at("finalize")


@pytest.mark.parametrize("step", ["reduce", "rereduce", "finalize"])
@pytest.mark.parametrize(
    ("error", "value"),
    [
        (FunctionError("no", name="odd"), {"error": "odd", "reason": "no"}),
        (ValueError("no"), None),
    ],
    ids=["an error", "an exception"],
)
def test_functions_of_plugins(step: str, error: Exception, value: Any) -> None:
    class Plugin:
        @hookimpl
        def pouchdb_reduce_functions(self) -> list[ReduceFunction]:
            return [Odd(step, error)]

    errors: list[Any] = []
    with pouchdb.setup(":memory:", plugins=[Plugin()]) as environment:
        database = environment["odd"]
        database.bulk_docs([{} for _ in range(1200)])
        database.on("error", errors.append)
        [row] = database.query(lambda doc: [(1, 1)], reduce=f"_odd_{step}").rows
    assert row == {"key": None, "value": value}
    assert len(errors) == (value is None)


def test_what_does_not_compile_is_an_error_of_the_query(database: SyncPouchDB) -> None:
    database.put({"_id": "x"})
    with pytest.raises(FunctionError) as caught:
        database.query({"map": "function (doc) { emit(1); }", "reduce": "function ("})
    assert caught.value.name == "compilation_error"
