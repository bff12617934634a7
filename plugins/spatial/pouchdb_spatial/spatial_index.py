"""The index: rows in the order they were written, and R*Trees over their boxes, in the database's file.

Boxes of up to two dimensions are in one tree, those of more in another: trees of few dimensions are quicker. Their
numbers have 32 bits and are rounded outwards; the rows have the exact ones, and SQL compares both. In PostgreSQL the
trees are tables with a GiST index over the first two dimensions, which needs no extension.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import FunctionError, PouchDBError
from pouchdb_core.jsontext import dump, load, load_record
from pouchdb_core.results import record
from pouchdb_core.views.index import Batch, IndexKind, IndexPlace, InsideIndex
from pouchdb_core.views.mapreduce import function_error
from pouchdb_core.views.servers import Functions, fingerprint_of, functions_of, language_of, mapped
from pouchdb_spatial.boxes import Entry, Interval, entry_of, point_of

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = [
    "BEYOND",
    "BOX",
    "DIMENSIONS",
    "LARGEST",
    "PARTS",
    "SEVERAL",
    "SHAPES",
    "SPATIAL",
    "ST_INDEXES",
    "TINY",
    "TREES",
    "Row",
    "SpatialIndex",
    "SpatialKind",
    "StKind",
    "emitted_rows",
    "key_error",
]

SPATIAL, ST_INDEXES = "spatial", "st_indexes"
DIMENSIONS = 5
"""An R*Tree has up to five; of longer keys the first five are in it, and all are compared afterwards."""
TINY = 1e-37
"""The smallest number of the tree's 32 bits; numbers closer to zero are zero there."""
LARGEST = 3.4028234663852886e38
"""The largest number of the tree's 32 bits; beyond it all are this one there, or their order would be lost."""
_PLACES = range(DIMENSIONS)
_NONE = (None,) * (2 * DIMENSIONS - 4)
TREES = (("flat", 0, 2), ("deep", 3, DIMENSIONS))
"""Each tree with the minimum and maximum dimensions of its boxes; further dimensions are not in it."""
PARTS, SHAPES, SEVERAL, BEYOND = "parts", "shapes", "several", "beyond"
"""What the rows of an index have, or had, so that queries of others need not look for it: geometries of several parts;
others than points; several rows of one document; longitudes beyond 180 degrees."""
BOX = "box(point(low0, low1), point(high0, high1))"
"""A row of a tree in PostgreSQL, as its GiST index has it."""


class Row:
    """The result of one call of ``emit``; its geometry and value are parsed on first use."""

    __slots__ = ("_value", "box", "geometry_text", "id", "metres", "n", "parts", "shape")

    def __init__(
        self,
        id: str,
        box: tuple[Interval, ...],
        geometry: bytes | None,
        value: bytes | None,
        shape: bytes | None,
        parts: str | None = None,
        n: int = 0,
    ) -> None:
        self.id, self.box, self.geometry_text, self._value = id, box, geometry, value
        self.parts = parts
        """The boxes of the geometry's parts, as JSON, if there are several."""
        self.shape = shape
        """The shape to compare: WKB, empty for a point equal to the box, None without a geometry shapely can use."""
        self.n = n
        """Its number in the index."""
        self.metres = 0.0
        """Its distance, among the nearest."""

    @property
    def geometry(self) -> Any:
        """The GeoJSON geometry, None without one."""
        return None if self.geometry_text is None else load_record(self.geometry_text)

    @property
    def value(self) -> Any:
        """The emitted value."""
        # Objects are Records, also those in lists.
        return None if self._value is None else record({"value": load(self._value)})["value"]

    @property
    def seen(self) -> tuple[str, tuple[Interval, ...], bytes | None]:
        """Its identity: a row that is found twice is shown once."""
        return self.id, self.box, self.geometry_text

    def columns(self, n: int) -> tuple[Any, ...]:
        """Return it as a row of the table."""
        count = len(self.box)
        if count == 2:
            (west, east), (south, north) = self.box
            found = (n, self.id, 2, self.geometry_text, self._value, self.shape, None, self.parts)
            return *found, west, east, south, north, *_NONE
        box = self.box[:DIMENSIONS]
        padded = [*box, *[(None, None)] * (DIMENSIONS - len(box))]
        rest = json.dumps(self.box[DIMENSIONS:]) if count > DIMENSIONS else None
        bounds = (bound for interval in padded for bound in interval)
        return n, self.id, count, self.geometry_text, self._value, self.shape, rest, self.parts, *bounds


class SpatialIndex(InsideIndex):
    """The index of one function."""

    # A transaction writes most pages of the tree: as many documents as memory and other writers allow.
    batch_documents = 4000
    batch_bytes = 4_000_000

    def __init__(self, place: IndexPlace, functions: Functions, source: Any) -> None:
        super().__init__(place)
        self._functions, self._source = functions, source
        self._name = f"{place.signature} spatial"
        self._called = f"spatial index {place.member!r}"

    def create(self) -> None:
        run = self.place.tables.run
        sqlite = self.place.tables.dialect == "sqlite"
        # In SQLite bounds have no type: whole numbers stay whole.
        kind = "" if sqlite else " REAL"
        bounds = ", ".join(f"low{place}{kind}, high{place}{kind}" for place in _PLACES)
        run(
            "CREATE TABLE {rows} (n INTEGER PRIMARY KEY, id TEXT NOT NULL, dims INTEGER NOT NULL, "
            f"geometry BLOB, value BLOB, shape BLOB, rest TEXT, parts TEXT, {bounds})"
        )
        run("CREATE INDEX {rows_by_document} ON {rows} (id)")
        for tree, _, most in TREES:
            columns = ", ".join(f"low{place}{kind}, high{place}{kind}" for place in range(most))
            if sqlite:
                run(f"CREATE VIRTUAL TABLE {{{tree}}} USING rtree(n, {columns})")
            else:
                run(f"CREATE TABLE {{{tree}}} (n INTEGER PRIMARY KEY, {columns})")
                run(f"CREATE INDEX {{{tree}_boxes}} ON {{{tree}}} USING gist ({BOX})")

    def prepare(self, batch: Batch) -> tuple[list[Row], int]:
        self._functions.compile(self._name, "map", self._source)
        living = batch.living
        texts = [change.text for change in living]
        rows: list[Row] = []
        with closing(mapped(self._functions, [self._name], texts)) as emitted:
            for change, (pairs,) in zip(living, emitted, strict=True):
                if isinstance(pairs, Exception):
                    batch.report(change.id, function_error(pairs, self._called, change.id))
                    continue
                try:
                    rows += emitted_rows(change.id, pairs)
                except ValueError as error:
                    # The whole document is left out: otherwise half of it would be found, and half not.
                    batch.report(change.id, key_error(error, self._called, change.id))
        return rows, len(batch.changes)

    def apply(self, batch: Batch, work: list[Row]) -> None:
        tables = self.place.tables
        replaced = [(id,) for id in batch.replaced]
        if replaced:
            for tree, _, _ in TREES:
                tables.many(f"DELETE FROM {{{tree}}} WHERE n IN (SELECT n FROM {{rows}} WHERE id = ?)", replaced)
            tables.many("DELETE FROM {rows} WHERE id = ?", replaced)
        if not work:
            return
        known = self.state or {}
        dimensions = {len(row.box) for row in work}.union(known.get("dims", ()))
        # No number is used twice: a bookmark is the number of the last row that was shown.
        first: int = known.get("next", 1)
        self.state = {
            "dims": sorted(dimensions),
            "have": sorted({*_had(work), *known.get("have", ())}),
            "next": first + len(work),
        }
        marks = ", ".join("?" * (2 * DIMENSIONS + 8))
        tables.many(f"INSERT INTO {{rows}} VALUES ({marks})", (row.columns(n) for n, row in enumerate(work, first)))
        for tree, least, most in TREES:
            marks = ", ".join("?" * (2 * most + 1))
            boxes = [
                (n, *_padded(row.box, most))
                for n, row in enumerate(work, first)
                if least <= min(len(row.box), DIMENSIONS) <= most
            ]
            if boxes:
                tables.many(f"INSERT INTO {{{tree}}} VALUES ({marks})", boxes)


def emitted_rows(id: str, pairs: Sequence[Sequence[Any]]) -> list[Row]:
    """Return the rows of what a function emitted for a document. Raises ValueError for an invalid key."""
    rows = []
    for key, value in pairs:
        at = point_of(key)
        if at is not None:
            # Most places are points, which takes a tenth of the time to find out.
            x, y = at
            rows.append(Row(id, ((x, x), (y, y)), dump(key), _json(value), b""))
        else:
            entry = entry_of(key)
            rows.append(Row(id, entry.box, _json(entry.geometry), _json(value), _shape(entry), _text(entry.parts)))
    return rows


def _shape(entry: Entry) -> bytes | None:
    # It imports numpy and shapely, which a program that indexes nothing but points is spared.
    from pouchdb_spatial.geometries import stored_shape

    return stored_shape(entry)


def key_error(error: Exception, where: str, id: str) -> PouchDBError:
    """Return the error for a document with a key that is not a place."""
    return function_error(FunctionError(str(error), name="spatial_key_error"), where, id)


def _had(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what rows of whole documents have, of what a query may have to look for."""
    if any(row.parts is not None for row in rows):
        yield PARTS
    if any(row.shape != b"" for row in rows):
        yield SHAPES
    if len({row.id for row in rows}) < len(rows):
        yield SEVERAL
    if any(row.box and (row.box[0][0] < -180 or row.box[0][1] > 180) for row in rows):
        yield BEYOND


def _json(value: Any) -> bytes | None:
    return None if value is None else dump(value)


def _text(parts: Any) -> str | None:
    return None if parts is None else json.dumps(parts)


def _padded(box: Sequence[Interval], dimensions: int) -> list[float]:
    # Dimensions that a box does not have are not compared in the tree (``Reading``).
    if len(box) == dimensions == 2:
        (west, east), (south, north) = box
        bounds = [west, east, south, north]
    else:
        padded = [*box[:dimensions], *[(0.0, 0.0)] * (dimensions - len(box))]
        bounds = [bound for interval in padded for bound in interval]
    if max(bounds) > LARGEST or min(bounds) < -LARGEST:
        return [max(-LARGEST, min(LARGEST, bound)) for bound in bounds]
    return bounds


class SpatialKind(IndexKind):
    """``spatial``: GeoCouch's and geopouch's functions, which ``emit(key, value)``."""

    name = SPATIAL
    version = 7

    def definitions(self, database: Database, ddoc: Mapping[str, Any]) -> Mapping[str, Any]:
        found = ddoc.get(self.name)
        if not isinstance(found, Mapping):
            return {}
        library = _library(ddoc)
        return {
            name: [language_of(ddoc), each, library, *fingerprint_of(database, ddoc, self.source(ddoc, name))]
            for name, each in found.items()
        }

    def source(self, ddoc: Mapping[str, Any], member: str) -> Any:
        """Return the function."""
        return ddoc[self.name][member]

    def open(self, database: Database, place: IndexPlace) -> SpatialIndex:
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
    """Return the modules a function may ``require``: all but indexes and views."""
    return {
        name: value
        for name, value in ddoc.items()
        if not name.startswith("_")
        and name not in (SPATIAL, ST_INDEXES, "views", "indexes", "nouveau", "language", "validate_doc_update")
        and isinstance(value, (str, Mapping))
    }
