"""Administration of a database: compaction, purging, limits, security, backup, closing, destroying."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pouchdb_core.api.options import milliseconds, text_list
from pouchdb_core.documents.parse import check_id, check_rev, mapping
from pouchdb_core.engine import DESTROYED
from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_core.requests import Action, Administer, Destroy
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.typing import Revs

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = [
    "active_tasks",
    "ask",
    "backup",
    "close",
    "compact",
    "destroy",
    "get_security",
    "id",
    "integrity_check",
    "purge",
    "put_security",
    "revs_limit",
]

PathLike = str | os.PathLike[str]


def ask(db: Database, action: Action, **arguments: Any) -> Any:
    """Make a request about the whole database on behalf of the object's user: the hook ``pouchdb_administer``."""
    return db.plugins.administer(db, Administer(action, arguments, db.user, db.purpose))


def id(db: Database) -> str:
    """Return the database's uuid: the same for every object and process, new when it is made again."""
    found: str = ask(db, "id")
    return found


def compact(db: Database, *, interval: float | None = None) -> None:
    """Drop the bodies of revisions that are not leaves, and attachments that are no longer used.

    Runs beside readers and writers. Revision ids and tombstones stay. It is done when this returns:
    a server is polled every ``interval`` milliseconds (200) until it is. Raises BadRequest.
    """
    milliseconds("interval", interval)
    ask(db, "compact", interval=interval or None)


def purge(db: Database, id: str | Revs, rev: str | None = None) -> Record:
    """Remove leaf revisions as if they had never existed, with the ancestors that only they have.

    ``purge(id, rev)`` returns ``{"ok", "deletedRevs", "documentWasRemovedCompletely"}`` as PouchDB;
    ``purge({id: [rev]})`` returns ``{"purge_seq", "purged": {id: [rev]}}`` as CouchDB, in one
    transaction; revisions that are not leaves are ignored there. Purges do not replicate. Raises BadRequest, and
    NotFound when the one revision is not a leaf.
    """
    if isinstance(id, Mapping):
        wanted = {check_id(key): [check_rev(each) for each in text_list(key, revs)] for key, revs in id.items()}
        purge_seq, gone, _ = ask(db, "purge", revs=wanted)
        return Record(purge_seq=purge_seq, purged=Record(gone))
    if rev is None:
        raise BadRequest("purge(id) needs the revision too: purge(id, rev)")
    _, gone, removed = ask(db, "purge", revs={check_id(id): [check_rev(rev)]})
    if not gone[id]:
        raise NotFound(f"missing: {rev} is not a leaf of the document, and only leaves can be purged", id=id)
    return Record(ok=True, deletedRevs=gone[id], documentWasRemovedCompletely=id in removed)


def revs_limit(db: Database, limit: int | None = None) -> int:
    """Return how many revisions of a branch are kept (1000 unless set), after setting it if ``limit`` is given.

    Older revisions are dropped when a document is next written. A low limit makes spurious
    conflicts when replicas diverge further than it reaches.
    """
    kept: int = ask(db, "revs_limit", limit=limit)
    return kept


def get_security(db: Database) -> Record:
    """Return the security object, ``{}`` unless one was set."""
    found: Record = ask(db, "get_security")
    return found


def put_security(db: Database, security: Mapping[str, Any] | str) -> Record:
    """Replace the security object: ``{"admins": {"names", "roles"}, "members": {...}}``. It does not replicate.

    Other fields are kept. Raises BadRequest if it would give access to others than its writer believes.
    """
    given = mapping(security)
    for group in ("admins", "members"):
        people = given.get(group, {})
        if not isinstance(people, Mapping):
            raise BadRequest(f"{group} must be an object with names and roles, not {safe_repr(people)}")
        for kind in ("names", "roles"):
            text_list(f"{kind} of {group}", people.get(kind, ()))
    ask(db, "put_security", security=given)
    return Record(ok=True)


def active_tasks(db: Database) -> list[Record]:
    """Return the long-running tasks of this database: ``[{"id", "name", "created_at", ...}]``."""
    return db.environment.engine.tasks.list(lambda task: task.database == db.name)


def backup(db: Database, target: PathLike) -> Record:
    """Copy a snapshot of the database to a new file, while others read and write.

    The copy can be opened like any database once it is in a storage directory; its ``epoch``
    differs, so that a replication notices it was restored. Raises BadRequest if the file exists, and Damaged,
    naming document and attachment, if what is stored is not what was written: nothing is copied then.
    """
    if not isinstance(target, (str, os.PathLike)):
        raise BadRequest(f"the target of a backup must be a path, not {safe_repr(target)}")
    ask(db, "backup", target=Path(target).expanduser().absolute())
    return Record(ok=True)


def integrity_check(db: Database, *, deep: bool = True) -> Sequence[str]:
    """Check everything stored; returns what is wrong, nothing if all is well. Reads the whole database.

    What SQLite finds comes first, then whether the tables agree with each other; ``deep`` also compares the content
    of each attachment with its digest and parses every document.
    """
    found: Sequence[str] = ask(db, "integrity_check", deep=deep)
    return found


def close(db: Database) -> None:
    """Close the database; later calls on this object raise DatabaseClosed."""
    if not db.closed:
        ask(db, "close")


def destroy(db: Database) -> Record:
    """Remove the database with all its files. Other objects of it become unusable.

    For an object whose database was destroyed already, nothing is done; a database of the same name that was made
    since is kept.
    """
    if db._life.ended == DESTROYED:
        return Record(ok=True)
    adapter = db.adapter
    db.plugins.destroy(
        db.environment.sync_view, Destroy(db.name, adapter.name, db.options if db.remote else {}, db.user, db.purpose)
    )
    return Record(ok=True)
