"""The progress of an index, read without building anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pouchdb_core.errors import NotFound, PouchDBError
from pouchdb_core.views.index_store import IndexEntry, IndexStore
from pouchdb_core.views.register import indexes

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["IndexState", "index_sizes", "index_state"]


@dataclass(frozen=True, slots=True)
class IndexState:
    """The state of the index of one design document."""

    signature: str = ""
    """Identifies the functions that the index is made from; empty if they cannot run here."""
    update_seq: int = 0
    """The last change that the index has seen; 0 before it is built."""
    purge_seq: int = 0
    is_building: bool = False
    pending: int = 0
    """The number of changes that it has not seen."""

    @property
    def is_current(self) -> bool:
        """Return whether a query can be answered without indexing anything."""
        return self.pending == 0


def index_state(database: Database, ddoc: str, kind: str = "views") -> IndexState:
    """Return the state of the index of a kind that the design document ``ddoc`` (without ``_design/``) defines.

    Raises NotFound without such a design document, NotSupported for a database on a server.
    """
    store, entry = _entry(database, ddoc, kind)
    counters = store.counters()
    pending = 0
    if entry.seq < counters.update_seq:
        pending = database.adapter.pending(entry.seq)
    if entry.purge_seq < counters.purge_seq:
        # Purges must be processed too.
        pending = max(pending, 1)
    return IndexState(entry.signature, entry.seq, entry.purge_seq, entry.builder is not None, pending)


def index_sizes(database: Database, ddoc: str, kind: str = "views") -> dict[str, int]:
    """Return the size of such an index in bytes: ``file``, ``active`` (of it in use), ``external`` (rows alone).

    They are zero before it is built; of a large index they are estimates. Raises as ``index_state`` does.
    """
    store, entry = _entry(database, ddoc, kind)
    return store.sizes(entry.number)


def _entry(database: Database, ddoc: str, kind: str) -> tuple[IndexStore, IndexEntry]:
    """Return the store of indexes, and the entry of one; its number is 0 before it is built."""
    id = f"_design/{ddoc}"
    found = next((each for each in database.design_documents() if each["_id"] == id), None)
    if found is None:
        raise NotFound(f"missing: there is no design document {id!r}")
    known = database.plugins.index_kinds().get(kind)
    try:
        signature = (known.signature(database, found) if known is not None else None) or ""
    except PouchDBError:
        # Its functions cannot run here, so there is no index.
        signature = ""
    store = indexes(database).store
    row = store.find(kind, signature) if signature else None
    return store, IndexEntry(0, kind, signature) if row is None else IndexEntry(*row)
