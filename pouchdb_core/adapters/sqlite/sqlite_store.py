"""The one module that speaks SQL: rows of documents in and out.

Written for any database peewee connects to; what is SQLite's own is in ``sqlite``. Existing rows of
a batch are looked up by one join, rows are written by ``executemany`` (spec: store, section 3).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import get_ident
from typing import Any

import orjson

from pouchdb_core.adapters.sqlite.transactions import Connections, Transaction, Writing
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.documents.content import Digests
from pouchdb_core.documents.store import Content, Counters, Head, LocalRow, Row, RowChanges, end_of_prefix
from pouchdb_core.errors import ReentrantWrite
from pouchdb_core.jsontext import dump, load

__all__ = ["SqliteStore", "join_list"]

_COUNTERS = "update_seq, doc_count, doc_del_count, purge_seq, ddocs_seq, last_pointer, last_attachment, revs_limit"
_NAMES = tuple(_COUNTERS.split(", "))
_ROW = "seq, id, rev, deleted, tree, body"
_SAVE_COUNTERS = (
    "UPDATE counters SET update_seq = ?, doc_count = ?, doc_del_count = ?, purge_seq = ?, "
    "ddocs_seq = ?, last_pointer = ?, last_attachment = ?, revs_limit = ?"
)
_BARE = "seq, id, rev, deleted, tree, NULL"
_CONTENT = "a.number, a.length, a.digest, a.sha256"


class _Write(Transaction):
    """A write transaction with the counters of the database, which are saved at its end if they changed."""

    __slots__ = ("_store", "_was", "counters")

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store.connections)
        self._store = store

    def _begun(self) -> Counters:
        # Only the thread that has the turn gets here, so a plain attribute is enough.
        counters = self.counters = self._store._writing = self._store.counters()
        self._was = _values(counters)
        return counters

    def _begun_in(self, outer: Transaction) -> Counters:
        assert isinstance(outer, _Write), "a transaction of a store is within one of a store"
        self.counters = outer.counters
        self._was = _values(self.counters)
        return self.counters

    def _ending(self) -> None:
        self._store._writing = None
        now = _values(self.counters)
        if now != self._was:
            self._store._run(_SAVE_COUNTERS, now)

    def _undone(self, outer: Transaction) -> None:
        for name, value in zip(_NAMES, self._was, strict=True):
            setattr(self.counters, name, value)

    def _ended(self) -> None:
        if self.counters.update_seq != self._was[0]:
            self._store.notifier.notify()


class SqliteStore:
    """A ``Store`` (see documents/store.py for the contract of every method)."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self._one, self._all = connections.one, connections.all
        self._run, self._many = connections.run, connections.many
        self._writing: Counters | None = None
        self._saving = 0
        """The thread that is in the middle of changing rows, or 0."""
        self.notifier = Notifier()

    # -- counters and transactions ---------------------------------------------------------------

    def counters(self) -> Counters:
        if self._saving:
            self._check_whole()
        return Counters(*self._one(f"SELECT {_COUNTERS} FROM counters"))

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

    def _check_whole(self) -> None:
        """Raise ReentrantWrite in code that runs while its own thread changes rows: it would see half of a document."""
        if self._saving == get_ident():
            raise ReentrantWrite(
                "this thread is in the middle of writing documents; read them later, or in another thread"
            )

    def row(self, id: str) -> Row | None:
        if self._saving:
            self._check_whole()
        row: Row | None = self._one(f"SELECT {_ROW} FROM documents WHERE id = ?", (id,))
        return row

    def heads(self, ids: Sequence[str]) -> dict[str, Head]:
        rows = self._of_ids("d.id, d.seq, d.rev, d.deleted, d.tree", ids)
        return {id: (seq, rev, deleted, tree) for id, seq, rev, deleted, tree in rows}

    def rows(self, ids: Sequence[str]) -> dict[str, Row]:
        return {row[1]: row for row in self._of_ids("d.seq, d.id, d.rev, d.deleted, d.tree, d.body", ids)}

    def lengths(self, ids: Sequence[str]) -> dict[str, int]:
        return dict(self._of_ids("d.id, length(d.body)", ids))

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

    def body(self, pointer: int) -> bytes | None:
        row = self._one("SELECT body FROM bodies WHERE pointer = ?", (pointer,))
        return None if row is None else row[0]

    def save(self, changes: RowChanges) -> None:
        try:
            self._saving = get_ident()
            self._save(changes)
        finally:
            self._saving = 0

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

    def scan_ids(
        self,
        start: str | None,
        end: str | None,
        *,
        include_start: bool = True,
        include_end: bool = True,
        descending: bool = False,
        limit: int,
        skip: int = 0,
        bodies: bool = False,
    ) -> list[Row]:
        if self._saving:
            self._check_whole()
        conditions, params = ["deleted = 0"], []
        after, before = ("<", ">") if descending else (">", "<")
        if start is not None:
            conditions.append(f"id {after}{'=' if include_start else ''} ?")
            params.append(start)
        if end is not None:
            conditions.append(f"id {before}{'=' if include_end else ''} ?")
            params.append(end)
        return self._all(
            f"SELECT {_ROW if bodies else _BARE} FROM documents WHERE {' AND '.join(conditions)} "
            f"ORDER BY id {'DESC' if descending else 'ASC'} LIMIT ? OFFSET ?",
            (*params, limit, skip),
        )

    def count_before(self, id: str, *, inclusive: bool, descending: bool) -> int:
        sign = (">" if descending else "<") + ("=" if inclusive else "")
        count: int = self._one(f"SELECT count(*) FROM documents WHERE deleted = 0 AND id {sign} ?", (id,))[0]
        return count

    def scan_seqs(
        self, after: int, before: int, *, limit: int, descending: bool = False, bodies: bool = False
    ) -> list[Row]:
        if self._saving:
            self._check_whole()
        return self._all(
            f"SELECT {_ROW if bodies else _BARE} FROM documents WHERE seq > ? AND seq < ? "
            f"ORDER BY seq {'DESC' if descending else 'ASC'} LIMIT ?",
            (after, before, limit),
        )

    def renumber(self, moves: Sequence[tuple[int, int]]) -> None:
        moves = [move for move in moves if move[0] != move[1]]
        # Through unused numbers: one may move to where another still is.
        self._many("UPDATE documents SET seq = ? WHERE seq = ?", [(-new, old) for old, new in moves])
        self._many("UPDATE documents SET seq = ? WHERE seq = ?", [(new, -new) for _, new in moves])

    def count_seqs(self, after: int) -> int:
        count: int = self._one("SELECT count(*) FROM documents WHERE seq > ?", (after,))[0]
        return count

    def conflicted(self, after: str, limit: int) -> list[str]:
        rows = self._all("SELECT id FROM documents WHERE conflicts > 0 AND id > ? ORDER BY id LIMIT ?", (after, limit))
        return [id for (id,) in rows]

    def bodies_after(self, pointer: int, limit: int) -> list[tuple[int, str]]:
        return self._all("SELECT pointer, id FROM bodies WHERE pointer > ? ORDER BY pointer LIMIT ?", (pointer, limit))

    # -- attachments -----------------------------------------------------------------------------

    def attachment(self, id: str, rev: str, name: str) -> Content | None:
        row = self._one(
            f"SELECT {_CONTENT} FROM attachment_uses AS u CROSS JOIN attachments AS a ON a.number = u.attachment "
            "WHERE u.id = ? AND u.rev = ? AND u.name = ?",
            (id, rev, name),
        )
        return None if row is None else Content(*row)

    def attachments(self, id: str, rev: str) -> dict[str, Content]:
        rows = self._all(
            f"SELECT {_CONTENT}, u.name FROM attachment_uses AS u "
            "CROSS JOIN attachments AS a ON a.number = u.attachment WHERE u.id = ? AND u.rev = ?",
            (id, rev),
        )
        return {row[4]: Content(*row[:4]) for row in rows}

    def content(self, sha256: bytes) -> Content | None:
        row = self._one(f"SELECT {_CONTENT} FROM attachments AS a WHERE a.sha256 = ?", (sha256,))
        return None if row is None else Content(*row)

    def contents(self, md5: str) -> list[Content]:
        rows = self._all(f"SELECT {_CONTENT} FROM attachments AS a WHERE a.digest = ? ORDER BY a.number", (md5,))
        return [Content(*row) for row in rows]

    def has_content(self, number: int) -> bool:
        return self._one("SELECT 1 FROM attachments WHERE number = ?", (number,)) is not None

    def add_content(self, digests: Digests, chunks: Iterable[bytes]) -> Content:
        assert self._writing is not None, "attachments are added in a write transaction"
        content = Content(self._writing.next_attachment(), digests.length, digests.md5, digests.sha256)
        self._run("INSERT INTO attachments (number, length, digest, sha256) VALUES (?, ?, ?, ?)", content)
        self._many(
            "INSERT INTO attachment_chunks (attachment, position, data, checksum) VALUES (?, ?, ?, ?)",
            ((content.number, position, chunk, zlib.crc32(chunk)) for position, chunk in enumerate(chunks)),
        )
        return content

    def attachment_chunk(self, number: int, index: int) -> tuple[bytes, int | None] | None:
        row: tuple[bytes, int | None] | None = self._one(
            "SELECT data, checksum FROM attachment_chunks WHERE attachment = ? AND position = ?", (number, index)
        )
        return row

    def content_after(self, number: int, limit: int) -> list[tuple[Content, str, str]]:
        rows = self._all(
            # The columns beside min() belong to its row.
            f"SELECT {_CONTENT}, u.id, u.name, min(u.id) FROM attachments AS a "
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

    def local(self, id: str) -> LocalRow | None:
        row: LocalRow | None = self._one("SELECT rev, body FROM local_documents WHERE id = ?", (id,))
        return row

    def local_ids(self, prefix: str) -> list[str]:
        end = end_of_prefix(prefix)
        below, params = ("", (prefix,)) if end is None else (" AND id < ?", (prefix, end))
        rows = self._all(f"SELECT id FROM local_documents WHERE id >= ?{below} ORDER BY id", params)
        return [id for (id,) in rows]

    def put_local(self, id: str, rev: int, body: bytes) -> None:
        self._run(
            "INSERT INTO local_documents (id, rev, body) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET rev = excluded.rev, body = excluded.body",
            (id, rev, body),
        )

    def remove_local(self, id: str) -> None:
        self._run("DELETE FROM local_documents WHERE id = ?", (id,))

    def metadata(self, key: str) -> Any:
        row = self._one("SELECT value FROM metadata WHERE key = ?", (key,))
        return None if row is None else load(row[0])

    def set_metadata(self, key: str, value: Any) -> None:
        self._run(
            "INSERT INTO metadata (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, dump(value)),
        )

    # -- purges ----------------------------------------------------------------------------------

    def add_purge(self, purge_seq: int, id: str, revs: Sequence[str], keep: int) -> None:
        self._run("INSERT INTO purges (purge_seq, id, revs) VALUES (?, ?, ?)", (purge_seq, id, _json(revs).encode()))
        self._run("DELETE FROM purges WHERE purge_seq <= ?", (purge_seq - keep,))

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        rows = self._all(
            "SELECT purge_seq, id, revs FROM purges WHERE purge_seq > ? ORDER BY purge_seq LIMIT ?", (after, limit)
        )
        return [(purge_seq, id, orjson.loads(revs)) for purge_seq, id, revs in rows]

    # -- the database as a whole -----------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        return self.connections.sizes()

    def shrink(self) -> None:
        self.connections.shrink()

    def backup(self, target: Path) -> None:
        self.connections.backup(target)

    def problems(self) -> list[str]:
        """SQLite's own check, then ours: whether the tables agree with each other."""
        found = self.connections.problems()
        if found:
            # Its tables can no longer be queried.
            return found
        with self.snapshot():
            for text, sql in _CHECKS:
                for (what,) in self._all(sql):
                    found.append(f"{text}: {what}")
        return found

    def close(self) -> None:
        self.connections.close()


_CHECKS = (
    ("the row is gone", "SELECT 'counters' WHERE NOT EXISTS (SELECT 1 FROM counters)"),
    (
        "doc_count is wrong, documents counted",
        (
            "SELECT n FROM (SELECT count(*) AS n FROM documents WHERE deleted = 0) "
            "WHERE n <> (SELECT doc_count FROM counters)"
        ),
    ),
    (
        "doc_del_count is wrong, tombstones counted",
        (
            "SELECT n FROM (SELECT count(*) AS n FROM documents WHERE deleted <> 0) "
            "WHERE n <> (SELECT doc_del_count FROM counters)"
        ),
    ),
    (
        "update_seq is behind the last row",
        "SELECT max(seq) FROM documents HAVING max(seq) > (SELECT update_seq FROM counters)",
    ),
    (
        "last_pointer is behind the last body",
        "SELECT max(pointer) FROM bodies HAVING max(pointer) > (SELECT last_pointer FROM counters)",
    ),
    (
        "last_attachment is behind the last attachment",
        "SELECT max(number) FROM attachments HAVING max(number) > (SELECT last_attachment FROM counters)",
    ),
    ("a document without its body", "SELECT id FROM documents WHERE body IS NULL"),
    (
        "a body of a document that is gone",
        "SELECT id FROM bodies WHERE NOT EXISTS (SELECT 1 FROM documents AS d WHERE d.id = bodies.id)",
    ),
    (
        "a use of an attachment by a document that is gone",
        "SELECT id FROM attachment_uses WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = attachment_uses.id)",
    ),
    (
        "a piece of an attachment that is gone",
        "SELECT attachment FROM attachment_chunks WHERE attachment NOT IN (SELECT number FROM attachments)",
    ),
    (
        "a use of an attachment that is gone",
        "SELECT id FROM attachment_uses WHERE attachment NOT IN (SELECT number FROM attachments)",
    ),
    (
        "an attachment that nothing uses",
        "SELECT digest FROM attachments WHERE number NOT IN (SELECT attachment FROM attachment_uses)",
    ),
    (
        "an attachment of another length than told",
        (
            "SELECT digest FROM attachments WHERE length <> coalesce("
            "(SELECT sum(length(data)) FROM attachment_chunks WHERE attachment = number), 0)"
        ),
    ),
)


def _values(counters: Counters) -> tuple[int, ...]:
    return (
        counters.update_seq,
        counters.doc_count,
        counters.doc_del_count,
        counters.purge_seq,
        counters.ddocs_seq,
        counters.last_pointer,
        counters.last_attachment,
        counters.revs_limit,
    )


def join_list(texts: Sequence[str]) -> tuple[str, list[str]]:
    """Return strings as a ``json_each`` argument, and apart those that it would change: it cuts strings at a NUL."""
    joined = _json(texts)
    if "\\u0000" not in joined:
        return joined, []
    return _json([text for text in texts if "\0" not in text]), [text for text in texts if "\0" in text]


def _json(texts: Sequence[str]) -> str:
    return orjson.dumps(texts).decode()
