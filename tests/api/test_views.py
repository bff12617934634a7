"""Views of a database on behalf of a user or for a purpose: the same object, other requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, DatabaseClosed
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.requests import UserContext


class Recorder:
    """Remembers the requests of every operation."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    def pouchdb_write(self, database: Any, request: Any) -> None:
        self.seen.append(request)

    @hookimpl
    def pouchdb_read(self, database: Any, request: Any) -> None:
        self.seen.append(request)

    @hookimpl
    def pouchdb_list(self, database: Any, request: Any) -> None:
        self.seen.append(request)

    @hookimpl
    def pouchdb_changes(self, database: Any, request: Any) -> None:
        self.seen.append(request)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def database(recorder: Recorder) -> Iterator[SyncPouchDB]:
    with pouchdb.setup(":memory:", plugins=[recorder]) as environment:
        yield environment["test"]


def use(database: SyncPouchDB) -> None:
    """Call every method that makes requests."""
    rev = database.put({"_id": "a"}).rev
    database.post({})
    database.bulk_docs([{"_id": "b"}])
    rev = database.put_attachment("a", "x", b"x", rev=rev).rev
    database.get("a")
    database.get("a", revs=True)
    database.open_revs("a")
    database.bulk_get([{"id": "a"}])
    database.get_attachment("a", "x")
    database.open_attachment("a", "x")
    database.all_docs()
    database.changes()
    rev = database.remove_attachment("a", "x", rev).rev
    database.resolve("a", rev)
    database.remove("a", rev)
    database["c"] = {}
    assert len(database) == 3


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        pytest.param({"name": "ann", "roles": ["editor"]}, UserContext("ann", ("editor",)), id="CouchDB's form"),
        pytest.param({"name": "ann"}, UserContext("ann", ()), id="without roles"),
        pytest.param({}, UserContext(None, ()), id="nobody"),
        pytest.param(UserContext("bob", ("a", "b")), UserContext("bob", ("a", "b")), id="a user context"),
        pytest.param(None, None, id="the program itself"),
    ],
)
def test_as_user(database: SyncPouchDB, recorder: Recorder, user: Any, expected: UserContext | None) -> None:
    use(database.as_user(user))
    assert len(recorder.seen) >= 17
    assert {request.user for request in recorder.seen} == {expected}
    assert {request.purpose for request in recorder.seen} == {"api"}


def test_with_purpose(database: SyncPouchDB, recorder: Recorder) -> None:
    use(database.with_purpose("replication").as_user({"name": "ann"}))
    assert {request.purpose for request in recorder.seen} == {"replication"}
    assert {request.user for request in recorder.seen} == {UserContext("ann")}


def test_the_program_itself_is_the_default(database: SyncPouchDB, recorder: Recorder) -> None:
    use(database)
    assert {request.user for request in recorder.seen} == {None}


@pytest.mark.parametrize("user", [5, "ann", ["ann"]], ids=repr)
def test_refuses(database: SyncPouchDB, user: Any) -> None:
    with pytest.raises(BadRequest):
        database.as_user(user)


def test_a_view_is_the_same_database(database: SyncPouchDB) -> None:
    view = database.asUser({"name": "ann"})
    assert type(view) is type(database)
    view["a"] = {"n": 1}
    assert database["a"] == view["a"]
    assert view.id() == database.id()
    # The view is on behalf of ann, and leaves the object it was made from as it is.
    assert (view.user, database.user) == (UserContext("ann"), None)
    assert view.as_user(None).user is None


def test_views_end_together(database: SyncPouchDB) -> None:
    view = database.as_user({"name": "ann"})
    view.close()
    assert database.closed
    with pytest.raises(DatabaseClosed):
        database.get("a")


def test_environments_have_views_too(database: SyncPouchDB, recorder: Recorder) -> None:
    view = database.environment.as_user({"name": "ann"})
    use(view["test"])
    assert {request.user for request in recorder.seen} == {UserContext("ann")}
