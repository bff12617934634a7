"""Common ancestors and checkpoint documents (spec: replication 4.2)."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import StorageError
from pouchdb_core.replication.checkpoint_document import common_ancestor, refused_revisions
from pouchdb_core.replication.lives import Epoch

from .conftest import same


def document(*sessions: tuple[str, Any]) -> dict[str, Any]:
    """A checkpoint in CouchDB's form, newest session first."""
    history = [{"session_id": session, "recorded_seq": seq} for session, seq in sessions]
    head = {"session_id": sessions[0][0], "source_last_seq": sessions[0][1]} if sessions else {}
    return {**head, "history": history}


def agreed(source: Any, target: Any) -> Any:
    found = common_ancestor(source, target)
    return None if found is None else (found["session_id"], found["recorded_seq"])


GOLDEN: dict[str, tuple[Any, Any, Any]] = {
    "equal sessions": (document(("b", 9), ("a", 4)), document(("b", 9), ("a", 4)), ("b", 9)),
    "both empty": (document(), document(), None),
    "source has none": (None, document(("a", 4)), None),
    "target has none": (document(("a", 4)), None, None),
    "no common session": (document(("b", 9)), document(("a", 4)), None),
    "source's newest is older on the target": (document(("b", 9)), document(("c", 12), ("b", 9)), ("b", 9)),
    "target's newest is older on the source": (document(("c", 12), ("b", 9)), document(("b", 9)), ("b", 9)),
    "both walk": (document(("x", 20), ("b", 9), ("a", 4)), document(("y", 30), ("b", 9), ("a", 4)), ("b", 9)),
    "source walks two": (document(("z", 30), ("y", 20), ("a", 4)), document(("a", 4)), ("a", 4)),
    "target walks two": (document(("a", 4)), document(("z", 30), ("y", 20), ("a", 4)), ("a", 4)),
    "killed between both sides": (document(("b", 5)), document(("b", 9)), ("b", 5)),
    "target restored in the middle of a session": (document(("b", 9)), document(("b", 5)), ("b", 5)),
    "target restored, then a session that was killed": (document(("a", 9)), document(("b", 7), ("a", 5)), ("a", 5)),
    "CouchDB's seqs": (document(("b", "9-g1AAAA")), document(("b", "5-g1AAAB")), ("b", "5-g1AAAB")),
    "BigCouch's seqs": (document(("b", [9, "x"])), document(("b", [5, "y"])), ("b", [5, "y"])),
    "seqs that nobody can compare": (document(("b", "x")), document(("b", "y")), ("b", "x")),
    "PouchDB's form": (
        {"session_id": "b", "last_seq": 9, "history": [{"session_id": "b", "last_seq": 9}]},
        {"session_id": "b", "last_seq": 9, "history": [{"session_id": "b", "last_seq": 9}]},
        ("b", 9),
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_common_ancestor(case: str) -> None:
    source, target, expected = GOLDEN[case]
    before = copy.deepcopy((source, target))
    assert agreed(source, target) == expected
    assert (source, target) == before


NONSENSE = [0, 1.5, -1, True, None, "", "x", [], [1], {}, {"a": 1}, [None], ["x"], [{}], [{"session_id": 5}], [[[]]]]


@pytest.mark.parametrize("member", ["session_id", "source_last_seq", "history"])
@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_nonsense_is_as_if_it_were_not_there(member: str, side: str) -> None:
    good = document(("b", 9), ("a", 4))
    for value in NONSENSE:
        bad = {**good, member: value}
        found = agreed(bad if side != "target" else good, bad if side != "source" else good)
        # What may be a seq is one: 0, text, and CouchDB's lists.
        assert found in [("b", 9), ("a", 4), None, ("b", 0), ("b", "x"), ("b", [1]), ("x", 9)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=2),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["session_id", "source_last_seq", "history", "recorded_seq", "denied"]), inner
            )
        ),
        max_leaves=20,
    )
)
def test_no_document_is_a_crash(document_: Any) -> None:
    good = document(("b", 9), ("a", 4))
    for pair in ((document_, good), (good, document_), (document_, document_)):
        agreed(*pair)
    refused_revisions(document_)


def naive(source: list[tuple[str, int]], target: list[tuple[str, int]]) -> Any:
    """CouchDB's rule, as its documentation has it, over lists of (session, seq)."""
    if not source or not target:
        return None
    mine, theirs = dict(source), dict(target)
    for session, _ in (pair for pairs in _walk(source, target) for pair in pairs):
        if session in mine and session in theirs:
            return session, min(mine[session], theirs[session])
    return None


def _walk(source: list[Any], target: list[Any]) -> Any:
    while source and target:
        ahead = {session for session, _ in target}
        yield [source[0]] if source[0][0] in ahead else []
        behind = {session for session, _ in source[1:]}
        yield [target[0]] if target[0][0] in behind else []
        source, target = source[1:], target[1:]


@given(st.data())
def test_against_a_naive_reference(data: Any) -> None:
    names = data.draw(st.lists(st.sampled_from("abcdefgh"), unique=True))
    chooser = random.Random(data.draw(st.integers(0, 1000)))

    def history() -> list[tuple[str, int]]:
        kept = [name for name in names if chooser.random() < 0.6]
        return [(name, chooser.randrange(100)) for name in kept]

    source, target = history(), history()
    expected = naive(source, target)
    assert agreed(document(*source), document(*target)) == expected


# -- epochs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epoch", "seq", "covered"),
    [
        ("now", 100, True),
        ("before", 10, True),
        ("before", 11, False),
        ("first", 3, True),
        ("first", 4, False),
        ("other", 1, False),
        (None, 1, False),
        (["x"], 1, False),
        ("before", "10", False),
    ],
)
def test_what_an_epoch_covers(epoch: Any, seq: Any, covered: bool) -> None:
    former = [{"epoch": "first", "seq": 3}, {"epoch": "before", "seq": 10}]
    assert Epoch({"epoch": "now", "former_epochs": former}).covers(epoch, seq) is covered
    assert Epoch({}).covers(epoch, seq), "who has no epochs is believed"


# -- the documents ---------------------------------------------------------------------------------


def checkpoint(database: SyncPouchDB) -> Any:
    [id] = database.adapter.local_ids("_local/py")
    return database.get(id)


def test_a_checkpoint_has_couchdbs_form(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    result = environment.replicate(source, target)
    found = checkpoint(source)
    theirs = checkpoint(target)
    assert (found.side, theirs.side) == ("source", "target")
    assert {**found, "_rev": "", "side": ""} == {**theirs, "_rev": "", "side": ""}
    [entry] = found.history
    assert found.session_id == entry.session_id
    assert len(found.session_id) == 32
    assert (found.source_last_seq, found.replication_id_version) == (2, 1)
    assert entry == {
        "session_id": found.session_id,
        "start_time": result.start_time,
        "end_time": entry.end_time,
        "start_last_seq": 0,
        "end_last_seq": 2,
        "recorded_seq": 2,
        "missing_checked": 2,
        "missing_found": 2,
        "docs_read": 2,
        "docs_written": 2,
        "doc_write_failures": 0,
        "epoch": source.info().epoch,
        "target_epoch": target.info().epoch,
    }
    assert entry.start_time.endswith(" GMT")
    assert entry.end_time.endswith(" GMT")


def test_the_newest_session_comes_first_and_fifty_are_kept(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    sessions = []
    for number in range(53):
        source.put({"_id": f"{number:02}"})
        environment.replicate(source, target)
        sessions.insert(0, checkpoint(source).session_id)
    for database in (source, target):
        assert [each.session_id for each in checkpoint(database).history] == sessions[:50]
        assert [each.recorded_seq for each in checkpoint(database).history][:2] == [53, 52]


def test_the_entry_of_the_running_session_is_replaced(
    run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB
) -> None:
    live = run(source, target, live=True)
    for number in range(5):
        source.put({"_id": str(number)})
        live.rest()
        assert len(checkpoint(target).history) == 1
        assert checkpoint(target).source_last_seq == checkpoint(source).source_last_seq == number + 1
    live.steps.close()


def test_nothing_new_writes_nothing(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    assert environment.replicate(source, target).last_seq == 0
    assert not source.adapter.local_ids("_local/py")
    source.put({"_id": "a"})
    environment.replicate(source, target)
    before = checkpoint(source), checkpoint(target)
    for _ in range(3):
        environment.replicate(source, target)
    assert (checkpoint(source), checkpoint(target)) == before


@pytest.mark.parametrize("member", ["session_id", "source_last_seq", "history", "denied", "source_epoch", "source_id"])
def test_nonsense_in_the_document_is_a_full_run(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, member: str
) -> None:
    source.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    for number, value in enumerate(NONSENSE):
        environment.replicate(source, target)
        for database in (source, target):
            doc = checkpoint(database)
            doc[member] = value
            if member in ("session_id", "source_last_seq"):
                doc["history"] = [{**doc["history"][0], member.replace("source_last", "recorded"): value}]
            database.put(doc)
        source.put({"_id": str(number)})
        assert source.sync_status().replications[0].state == "stopped"
        assert environment.replicate(source, target).ok
        assert target.info().doc_count == 3 + number
        assert type(checkpoint(target).source_last_seq) is int
    assert environment.replicate(source, target).docs_read == 0


@pytest.mark.parametrize("side", ["source", "target"])
def test_one_side_lost_its_checkpoint(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, run: Callable[..., Any], side: str
) -> None:
    source.bulk_docs([{"_id": str(number)} for number in range(5)])
    environment.replicate(source, target)
    database = {"source": source, "target": target}[side]
    database.remove(checkpoint(database))
    again = run(source, target)
    again.end()
    assert again.replicator.progress.missing_checked == 5, "a full run"
    assert again.result.docs_read == 0
    assert run(source, target).end().docs_read == 0
    assert checkpoint(source).session_id == checkpoint(target).session_id


@pytest.mark.parametrize("sides", ["source", "target", False])
def test_where_a_checkpoint_is_kept(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, run: Callable[..., Any], sides: Any
) -> None:
    source.bulk_docs([{"_id": str(number)} for number in range(5)])
    environment.replicate(source, target, checkpoint=sides)
    kept = {name for name in ("source", "target") if environment[name].adapter.local_ids("_local/py")}
    assert kept == ({sides} if sides else set())
    again = run(source, target, checkpoint=sides)
    again.end()
    assert again.replicator.progress.missing_checked == (0 if sides else 5)


def test_two_runs_of_one_pair_at_once(run: Callable[..., Any], source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": f"{number:02}"} for number in range(20)])
    first, second = run(source, target, batch_size=3), run(source, target, batch_size=4)
    alive = [first, second]
    while alive:
        for each in list(alive):
            if each.step() is None:
                alive.remove(each)
            each.time.seconds += 3
    assert first.result.ok
    assert second.result.ok
    assert target.info().doc_count == 20
    # Each keeps the other's session in the history, so that both sides agree afterwards.
    assert run(source, target).end().docs_read == 0
    histories = [[each.session_id for each in checkpoint(database).history] for database in (source, target)]
    assert set(histories[0][:2]) & set(histories[1][:2])


def test_a_checkpoint_that_somebody_else_writes_all_the_time(
    faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]
) -> None:
    source, target = faulty["source"], faulty["target"]
    source.put({"_id": "a"})
    busy = [True]

    def interfere(database: Any, request: Any) -> None:
        id = request.docs[0].get("_id", "") if isinstance(request.docs[0], dict) else ""
        if busy[0] and id.startswith("_local/py"):
            busy[0] = False
            current = database.get_(id)
            database.put({"_id": id, **({"_rev": current["_rev"]} if current else {})})
            busy[0] = True

    faults.on_write = interfere
    assert run(source, target).end().ok
    busy[0] = False
    assert run(source, target).end().ok
    assert checkpoint(target).source_last_seq == 1


def test_a_target_that_lost_its_checkpoint_remembers_nothing_it_was_not_there_for(
    faults: Any, faulty: SyncEnvironment, run: Callable[..., Any]
) -> None:
    """Sessions of the source are not copied to it: when a run is killed between both sides they would be believed."""
    source, target = faulty["source"], faulty["target"]
    source.bulk_docs([{"_id": str(number)} for number in range(5)])
    faulty.replicate(source, target)
    # An older copy of the file: neither the checkpoint nor this document.
    target.remove(checkpoint(target))
    target.purge("3", target.get("3")["_rev"])

    def broken(database: Any, request: Any) -> None:
        if database.name == "source" and "session_id" in request.docs[0]:
            raise StorageError("the process is gone")

    faults.on_write = broken
    killed = run(source, target, batch_size=2)
    assert killed.step().name == "active"
    killed.steps.close()
    faults.on_write = lambda database, request: None
    assert run(source, target).end().ok
    same(source, target)


def test_sessions_that_only_one_side_knows_are_dropped(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    """As CouchDB does: what is written to both sides is what both took part in, as the lower one has it."""
    for number in range(3):
        source.put({"_id": str(number)})
        environment.replicate(source, target)
    old, new = checkpoint(target), checkpoint(source)
    third, second, first = new.history
    old["history"] = [{**second, "session_id": "theirs", "recorded_seq": 3}, {**first, "recorded_seq": 0}]
    old["session_id"] = "theirs"
    target.put(old)
    source.put({"_id": "more"})
    environment.replicate(source, target)
    for database in (source, target):
        found = checkpoint(database).history
        assert [each.session_id for each in found][1:] == [first.session_id]
        assert [each.recorded_seq for each in found] == [4, 0]
    assert third.session_id not in str(checkpoint(source))
