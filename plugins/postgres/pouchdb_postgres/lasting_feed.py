"""Live feeds that outlast the server: what reads them sees a pause, as with a database on a CouchDB server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from pouchdb_core.errors import DatabaseBusy, Unreachable
from pouchdb_core.requests import Changes
from pouchdb_core.runner import Idle

__all__ = ["lasting"]

logger = logging.getLogger("pouchdb.live")

SHORTEST, LONGEST = 0.05, 5.0
"""Seconds between two attempts to read on: the first pause, and the longest."""


def lasting(read: Callable[[Changes], Iterator[Any]], request: Changes, what: str) -> Generator[Any, None, Any]:
    """Return the rows of a live feed that ``read`` reads: it is read on after the last one when the server was gone.

    ``request.since`` is where it begins, also later. While the server does not answer, or has no connection left, it
    yields ``Idle`` with a timeout. Raises every other error: that a database was destroyed ends its feed.
    """
    # Whatever is wrong with the request is raised now, not when the feed is first stepped.
    return _lasting(read, request, what, read(request))


def _lasting(
    read: Callable[[Changes], Iterator[Any]], request: Changes, what: str, feed: Iterator[Any] | None
) -> Generator[Any, None, Any]:
    since, left, pause = request.since, request.limit, SHORTEST
    while True:
        try:
            if feed is None:
                feed = read(replace(request, since=since, limit=left))
            row = next(feed)
        except StopIteration as stop:
            return since if stop.value is None else stop.value
        except (Unreachable, DatabaseBusy) as error:
            feed = None
            logger.info("the feed of %s goes on after %r in %.2f seconds: %s", what, since, pause, error.message)
            yield Idle(pause, since)
            pause = min(2 * pause, LONGEST)
            continue
        pause = SHORTEST
        if not isinstance(row, Idle):
            since = row.seq
            left = None if left is None else left - 1
        elif row.seq is not None:
            since = row.seq
        yield row
