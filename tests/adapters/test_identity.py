"""A database that another process destroyed, made again or replaced: who takes it up again gets what is there."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.adapters.sqlite.connection import OPEN
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import NotFound
from pouchdb_core.state import Slot


@pytest.fixture
def other(directory: Path) -> Iterator[SyncEnvironment]:
    """An engine of its own on the same directory, as another process has it."""
    with pouchdb.setup(directory, plugins=[], durability="normal") as environment:
        yield environment


def destroyed(other: SyncEnvironment, path: Path) -> None:
    other.destroy("test")


def made_again(other: SyncEnvironment, path: Path) -> None:
    other.destroy("test")
    other["test"].put({"_id": "new"})


def moved_away(other: SyncEnvironment, path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def backup_in_its_place(other: SyncEnvironment, path: Path) -> None:
    other.destroy("spare")
    other["spare"].put({"_id": "new"})
    other["spare"].backup(path.with_name("ready"))
    other.destroy("test")
    path.with_name("ready").rename(path)


def a_copy_of_itself(other: SyncEnvironment, path: Path) -> None:
    """Same uuid, same epoch, other documents."""
    other["test"].put({"_id": "new"})
    other["test"].close()
    shutil.copy(path, path.with_name("ready"))
    path.with_name("ready").rename(path)


GONE = [destroyed, moved_away]
REPLACED = [made_again, backup_in_its_place]
Change = Callable[[SyncEnvironment, Path], None]


def ids(database: SyncPouchDB) -> list[str]:
    return [row["id"] for row in database.all_docs()["rows"]]


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not connected"])
@pytest.mark.parametrize("change", REPLACED)
def test_a_new_object_gets_the_database_that_is_there(
    environment: SyncEnvironment, other: SyncEnvironment, path: Path, change: Change, connected: bool
) -> None:
    for _ in range(5):
        old = environment["test"]
        old.put({"_id": "old"})
        assert ids(environment["test"]) == ["old"]
        if not connected:
            # Nothing holds on to the old file: the new one may get its number.
            OPEN.close_idle()
        change(other, path)
        for _ in range(2):
            assert ids(environment["test"]) == ["new"]
        assert environment["test"].put({"_id": "newer"})["ok"]
        assert (old.is_there(), environment["test"].is_there()) == (False, True)
        for call in (lambda old=old: old.put({"_id": "lost"}), lambda old=old: old.info()):
            with pytest.raises(NotFound, match="destroyed or replaced"):
                call()
        # Closing what is left of the old one, or not, makes no difference to the new one.
        old.close()
        assert ids(environment["test"]) == ["new", "newer"]
        environment.destroy("test")


@pytest.mark.parametrize("change", GONE)
def test_what_is_not_there_any_more_is_not_listed_and_made_when_it_is_opened(
    environment: SyncEnvironment, other: SyncEnvironment, path: Path, change: Change
) -> None:
    old = environment["test"]
    old.put({"_id": "old"})
    change(other, path)
    assert "test" not in environment
    assert environment.get("test") is None
    assert not old.is_there()
    assert ids(environment["test"]) == []
    assert environment.names() == ["test"]


def test_a_copy_of_the_same_life_in_its_place(environment: SyncEnvironment, other: SyncEnvironment, path: Path) -> None:
    environment["test"].put({"_id": "old"})
    a_copy_of_itself(other, path)
    assert ids(environment["test"]) == ["new", "old"]


def test_the_same_for_asyncio_names_and_views(environment: SyncEnvironment, other: SyncEnvironment, path: Path) -> None:
    async def main() -> list[str]:
        answer = await environment.async_view["test"].all_docs()
        return [row["id"] for row in answer["rows"]]

    environment["test"].put({"_id": "old"})
    view = {"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(doc._id); }"}}}
    environment["test"].put(view)
    assert environment["test"].query("v/v").rows[0]["id"] == "old"
    made_again(other, path)
    assert asyncio.run(main()) == ["new"]
    environment["test"].put(view)
    assert [row["id"] for row in environment["test"].query("v/v").rows] == ["new"]
    assert environment["source"].put({"_id": "a"})["ok"]
    made_again(other, path)
    # What is given by name is opened again, too.
    assert environment.replicate("source", "test")["docs_written"] == 1
    assert ids(environment["test"]) == ["a", "new"]


def test_what_objects_of_the_old_file_hold_ends_with_them(
    environment: SyncEnvironment, other: SyncEnvironment, path: Path
) -> None:
    closed: list[str] = []
    slot: Slot[str] = Slot("a", lambda owner: "state", closed.append)
    objects = [environment["test"], environment["test"]]
    assert objects[0].store_state(slot) == "state"
    made_again(other, path)
    new = environment["test"]
    assert new.store_state(slot) == "state"
    objects[0].close()
    assert closed == []
    objects[1].close()
    assert closed == ["state"]
    left = [environment["test"]]
    made_again(other, path)
    environment["test"].close()
    environment.close()
    assert all(each.closed for each in (*left, new))
    assert closed == ["state", "state"]


@pytest.mark.parametrize("how", ["destroy", "set options"])
def test_destroying_and_configuring_mean_the_database_that_is_there(
    environment: SyncEnvironment, other: SyncEnvironment, path: Path, how: str
) -> None:
    environment["test"].put({"_id": "old"})
    made_again(other, path)
    if how == "destroy":
        environment.destroy("test")
        assert other.names() == []
    else:
        assert environment.PouchDB("test", revs_limit=7).revs_limit() == 7
        assert other["test"].revs_limit() == 7


def any_user(number: int) -> dict[str, Any]:
    return {"_id": f"d{number}"}


def test_another_process_makes_it_again_and_again(
    environment: SyncEnvironment, directory: Path, child: Callable[..., Any]
) -> None:
    def again(send: Any, receive: Any) -> None:
        with pouchdb.setup(directory, plugins=[], durability="normal") as mine:
            for number in range(30):
                receive()
                mine.destroy("test")
                mine["test"].put(any_user(number))
                send("done")

    maker = child(again)
    for number in range(30):
        environment["test"].put({"_id": "old"})
        maker.send("go")
        assert maker.receive() == "done"
        assert ids(environment["test"]) == [f"d{number}"]
    maker.result()
