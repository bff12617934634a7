"""Filling an empty database with a dump: documents at their old places in the feed, then its identity.

Sequence numbers mean the same as in the database that was dumped, so its replications continue. While
documents are loaded it is a separate database, marked by the metadata ``loading``; only when all are
there it becomes the one that was dumped, in a new life (epoch), as with a copy from a backup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pouchdb_core.documents.epochs import begin_epoch
from pouchdb_core.documents.parse import parse_local
from pouchdb_core.documents.store import Counters, Store
from pouchdb_core.documents.write import Rules, write
from pouchdb_core.errors import BadRequest, FileExists, PouchDBError
from pouchdb_core.requests import Write
from pouchdb_core.results import Outcome

__all__ = ["LOADING", "Restore"]

LOADING = "loading"


class Restore:
    """Loads one dump. Each method is one transaction."""

    def __init__(self, store: Store, rules: Rules, dump: str, adopted: Callable[[str], None]) -> None:
        """Begin, or continue the dump of this id. Raises FileExists if something else is in the database."""
        self._store, self._rules, self._adopted = store, rules, adopted
        with store.write() as counters:
            begun: Any = store.metadata(LOADING)
            if begun is None:
                if counters.update_seq or counters.purge_seq or store.local_ids(""):
                    raise FileExists("the database is not empty")
                store.set_metadata(LOADING, {"dump": dump, "seq": 0})
            elif begun["dump"] != dump or begun["seq"] != counters.update_seq:
                what = "another dump was" if begun["dump"] != dump else "it was written to while a dump was"
                raise FileExists(f"the database is not empty: {what} loaded in part")
            self._loading = {"dump": dump}
            self.reached: int = 0 if begun is None else begun["seq"]
            """Documents up to this seq are already there."""

    def write(self, docs: Sequence[Any], seqs: Mapping[str, int]) -> list[Outcome]:
        """Store leaves of documents; ``seqs`` maps ids to places in the feed, beyond all existing ones."""
        with self._store.write() as counters:
            outcomes = write(self._store, Write(docs, new_edits=False, purpose="replication"), self._rules)
            heads = self._store.heads(list(seqs))
            moves = [(heads[id][0], seq) for id, seq in seqs.items() if id in heads]
            self._store.renumber(moves)
            self._mark(counters, max(seqs.values(), default=0))
        return outcomes

    def _mark(self, counters: Counters, seq: int) -> None:
        # A refused document leaves its place empty.
        counters.update_seq = self.reached = max(self.reached, seq)
        self._store.set_metadata(LOADING, {**self._loading, "seq": self.reached})

    def put_locals(self, docs: Sequence[Mapping[str, Any]]) -> list[PouchDBError]:
        """Store local documents with the revisions they have; return the errors of those that cannot be stored."""
        failed = []
        with self._store.write():
            for doc in docs:
                try:
                    id, rev, deleted, body = parse_local(doc)
                    if rev is None or deleted:
                        raise BadRequest("a local document of a dump needs its _rev", id=id)
                    self._store.put_local(id, int(rev[2:]), body)
                except PouchDBError as error:
                    failed.append(error)
        return failed

    def put_purges(self, purges: Sequence[tuple[int, str, Sequence[str]]], keep: int) -> None:
        """Log what was purged."""
        with self._store.write() as counters:
            for purge_seq, id, revs in purges:
                # A dump that is loaded again contains them again.
                if purge_seq > counters.purge_seq:
                    self._store.add_purge(purge_seq, id, revs, keep)
                    counters.purge_seq = purge_seq

    def finish(self, about: Mapping[str, Any], update_seq: int, purge_seq: int, *, identity: bool) -> None:
        """Finish the load; with ``identity`` this is from now on the database that was dumped."""
        with self._store.write() as counters:
            counters.update_seq = max(counters.update_seq, update_seq)
            counters.purge_seq = max(counters.purge_seq, purge_seq)
            if about.get("security"):
                self._store.set_metadata("security", about["security"])
            if identity:
                self._store.set_metadata("uuid", about["uuid"])
                begin_epoch(self._store, about["former_epochs"], about["epoch"], update_seq)
            self._store.set_metadata(LOADING, None)
        if identity:
            self._adopted(about["uuid"])
