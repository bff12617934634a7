"""``db.spatial``: an index or a function, options, results."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.api.options import flag_of, freshness, place_after, place_in, whole_of
from pouchdb_core.changes.pages import document_pages
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_core.jsontext import dump, from_text
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.tables import Table
from pouchdb_core.views.follow import Follower
from pouchdb_core.views.register import indexes
from pouchdb_core.views.servers import server_of
from pouchdb_spatial.answers import FORMATS, FeatureCollection, Shown
from pouchdb_spatial.matching import Nearest, matching, once
from pouchdb_spatial.reading import Bounds, Reading, overlaps
from pouchdb_spatial.shapes import Place, place_of
from pouchdb_spatial.spatial_index import SPATIAL, ST_INDEXES, Row, emitted_rows
from pouchdb_spatial.sphere import RADIUS, boxes_around

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["OPTIONS", "FeatureCollection", "asked", "asked_rows", "options_of", "queried", "st_info"]

OPTIONS = (
    *("start_range", "end_range", "bbox", "plane_bounds", "g", "relation", "lat", "lon", "radius", "rangex", "rangey"),
    *("nearest", "limit", "skip", "count", "bookmark", "include_docs", "conflicts", "stale", "update", "format", "key"),
)
MOST = 200
"""Rows that Cloudant Geo returns at once."""
USUAL = 100
PAGE, DOCUMENTS = 500, 50
"""Rows of a streamed answer that are made at a time, and with documents."""
MANY = 100
"""Rows around a point from which a search for the nearest begins with a smaller circle; 8 for each that is wanted."""
SMALLEST = 1_000.0
"""Metres of the smallest first circle."""
_TEXTS = ("bbox", "plane_bounds", "relation", "stale", "update", "format", "bookmark")

Read = Callable[["Bounds | None"], Iterator[list[Row]]]
"""Yields the rows whose boxes overlap bounds, or all, some at a time."""


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


def queried(db: SyncPouchDB, fun: Any, options: Mapping[str, Any]) -> Record:
    """Do what ``spatial`` does, with all options in one mapping."""
    for name in options:
        if name not in OPTIONS:
            raise BadRequest(f"spatial() has no option {name!r}; there are: {', '.join(OPTIONS)}")
    if db.remote and isinstance(fun, str) and "(" not in fun:
        return _asked_of_server(db, fun, options)
    if isinstance(fun, str) and "(" not in fun:
        return asked(db, fun, options)
    return _Query(db, options, SPATIAL).temporary(_temporary(db, fun))


def asked(db: SyncPouchDB, path: str, options: Mapping[str, Any], kind: str | None = None) -> Record:
    """Query a stored index by ``"design/name"``. Raises as ``spatial`` does."""
    follower = _follower(db, path, kind)
    query = _Query(db, options, follower.kind)
    with follower.fresh(db, query.update, path), follower.store.snapshot():
        return query.answer(_reading(follower))


def asked_rows(
    db: SyncPouchDB, path: str, options: Mapping[str, Any], kind: str | None = None
) -> tuple[dict[str, Any], Iterator[Record]]:
    """Query a stored index for (head, rows), where the rows are read as the caller takes them.

    The first rows are of one state; a document that is written meanwhile may be missing among the later ones.
    Raises as ``spatial`` does.
    """
    follower = _follower(db, path, kind)
    query = _Query(db, options, follower.kind)
    with follower.fresh(db, query.update, path), follower.store.snapshot():
        return query.streamed(_reading(follower))


def _follower(db: SyncPouchDB, path: str, kind: str | None) -> Follower:
    design, _, name = path.partition("/")
    found = indexes(db).named(db, (SPATIAL, ST_INDEXES) if kind is None else (kind,), design, name or design)
    if found is None:
        raise NotFound("missing_named_view", id=f"_design/{design}")
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


class _Query:
    """Checked options, and how the query is run."""

    def __init__(self, db: SyncPouchDB, options: Mapping[str, Any], kind: str) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        self._st = kind == ST_INDEXES
        self._place: Place = place_of(given, exact_boxes=self._st)
        self._nearest, self._count = flag_of(given, "nearest"), flag_of(given, "count")
        stale = given.get("stale")
        # geopouch's form of it.
        self.update = freshness("ok" if stale is True else stale, given.get("update"))
        self._format = given.get("format", "view")
        if self._format not in FORMATS:
            raise QueryParseError(f"format is one of {', '.join(FORMATS[:3])}, not {safe_repr(self._format)}")
        docs, conflicts = flag_of(given, "include_docs"), flag_of(given, "conflicts")
        self._shown = Shown(db, st=self._st, docs=docs, conflicts=conflicts, format=self._format)
        self._page = DOCUMENTS if docs else PAGE
        self._skip = whole_of(given, "skip", 0) or 0
        limit = whole_of(given, "limit", USUAL if self._st else None)
        if self._st and limit is not None and limit > MOST:
            raise QueryParseError(f"limit is at most {MOST}: go on with the bookmark")
        self._limit = limit
        if given.get("bookmark"):
            self._skip += place_in("spatial", given["bookmark"])
        if self._nearest and self._place.center is None:
            raise QueryParseError("nearest orders by the distance from a place: give lat and lon, g, or a bbox")

    def answer(self, reading: Reading | None) -> Record:
        """Return the result, from an index; None is an empty one."""
        if reading is None:
            return self._answer(_nothing, None)
        if self._count and self._place.exact is None and not self._st and len(self._place.bounds) <= 1:
            # They need not be read.
            return Record(count=reading.count(self._place.bounds[0] if self._place.bounds else None))
        return self._answer(reading.batches, reading)

    def temporary(self, read: Read) -> Record:
        """Return the result, from the rows that ``read`` yields."""
        return self._answer(read, None)

    def _answer(self, read: Read, reading: Reading | None) -> Record:
        if self._count:
            return Record(count=sum(map(len, self._found(read))))
        page = list(self._limited(read, reading))
        rows = self._shown.rows(page)
        if self._format != "view":
            answer: Table = FeatureCollection(type="FeatureCollection", features=rows)
        else:
            answer = Table(rows=rows)
        if self._format != "view" or self._st:
            answer["bookmark"] = place_after("spatial", self._skip + len(page))
        return answer

    def streamed(self, reading: Reading | None) -> tuple[dict[str, Any], Iterator[Record]]:
        """Return (fields of the result without the rows, the rows); some have been read, the others are in time."""
        if self._st:
            # They are few, and their number is in the bookmark.
            answer = self.answer(reading)
            rows = answer.pop("rows")
            return dict(answer), iter(rows)
        pages = self._pages(iter(()) if reading is None else self._limited(reading.batches, reading))
        return {}, itertools.chain(next(pages, []), itertools.chain.from_iterable(pages))

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
            for rows in once(read(bounds)) if self._st else read(bounds):
                for earlier in place.bounds[:number]:
                    rows = [row for row in rows if not overlaps(row.box, earlier)]
                yield matching(place, rows)

    def _ordered(self, read: Read, reading: Reading | None) -> Iterator[Row]:
        """Yield rows by the distance of their geometries, ties in the order of ids."""
        place = self._place
        assert place.center is not None, "it was checked"
        wanted = None if self._limit is None else self._skip + self._limit
        if reading is not None and wanted is not None and not place.bounds and place.exact is None:
            return _widening(reading, *place.center, wanted)
        nearest = Nearest(*place.center, wanted)
        for rows in self._found(read):
            nearest.add(rows)
        return nearest.rows()


def _widening(reading: Reading, lon: float, lat: float, wanted: int) -> Iterator[Row]:
    """Search in growing circles until there are enough: few rows of a big index are read."""
    # Twice what is wanted, if places were spread evenly over the Earth; less where they are crowded.
    radius = max(SMALLEST, 2 * RADIUS * math.sqrt(2 * wanted / max(1, reading.size())))
    many = max(MANY, 8 * wanted)
    while radius > SMALLEST and many <= sum(
        reading.about(_bounds(box), many) for box in boxes_around(lon, lat, radius)
    ):
        radius = max(SMALLEST, radius * math.sqrt(2 * wanted / many))
    while True:
        whole = radius >= 3.2 * RADIUS
        nearest = Nearest(lon, lat, wanted, None if whole else radius)
        for bounds in [None] if whole else map(_bounds, boxes_around(lon, lat, radius)):
            for rows in reading.batches(bounds):
                nearest.add(rows)
        if whole or nearest.count >= wanted:
            return nearest.rows()
        radius *= 4


def _bounds(box: tuple[float, float, float, float]) -> Bounds:
    return [(box[0], box[2]), (box[1], box[3]), (None, None), (None, None), (None, None)]


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
            value = getattr(value, "wkt", None) or value
        if option in ("bbox", "plane_bounds") and not isinstance(value, str):
            value = ",".join(map(str, value))
        query[option] = value
    response = db.fetch(f"_design/{quote(design, safe='')}/{kind}/{quote(name, safe='')}", query=query)
    answer = response.json()
    return FeatureCollection(answer) if answer.get("type") == "FeatureCollection" else Table(answer)
