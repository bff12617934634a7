"""Replications in the background: events, counters, state, sync, status (spec: pouchdb-api 2.6, plugins 9.3)."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import Forbidden, NotFound, StorageError
from pouchdb_core.live import Replication, Sync
from pouchdb_core.requests import Replicate
from pouchdb_core.runner import Runner

from .conftest import SOON, leaves, same

Hear = Callable[[], Any]


def settle(environment: SyncEnvironment) -> None:
    done = threading.Event()
    environment.engine.dispatcher.call(done.set)
    assert done.wait(SOON)


# -- the order of events, stepped by hand ----------------------------------------------------------


def test_the_events_of_a_one_shot(run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": id} for id in "abcde"])
    once = run(source, target, batch_size=2)
    once.end()
    assert once.names == ["active", "change", "change", "change", "checkpoint"]
    changes = [argument for name, argument in once.events if name == "change"]
    assert [(each.docs_written, each.docs_read, each.last_seq, each.pending) for each in changes] == [
        (2, 2, 2, 3),
        (4, 4, 4, 1),
        (5, 5, 5, 0),
    ]
    assert [[doc._id for doc in each.docs] for each in changes] == [["a", "b"], ["c", "d"], ["e"]]
    assert set(changes[0]) == {
        "ok",
        "start_time",
        "docs_read",
        "docs_written",
        "doc_write_failures",
        "errors",
        "last_seq",
        "docs",
        "pending",
    }
    assert once.events[-1] == ("checkpoint", {"checkpoint": 5})
    again = run(source, target)
    again.end()
    assert again.names == [], "nothing was done, and nothing is told"


def test_the_events_of_a_live_one(run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB) -> None:
    live = run(source, target, live=True)
    assert live.replicator.state == "pending"
    live.rest()
    assert live.events == [("paused", None)]
    assert live.replicator.state == "paused"
    for number in (1, 2):
        source.put({"_id": str(number)})
        live.rest()
        assert live.names[1:] == ["active", "change", "checkpoint", "paused"] * number
    target.put({"_id": "other"})
    live.rest()
    assert live.names[1:] == ["active", "change", "checkpoint", "paused"] * 2
    live.steps.close()
    assert live.replicator.state == "cancelled"


def test_a_batch_of_several_transactions(
    run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pouchdb_core.replication.batch.BYTES", 1000)
    source.bulk_docs([{"_id": str(number), "text": "x" * 600} for number in range(4)])
    once = run(source, target)
    once.end()
    changes = [argument for name, argument in once.events if name == "change"]
    assert [(len(each.docs), each.docs_written, each.last_seq) for each in changes] == [
        (1, 1, 0),
        (1, 2, 0),
        (1, 3, 0),
        (1, 4, 4),
    ], "the seq is told when all up to it is done"


def test_pending_is_exact(run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": f"{number:03}"} for number in range(100)])
    once = run(source, target, batch_size=7)
    number = 0
    while once.step() is not None:
        name, change = once.events[-1]
        if name == "change":
            assert change.pending == once.replicator.pending == source.adapter.pending(change.last_seq)
            number += 1
            source.put({"_id": f"new{number}"})
            source.put({**source.get("099"), "n": number})


def test_pending_counts_what_a_filter_has_not_seen(
    run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB
) -> None:
    source.bulk_docs([{"_id": f"{number:02}"} for number in range(20)])
    once = run(source, target, batch_size=2, filter=lambda doc: int(doc["_id"]) % 5 == 0)
    pending = []
    while once.step() is not None:
        pending.append(once.replicator.pending)
    assert pending == sorted(pending, reverse=True)
    assert pending[-1] == 0


def test_checkpoints_are_told_as_they_are_written(
    run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB
) -> None:
    source.bulk_docs([{"_id": f"{number:02}"} for number in range(20)])
    once = run(source, target, batch_size=1)
    while once.step() is not None:
        once.time.seconds += 1
        told = [argument["checkpoint"] for name, argument in once.events if name == "checkpoint"]
        if told:
            [id] = target.adapter.local_ids("_local/py")
            assert target.get(id).source_last_seq == told[-1]
    assert told[-1] == 20
    assert 2 <= len(told) <= 9, "every five seconds, and at the end"


def test_batches_are_announced(run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB) -> None:
    """What PouchDB tells for each change, here once a batch; ``revs_diff`` where the target is asked."""
    source.bulk_docs([{"_id": id} for id in "abc"])
    once = run(source, target, batch_size=2)
    once.end()
    assert once.announced == [
        {"pending_batch": 2},
        {"start_next_batch": 2},
        {"pending_batch": 3},
        {"start_next_batch": 3},
    ], "an empty target is asked nothing"
    source.put({"_id": "d"})
    again = run(source, target)
    again.end()
    row = source.changes(since=3, style="all_docs").results[0]
    assert again.announced == [{"pending_batch": 4}, {"start_next_batch": 4}, {"revs_diff": row}]


def test_a_change_can_be_told_without_documents(
    run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB
) -> None:
    source.put({"_id": "a"})
    once = run(source, target)
    once.replicator.tells = False
    once.end()
    assert once.events[1][1].docs == []


# -- the handle ------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["live", "continuous"])
def test_a_handle(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, heard: Hear, option: str
) -> None:
    changes, complete, paused, cancel = heard(), heard(), heard(), heard()
    handle: Any = environment.replicate(source, target, **{option: True}, on_change=changes, complete=complete)
    handle.on("cancel", cancel)
    assert isinstance(handle, Replication)
    assert (handle.cancelled, handle["cancelled"]) == (False, False)
    for name in "on once addListener removeListener removeAllListeners setMaxListeners listeners emit cancel".split():
        assert name in handle
    for name in ("state", "pending", "last_seq", "attempt", "next_retry_at", "last_error", "denied_count"):
        assert name in handle
    assert "nonsense" not in handle
    handle.on("paused", paused)
    paused.wait()
    source.put({"_id": "a"})
    [change] = changes.wait()
    assert (change.docs_written, change.docs[0]._id) == (1, "a")
    paused.wait(2)
    assert (handle.state, handle.pending, handle.last_seq, handle.attempt) == ("paused", 0, 1, 0)
    assert handle["cancel"]() is None
    assert handle.cancelled
    result = handle.wait(SOON)
    assert (result.status, result.docs_written, result.last_seq, result.ok) == ("cancelled", 1, 1, True)
    assert complete.wait() == [(None, result)]
    assert cancel.wait() == [()]
    handle.cancel()
    settle(environment)
    assert len(complete.calls) == 1
    assert handle.state == "cancelled"
    same(source, target)


def test_an_error_of_a_handle(faults: Any, faulty: SyncEnvironment, heard: Hear) -> None:
    source, target = faulty["source"], faulty["target"]
    source.put({"_id": "a"})
    error = StorageError("broken")

    def fail(database: Any, request: Any) -> None:
        if database.name == "target":
            raise error

    faults.on_write = fail
    complete = heard()
    handle: Any = faulty.replicate(source, target, live=True, complete=complete)
    with pytest.raises(StorageError):
        handle.wait(SOON)
    assert complete.wait() == [(error, None)]
    assert (error.result.status, error.result.ok) == ("aborting", False)
    late = heard()
    handle.once("active", late)
    late.wait()
    assert (handle.state, handle.last_error, handle.cancelled) == ("failed", error, False)
    assert not faulty.engine.live
    assert not faulty.active_tasks()


def test_a_late_listener_is_given_what_was_kept(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, heard: Hear
) -> None:
    source.bulk_docs([{"_id": f"{number:02}"} for number in range(10)])
    paused = heard()
    handle: Any = environment.replicate(source, target, live=True, batch_size=2)
    handle.on("paused", paused)
    paused.wait()
    changes, checkpoints = heard(), heard()
    handle.on("change", changes).on("checkpoint", checkpoints)
    told = changes.until(lambda calls: calls and calls[-1].docs_written == 10)
    assert [each.docs_written for each in told] == [8, 10], "the newest, in order: each may hold megabytes"
    checkpoints.wait()
    source.put({"_id": "more"})
    assert changes.until(lambda calls: calls[-1].docs_written == 11)
    handle.cancel()


def test_events_come_in_order_however_late_the_listener(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, heard: Hear
) -> None:
    """Those that were kept come before those that come while the listener is being added."""
    handle: Any = environment.replicate(source, target, live=True)
    busy, go_on = threading.Event(), threading.Event()
    environment.engine.dispatcher.call(lambda: (busy.set(), go_on.wait(SOON)))
    assert busy.wait(SOON)
    for number in range(3):
        handle._tell("denied", number)
    listener = heard()
    handle.on("denied", listener)
    handle._tell("denied", 3)
    go_on.set()
    assert listener.wait(4) == [0, 1, 2, 3]
    once, rest = heard(), heard()
    for number in range(3):
        handle._tell("mine", number)
    handle.once("mine", once)
    once.wait()
    settle(environment)
    handle.on("mine", rest)
    assert (once.calls, rest.wait(2)) == ([0], [1, 2])
    handle.cancel()


def test_iterating(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": id} for id in "abcd"])
    handle: Any = environment.replicate(source, target, live=True, batch_size=2)
    seen = []
    for change in handle:
        seen.append(change.docs_written)
        if change.docs_written == 4:
            source.put({"_id": "e"})
        if change.docs_written == 5:
            handle.cancel()
    assert seen[-1] == 5
    assert handle.wait(SOON).status == "cancelled"
    assert list(handle) == []


def test_a_slow_listener_is_not_run_away_from(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, heard: Hear
) -> None:
    source.bulk_docs([{"_id": f"{number:02}"} for number in range(20)])
    inside, go_on = threading.Event(), threading.Event()
    counts: list[int] = []

    def slow(change: Any) -> None:
        if not counts:
            inside.set()
            go_on.wait(SOON)
        counts.append(change.docs_written)

    handle: Any = environment.replicate(source, target, live=True, batch_size=1, on_change=slow)
    assert inside.wait(SOON)
    with handle._stepping:
        assert handle._untold <= 3
    go_on.set()
    paused = heard()
    handle.on("paused", paused)
    paused.wait()
    settle(environment)
    assert counts == list(range(1, 21))
    handle.cancel()


def test_waiting_for_a_replication_in_a_listener(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, heard: Hear
) -> None:
    """The dispatcher waits, so that nothing can be told; it must end nevertheless."""
    done = heard()

    def listen(row: Any) -> None:
        handle: Any = environment.replicate(source, target, live=True, batch_size=1)
        source.adapter.subscribe(lambda: None)
        threading.Thread(target=lambda: (reached(handle), handle.cancel())).start()
        done(handle.wait(SOON))

    def reached(handle: Any) -> None:
        event = threading.Event()
        end = target.adapter.subscribe(event.set)
        while len(target) < 20:
            event.wait(SOON)
            event.clear()
        end()

    source.bulk_docs([{"_id": f"{number:02}"} for number in range(19)])
    feed: Any = source.live_changes().on("change", listen)
    source.put({"_id": "go"})
    [result] = done.wait()
    assert result.docs_written == 20
    feed.cancel()


def test_cancel_from_a_listener(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, heard: Hear
) -> None:
    source.bulk_docs([{"_id": f"{number:02}"} for number in range(50)])
    handle: Any = environment.replicate(
        source, target, live=True, batch_size=1, on_change=lambda change: handle.cancel()
    )
    result = handle.wait(SOON)
    assert result.status == "cancelled"
    assert 1 <= result.docs_written < 50
    assert environment.replicate(source, target).docs_written == 50 - result.docs_written


def test_cancelled_before_it_began(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    for _ in range(20):
        handle: Any = environment.replicate(source, target, live=True)
        handle.cancel()
        assert handle.wait(SOON).status == "cancelled"
    assert not environment.engine.live
    assert not environment.engine.replicators


@pytest.mark.parametrize("how", ["close source", "close target", "destroy target", "environment"])
def test_the_end_of_a_side_ends_it_with_a_checkpoint(tmp_path: Path, heard: Hear, how: str) -> None:
    with pouchdb.setup(tmp_path / "a", plugins=[]) as environment, pouchdb.setup(tmp_path / "b", plugins=[]) as other:
        source, target = environment["source"], other["target"]
        source.bulk_docs([{"_id": "a"}, {"_id": "b"}])
        paused, complete = heard(), heard()
        handle: Any = source.replicate_to(target, live=True, complete=complete).on("paused", paused)  # type: ignore[attr-defined]
        paused.wait()
        if how == "environment":
            other.close()
        else:
            what, side = how.split()
            getattr({"source": source, "target": target}[side], what)()
        assert handle.wait(SOON).status == "cancelled"
        [(error, result)] = complete.wait()
        assert error is None
        assert result.docs_written == 2


def test_databases_that_nobody_keeps_go_on(environment: SyncEnvironment, heard: Hear) -> None:
    environment["source"].put({"_id": "a"})
    changes = heard()
    environment.replicate("source", "target", live=True, on_change=changes)
    gc.collect()
    changes.wait()
    environment["source"].put({"_id": "b"})
    gc.collect()
    changes.wait(2)


def test_many_replications_share_a_few_threads(environment: SyncEnvironment, source: SyncPouchDB, heard: Hear) -> None:
    paused = heard()
    handles: list[Any] = [
        environment.replicate("source", f"t{number}", live=True).on("paused", paused)  # type: ignore[attr-defined]
        for number in range(30)
    ]
    paused.wait(30)
    source.put({"_id": "a"})
    paused.wait(60)
    assert environment.engine.workers.threads <= 8
    for number, handle in enumerate(handles):
        assert "a" in environment[f"t{number}"]
        handle.cancel()
    for handle in handles:
        handle.wait(SOON)


# -- sync ------------------------------------------------------------------------------------------


def test_sync_once(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": "a"}, {"_id": "both", "of": "source"}])
    target.bulk_docs([{"_id": "b"}, {"_id": "both", "of": "target"}])
    told: list[Any] = []
    completed: list[Any] = []
    result = source.sync(
        "target",
        on_change=told.append,
        complete=lambda error, result: completed.append((error, result)),
        push={"batch_size": 1},
    )
    assert set(result) == {"push", "pull"}
    assert (result.push.docs_written, result.pull.docs_written) == (2, 2)
    assert [(each.direction, each.change.docs_written) for each in told] == [("push", 1), ("push", 2), ("pull", 2)]
    assert completed == [(None, result)]
    same(source, target)
    assert source.sync(target).push.docs_written == 0


def test_complete_is_told_of_the_error_of_a_call_that_blocks(
    environment: SyncEnvironment, source: SyncPouchDB, heard: Hear
) -> None:
    source.put({"_id": "a"})

    def broken(doc: Any) -> bool:
        raise ValueError("on purpose")

    for call in (
        lambda complete: environment.replicate(source, "target", filter=broken, complete=complete),
        lambda complete: source.sync("target", filter=broken, complete=complete),
        lambda complete: source.changes(filter=broken, complete=complete),
    ):
        complete = heard()
        with pytest.raises(ValueError, match="on purpose") as caught:
            call(complete)
        assert complete.calls == [(caught.value, None)]


def test_cancelled_before_its_first_step(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    replicator = environment.engine.plugins.replicate(environment, Replicate(source, target, live=True))
    handle = Replication(
        replicator, lambda wake: lambda: None, environment._calls, environment.engine.dispatcher, Runner("none", 0)
    )
    handle.cancel()
    assert handle.wait(SOON).status == handle.state == "cancelled"


def test_both_callbacks(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    told: list[str] = []

    def one(error: Any, result: Any) -> None:
        told.append("one")

    def two(error: Any, result: Any) -> None:
        told.append("two")

    environment.sync(source, target, callback=one, complete=one)
    environment.sync(source, target, callback=one, complete=two)
    assert sorted(told) == ["one", "one", "two"]


def test_sync_live(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, heard: Hear) -> None:
    source.put({"_id": "a"})
    changes, paused, active, complete = heard(), heard(), heard(), heard()
    handle: Any = source.sync(target, live=True, on_change=changes, complete=complete)
    assert isinstance(handle, Sync)
    handle.on("paused", paused).on("active", active)
    assert (handle.canceled, handle["canceled"], handle.cancelled) == (False, False, False)
    assert handle.push.source.name == "source"
    assert handle.pull.source.name == "target"
    changes.wait()
    paused.wait()
    # Events from before their listener are delivered once it is there, the latest of them: perhaps after `paused`,
    # and of the pull, which looks at what the push has written.
    assert active.wait()[0] in ({"direction": "push"}, {"direction": "pull"})
    target.put({"_id": "b"})
    told = changes.until(lambda calls: any(each.direction == "pull" for each in calls))
    assert [(each.direction, [doc._id for doc in each.change.docs]) for each in told] == [
        ("push", ["a"]),
        ("pull", ["b"]),
    ], "what came from there is not sent back"
    handle.cancel()
    result = handle.wait(SOON)
    assert result.status == "cancelled"
    assert (result.push.docs_written, result.pull.docs_written) == (1, 1)
    assert (result.push.status, result.pull.status) == ("cancelled", "cancelled")
    assert complete.wait() == [(None, result)]
    assert handle.canceled
    same(source, target)


def test_paused_comes_when_both_are(run: Callable[..., Any], environment: SyncEnvironment, heard: Hear) -> None:
    source, target = environment["source"], environment["target"]
    handle: Any = environment.sync(source, target, live=True)
    first = heard()
    handle.on("paused", first)
    first.wait()
    paused = heard()
    handle.remove_all_listeners("paused").on("paused", paused)
    handle.push._tell("active")
    handle.push._tell("paused", None)
    settle(environment)
    assert paused.calls == [None]
    handle.push._tell("active")
    handle.pull._tell("active")
    handle.push._tell("paused", None)
    settle(environment)
    assert len(paused.calls) == 1
    handle.pull._tell("paused", None)
    settle(environment)
    assert len(paused.calls) == 2
    error = StorageError("again")
    handle.push._tell("paused", error)
    settle(environment)
    assert paused.calls[-1] is error, "with the error of one that tries again"
    handle.cancel()


def test_an_error_in_one_direction_ends_the_other(faults: Any, faulty: SyncEnvironment, heard: Hear) -> None:
    source, target = faulty["source"], faulty["target"]
    paused, errors = heard(), heard()
    handle: Any = source.sync(target, live=True)
    handle.on("paused", paused).on("error", errors)
    paused.wait()
    error = StorageError("broken")

    def fail(database: Any, request: Any) -> None:
        if database.name == "target" and request.purpose == "replication":
            raise error

    faults.on_write = fail
    source.put({"_id": "a"})
    with pytest.raises(StorageError):
        handle.wait(SOON)
    assert errors.wait() == [error]
    assert handle.pull.wait(SOON).status == "cancelled"
    assert not faulty.engine.live


def test_cancelling_one_direction_ends_the_other(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    handle: Any = environment.sync(source, target, live=True)
    handle.push.cancel()
    assert handle.wait(SOON).pull.status == "cancelled"


def test_options_of_one_direction(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    target.bulk_docs([{"_id": "c"}, {"_id": "d"}])
    result = source.sync(target, push={"doc_ids": ["a"]}, pull={"filter": lambda doc: doc["_id"] == "d"})
    assert (result.push.docs_written, result.pull.docs_written) == (1, 1)
    assert (set(source), set(target)) == ({"a", "b", "d"}, {"a", "c", "d"})


def test_denied_in_a_sync(guard: Any, guarded: SyncEnvironment, heard: Hear) -> None:
    source = guarded["source"]
    source.put({"_id": "a"})
    guard.judge = lambda doc: Forbidden("no")
    denied = heard()
    handle: Any = source.sync("target", live=True)
    handle.on("denied", denied)
    [told] = denied.wait()
    assert (told.direction, told.doc.id, told.doc.name) == ("push", "a", "forbidden")
    handle.cancel()


def test_three_databases_in_a_ring(environment: SyncEnvironment, heard: Hear) -> None:
    names = ["one", "two", "three"]
    databases = [environment[name] for name in names]
    for number, database in enumerate(databases):
        database.put({"_id": "same", "of": number})
    changes = heard()
    handles: list[Any] = [
        environment.sync(names[number], names[(number + 1) % 3], live=True, on_change=changes) for number in range(3)
    ]
    for number, database in enumerate(databases):
        database.bulk_docs([{"_id": f"{number}{place}"} for place in range(5)])

    def equal(calls: list[Any]) -> bool:
        return len(databases[0]) == 16 and leaves(databases[0]) == leaves(databases[1]) == leaves(databases[2])

    changes.until(equal)
    for handle in handles:
        handle.cancel()
        handle.wait(SOON)
    same(databases[0], databases[1])
    same(databases[1], databases[2])
    assert len(databases[0].get("same", conflicts=True)._conflicts) == 2


# -- status ----------------------------------------------------------------------------------------


def test_status_while_it_runs_and_afterwards(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, heard: Hear
) -> None:
    assert source.sync_status() == {"update_seq": 0, "replications": []}
    source.put({"_id": "a"})
    paused = heard()
    handle: Any = environment.replicate(source, target, live=True).on("paused", paused)  # type: ignore[attr-defined]
    paused.wait()
    for database in (source, target):
        [entry] = database.sync_status().replications
        assert (entry.source, entry.target, entry.live, entry.state, entry.pending) == (
            "source",
            "target",
            True,
            "paused",
            0,
        )
        assert (entry.denied, entry.attempt, entry.next_retry_at, entry.last_error) == (0, 0, None, None)
    handle.cancel()
    handle.wait(SOON)
    source.bulk_docs([{"_id": "b"}, {"_id": "c"}])
    [entry] = source.sync_status().replications
    assert entry == {
        "id": entry.id,
        "source": "source",
        "target": "target",
        "state": "stopped",
        "last_seq": 1,
        "denied": 0,
        "pending": 2,
    }
    assert "pending" not in target.sync_status().replications[0], "only the source knows"
    assert environment["other"].sync_status().replications == []


def test_what_is_pending_is_counted_while_it_waits_to_try_again(
    faults: Any, faulty: SyncEnvironment, heard: Hear
) -> None:
    source, target = faulty["source"], faulty["target"]
    source.put({"_id": "a"})
    error = StorageError("away")

    def fail(database: Any, request: Any) -> None:
        if database.name == "target":
            raise error

    faults.on_write = fail
    asked, paused = heard(), heard()
    handle: Any = faulty.replicate(source, target, live=True, retry=True, back_off_function=lambda delay: 60_000)
    handle.on("requestError", asked).on("paused", paused)
    assert paused.wait() == asked.wait() == [error]
    assert (handle.state, handle.pending) == ("pending", 1)
    source.bulk_docs([{"_id": "b"}, {"_id": "c"}])
    [entry] = source.sync_status().replications
    assert (handle.pending, entry.pending, entry.state) == (3, 3, "pending")
    handle.cancel()
    handle.wait(SOON)
    assert handle.pending == 1, "as it was known"


def test_how_many_were_denied(guard: Any, guarded: SyncEnvironment) -> None:
    guard.judge = lambda doc: Forbidden("no") if doc["_id"] < "c" else None
    source = guarded["source"]
    source.bulk_docs([{"_id": id} for id in "abcd"])
    handle: Any = guarded.replicate(source, "target", live=True)
    assert handle.idle(SOON) is True
    assert (handle.denied_count, handle.pending, sorted(guarded["target"])) == (2, 0, ["c", "d"])
    assert source.sync_status().replications[0].denied == 2
    handle.cancel()
    assert handle.denied_count == 2


# -- waiting until it is up to date ----------------------------------------------------------------


def test_idle_waits_for_what_was_written_before(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    handle: Any = environment.replicate(source, target, live=True, batch_size=10)
    for number in range(20):
        source.bulk_docs([{"_id": f"{number}-{each}"} for each in range(number)])
        assert handle.idle(SOON) is True
        assert target.info().doc_count == source.info().doc_count
    handle.cancel()
    assert handle.idle(SOON) is False


def test_idle_of_a_sync_waits_for_both(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    handle: Any = environment.sync(source, target, live=True)
    for number in range(10):
        source.put({"_id": f"s{number}"})
        target.put({"_id": f"t{number}"})
        assert handle.idle(SOON) is True
        assert list(source) == list(target)
    called = threading.Event()
    handle.on_idle(called.set)
    assert called.wait(SOON)
    handle.cancel()
    assert handle.idle(SOON) is False


def test_idle_by_a_listener(environment: SyncEnvironment, source: SyncPouchDB, heard: Hear) -> None:
    """Changes are not held back for a listener that waits here."""
    source.bulk_docs([{"_id": f"{number:02}"} for number in range(50)])
    answers = heard()
    handle: Any = environment.sync(source, "target", live=True, batch_size=1)
    handle.once("change", lambda told: answers(handle.idle(SOON)))
    assert answers.wait() == [True]
    assert environment["target"].info().doc_count == 50
    handle.cancel()


@pytest.mark.parametrize("way", ["replicate", "sync"])
def test_idle_ends_with_what_ends_the_replication(faults: Any, faulty: SyncEnvironment, way: str) -> None:
    source, target = faulty["source"], faulty["target"]
    source.put({"_id": "a"})
    go = threading.Event()

    def fail(database: Any, request: Any) -> None:
        if database.name == "target":
            assert go.wait(SOON)
            raise StorageError("away")

    faults.on_write = fail
    handle: Any = getattr(faulty, way)(source, target, live=True)
    with pytest.raises(TimeoutError, match=r"not up to date after 0\.01 seconds"):
        handle.idle(0.01)
    go.set()
    with pytest.raises(StorageError, match="away"):
        handle.idle(SOON)


def test_status_of_a_one_shot_while_it_runs(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    source.bulk_docs([{"_id": id} for id in "abcd"])
    told: list[Any] = []

    def look(change: Any) -> None:
        told.append(source.sync_status().replications[0])
        assert environment.active_tasks()[0].name == "replication from source to target"
        assert environment.active_tasks()[0].total_items == 4

    environment.replicate(source, target, batch_size=2, on_change=look)
    assert [(each.state, each.pending, each.last_seq) for each in told] == [("active", 2, 2), ("active", 0, 4)]
    assert source.sync_status().replications[0].state == "stopped"


def test_status_after_a_restart(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        environment["source"].put({"_id": "a"})
        environment.sync("source", "target")
        environment["source"].put({"_id": "b"})
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        status = environment["source"].sync_status()
        assert status.update_seq == 2
        assert {(each.source, each.target, each.state, each.get("pending")) for each in status.replications} == {
            ("source", "target", "stopped", 1),
            ("target", "source", "stopped", None),
        }


def test_hook_replicate() -> None:
    """A plug-in may refuse a replication, and sees its request."""

    class Refuses:
        @pouchdb.hookimpl(wrapper=True)
        def pouchdb_replicate(self, environment: Any, request: Any) -> Any:
            if request.target.name == "private":
                raise NotFound("nothing is replicated to here")
            replicator = yield
            replicator.tells = False
            return replicator

    with pouchdb.setup(":memory:", plugins=[Refuses()]) as environment:
        environment["source"].put({"_id": "a"})
        for options in ({}, {"live": True}):
            with pytest.raises(NotFound, match="nothing is replicated to here"):
                environment.replicate("source", "private", **options)  # type: ignore[arg-type]
        assert environment.replicate("source", "public").docs_written == 1
