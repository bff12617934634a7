"""GET /_db_updates: events of databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import dump
from pouchdb_core.runner import Idle
from pouchdb_server.handlers.changes import Clock, Timing, timing
from pouchdb_server.messages import Request, Response
from pouchdb_server.query import number
from pouchdb_server.rows import etag_of
from pouchdb_server.updates import UPDATES, Updates

__all__ = ["db_updates"]


def db_updates(request: Request, database: None) -> Response:
    """GET /_db_updates, in the four forms of the changes feed."""
    updates = request.environment.state(UPDATES).seen_by(request.environment.short_name)
    feed = request.query.get("feed", "normal")
    since = updates.number_of(request.headers.get("last-event-id") or request.query.get("since", "0"))
    limit = number("limit", request.query["limit"]) if "limit" in request.query else None
    if feed == "normal":
        answer = _answer(updates, since, limit)
        return Response(answer, etag=etag_of(dump(answer)))
    if feed == "longpoll":
        body = _longpoll(updates, since, limit, timing(request))
        return Response(body, content_type="application/json", wakes=updates.subscribe)
    if feed not in ("continuous", "live", "eventsource"):
        raise BadRequest("Supported `feed` types: normal, longpoll, continuous, eventsource")
    events = feed == "eventsource"
    body = _following(updates, since, limit, timing(request), events)
    content_type = "text/event-stream" if events else "application/json"
    return Response(body, content_type=content_type, wakes=updates.subscribe)


def _answer(updates: Updates, since: int, limit: int | None) -> dict[str, Any]:
    rows = updates.after(since)[:limit]
    return {"results": [row for _, row in rows], "last_seq": updates.seq(rows[-1][0] if rows else since)}


def _longpoll(updates: Updates, since: int, limit: int | None, timing: Timing) -> Iterator[bytes | Idle]:
    clock = Clock(timing)
    while not updates.after(since) and not clock.ends() and limit != 0:
        yield from _wait(clock, b"\n")
    yield dump(_answer(updates, since, limit)) + b"\n"


def _following(updates: Updates, since: int, limit: int | None, timing: Timing, events: bool) -> Iterator[bytes | Idle]:
    clock = Clock(timing)
    while limit is None or limit > 0:
        rows = updates.after(since)[:limit]
        for seq, row in rows:
            since = seq
            yield b"data: " + dump(row) + f"\nid: {row['seq']}\n\n".encode() if events else dump(row) + b"\n"
            clock.spoke()
        if limit is not None:
            limit -= len(rows)
        if not rows:
            if clock.ends():
                break
            yield from _wait(clock, b"event: heartbeat\ndata: \n\n" if events else b"\n")
    if not events:
        yield dump({"last_seq": updates.seq(since)}) + b"\n"


def _wait(clock: Clock, beat: bytes) -> Iterator[bytes | Idle]:
    if clock.beats():
        yield beat
        clock.spoke()
    yield clock.rest()
