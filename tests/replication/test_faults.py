"""Faults: storage errors, closed and destroyed sides, purges meanwhile, cancelling anywhere, trying again."""

from __future__ import annotations

import itertools
import math
import random
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import (
    BadRequest,
    DatabaseBusy,
    DatabaseClosed,
    DiskFull,
    Forbidden,
    NotFound,
    PouchDBError,
    StorageError,
)
from pouchdb_core.replication.backoff import Backoff

from .conftest import Time, revision, same


class Fails:
    """Raises at the nth write of documents to the target, and at so many after it."""

    def __init__(self, error: Exception, first: int, times: int = 1) -> None:
        self.error, self.first, self.times, self.writes = error, first, times, 0

    def __call__(self, database: Any, request: Any) -> None:
        local = isinstance(request.docs[0], dict) and str(request.docs[0].get("_id")).startswith("_local")
        if database.name == "target" and request.purpose == "replication" and not local:
            self.writes += 1
            if self.first <= self.writes < self.first + self.times:
                raise self.error


def fill(source: SyncPouchDB, count: int = 10) -> None:
    source.bulk_docs([{"_id": f"{number:03}"} for number in range(count)])


# -- errors that end it ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StorageError("broken"), DiskFull("full"), ValueError("of a plug-in")], ids=repr)
def test_a_storage_error_in_the_middle_aborts_and_the_next_run_resumes(
    faults: Any, faulty: SyncEnvironment, run: Callable[..., Any], error: Exception
) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    faults.on_write = Fails(error, 3)
    with pytest.raises(type(error)) as caught:
        faulty.replicate(source, target, batch_size=2)
    result = caught.value.result  # type: ignore[attr-defined]
    assert (result.status, result.docs_written, result.last_seq) == ("aborting", 4, 4)
    assert not faulty.active_tasks()
    again = run(source, target)
    assert again.end().docs_written == 6
    assert again.replicator.progress.missing_checked == 6, "it does not start over"
    same(source, target)


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("how", ["close", "destroy", "environment"])
def test_a_side_goes_in_the_middle(side: str, how: str) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment, pouchdb.setup(":memory:", plugins=[]) as other:
        source, target = environment["source"], other["target"]
        fill(source)
        gone = {"source": source, "target": target}[side]

        def go(change: Any) -> None:
            if how == "environment":
                gone.environment.close()  # type: ignore[attr-defined]
            else:
                getattr(gone, how)()

        with pytest.raises(DatabaseClosed) as caught:
            source.replicate_to(target, batch_size=2, on_change=go, retry=True)
        assert caught.value.result.docs_written == 2


def test_the_source_is_purged_meanwhile(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, run: Callable[..., Any]
) -> None:
    fill(source, 6)
    once = run(source, target, batch_size=2)
    while "change" not in once.names:
        once.step()
    for id in ("002", "003", "004"):
        source.purge(id, source.get(id)._rev)
    assert once.end().ok
    same(source, target)


def test_a_revision_goes_between_the_feed_and_the_fetch(faults: Any, faulty: SyncEnvironment) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source, 3)
    revision(source, "001", "1-0")
    done: list[bool] = []

    def purge(database: Any, request: Any) -> None:
        if request.items and not done:
            done.append(True)
            source.purge("000", source.get("000")._rev)
            source.purge("001", "1-0")
            source.put({**source.get("002"), "edited": True})
            source.compact()

    faults.on_read = purge
    result = faulty.replicate(source, target)
    assert done
    assert (result.ok, result.doc_write_failures) == (True, 0)
    assert target.get("002").edited, "the newest of what was made from it"
    assert faulty.replicate(source, target).ok
    same(source, target)


def test_an_empty_source(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    for _ in range(2):
        result = environment.replicate(source, target)
        assert (result.ok, result.last_seq, result.status) == (True, 0, "complete")
    target.put({"_id": "a"})
    assert environment.sync(source, target).pull.docs_written == 1


def test_a_callback_that_raises_ends_the_call(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    fill(source)

    def wrong(change: Any) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError):
        environment.replicate(source, target, batch_size=2, on_change=wrong)
    assert not environment.active_tasks()
    assert environment.replicate(source, target).docs_written == 8, "what was done is remembered"


def test_an_interrupt_is_remembered(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    fill(source)
    seen: list[Any] = []

    def interrupted(doc: Any) -> bool:
        seen.append(doc["_id"])
        if len(seen) == 5:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        environment.replicate(source, target, batch_size=2, filter=interrupted)
    assert not environment.active_tasks()
    assert not environment.engine.replicators


# -- trying again ----------------------------------------------------------------------------------


def test_it_tries_again_more_and_more_seldom(faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    error = DatabaseBusy("busy")
    faults.on_write = Fails(error, 2, times=5)
    once = run(source, target, batch_size=4, retry=True)
    delays: list[float] = []
    for attempt in range(1, 6):
        delay = once.rest()
        assert delay is not None
        delays.append(delay)
        replicator = once.replicator
        assert (replicator.state, replicator.attempt, replicator.last_error) == ("pending", attempt, error)
        assert replicator.next_retry_at == once.time.seconds + delay
        assert once.events[-1] == ("paused", error)
        once.time.seconds += delay
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0]
    result = once.end()
    assert (result.ok, result.status, result.docs_written) == (True, "complete", 10)
    assert (once.replicator.attempt, once.replicator.last_error, once.replicator.next_retry_at) == (0, None, None)
    assert [name for name in once.names if name in ("active", "paused")] == ["active", *["paused", "active"] * 5]
    same(source, target)


def test_a_wait_that_is_woken_goes_on_waiting(faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    faults.on_write = Fails(StorageError("x"), 1)
    once = run(source, target, retry=True, live=True)
    assert once.rest() == 1.0
    once.time.seconds += 0.25
    assert once.rest() == 0.75
    once.time.seconds += 0.75
    assert once.rest() is None
    assert once.replicator.state == "paused"
    once.steps.close()


def test_the_time_starts_anew_when_something_worked(
    faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]
) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    delays = []
    once = run(source, target, retry=True, batch_size=1, live=True)
    for first in (1, 4):
        faults.on_write = Fails(StorageError("x"), first, times=2)
        for _ in range(2):
            delays.append(once.rest())
            once.time.seconds += delays[-1]
    assert delays == [1.0, 2.0, 1.0, 2.0]
    assert once.rest() is None
    same(source, target)
    once.steps.close()


def test_a_retry_with_since_or_without_checkpoint_does_not_start_over(
    faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]
) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    for options, count in (({"since": 2}, 8), ({"checkpoint": False}, 10)):
        faulty.destroy("target")
        target = faulty["target"]
        faults.on_write = Fails(StorageError("x"), 3)
        once = run(source, target, retry=True, batch_size=2, **options)
        result = once.end()
        assert result.docs_written == count
        assert once.replicator.progress.missing_checked == count + 2, "only the batch that failed is looked at again"


def test_the_callers_own_back_off(faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    faults.on_write = Fails(StorageError("x"), 1, times=3)
    asked: list[float] = []

    def back_off(delay: float) -> float:
        asked.append(delay)
        return delay * 3 or 100

    once = run(source, target, retry=True, back_off_function=back_off)
    delays = []
    for _ in range(3):
        delays.append(once.rest())
        once.time.seconds += delays[-1]
    assert once.end().ok
    assert asked == [0, 100, 300], "milliseconds"
    assert delays == pytest.approx([0.1, 0.3, 0.9])


@pytest.mark.parametrize("answer", [None, "soon", -1, math.nan, math.inf, True])
def test_a_back_off_that_makes_no_sense(
    faults: Any, faulty: SyncEnvironment, run: Callable[..., Any], answer: Any
) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    faults.on_write = Fails(StorageError("x"), 1)
    with pytest.raises(BadRequest, match="back_off_function"):
        run(source, target, retry=True, back_off_function=lambda delay: answer).end()


@pytest.mark.parametrize("error", [Forbidden("no"), NotFound("gone"), DatabaseClosed(), BadRequest("wrong")], ids=repr)
def test_errors_that_come_again_are_not_tried_again(
    faults: Any, faulty: SyncEnvironment, run: Callable[..., Any], error: PouchDBError
) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    faults.on_write = Fails(error, 1)
    once = run(source, target, retry=True)
    with pytest.raises(type(error)):
        once.end()
    assert once.replicator.state == "failed"
    assert once.replicator.last_error is error


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=20, max_size=40))
def test_the_rule_of_the_back_off(chances: list[float]) -> None:
    left = iter(chances)
    backoff = Backoff(chance=lambda: next(left, 0.5))
    delays = [backoff.next() for _ in range(15)]
    assert 0 <= delays[0] <= 2
    assert all(0 <= delay <= 600 for delay in delays)
    for before, after in itertools.pairwise(delays):
        assert after >= min(before, 300) or before == 0
    backoff.reset()
    assert backoff.next() <= 2


# -- cancelling ------------------------------------------------------------------------------------


def situation(seed: int) -> tuple[SyncEnvironment, SyncPouchDB, SyncPouchDB]:
    """Two databases with conflicts, tombstones and attachments; equal revisions are equal everywhere."""
    chance = random.Random(seed)
    environment = pouchdb.setup(":memory:", plugins=[])
    source, target = environment["source"], environment["target"]
    paths: dict[str, list[tuple[str, ...]]] = {}
    for _ in range(20):
        id = f"{chance.randrange(10):02}"
        above = chance.choice([(), *paths.get(id, [])])
        rev = f"{len(above) + 1}-{chance.choice('abcdef')}{len(paths.get(id, []))}"
        path = (rev, *above)
        paths.setdefault(id, []).append(path)
        members: dict[str, Any] = {"rev": rev, "_deleted": rev[2] == "f"}
        if rev[2] in "ab":
            data = "aGk=" if rev[2] == "a" else "aG8="
            members["_attachments"] = {"t": {"data": data, "content_type": "text/plain", "revpos": len(path)}}
        revision(chance.choice([source, source, target]), id, *path, **members)
    return environment, source, target


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 20), stops=st.lists(st.integers(0, 15), max_size=4), batch_size=st.sampled_from([1, 2, 5]))
def test_cancelled_anywhere_it_resumes_and_loses_nothing(seed: int, stops: list[int], batch_size: int) -> None:
    from .conftest import Run

    time = Time()
    environment, source, target = situation(seed)
    with environment:
        done = 0
        for stop in stops:
            run = Run(source, target, time, batch_size=batch_size)
            for _ in range(stop):
                if run.step() is None:
                    break
            run.steps.close()
            assert run.replicator.state in ("cancelled", "complete", "pending")
            if run.replicator.state != "pending":
                assert run.replicator.last_seq >= done, "it does not start over"
                done = run.replicator.last_seq
            assert not environment.active_tasks()
        last = Run(source, target, time, batch_size=batch_size)
        last.end()
        back = Run(target, source, time, batch_size=batch_size)
        back.end()
        Run(source, target, time).end()
        same(source, target)


def test_cancelled_while_it_waits_to_try_again(faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = faulty["source"], faulty["target"]
    fill(source)
    faults.on_write = Fails(StorageError("x"), 2)
    once = run(source, target, retry=True, batch_size=5)
    once.rest()
    once.steps.close()
    assert once.replicator.state == "cancelled"
    assert faulty.replicate(source, target).docs_written == 5


# -- filters, memory -------------------------------------------------------------------------------


def test_a_selective_filter_saves_how_far_it_got(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, run: Callable[..., Any]
) -> None:
    fill(source, 4500)

    def last(doc: Any) -> bool:
        once.time.seconds += 0.004
        return bool(doc["_id"] == "4499")

    once = run(source, target, filter=last)
    while "checkpoint" not in once.names:
        once.step()
    once.steps.close()
    assert 1000 <= once.replicator.last_seq < 4500
    [id] = target.adapter.local_ids("_local/py")
    assert target.get(id).source_last_seq == once.replicator.last_seq
    seen: list[str] = []
    environment.replicate(source, target, filter=last)
    assert list(target) == ["4499"]
    assert not seen


def test_it_can_be_cancelled_while_a_filter_lets_nothing_through(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    fill(source, 3500)
    looked: list[str] = []
    inside = threading.Event()

    def nothing(doc: Any) -> bool:
        looked.append(doc["_id"])
        inside.set()
        return False

    handle = environment.replicate(source, target, filter=nothing, live=True)
    assert inside.wait(20)
    handle.cancel()
    assert handle.wait(20).status == "cancelled"
    assert len(looked) <= 2100


@pytest.mark.parametrize(
    ("packed", "count", "size", "limit"),
    [
        pytest.param(True, 4000, 6_000, 14, id="small"),
        pytest.param(True, 80, 400_000, 14, id="big"),
        pytest.param(True, 6, 8_000_000, 26, id="huge: three of them"),
        # orjson reserves ten bytes for each that it writes; what is not written takes no memory.
        pytest.param(False, 200, 400_000, 64, id="big, seen by a plug-in"),
    ],
)
def test_memory_is_constant(packed: bool, count: int, size: int, limit: int, faults: Any) -> None:
    with pouchdb.setup(":memory:", plugins=[] if packed else [faults]) as environment:
        source, target = environment["source"], environment["target"]
        # Small ones first: what is known of them must not be believed of the rest.
        fill(source, 500)
        for start in range(0, count, 20):
            source.bulk_docs(
                [{"_id": f"x{number:05}", "text": "x" * size} for number in range(start, min(start + 20, count))]
            )
        tracemalloc.start()
        try:
            environment.replicate(source, target)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < limit * 1_000_000
        assert len(target) == count + 500
