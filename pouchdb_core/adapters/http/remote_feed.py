"""The changes feed of a server: pages, one long poll, and a live feed that survives its connection."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

from pouchdb_core.adapters.http.failures import not_json, server_error
from pouchdb_core.adapters.http.http_session import HttpSession
from pouchdb_core.adapters.http.response import Response
from pouchdb_core.changes.filters import BatchFilter, judge_of
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.errors import (
    BadRequest,
    DatabaseClosed,
    NotACouchDB,
    NotSupported,
    RemoteError,
    TooManyRequests,
)
from pouchdb_core.jsontext import parse
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record, record
from pouchdb_core.runner import Idle
from pouchdb_core.safe_repr import safe_repr

__all__ = ["HEARTBEAT", "LiveFeed", "changes_query", "pages"]

logger = logging.getLogger("pouchdb.adapter")

PAGE = 5000
"""Rows requested at once."""
PAGE_WITH_DOCS = 500
HEARTBEAT = 10_000.0
"""Milliseconds after which a server shows that it is still there."""
MISSED = 2.5
"""Heartbeats without any data after which a connection counts as dead."""
QUEUED = 1000
"""Rows that wait for the reader of a live feed; the server waits when there are more."""
LONGEST_DELAY = 60.0

Rows = Generator[Any, None, Any]


def changes_query(request: Changes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return query and body of ``_changes``; a Python filter is not sent to the server."""
    if type(request.since) not in (int, str, list):
        raise BadRequest(f"since must be a seq that the server told, or 'now', not {safe_repr(request.since)}")
    query: dict[str, Any] = dict(request.query_params)
    query.update(
        since=request.since,
        style="all_docs" if request.style == "all_docs" else None,
        descending=request.descending or None,
        seq_interval=request.seq_interval,
    )
    if request.include_docs or callable(request.filter):
        options = request.options
        query.update(include_docs=True, conflicts=options.conflicts or None, attachments=options.attachments or None)
    body: dict[str, Any] | None = None
    if request.doc_ids is not None:
        query["filter"], body = "_doc_ids", {"doc_ids": list(request.doc_ids)}
    elif request.selector is not None:
        query["filter"], body = "_selector", {"selector": dict(request.selector)}
    elif request.view is not None:
        query.update(filter="_view", view=request.view)
    elif isinstance(request.filter, str):
        query["filter"] = request.filter
    return query, body


def _wanted(request: Changes) -> BatchFilter | None:
    if request.raw:
        raise NotSupported("indexes of a remote database are the server's")
    return None if isinstance(request.filter, str) else judge_of(request)


def _row(request: Changes, row: Record, wanted: BatchFilter | None) -> Record | None:
    """Return a row as the reader gets it, None if a Python filter rejects it."""
    if wanted is not None:
        doc = row.get("doc")
        if doc is None or not wanted(doc):
            return None
        if not request.include_docs:
            row = Record({name: value for name, value in row.items() if name != "doc"})
    return row


def pages(session: HttpSession, request: Changes) -> Rows:
    """Yield the rows of a feed that ends, page by page; the generator returns the seq to continue from."""
    wanted = _wanted(request)
    remaining = request.limit
    if remaining == 0:
        return request.since
    query, body = changes_query(request)
    most = PAGE_WITH_DOCS if query.get("include_docs") else PAGE
    since: Any = request.since
    while True:
        limit = most if remaining is None else min(most, remaining) if wanted is None else most
        query["since"] = since
        # A feed that is read backwards cannot be resumed in the middle.
        query["limit"] = remaining if request.descending and wanted is None else None if request.descending else limit
        answer = _ask(session, query, body, request if request.wait else None)
        rows = answer["results"]
        for found in rows:
            row = _row(request, found, wanted)
            if row is None:
                continue
            yield row
            if remaining is not None:
                remaining -= 1
                if remaining == 0:
                    return row["seq"] if wanted is not None else answer["last_seq"]
        before, since = since, answer["last_seq"]
        if request.wait or request.descending or len(rows) < limit or since == before:
            return since
        if wanted is not None and request.progress:
            yield Idle(0.0, since)


def _ask(
    session: HttpSession, query: Mapping[str, Any], body: Mapping[str, Any] | None, waiting: Changes | None
) -> Record:
    asked, timeout, headers = dict(query), None, {}
    if waiting is not None:
        beat = waiting.heartbeat or HEARTBEAT
        asked.update(feed="longpoll", heartbeat=int(beat), limit=query["limit"])
        timeout, headers = beat * MISSED / 1000, {"accept-encoding": "identity"}
    response = session.request(
        "GET" if body is None else "POST",
        "_changes",
        query=asked,
        json=... if body is None else body,
        headers=headers,
        stream=waiting is not None,
        again=True,
        timeout=timeout,
    )
    if waiting is not None and waiting.wait is not None:
        waiting.wait.ended_by(response.shut_down)
    answer = response.json()
    if isinstance(answer, Record) and "last_seq" in answer:
        rows = answer.get("results")
        if isinstance(rows, list) and all(map(_is_row, rows)):
            return answer
    raise NotACouchDB(f"{session.url}/_changes answered something that is not a changes feed")


def _is_row(row: Any) -> bool:
    return isinstance(row, Record) and "id" in row and "seq" in row


class LiveFeed:
    """Changes from now on: a thread reads them into a bounded queue, a generator yields them.

    The connection is made again when it breaks or is silent for two and a half heartbeats, after
    the last row that was taken from it, as long as the feed lives: only a refusal
    (401, 403, 404, 400) ends it, or a server that was unreachable, or not a CouchDB, the first time. Where a
    continuous feed yields nothing, because a proxy buffers it, long polls are used.
    """

    def __init__(self, session: HttpSession, request: Changes, notifier: Notifier) -> None:
        self._session, self._request, self._notifier = session, request, notifier
        self._wanted = _wanted(request)
        if request.descending:
            raise BadRequest("a live feed cannot be descending")
        self._condition = threading.Condition()
        self._queue: deque[Any] = deque()
        self._since: Any = request.since
        self._stopped = False
        self._error: BaseException | None = None
        self._response: Response | None = None
        self._beat = request.heartbeat or HEARTBEAT
        self._reached = False
        self._continuous = True
        self._lines = 0

    def rows(self) -> Rows:
        """Yield rows, and ``Idle`` where there are none for now; closing the generator ends the thread."""
        remaining = self._request.limit
        since: Any = self._request.since
        if remaining == 0:
            return since
        threading.Thread(target=self._read, name="pouchdb-feed", daemon=True).start()
        try:
            while True:
                with self._condition:
                    found = list(self._queue)
                    self._queue.clear()
                    error = self._error
                    self._condition.notify_all()
                for seq, row in found:
                    since = seq
                    if row is None:
                        continue
                    yield row
                    if remaining is not None:
                        remaining -= 1
                        if remaining == 0:
                            return since
                if found:
                    continue
                if error is not None:
                    raise error
                yield Idle(seq=since)
        finally:
            self.stop()

    def stop(self) -> None:
        """End the thread at once: what it waits for is closed."""
        with self._condition:
            self._stopped = True
            response = self._response
            self._condition.notify_all()
        if response is not None:
            response.shut_down()

    # -- the thread ------------------------------------------------------------------------------

    def _read(self) -> None:
        delay = 0.0
        while not self._stopped:
            before = self._lines
            try:
                self._connect()
                delay = 0.0
            except (TooManyRequests, RemoteError) as error:
                # The page of a gateway is nothing new once there was a feed.
                if not self._reached and error.status != 429:
                    self._fail(error)
                    return
                logger.info("%s: the feed broke, it goes on after %r: %s", self._session.url, self._since, error)
                delay = 0.0 if self._lines > before else min(LONGEST_DELAY, max(0.1, 2 * delay))
            except BaseException as error:
                self._fail(error)
                return
            if delay:
                with self._condition:
                    self._condition.wait_for(lambda: self._stopped, delay)

    def _fail(self, error: BaseException) -> None:
        with self._condition:
            if self._stopped:
                return
            self._error = error
        self._notifier.notify()

    def _connect(self) -> None:
        query, body = changes_query(self._request)
        query.update(since=self._since, heartbeat=int(self._beat))
        if not self._continuous:
            answer = _ask(self._session, {**query, "limit": None}, body, self._request)
            self._reached = True
            for row in answer["results"]:
                self._put(row["seq"], row)
            self._put(answer["last_seq"], None)
            return
        query["feed"] = "continuous"
        response = self._session.request(
            "GET" if body is None else "POST",
            "_changes",
            query=query,
            # Compressed data is buffered first.
            headers={"accept-encoding": "identity"},
            stream=True,
            again=True,
            timeout=self._beat * MISSED / 1000,
            json=... if body is None else body,
        )
        with self._condition:
            self._response = response
            stopped = self._stopped
        try:
            if not stopped:
                self._follow(response)
        finally:
            with self._condition:
                self._response = None
            response.close()

    def _follow(self, response: Response) -> None:
        """Read rows line by line until the server ends the feed."""
        rest = b""
        silent = True
        try:
            while not self._stopped and (piece := response.read_some()):
                self._reached, silent = True, False
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.strip():
                        self._line(line, response)
        except RemoteError:
            if silent and not self._stopped:
                # Not even a heartbeat came through: a proxy buffers before it passes data on.
                self._continuous = False
                self._reached = True
                logger.info("%s: no continuous feed comes through, using long polls", self._session.url)
            raise
        if not self._stopped and rest.strip():
            self._line(rest, response)

    def _line(self, line: bytes, response: Response) -> None:
        try:
            row = parse(line)
        except ValueError:
            if self._lines:
                # Cut off in the middle of a row: it comes again.
                raise RemoteError("the feed was cut off") from None
            raise not_json(200, response.headers.get("content-type") or "", line, response.url) from None
        row = record(row) if isinstance(row, dict) else Record()
        if "error" in row and "id" not in row:
            raise server_error(None, row)
        if "seq" in row and "id" in row:
            self._put(row["seq"], row)
        elif "last_seq" in row:
            self._put(row["last_seq"], None)
        elif "results" in row:
            # A server that does not know continuous feeds answers as if a page was requested.
            self._continuous = False
            for each in row["results"]:
                self._put(each["seq"], each)

    def _put(self, seq: Any, row: Record | None) -> None:
        shown = None if row is None else _row(self._request, row, self._wanted)
        with self._condition:
            self._condition.wait_for(lambda: self._stopped or len(self._queue) < QUEUED)
            if self._stopped:
                raise DatabaseClosed("the feed has ended")
            if row is None and seq == self._since:
                return
            self._queue.append((seq, shown))
            self._since = seq
            self._lines += 1
        self._notifier.notify()
