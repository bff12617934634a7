"""Rows of documents in and out of SQLite: what ``adapters.sql`` does not say for all databases.

Existing rows of a batch are looked up by one join, rows are written by ``executemany`` (spec: store, section 3).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import orjson

from pouchdb_core.adapters.sql.consistency import CHECKS
from pouchdb_core.adapters.sql.sql_store import CONTENT, COUNTERS, NAMES, SqlStore
from pouchdb_core.adapters.sqlite.transactions import Connections, Transaction
from pouchdb_core.adapters.write_lock import Writing
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.documents.content import Digests
from pouchdb_core.documents.store import Content, Counters, RowChanges
from pouchdb_core.jsontext import dump

__all__ = ["SqliteStore", "join_list"]

_SAVE_COUNTERS = f"UPDATE counters SET {' = ?, '.join(NAMES)} = ?"


class _Write(Transaction):
    """A write transaction with the counters of the database, which are saved at its end if they changed."""

    __slots__ = ("_store", "_was", "counters")

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store.connections)
        self._store = store

    def _begun(self) -> Counters:
        # Only the thread that has the turn gets here, so a plain attribute is enough.
        counters = self.counters = self._store._writing = self._store.counters()
        self._was = counters.values()
        return counters

    def _begun_in(self, outer: Transaction) -> Counters:
        assert isinstance(outer, _Write), "a transaction of a store is within one of a store"
        self.counters = outer.counters
        self._was = self.counters.values()
        return self.counters

    def _ending(self) -> None:
        self._store._writing = None
        now = self.counters.values()
        if now != self._was:
            self._store._run(_SAVE_COUNTERS, now)

    def _undone(self, outer: Transaction) -> None:
        self.counters.restore(self._was)

    def _ended(self) -> None:
        if self.counters.update_seq != self._was[0]:
            self._store.notifier.notify()


class SqliteStore(SqlStore):
    """A ``Store`` (see documents/store.py for the contract of every method)."""

    # json_each has a column of this name, too.
    ID = "d.id"
    # SQLite follows the order of a CROSS JOIN.
    USES = "attachment_uses AS u CROSS JOIN attachments AS a ON a.number = u.attachment"
    CHECKS = (("the row is gone", "SELECT 'counters' WHERE NOT EXISTS (SELECT 1 FROM counters)"), *CHECKS)

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self.connections = connections
        self._one, self._all = connections.one, connections.all
        self._run, self._many = connections.run, connections.many
        self._writing: Counters | None = None
        self.notifier = Notifier()

    # -- counters and transactions ---------------------------------------------------------------

    def counters(self) -> Counters:
        if self._saving:
            self._check_whole()
        return self._counters(self._one(f"SELECT {COUNTERS} FROM counters"), self.connections.what)

    def write(self) -> AbstractContextManager[Counters]:
        return Writing(_Write(self))

    def alone(self) -> None:
        self.connections.alone()

    def version(self) -> int:
        """Return a number that changes with every commit of another connection."""
        return self.connections.version()

    def check(self) -> None:
        self.connections.check()

    def snapshot(self) -> AbstractContextManager[None]:
        return self.connections.snapshot()

    # -- documents -------------------------------------------------------------------------------

    def _of_ids(self, columns: str, ids: Sequence[str]) -> list[Any]:
        if self._saving:
            self._check_whole()
        if len(ids) == 1:
            return self._all(f"SELECT {columns} FROM documents AS d WHERE d.id = ?", ids)
        joined, single = join_list(ids)
        found = self._all(
            f"SELECT {columns} FROM json_each(?) AS j CROSS JOIN documents AS d ON d.id = j.value", (joined,)
        )
        for id in single:
            found += self._all(f"SELECT {columns} FROM documents AS d WHERE d.id = ?", (id,))
        return found

    def _save(self, changes: RowChanges) -> None:
        for sql, rows in (
            (
                "INSERT INTO bodies (pointer, id, body) SELECT ?, id, body FROM documents WHERE seq = ?",
                changes.moved,
            ),
            ("DELETE FROM documents WHERE seq = ?", changes.removed),
            ("UPDATE documents SET seq = ?, conflicts = ?, tree = ? WHERE seq = ?", changes.touched),
            (
                "INSERT INTO documents (seq, id, rev, deleted, conflicts, tree, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                changes.inserted,
            ),
            ("INSERT INTO bodies (pointer, id, body) VALUES (?, ?, ?)", changes.bodies),
            ("DELETE FROM bodies WHERE pointer = ?", changes.dropped),
            ("INSERT INTO attachment_uses (id, rev, name, attachment) VALUES (?, ?, ?, ?)", changes.uses),
        ):
            if rows:
                self._many(sql, rows)
        if changes.unused:
            self._release(changes.unused)

    def renumber(self, moves: Sequence[tuple[int, int]]) -> None:
        moves = [move for move in moves if move[0] != move[1]]
        # Through unused numbers: one may move to where another still is.
        self._many("UPDATE documents SET seq = ? WHERE seq = ?", [(-new, old) for old, new in moves])
        self._many("UPDATE documents SET seq = ? WHERE seq = ?", [(new, -new) for _, new in moves])

    # -- attachments -----------------------------------------------------------------------------

    def add_content(self, digests: Digests, chunks: Iterable[bytes]) -> Content:
        assert self._writing is not None, "attachments are added in a write transaction"
        content = Content(self._writing.next_attachment(), digests.length, digests.md5, digests.sha256)
        self._run("INSERT INTO attachments (number, length, digest, sha256) VALUES (?, ?, ?, ?)", content)
        self._many(
            "INSERT INTO attachment_chunks (attachment, position, data, checksum) VALUES (?, ?, ?, ?)",
            ((content.number, position, chunk, zlib.crc32(chunk)) for position, chunk in enumerate(chunks)),
        )
        return content

    def content_after(self, number: int, limit: int) -> list[tuple[Content, str, str]]:
        rows = self._all(
            # The columns beside min() belong to its row.
            f"SELECT {CONTENT}, u.id, u.name, min(u.id) FROM attachments AS a "
            "LEFT JOIN attachment_uses AS u ON u.attachment = a.number "
            "WHERE a.number > ? GROUP BY a.number ORDER BY a.number LIMIT ?",
            (number, limit),
        )
        return [(Content(*row[:4]), row[4], row[5]) for row in rows]

    def _release(self, unused: Sequence[tuple[str, str]]) -> None:
        """End the revisions' uses of attachments, and delete content that is no longer used."""
        numbers: set[int] = set()
        for use in unused:
            numbers.update(
                number
                for (number,) in self._all("SELECT attachment FROM attachment_uses WHERE id = ? AND rev = ?", use)
            )
        if not numbers:
            return
        self._many("DELETE FROM attachment_uses WHERE id = ? AND rev = ?", unused)
        for number in numbers:
            if self._one("SELECT 1 FROM attachment_uses WHERE attachment = ? LIMIT 1", (number,)) is None:
                self._run("DELETE FROM attachment_chunks WHERE attachment = ?", (number,))
                self._run("DELETE FROM attachments WHERE number = ?", (number,))

    # -- local documents and metadata ------------------------------------------------------------

    def put_local(self, id: str, rev: int, body: bytes) -> None:
        self._run(
            "INSERT INTO local_documents (id, rev, body) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET rev = excluded.rev, body = excluded.body",
            (id, rev, body),
        )

    def set_metadata(self, key: str, value: Any) -> None:
        self._run(
            "INSERT INTO metadata (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, dump(value)),
        )

    # -- purges ----------------------------------------------------------------------------------

    def add_purge(self, purge_seq: int, id: str, revs: Sequence[str], keep: int) -> None:
        self._run("INSERT INTO purges (purge_seq, id, revs) VALUES (?, ?, ?)", (purge_seq, id, _json(revs).encode()))
        self._run("DELETE FROM purges WHERE purge_seq <= ?", (purge_seq - keep,))

    # -- the database as a whole -----------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        return self.connections.sizes()

    def shrink(self) -> None:
        self.connections.shrink()

    def backup(self, target: Path) -> None:
        self.connections.backup(target)

    def problems(self) -> list[str]:
        """SQLite's own check, then ours: whether the tables agree with each other."""
        # Damaged tables can no longer be queried.
        return self.connections.problems() or self._inconsistencies()

    def close(self) -> None:
        self.connections.close()


def join_list(texts: Sequence[str]) -> tuple[str, list[str]]:
    """Return strings as a ``json_each`` argument, and apart those that it would change: it cuts strings at a NUL."""
    joined = _json(texts)
    if "\\u0000" not in joined:
        return joined, []
    return _json([text for text in texts if "\0" not in text]), [text for text in texts if "\0" in text]


def _json(texts: Sequence[str]) -> str:
    return orjson.dumps(texts).decode()
