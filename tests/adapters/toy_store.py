"""A store of rows in a dict, the least that keeps the contract: what a new kind of storage has to write.

A transaction works on a copy of the tables, which takes their place when it is committed; a snapshot is the tables as
they were. Nothing here knows a rule of CouchDB.
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pouchdb_core import hookimpl
from pouchdb_core.adapters.base import Place, Storage
from pouchdb_core.adapters.local import LocalAdapter
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.documents.content import Digests
from pouchdb_core.documents.store import Content, Counters, Head, LocalRow, Row, RowChanges
from pouchdb_core.errors import DatabaseClosed

__all__ = ["ToyAdapter", "ToyPlugin", "ToyStore"]


@dataclass
class Tables:
    counters: Counters = field(default_factory=Counters)
    rows: dict[int, tuple[int, str, str, int, int, bytes | None, bytes | None]] = field(default_factory=dict)
    """(seq, id, rev, deleted, conflicts, tree, body) by seq."""
    seqs: dict[str, int] = field(default_factory=dict)
    bodies: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    contents: dict[int, tuple[Content, list[bytes]]] = field(default_factory=dict)
    uses: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    locals: dict[str, LocalRow] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    purges: list[tuple[int, str, list[str]]] = field(default_factory=list)

    def copied(self) -> Tables:
        tables = {name: copy.copy(value) for name, value in vars(self).items()}
        tables["uses"] = {key: dict(names) for key, names in self.uses.items()}
        return Tables(**tables)


class ToyStore:
    def __init__(self) -> None:
        self.notifier = Notifier()
        self._lock = threading.RLock()
        self._committed = Tables(metadata={name: json.dumps(uuid.uuid4().hex) for name in ("uuid", "epoch")})
        self._mine = threading.local()
        self._closed = False

    @property
    def _tables(self) -> Tables:
        if self._closed:
            raise DatabaseClosed("database is closed")
        tables: Tables | None = getattr(self._mine, "tables", None)
        return self._committed if tables is None else tables

    def _pinned(self, tables: Tables | None) -> Tables | None:
        before: Tables | None = getattr(self._mine, "tables", None)
        self._mine.tables = tables
        return before

    # -- transactions ------------------------------------------------------------------------------

    def counters(self) -> Counters:
        return copy.copy(self._tables.counters)

    @contextmanager
    def write(self) -> Iterator[Counters]:
        with self._lock:
            outermost = not getattr(self._mine, "writing", False)
            # A part that fails is undone alone: it works on a copy of what the whole has done so far.
            work = (self._committed if outermost else self._tables).copied()
            if self._closed:
                raise DatabaseClosed("database is closed")
            before = self._pinned(work)
            self._mine.writing = True
            try:
                yield work.counters
            except BaseException:
                self._pinned(before)
                self._mine.writing = not outermost
                raise
            self._mine.writing = not outermost
            if not outermost:
                return
            self._pinned(before)
            changed = work.counters.update_seq != self._committed.counters.update_seq
            self._committed = work
        if changed:
            self.notifier.notify()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        before = self._pinned(self._tables)
        try:
            yield
        finally:
            self._pinned(before)

    def version(self) -> int:
        return 0

    def check(self) -> None:
        _ = self._tables

    # -- documents ---------------------------------------------------------------------------------

    def _row(self, id: str, bodies: bool) -> Row | None:
        tables = self._tables
        if id not in tables.seqs:
            return None
        seq, _, rev, deleted, _, tree, body = tables.rows[tables.seqs[id]]
        return seq, id, rev, deleted, tree, body if bodies else None

    def row(self, id: str) -> Row | None:
        return self._row(id, True)

    def heads(self, ids: Sequence[str]) -> dict[str, Head]:
        found = {id: self._row(id, False) for id in ids}
        return {id: (row[0], row[2], row[3], row[4]) for id, row in found.items() if row is not None}

    def rows(self, ids: Sequence[str]) -> dict[str, Row]:
        return {id: row for id in ids if (row := self._row(id, True)) is not None}

    def lengths(self, ids: Sequence[str]) -> dict[str, int]:
        return {id: len(row[5] or b"") for id, row in self.rows(ids).items()}

    def body(self, pointer: int) -> bytes | None:
        found = self._tables.bodies.get(pointer)
        return None if found is None else found[1]

    def save(self, changes: RowChanges) -> None:
        tables = self._tables
        for pointer, seq in changes.moved:
            tables.bodies[pointer] = (tables.rows[seq][1], tables.rows[seq][6] or b"{}")
        for (seq,) in changes.removed:
            del tables.seqs[tables.rows.pop(seq)[1]]
        for new, conflicts, tree, seq in changes.touched:
            _, id, rev, deleted, _, _, body = tables.rows.pop(seq)
            tables.rows[new] = (new, id, rev, deleted, conflicts, tree, body)
            tables.seqs[id] = new
        for row in changes.inserted:
            tables.rows[row[0]] = row
            tables.seqs[row[1]] = row[0]
        for pointer, id, body in changes.bodies:
            tables.bodies[pointer] = (id, body)
        for (pointer,) in changes.dropped:
            tables.bodies.pop(pointer, None)
        for id, rev, name, number in changes.uses:
            tables.uses.setdefault((id, rev), {})[name] = number
        for key in changes.unused:
            tables.uses.pop(key, None)
        if changes.unused:
            used = {number for names in tables.uses.values() for number in names.values()}
            tables.contents = {number: each for number, each in tables.contents.items() if number in used}

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
        low, high = (end, start) if descending else (start, end)
        with_low, with_high = (include_end, include_start) if descending else (include_start, include_end)
        ids = [
            id
            for id in sorted(self._living(), reverse=descending)
            if (low is None or id > low or (with_low and id == low))
            and (high is None or id < high or (with_high and id == high))
        ]
        return [row for id in ids[skip : skip + limit] if (row := self._row(id, bodies)) is not None]

    def _living(self) -> list[str]:
        return [id for id, seq in self._tables.seqs.items() if not self._tables.rows[seq][3]]

    def count_before(self, id: str, *, inclusive: bool, descending: bool) -> int:
        ids = self._living()
        before = [each > id if descending else each < id for each in ids]
        return sum(before) + (ids.count(id) if inclusive else 0)

    def scan_seqs(
        self, after: int, before: int, *, limit: int, descending: bool = False, bodies: bool = False
    ) -> list[Row]:
        seqs = sorted((seq for seq in self._tables.rows if after < seq < before), reverse=descending)[:limit]
        return [row for seq in seqs if (row := self._row(self._tables.rows[seq][1], bodies)) is not None]

    def renumber(self, moves: Sequence[tuple[int, int]]) -> None:
        tables = self._tables
        moved = [(new, tables.rows.pop(seq)) for seq, new in moves]
        for new, row in moved:
            tables.rows[new] = (new, *row[1:])
            tables.seqs[row[1]] = new

    def count_seqs(self, after: int) -> int:
        return sum(seq > after for seq in self._tables.rows)

    def conflicted(self, after: str, limit: int) -> list[str]:
        return sorted(row[1] for row in self._tables.rows.values() if row[4] and row[1] > after)[:limit]

    def bodies_after(self, pointer: int, limit: int) -> list[tuple[int, str]]:
        found = sorted(self._tables.bodies.items())
        return [(each, id) for each, (id, _) in found if each > pointer][:limit]

    # -- attachments -------------------------------------------------------------------------------

    def attachment(self, id: str, rev: str, name: str) -> Content | None:
        return self.attachments(id, rev).get(name)

    def attachments(self, id: str, rev: str) -> dict[str, Content]:
        tables = self._tables
        return {name: tables.contents[number][0] for name, number in tables.uses.get((id, rev), {}).items()}

    def content(self, sha256: bytes) -> Content | None:
        return next((each for each, _ in self._tables.contents.values() if each.sha256 == sha256), None)

    def contents(self, md5: str) -> list[Content]:
        return [each for each, _ in self._tables.contents.values() if each.md5 == md5]

    def has_content(self, number: int) -> bool:
        return number in self._tables.contents

    def add_content(self, digests: Digests, chunks: Iterable[bytes]) -> Content:
        tables = self._tables
        kept = list(chunks)
        made = Content(tables.counters.next_attachment(), digests.length, digests.md5, digests.sha256)
        tables.contents[made.number] = (made, kept)
        return made

    def attachment_chunk(self, number: int, index: int) -> tuple[bytes, int | None] | None:
        _, chunks = self._tables.contents.get(number, (None, []))
        return (chunks[index], zlib.crc32(chunks[index])) if index < len(chunks) else None

    def content_after(self, number: int, limit: int) -> list[tuple[Content, str, str]]:
        tables = self._tables
        owners = {each: (id, name) for (id, _), names in tables.uses.items() for name, each in names.items()}
        found = sorted((each, content) for each, (content, _) in tables.contents.items() if each > number)
        return [(content, *owners[each]) for each, content in found if each in owners][:limit]

    # -- the rest ----------------------------------------------------------------------------------

    def local(self, id: str) -> LocalRow | None:
        return self._tables.locals.get(id)

    def local_ids(self, prefix: str) -> list[str]:
        return sorted(id for id in self._tables.locals if id.startswith(prefix))

    def put_local(self, id: str, rev: int, body: bytes) -> None:
        self._tables.locals[id] = (rev, body)

    def remove_local(self, id: str) -> None:
        self._tables.locals.pop(id, None)

    def metadata(self, key: str) -> Any:
        return json.loads(self._tables.metadata.get(key, "null"))

    def set_metadata(self, key: str, value: Any) -> None:
        self._tables.metadata[key] = json.dumps(value)

    def add_purge(self, purge_seq: int, id: str, revs: Sequence[str], keep: int) -> None:
        self._tables.purges = [*self._tables.purges, (purge_seq, id, list(revs))][-keep:]

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        return [each for each in self._tables.purges if each[0] > after][:limit]

    def sizes(self) -> dict[str, int]:
        tables = self._tables
        size = sum(len(row[6] or b"") for row in tables.rows.values())
        size += sum(len(body) for _, body in tables.bodies.values())
        size += sum(content.length for content, _ in tables.contents.values())
        return {"file": size, "active": size}

    def shrink(self) -> None:
        """There is nothing to give back."""

    def backup(self, target: Path) -> None:
        raise NotImplementedError("there is no file")

    def problems(self) -> list[str]:
        return []

    def close(self) -> None:
        self._closed = True


class ToyAdapter(LocalAdapter):
    """Databases in dicts, by URL: ``toy://shelf`` is one shelf of them, as long as the process lives."""

    name = "toy"
    shelves: ClassVar[dict[str, dict[str, ToyStore]]] = {}

    @classmethod
    def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> ToyAdapter:
        shelf = cls.shelves.setdefault(str(place.url), {})
        made = name not in shelf
        store = shelf.setdefault(name, ToyStore())
        adapter = cls(place, name, store, options)
        adapter.created = made
        return adapter

    @classmethod
    def names(cls, place: Place) -> Iterable[str]:
        return () if place.url is None else sorted(cls.shelves.get(place.url, {}))

    @classmethod
    def destroy(cls, place: Place, name: str) -> None:
        store = cls.shelves.get(str(place.url), {}).pop(name, None)
        if store is not None:
            store.close()

    def close(self) -> None:
        """The shelf keeps it."""


class ToyPlugin:
    """Serves ``setup("toy://...")``."""

    @hookimpl
    def pouchdb_adapters(self) -> Iterable[type[ToyAdapter]]:
        return [ToyAdapter]

    @hookimpl
    def pouchdb_storages(self, url: str) -> Storage | None:
        return Storage("toy") if url.startswith("toy://") else None
