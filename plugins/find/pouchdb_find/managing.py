"""Making, listing and deleting indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import Conflict, NotFound, PouchDBError
from pouchdb_core.requests import Read, Write
from pouchdb_core.results import Record
from pouchdb_core.views.register import indexes
from pouchdb_find.definitions import LANGUAGE, Definition, definitions
from pouchdb_find.errors import FindError
from pouchdb_find.explaining import ALL_DOCS
from pouchdb_find.sources import follower_of

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["build", "create", "delete", "listed"]

TRIES = 5
"""How often an edit of a design document is made again when others were faster."""


def listed(database: SyncPouchDB) -> list[Record]:
    """Return all indexes: the one of all documents, then those of design documents, by document and name."""
    found = [each.json() for _, several in definitions(database) for each in several]
    return [Record(ALL_DOCS), *found]


def create(database: SyncPouchDB, definition: Definition) -> Record:
    """Write an index's design document; ``result`` is "exists" if there is the same index already."""
    for _ in range(TRIES):
        ddoc = _read(database, definition.ddoc) or {"_id": definition.ddoc, "language": LANGUAGE}
        if ddoc.get("language") != LANGUAGE:
            raise FindError(
                "invalid_ddoc_lang",
                f"Existing design doc has an invalid language: {ddoc.get('language')!r}; {definition.ddoc} must be "
                f"{LANGUAGE!r} to hold indexes: use another ddoc",
            )
        views = ddoc.get("views")
        views = dict(views) if isinstance(views, Mapping) else {}
        known = [each for _, several in definitions(database) for each in several]
        same = [each for each in known if (each.ddoc, each.name) == (definition.ddoc, definition.name)]
        if same and _equal(same[0], definition):
            return Record(id=definition.ddoc, name=definition.name, result="exists")
        views[definition.name] = definition.view
        if _write(database, {**ddoc, "views": views}):
            return Record(id=definition.ddoc, name=definition.name, result="created")
    raise FindError("error_saving_ddoc", "Encountered a conflict while saving the design document.", status=500)


def build(database: SyncPouchDB, definition: Definition) -> None:
    """Bring the index of a definition up to date."""
    follower_of(database, definition).update(database, f"{definition.ddoc.removeprefix('_design/')}/{definition.name}")


def delete(database: SyncPouchDB, ddoc: str, name: str | None = None, kind: str = "json") -> None:
    """Remove an index, and its design document if nothing is left in it; ``name`` None removes its only one.

    Raises NotFound.
    """
    id = f"_design/{ddoc.removeprefix('_design/')}"
    for _ in range(TRIES):
        known = [each for _, several in definitions(database) for each in several if each.ddoc == id]
        found = [each for each in known if name is None or each.name == name]
        if kind != "json" or len(found) != 1:
            raise NotFound("missing")
        doc = _read(database, id)
        if doc is None:
            raise NotFound("missing")
        views = {each: view for each, view in doc["views"].items() if each != found[0].name}
        rest = {key: value for key, value in doc.items() if key not in ("_id", "_rev", "language", "views")}
        if views or rest:
            edit = {**doc, "views": views}
            if not views:
                del edit["views"]
        else:
            edit = {"_id": id, "_rev": doc["_rev"], "_deleted": True}
        if _write(database, edit):
            indexes(database).cleanup(database)
            return
    raise FindError("error_saving_ddoc", "Encountered a conflict while saving the design document.", status=500)


def _equal(one: Definition, other: Definition) -> bool:
    return (one.fields, one.directions, one.partial) == (other.fields, other.directions, other.partial)


def _read(database: SyncPouchDB, id: str) -> Mapping[str, Any] | None:
    request = Read(id, user=database.user, purpose=database.purpose)
    try:
        doc: Mapping[str, Any] = database.plugins.read(database, request)
    except NotFound:
        return None
    return doc


def _write(database: SyncPouchDB, doc: Mapping[str, Any]) -> bool:
    """Write a design document; False if somebody else did meanwhile."""
    request = Write([doc], user=database.user, purpose=database.purpose)
    (outcome,) = database.plugins.write(database, request)
    if isinstance(outcome, Conflict):
        return False
    if isinstance(outcome, PouchDBError):
        raise outcome
    return True
