"""Documents that the target refuses: denied, recorded, tried again, never skipped for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment
from pouchdb_core.errors import DocValidation, Forbidden, PouchDBError, StorageError, Unauthorized

from .conftest import revision, same


def forbids(*ids: str, error: Callable[[str], PouchDBError] = Forbidden) -> Callable[[Any], Any]:
    return lambda doc: error(f"not {doc['_id']}") if doc["_id"] in ids else None


@pytest.mark.parametrize(
    ("error", "name", "denied"),
    [(Forbidden, "forbidden", True), (Unauthorized, "unauthorized", True), (DocValidation, "doc_validation", False)],
)
def test_a_refused_document_is_told_and_the_others_go_on(
    guard: Any, guarded: SyncEnvironment, run: Callable[..., Any], error: Any, name: str, denied: bool
) -> None:
    source, target = guarded["source"], guarded["target"]
    source.bulk_docs([{"_id": id} for id in "abc"])
    guard.judge = forbids("b", error=error)
    once = run(source, target)
    result = once.end()
    assert (result.docs_read, result.docs_written, result.doc_write_failures) == (3, 2, 1)
    assert result.ok is denied, "denied is not a failure of the replication"
    [told] = result.errors
    assert (told.id, told.name, told.message, told.rev) == ("b", name, "not b", source.get("b")._rev)
    assert [argument for event, argument in once.events if event == "denied"] == ([told] if denied else [])
    [change] = [argument for event, argument in once.events if event == "change"]
    assert [doc._id for doc in change.docs] == ["a", "c"]
    assert target.sync_status().replications[0].denied == 1
    assert source.sync_status().replications[0].denied == 1


def test_every_run_tries_again(guard: Any, guarded: SyncEnvironment) -> None:
    source, target = guarded["source"], guarded["target"]
    source.bulk_docs([{"_id": id} for id in "abc"])
    guard.judge = forbids("a", "b")
    assert guarded.replicate(source, target).doc_write_failures == 2
    again = guarded.replicate(source, target)
    assert (again.docs_read, again.docs_written, again.doc_write_failures, len(again.errors)) == (2, 0, 2, 2)
    guard.judge = forbids("b")
    assert guarded.replicate(source, target).docs_written == 1
    guard.judge = forbids()
    assert guarded.replicate(source, target).docs_written == 1
    assert guarded.replicate(source, target).docs_read == 0
    assert target.sync_status().replications[0].denied == 0
    same(source, target)


def test_the_same_refusals_write_no_checkpoint(guard: Any, guarded: SyncEnvironment) -> None:
    source, target = guarded["source"], guarded["target"]
    source.put({"_id": "a"})
    guard.judge = forbids("a")
    guarded.replicate(source, target)
    [id] = target.adapter.local_ids("_local/py")
    before = target.get(id)
    guarded.replicate(source, target)
    assert target.get(id) == before


@pytest.mark.parametrize("how", ["edited", "deleted", "purged", "conflict", "sent otherwise"])
def test_a_refused_revision_that_is_no_more(guard: Any, guarded: SyncEnvironment, how: str) -> None:
    source, target = guarded["source"], guarded["target"]
    rev = source.put({"_id": "a"})["rev"]
    guard.judge = forbids("a")
    guarded.replicate(source, target)
    guard.judge = forbids()
    if how == "edited":
        source.put({"_id": "a", "_rev": rev, "n": 2})
    elif how == "deleted":
        source.remove("a", rev)
    elif how == "purged":
        source.purge("a", rev)
    elif how == "conflict":
        revision(source, "a", "1-0", v=0)
    else:
        revision(target, "a", rev)
    guarded.replicate(source, target)
    assert target.sync_status().replications[0].denied == 0
    assert guarded.replicate(source, target).docs_read == 0
    same(source, target)


def test_a_live_replication_tries_again_by_itself(
    guard: Any, guarded: SyncEnvironment, run: Callable[..., Any]
) -> None:
    source, target = guarded["source"], guarded["target"]
    source.bulk_docs([{"_id": id} for id in "ab"])
    guard.judge = forbids("b")
    live = run(source, target, live=True)
    delays = []
    for _ in range(4):
        delay = live.rest()
        assert delay is not None
        delays.append(delay)
        live.time.seconds += delay
    assert delays == [1.0, 2.0, 4.0, 8.0], "more and more seldom"
    assert live.names.count("denied") == 1, "told once"
    assert live.replicator.progress.doc_write_failures == 1
    guard.judge = forbids()
    assert live.rest() is None
    assert live.names[-3:] == ["change", "checkpoint", "paused"] or "change" in live.names[-4:]
    assert len(live.replicator.refused) == 0
    same(source, target)
    live.steps.close()


def test_writes_do_not_put_the_next_try_off(guard: Any, guarded: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = guarded["source"], guarded["target"]
    source.put({"_id": "bad"})
    guard.judge = forbids("bad")
    live = run(source, target, live=True)
    live.rest()
    guard.judge = forbids()
    for number in range(10):
        live.time.seconds += 0.2
        source.put({"_id": str(number)})
        live.rest()
    assert "bad" in target
    live.steps.close()


def test_more_than_a_checkpoint_remembers(guard: Any, guarded: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = guarded["source"], guarded["target"]
    source.bulk_docs([{"_id": f"{number:04}"} for number in range(1500)])
    guard.judge = lambda doc: Forbidden("no") if int(doc["_id"]) >= 200 else None
    once = run(source, target, batch_size=100)
    result = once.end()
    assert (result.docs_written, result.doc_write_failures, len(result.errors)) == (200, 1300, 100)
    assert len(once.replicator.refused) == 1000, "bounded in memory too"
    [id] = target.adapter.local_ids("_local/py")
    checkpoint = target.get(id)
    assert checkpoint.source_last_seq == 1200, "it stays before the first that it cannot remember"
    assert sum(map(len, checkpoint.denied.values())) == 1000
    again = guarded.replicate(source, target)
    assert again.doc_write_failures == 1300
    guard.judge = lambda doc: None
    last = guarded.replicate(source, target)
    assert (last.docs_written, last.doc_write_failures) == (1300, 0)
    same(source, target)
    assert guarded.replicate(source, target).docs_read == 0


def test_more_than_it_remembers_while_live(guard: Any, guarded: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = guarded["source"], guarded["target"]
    source.bulk_docs([{"_id": f"{number:04}"} for number in range(1200)])
    guard.judge = lambda doc: Forbidden("no")
    live = run(source, target, live=True, batch_size=100)
    delay = live.rest()
    guard.judge = lambda doc: None
    live.time.seconds += delay
    while len(live.replicator.refused) or len(target) < 1200:
        delay = live.rest()
        live.time.seconds += delay or 0
    same(source, target)
    live.steps.close()


def test_the_list_of_errors_keeps_the_newest_hundred(guard: Any, guarded: SyncEnvironment) -> None:
    source = guarded["source"]
    source.bulk_docs([{"_id": f"{number:03}"} for number in range(130)])
    for count in (1, 49, 50, 60, 99, 100, 101, 130):
        guard.judge = lambda doc, count=count: Forbidden("no") if int(doc["_id"]) < count else None
        guarded.destroy("target")
        result = guarded.replicate(source, "target")
        kept = [each.id for each in result.errors]
        assert kept == [f"{number:03}" for number in range(max(0, count - 100), count)], count


def test_a_checkpoint_that_the_target_forbids_is_an_error(faults: Any, faulty: SyncEnvironment) -> None:
    source, target = faulty["source"], faulty["target"]
    source.put({"_id": "a"})

    def forbid(database: Any, request: Any) -> None:
        if database.name == "target" and str(request.docs[0]["_id"]).startswith("_local/"):
            raise Forbidden("no local documents")

    faults.on_write = forbid
    with pytest.raises(Forbidden) as caught:
        faulty.replicate(source, target)
    assert caught.value.result.docs_written == 1
    assert faulty.replicate(source, target, checkpoint="source").ok


def test_a_read_only_source(faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = faulty["source"], faulty["target"]
    source.bulk_docs([{"_id": id} for id in "abc"])

    def forbid(database: Any, request: Any) -> None:
        if database.name == "source":
            raise Forbidden("read only")

    faults.on_write = forbid
    assert faulty.replicate(source, target).docs_written == 3
    again = run(source, target)
    assert again.end().docs_read == 0
    assert again.replicator.progress.missing_checked == 0, "the target's word is enough"
    faults.on_write = lambda database, request: None
    source.put({"_id": "d"})
    assert faulty.replicate(source, target).docs_written == 1


@pytest.mark.parametrize("options", [{"checkpoint": False}, {"since": 1}, {"checkpoint": False, "since": 1}])
@pytest.mark.parametrize("held", [1000, 1])
def test_what_was_refused_before_an_error_is_not_forgotten(
    faults: Any,
    faulty: SyncEnvironment,
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    options: Any,
    held: int,
) -> None:
    """Also where it goes on from what it has in memory, not from a checkpoint."""
    monkeypatch.setattr("pouchdb_core.replication.replication_progress.HELD", held)
    source, target = faulty["source"], faulty["target"]
    source.bulk_docs([{"_id": id} for id in ("first", "bad", "good", "worse", "last")])
    faults.guard = forbids("bad", "worse")

    def fail(database: Any, request: Any) -> None:
        if database.name == "target" and any(getattr(doc, "get", {}.get)("_id") == "last" for doc in request.docs):
            faults.on_write, faults.guard = lambda database, request: None, None
            raise StorageError("away")

    faults.on_write = fail
    once = run(source, target, batch_size=1, retry=True, **options)
    assert once.end().status == "complete"
    assert sorted(target) == sorted(id for id in source if id != "first" or "since" not in options)
