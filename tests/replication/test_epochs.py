"""Databases that were restored from a backup: their numbers are not believed further than the backup goes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB

from .conftest import same


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[SyncEnvironment]:
    with pouchdb.setup(tmp_path / "databases", plugins=[], durability="normal") as environment:
        yield environment


def fill(database: SyncPouchDB, *ids: str) -> None:
    database.bulk_docs([{"_id": id} for id in ids])


def restore(environment: SyncEnvironment, name: str, backup: Path) -> SyncPouchDB:
    """Put a backup in the place of a database."""
    path = environment[name].adapter.path  # type: ignore[attr-defined]
    environment.destroy(name)
    shutil.copy(backup, path)
    return environment[name]


def checked(run: Any) -> int:
    """Run to the end; return how many revisions were looked at."""
    run.end()
    count: int = run.replicator.progress.missing_checked
    return count


def test_a_backup_is_another_life_and_says_since_when(environment: SyncEnvironment, tmp_path: Path) -> None:
    source = environment["source"]
    fill(source, "a", "b")
    assert source.info().former_epochs == []
    source.backup(tmp_path / "first")
    fill(source, "c")
    copy = restore(environment, "source", tmp_path / "first")
    [former] = copy.info().former_epochs
    assert former.seq == 2
    epoch = copy.info().epoch
    assert epoch != former.epoch
    copy.backup(tmp_path / "second")
    again = restore(environment, "source", tmp_path / "second")
    assert [each.seq for each in again.info().former_epochs] == [2, 2]
    assert again.info().former_epochs[0] == former
    assert again.info().former_epochs[1].epoch == epoch


@pytest.mark.parametrize("checkpoint", [True, "target", "source"])
def test_a_restored_source(
    environment: SyncEnvironment, tmp_path: Path, run: Callable[..., Any], checkpoint: Any
) -> None:
    source, target = environment["source"], environment["target"]
    fill(source, "a", "b")
    environment.replicate(source, target, checkpoint=checkpoint)
    source.backup(tmp_path / "backup")
    fill(source, "lost 1", "lost 2", "lost 3")
    environment.replicate(source, target, checkpoint=checkpoint)
    source = restore(environment, "source", tmp_path / "backup")
    # As many changes as the target has seen: their numbers alone tell nothing.
    fill(source, "new 1", "new 2", "new 3", "new 4")
    again = run(source, target, checkpoint=checkpoint)
    looked = checked(again)
    assert looked == (6 if checkpoint == "target" else 4), "what both remember is before the backup"
    assert set(target) >= set(source)
    assert run(source, target, checkpoint=checkpoint).end().docs_read == 0


def test_a_source_restored_to_where_the_checkpoint_is_resumes(
    environment: SyncEnvironment, tmp_path: Path, run: Callable[..., Any]
) -> None:
    source, target = environment["source"], environment["target"]
    fill(source, "a", "b")
    environment.replicate(source, target, checkpoint="target")
    source.backup(tmp_path / "backup")
    source = restore(environment, "source", tmp_path / "backup")
    fill(source, "c")
    assert checked(run(source, target, checkpoint="target")) == 1
    same(source, target)


@pytest.mark.parametrize("checkpoint", [True, "target", "source"])
def test_a_restored_target(
    environment: SyncEnvironment, tmp_path: Path, run: Callable[..., Any], checkpoint: Any
) -> None:
    source, target = environment["source"], environment["target"]
    fill(source, "a", "b")
    environment.replicate(source, target, checkpoint=checkpoint)
    target.backup(tmp_path / "backup")
    fill(source, "c", "d")
    environment.replicate(source, target, checkpoint=checkpoint)
    target = restore(environment, "target", tmp_path / "backup")
    again = run(source, target, checkpoint=checkpoint)
    assert checked(again) == (4 if checkpoint == "source" else 2)
    same(source, target)


def test_a_target_whose_file_was_copied_back_in_the_middle_of_a_session(
    environment: SyncEnvironment, tmp_path: Path, run: Callable[..., Any]
) -> None:
    """Not by a backup of ours: the epoch is the same, and so is the session. The lower number counts."""
    source, target = environment["source"], environment["target"]
    fill(source, "a", "b")
    live = run(source, target, live=True)
    live.rest()
    target.adapter.store.backup(tmp_path / "copy")  # type: ignore[attr-defined]
    fill(source, "c", "d")
    live.rest()
    live.steps.close()
    target = restore(environment, "target", tmp_path / "copy")
    assert checked(run(source, target)) == 2
    same(source, target)


def test_a_source_whose_file_was_copied_back(
    environment: SyncEnvironment, tmp_path: Path, run: Callable[..., Any]
) -> None:
    source, target = environment["source"], environment["target"]
    fill(source, "a", "b")
    environment.replicate(source, target, checkpoint="target")
    source.adapter.store.backup(tmp_path / "copy")  # type: ignore[attr-defined]
    fill(source, "lost 1", "lost 2")
    environment.replicate(source, target, checkpoint="target")
    source = restore(environment, "source", tmp_path / "copy")
    fill(source, "new")
    # The target has seen four changes, and there are three: the numbers lie.
    assert checked(run(source, target, checkpoint="target")) == 3
    assert "new" in target


@pytest.mark.parametrize("checkpoint", [True, "target", "source"])
@pytest.mark.parametrize("role", ["source", "target"])
def test_one_backup_that_is_restored_twice(
    environment: SyncEnvironment, tmp_path: Path, run: Callable[..., Any], checkpoint: Any, role: str
) -> None:
    """Each time another life begins: what was seen of the first one says nothing of the second."""
    fill(environment["source"], "a", "b")
    environment.replicate("source", "target", checkpoint=checkpoint)
    environment[role].backup(tmp_path / "backup")
    epochs = {environment[role].info().epoch}
    for turn in range(3):
        restore(environment, role, tmp_path / "backup")
        epochs.add(environment[role].info().epoch)
        assert [each.seq for each in environment[role].info().former_epochs] == [2]
        # As many changes each time: numbers alone tell nothing.
        fill(environment["source"], *(f"{turn}-{number}" for number in range(4)))
        if role == "target":
            fill(environment["target"], *(f"elsewhere-{turn}-{number}" for number in range(9)))
        run(environment["source"], environment["target"], checkpoint=checkpoint).end()
        assert set(environment["target"]) >= set(environment["source"])
    assert len(epochs) == 4


def test_a_copy_keeps_its_life_when_it_is_opened_again(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path / "databases", plugins=[]) as environment:
        fill(environment["source"], "a")
        environment["source"].backup(tmp_path / "backup")
        epoch = restore(environment, "source", tmp_path / "backup").info().epoch
    for _ in range(2):
        with pouchdb.setup(tmp_path / "databases", plugins=[]) as environment:
            assert environment["source"].info().epoch == epoch


@pytest.mark.parametrize(("checkpoint", "role"), [("source", "target"), ("target", "source")])
@pytest.mark.parametrize("since", [1, 2, 6])
def test_a_file_that_was_copied_back_while_the_other_side_alone_remembers(
    environment: SyncEnvironment, tmp_path: Path, run: Callable[..., Any], checkpoint: Any, role: str, since: int
) -> None:
    """Not by a backup of ours: the epoch is the same. A few revisions that were replicated last are not there."""
    source, target = environment["source"], environment["target"]
    fill(source, "a", "b")
    environment.replicate(source, target, checkpoint=checkpoint)
    environment[role].adapter.store.backup(tmp_path / "copy")  # type: ignore[attr-defined]
    fill(source, "lost 1", "lost 2")
    environment.replicate(source, target, checkpoint=checkpoint)
    restore(environment, role, tmp_path / "copy")
    # Fewer changes than were seen, as many, or more.
    fill(environment[role], *(f"new {number}" for number in range(since)))
    run(environment["source"], environment["target"], checkpoint=checkpoint).end()
    assert set(environment["target"]) >= set(environment["source"])
    again = run(environment["source"], environment["target"], checkpoint=checkpoint)
    assert checked(again) == 0, "noticed once"


def test_a_source_that_was_made_again(environment: SyncEnvironment, run: Callable[..., Any]) -> None:
    source, target = environment["source"], environment["target"]
    fill(source, "a", "b")
    environment.replicate(source, target)
    environment.destroy("source")
    source = environment["source"]
    fill(source, "c", "d")
    assert checked(run(source, target)) == 2
    assert set(target) == set("abcd")
    assert len(target.adapter.local_ids("_local/py")) == 2, "another database, another replication"


def test_a_target_that_was_made_again(environment: SyncEnvironment, run: Callable[..., Any]) -> None:
    source = environment["source"]
    fill(source, "a", "b")
    environment.replicate("source", "target")
    environment.destroy("target")
    assert environment.replicate("source", "target").docs_written == 2


def test_a_backup_beside_its_database(environment: SyncEnvironment, tmp_path: Path) -> None:
    """They have one uuid, and are two databases nevertheless: how a backup is brought up to date."""
    source = environment["source"]
    fill(source, "a", "b")
    source.backup(tmp_path / "backup")
    path = environment["copy"].adapter.path  # type: ignore[attr-defined]
    environment.destroy("copy")
    shutil.copy(tmp_path / "backup", path)
    copy = environment["copy"]
    assert copy.id() == source.id()
    fill(source, "c")
    fill(copy, "d")
    result = environment.sync(source, copy)
    assert (result.push.docs_written, result.pull.docs_written) == (1, 1)
    fill(source, "e")
    fill(copy, "f")
    result = environment.sync(source, copy)
    assert (result.push.docs_written, result.pull.docs_written) == (1, 1)
    same(source, copy)


def test_other_copies_have_checkpoints_of_their_own(environment: SyncEnvironment, tmp_path: Path) -> None:
    """A third database that knows both a database and its restored backup loses nothing of either."""
    source, third = environment["source"], environment["third"]
    fill(source, "a")
    environment.sync(source, third)
    source.backup(tmp_path / "backup")
    path = environment["copy"].adapter.path  # type: ignore[attr-defined]
    environment.destroy("copy")
    shutil.copy(tmp_path / "backup", path)
    copy = environment["copy"]
    for number in range(4):
        fill(source, f"s{number}")
        fill(copy, f"c{number}")
        fill(third, f"t{number}")
        environment.sync(source if number % 2 else copy, third)
    for _ in range(2):
        environment.sync(source, third)
        environment.sync(copy, third)
    environment.sync(source, third)
    same(source, third)
    same(copy, third)
