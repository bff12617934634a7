"""``db.spatial``: an index or a function, options, results."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy

from pouchdb_core.api.options import flag_of, freshness, place_after, place_in, whole_of
from pouchdb_core.changes.pages import document_pages
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_core.jsontext import dump, from_text
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.tables import Table
from pouchdb_core.views.follow import Follower
from pouchdb_core.views.left_out import LeftOut
from pouchdb_core.views.mapreduce import function_error
from pouchdb_core.views.register import indexes
from pouchdb_core.views.servers import server_of
from pouchdb_spatial.answers import FORMATS, FeatureCollection, Shown
from pouchdb_spatial.matching import Nearest, matching, once
from pouchdb_spatial.reading import Bounds, Reading, overlaps, parts_overlap
from pouchdb_spatial.shapes import Place, areas_around, bbox_of, place_of, turned, wkt_of
from pouchdb_spatial.spatial_index import (
    BEYOND,
    PARTS,
    SEVERAL,
    SHAPES,
    SPATIAL,
    ST_INDEXES,
    Row,
    emitted_rows,
    key_error,
)
from pouchdb_spatial.sphere import RADIUS

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["OPTIONS", "FeatureCollection", "asked", "asked_rows", "options_of", "queried", "st_info"]

T = TypeVar("T")
OPTIONS = (
    *("start_range", "end_range", "bbox", "plane_bounds", "g", "relation", "lat", "lon", "radius", "rangex", "rangey"),
    *("nearest", "limit", "skip", "count", "bookmark", "include_docs", "conflicts", "stale", "update", "format", "key"),
)
MOST = 200
"""Rows that Cloudant Geo returns at once."""
USUAL = 100
PAGE, DOCUMENTS = 500, 50
"""Rows of a streamed answer that are made at a time, and with documents."""
MANY = 40
"""Rows around a point from which a search for the nearest begins with a smaller circle; 4 for each that is wanted."""
WHOLE = 3.2 * RADIUS
"""Metres that are farther than any place."""
SMALLEST = 1_000.0
"""Metres of the smallest first circle."""
_KNOWN = frozenset(OPTIONS)
_BOTH = (SPATIAL, ST_INDEXES)
_TEXTS = ("bbox", "plane_bounds", "relation", "stale", "update", "format", "bookmark")

Read = Callable[["Bounds | None"], Iterator[list[Row]]]
"""Yields the rows whose boxes overlap bounds, or all, some at a time."""


def options_of(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known options of a query string, as values; others are ignored.

    Text that is not JSON stays text, which is refused where it is no value of its option.
    """
    given: dict[str, Any] = {}
    for name, text in query.items():
        if name not in OPTIONS:
            continue
        if not isinstance(text, str):
            given[name] = text
        elif name == "stale" and text in ("true", "false"):
            # geopouch's form of it, as a database on a server sends it.
            given[name] = text == "true"
        elif name in _TEXTS or (name == "g" and not text.lstrip().startswith("{")):
            given[name] = text.strip('"')
        else:
            try:
                given[name] = from_text(text)
            except BadRequest:
                given[name] = text
    return given


def queried(db: SyncPouchDB, fun: Any, options: Mapping[str, Any]) -> Record:
    """Do what ``spatial`` does, with all options in one mapping."""
    for name in options:
        if name not in _KNOWN:
            raise BadRequest(f"spatial() has no option {name!r}; there are: {', '.join(OPTIONS)}")
    if db.remote and isinstance(fun, str) and "(" not in fun:
        return _asked_of_server(db, fun, options)
    if isinstance(fun, str) and "(" not in fun:
        return asked(db, fun, options)
    return _Query(db, options, SPATIAL).temporary(_temporary(db, fun))


def asked(db: SyncPouchDB, path: str, options: Mapping[str, Any], kind: str | None = None) -> Record:
    """Query a stored index by ``"design/name"``. Raises as ``spatial`` does."""
    return _read(db, path, options, kind, _Query.answer)


def asked_rows(
    db: SyncPouchDB, path: str, options: Mapping[str, Any], kind: str | None = None
) -> tuple[dict[str, Any], Iterator[Record]]:
    """Query a stored index for (head, rows), where the rows are read as the caller takes them.

    The first rows are of one state; a document that is written meanwhile may be missing among the later ones.
    Raises as ``spatial`` does.
    """
    return _read(db, path, options, kind, _Query.streamed)


def _read(
    db: SyncPouchDB,
    path: str,
    options: Mapping[str, Any],
    kind: str | None,
    answer: Callable[[_Query, Reading | None], T],
) -> T:
    """Read an index in one snapshot: also whether it is up to date, so a query of one that is costs no more."""
    known = indexes(db)
    if db.user is None:
        with known.store.snapshot():
            found = known.current(db, _kinds(kind), *_parts(path))
            if found is not None:
                follower, entry = found
                query = _Query(db, options, follower.kind)
                if query.update == "true":
                    return answer(query, Reading(follower.place.tables, entry.state))
    # Not in a snapshot: who looks for an index has a lock, and may wait for the database of another in memory, as may
    # plug-ins that are asked whether a user may.
    follower = _follower(db, path, kind)
    query = _Query(db, options, follower.kind)
    if query.update == "true":
        with follower.store.snapshot():
            current = follower.current()
            if current is not None:
                return answer(query, Reading(follower.place.tables, current.state))
    with follower.fresh(db, query.update, path), follower.store.snapshot():
        return answer(query, _reading(follower))


def _kinds(kind: str | None) -> tuple[str, ...]:
    return _BOTH if kind is None else (kind,)


def _parts(path: str) -> tuple[str, str]:
    """Return the design document and the index of a path."""
    design, _, name = path.partition("/")
    return design, name or design


def _follower(db: SyncPouchDB, path: str, kind: str | None) -> Follower:
    design, name = _parts(path)
    found = indexes(db).named(db, _kinds(kind), design, name)
    if found is None:
        wanted = f"_design/{design} has no spatial index {name or design!r}"
        raise NotFound(f"missing_named_view: {wanted}", id=f"_design/{design}")
    return found


def _reading(follower: Follower) -> Reading | None:
    """Return the reader of an index in a snapshot; None if it was never built."""
    entry = follower.entry()
    return None if entry is None else Reading(follower.place.tables, entry.state)


def st_info(db: SyncPouchDB, path: str) -> Record:
    """Return ``{"name", "geo_index": {"doc_count", "disk_size", "data_size"}}`` of an ``st_indexes`` index."""
    follower = _follower(db, path, ST_INDEXES)
    follower.update(db, path)
    with follower.snapshot() as place:
        count, size = place.tables.one(
            "SELECT count(DISTINCT id), "
            "coalesce(sum(64 + coalesce(length(geometry), 0) + coalesce(length(shape), 0)), 0) FROM {rows}"
        )
    design = path.partition("/")[0]
    return Record(
        name=f"_design/{design}/{follower.place.member}",
        geo_index=Record(doc_count=count, disk_size=size, data_size=size),
    )


def _temporary(db: SyncPouchDB, fun: Any) -> Read:
    """Return a reader that maps all documents again."""
    if not callable(fun) and not isinstance(fun, str):
        raise BadRequest(f"spatial() takes 'design/name' or a function (Python, JavaScript), not {safe_repr(fun)}")
    ddoc = {"_id": "_design/temporary", "language": "python" if callable(fun) else "javascript"}
    functions = server_of(db, ddoc).open(db, ddoc)
    functions.compile("spatial", "map", fun)
    reported = [False]

    def read(bounds: Bounds | None) -> Iterator[list[Row]]:
        # Once, not for each area that is read.
        again, reported[0] = reported[0], True
        left_out = LeftOut(db, "a query with a function")
        for docs in document_pages(db):
            rows: list[Row] = []
            for doc, (pairs,) in zip(docs, functions.map(["spatial"], [dump(doc) for doc in docs]), strict=True):
                id = doc["_id"]
                try:
                    if not isinstance(pairs, Exception):
                        rows += emitted_rows(id, pairs)
                    elif not again:
                        left_out(id, function_error(pairs, "the function", id))
                except ValueError as error:
                    if not again:
                        left_out(id, key_error(error, "the function", id))
            yield [row for row in rows if bounds is None or overlaps(row.box, bounds)]
        left_out.finish()

    return read


class _Query:
    """Checked options, and how the query is run."""

    def __init__(self, db: SyncPouchDB, options: Mapping[str, Any], kind: str) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        self._st = kind == ST_INDEXES
        self._place: Place = place_of(given, exact_boxes=self._st)
        # Of what is not an index, nothing is known.
        self._once, self._by_parts = self._st, self._place.by_parts
        self._nearest, self._count = flag_of(given, "nearest"), flag_of(given, "count")
        stale = given.get("stale")
        # geopouch's form of it.
        self.update = freshness("ok" if stale is True else stale, given.get("update"))
        self._format = given.get("format", "view")
        if self._format not in FORMATS:
            raise QueryParseError(f"format must be one of {', '.join(FORMATS[:3])}, not {safe_repr(self._format)}")
        docs, conflicts = flag_of(given, "include_docs"), flag_of(given, "conflicts")
        self._shown = Shown(db, st=self._st, docs=docs, conflicts=conflicts, format=self._format)
        self._page = DOCUMENTS if docs else PAGE
        self._skip = whole_of(given, "skip", 0) or 0
        limit = whole_of(given, "limit", USUAL if self._st else None)
        if self._st and limit is not None and limit > MOST:
            raise QueryParseError(f"limit must be at most {MOST}, not {limit}: the bookmark of the result continues it")
        self._limit = limit
        if given.get("bookmark"):
            self._skip += place_in("spatial", given["bookmark"])
        if self._nearest and self._place.center is None:
            raise QueryParseError("nearest sorts by the distance from a place: give lat and lon, g, or bbox, too")

    def answer(self, reading: Reading | None) -> Record:
        """Return the result, from an index; None is an empty one."""
        if reading is None:
            return self._answer(_nothing, None)
        if self._count and self._counted_by_boxes(reading):
            # They need not be read.
            return Record(count=reading.count(self._place.bounds[0] if self._place.bounds else None))
        return self._answer(reading.batches, reading)

    def _counted_by_boxes(self, reading: Reading) -> bool:
        """Return whether as many rows match as have boxes that overlap."""
        place, have = self._place, reading.have
        if len(place.bounds) > 1 or (self._st and SEVERAL in have) or (place.by_parts and PARTS in have):
            return False
        return place.exact is None or (place.box and SHAPES not in have)

    def temporary(self, read: Read) -> Record:
        """Return the result, from the rows that ``read`` yields."""
        if self._place.around:
            self._place.bounds = turned(self._place.bounds)
        return self._answer(read, None)

    def _answer(self, read: Read, reading: Reading | None) -> Record:
        if reading is not None:
            self._prepare(reading)
        if self._count:
            return Record(count=sum(map(len, self._found(read))))
        rows = None if reading is None else self._of_points(reading)
        if rows is None:
            rows = self._shown.rows(list(self._limited(read, reading)))
        if self._format != "view":
            answer: Table = FeatureCollection(type="FeatureCollection", features=rows)
        else:
            answer = Table(rows=rows)
        if self._format != "view" or self._st:
            answer["bookmark"] = place_after("spatial", self._skip + len(rows))
        return answer

    def _of_points(self, reading: Reading) -> list[Record] | None:
        """Return the rows of a query for points in one area, without an object for each; None of other queries."""
        place = self._place
        if not self._shown.plain or self._nearest or self._once or len(place.bounds) != 1:
            return None
        compared = place.exact is not None and not place.box
        if compared and place.points is None:
            return None
        found: Iterable[Any] | None = reading.points(place.bounds[0])
        if found and compared:
            assert place.points is not None, "it was checked"
            _, _, _, lons, lats = zip(*found, strict=True)
            found = itertools.compress(found, numpy.asarray(place.points(lons, lats)).tolist())
        if found is None:
            return None
        end = None if self._limit is None else self._skip + self._limit
        page = itertools.islice(found, self._skip, end)
        return self._shown.plain_rows([(id, geometry) for _, id, geometry, _, _ in page])

    def streamed(self, reading: Reading | None) -> tuple[dict[str, Any], Iterator[Record]]:
        """Return (fields of the result without the rows, the rows); some have been read, the others are in time."""
        if self._st:
            # They are few, and their number is in the bookmark.
            answer = self.answer(reading)
            rows = answer.pop("rows")
            return dict(answer), iter(rows)
        if reading is not None:
            self._prepare(reading)
        pages = self._pages(iter(()) if reading is None else self._limited(reading.batches, reading))
        return {}, itertools.chain(next(pages, []), itertools.chain.from_iterable(pages))

    def _prepare(self, reading: Reading) -> None:
        """Leave out what the rows of this index do not need."""
        place = self._place
        self._once = self._st and SEVERAL in reading.have
        self._by_parts = place.by_parts and PARTS in reading.have
        if place.around and BEYOND in reading.have:
            place.bounds = turned(place.bounds)
        if self._st and not self._once and len(place.bounds) <= 1:
            reading.slim()

    def _pages(self, rows: Iterator[Row]) -> Iterator[list[Record]]:
        while page := list(itertools.islice(rows, self._page)):
            yield self._shown.rows(page)

    def _limited(self, read: Read, reading: Reading | None) -> Iterator[Row]:
        end = None if self._limit is None else self._skip + self._limit
        rows = self._ordered(read, reading) if self._nearest else itertools.chain.from_iterable(self._found(read))
        return itertools.islice(rows, self._skip, end)

    def _found(self, read: Read) -> Iterator[list[Row]]:
        """Yield the matches in the order of writing (box by box, where there are several)."""
        place = self._place
        areas: list[Bounds | None] = list(place.bounds) or [None]
        for number, bounds in enumerate(areas):
            for rows in once(read(bounds)) if self._once else read(bounds):
                if self._by_parts and bounds is not None:
                    rows = [row for row in rows if parts_overlap(row, bounds)]
                for earlier in place.bounds[:number]:
                    rows = [row for row in rows if not self._found_by(row, earlier)]
                yield matching(place, rows)

    def _found_by(self, row: Row, bounds: Bounds) -> bool:
        return overlaps(row.box, bounds) and (not self._by_parts or parts_overlap(row, bounds))

    def _ordered(self, read: Read, reading: Reading | None) -> Iterator[Row]:
        """Yield rows by the distance of their geometries, ties in the order of ids."""
        place = self._place
        assert place.center is not None, "it was checked"
        wanted = None if self._limit is None else self._skip + self._limit
        if reading is not None and wanted is not None and not place.bounds and place.exact is None:
            identity = attrgetter("seen") if self._once else None
            return _widening(reading, *place.center, wanted, identity)
        nearest = Nearest(*place.center, wanted)
        for rows in self._found(read):
            nearest.add(rows)
        return nearest.rows()


def _widening(
    reading: Reading, lon: float, lat: float, wanted: int, identity: Callable[[Row], Any] | None
) -> Iterator[Row]:
    """Search in growing circles until there are enough: few rows of a big index are read."""
    beyond = BEYOND in reading.have

    def areas(radius: float) -> list[Bounds]:
        found = areas_around(lon, lat, radius)
        return turned(found) if beyond else found

    # Twice what is wanted, if places were spread evenly over the Earth; less where they are crowded.
    radius = max(SMALLEST, 2 * RADIUS * math.sqrt(2 * wanted / max(1, reading.size())))
    many, grown = max(MANY, 4 * wanted), False
    while radius < WHOLE:
        found = sum(reading.about(bounds, many) for bounds in areas(radius))
        if found < wanted:
            radius, grown = 2 * radius, True
        elif found < many or grown or radius == SMALLEST:
            break
        else:
            # Usually there are many more. Where there are not, the circle gets too small, and larger again.
            radius = max(SMALLEST, radius * math.sqrt(wanted / many / 1.6))
    while True:
        searched: list[Any] = areas(radius) if radius < WHOLE else [None]
        # A row may be in several areas.
        which = identity or (attrgetter("n") if len(searched) > 1 else None)
        nearest = Nearest(lon, lat, wanted, radius if radius < WHOLE else None, which)
        for bounds in searched:
            for rows in reading.batches(bounds):
                nearest.add(rows)
        if radius >= WHOLE or nearest.count >= wanted:
            return nearest.rows()
        radius *= 2 if 4 * nearest.count >= wanted else 4


def _nothing(bounds: Bounds | None) -> Iterator[list[Row]]:
    return iter(())


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
            value = wkt_of(value)
        if option in ("bbox", "plane_bounds"):
            value = ",".join(map(repr, bbox_of(option, value)))
        query[option] = value
    response = db.fetch(f"_design/{quote(design, safe='')}/{kind}/{quote(name, safe='')}", query=query)
    answer = response.json()
    return FeatureCollection(answer) if answer.get("type") == "FeatureCollection" else Table(answer)
