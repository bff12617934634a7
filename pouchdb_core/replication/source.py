"""Reading a source: its changes in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.requests import Changes, Replicate, Wait
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["check_distinct", "read_changes"]


def read_changes(
    source: Database, request: Replicate, since: Any, wait: Wait | None = None
) -> tuple[list[Record], Any]:
    """Read a batch of the feed; return its rows and the seq it goes to.

    It ends early if nothing has passed the filter for long, so that those changes need not be read again.
    """
    feed = source.plugins.changes(
        source,
        Changes(
            since=since,
            limit=request.batch_size,
            style="main_only" if request.winning_revs_only else "all_docs",
            filter=request.filter,
            query_params=request.query_params,
            doc_ids=request.doc_ids,
            selector=request.selector,
            view=request.view,
            heartbeat=request.heartbeat,
            wait=wait,
            progress=True,
            user=source.user,
            purpose="replication",
        ),
    )
    rows: list[Record] = []
    iterator: Iterator[Any] = iter(feed)
    while True:
        try:
            row = next(iterator)
        except StopIteration as stop:
            # A plug-in's plain iterator returns nothing: then continue from the last row.
            last = rows[-1]["seq"] if rows else since
            return rows, last if stop.value is None else stop.value
        if isinstance(row, Idle):
            return rows, row.seq
        rows.append(row)


def check_distinct(source: Database, target: Database) -> None:
    """Raise BadRequest if both are the same database; a database and its restored backup are two."""
    if source.remote or target.remote:
        # No request is made: the server need not be reachable when a live replication is started.
        if source.name == target.name and source.remote == target.remote:
            raise BadRequest(f"{source.name!r} cannot be replicated to itself")
        return
    if source.id() == target.id() and source.info().get("epoch") == target.info().get("epoch"):
        raise BadRequest(
            f"{source.name!r} cannot be replicated to itself (nor to a copy of its file: use backup() to make one)"
        )
