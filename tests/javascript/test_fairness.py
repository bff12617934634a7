"""A slow database is slow for itself only, with real worker processes; all times are compared within one run."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pouchdb_core.javascript import Engine, JavaScriptPool, Limits, NoWorkerFree, Sandbox, SandboxKey, TimedOut

SPIN = "function (doc) { var end = Date.now() + doc.ms; while (Date.now() < end) {} emit(doc.ms, null); }"
VALIDATE = "function (doc) { if (!doc.n) { throw {forbidden: 'no n'}; } return true; }"


@pytest.fixture
def pool(quickjs: Engine) -> Iterator[JavaScriptPool]:
    pool = JavaScriptPool(quickjs, Limits(workers=2))
    yield pool
    pool.close()


def opened(pool: JavaScriptPool, database: str, kind: str, source: str, name: str = "a") -> Sandbox:
    sandbox = pool.open(SandboxKey(database, f"_design/{name}", "1-a"), {})
    sandbox.compile("f", kind, source)
    return sandbox


def median(call: Callable[[], object], times: int = 15) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@contextmanager
def building(*sandboxes: Sandbox, ms: int) -> Iterator[list[float]]:
    """Let the sandboxes run slow functions without a pause, each in a thread of its own."""
    stop = threading.Event()
    done: list[float] = []
    began = threading.Barrier(len(sandboxes) + 1)

    def build(sandbox: Sandbox) -> None:
        began.wait()
        while not stop.is_set():
            sandbox.map(["f"], [{"ms": ms}])
            done.append(time.monotonic())

    with ThreadPoolExecutor(len(sandboxes)) as threads:
        futures = [threads.submit(build, sandbox) for sandbox in sandboxes]
        began.wait()
        try:
            yield done
        finally:
            stop.set()
        for future in futures:
            future.result()


def test_a_slow_view_of_one_database_leaves_anothers_validation_its_usual_time(pool: JavaScriptPool) -> None:
    slow = opened(pool, "slow", "map", SPIN)
    validator = opened(pool, "other", "validate", VALIDATE)

    def validate() -> None:
        assert validator.call_each("f", [[{"n": 1}]]) == [True]

    validate()
    alone = median(validate)
    with building(slow, ms=400) as done:
        while not done:
            time.sleep(0.01)
        beside = median(validate)
    # Not one of them waited for a document (400 ms); what remains is the two cores' work.
    assert beside < max(20 * alone, 0.1)


def test_many_slow_databases_leave_one_that_is_quick_its_time(pool: JavaScriptPool) -> None:
    slow = [opened(pool, f"slow{n}", "map", SPIN) for n in range(4)]
    quick = opened(pool, "quick", "validate", VALIDATE)
    with building(*slow, ms=300) as done:
        while len(done) < 2:
            time.sleep(0.01)
        assert median(lambda: quick.call_each("f", [[{"n": 1}]])) < 0.15
        count = len(done)
        assert count >= 2
    assert len(pool.pids) <= 4


def test_the_slow_ones_go_on_as_well(pool: JavaScriptPool) -> None:
    """Nobody starves: two slow databases take turns while quick ones never stop."""
    slow = [opened(pool, f"slow{n}", "map", SPIN) for n in range(2)]
    quick = opened(pool, "quick", "validate", VALIDATE)
    ends: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n, each=each: ends.append(n) if each.map(["f"], [{"ms": 150}] * 3) else None)
        for n, each in enumerate(slow)
    ]
    for thread in threads:
        thread.start()
    while len(ends) < 2:
        quick.call_each("f", [[{"n": 1}]])
    for thread in threads:
        thread.join()
    assert sorted(ends) == [0, 1]


def test_batches_become_short_where_documents_take_long(pool: JavaScriptPool) -> None:
    """So that the waiting calls of the same database do not wait for a hundred documents."""
    slow = opened(pool, "slow", "map", SPIN)
    assert len(slow.map(["f"], [{"ms": 15}] * 40)) == 40
    assert slow._pace < 10
    slow.map(["f"], [{"ms": 0}] * 5000)
    assert slow._pace >= 100


def test_one_process_while_one_call_at_a_time_is_made(pool: JavaScriptPool) -> None:
    for database in ("a", "b", "c"):
        opened(pool, database, "validate", VALIDATE).call_each("f", [[{"n": 1}]])
    assert len(pool.pids) == 1


def test_a_second_process_when_it_is_needed(pool: JavaScriptPool) -> None:
    slow, other = opened(pool, "slow", "map", SPIN), opened(pool, "other", "map", SPIN)
    with building(slow, ms=50) as done:
        while len(pool.pids) < 2:
            other.map(["f"], [{"ms": 1}])
        assert done is not None
    assert len(pool.pids) == 2


def test_a_function_that_is_stopped_is_quarantined_and_not_its_neighbours(quickjs: Engine) -> None:
    pool = JavaScriptPool(quickjs, Limits(seconds=0.3, workers=2))
    try:
        sandbox = opened(pool, "db", "map", SPIN)
        sandbox.compile("good", "validate", VALIDATE)
        for _ in range(3):
            with pytest.raises(TimedOut):
                sandbox.map(["f"], [{"ms": 600_000}])
            assert sandbox.call_each("good", [[{"n": 1}]]) == [True]
        with pytest.raises(TimedOut, match=r"^f: stopped 3 times; runs again when the design document changes"):
            sandbox.map(["f"], [{"ms": 0}])
        assert sandbox.call_each("good", [[{"n": 1}]]) == [True]
    finally:
        pool.close()


def test_a_function_that_hangs_while_it_is_compiled_holds_up_no_neighbour(quickjs: Engine) -> None:
    """A function is compiled in a new context when it is called, not when another one is."""
    pool = JavaScriptPool(quickjs, Limits(seconds=0.3, workers=2))
    try:
        sandbox = opened(pool, "db", "validate", VALIDATE)
        sandbox.compile("late", "update", "(function () { if (typeof x !== 'undefined') {} return function () {}; })()")
        sandbox.functions["late"] = ("update", "(function () { for (;;) {} })()")
        for pid in pool.pids:
            os.kill(pid, 9)
        assert sandbox.call_each("f", [[{"n": 1}]]) == [True]
        with pytest.raises(TimedOut):
            sandbox.call("late", [])
        assert sandbox.call_each("f", [[{"n": 1}]]) == [True]
    finally:
        pool.close()


def test_a_call_waits_no_longer_than_its_patience(quickjs: Engine) -> None:
    pool = JavaScriptPool(quickjs, Limits(workers=2, patience=0.05))
    try:
        slow = opened(pool, "db", "map", SPIN)
        with building(slow, ms=600) as done:
            while not pool._states[-1].turns.running:
                time.sleep(0.001)
            with pytest.raises(NoWorkerFree, match=r"all JavaScript workers were busy for 0\.05 s") as caught:
                slow.map(["f"], [{"ms": 0}])
            assert caught.value.status == 503
            assert done is not None
    finally:
        pool.close()
