"""A ``Store`` in PostgreSQL: see documents/store.py of the core for the contract of every method."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pouchdb_core.adapters.sql.consistency import CHECKS
from pouchdb_core.adapters.sql.sql_store import CONTENT, COUNTERS, SqlStore
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.documents.content import Digests
from pouchdb_core.documents.store import Content, Counters, Row, RowChanges
from pouchdb_core.errors import NotSupported
from pouchdb_core.jsontext import dump
from pouchdb_postgres.connections import Connections
from pouchdb_postgres.schema import LONGEST
from pouchdb_postgres.session import Json

__all__ = ["PostgresStore"]

SURELY_SHORT = LONGEST // 4
"""Characters of an id that is in the partition of short ones, whatever they are: each has at most four bytes."""


class PostgresStore(SqlStore):
    """The rows of one database."""

    BYTES = "convert_to({}, 'UTF8')"
    LENGTH = "octet_length(body)"
    USES = "attachment_uses AS u JOIN attachments AS a ON a.number = u.attachment"
    # Long ids are in a partition without the unique index (see ``schema``), and seqs have none.
    CHECKS = (
        ("there is not one row", "SELECT 'counters' WHERE (SELECT count(*) FROM counters) <> 1"),
        ("a seq that two documents have", "SELECT seq FROM documents GROUP BY seq HAVING count(*) > 1"),
        ("an id that two documents have", "SELECT id FROM documents GROUP BY id HAVING count(*) > 1"),
        *CHECKS,
    )

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self.connections = connections
        self._one, self._all = connections.one, connections.all
        self._run, self._many, self._insert = connections.run, connections.many, connections.insert

    @property
    def notifier(self) -> Notifier:
        return self.connections.notifier

    # -- counters and transactions ---------------------------------------------------------------

    def counters(self) -> Counters:
        if self._saving:
            self._check_whole()
        moment = self.connections.moment()
        if moment is not None:
            return self._counters(moment.counters, self.connections.what)
        return self._counters(self._one(f"SELECT {COUNTERS} FROM counters"), self.connections.what)

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

    # -- documents -------------------------------------------------------------------------------

    def row(self, id: str) -> Row | None:
        if self._saving:
            self._check_whole()
        table = "documents_short" if len(id) <= SURELY_SHORT else "documents"
        row: Row | None = self._one(f"SELECT {self._row} FROM {table} WHERE id = ?", (id,))
        return row

    def _of_ids(self, columns: str, ids: Sequence[str]) -> list[Any]:
        if self._saving:
            self._check_whole()
        short = [id for id in ids if len(id) <= SURELY_SHORT]
        rows: list[Any] = []
        if len(short) == 1:
            rows = self._all(f"SELECT {columns} FROM documents_short WHERE id = ?", short)
        elif short:
            rows = self._all(f"SELECT {columns} FROM documents_short WHERE id = ANY(?)", (short,))
        for id in ids if len(short) < len(ids) else ():
            # By the hash, which serves one value at a time.
            if len(id) > SURELY_SHORT:
                rows += self._all(f"SELECT {columns} FROM documents WHERE id = ?", (id,))
        return rows

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
            # Into its partition, if that is known: PostgreSQL need not look for each row where it belongs.
            short = all(len(row[1]) <= SURELY_SHORT for row in changes.inserted)
            self._insert(
                "documents_short" if short else "documents",
                "seq, id, rev, deleted, conflicts, tree, body",
                [(*row[:6], None if row[6] is None else Json(row[6])) for row in changes.inserted],
                searched="seq, id, deleted, conflicts",
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

    def renumber(self, moves: Sequence[tuple[int, int]]) -> None:
        moves = [move for move in moves if move[0] != move[1]]
        if moves:
            # In one statement: a row may take the place another still has.
            self._run(
                "UPDATE documents AS d SET seq = m.new FROM unnest(?::bigint[], ?::bigint[]) AS m (old, new) "
                "WHERE d.seq = m.old",
                ([old for old, _ in moves], [new for _, new in moves]),
            )

    # -- attachments -----------------------------------------------------------------------------

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

    def content_after(self, number: int, limit: int) -> list[tuple[Content, str, str]]:
        rows = self._all(
            f"SELECT {CONTENT}, u.id, u.name FROM attachments AS a LEFT JOIN LATERAL ("
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

    def put_local(self, id: str, rev: int, body: bytes) -> None:
        if not self._run("UPDATE local_documents SET rev = ?, body = ? WHERE id = ?", (rev, Json(body), id)):
            self._run("INSERT INTO local_documents (id, rev, body) VALUES (?, ?, ?)", (id, rev, Json(body)))

    def set_metadata(self, key: str, value: Any) -> None:
        self._run(
            "INSERT INTO metadata (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, Json(dump(value))),
        )

    # -- purges ----------------------------------------------------------------------------------

    def add_purge(self, purge_seq: int, id: str, revs: Sequence[str], keep: int) -> None:
        self._run("INSERT INTO purges (purge_seq, id, revs) VALUES (?, ?, ?)", (purge_seq, id, Json(dump(list(revs)))))
        self._run("DELETE FROM purges WHERE purge_seq <= ?", (purge_seq - keep,))

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
        """Raise NotSupported: there is no file to copy, and PostgreSQL's own tools make better copies."""
        raise NotSupported(
            f"{self.connections.what} is in PostgreSQL, and has no file to copy: pg_dump copies all databases, "
            "`pouchdb dump` (pouchdb_core.dump) this one; or replicate it to a database that has a file"
        )

    def problems(self) -> list[str]:
        return self._inconsistencies()

    def close(self) -> None:
        self.connections.close()
