"""The part of a ``Store`` whose SQL is the same for every database (documents/store.py has the contract)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any, ClassVar

from pouchdb_core.adapters.write_lock import Turn
from pouchdb_core.documents.store import Content, Counters, Head, LocalRow, Row, RowChanges, end_of_prefix
from pouchdb_core.errors import Damaged, ReentrantWrite
from pouchdb_core.jsontext import load

__all__ = ["CONTENT", "COUNTERS", "NAMES", "SqlStore", "without_counters"]

NAMES = tuple(field.name for field in fields(Counters))
"""The columns of the table ``counters``."""
COUNTERS = ", ".join(NAMES)
CONTENT = "a.number, a.length, a.digest, a.sha256"


def without_counters(what: str) -> Damaged:
    """Return the error of a database, which ``what`` names, that has no counters."""
    return Damaged(f"{what} is damaged: the row of its counters is gone")


class SqlStore:
    """Reads rows of the tables that every SQL store has; how they are written is the business of each.

    A subclass sets the functions that run a statement, and what its SQL has other words for.
    """

    ID: ClassVar[str] = "id"
    """The id in the columns that ``_of_ids`` is asked for."""
    BYTES: ClassVar[str] = "{}"
    """A column of JSON text as bytes."""
    LENGTH: ClassVar[str] = "length(body)"
    """The bytes of a body."""
    USES: ClassVar[str]
    """``attachment_uses AS u`` joined with ``attachments AS a``."""
    CHECKS: ClassVar[Sequence[tuple[str, str]]]
    """Consistency checks: what is wrong, and the statement that returns the rows it is wrong with."""

    _one: Callable[..., Any]
    _all: Callable[..., list[Any]]
    _run: Callable[..., Any]

    def __init__(self) -> None:
        self._saving: Turn | None = None
        """The call that is in the middle of changing rows; its ``finally`` may be skipped by Python 3.10."""
        self._body = self.BYTES.format("body")
        self._bare, self._row = "seq, id, rev, deleted, tree, NULL", f"seq, id, rev, deleted, tree, {self._body}"

    def _counters(self, row: Sequence[int] | None, what: str) -> Counters:
        """Return the counters of a database, which ``what`` names, from their row. Raises Damaged."""
        if row is None:
            raise without_counters(what)
        return Counters(*row)

    # -- documents -------------------------------------------------------------------------------

    def _check_whole(self) -> None:
        """Raise ReentrantWrite in code that runs while its own thread changes rows: it would see half a document."""
        saving = self._saving
        if saving is None or not saving.mine:
            return
        if saving.lost():
            self._saving = None
            return
        raise ReentrantWrite("this thread is in the middle of writing documents; read them later, or in another thread")

    def row(self, id: str) -> Row | None:
        if self._saving:
            self._check_whole()
        row: Row | None = self._one(f"SELECT {self._row} FROM documents WHERE id = ?", (id,))
        return row

    def heads(self, ids: Sequence[str]) -> dict[str, Head]:
        rows = self._of_ids(f"{self.ID}, seq, rev, deleted, tree", ids)
        return {id: (seq, rev, deleted, tree) for id, seq, rev, deleted, tree in rows}

    def rows(self, ids: Sequence[str]) -> dict[str, Row]:
        return {row[1]: row for row in self._of_ids(f"seq, {self.ID}, rev, deleted, tree, {self._body}", ids)}

    def lengths(self, ids: Sequence[str]) -> dict[str, int]:
        return dict(self._of_ids(f"{self.ID}, {self.LENGTH}", ids))

    def _of_ids(self, columns: str, ids: Sequence[str]) -> list[Any]:
        """Return columns of the documents that have one of the ids, in any order."""
        raise NotImplementedError

    def body(self, pointer: int) -> bytes | None:
        row = self._one(f"SELECT {self._body} FROM bodies WHERE pointer = ?", (pointer,))
        return None if row is None else row[0]

    def save(self, changes: RowChanges) -> None:
        try:
            self._saving = Turn(sys._getframe())
            self._save(changes)
        finally:
            self._saving = None

    def _save(self, changes: RowChanges) -> None:
        raise NotImplementedError

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
            f"SELECT {self._row if bodies else self._bare} FROM documents WHERE {' AND '.join(conditions)} "
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
            f"SELECT {self._row if bodies else self._bare} FROM documents WHERE seq > ? AND seq < ? "
            f"ORDER BY seq {'DESC' if descending else 'ASC'} LIMIT ?",
            (after, before, limit),
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
        row = self._one(
            f"SELECT {CONTENT} FROM {self.USES} WHERE u.id = ? AND u.rev = ? AND u.name = ?", (id, rev, name)
        )
        return None if row is None else Content(*row)

    def attachments(self, id: str, rev: str) -> dict[str, Content]:
        rows = self._all(f"SELECT {CONTENT}, u.name FROM {self.USES} WHERE u.id = ? AND u.rev = ?", (id, rev))
        return {row[4]: Content(*row[:4]) for row in rows}

    def content(self, sha256: bytes) -> Content | None:
        row = self._one(f"SELECT {CONTENT} FROM attachments AS a WHERE a.sha256 = ?", (sha256,))
        return None if row is None else Content(*row)

    def contents(self, md5: str) -> list[Content]:
        rows = self._all(f"SELECT {CONTENT} FROM attachments AS a WHERE a.digest = ? ORDER BY a.number", (md5,))
        return [Content(*row) for row in rows]

    def has_content(self, number: int) -> bool:
        return self._one("SELECT 1 FROM attachments WHERE number = ?", (number,)) is not None

    def attachment_chunk(self, number: int, index: int) -> tuple[bytes, int | None] | None:
        row: tuple[bytes, int | None] | None = self._one(
            "SELECT data, checksum FROM attachment_chunks WHERE attachment = ? AND position = ?", (number, index)
        )
        return row

    # -- local documents, metadata, purges -------------------------------------------------------

    def local(self, id: str) -> LocalRow | None:
        row: LocalRow | None = self._one(f"SELECT rev, {self._body} FROM local_documents WHERE id = ?", (id,))
        return row

    def local_ids(self, prefix: str) -> list[str]:
        end = end_of_prefix(prefix)
        below, params = ("", (prefix,)) if end is None else (" AND id < ?", (prefix, end))
        rows = self._all(f"SELECT id FROM local_documents WHERE id >= ?{below} ORDER BY id", params)
        return [id for (id,) in rows]

    def remove_local(self, id: str) -> None:
        self._run("DELETE FROM local_documents WHERE id = ?", (id,))

    def metadata(self, key: str) -> Any:
        row = self._one(f"SELECT {self.BYTES.format('value')} FROM metadata WHERE key = ?", (key,))
        return None if row is None else load(row[0])

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        rows = self._all(
            f"SELECT purge_seq, id, {self.BYTES.format('revs')} FROM purges "
            "WHERE purge_seq > ? ORDER BY purge_seq LIMIT ?",
            (after, limit),
        )
        return [(purge_seq, id, load(revs)) for purge_seq, id, revs in rows]

    # -- the database as a whole -----------------------------------------------------------------

    def snapshot(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _inconsistencies(self) -> list[str]:
        """Return where tables do not agree with each other."""
        with self.snapshot():
            return [f"{text}: {what}" for text, sql in self.CHECKS for (what,) in self._all(sql)]
