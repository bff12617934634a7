"""The public API of a database: one line a method, both spellings."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterator, KeysView, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any

from pouchdb_core.api import administration, feeds, live_calls, querying, reading, replicating, writing
from pouchdb_core.database_object import FOLLOWING, Handle
from pouchdb_core.documents.parse import check_id, mapping
from pouchdb_core.errors import BadRequest, MissingId, NotFound, PouchDBError
from pouchdb_core.methods import FEED, REPLICATION, SYNC, iterating, operation, starting
from pouchdb_core.notebook import fields_html

if TYPE_CHECKING:
    from pouchdb_core.results import Record

__all__ = ["AbstractPouchDB", "SyncPouchDB"]

PAGE = 1000

ATTACHMENT = {"docId": "id", "attachmentId": "name", "doc": "data"}
"""What the original called the parameters of methods about attachments."""


class AbstractPouchDB(Handle):
    """The methods that sync and async databases have."""

    get = operation(reading.get, reads=True, names={"docid": "id"})
    open_revs = openRevs = operation(reading.open_revs, reads=True)
    bulk_get = bulkGet = operation(reading.bulk_get, reads=True)
    all_docs = allDocs = operation(reading.all_docs, reads=True)
    changes = starting(feeds.changes, FEED, live_calls.CHANGES, reads=True)
    live_changes = liveChanges = starting(feeds.live_changes, FEED, reads=True)
    get_attachment = getAttachment = operation(reading.get_attachment, reads=True, names=ATTACHMENT)
    open_attachment = openAttachment = operation(reading.open_attachment, reads=True)
    conflicts = iterating(reading.conflicts, reads=True)
    info = operation(reading.info, reads=True)
    revs_diff = revsDiff = operation(reading.revs_diff, reads=True, names={"diff": "revs"})

    query = operation(querying.query, reads=True, long=True)
    view_cleanup = viewCleanup = operation(querying.view_cleanup)

    put = operation(writing.put)
    post = operation(writing.post)
    remove = operation(writing.remove)
    bulk_docs = bulkDocs = operation(writing.bulk_docs)
    put_attachment = putAttachment = operation(writing.put_attachment, names=ATTACHMENT)
    remove_attachment = removeAttachment = operation(writing.remove_attachment, names=ATTACHMENT)
    resolve = operation(writing.resolve)

    replicate_to = replicateTo = starting(
        replicating.replicate_to, REPLICATION, live_calls.TO, names={"remoteDB": "target"}
    )
    replicate_from = replicateFrom = starting(
        replicating.replicate_from, REPLICATION, live_calls.FROM, names={"remoteDB": "source"}
    )
    sync = starting(replicating.sync_with, SYNC, live_calls.SYNC_WITH, name="sync", names={"remoteDB": "other"})
    sync_status = syncStatus = operation(replicating.sync_status, reads=True)

    id = operation(administration.id, reads=True)
    compact = operation(administration.compact)
    purge = operation(administration.purge)
    revs_limit = revsLimit = operation(administration.revs_limit)
    get_security = getSecurity = operation(administration.get_security, reads=True)
    put_security = putSecurity = operation(administration.put_security)
    active_tasks = activeTasks = operation(administration.active_tasks, reads=True)
    backup = operation(administration.backup, reads=True, long=True)
    integrity_check = integrityCheck = operation(administration.integrity_check, reads=True, long=True)
    close = operation(administration.close)
    destroy = operation(administration.destroy)

    asUser = Handle.as_user

    def new_id(self) -> str:
        """Return an id as ``post`` makes them: time-ordered, greater than every one before."""
        return self._engine.place.new_id()

    def _close(self) -> None:
        if self._end("database is closed"):
            self.plugins.database_closed(self)
            self._engine.release(self._life.opened)
            self.emit("closed")

    def __reduce__(self) -> Any:
        # A database pickles as how to open it again: environment, name, options, user.
        return (_reopen, (self.environment, self.name, dict(self.options), self._user, self.purpose))


def _reopen(environment: Any, name: str, options: dict[str, Any], user: Any, purpose: Any) -> Any:
    database = environment.PouchDB(name, **options)
    if user is not FOLLOWING:
        database = database.as_user(user)
    return database.with_purpose(purpose)


class _Hidden:
    """Hides an inherited method, so that a plug-in may add one with its name."""

    def __get__(self, instance: object, owner: type) -> Any:
        raise AttributeError("a database has no such method: a plug-in brings it")


if TYPE_CHECKING:

    class _Documents(Collection[str]):
        """What can be reached of MutableMapping: with all of it pyright takes its ``get`` for the database's."""

        def keys(self) -> KeysView[str]: ...
        def values(self) -> ValuesView[Record]: ...
        def items(self) -> ItemsView[str, Record]: ...
        def pop(self, id: str, default: Any = ...) -> Any: ...
        def popitem(self) -> tuple[str, Record]: ...
        def clear(self) -> None: ...
        def setdefault(self, id: str, default: Any = ...) -> Any: ...
else:
    _Documents = MutableMapping


class SyncPouchDB(AbstractPouchDB, _Documents):
    """A database whose methods block until they have a result; also a mutable mapping of ids to documents.

    ``get`` and ``update`` are the database's; the mapping's are ``get_`` and gone. Equality is
    identity. May be used from any thread and, reopened by itself, from forked and spawned children.
    """

    def __getitem__(self, id: str) -> Record:
        try:
            return self.get(id)
        except NotFound as error:
            raise KeyError(str(error)) from error

    def __setitem__(self, id: str, doc: Any) -> None:
        """Put ``doc`` under ``id``, borrowing the current ``_rev`` if it has none; sets both in ``doc``.

        JSON text is accepted, too. Raises BadRequest for what is not a document.
        """
        if not isinstance(doc, MutableMapping):
            doc = dict(mapping(writing.said(self, doc)))
        doc["_id"] = id
        if "_rev" not in doc:
            try:
                doc["_rev"] = self.get(id)["_rev"]
            except PouchDBError:
                # The put reports better what is wrong with reading.
                doc.pop("_rev", None)
        doc["_rev"] = self.put(doc)["rev"]

    def __delitem__(self, id: str) -> None:
        try:
            self.remove(self.get(id))
        except NotFound as error:
            raise KeyError(str(error)) from error

    def __iter__(self) -> Iterator[str]:
        start: str | None = None
        while True:
            rows = self.all_docs(startkey=start, limit=PAGE)["rows"]
            for row in rows:
                yield row["id"]
            if len(rows) < PAGE:
                return
            # The smallest string after the last id: that document may be gone by now.
            start = rows[-1]["id"] + "\0"

    def __len__(self) -> int:
        total: int = self.all_docs(limit=0)["total_rows"]
        return total

    def __contains__(self, id: object) -> bool:
        try:
            if self.remote and self.reads_plainly:
                return self.adapter.holds(check_id(id))
            self.get(id)  # type: ignore[arg-type]  # anything may be asked for
        except NotFound:
            return False
        except (BadRequest, MissingId):
            # A value that cannot be an id is not in the database.
            return False
        return True

    # CouchDB's update functions are called so (the couchapp plug-in).
    update = _Hidden()

    def get_(self, id: str, default: Any = None) -> Any:
        """Return the document, or ``default`` when there is none: the mapping's ``get``."""
        try:
            return self[id]
        except KeyError:
            return default

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a few facts; of a remote database its address, because it sends no request."""
        facts: dict[str, Any] = {"database": self.name, "adapter": self.adapter.name if not self.closed else "closed"}
        if not self.closed and not self.remote:
            info = self.info()
            facts.update(
                {"documents": info["doc_count"], "deleted": info["doc_del_count"], "update_seq": info["update_seq"]}
            )
        return fields_html(facts)

    __eq__ = Handle.__eq__
    __hash__ = Handle.__hash__
