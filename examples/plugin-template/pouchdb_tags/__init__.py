"""Tags: finds documents by their tags, and refuses tags that are not a list of strings."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from pouchdb_core import Record, Slot, SyncEnvironment, SyncPouchDB, Transform, hookimpl, operation
from pouchdb_core.errors import Forbidden, PouchDBError
from pouchdb_core.methods import Operation
from pouchdb_core.requests import Guard, Proposed, Write

__all__ = ["tag_counts", "tagged"]


class Index:
    """Which tags each document has, as of a point in the changes feed. Kept in memory."""

    def __init__(self, db: SyncPouchDB) -> None:
        self.lock = threading.Lock()
        self.seq, self.purge_seq, self.tags = 0, 0, dict[str, Sequence[str]]()

    def update(self, db: SyncPouchDB) -> None:
        # Purged documents are in no feed: begin again.
        if (purge_seq := db.info().purge_seq) != self.purge_seq:
            self.seq, self.purge_seq, self.tags = 0, purge_seq, {}
        feed = db.with_purpose("index").changes(since=self.seq, include_docs=True)
        self.tags.update((row.id, row.doc.get("tags", ())) for row in feed.results)
        self.seq = feed.last_seq


INDEX = Slot("index of tags", Index)


def index_of(db: SyncPouchDB) -> Mapping[str, Sequence[str]]:
    index = db.store_state(INDEX)
    with index.lock:
        index.update(db)
        return dict(index.tags)


# A database method: db.tagged("red").
def tagged(db: SyncPouchDB, tag: str) -> list[str]:
    """Return the ids of the documents that have ``tag``, sorted."""
    return sorted(id for id, tags in index_of(db).items() if tag in tags)


# An environment method: env.tag_counts().
def tag_counts(env: SyncEnvironment) -> dict[str, int]:
    """Return how many documents of all databases have each tag."""
    return dict(Counter(tag for name in list(env) for tags in index_of(env[name]).values() for tag in tags))


# A transform changes documents on their way in, or out.
class LowerCase(Transform):
    def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
        if request.purpose != "replication" and are_tags(doc.get("tags")):
            doc["tags"] = [tag.lower() for tag in doc["tags"]]
        return doc


# A guard judges what is to be written, replicated documents too.
def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
    wrong = Forbidden("tags must be a list of strings")
    return [None if are_tags(each.new.get("tags", [])) else wrong for each in proposed]


def are_tags(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(tag, str) for tag in value)


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [operation(tagged, reads=True)]


@hookimpl
def pouchdb_environment_methods() -> Iterable[Operation[..., Any]]:
    return [operation(tag_counts, reads=True)]


@hookimpl
def pouchdb_transforms(database: SyncPouchDB) -> Transform:
    return LowerCase()


@hookimpl
def pouchdb_write_guards() -> Guard:
    return guard


# A command: pouchdb tagged DB TAG.
@hookimpl
def pouchdb_commands(group: Any) -> None:
    import click

    @group.command("tagged")  # type: ignore[untyped-decorator]
    @click.argument("db")
    @click.argument("tag")
    @click.pass_obj
    def command(session: Any, /, db: str, tag: str) -> None:
        """Print the ids of the documents that have a tag."""
        session.output.table(("id",), [(id,) for id in tagged(session.database(db), tag)])


# A route of the server, where it is installed: GET /{db}/_tagged/{tag}.
@hookimpl(optionalhook=True)
def pouchdb_http_routes() -> Iterable[Any]:
    from pouchdb_server import Route

    return [Route("database", "GET", "/_tagged/{tag}", lambda request, db: {"ids": tagged(db, request.params["tag"])})]


# A page of the server: the tab "Tags" of each database, shown by pages/page.js.
@hookimpl(optionalhook=True)
def pouchdb_http_pages() -> Iterable[Any]:
    from pouchdb_server import Page

    return [Page("tags", "Tags", resources.files("pouchdb_tags") / "pages")]
