"""Map functions that run over the next documents while their caller handles the rows of some: ``Sandbox.map_ahead``."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pouchdb_core.javascript import (
    Engine,
    JavaScriptError,
    JavaScriptPool,
    Limits,
    OutOfMemory,
    OutputTooLarge,
    Sandbox,
    SandboxKey,
    TimedOut,
    WorkerClosed,
)

EMIT = """function (doc) {
    if (doc.what === "throw") throw new Error(doc._id);
    if (doc.what === "null") throw null;
    if (doc.what === "loop") for (;;) { [].sort(); }
    if (doc.what === "log") log(doc._id);
    if (doc.what === "much") for (var n = 0; n < 300000; n += 1) emit("xxxxxxxxxx", n);
    if (doc.what === "memory") { var all = []; for (;;) all.push(new Array(100000).join("x")); }
    emit(doc._id, doc.what);
}"""
LIMITS = Limits(batch_documents=5, workers=2, seconds=1.0, output=2**20)

New = Callable[..., JavaScriptPool]


@pytest.fixture
def new(engine: Engine) -> Iterator[New]:
    made: list[JavaScriptPool] = []

    def new(limits: Limits = LIMITS, **options: Any) -> JavaScriptPool:
        made.append(JavaScriptPool(engine, limits, **options))
        return made[-1]

    yield new
    for pool in made:
        pool.close()


def opened(pool: JavaScriptPool, name: str = "a") -> Sandbox:
    sandbox = pool.open(SandboxKey("db", f"_design/{name}", "1-a"), {"name": name})
    sandbox.compile("m", "map", EMIT)
    return sandbox


def documents(count: int, **what: int) -> list[dict[str, Any]]:
    """Return documents, of which those with some numbers do something."""
    kinds = {number: name for name, number in what.items()}
    return [{"_id": str(n), "what": kinds.get(n)} for n in range(count)]


def shown(rows: Any) -> list[Any]:
    return [[repr(each) if isinstance(each, Exception) else each for each in row] for row in rows]


def warm(sandbox: Sandbox) -> Sandbox:
    """Let the sandbox find out that the function is quick."""
    while sandbox._pace <= LIMITS.batch_documents:
        sandbox.map(["m"], documents(LIMITS.batch_documents))
    return sandbox


@pytest.mark.parametrize("count", [0, 1, 5, 6, 99, 400])
def test_the_rows_are_those_of_map(new: New, count: int) -> None:
    sandbox = opened(new())
    expected = [[[[str(n), None]]] for n in range(count)]
    assert list(sandbox.map_ahead(["m"], documents(count))) == expected
    assert list(sandbox.map_ahead(["m"], documents(count))) == expected


def test_errors_are_in_the_place_of_their_documents(new: New) -> None:
    source = random.Random(1)
    for _ in range(2):
        docs = [{"_id": str(n), "what": source.choice([None] * 30 + ["throw", "null", "log"])} for n in range(200)]
        sandbox = warm(opened(new()))
        assert shown(sandbox.map_ahead(["m"], docs)) == shown(opened(new()).map(["m"], docs))


def test_the_next_batch_is_under_way_while_rows_are_handled(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = new()
    sandbox = warm(opened(pool))
    monkeypatch.setattr(Sandbox, "_keep_pace", lambda self, count, seconds: None)  # however slow this machine is now
    [pid] = pool.pids
    rows = sandbox.map_ahead(["m"], documents(100))
    assert next(rows) == [[["0", None]]]
    assert list(rows)[-1] == [[["99", None]]]
    rows = sandbox.map_ahead(["m"], documents(100))
    next(rows)
    next(rows)
    assert sandbox.map(["m"], documents(1)) == [[[["0", None]]]]
    assert len(pool.pids) == 2, "the first process has an answer for somebody else"
    assert pid in pool.pids
    assert len(list(rows)) == 98


def test_the_caller_may_call_functions_meanwhile(new: New) -> None:
    """With two workers a database has one seat: a call under way must not have it."""
    pool = new(Limits(batch_documents=5, workers=2, patience=5.0))
    sandbox, other = warm(opened(pool)), opened(pool, "b")
    found = [
        (row, sandbox.map(["m"], documents(1)), other.map(["m"], documents(1)))
        for row in sandbox.map_ahead(["m"], documents(60))
    ]
    assert len(found) == 60


def test_several_at_a_time_do_not_mix(new: New) -> None:
    sandbox = warm(opened(new()))
    first, second = sandbox.map_ahead(["m"], documents(150)), sandbox.map_ahead(["m"], documents(150, throw=77))
    pairs = list(zip(first, second, strict=True))
    assert [row for row, _ in pairs] == [[[[str(n), None]]] for n in range(150)]
    assert [n for n, (_, row) in enumerate(pairs) if isinstance(row[0], Exception)] == [77]


@pytest.mark.parametrize("taken", [0, 1, 3, 40])
def test_closing_it_early_mixes_no_answers(new: New, taken: int) -> None:
    pool = new()
    sandbox = warm(opened(pool))
    for _ in range(5):
        rows = sandbox.map_ahead(["m"], documents(200))
        for _ in range(taken):
            next(rows)
        rows.close()  # type: ignore[attr-defined]  # a generator
        assert sandbox.map(["m"], documents(3)) == [[[[str(n), None]]] for n in range(3)]
    assert len(pool.pids) == 1


def test_an_exception_of_who_reads_it_ends_it(new: New) -> None:
    pool = new()
    sandbox = warm(opened(pool))

    def read() -> None:
        for number, _ in enumerate(sandbox.map_ahead(["m"], documents(200))):
            if number == 50:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read()
    assert list(sandbox.map_ahead(["m"], documents(30))) == [[[[str(n), None]]] for n in range(30)]


@pytest.mark.parametrize("place", [0, 20, 99])
def test_a_document_that_hangs_is_named(new: New, place: int) -> None:
    sandbox = warm(opened(new()))
    read: list[Any] = []
    with pytest.raises(TimedOut) as error:
        read.extend(sandbox.map_ahead(["m"], documents(100, loop=place)))
    assert error.value.document == str(place)


@pytest.mark.parametrize(("what", "kind"), [("much", OutputTooLarge), ("memory", OutOfMemory)])
def test_a_document_that_is_too_much_is_left_out_alone(
    new: New, engine: Engine, what: str, kind: type[JavaScriptError]
) -> None:
    if engine.name == "js2py":
        pytest.skip("js2py has no limit of memory, and takes minutes for that many rows")
    sandbox = warm(opened(new(Limits(batch_documents=5, output=2**20, memory=16 * 2**20))))
    rows = list(sandbox.map_ahead(["m"], documents(100, **{what: 50})))
    assert isinstance(rows[50][0], kind)
    assert [row for n, row in enumerate(rows) if n != 50] == [[[[str(n), None]]] for n in range(100) if n != 50]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_engine_that_dies_meanwhile_is_started_again(new: New) -> None:
    pool = new()
    sandbox = warm(opened(pool))
    rows = []
    for number, row in enumerate(sandbox.map_ahead(["m"], documents(200))):
        rows.append(row)
        if number in (20, 21, 90):
            for pid in pool.pids:
                os.kill(pid, signal.SIGKILL)
    assert rows == [[[[str(n), None]]] for n in range(200)]


def test_a_pool_that_is_closed_meanwhile(new: New) -> None:
    pool = new()
    rows = warm(opened(pool)).map_ahead(["m"], documents(200))
    next(rows)
    pool.close()
    with pytest.raises(WorkerClosed):
        list(rows)


def test_logs_arrive_once_and_in_order(new: New) -> None:
    logs: list[str] = []
    sandbox = warm(opened(new(on_log=lambda key, message: logs.append(message))))
    docs = [{"_id": str(n), "what": "log"} for n in range(120)]
    assert len(list(sandbox.map_ahead(["m"], docs))) == 120
    assert logs == [str(n) for n in range(120)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_forked_child_asks_a_process_of_its_own(new: New) -> None:
    sandbox = warm(opened(new()))
    expected = [[[[str(n), None]]] for n in range(200)]
    rows, child = [], -1
    for number, row in enumerate(sandbox.map_ahead(["m"], documents(200))):
        rows.append(row)
        if number == 30:
            child = os.fork()
    if child == 0:
        os._exit(0 if rows == expected else 1)
    assert rows == expected
    assert os.waitpid(child, 0)[1] == 0
