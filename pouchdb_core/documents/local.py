"""Local documents: no tree, no feed, never replicated; where checkpoints live."""

from __future__ import annotations

from pouchdb_core.documents.bodies import parsed_body
from pouchdb_core.documents.parse import check_id, parse_local
from pouchdb_core.documents.store import Store
from pouchdb_core.errors import Conflict, NotFound
from pouchdb_core.results import Record
from pouchdb_core.typing import DocumentInput

__all__ = ["read", "write"]


def read(store: Store, id: str) -> Record:
    """Return a local document. Raises NotFound, Damaged."""
    row = store.local(check_id(id))
    if row is None:
        raise NotFound(id=id)
    rev, body = row
    doc = parsed_body(body, id)
    doc["_id"], doc["_rev"] = id, f"0-{rev}"
    return doc


def write(store: Store, given: DocumentInput) -> Record:
    """Put or remove a local document, inside a write transaction. Raises Conflict, NotFound, BadRequest."""
    id, rev, deleted, body = parse_local(given)
    row = store.local(id)
    current = None if row is None else f"0-{row[0]}"
    if row is None and deleted:
        raise NotFound(id=id)
    if rev != current:
        raise Conflict(id=id)
    if deleted:
        store.remove_local(id)
        return Record(ok=True, id=id, rev="0-0")
    number = 1 if row is None else row[0] + 1
    store.put_local(id, number, body)
    return Record(ok=True, id=id, rev=f"0-{number}")
