"""Finds documents by their tags. An example of each kind of thing that a plug-in adds: change it to what you need."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from importlib import resources
from typing import Any

from pouchdb_core import Record, SyncEnvironment, SyncPouchDB, Transform, hookimpl, operation
from pouchdb_core.errors import Conflict, Forbidden
from pouchdb_core.methods import Operation
from pouchdb_core.requests import Write

MAP = "function (doc) { [].concat(doc.tags || []).forEach(function (tag) { emit(tag); }); }"
DDOC = {"_id": "_design/tags", "views": {"by_tag": {"map": MAP, "reduce": "_count"}}}


def by_tag(db: SyncPouchDB, **options: Any) -> Any:
    """Return the rows of the view, which the first call stores, whatever rights its caller has."""
    if DDOC["_id"] not in db:
        with suppress(Conflict):  # another thread or process has stored it just now
            db.as_user(None).put(DDOC)
    return db.query("tags/by_tag", **options).rows


# A method of databases: db.tagged("red").
def tagged(db: SyncPouchDB, tag: str) -> list[str]:
    """Return the ids of the documents that have a tag, sorted."""
    return [row.id for row in by_tag(db, key=tag, reduce=False)]


@hookimpl
def pouchdb_database_methods() -> list[Operation[..., Any]]:
    return [operation(tagged, reads=True, long=True)]


# A method of environments: env.tag_counts().
def tag_counts(env: SyncEnvironment) -> dict[str, int]:
    """Return how many documents of all databases have each tag."""
    counts: Counter[str] = Counter()
    for name in list(env):
        counts.update({row.key: row.value for row in by_tag(env[name], group=True)})
    return dict(counts)


@hookimpl
def pouchdb_environment_methods() -> list[Operation[..., Any]]:
    return [operation(tag_counts, reads=True, long=True)]


# A transform changes documents before they are stored, or refuses them. Replicated ones are left as they are.
class LowerCase(Transform):
    def incoming(self, doc: Record, request: Write) -> Record:
        if "tags" in doc and request.new_edits:
            if not isinstance(doc["tags"], list) or not all(isinstance(tag, str) for tag in doc["tags"]):
                raise Forbidden("tags must be a list of strings")
            doc["tags"] = [tag.lower() for tag in doc["tags"]]
        return doc


@hookimpl
def pouchdb_transforms() -> Transform:
    return LowerCase()


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


# A route of the server, where that is installed: GET /{db}/_tagged/{tag}.
@hookimpl(optionalhook=True)
def pouchdb_http_routes() -> list[Any]:
    from pouchdb_server import Route

    return [Route("database", "GET", "/_tagged/{tag}", lambda request, db: {"ids": tagged(db, request.params["tag"])})]


# A page of the server: the tab "Tags" of each database, shown by pages/page.js.
@hookimpl(optionalhook=True)
def pouchdb_http_pages() -> list[Any]:
    from pouchdb_server import Page

    return [Page("tags", "Tags", resources.files("pouchdb_tags") / "pages")]
