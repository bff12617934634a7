"""What a call returns that may go on in the background: a result, or a handle.

``changes``, ``replicate`` and ``sync`` make a request and pass it to the starter of the object
they were called on. The blocking starter is here; the asynchronous interface has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.live.live_feed import Feed
from pouchdb_core.live.live_handle import keep
from pouchdb_core.live.live_replication import Replication, Sync, replicate_now
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database, Environment
    from pouchdb_core.live.live_handle import LiveHandle
    from pouchdb_core.replication.replicate import Replicator

__all__ = ["OnChange", "OnComplete", "Starter", "called_back", "told_of_errors"]

OnChange = Callable[[Record], Any] | None
OnComplete = Callable[..., Any] | None


class Starter:
    """Blocks until there is a result, unless the request is live: then it returns a handle."""

    blocks = True
    """Whether work that is not live has ended when the call returns."""

    def feed(
        self, db: Database, request: Changes, return_docs: bool, on_change: OnChange, complete: OnComplete
    ) -> Any:
        """Run a request for changes; return ``{"results", "last_seq"}`` or a Feed."""
        if not request.live:
            return _collected(db, request, return_docs, on_change, complete)
        rows = cast("Generator[Any, None, Any]", db.plugins.changes(db, request))
        feed = Feed(db, rows, db.adapter.subscribe, db.environment._calls, db._engine.dispatcher, request.since)
        return called_back(feed, on_change, complete)

    def replication(
        self, env: Environment, replicator: Replicator, on_change: OnChange, complete: OnComplete
    ) -> Any:
        """Run a replication; return its result or a Replication."""
        if not replicator.request.live:
            replicator.tells = on_change is not None
            with told_of_errors(complete):
                result = replicate_now(replicator.run(), on_change)
            if complete is not None:
                complete(None, result)
            return result
        engine, source, target = env.engine, replicator.source, replicator.target
        workers = engine.workers_of(source, target)
        handle = Replication(replicator, source.adapter.subscribe, env._calls, engine.dispatcher, workers)
        keep(handle, source._life.live, target._life.live, engine.live, engine.going)
        return called_back(handle, on_change, complete)

    def sync(self, env: Environment, push: Any, pull: Any, on_change: OnChange, complete: OnComplete) -> Any:
        """Combine two replications (results or handles, as ``replication`` returned them)."""
        if isinstance(push, Replication) and isinstance(pull, Replication):
            return called_back(Sync(push, pull, env._calls, env.engine.dispatcher), on_change, complete)
        result = Record(push=push, pull=pull)
        if complete is not None:
            complete(None, result)
        return result


@contextmanager
def told_of_errors(complete: OnComplete) -> Iterator[None]:
    """Call ``complete(error, None)`` with the error of a blocking call; it is raised to the caller too."""
    try:
        yield
    except Exception as error:
        if complete is not None:
            complete(error, None)
        raise


def called_back(handle: LiveHandle, on_change: OnChange, complete: OnComplete) -> LiveHandle:
    """Register the callbacks that were given as options with a handle."""
    handle.callbacks(complete)
    if on_change is not None:
        handle.on("change", on_change)
    return handle


def _collected(
    db: Database, request: Changes, return_docs: bool, on_change: OnChange, complete: OnComplete
) -> Record:
    rows: list[Record] = []
    last_seq: Any = None
    with told_of_errors(complete):
        end: list[Any] = []
        feed = _ended(iter(db.plugins.changes(db, request)), end)
        if return_docs and on_change is None:
            rows = list(feed)
        else:
            for row in feed:
                last_seq = row["seq"]
                if on_change is not None:
                    on_change(row)
                if return_docs:
                    rows.append(row)
        if rows:
            last_seq = rows[-1]["seq"]
        # A plug-in's plain iterator returns nothing: then continue from the last row.
        last_seq = end[0] if end[0] is not None else last_seq
    result = Record(results=rows, last_seq=request.since if last_seq is None else last_seq)
    if complete is not None:
        complete(None, result)
    return result


def _ended(feed: Iterator[Record], end: list[Any]) -> Iterator[Record]:
    """Yield what a feed yields, and append what it returns to a list."""
    end.append((yield from cast("Generator[Record, None, Any]", feed)))
