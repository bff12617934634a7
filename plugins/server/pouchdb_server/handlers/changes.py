"""The changes feed in its four forms."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest, DatabaseClosed, NotFound
from pouchdb_core.jsontext import dump
from pouchdb_core.requests import Changes, ReadOptions
from pouchdb_core.runner import Idle
from pouchdb_server.messages import Request, Response, Subscribe
from pouchdb_server.query import is_number, json, number
from pouchdb_server.rows import PIECE, Begun, Rows

__all__ = ["Clock", "Timing", "changes", "timing"]

OWN = frozenset(
    "feed since limit descending style include_docs conflicts attachments att_encoding_info heartbeat timeout filter "
    "seq_interval last-event-id doc_ids selector".split()
)
"""Parameters of the feed; all others belong to the filter."""
FEEDS = ("normal", "longpoll", "continuous", "eventsource")
FLAGS = ("attachments", "conflicts", "descending", "include_docs")
LOOKED_UP = 100
"""Documents that CouchDB looks up by id, when ``doc_ids`` has no more than this."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a feed sends something though nothing happened, and when it ends."""

    heartbeat: float | None
    timeout: float | None
    shortest: float = 0.0
    """Seconds between two heartbeats at least: thousands of feeds must not beat all the time."""
    clock: Any = time.monotonic
    is_stopping: Callable[[], bool] = lambda: False
    """Marks that the feed has to end, since the server does."""


def timing(request: Request) -> Timing:
    """Return the heartbeat and timeout of a request, in seconds. Raises BadRequest."""
    least, most = request.server.settings.min_heartbeat, request.server.settings.max_heartbeat
    beat = request.query.get("heartbeat")
    if beat is not None and beat != "false":
        if beat != "true" and not is_number(beat.removeprefix("-")):
            raise BadRequest("Invalid heartbeat value. Expecting a positive integer value (in milliseconds).")
        if beat.startswith("-") or beat.strip("0") == "":
            raise BadRequest("The heartbeat value should be a positive integer (in milliseconds).")
        milliseconds = most if beat == "true" else max(least, min(int(beat), most))
        return Timing(milliseconds / 1000, None, is_stopping=request.server.is_stopping)
    timeout = request.query.get("timeout")
    seconds = (most if timeout is None else min(number("timeout", timeout), most)) / 1000
    return Timing(None, seconds, least / 1000, is_stopping=request.server.is_stopping)


def changes(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_changes."""
    feed = request.query.get("feed", "normal")
    feed = {"live": "continuous"}.get(feed, feed)
    if feed not in FEEDS:
        raise BadRequest("Supported `feed` types: normal, continuous, live, longpoll, eventsource")
    if "heartbeat" in request.query:
        # Of any feed, as in CouchDB.
        timing(request)
    asked = _asked(request, database, live=feed != "normal")
    content_type = "text/event-stream" if feed == "eventsource" else "application/json"
    if feed == "normal":
        return _normal(database, asked)
    if feed == "longpoll":
        body = _longpoll(database, asked, timing(request))
    elif feed == "continuous":
        body = _continuous(database, asked, timing(request))
    else:
        body = _eventsource(database, asked, timing(request))
    # Errors in the request are reported before the head of the response is sent.
    first = next(body)
    headers = {"x-accel-buffering": "no", **({"cache-control": "no-cache"} if feed == "eventsource" else {})}
    return Response(Begun(first, body), 200, headers, content_type=content_type, wakes=_wakes(database))


def _wakes(database: SyncPouchDB) -> Subscribe:
    """Wake a feed when something is written, and when its database ends."""

    def subscribe(wake: Callable[[], None]) -> Callable[[], None]:
        def ended(*_: object) -> None:
            wake()

        unsubscribe = database.adapter.subscribe(wake)
        database.on("destroyed", ended).on("closed", ended)

        def end() -> None:
            unsubscribe()
            database.remove_listener("destroyed", ended).remove_listener("closed", ended)

        return end

    return subscribe


def _asked(request: Request, database: SyncPouchDB, *, live: bool) -> Changes:
    query = request.query
    body: Mapping[str, Any] = request.json(required=False) if request.method == "POST" else {}
    style = query.get("style", "main_only")
    if style not in ("main_only", "all_docs"):
        raise BadRequest(f"style must be main_only or all_docs, not {style}")
    # Anything other than true is ignored, as in CouchDB.
    flags = {name: query.get(name) == "true" for name in FLAGS}
    name = query.get("filter") or None
    doc_ids = None
    if name == "_doc_ids":
        # Without the filter, ids are ignored.
        doc_ids = body.get("doc_ids", json("doc_ids", query["doc_ids"]) if "doc_ids" in query else None)
        if not isinstance(doc_ids, list) or not all(isinstance(each, str) for each in doc_ids):
            raise BadRequest("`doc_ids` filter parameter is not a list of doc ids.")
    _check_filter(name, query)
    selector = body.get("selector")
    if name == "_selector" and not isinstance(selector, dict):
        wrong = "must be specified in POST payload" if selector is None else "error: expected a JSON object"
        raise BadRequest(f"Selector {wrong}")
    since: Any = request.headers.get("last-event-id") or query.get("last-event-id") or query.get("since", "0")
    if since == "now" and live:
        since = database.info()["update_seq"]
    elif isinstance(since, str) and since[:1] in '"[' and since[:1]:
        since = json("since", since)
    limit = number("limit", query["limit"]) if "limit" in query else None
    descending = flags["descending"]
    return Changes(
        since=since,
        # From the newest downwards there is an end.
        live=live and not descending,
        limit=limit,
        descending=descending,
        style=style,  # type: ignore[arg-type]  # checked above
        include_docs=flags["include_docs"],
        options=ReadOptions(conflicts=flags["conflicts"], attachments=flags["attachments"]),
        doc_ids=None if doc_ids is None else tuple(doc_ids),
        filter=None if name == "_doc_ids" else name,
        query_params={key: value for key, value in query.items() if key not in OWN},
        selector=selector if name == "_selector" else None,
        progress=True,
        user=database.user,
        purpose=database.purpose,
    )


def _check_filter(name: str | None, query: Mapping[str, str]) -> None:
    """Refuse an invalid filter, with CouchDB's reasons. Raises BadRequest."""
    if name is None or name in ("_doc_ids", "_design", "_selector"):
        return
    if name == "_view":
        view = query.get("view", "")
        if not view:
            raise BadRequest("`view` filter parameter is not provided.")
        if view.count("/") != 1:
            raise BadRequest("`view` must be of the form `designname/viewname`")
    elif name.count("/") != 1:
        raise BadRequest("`filter` must be of the form `designname/filtername`")


class _Rows:
    """The rows of a feed, and where it got to."""

    def __init__(self, database: SyncPouchDB, asked: Changes) -> None:
        self._database = database
        self._rows: Iterator[Any] = iter(database.plugins.changes(database, asked))
        self.last_seq: Any = asked.since
        self._descends, self._asks_none = asked.descending, asked.limit == 0
        self._gone = self._has_begun = False
        self._left: int | None = None
        looks_up = asked.doc_ids is not None and len(asked.doc_ids) <= LOOKED_UP
        if not asked.live and (looks_up or asked.filter == "_design"):
            # CouchDB looks these up, and counts the changes that it did not read as pending.
            since: Any = 0 if asked.descending else asked.since
            if isinstance(since, str) and is_number(since):
                since = int(since)
            self._left = database.adapter.pending(since) if type(since) is int else None
        if isinstance(self.last_seq, str):
            self.last_seq = int(self.last_seq) if is_number(self.last_seq) else self.last_seq

    def next(self) -> Any:
        """Return a row, Idle, or None at the end."""
        try:
            row = next(self._rows)
        except StopIteration as stop:
            if stop.value is not None:
                self.last_seq = stop.value
            return None
        except (DatabaseClosed, NotFound) as error:
            if not isinstance(error, DatabaseClosed) and not (self._has_begun and self._is_lost()):
                raise
            # It was deleted: what was read so far is sent, and there is no more.
            self._gone = True
            return None
        self._has_begun = True
        if not isinstance(row, Idle):
            self.last_seq = row["seq"]
            if self._left is not None:
                self._left -= 1
        elif row.seq is not None:
            self.last_seq = row.seq
        return row

    def _is_lost(self) -> bool:
        """Return whether the database is gone: another process has deleted it."""
        try:
            self._database.info()
        except (DatabaseClosed, NotFound):
            return True
        return False

    def end(self) -> dict[str, Any]:
        """Return the last line: where to continue, and how much is pending."""
        seq = self.last_seq
        if self._left is not None:
            return {"last_seq": seq, "pending": max(0, self._left)}
        pending = 0
        if type(seq) is int and not self._gone:
            with contextlib.suppress(DatabaseClosed, NotFound):
                pending = self._unread(seq)
        return {"last_seq": seq, "pending": pending}

    def _unread(self, seq: int) -> int:
        pending = self._database.adapter.pending
        if not self._descends:
            return pending(seq)
        # Those that are older than the last one that was read.
        return pending(0) - (0 if self._asks_none else pending(seq - 1))

    def close(self) -> None:
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()


def _normal(database: SyncPouchDB, asked: Changes) -> Response:
    rows = _Rows(database, asked)
    return Rows(_each(rows), name="results", tail=rows.end, newline=b"\n", etag=True)


def _each(rows: _Rows) -> Iterator[bytes | Idle]:
    """Yield the rows as JSON text, as many at once as ``Rows`` would collect."""
    made, size = list[bytes](), 0
    try:
        while (row := rows.next()) is not None:
            idle = isinstance(row, Idle)
            if not idle:
                text = dump(row)
                made.append(text)
                size += len(text)
            if made and (idle or size >= PIECE):
                yield b",\n".join(made)
                made, size = [], 0
            if idle:
                yield row
        if made:
            yield b",\n".join(made)
    finally:
        rows.close()


class Clock:
    """When the next heartbeat is due, and the end."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self.spoke()

    def spoke(self) -> None:
        """Note that something was sent just now."""
        self._last = self._timing.clock()

    def silent(self) -> float:
        return float(self._timing.clock() - self._last)

    def beats(self) -> bool:
        """Return whether a heartbeat is due."""
        return self._timing.heartbeat is not None and self.silent() >= self._timing.heartbeat

    def ends(self) -> bool:
        """Return whether the feed is over."""
        if self._timing.is_stopping():
            return True
        return self._timing.timeout is not None and self.silent() >= self._timing.timeout

    def rest(self) -> Idle:
        """Return the seconds until there is something to do."""
        limit = self._timing.heartbeat if self._timing.heartbeat is not None else self._timing.timeout
        return Idle(max(0.001, (limit or 0.0) - self.silent()))


def _longpoll(database: SyncPouchDB, asked: Changes, timing: Timing) -> Iterator[bytes | Idle]:
    """Respond like a normal feed, but not before there is a row or the timeout is over."""
    rows, clock = _Rows(database, asked), Clock(timing)
    try:
        row = rows.next()
        yield b'{"results":[\n'
        told = False
        while row is not None:
            if not isinstance(row, Idle):
                yield (b",\n" if told else b"") + dump(row)
                told = True
            elif row.timeout == 0:
                yield row
            elif told or clock.ends():
                break
            else:
                if clock.beats():
                    yield b"\n"
                    clock.spoke()
                yield clock.rest()
            row = rows.next()
        end = rows.end()
        yield b'\n],\n"last_seq":' + dump(end["last_seq"]) + b',"pending":' + dump(end["pending"]) + b"}\n"
    finally:
        rows.close()


def _continuous(database: SyncPouchDB, asked: Changes, timing: Timing) -> Iterator[bytes | Idle]:
    """One row per line, an empty line as a heartbeat, and at the end where to continue."""
    yield from _following(database, asked, timing, dump, b"\n", lambda rows: dump(rows.end()) + b"\n")


def _eventsource(database: SyncPouchDB, asked: Changes, timing: Timing) -> Iterator[bytes | Idle]:
    """Server-sent events: browsers reconnect by themselves, with Last-Event-ID."""

    def event(row: Any) -> bytes:
        return b"data: " + dump(row) + b"\nid: " + dump(row["seq"]) + b"\n"

    # An idle connection is kept alive by heartbeats whether or not they were requested.
    silence = max(timing.timeout or 0.0, timing.shortest)
    beating = timing if timing.heartbeat is not None else replace(timing, heartbeat=silence, timeout=None)
    yield from _following(database, asked, beating, event, b"event: heartbeat\ndata: \n\n", lambda rows: b"")


def _following(
    database: SyncPouchDB, asked: Changes, timing: Timing, line: Any, beat: bytes, end: Any
) -> Iterator[bytes | Idle]:
    rows, clock = _Rows(database, asked), Clock(timing)
    try:
        row = rows.next()
        # Nothing to send yet, but the client should get the head of the response.
        yield b""
        while row is not None:
            if not isinstance(row, Idle):
                yield line(row) + b"\n"
                clock.spoke()
            else:
                if clock.ends():
                    break
                if clock.beats():
                    yield beat
                    clock.spoke()
                yield row if row.timeout == 0 else clock.rest()
            row = rows.next()
        yield end(rows)
    finally:
        rows.close()
