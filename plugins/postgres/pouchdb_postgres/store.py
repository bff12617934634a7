"""A ``Store`` in PostgreSQL: see documents/store.py of the core for the contract of every method."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import get_ident
from typing import Any

from pouchdb_core.changes.notify import Notifier
from pouchdb_core.documents.content import Digests
from pouchdb_core.documents.store import Content, Counters, Head, LocalRow, Row, RowChanges, end_of_prefix
from pouchdb_core.errors import NotFound, NotSupported, ReentrantWrite
from pouchdb_core.jsontext import dump, load
from pouchdb_postgres.checks import CHECKS
from pouchdb_postgres.failures import GONE
from pouchdb_postgres.session import Json
from pouchdb_postgres.transactions import COUNTERS, Connections

__all__ = ["PostgresStore"]

_ROW = "seq, id, rev, deleted, tree, convert_to(body, 'UTF8')"
_BARE = "seq, id, rev, deleted, tree, NULL"
_CONTENT = "a.number, a.length, a.digest, a.sha256"
_USES = "attachment_uses AS u JOIN attachments AS a ON a.number = u.attachment"

CHUNKS = 16
"""Pieces of an attachment that are in memory at a time."""


class PostgresStore:
    """The rows of one database."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self._one, self._all = connections.one, connections.all
        self._run, self._many, self._insert = connections.run, connections.many, connections.insert
        self._saving = 0
        """The thread that is currently changing rows, or 0."""

    @property
    def notifier(self) -> Notifier:
        return self.connections.notifier

    # -- counters and transactions ---------------------------------------------------------------

    def counters(self) -> Counters:
        if self._saving:
            self._check_whole()
        row = self._one(f"SELECT {COUNTERS} FROM counters")
        if row is None:
            raise NotFound(f"{self.connections.what}: {GONE}")
        return Counters(*row)

    def write(self) -> AbstractContextManager[Counters]:
        return self.connections.write()

    def alone(self) -> None:
        """Raise ReentrantWrite in code that runs within a write of the same thread."""
        self.connections.alone()

    def version(self) -> int:
        """Return 0: the server notifies of commits (see ``listening``)."""
        return 0

    def check(self) -> None:
        self.connections.check_open()
        self._one("SELECT 1 FROM counters")

    def snapshot(self) -> AbstractContextManager[None]:
        return self.connections.snapshot()

    def _check_whole(self) -> None:
        """Raise ReentrantWrite in code that runs while its own thread changes rows: it would see half a document."""
        if self._saving == get_ident():
            raise ReentrantWrite(
                "this thread is in the middle of writing documents; read them later, or in another thread"
            )

    # -- documents -------------------------------------------------------------------------------

    def row(self, id: str) -> Row | None:
        if self._saving:
            self._check_whole()
        row: Row | None = self._one(f"SELECT {_ROW} FROM documents WHERE id = ?", (id,))
        return row

    def heads(self, ids: Sequence[str]) -> dict[str, Head]:
        rows = self._of_ids("id, seq, rev, deleted, tree", ids)
        return {id: (seq, rev, deleted, tree) for id, seq, rev, deleted, tree in rows}

    def rows(self, ids: Sequence[str]) -> dict[str, Row]:
        return {row[1]: row for row in self._of_ids(_ROW, ids)}

    def lengths(self, ids: Sequence[str]) -> dict[str, int]:
        return dict(self._of_ids("id, octet_length(body)", ids))

    def _of_ids(self, columns: str, ids: Sequence[str]) -> list[Any]:
        if self._saving:
            self._check_whole()
        if not ids:
            return []
        if len(ids) == 1:
            return self._all(f"SELECT {columns} FROM documents WHERE id = ?", ids)
        return self._all(f"SELECT {columns} FROM documents WHERE id = ANY(?)", (list(ids),))

    def body(self, pointer: int) -> bytes | None:
        row = self._one("SELECT convert_to(body, 'UTF8') FROM bodies WHERE pointer = ?", (pointer,))
        return None if row is None else row[0]

    def save(self, changes: RowChanges) -> None:
        try:
            self._saving = get_ident()
            self._save(changes)
        finally:
            self._saving = 0

    def _save(self, changes: RowChanges) -> None:
        run = self._run
        if changes.moved:
            pointers, seqs = zip(*changes.moved, strict=True)
            run(
                "INSERT INTO bodies (pointer, id, body) SELECT m.pointer, d.id, d.body "
                "FROM unnest(?::bigint[], ?::bigint[]) AS m (pointer, seq) JOIN documents AS d ON d.seq = m.seq",
                (list(pointers), list(seqs)),
            )
        if changes.removed:
            run("DELETE FROM documents WHERE seq = ANY(?::bigint[])", ([seq for (seq,) in changes.removed],))
        if changes.touched:
            self._many("UPDATE documents SET seq = ?, conflicts = ?, tree = ? WHERE seq = ?", changes.touched)
        if changes.inserted:
            self._insert(
                "documents",
                "seq, id, rev, deleted, conflicts, tree, body",
                [(*row[:6], None if row[6] is None else Json(row[6])) for row in changes.inserted],
            )
        if changes.bodies:
            rows = [(pointer, id, Json(body)) for pointer, id, body in changes.bodies]
            self._insert("bodies", "pointer, id, body", rows)
        if changes.dropped:
            run("DELETE FROM bodies WHERE pointer = ANY(?::bigint[])", ([each for (each,) in changes.dropped],))
        if changes.uses:
            self._insert("attachment_uses", "id, rev, name, attachment", changes.uses)
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
        if moves:
            # In one statement: a row may take the place another still has.
            self._run(
                "UPDATE documents AS d SET seq = m.new FROM unnest(?::bigint[], ?::bigint[]) AS m (old, new) "
                "WHERE d.seq = m.old",
                ([old for old, _ in moves], [new for _, new in moves]),
            )

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
        row = self._one(f"SELECT {_CONTENT} FROM {_USES} WHERE u.id = ? AND u.rev = ? AND u.name = ?", (id, rev, name))
        return None if row is None else Content(*row)

    def attachments(self, id: str, rev: str) -> dict[str, Content]:
        rows = self._all(f"SELECT {_CONTENT}, u.name FROM {_USES} WHERE u.id = ? AND u.rev = ?", (id, rev))
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
        counters = self.connections.writing
        assert counters is not None, "attachments are added in a write transaction"
        content = Content(counters.next_attachment(), digests.length, digests.md5, digests.sha256)
        self._run("INSERT INTO attachments (number, length, digest, sha256) VALUES (?, ?, ?, ?)", content)
        for position, chunk in enumerate(chunks):
            self._run(
                "INSERT INTO attachment_chunks (attachment, position, data, checksum) VALUES (?, ?, ?, ?)",
                (content.number, position, chunk, zlib.crc32(chunk)),
            )
        return content

    def attachment_chunk(self, number: int, index: int) -> tuple[bytes, int | None] | None:
        row: tuple[bytes, int | None] | None = self._one(
            "SELECT data, checksum FROM attachment_chunks WHERE attachment = ? AND position = ?", (number, index)
        )
        return row

    def content_after(self, number: int, limit: int) -> list[tuple[Content, str, str]]:
        rows = self._all(
            f"SELECT {_CONTENT}, u.id, u.name FROM attachments AS a LEFT JOIN LATERAL ("
            'SELECT id, name FROM attachment_uses WHERE attachment = a.number ORDER BY id COLLATE "C" LIMIT 1'
            ") AS u ON true WHERE a.number > ? ORDER BY a.number LIMIT ?",
            (number, limit),
        )
        return [(Content(*row[:4]), row[4], row[5]) for row in rows]

    def _release(self, unused: Sequence[tuple[str, str]]) -> None:
        """End the revisions' uses of attachments, and delete content whose last use that was."""
        ids, revs = [id for id, _ in unused], [rev for _, rev in unused]
        gone = "unnest(?::text[], ?::text[]) AS g (id, rev) WHERE u.id = g.id AND u.rev = g.rev"
        numbers = self._all(f"SELECT DISTINCT u.attachment FROM attachment_uses AS u, {gone}", (ids, revs))
        if not numbers:
            return
        self._run(f"DELETE FROM attachment_uses AS u USING {gone}", (ids, revs))
        left = self._all(
            "SELECT n FROM unnest(?::bigint[]) AS n WHERE NOT EXISTS "
            "(SELECT 1 FROM attachment_uses AS u WHERE u.attachment = n)",
            ([number for (number,) in numbers],),
        )
        if left:
            freed = [number for (number,) in left]
            self._run("DELETE FROM attachment_chunks WHERE attachment = ANY(?::bigint[])", (freed,))
            self._run("DELETE FROM attachments WHERE number = ANY(?::bigint[])", (freed,))

    # -- local documents and metadata ------------------------------------------------------------

    def local(self, id: str) -> LocalRow | None:
        row: LocalRow | None = self._one(
            "SELECT rev, convert_to(body, 'UTF8') FROM local_documents WHERE id = ?", (id,)
        )
        return row

    def local_ids(self, prefix: str) -> list[str]:
        end = end_of_prefix(prefix)
        below, params = ("", (prefix,)) if end is None else (" AND id < ?", (prefix, end))
        rows = self._all(f"SELECT id FROM local_documents WHERE id >= ?{below} ORDER BY id", params)
        return [id for (id,) in rows]

    def put_local(self, id: str, rev: int, body: bytes) -> None:
        if not self._run("UPDATE local_documents SET rev = ?, body = ? WHERE id = ?", (rev, Json(body), id)):
            self._run("INSERT INTO local_documents (id, rev, body) VALUES (?, ?, ?)", (id, rev, Json(body)))

    def remove_local(self, id: str) -> None:
        self._run("DELETE FROM local_documents WHERE id = ?", (id,))

    def metadata(self, key: str) -> Any:
        row = self._one("SELECT convert_to(value, 'UTF8') FROM metadata WHERE key = ?", (key,))
        return None if row is None else load(row[0])

    def set_metadata(self, key: str, value: Any) -> None:
        self._run(
            "INSERT INTO metadata (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, Json(dump(value))),
        )

    # -- purges ----------------------------------------------------------------------------------

    def add_purge(self, purge_seq: int, id: str, revs: Sequence[str], keep: int) -> None:
        self._run("INSERT INTO purges (purge_seq, id, revs) VALUES (?, ?, ?)", (purge_seq, id, Json(dump(list(revs)))))
        self._run("DELETE FROM purges WHERE purge_seq <= ?", (purge_seq - keep,))

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        rows = self._all(
            "SELECT purge_seq, id, convert_to(revs, 'UTF8') FROM purges WHERE purge_seq > ? ORDER BY purge_seq LIMIT ?",
            (after, limit),
        )
        return [(purge_seq, id, load(revs)) for purge_seq, id, revs in rows]

    # -- the database as a whole -----------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        # Views are not included, as their tables are not documents.
        total = (
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c "
            "WHERE c.relnamespace = ?::regnamespace AND c.relkind = 'r'"
        )
        size = self._one(total, (f'"{self.connections.schema}"',))[0]
        return {"file": size, "active": size}

    def shrink(self) -> None:
        """Leave it to autovacuum, which frees space for later writes."""

    def backup(self, target: Path) -> None:
        raise NotSupported("a database in PostgreSQL is copied by pg_dump, `pouchdb dump` or replication")

    def problems(self) -> list[str]:
        found = []
        with self.snapshot():
            for text, sql in CHECKS:
                for (what,) in self._all(sql):
                    found.append(f"{text}: {what}")
        return found

    def close(self) -> None:
        self.connections.close()
