"""When an index is closed: once its definition changed or went, with its database, and never under who uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import NotFound
from pouchdb_core.views import Batch, IndexKind, IndexPlace, OutsideIndex, indexes


class Open(OutsideIndex):
    """An index that holds something from its first use until it is closed, as one does that locks its files."""

    def __init__(self, place: IndexPlace, now: list[str], name: str) -> None:
        super().__init__(place)
        self._now, self._name = now, name
        self._is_open = False
        self._mark: str | None = None

    def prepare(self, batch: Batch) -> tuple[Any, int]:
        if not self._is_open:
            self._is_open = True
            self._now.append(self._name)
        return None, len(batch.changes)

    def apply(self, batch: Batch, work: Any) -> None:
        assert self._is_open, "closed under who builds it"

    def commit(self, mark: str) -> None:
        self._mark = mark

    def mark(self) -> str | None:
        return self._mark

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._now.remove(self._name)


class OpenKind(IndexKind):
    name = "open"

    def __init__(self, now: list[str]) -> None:
        self._now = now

    def definitions(self, database: Any, ddoc: Any) -> Any:
        return ddoc.get("open") or {}

    def open(self, database: Any, place: IndexPlace) -> Open:
        return Open(place, self._now, f"{place.member}{place.ddoc['open'][place.member]}")


class Plugin:
    def __init__(self) -> None:
        self.now: list[str] = []

    @hookimpl
    def pouchdb_index_kinds(self) -> list[IndexKind]:
        return [OpenKind(self.now)]


@pytest.fixture(params=["file", "memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncPouchDB]:
    plugin = Plugin()
    where = tmp_path / "data" if request.param == "file" else ":memory:"
    with pouchdb.setup(where, plugins=[plugin]) as environment:
        database = environment["test"]
        database.open_now = plugin.now  # type: ignore[attr-defined]
        yield database


def define(database: SyncPouchDB, **members: Any) -> None:
    before = database.get_("_design/d")
    rev = {} if before is None else {"_rev": before["_rev"]}
    database.put({"_id": "_design/d", **rev, "open": members})


def use(database: SyncPouchDB, *members: str) -> None:
    ddoc = database.get("_design/d")
    for each in members:
        indexes(database).follower(database, "open", ddoc, each).update(database)


def now(database: SyncPouchDB) -> set[str]:
    opened: list[str] = database.open_now  # type: ignore[attr-defined]
    assert len(opened) == len(set(opened))
    return set(opened)


def test_an_index_whose_definition_changed_is_closed(database: SyncPouchDB) -> None:
    for number in range(5):
        define(database, a=number, b=10)
        use(database, "a", "b")
        assert now(database) == {f"a{number}", "b10"}


def test_an_edit_is_noticed_whichever_index_is_asked_next(database: SyncPouchDB) -> None:
    define(database, a=1, b=10)
    use(database, "a", "b")
    define(database, a=2, b=10)
    use(database, "b")
    assert now(database) == {"b10"}
    define(database, b=10, c=11)
    use(database, "c")
    assert now(database) == {"b10", "c11"}
    database.put({"_id": "_design/e", "open": {"a": 9}})
    database.remove(database.get("_design/d"))
    ddoc = database.get("_design/e")
    indexes(database).follower(database, "open", ddoc, "a").update(database)
    assert now(database) == {"a9"}


def test_equal_definitions_share_one_until_the_last_goes(database: SyncPouchDB) -> None:
    define(database, a=1)
    database.put({"_id": "_design/e", "open": {"a": 1}})
    use(database, "a")
    indexes(database).follower(database, "open", database.get("_design/e"), "a").update(database)
    define(database, a=2)
    use(database, "a")
    assert now(database) == {"a1", "a2"}
    database.remove(database.get("_design/e"))
    use(database, "a")
    assert now(database) == {"a2"}


def test_an_index_by_its_name_is_that_of_the_design_document_as_it_is(database: SyncPouchDB) -> None:
    register = indexes(database)
    with pytest.raises(NotFound):
        register.named(database, ("open",), "d", "a")
    for number in range(3):
        define(database, a=number)
        found = register.named(database, ("open",), "d", "a")
        assert found is not None
        assert register.named(database, ("views", "open"), "d", "a") is found
        assert register.named(database, ("open",), "d", "b") is None
        found.update(database)
        assert now(database) == {f"a{number}"}
        del found
    database.remove(database.get("_design/d"))
    with pytest.raises(NotFound):
        register.named(database, ("open",), "d", "a")


def test_it_is_read_before_it_is_brought_up_to_date_afterwards(database: SyncPouchDB) -> None:
    define(database, a=1)
    follower = indexes(database).named(database, ("open",), "d", "a")
    assert follower is not None
    seen: list[Any] = []
    database.on("indexing", seen.append)
    with follower.fresh(database, "false", "mine"):
        assert follower.entry() is None
    with follower.fresh(database, "lazy", "mine"):
        assert follower.entry() is None
    assert database.environment.context.wait_until_called(seen.append, timeout=10)
    database.put({"_id": "x"})
    with follower.fresh(database, "true", "mine"):
        entry = follower.entry()
        assert entry is not None
        assert entry.seq == database.info()["update_seq"]
    assert {event["view"] for event in seen} == {"mine"}


def test_it_is_not_closed_under_who_uses_it(database: SyncPouchDB) -> None:
    define(database, a=1)
    database.bulk_docs([{"_id": str(n)} for n in range(30)])
    held = indexes(database).follower(database, "open", database.get("_design/d"), "a")
    held.update(database)
    define(database, a=2)
    use(database, "a")
    assert now(database) == {"a1", "a2"}
    database.put({"_id": "more"})
    held.update(database)
    del held
    assert now(database) == {"a2"}


def test_many_threads_that_edit_and_ask(database: SyncPouchDB) -> None:
    define(database, a=0)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for each in range(30):
                if number == 0:
                    define(database, a=each)
                use(database, "a")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    # Who came with what he had read before the last edit had an index of it.
    use(database, "a")
    assert now(database) == {"a29"}


@pytest.mark.parametrize("how", ["environment", "destroyed", "cleanup"])
def test_what_closes_it_besides(database: SyncPouchDB, how: str) -> None:
    define(database, a=1)
    use(database, "a")
    if how == "environment":
        database.environment.close()  # type: ignore[attr-defined]
    elif how == "destroyed":
        database.destroy()
    else:
        database.remove(database.get("_design/d"))
        assert database.view_cleanup()["ok"]
    assert now(database) == set()


def test_closing_the_last_object_of_a_file_closes_it(tmp_path: Path) -> None:
    plugin = Plugin()
    with pouchdb.setup(tmp_path, plugins=[plugin]) as environment:
        one, other = environment["test"], environment["test"]
        define(one, a=1)
        use(one, "a")
        one.close()
        assert plugin.now == ["a1"]
        other.close()
        assert plugin.now == []


def test_cleaning_up_makes_no_folders(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=["search"]) as environment:
        environment["test"].put({"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(1); }"}}})
        environment["test"].query("v/v")
        environment["test"].view_cleanup()
        environment.close()
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("test")] == ["test.pouchdb"]
