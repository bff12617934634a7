"""The index: rows in the order they were written, and R*Trees over their boxes, in the database's file.

Boxes of up to two dimensions are in one tree, those of more in another: trees of few dimensions are quicker. Their
numbers have 32 bits and are rounded outwards; the rows have the exact ones, and SQL compares both. In PostgreSQL the
trees are tables with a GiST index over the first two dimensions, which needs no extension.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import FunctionError
from pouchdb_core.jsontext import dump, load
from pouchdb_core.views.index import Batch, IndexKind, IndexPlace, InsideIndex
from pouchdb_core.views.index_store import Tables
from pouchdb_core.views.servers import Functions, functions_of
from pouchdb_spatial.boxes import Interval, entry_of
from pouchdb_spatial.geometries import stored_shapes

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
    "count_of",
    "emitted_rows",
    "overlaps",
    "rows_of",
]

SPATIAL, ST_INDEXES = "spatial", "st_indexes"
DIMENSIONS = 5
"""An R*Tree has up to five; of longer keys the first five are in it, and all are compared afterwards."""
TINY = 1e-37
"""The smallest number of the tree's 32 bits; numbers closer to zero are zero there."""
CHUNK = 1000
"""Rows that are read at a time."""
_PLACES = range(DIMENSIONS)
_TREES = (("flat", 0, 2), ("deep", 3, DIMENSIONS))
"""Each tree with the minimum and maximum dimensions of its boxes; further dimensions are not in it."""
FARTHEST = 1.7e308
"""Where an open interval ends in PostgreSQL, whose boxes do not accept every infinity."""
_BOX = "box(point(low0, low1), point(high0, high1))"
_INTERVALS = ", ".join(f"r.low{place}, r.high{place}" for place in _PLACES)
_COLUMNS = f"r.n, r.id, r.dims, r.geometry, r.value, r.shape, r.rest, {_INTERVALS}"

Bounds = Sequence[tuple[float | None, float | None]]
"""An interval for each dimension; None is open."""


class Row:
    """The result of one call of ``emit``; its geometry and value are parsed on first use."""

    __slots__ = ("_geometry", "_value", "box", "id", "shape")

    def __init__(
        self,
        id: str,
        box: tuple[Interval, ...],
        geometry: bytes | None,
        value: bytes | None,
        shape: bytes | None,
    ) -> None:
        self.id, self.box, self._geometry, self._value = id, box, geometry, value
        self.shape = shape
        """The shape to compare: WKB, empty for a point equal to the box, None without a geometry shapely can use."""

    @property
    def geometry(self) -> Any:
        """The GeoJSON geometry, None without one."""
        return None if self._geometry is None else load(self._geometry)

    @property
    def value(self) -> Any:
        """The emitted value."""
        return None if self._value is None else load(self._value)

    @property
    def seen(self) -> tuple[str, tuple[Interval, ...], bytes | None]:
        """Its identity: a row that is found twice is shown once."""
        return self.id, self.box, self._geometry

    def columns(self, n: int) -> tuple[Any, ...]:
        """Return it as a row of the table."""
        box, count = self.box[:DIMENSIONS], len(self.box)
        padded = [*box, *[(None, None)] * (DIMENSIONS - len(box))]
        rest = json.dumps(self.box[DIMENSIONS:]) if count > DIMENSIONS else None
        bounds = (bound for interval in padded for bound in interval)
        return n, self.id, count, self._geometry, self._value, self.shape, rest, *bounds


class SpatialIndex(InsideIndex):
    """The index of one function."""

    def __init__(self, place: IndexPlace, functions: Functions, source: Any) -> None:
        super().__init__(place)
        self._functions, self._source = functions, source
        self._name = f"{place.signature} spatial"

    def create(self) -> None:
        run = self.place.tables.run
        sqlite = self.place.tables.dialect == "sqlite"
        # In SQLite bounds have no type: whole numbers stay whole.
        kind = "" if sqlite else " REAL"
        bounds = ", ".join(f"low{place}{kind}, high{place}{kind}" for place in _PLACES)
        run(
            "CREATE TABLE {rows} (n INTEGER PRIMARY KEY, id TEXT NOT NULL, dims INTEGER NOT NULL, "
            f"geometry BLOB, value BLOB, shape BLOB, rest TEXT, {bounds})"
        )
        run("CREATE INDEX {rows_by_document} ON {rows} (id)")
        run("CREATE INDEX {rows_by_dimensions} ON {rows} (dims)")
        for tree, _, most in _TREES:
            columns = ", ".join(f"low{place}{kind}, high{place}{kind}" for place in range(most))
            if sqlite:
                run(f"CREATE VIRTUAL TABLE {{{tree}}} USING rtree(n, {columns})")
            else:
                run(f"CREATE TABLE {{{tree}}} (n INTEGER PRIMARY KEY, {columns})")
                run(f"CREATE INDEX {{{tree}_boxes}} ON {{{tree}}} USING gist ({_BOX})")

    def prepare(self, batch: Batch) -> tuple[list[Row], int]:
        self._functions.compile(self._name, "map", self._source)
        living = batch.living
        emitted = self._functions.map([self._name], [change.text for change in living])
        rows: list[Row] = []
        made: list[tuple[str, Any]] = []
        for change, (pairs,) in zip(living, emitted, strict=True):
            if isinstance(pairs, Exception):
                batch.report(change.id, pairs)
            else:
                made.append((change.id, pairs))
        for id, found in emitted_rows(made):
            if isinstance(found, Exception):
                # The whole document is left out: otherwise half of it would be found, and half not.
                batch.report(id, FunctionError(f"{found}", name="spatial_key_error"))
            else:
                rows.extend(found)
        return rows, len(batch.changes)

    def apply(self, batch: Batch, work: list[Row]) -> None:
        tables = self.place.tables
        replaced = [(id,) for id in batch.replaced]
        if replaced:
            for tree, _, _ in _TREES:
                tables.many(f"DELETE FROM {{{tree}}} WHERE n IN (SELECT n FROM {{rows}} WHERE id = ?)", replaced)
            tables.many("DELETE FROM {rows} WHERE id = ?", replaced)
        if not work:
            return
        first = tables.one("SELECT coalesce(max(n), 0) + 1 FROM {rows}")[0]
        marks = ", ".join("?" * (2 * DIMENSIONS + 7))
        tables.many(f"INSERT INTO {{rows}} VALUES ({marks})", [row.columns(n) for n, row in enumerate(work, first)])
        for tree, least, most in _TREES:
            marks = ", ".join("?" * (2 * most + 1))
            boxes = [
                (n, *_padded(row.box, most))
                for n, row in enumerate(work, first)
                if least <= min(len(row.box), DIMENSIONS) <= most
            ]
            if boxes:
                tables.many(f"INSERT INTO {{{tree}}} VALUES ({marks})", boxes)


def emitted_rows(
    emitted: Sequence[tuple[str, Sequence[Sequence[Any]]]],
) -> Iterator[tuple[str, list[Row] | ValueError]]:
    """Yield (id, emitted rows) of documents; for a document with an invalid key, the error."""
    entries: list[tuple[str, list[Any] | ValueError]] = []
    for id, pairs in emitted:
        try:
            entries.append((id, [(entry_of(key), value) for key, value in pairs]))
        except ValueError as error:
            entries.append((id, error))
    shapes = iter(stored_shapes([entry for _, each in entries if isinstance(each, list) for entry, _ in each]))
    for id, each in entries:
        if isinstance(each, ValueError):
            yield id, each
            continue
        yield id, [Row(id, entry.box, _json(entry.geometry), _json(value), next(shapes)) for entry, value in each]


def _json(value: Any) -> bytes | None:
    return None if value is None else dump(value)


def _padded(box: Sequence[Interval], dimensions: int) -> list[float]:
    # Dimensions that a box does not have are not compared in the tree (``_numbers``).
    padded = [*box[:dimensions], *[(0.0, 0.0)] * (dimensions - len(box))]
    return [bound for interval in padded for bound in interval]


class SpatialKind(IndexKind):
    """``spatial``: GeoCouch's and geopouch's functions, which ``emit(key, value)``."""

    name = SPATIAL
    version = 2

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
    """Return the modules a function may ``require``: all but indexes and views."""
    return {
        name: value
        for name, value in ddoc.items()
        if not name.startswith("_")
        and name not in (SPATIAL, ST_INDEXES, "views", "indexes", "nouveau", "language", "validate_doc_update")
        and isinstance(value, (str, Mapping))
    }


def rows_of(tables: Tables, bounds: Bounds | None) -> Iterator[list[Row]]:
    """Yield the rows whose boxes overlap these bounds, in the order they were written, some at a time; None: all.

    Boxes with more dimensions than there are bounds do not match; further bounds are ignored.
    """
    if bounds is None:
        yield from _all_rows(tables)
        return
    exact, params = _exact(bounds)
    numbers = _numbers(tables, bounds)
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK]
        marks = ", ".join("?" * len(chunk))
        sql = f"SELECT {_COLUMNS} FROM {{rows}} AS r WHERE r.n IN ({marks}) AND {exact} ORDER BY r.n"
        rows = map(_row_of(tables), tables.all(sql, (*chunk, *params)))
        yield [row for row in rows if len(row.box) <= DIMENSIONS or overlaps(row.box, bounds)]


def count_of(tables: Tables, bounds: Bounds | None) -> int:
    """Return the number of rows whose boxes overlap these bounds; None: all."""
    if bounds is None:
        return int(tables.one("SELECT count(*) FROM {rows}")[0])
    if len(bounds) > DIMENSIONS:
        return sum(len(rows) for rows in rows_of(tables, bounds))
    exact, params = _exact(bounds)
    total = 0
    for tree, condition, found in _asked_trees(tables, bounds):
        total += tables.one(
            f"SELECT count(*) FROM {{{tree}}} AS b JOIN {{rows}} AS r ON r.n = b.n WHERE {condition} AND {exact}",
            (*found, *params),
        )[0]
    return total


def _all_rows(tables: Tables) -> Iterator[list[Row]]:
    last = -1
    while found := tables.all(
        f"SELECT {_COLUMNS} FROM {{rows}} AS r WHERE r.n > ? ORDER BY r.n LIMIT {CHUNK}", (last,)
    ):
        last = found[-1][0]
        yield list(map(_row_of(tables), found))


def _asked_trees(tables: Tables, bounds: Bounds) -> Iterator[tuple[str, str, list[float]]]:
    """Yield (tree, condition, parameters) for each tree that has boxes.

    Compared are the dimensions that all of its boxes have: a box with fewer overlaps everything in the others.
    """
    for tree, least, most in _TREES:
        above = "" if most == DIMENSIONS else f" AND dims <= {most}"
        (fewest,) = tables.one(f"SELECT min(dims) FROM {{rows}} WHERE dims >= {least}{above}")
        if fewest is None:
            continue
        conditions, params = ["1 = 1"], []
        for place, (low, high) in enumerate(bounds[: min(fewest, most)]):
            for column, sign, bound, margin in ((f"high{place}", ">=", low, -TINY), (f"low{place}", "<=", high, TINY)):
                if bound is not None:
                    conditions.append(f"b.{column} {sign} ?")
                    params.append(bound + margin)
        if tables.dialect != "sqlite" and fewest > 0:
            asked = [*bounds[: min(fewest, 2)], (None, None)][:2]
            (west, east), (south, north) = asked[0], asked[-1]
            conditions.append(f"{_BOX} && box(point(?, ?), point(?, ?))")
            params += [-FARTHEST if west is None else west, -FARTHEST if south is None else south]
            params += [FARTHEST if east is None else east, FARTHEST if north is None else north]
        yield tree, " AND ".join(conditions), params


def _numbers(tables: Tables, bounds: Bounds) -> list[int]:
    found: list[int] = []
    for tree, condition, params in _asked_trees(tables, bounds):
        found += [n for (n,) in tables.all(f"SELECT n FROM {{{tree}}} AS b WHERE {condition}", params)]
    found.sort()
    return found


def _exact(bounds: Bounds) -> tuple[str, list[float]]:
    """Return the condition on rows, and its parameters."""
    conditions: list[str] = ["r.dims <= ?"]
    params: list[float] = [len(bounds)]
    for place, (low, high) in enumerate(bounds[:DIMENSIONS]):
        for column, sign, bound in ((f"high{place}", ">=", low), (f"low{place}", "<=", high)):
            if bound is not None:
                conditions.append(f"(r.{column} {sign} ? OR r.{column} IS NULL)")
                params.append(bound)
    return " AND ".join(conditions), params


def _row_of(tables: Tables) -> Callable[[Sequence[Any]], Row]:
    return _row if tables.dialect == "sqlite" else _typed_row


def _typed_row(found: Sequence[Any]) -> Row:
    """Return a row of a store whose columns have types: its integers come back as floats."""
    others = found[:7]
    bounds = (int(each) if each is not None and each.is_integer() else each for each in found[7:])
    return _row((*others, *bounds))


def _row(found: Sequence[Any]) -> Row:
    _, id, dims, geometry, value, shape, rest, *bounds = found
    box = tuple(zip(bounds[0 : 2 * dims : 2], bounds[1 : 2 * dims : 2], strict=True))
    if rest is not None:
        box = (*box, *((low, high) for low, high in json.loads(rest)))
    return Row(id, box, geometry, value, shape)


def overlaps(box: Sequence[Interval], bounds: Bounds) -> bool:
    """Whether a box overlaps the bounds in each of its dimensions, edges included."""
    return len(box) <= len(bounds) and all(
        (low is None or b >= low) and (high is None or a <= high)
        for (a, b), (low, high) in zip(box, bounds, strict=False)
    )
