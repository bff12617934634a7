"""What authors of plug-ins write: must pass mypy --strict. Never run."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol, overload

from typing_extensions import assert_type

import pouchdb
from pouchdb_core import Record, Slot, SyncEnvironment, SyncPouchDB, hookimpl, operation
from pouchdb_core.errors import Forbidden, PouchDBError
from pouchdb_core.live import Feed
from pouchdb_core.methods import FEED, Calls, Operation, starting
from pouchdb_core.requests import Changes, Guard, Proposed, Write
from pouchdb_core.results import Outcome


class Cache:
    def __init__(self, owner: SyncPouchDB) -> None:
        self.ids: list[str] = []

    def close(self) -> None:
        self.ids.clear()


CACHE = Slot("cache", Cache, Cache.close)
COUNT: Slot[int] = Slot("count", lambda owner: 0)


def tagged(db: SyncPouchDB, tag: str, *, limit: int | None = None) -> list[Record]:
    assert_type(db.state(CACHE), Cache)
    assert_type(db.store_state(CACHE).ids, list[str])
    assert_type(db.environment.state(COUNT), int)
    return [row.doc for row in db.all_docs(include_docs=True, limit=limit).rows if tag in row.doc.tags]


class Typed:
    """A class with a method, as the core's are: both spellings have the function's type."""

    tagged_documents = taggedDocuments = operation(tagged, reads=True)


class TypedDatabase(Typed, pouchdb.SyncPouchDB): ...


class TypedAsyncDatabase(Typed, pouchdb.AsyncPouchDB): ...


def use(db: TypedDatabase) -> list[Record]:
    assert_type(db.get("a"), Record)
    assert_type(db.as_user(None).tagged_documents("red"), list[Record])
    return db.taggedDocuments("red")


async def use_async(db: TypedAsyncDatabase) -> list[Record]:
    assert_type(db.get("a"), pouchdb.Promise[Record])
    return await db.tagged_documents("red")


class Following(Protocol):
    @overload
    def __call__(self, tag: str, *, live: Literal[True]) -> Feed: ...
    @overload
    def __call__(self, tag: str, *, live: Literal[False] = ...) -> Record: ...


FOLLOWING: Calls[Following] = Calls()


def follow(db: SyncPouchDB, tag: str, *, live: bool = False) -> Record:
    return Record()


class WithFeed:
    follow = starting(follow, FEED, FOLLOWING, reads=True)


assert_type(WithFeed().follow("red"), Record)
assert_type(WithFeed().follow("red", live=True), Feed)

assert_type(Typed().tagged_documents("red", limit=5), list[Record])
assert_type(Typed().taggedDocuments("red"), list[Record])


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [operation(tagged, reads=True)]


@hookimpl
def pouchdb_write_guards(database: SyncPouchDB, request: Write) -> Guard | None:
    def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
        assert_type(proposed[0].old, Record | None)
        return [Forbidden("no") if each.new.get("bad") else None for each in proposed]

    assert_type(request.purpose == "replication", bool)
    return None if request.user is None else guard


@hookimpl(wrapper=True)
def pouchdb_write(database: SyncPouchDB, request: Write) -> Generator[None, Sequence[Outcome], Sequence[Outcome]]:
    outcomes = yield
    return outcomes


@hookimpl(wrapper=True)
def pouchdb_changes(database: SyncPouchDB, request: Changes) -> Generator[None, Iterator[Record], Iterator[Record]]:
    rows = yield
    return (row for row in rows if not row.id.startswith("_"))


@hookimpl(optionalhook=True)
def pouchdb_http_routes(environment: SyncEnvironment) -> list[str]:
    return environment.names()
