"""``db.spatial``: an index or a function, options, results."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from pouchdb_core.changes.pages import document_pages
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_core.jsontext import dump, from_text
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.tables import Table
from pouchdb_core.views.index_store import Tables
from pouchdb_core.views.register import indexes
from pouchdb_core.views.servers import server_of
from pouchdb_spatial.geometries import shapes_of
from pouchdb_spatial.shapes import Place, number, place_of
from pouchdb_spatial.spatial_index import SPATIAL, ST_INDEXES, Bounds, Row, count_of, emitted_rows, overlaps, rows_of
from pouchdb_spatial.sphere import RADIUS, boxes_around, distances

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["OPTIONS", "FeatureCollection", "asked", "options_of", "spatial", "st_info"]

OPTIONS = (
    *("start_range", "end_range", "bbox", "plane_bounds", "g", "relation", "lat", "lon", "radius", "rangex", "rangey"),
    *("nearest", "limit", "skip", "count", "bookmark", "include_docs", "conflicts", "stale", "update", "format", "key"),
)
MOST = 200
"""Rows that Cloudant Geo returns at once."""
USUAL = 100
CHUNK = 1000
"""Rows that are compared at a time."""
_TEXTS = ("bbox", "plane_bounds", "relation", "stale", "format", "bookmark")
_FORMATS = ("view", "geojson", "legacy", "application/vnd.geo+json")

Read = Callable[[Bounds | None], Iterator[list[Row]]]
"""Yields the rows whose boxes overlap bounds, or all, some at a time."""


class FeatureCollection(Table):
    """A result in GeoJSON. ``save`` writes it to a file that any map viewer opens."""

    __slots__ = ()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the collection to a file, without the bookmark."""
        content = {name: value for name, value in self.items() if name != "bookmark"}
        Path(path).write_bytes(dump(content))


def options_of(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known options of a query string, as values; others are ignored.

    Raises QueryParseError for text that is not JSON where JSON is expected.
    """
    given: dict[str, Any] = {}
    for name, text in query.items():
        if name not in OPTIONS:
            continue
        if not isinstance(text, str):
            given[name] = text
        elif name in _TEXTS or (name == "g" and not text.lstrip().startswith("{")):
            given[name] = text.strip('"')
        else:
            try:
                given[name] = from_text(text)
            except BadRequest as error:
                raise QueryParseError(f"{name} is not JSON: {text!r}") from error
    return given


def spatial(db: SyncPouchDB, /, fun: Any, bbox: Any = None, **options: Any) -> Record:
    """Query a spatial index: ``"design/name"``, or a function, which reads the whole database and stores nothing.

    ``name`` is in the design document's ``spatial`` (GeoCouch: ``emit(key, value)``) or ``st_indexes`` (Cloudant Geo:
    ``st_index(geometry)``). Where: ``start_range`` and ``end_range``, a number or None for each dimension, one of them
    may be missing; ``bbox`` as (west, south, east, north), with ``plane_bounds`` around the date line; ``g``, WKT,
    GeoJSON or an object with ``__geo_interface__``, and its relation to the results (``relation``, "intersects");
    ``lat``, ``lon`` and ``radius``, or ``rangex`` and ``rangey`` for an ellipse, in metres on the sphere. ``nearest``
    orders by the distance from there. ``limit``, ``skip``, ``bookmark``, ``count``, ``include_docs``, ``stale="ok"``,
    and ``format="geojson"`` for a FeatureCollection.

    Returns ``{"rows": [{"id", "key": [[low, high]], "geometry", "value", "bbox"}]}`` of ``spatial``, in the order of
    writing, and ``{"rows": [{"id", "geometry"}], "bookmark"}`` of ``st_indexes``. Raises NotFound, QueryParseError,
    BadRequest, and FunctionError for a function that does not compile.
    """
    if isinstance(bbox, Mapping):
        # Options as an object, as the original takes them.
        options = {**bbox, **options}
    elif bbox is not None:
        options["bbox"] = bbox
    for name in options:
        if name not in OPTIONS:
            raise BadRequest(f"spatial() has no option {name!r}; there are: {', '.join(OPTIONS)}")
    if db.remote and isinstance(fun, str) and "(" not in fun:
        return _asked_of_server(db, fun, options)
    if isinstance(fun, str) and "(" not in fun:
        return asked(db, fun, options)
    return _Query(db, options, SPATIAL).answer(_temporary(db, fun), None)


def asked(db: SyncPouchDB, path: str, options: Mapping[str, Any], kind: str | None = None) -> Record:
    """Query a stored index by ``"design/name"``. Raises as ``spatial`` does."""
    design, _, name = path.partition("/")
    name = name or design
    ddoc = db.as_user(None).get(f"_design/{design}")
    found = next(
        (each for each in (SPATIAL, ST_INDEXES) if kind in (None, each) and name in (ddoc.get(each) or {})), None
    )
    if found is None:
        raise NotFound("missing_named_view", id=ddoc["_id"])
    query = _Query(db, options, found)
    follower = indexes(db).follower(db, found, ddoc, name)
    if query.updates:
        follower.update(db)

    with follower.snapshot() as place:
        tables: Tables = place.tables
        return query.answer(lambda bounds: rows_of(tables, bounds), lambda bounds: count_of(tables, bounds))


def st_info(db: SyncPouchDB, path: str) -> Record:
    """Return ``{"name", "geo_index": {"doc_count", "disk_size", "data_size"}}`` of an ``st_indexes`` index."""
    design, _, name = path.partition("/")
    ddoc = db.as_user(None).get(f"_design/{design}")
    follower = indexes(db).follower(db, ST_INDEXES, ddoc, name)
    follower.update(db)
    with follower.snapshot() as place:
        count, size = place.tables.one(
            "SELECT count(DISTINCT id), "
            "coalesce(sum(64 + coalesce(length(geometry), 0) + coalesce(length(shape), 0)), 0) FROM {rows}"
        )
    return Record(name=f"_design/{design}/{name}", geo_index=Record(doc_count=count, disk_size=size, data_size=size))


def _temporary(db: SyncPouchDB, fun: Any) -> Read:
    """Return a reader that maps all documents again."""
    if not callable(fun) and not isinstance(fun, str):
        raise BadRequest(f"spatial() takes 'design/name', JavaScript or a function, not {safe_repr(fun)}")
    ddoc = {"_id": "_design/temporary", "language": "python" if callable(fun) else "javascript"}
    functions = server_of(db, ddoc).open(db, ddoc)
    functions.compile("spatial", "map", fun)

    def read(bounds: Bounds | None) -> Iterator[list[Row]]:
        for docs in document_pages(db):
            mapped = functions.map(["spatial"], [dump(doc) for doc in docs])
            made = [
                (doc["_id"], pairs)
                for doc, (pairs,) in zip(docs, mapped, strict=True)
                if not isinstance(pairs, Exception)
            ]
            # As in an index, which reports them: documents with an invalid key are left out.
            rows = [row for _, found in emitted_rows(made) if not isinstance(found, Exception) for row in found]
            yield [row for row in rows if bounds is None or overlaps(row.box, bounds)]

    return read


def _compared(rows: list[Row]) -> tuple[list[Row], Any]:
    """Return the rows with a geometry to compare, and an array of these."""
    rows = [row for row in rows if row.shape is not None]
    return rows, shapes_of([row.shape for row in rows], [row.box for row in rows])


class _Nearest:
    """The rows nearest to a point among those added, each once; all within a radius are counted."""

    def __init__(self, lon: float, lat: float, wanted: int | None, radius: float | None = None) -> None:
        self._lon, self._lat, self._wanted, self._radius = lon, lat, wanted, radius
        self._found: list[tuple[float, str, int, Row]] = []
        self._seen: set[Any] = set()
        self.count = 0

    def add(self, rows: list[Row]) -> None:
        """Add some more rows."""
        rows, shapes = _compared(rows)
        if not rows:
            return
        for row, away in zip(rows, distances(shapes, self._lon, self._lat).tolist(), strict=True):
            if (self._radius is not None and away > self._radius) or row.seen in self._seen:
                continue
            self._seen.add(row.seen)
            self.count += 1
            self._found.append((away, row.id, self.count, row))
        if self._wanted is not None and len(self._found) > 4 * self._wanted + CHUNK:
            self._found = heapq.nsmallest(self._wanted, self._found)

    def rows(self) -> Iterator[Row]:
        """Yield them, the nearest first, of equal distances by id."""
        found = sorted(self._found) if self._wanted is None else heapq.nsmallest(self._wanted, self._found)
        return (row for _, _, _, row in found)


class _Query:
    """Checked options, and how the query is run."""

    def __init__(self, db: SyncPouchDB, options: Mapping[str, Any], kind: str) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        self._db, self._st = db, kind == ST_INDEXES
        self._place: Place = place_of(given, exact_boxes=self._st)
        self._nearest = _flag(given, "nearest")
        self._count, self._docs = _flag(given, "count"), _flag(given, "include_docs")
        self._conflicts = _flag(given, "conflicts")
        stale, update = given.get("stale"), given.get("update", True)
        if stale not in (None, "ok", "update_after", True, False):
            raise QueryParseError(f'stale is "ok" or "update_after", not {safe_repr(stale)}')
        self.updates = not (stale in ("ok", "update_after", True) or update in (False, "false", "lazy"))
        self._format = given.get("format", "view")
        if self._format not in _FORMATS:
            raise QueryParseError(f"format is one of {', '.join(_FORMATS[:3])}, not {safe_repr(self._format)}")
        self._skip = _whole(given, "skip", 0)
        limit = _whole(given, "limit", None)
        if self._st:
            limit = USUAL if limit is None else limit
            if limit > MOST:
                raise QueryParseError(f"limit is at most {MOST}: go on with the bookmark")
        self._limit = limit
        if given.get("bookmark"):
            self._skip += _from_bookmark(given["bookmark"])
        if self._nearest and self._place.center is None:
            raise QueryParseError("nearest orders by the distance from a place: give lat and lon, g, or a bbox")

    def answer(self, read: Read, counted: Callable[[Bounds | None], int] | None) -> Record:
        """Return the result, from the rows that ``read`` yields; ``counted`` counts them without reading."""
        if self._count:
            place = self._place
            if counted is not None and place.exact is None and not self._st and len(place.bounds) <= 1:
                return Record(count=counted(place.bounds[0] if place.bounds else None))
            return Record(count=sum(1 for _ in self._found(read)))
        end = None if self._limit is None else self._skip + self._limit
        rows = self._ordered(read) if self._nearest else self._found(read)
        return self._shown(list(islice(rows, self._skip, end)))

    def _found(self, read: Read) -> Iterator[Row]:
        """Yield the matches, each once, in the order of writing (box by box, where there are several)."""
        bounds: list[Bounds | None] = list(self._place.bounds) or [None]
        exact = self._place.exact
        once = self._st or len(bounds) > 1
        seen: set[Any] = set()
        for each in bounds:
            for rows in read(each):
                if exact is not None:
                    rows, shapes = _compared(rows)
                    rows = [rows[place] for place in numpy.flatnonzero(exact(shapes))] if rows else []
                for row in rows:
                    if once:
                        if row.seen in seen:
                            continue
                        seen.add(row.seen)
                    yield row

    def _ordered(self, read: Read) -> Iterator[Row]:
        """Yield rows by the distance of their geometries, ties in the order of ids."""
        center = self._place.center
        assert center is not None, "it was checked"
        wanted = None if self._limit is None else self._skip + self._limit
        if self._place.bounds or self._place.exact is not None or wanted is None:
            found = self._found(read)
            nearest = _Nearest(*center, wanted)
            while rows := list(islice(found, CHUNK)):
                nearest.add(rows)
            return nearest.rows()
        return self._widening(read, *center, wanted)

    def _widening(self, read: Read, lon: float, lat: float, wanted: int) -> Iterator[Row]:
        """Search in growing circles until there are enough: few rows of a big index are read."""
        radius = 1_000.0
        while True:
            whole = radius >= 3.2 * RADIUS
            nearest = _Nearest(lon, lat, wanted, None if whole else radius)
            for box in [None] if whole else boxes_around(lon, lat, radius):
                bounds: Bounds | None = None
                if box is not None:
                    bounds = [(box[0], box[2]), (box[1], box[3]), (None, None), (None, None), (None, None)]
                for rows in read(bounds):
                    nearest.add(rows)
            if whole or nearest.count >= wanted:
                return nearest.rows()
            radius *= 4

    # -- results -------------------------------------------------------------------------------------

    def _shown(self, page: list[Row]) -> Record:
        docs = self._documents(page) if self._docs or self._format != "view" else {}
        if self._format != "view":
            return self._features(page, docs)
        rows = []
        for row in page:
            shown = Record(id=row.id)
            if not self._st:
                shown["key"] = [list(interval) for interval in row.box]
            shown["geometry"] = row.geometry
            if not self._st:
                shown["value"] = row.value
                shown["bbox"] = _flat(row)
            if self._docs:
                doc = docs.get(self._linked(row))
                if doc is not None:
                    shown["doc"] = doc
            rows.append(shown)
        answer = Table(rows=rows)
        if self._st:
            answer["bookmark"] = _bookmark(self._skip + len(page))
        return answer

    def _linked(self, row: Row) -> str:
        """Return the id of the document of a row: the one its value names, or its own."""
        value = None if self._st else row.value
        linked = value.get("_id") if isinstance(value, Mapping) else None
        return linked if isinstance(linked, str) else row.id

    def _documents(self, page: list[Row]) -> dict[str, Any]:
        ids = list(dict.fromkeys(self._linked(row) for row in page))
        if not ids:
            return {}
        listing = self._db.all_docs(keys=ids, include_docs=True, conflicts=self._conflicts)
        return {row["key"]: row["doc"] for row in listing["rows"] if row.get("doc")}

    def _features(self, page: list[Row], docs: Mapping[str, Any]) -> FeatureCollection:
        features = []
        for row in page:
            if self._format == "legacy":
                features.append(Record(id=row.id))
                continue
            feature = Record(_id=row.id, type="Feature", geometry=row.geometry)
            doc = docs.get(self._linked(row)) or {}
            properties = doc.get("properties")
            feature["properties"] = properties if isinstance(properties, Mapping) else _members(doc, row)
            if self._docs:
                feature["doc"] = doc
            features.append(feature)
        answer = FeatureCollection(type="FeatureCollection", features=features)
        answer["bookmark"] = _bookmark(self._skip + len(page))
        return answer


def _members(doc: Mapping[str, Any], row: Row) -> Record:
    return Record({name: value for name, value in doc.items() if not name.startswith("_") and value != row.geometry})


def _flat(row: Row) -> list[float]:
    box = row.box[:2]
    return [*(low for low, _ in box), *(high for _, high in box)]


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if value not in (True, False, "true", "false"):
        raise QueryParseError(f"{name} is true or false, not {safe_repr(value)}")
    return value in (True, "true")


def _whole(given: Mapping[str, Any], name: str, default: int | None) -> Any:
    if given.get(name) is None:
        return default
    value = number(name, given[name], 0)
    if value != int(value):
        raise QueryParseError(f"{name} must be a whole number, not {value}")
    return int(value)


def _bookmark(place: int) -> str:
    return base64.urlsafe_b64encode(f"spatial:{place}".encode()).decode()


def _from_bookmark(text: Any) -> int:
    try:
        kind, _, place = base64.urlsafe_b64decode(str(text)).decode().partition(":")
        if kind == "spatial":
            return int(place)
    except ValueError:
        pass  # raised below
    raise QueryParseError(f"{safe_repr(text)} is not a bookmark of an answer")


def _asked_of_server(db: SyncPouchDB, path: str, options: Mapping[str, Any]) -> Record:
    """Pass a query on to the server of a remote database."""
    from urllib.parse import quote

    design, _, name = path.partition("/")
    name = name or design
    ddoc = db.get(f"_design/{design}")
    kind = "_geo" if name in (ddoc.get(ST_INDEXES) or {}) and name not in (ddoc.get(SPATIAL) or {}) else "_spatial"
    query: dict[str, Any] = {}
    for option, value in options.items():
        if value is None:
            continue
        if option == "g" and not isinstance(value, str):
            value = getattr(value, "wkt", None) or value
        if option in ("bbox", "plane_bounds") and not isinstance(value, str):
            value = ",".join(map(str, value))
        query[option] = value
    response = db.fetch(f"_design/{quote(design, safe='')}/{kind}/{quote(name, safe='')}", query=query)
    answer = response.json()
    return FeatureCollection(answer) if answer.get("type") == "FeatureCollection" else Table(answer)
