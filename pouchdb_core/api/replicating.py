"""Replicating between two databases, names or objects."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union, cast

from pouchdb_core.api.feeds import filter_of, heartbeat_of
from pouchdb_core.api.options import callbacks, flags, text_list
from pouchdb_core.database_object import Handle
from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_core.live import LiveHandle
from pouchdb_core.live.starter import told_of_errors
from pouchdb_core.replication.checkpoint_document import refused_revisions
from pouchdb_core.replication.replication_id import PREFIX
from pouchdb_core.replication.source import check_distinct
from pouchdb_core.requests import Replicate
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from pouchdb_core.interfaces import Database, Environment

__all__ = [
    "Peer",
    "ReplicateOptions",
    "RestOfReplicate",
    "RestOfSync",
    "SyncOptions",
    "replicate",
    "replicate_from",
    "replicate_to",
    "sync",
    "sync_status",
    "sync_with",
]

_DEFAULTS: dict[str, Any] = {
    "live": False,
    "continuous": False,
    "retry": False,
    "filter": None,
    "query_params": None,
    "doc_ids": None,
    "selector": None,
    "view": None,
    "create_target": None,
    "since": None,
    "winning_revs_only": False,
    "style": "all_docs",
    "batch_size": 1000,
    "batches_limit": None,
    "checkpoint": True,
    "back_off_function": None,
    "heartbeat": None,
    "timeout": None,
}
_OPTIONS = tuple(_DEFAULTS)
_CALLBACKS = ("on_change", "complete", "onChange")

logger = logging.getLogger("pouchdb.replication")

Peer = Union[str, Handle, "Database"]
"""A database: an object, or the name of one."""


class RestOfReplicate(TypedDict, total=False):
    """The options of ``env.replicate`` that do not affect what is returned."""

    retry: bool
    filter: Callable[..., Any] | str | None
    query_params: Mapping[str, Any] | None
    doc_ids: Sequence[str] | None
    selector: Mapping[str, Any] | None
    view: str | None
    create_target: bool | None
    since: int | str | None
    winning_revs_only: bool
    style: Literal["all_docs", "main_only"]
    batch_size: int
    batches_limit: int | None
    checkpoint: bool | Literal["source", "target"]
    back_off_function: Callable[[float], float] | None
    heartbeat: float | bool | None
    timeout: float | bool | None
    on_change: Callable[[Record], Any] | None
    complete: Callable[..., Any] | None
    onChange: Callable[[Record], Any] | None


class ReplicateOptions(RestOfReplicate, total=False):
    """The options of ``env.replicate``."""

    live: bool
    continuous: bool


class RestOfSync(RestOfReplicate, total=False):
    """The options of ``env.sync`` that do not affect what is returned."""

    push: ReplicateOptions | None
    pull: ReplicateOptions | None
    callback: Callable[..., Any] | None


class SyncOptions(RestOfSync, total=False):
    """The options of ``env.sync``."""

    live: bool
    continuous: bool


def replicate(
    env: Environment,
    source: Peer,
    target: Peer,
    *,
    live: bool = False,
    continuous: bool = False,
    retry: bool = False,
    filter: Callable[..., Any] | str | None = None,
    query_params: Mapping[str, Any] | None = None,
    doc_ids: Sequence[str] | None = None,
    selector: Mapping[str, Any] | None = None,
    view: str | None = None,
    create_target: bool | None = None,
    since: int | str | None = None,
    winning_revs_only: bool = False,
    style: Literal["all_docs", "main_only"] = "all_docs",
    batch_size: int = 1000,
    batches_limit: int | None = None,
    checkpoint: bool | Literal["source", "target"] = True,
    back_off_function: Callable[[float], float] | None = None,
    heartbeat: float | bool | None = None,
    timeout: float | bool | None = None,
    on_change: Callable[[Record], Any] | None = None,
    complete: Callable[..., Any] | None = None,
    onChange: Callable[[Record], Any] | None = None,
) -> Record:
    """Copy everything that ``source`` has and ``target`` lacks to ``target``; return the result.

    Conflicts, tombstones and attachments are replicated (content only if the target lacks it); local
    documents are not. The result is ``{"ok", "docs_read", "docs_written", "doc_write_failures",
    "errors", "last_seq", "start_time", "end_time", "status"}``. It resumes where the last run for
    the same pair stopped; a run that was killed loses nothing. It ends at what the source had when
    it began. Each batch (``batch_size`` changes, about 4 MB) is one transaction on the target. A
    missing local database is made, a source with a logged warning; a missing target on a server unless it was
    opened with ``skip_setup`` (``create_target`` True makes it even then, False never).

    ``filter``, ``doc_ids``, ``selector``, ``view`` and ``since`` (a seq to start at) choose documents;
    ``winning_revs_only`` (or ``style="main_only"``) leaves conflicts behind. A document that the
    target refuses is listed in ``errors``, recorded, and tried again by every later run.
    ``checkpoint`` keeps the progress on both sides (True), on one, or not at all. ``retry`` continues
    after errors, waiting as ``back_off_function(milliseconds)`` says.

    ``complete(error, result)`` is called at the end, also if an error is raised.

    With ``live=True`` (or ``continuous=True``) the result is a Replication that runs in the
    background; its ``idle()`` waits until it is up to date. ``heartbeat`` (milliseconds) matters over
    HTTP only; ``batches_limit`` and ``timeout`` are accepted and ignored.

    Raises BadRequest (also if both are the same database), and the error that ended the run, with its result as
    ``error.result``.
    """
    given = locals()
    options = {name: given[name] for name in _OPTIONS}
    callbacks(on_change=on_change, onChange=onChange, complete=complete)
    with _Peers(env) as peers:
        request = _request(env, peers.source(source), peers.target(target), options)
        replicator = env.engine.plugins.replicate(env, request)
        answer = env.starter.replication(env, replicator, on_change or onChange, complete)
        return peers.kept_open_by(answer)


def sync(env: Environment, /, source: Peer, target: Peer, **options: Unpack[SyncOptions]) -> Record:
    """Replicate in both directions; return ``{"push": result, "pull": result}``.

    Options are those of ``replicate``; ``push={...}`` and ``pull={...}`` override them for one
    direction. ``on_change`` gets ``{"direction", "change"}``. With ``live=True`` the result is a
    Sync that runs in the background. A missing database is made, on either side.
    """
    shared: dict[str, Any] = dict(options)
    _known("sync", shared, {*_OPTIONS, *_CALLBACKS, "push", "pull", "callback"})
    callbacks(**{name: shared[name] for name in (*_CALLBACKS, "callback") if name in shared})
    complete = _both(shared.pop("complete", None), shared.pop("callback", None))
    on_change = shared.pop("on_change", None) or shared.pop("onChange", None)
    ways = []
    for direction in ("push", "pull"):
        own = shared.pop(direction, None) or {}
        if not isinstance(own, Mapping):
            raise BadRequest(f"{direction} must be a mapping of options, not {safe_repr(own)}")
        _known(direction, own, {*_OPTIONS, *_CALLBACKS} - {"live", "continuous"})
        callbacks(**{name: own[name] for name in _CALLBACKS if name in own})
        ways.append((direction, dict(own)))
    with _Peers(env) as peers:
        left, right = peers.target(source), peers.target(target)
        # Both are checked before one of them begins.
        requests = [
            _request(env, *((left, right) if direction == "push" else (right, left)), {**shared, **own})
            for direction, own in ways
        ]
        # A database that one direction may make need not exist for the other.
        makes = [request.create_target for request in requests]
        requests = [
            replace(request, create_source=create) for request, create in zip(requests, reversed(makes), strict=True)
        ]
        begun = []
        with told_of_errors(complete if env.starter.blocks else None):
            for (direction, own), request in zip(ways, requests, strict=True):
                changed = own.get("on_change") or own.get("onChange")
                if on_change is not None and env.starter.blocks and not request.live:
                    changed = _directed(direction, on_change, changed)
                replicator = env.engine.plugins.replicate(env, request)
                begun.append(env.starter.replication(env, replicator, changed, own.get("complete")))
        return peers.kept_open_by(env.starter.sync(env, begun[0], begun[1], on_change, complete))


def _directed(
    direction: str, on_change: Callable[[Record], Any], own: Callable[[Record], Any] | None
) -> Callable[[Record], None]:
    def changed(change: Record) -> None:
        if own is not None:
            own(change)
        on_change(Record(direction=direction, change=change))

    return changed


def _both(complete: Callable[..., Any] | None, callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Return one callback for two options; the same function is called once."""
    if complete is None or callback is None or complete == callback:
        return complete or callback

    def call(*args: Any) -> None:
        complete(*args)
        callback(*args)

    return call


def replicate_to(db: Database, /, target: Peer, **options: Unpack[ReplicateOptions]) -> Record:
    """Replicate this database to another; see ``env.replicate`` for options, result and errors."""
    _known("replicate_to", options, {*_OPTIONS, *_CALLBACKS})
    return replicate(db.environment.sync_view, db, target, **options)


def replicate_from(db: Database, /, source: Peer, **options: Unpack[ReplicateOptions]) -> Record:
    """Replicate another database to this one; see ``env.replicate`` for options, result and errors."""
    _known("replicate_from", options, {*_OPTIONS, *_CALLBACKS})
    return replicate(db.environment.sync_view, source, db, **options)


def sync_with(db: Database, /, other: Peer, **options: Unpack[SyncOptions]) -> Record:
    """Replicate with another database in both directions; see ``env.sync``."""
    return sync(db.environment.sync_view, db, other, **options)


def sync_status(db: Database) -> Record:
    """Return how far this database is synchronised: ``{"update_seq", "replications": [...]}``.

    ``replications`` lists those that run in this engine (``state``, ``pending``, ``denied``,
    ``last_error``, ``next_retry_at``...), then those known from checkpoints, with
    ``state: "stopped"``; ``pending`` counts the changes of this database that have not been
    replicated yet, exactly.
    """
    adapter, mine, engine = db.adapter, db.id(), db.environment.engine
    running = {id(each.replicator): each.replicator for each in tuple(engine.live)}
    running.update((id(each), each) for each in tuple(engine.replicators))
    told = [each.status() for each in running.values() if _is(each.source, db, mine) or _is(each.target, db, mine)]
    known = {each["id"] for each in told}
    for name in adapter.local_ids(PREFIX):
        if name not in known:
            try:
                told.append(_stopped(db, db.get(name), mine))
            except NotFound:
                # Removed since it was listed.
                continue
    return Record(update_seq=db.info()["update_seq"], replications=told)


def _is(side: Database, db: Database, mine: str) -> bool:
    """Return whether a side of a replication is this database; sends no request, as a server may not be reachable."""
    if side.remote or db.remote:
        return side.remote == db.remote and side.name == db.name
    return side.id() == mine


def _stopped(db: Database, checkpoint: Record, mine: str) -> Record:
    """Return what is known of a replication that is not running, as far as its checkpoint makes sense."""
    last_seq = checkpoint.get("source_last_seq", 0)
    entry = Record(
        id=checkpoint["_id"],
        source=checkpoint.get("source"),
        target=checkpoint.get("target"),
        state="stopped",
        last_seq=last_seq,
        denied=sum(map(len, refused_revisions(checkpoint.get("denied")).values())),
    )
    if checkpoint.get("source_id") == mine and type(last_seq) is int:
        entry["pending"] = db.adapter.pending(last_seq)
    return entry


class _Peers:
    """The databases of a call: those given by name are opened for it, and closed afterwards."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def source(self, peer: Peer) -> Database:
        """Return the database to read, made if it is missing: as in the original, and with a warning."""
        if isinstance(peer, str) and "://" not in peer and peer not in self._env.names():
            logger.warning("there is no database %r to replicate from: it is made, and is empty", peer)
        return self.target(peer)

    def target(self, peer: Peer) -> Database:
        """Return the database, made if it is missing."""
        if isinstance(peer, Handle):
            # The asynchronous interface passes synchronous views.
            return cast("Database", peer)
        if not isinstance(peer, str):
            raise BadRequest(f"a database to replicate is an object or a name, not {safe_repr(peer)}")
        database: Database = self._env.PouchDB(peer)
        self._opened.callback(database._close)
        return database

    def kept_open_by(self, answer: Any) -> Record:
        """Close later what was opened if ``answer`` is a handle that needs it."""
        if isinstance(answer, LiveHandle):
            answer.on_done(self._opened.pop_all().close)
        return cast("Record", answer)


def _request(env: Environment, source: Database, target: Database, options: Mapping[str, Any]) -> Replicate:
    """Check the options of a replication. Raises BadRequest."""
    chosen = {**_DEFAULTS, **options}
    names = ("live", "continuous", "retry", "winning_revs_only", "create_target")
    flags(**{name: chosen[name] for name in names})
    if chosen["style"] not in ("all_docs", "main_only"):
        raise BadRequest(f"style must be 'all_docs' or 'main_only', not {safe_repr(chosen['style'])}")
    checkpoint = chosen["checkpoint"]
    if not (checkpoint is True or checkpoint is False or checkpoint in ("source", "target")):
        raise BadRequest(f"checkpoint must be True, False, 'source' or 'target', not {safe_repr(checkpoint)}")
    params, wanted, ids = chosen["query_params"], chosen["filter"], chosen["doc_ids"]
    if params is not None and not isinstance(params, Mapping):
        raise BadRequest(f"query_params must be a mapping, not {safe_repr(params)}")
    if not (wanted is None or isinstance(wanted, str) or callable(wanted)):
        raise BadRequest(f"filter must be a function or a name, not {safe_repr(wanted)}")
    wanted = filter_of(wanted, chosen["view"], chosen["selector"])
    if not (chosen["back_off_function"] is None or callable(chosen["back_off_function"])):
        raise BadRequest(f"back_off_function must be a function, not {safe_repr(chosen['back_off_function'])}")
    check_distinct(source, target)
    return Replicate(
        source=source,
        target=target,
        live=bool(chosen["live"] or chosen["continuous"]),
        retry=bool(chosen["retry"]),
        filter=wanted,
        query_params=params or {},
        doc_ids=None if ids is None else tuple(text_list("doc_ids", ids)),
        selector=chosen["selector"],
        view=chosen["view"],
        heartbeat=heartbeat_of(chosen["heartbeat"]),
        create_target=chosen["create_target"],
        since=_since(source, chosen["since"]),
        winning_revs_only=chosen["winning_revs_only"] or chosen["style"] == "main_only",
        batch_size=_positive("batch_size", chosen["batch_size"]),
        checkpoint=checkpoint,
        back_off_function=chosen["back_off_function"],
        user=env.user,
    )


def _since(source: Database, since: Any) -> Any:
    if since is None or source.remote:
        return since
    if since in ("now", "latest"):
        # "now" is the time of the call, not of the first step.
        return source.info()["update_seq"]
    if isinstance(since, str) and since.isdecimal() and len(since) < 20:
        since = int(since)
    if type(since) is not int or since < 0:
        raise BadRequest(f"since must be a sequence number or 'now', not {safe_repr(since)}")
    return since


def _positive(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise BadRequest(f"{name} must be a number from 1 up, not {safe_repr(value)}")
    number: int = value
    return number


def _known(name: str, options: Mapping[str, Any], known: Collection[str]) -> None:
    for option in options:
        if option not in known:
            raise BadRequest(f"{name}: unknown option {safe_repr(option)}; there are: {', '.join(sorted(known))}")
