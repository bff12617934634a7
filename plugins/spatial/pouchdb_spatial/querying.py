"""``db.spatial``: an index or a function, options, results."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy

from pouchdb_core.changes.pages import document_pages
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_core.jsontext import dump
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.tables import Table
from pouchdb_core.views.follow import Follower
from pouchdb_core.views.left_out import LeftOut
from pouchdb_core.views.mapreduce import function_error
from pouchdb_core.views.register import indexes
from pouchdb_core.views.servers import server_of
from pouchdb_spatial.answers import FeatureCollection, Shown
from pouchdb_spatial.matching import matching, once
from pouchdb_spatial.nearest import Nearest, widening
from pouchdb_spatial.options import FIRST, NEAREST, Mark, bookmark_of, checked, known, update_of
from pouchdb_spatial.reading import Bounds, Reading, overlaps, parts_overlap
from pouchdb_spatial.shapes import Place, bbox_of, place_of, turned, wkt_of
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

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["FeatureCollection", "asked", "asked_rows", "queried", "st_info"]

T = TypeVar("T")
MOST = 200
"""Rows that Cloudant Geo returns at once."""
USUAL = 100
PAGE, DOCUMENTS = 500, 50
"""Rows of a streamed answer that are made at a time, and with documents."""
_BOTH = (SPATIAL, ST_INDEXES)

Read = Callable[["Bounds | None"], Iterator[list[Row]]]
"""Yields the rows whose boxes overlap bounds, or all, some at a time."""


def queried(db: SyncPouchDB, fun: Any, options: Mapping[str, Any]) -> Record:
    """Do what ``spatial`` does, with all options in one mapping."""
    if not isinstance(fun, str) or "(" in fun:
        given = checked(options)
        # They say how to read an index.
        update_of(given)
        return _Query(db, given, SPATIAL).temporary(_temporary(db, fun))
    if db.remote:
        # Its values are the server's to check: a bookmark may be another one's.
        known(options)
        return _asked_of_server(db, fun, options)
    return asked(db, fun, options)


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
    """Answer a query from an index, in one snapshot of it."""
    given = checked(options)
    update = update_of(given)
    kinds = _BOTH if kind is None else (kind,)
    design, _, name = path.partition("/")
    if update == "true" and db.user is None:
        # Most queries find the index up to date, and see so in the snapshot that they read it in.
        register = indexes(db)
        with register.store.snapshot():
            found = register.current(db, kinds, design, name or design)
            if found is not None:
                follower, entry = found
                return answer(_Query(db, given, follower.kind), Reading(follower.place.tables, entry.state))
    # Not in a snapshot: who looks for an index has a lock, and may wait for the database of another in memory, as may
    # plug-ins that are asked whether a user may.
    follower = _follower(db, kinds, design, name or design)
    query = _Query(db, given, follower.kind)
    with follower.fresh(db, update, path), follower.store.snapshot():
        entry_now = follower.entry()
        if entry_now is None and update == "true":
            raise NotFound(f"the index {path!r} was dropped while it was read")
        return answer(query, None if entry_now is None else Reading(follower.place.tables, entry_now.state))


def _follower(db: SyncPouchDB, kinds: tuple[str, ...], design: str, name: str) -> Follower:
    found = indexes(db).named(db, kinds, design, name)
    if found is None:
        wanted = f"_design/{design} has no spatial index {name!r}"
        raise NotFound(f"missing_named_view: {wanted}", id=f"_design/{design}")
    return found


def st_info(db: SyncPouchDB, path: str) -> Record:
    """Return ``{"name", "geo_index": {"doc_count", "disk_size", "data_size"}}`` of an ``st_indexes`` index."""
    design, _, name = path.partition("/")
    follower = _follower(db, (ST_INDEXES,), design, name or design)
    follower.update(db, path)
    with follower.snapshot() as place:
        count, size = place.tables.one(
            "SELECT count(DISTINCT id), "
            "coalesce(sum(64 + coalesce(length(geometry), 0) + coalesce(length(shape), 0)), 0) FROM {rows}"
        )
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
        left_out, count = LeftOut(db, "a query with a function"), itertools.count()
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
            for row in rows:
                row.n = next(count)
            yield [row for row in rows if bounds is None or overlaps(row.box, bounds)]
        left_out.finish()

    return read


class _Query:
    """Checked options (``options.checked``) together, and how the query is run."""

    def __init__(self, db: SyncPouchDB, given: Mapping[str, Any], kind: str) -> None:
        self._st = kind == ST_INDEXES
        self._place: Place = place_of(given, exact_boxes=self._st)
        # Of what is not an index, nothing is known.
        self._once, self._by_parts = self._st, self._place.by_parts
        get = given.get
        self._nearest, self._count, self._format = get("nearest", False), get("count", False), get("format", "view")
        docs = get("include_docs", False)
        self._shown = Shown(db, st=self._st, docs=docs, conflicts=get("conflicts", False), format=self._format)
        self._page = DOCUMENTS if docs else PAGE
        self._skip: int = get("skip", 0)
        # All matches are counted, as with a skip.
        self._after: Mark | None = None if self._count else get("bookmark")
        self._mark: Mark = self._after or (NEAREST if self._nearest else FIRST)
        """The last row that is shown."""
        self._area = 0
        """The area of the last matches."""
        if len(self._mark) != (3 if self._nearest else 2):
            raise QueryParseError("a bookmark continues the result of the same query, nearest first or not")
        limit: int | None = get("limit", USUAL if self._st else None)
        if self._st and limit is not None and limit > MOST:
            raise QueryParseError(f"limit must be at most {MOST}, not {limit}: the bookmark of the result continues it")
        self._end = None if limit is None else self._skip + limit
        """The number of matches behind the bookmark that are enough; None: all."""
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
            page = list(self._limited(read, reading))
            if page:
                last = page[-1]
                self._mark = (last.metres, last.id, last.n) if self._nearest else (self._area, last.n)
            rows = self._shown.rows(page)
        if self._format != "view":
            answer: Table = FeatureCollection(type="FeatureCollection", features=rows)
        else:
            answer = Table(rows=rows)
        if self._format != "view" or self._st:
            answer["bookmark"] = bookmark_of(self._mark)
        return answer

    def _of_points(self, reading: Reading) -> list[Record] | None:
        """Return the rows of a query for points in one area, without an object for each; None of other queries."""
        place = self._place
        if not self._shown.plain or self._nearest or self._once or len(place.bounds) != 1:
            return None
        if place.exact is not None and place.points is None and not place.box:
            return None
        found: Iterable[Any] | None = reading.points(place.bounds[0])
        if found is None:
            return None
        if found and place.points is not None:
            _, _, _, lons, lats = zip(*found, strict=True)
            found = itertools.compress(found, numpy.asarray(place.points(lons, lats)).tolist())
        if self._after is not None:
            found = [row for row in found if (0, row[0]) > self._after]
        page = list(self._cut(found))
        if page:
            self._mark = (0, page[-1][0])
        return self._shown.plain_rows([(id, geometry) for _, id, geometry, _, _ in page])

    def _cut(self, found: Iterable[T]) -> Iterator[T]:
        """Return the wanted ones of all matches."""
        # More than there ever are; no number of C's may be larger.
        end = None if self._end is None else min(self._end, sys.maxsize)
        return itertools.islice(found, min(self._skip, sys.maxsize), end)

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
        return self._cut(
            self._ordered(read, reading) if self._nearest else itertools.chain.from_iterable(self._found(read))
        )

    def _found(self, read: Read) -> Iterator[list[Row]]:
        """Yield the matches behind the bookmark in the order of writing (box by box, where there are several)."""
        place = self._place
        areas: list[Bounds | None] = list(place.bounds) or [None]
        for number, bounds in enumerate(areas):
            for rows in once(read(bounds)) if self._once else read(bounds):
                if self._by_parts and bounds is not None:
                    rows = [row for row in rows if parts_overlap(row, bounds)]
                for earlier in place.bounds[:number]:
                    rows = [row for row in rows if not self._found_by(row, earlier)]
                found = matching(place, rows)
                if self._after is not None and not self._nearest:
                    found = [row for row in found if (number, row.n) > self._after]
                if found:
                    self._area = number
                    yield found

    def _found_by(self, row: Row, bounds: Bounds) -> bool:
        return overlaps(row.box, bounds) and (not self._by_parts or parts_overlap(row, bounds))

    def _ordered(self, read: Read, reading: Reading | None) -> Iterator[Row]:
        """Yield rows by the distance of their geometries, ties in the order of ids."""
        place = self._place
        assert place.center is not None, "it was checked"
        lon, lat = place.center()
        if reading is not None and self._end is not None and not place.bounds and place.exact is None:
            return widening(reading, lon, lat, self._end, self._after, several=self._once)
        nearest = Nearest(lon, lat, self._end, after=self._after)
        for rows in self._found(read):
            nearest.add(rows)
        return nearest.rows()


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
