"""The index: rows in the order they were written, and an R*Tree over their boxes, in the database's file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pouchdb_core.errors import FunctionError
from pouchdb_core.jsontext import dump, load
from pouchdb_core.views.index import Batch, IndexKind, IndexPlace, InsideIndex
from pouchdb_core.views.index_store import Tables
from pouchdb_core.views.servers import Functions, functions_of
from pouchdb_spatial.boxes import Interval, entry_of

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = [
    "DIMENSIONS",
    "SPATIAL",
    "ST_INDEXES",
    "Bounds",
    "Row",
    "SpatialIndex",
    "SpatialKind",
    "StKind",
    "emitted_rows",
    "overlaps",
    "rows_of",
]

SPATIAL, ST_INDEXES = "spatial", "st_indexes"
DIMENSIONS = 5
"""An R*Tree has up to five; of longer keys the first five are in it, and all are compared afterwards."""
TINY = 1e-37
"""The tree's numbers of 32 bits have nothing smaller; what is between is zero there."""
CHUNK = 500
"""Rows that are read at a time."""

Bounds = Sequence[tuple[float | None, float | None]]
"""An interval for each dimension; None is open."""


class Row(NamedTuple):
    """What one call of ``emit`` gave."""

    id: str
    box: tuple[Interval, ...]
    geometry: Any
    value: Any


class SpatialIndex(InsideIndex):
    """The index of one function."""

    def __init__(self, place: IndexPlace, functions: Functions, source: Any) -> None:
        super().__init__(place)
        self._functions, self._source = functions, source
        self._name = f"{place.signature} spatial"

    def create(self) -> None:
        run = self.place.tables.run
        run(
            "CREATE TABLE {rows} "
            "(n INTEGER PRIMARY KEY, id TEXT NOT NULL, box TEXT NOT NULL, geometry BLOB, value BLOB)"
        )
        run("CREATE INDEX {rows_by_document} ON {rows} (id)")
        columns = ", ".join(f"low{place}, high{place}" for place in range(DIMENSIONS))
        run(f"CREATE VIRTUAL TABLE {{boxes}} USING rtree(n, {columns})")

    def prepare(self, batch: Batch) -> tuple[list[Row], int]:
        self._functions.compile(self._name, "map", self._source)
        living = batch.living
        emitted = self._functions.map([self._name], [change.text for change in living])
        rows: list[Row] = []
        for change, (pairs,) in zip(living, emitted, strict=True):
            if isinstance(pairs, Exception):
                batch.report(change.id, pairs)
                continue
            try:
                rows.extend(emitted_rows(change.id, pairs))
            except ValueError as error:
                # The whole document is left out: half of it would be found, and half not.
                batch.report(change.id, FunctionError(f"{error}", name="spatial_key_error"))
        return rows, len(batch.changes)

    def apply(self, batch: Batch, work: list[Row]) -> None:
        tables = self.place.tables
        replaced = [(id,) for id in batch.replaced]
        if replaced:
            tables.many("DELETE FROM {boxes} WHERE n IN (SELECT n FROM {rows} WHERE id = ?)", replaced)
            tables.many("DELETE FROM {rows} WHERE id = ?", replaced)
        if not work:
            return
        first = tables.one("SELECT ifnull(max(n), 0) + 1 FROM {rows}")[0]
        tables.many(
            "INSERT INTO {rows} (n, id, box, geometry, value) VALUES (?, ?, ?, ?, ?)",
            [
                (n, row.id, json.dumps(row.box), _json(row.geometry), _json(row.value))
                for n, row in enumerate(work, first)
            ],
        )
        marks = ", ".join("?" * (2 * DIMENSIONS + 1))
        tables.many(
            f"INSERT INTO {{boxes}} VALUES ({marks})", [(n, *_columns(row.box)) for n, row in enumerate(work, first)]
        )


def emitted_rows(id: str, pairs: Sequence[Sequence[Any]]) -> list[Row]:
    """Return the rows of a document. Raises ValueError for a key that is no place."""
    return [Row(id, *entry_of(key), value) for key, value in pairs]


def _json(value: Any) -> bytes | None:
    return None if value is None else dump(value)


def _columns(box: Sequence[Interval]) -> list[float]:
    # Dimensions that a box does not have are never asked about: any interval does.
    padded = [*box[:DIMENSIONS], *[(0.0, 0.0)] * (DIMENSIONS - len(box))]
    return [bound for interval in padded for bound in interval]


class SpatialKind(IndexKind):
    """``spatial``: GeoCouch's and geopouch's functions, which ``emit(key, value)``."""

    name = SPATIAL

    def definitions(self, database: SyncPouchDB, ddoc: Mapping[str, Any]) -> Mapping[str, Any]:
        found = ddoc.get(self.name)
        if not isinstance(found, Mapping):
            return {}
        return {name: [ddoc.get("language", "javascript"), each, _library(ddoc)] for name, each in found.items()}

    def source(self, ddoc: Mapping[str, Any], member: str) -> Any:
        """Return the function."""
        return ddoc[self.name][member]

    def open(self, database: SyncPouchDB, place: IndexPlace) -> SpatialIndex:
        return SpatialIndex(place, functions_of(database, place.ddoc), self.source(place.ddoc, place.member))


class StKind(SpatialKind):
    """``st_indexes``: Cloudant Geo's functions, which call ``st_index(geometry)``."""

    name = ST_INDEXES

    def source(self, ddoc: Mapping[str, Any], member: str) -> Any:
        entry = ddoc[self.name][member]
        source = entry.get("index") if isinstance(entry, Mapping) else entry
        if not isinstance(source, str) or ddoc.get("language", "javascript") != "javascript":
            return source
        source = source.strip().removesuffix(";")
        return f"function (doc) {{ function st_index(geometry) {{ emit(geometry, null); }} return ({source})(doc); }}"


def _library(ddoc: Mapping[str, Any]) -> Any:
    """Return what a function may ``require``: all that is not an index or a view."""
    return {
        name: value
        for name, value in ddoc.items()
        if not name.startswith("_")
        and name not in (SPATIAL, ST_INDEXES, "views", "indexes", "nouveau", "language", "validate_doc_update")
        and isinstance(value, (str, Mapping))
    }


def rows_of(tables: Tables, bounds: Bounds) -> Iterator[Row]:
    """Yield the rows whose boxes overlap these bounds, in the order they were written.

    Boxes with more dimensions than there are bounds do not match; further bounds are not asked.
    """
    conditions: list[str] = []
    params: list[float] = []
    for place, (low, high) in enumerate(bounds[:DIMENSIONS]):
        if low is not None:
            conditions.append(f"high{place} >= ?")
            params.append(low - TINY)
        if high is not None:
            conditions.append(f"low{place} <= ?")
            params.append(high + TINY)
    if conditions:
        numbers = [n for (n,) in tables.all(f"SELECT n FROM {{boxes}} WHERE {' AND '.join(conditions)}", params)]
        numbers.sort()
    else:
        numbers = [n for (n,) in tables.all("SELECT n FROM {rows} ORDER BY n")]
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK]
        found = tables.all(
            "SELECT r.id, r.box, r.geometry, r.value FROM json_each(?) AS j "
            "CROSS JOIN {rows} AS r ON r.n = j.value ORDER BY r.n",
            (json.dumps(chunk),),
        )
        for id, text, geometry, value in found:
            box = tuple((low, high) for low, high in json.loads(text))
            # The tree has numbers of 32 bits, rounded outwards.
            if overlaps(box, bounds):
                yield Row(id, box, None if geometry is None else load(geometry), None if value is None else load(value))


def overlaps(box: Sequence[Interval], bounds: Bounds) -> bool:
    """Whether a box overlaps the bounds in each of its dimensions, edges included."""
    return len(box) <= len(bounds) and all(
        (low is None or b >= low) and (high is None or a <= high)
        for (a, b), (low, high) in zip(box, bounds, strict=False)
    )
