"""Events of environments and databases, and what happens to closed objects."""

from __future__ import annotations

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import DatabaseClosed, PouchDBError
from pouchdb_core.testing.conformance.subject import Subject, Suite

__all__ = ["Events"]


class Events(Suite):
    """Listeners are called in order, once."""

    def test_created_and_destroyed(self, subject: Subject) -> None:
        told: list[tuple[str, str]] = []
        environment, name = subject.environment, subject.new_name()

        def created(name: str) -> None:
            told.append(("created", name))

        def destroyed(name: str) -> None:
            told.append(("destroyed", name))

        environment.on("created", created).on("destroyed", destroyed)
        try:
            environment.PouchDB(name)
            environment.destroy(name)
        finally:
            environment.remove_listener("created", created).remove_listener("destroyed", destroyed)
        assert told == [("created", name), ("destroyed", name)]

    def test_every_object_is_told_of_the_end(self, subject: Subject) -> None:
        told: list[int] = []
        name = subject.new_name()
        objects = [subject.environment.PouchDB(name) for _ in range(2)]
        for number, each in enumerate(objects):
            each.on("destroyed", lambda number=number: told.append(number))
        objects[0].destroy()
        assert sorted(told) == [0, 1]

    def test_a_closed_object_cannot_be_used(self, database: SyncPouchDB, subject: Subject) -> None:
        told: list[str] = []
        other = subject.environment.PouchDB(database.name)
        other.on("closed", lambda: told.append("closed"))
        other.close()
        other.close()
        assert told == ["closed"]
        with pytest.raises(DatabaseClosed):
            other.put({"_id": "a"})
        database.put({"_id": "a"})

    def test_once_is_once(self, subject: Subject) -> None:
        told: list[str] = []
        environment = subject.environment
        environment.once("created", told.append)
        names = [subject.new_name(), subject.new_name()]
        for name in names:
            environment.PouchDB(name)
        assert told == names[:1]
        for name in names:
            environment.destroy(name)

    def test_a_listener_that_raises_stops_nothing(self, subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
        def broken(name: str) -> None:
            raise RuntimeError("on purpose")

        environment, name = subject.environment, subject.new_name()
        environment.on("created", broken)
        try:
            environment.PouchDB(name).put({"_id": "a"})
        finally:
            environment.remove_listener("created", broken)
        assert "on purpose" in caplog.text
        environment.destroy(name)

    def test_errors_speak_couchdb(self, database: SyncPouchDB) -> None:
        with pytest.raises(PouchDBError) as caught:
            database.get("nobody")
        error = caught.value
        assert (error.status, error.name, error.error) == (404, "not_found", True)
        assert error["status"] == 404
        assert str(error).startswith('{"status":404,"name":"not_found"')
