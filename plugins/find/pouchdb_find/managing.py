"""Making, listing and deleting indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.documents.parse import check_id
from pouchdb_core.errors import Conflict, NotFound, PouchDBError
from pouchdb_core.requests import Read, Write
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.views.register import indexes
from pouchdb_find.definitions import LANGUAGE, Definition, definitions, requested
from pouchdb_find.errors import FindError
from pouchdb_find.explaining import ALL_DOCS
from pouchdb_find.sources import follower_of
from pouchdb_find.text_definitions import TextDefinition, has_search, requested_text, text_definitions

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["create", "delete", "listed"]

Index = Definition | TextDefinition

TRIES = 5
"""How often an edit of a design document is retried after a conflict."""


def listed(database: SyncPouchDB) -> list[Record]:
    """Return all indexes: the one of all documents, then those of design documents, by document and name."""
    found = sorted(_known(database), key=lambda each: (each.ddoc, each.name))
    return [Record(ALL_DOCS), *(each.json() for each in found)]


def create(database: SyncPouchDB, request: Any, *, strict: bool = False) -> Record:
    """Write the design document of the index that a request defines, and build it.

    ``strict`` as in ``requested``. ``result`` is "exists" if the same index exists already. Raises FindError.
    """
    text = isinstance(request, Mapping) and request.get("type") == "text" and has_search(database)
    definition: Index = requested_text(request) if text else requested(request, strict=strict)
    answer = _written(database, definition)
    if isinstance(definition, TextDefinition):
        # Its first search builds it.
        getattr(database, "search")(definition.path, q="*:*", limit=1)  # noqa: B009  # of another plug-in
    else:
        follower_of(database, database.design_documents(), definition).update(database, definition.label)
    return answer


def _known(database: SyncPouchDB) -> list[Index]:
    designs = database.design_documents()
    return [*definitions(designs), *text_definitions(database, designs)]


def _member(text: bool) -> str:
    return "indexes" if text else "views"


def _written(database: SyncPouchDB, definition: Index) -> Record:
    member = _member(isinstance(definition, TextDefinition))
    check_id(definition.ddoc)
    for _ in range(TRIES):
        ddoc = _read(database, definition.ddoc) or {"_id": definition.ddoc, "language": LANGUAGE}
        if ddoc.get("language") != LANGUAGE:
            raise FindError(
                "invalid_ddoc_lang",
                f"Existing design doc has an invalid language: {safe_repr(ddoc.get('language'))}; "
                f"{definition.ddoc} must be {LANGUAGE!r} to hold indexes: use another ddoc",
            )
        entries = ddoc.get(member)
        entries = dict(entries) if isinstance(entries, Mapping) else {}
        names = definition.ddoc, definition.name
        if any((each.ddoc, each.name) == names and _equal(each, definition) for each in _known(database)):
            return Record(id=definition.ddoc, name=definition.name, result="exists")
        entries[definition.name] = definition.stored if isinstance(definition, TextDefinition) else definition.view
        if _write(database, {**ddoc, member: entries}):
            return Record(id=definition.ddoc, name=definition.name, result="created")
    raise FindError("error_saving_ddoc", "Encountered a conflict while saving the design document.", status=500)


def delete(database: SyncPouchDB, ddoc: str, name: str | None = None, kind: str = "json") -> None:
    """Remove an index, and its design document if nothing is left in it; ``name`` None removes its only one.

    Raises NotFound.
    """
    id = f"_design/{ddoc.removeprefix('_design/')}"
    for _ in range(TRIES):
        known = [each for each in _known(database) if each.ddoc == id]
        found = [
            each
            for each in known
            if name is None or (each.name == name and isinstance(each, TextDefinition) == (kind == "text"))
        ]
        if kind not in ("json", "text") or len(found) != 1:
            raise NotFound("missing")
        doc = _read(database, id)
        if doc is None:
            raise NotFound("missing")
        member = _member(isinstance(found[0], TextDefinition))
        entries = {each: entry for each, entry in doc[member].items() if each != found[0].name}
        rest = {key: value for key, value in doc.items() if key not in ("_id", "_rev", "language", member)}
        if entries or rest:
            edit = {**doc, member: entries}
            if not entries:
                del edit[member]
        else:
            edit = {"_id": id, "_rev": doc["_rev"], "_deleted": True}
        if _write(database, edit):
            indexes(database).cleanup(database)
            return
    raise FindError("error_saving_ddoc", "Encountered a conflict while saving the design document.", status=500)


def _equal(one: Index, other: Index) -> bool:
    if isinstance(one, TextDefinition) or isinstance(other, TextDefinition):
        return isinstance(one, TextDefinition) and isinstance(other, TextDefinition) and one.stored == other.stored
    return (one.fields, one.directions, one.partial) == (other.fields, other.directions, other.partial)


def _read(database: SyncPouchDB, id: str) -> Mapping[str, Any] | None:
    request = Read(id, user=database.user, purpose=database.purpose)
    try:
        doc: Mapping[str, Any] = database.plugins.read(database, request)
    except NotFound:
        return None
    return doc


def _write(database: SyncPouchDB, doc: Mapping[str, Any]) -> bool:
    """Write a design document; False on a conflict."""
    request = Write([doc], user=database.user, purpose=database.purpose)
    (outcome,) = database.plugins.write(database, request)
    if isinstance(outcome, Conflict):
        return False
    if isinstance(outcome, PouchDBError):
        raise outcome
    return True
