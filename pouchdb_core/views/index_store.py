"""What indexes need from a store: a register of indexes, rows of views, a plug-in's own tables.

All of it is stored in the database's own file, so that an index's writes and its progress are
committed together. A new store implements this protocol in addition to ``documents.store.Store``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

from pouchdb_core.documents.store import Counters

__all__ = [
    "EVERYTHING",
    "EntryRow",
    "IndexEntry",
    "IndexStore",
    "Position",
    "Span",
    "Tables",
    "TotalsRow",
    "ViewRow",
    "ViewRows",
]


T = TypeVar("T")


@dataclass(slots=True)
class IndexEntry:
    """One index in the register."""

    number: int
    """Part of its tables' names; never used twice."""
    kind: str
    signature: str
    seq: int = 0
    """The index holds every document up to here."""
    purge_seq: int = 0
    fresh_until: int = 0
    """Documents up to here and beyond ``seq`` were never indexed: there is nothing to remove for them."""
    state: Any = None
    """The index's own state (JSON)."""
    mark: str | None = None
    """Written both here and in the files of an outside index; behind a comma the name of an unfinished build."""
    builder: str | None = None
    """The process that is building it."""
    heartbeat: float = 0.0
    """The builder's last heartbeat, in seconds since 1970."""

    def row(self) -> EntryRow:
        """Return the entry as the store's row."""
        return tuple(getattr(self, name) for name in self.__slots__)


EntryRow = tuple[Any, ...]
"""The fields of an IndexEntry in their order: stores are below this package and do not know the class."""
TotalsRow = tuple[int, int, float, float, float, float]
"""The fields of reduce.Totals."""


class Tables(Protocol):
    """Tables of one index. In SQL text ``{rows}`` stands for this index's table "rows".

    Dropped with the index, virtual tables too. Writing is for ``Index.create`` and ``Index.apply``.

    Statements are in the SQL that SQLite and PostgreSQL have in common, with ``?`` for a parameter and SQLite's types
    ``INTEGER``, ``REAL``, ``TEXT`` and ``BLOB``; every store understands ``WITHOUT ROWID``. A table whose primary key
    is given at the end, as ``PRIMARY KEY (a, b)``, is read in that order, strings by code points at any length;
    an index on one column of strings or bytes finds equal values. ``dialect`` says which SQL it is where they differ.
    """

    @property
    def dialect(self) -> str:
        """Return which SQL it is where the two differ: ``"sqlite"`` or ``"postgresql"``."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None: ...

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None: ...

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any: ...

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]: ...


class ViewRow(NamedTuple):
    """One emitted pair."""

    view: int
    key: bytes
    """The key as encoded by ``collate.encode``."""
    id: str
    n: int
    """Its position among the rows that the document emitted; within one key, by value."""
    json_key: bytes
    value: bytes | None
    """JSON; None is null."""
    number: float | None
    """The value, if it is a number."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of a view's rows, whatever direction it is read in. None means no bound."""

    low: bytes | None = None
    low_id: str | None = None
    """Rows of the key ``low`` begin at this document."""
    with_low: bool = True
    high: bytes | None = None
    high_id: str | None = None
    with_high: bool = True

    def within(self, start: bytes, continues: bool) -> Span:
        """Return the part of it that belongs to a group (see ``collate.group_of``)."""
        low, high = start, start + b"\xff" if continues else start
        span = self
        if self.low is None or self.low < low:
            span = replace(span, low=low, low_id=None, with_low=True)
        if self.high is None or self.high > high:
            span = replace(span, high=high, high_id=None, with_high=not continues)
        return span


EVERYTHING = Span()

Position = tuple[bytes, str, int]
"""(key, id, n) of a row: the position to continue after."""


class ViewRows(Protocol):
    """The rows of the views of one index, sorted by (view, key, id, n); descending by key and id alone."""

    def create(self) -> None:
        """Create the tables."""

    def add(self, rows: Iterable[ViewRow]) -> None:
        """Add rows; their documents must have none yet."""

    def remove(self, ids: Sequence[str]) -> dict[int, int]:
        """Remove the rows of documents; return how many were removed, by view."""

    def page(
        self, view: int, span: Span, *, descending: bool, limit: int, skip: int = 0, after: Position | None = None
    ) -> list[tuple[bytes, str, int, bytes, bytes | None]]:
        """Return (key, id, n, JSON key, JSON value) of rows in order, after a position."""

    def last(self, view: int, span: Span) -> bytes | None:
        """Return the JSON value of the last row of a range that is not empty."""

    def count(self, view: int, span: Span) -> int:
        """Count rows."""

    def distinct(self, view: int, span: Span) -> int:
        """Count distinct keys."""

    def totals(self, view: int, span: Span) -> TotalsRow:
        """Aggregate the values of a range that is not empty."""

    def totals_by_key(
        self, view: int, span: Span, *, descending: bool, limit: int
    ) -> list[tuple[bytes, bytes, TotalsRow]]:
        """Return (key, JSON key, totals) of the first ``limit`` distinct keys."""


class IndexStore(Protocol):
    """The indexes of one database."""

    def counters(self) -> Counters:
        """Read the counters of the database."""

    def write(self) -> AbstractContextManager[Counters]:
        """Hold the database's write lock in a transaction; see ``Store.write``."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Make all reads of this thread see one state."""

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return what ``read()`` returns of the database as it is now, without calling it if that is known.

        ``read`` reads this store and nothing else. A store that can tell quickly whether anything was committed, by
        this process or another, keeps what it returned until then: nobody may change that, and it must not be anything
        that has to be closed. In a snapshot the answer is of the snapshot's state; in a write ``read`` is always
        called. A store that cannot tell calls it every time, perhaps without a snapshot.
        """

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        """Return (purge_seq, id, revs) of logged purges."""

    def entries(self) -> list[EntryRow]:
        """Return the register."""

    def find(self, kind: str, signature: str) -> EntryRow | None:
        """Return one index."""

    def add(self, kind: str, signature: str) -> EntryRow:
        """Register an index that holds nothing; inside ``write()`` only."""

    def save(self, entry: EntryRow) -> None:
        """Store an entry; inside ``write()`` only."""

    def drop(self, number: int) -> None:
        """Remove an index with its tables; inside ``write()`` only."""

    def sizes(self, number: int) -> dict[str, int]:
        """Return the bytes of an index's tables: ``file``, ``active`` (of them in use), ``external`` (rows alone).

        The cost is bounded: sizes of a large index may be estimates. Zeros if the store does not know.
        """

    def tables(self, number: int) -> Tables:
        """Return the tables of an index."""

    def view_rows(self, number: int) -> ViewRows:
        """Return the view rows of an index."""

    def outside(self) -> IndexStore:
        """Return the store in which outside indexes are registered.

        That is this one, unless processes on several machines share the database: files belong to one machine.
        """

    def now(self) -> float:
        """Return the time in seconds, by a clock common to all processes that share the database."""

    def builder(self) -> str | None:
        """Return the name of this process among builders, with exactly one ``:``; None to use host and process id."""

    def lives(self, builder: str) -> bool | None:
        """Return whether a process named by ``builder`` still exists; None if the store does not know."""

    def close(self) -> None:
        """Close it, if it is a separate store (``Adapter.scratch``)."""
