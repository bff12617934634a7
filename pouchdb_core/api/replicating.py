"""Replicating between two databases, names or objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

from pouchdb_core.api.options import text_list
from pouchdb_core.errors import BadRequest
from pouchdb_core.handle import Handle
from pouchdb_core.replication.ids import PREFIX
from pouchdb_core.requests import Replicate
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.environment import SyncEnvironment

__all__ = ["replicate", "replicate_from", "replicate_to", "sync", "sync_status", "sync_with"]

Peer = Union[str, "SyncPouchDB"]
"""A database: an object, or the name of one."""


class ReplicateOptions(TypedDict, total=False):
    """The options of ``env.replicate``."""

    live: bool
    continuous: bool
    retry: bool
    filter: Callable[..., Any] | str | None
    query_params: Mapping[str, Any] | None
    doc_ids: Sequence[str] | None
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


class SyncOptions(ReplicateOptions, total=False):
    """The options of ``env.sync``."""

    push: ReplicateOptions | None
    pull: ReplicateOptions | None
    callback: Callable[..., Any] | None


def replicate(
    env: SyncEnvironment,
    source: Peer,
    target: Peer,
    *,
    live: bool = False,
    continuous: bool = False,
    retry: bool = False,
    filter: Callable[..., Any] | str | None = None,
    query_params: Mapping[str, Any] | None = None,
    doc_ids: Sequence[str] | None = None,
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
    """Bring everything that ``source`` has and ``target`` lacks to ``target``; return the result.

    Conflicts, tombstones and attachments travel (content only if the target lacks it); local
    documents do not. The result is ``{"ok", "docs_read", "docs_written", "doc_write_failures",
    "errors", "last_seq", "start_time", "end_time", "status"}``. It resumes where the last run of
    the same pair got to; a run that was killed loses nothing. It ends at what the source had when
    it began. Each batch (``batch_size`` changes, about 8 MB) is one transaction on the target.

    ``filter``, ``doc_ids`` and ``since`` (a seq to start at) choose documents;
    ``winning_revs_only`` (or ``style="main_only"``) leaves conflicts behind. A document that the
    target refuses is listed in ``errors``, remembered, and tried again by every later run.
    ``checkpoint`` keeps the progress on both sides (True), on one, or not at all. ``retry`` goes on
    after errors, waiting as ``back_off_function(milliseconds)`` says.

    With ``live=True`` (or ``continuous=True``) the answer is a Replication that goes on in the
    background. ``batches_limit``, ``heartbeat`` and ``timeout`` matter over HTTP only.

    Raises BadRequest (also for a database and itself), and what ended the run, with its result as
    ``error.result``.
    """
    live = live or continuous
    request = Replicate(
        source=_database(env, source),
        target=_database(env, target),
        live=live,
        retry=retry,
        filter=filter,
        query_params=query_params or {},
        doc_ids=None if doc_ids is None else tuple(text_list("doc_ids", doc_ids)),
        since=since,
        winning_revs_only=winning_revs_only or style == "main_only",
        batch_size=_positive("batch_size", batch_size),
        checkpoint=checkpoint,
        back_off_function=back_off_function,
    )
    replicator = env.engine.plugins.replicate(env, request)
    answer: Record = env.starter.replication(env, replicator, on_change or onChange, complete)
    return answer


def sync(env: SyncEnvironment, /, source: Peer, target: Peer, **options: Unpack[SyncOptions]) -> Record:
    """Replicate in both directions; return ``{"push": result, "pull": result}``.

    Options are those of ``replicate``; ``push={...}`` and ``pull={...}`` override them for one
    direction. With ``live=True`` the answer is a Sync that goes on in the background.
    """
    shared: dict[str, Any] = dict(options)
    push, pull = shared.pop("push", None) or {}, shared.pop("pull", None) or {}
    callbacks = {name: shared.pop(name, None) for name in ("complete", "callback", "on_change", "onChange")}
    complete = callbacks["complete"] or callbacks["callback"]
    on_change = callbacks["on_change"] or callbacks["onChange"]
    left, right = _database(env, source), _database(env, target)
    there = replicate(env, left, right, **{**shared, **push})
    back = replicate(env, right, left, **{**shared, **pull})
    answer: Record = env.starter.sync(env, there, back, on_change, complete)
    return answer


def replicate_to(db: SyncPouchDB, /, target: Peer, **options: Unpack[ReplicateOptions]) -> Record:
    """Replicate this database to another; see ``env.replicate`` for options, result and errors."""
    return replicate(db.environment.sync_view, db, target, **options)


def replicate_from(db: SyncPouchDB, /, source: Peer, **options: Unpack[ReplicateOptions]) -> Record:
    """Replicate another database to this one; see ``env.replicate`` for options, result and errors."""
    return replicate(db.environment.sync_view, source, db, **options)


def sync_with(db: SyncPouchDB, /, other: Peer, **options: Unpack[SyncOptions]) -> Record:
    """Replicate with another database in both directions; see ``env.sync``."""
    return sync(db.environment.sync_view, db, other, **options)


def sync_status(db: SyncPouchDB) -> Record:
    """Tell how far this database is synchronised: ``{"update_seq", "replications": [...]}``.

    ``replications`` lists those that run in this engine (``state``, ``pending``, ``denied``,
    ``last_error``, ``next_retry_at``...), then those it remembers from checkpoints, with
    ``state: "stopped"``; ``pending`` counts the changes of this database that have not been
    replicated yet, exactly.
    """
    adapter = db.adapter
    running = [
        each.replicator
        for each in tuple(db.environment.engine.live)
        if db.id() in (each.replicator.source.id(), each.replicator.target.id())
    ]
    told = [each.status() for each in running]
    known = {each["id"] for each in told}
    for id in adapter.local_ids(PREFIX):
        if id not in known:
            checkpoint = db.get(id)
            entry = Record(
                id=id,
                source=checkpoint.get("source"),
                target=checkpoint.get("target"),
                state="stopped",
                last_seq=checkpoint.get("source_last_seq", 0),
                denied=sum(map(len, checkpoint.get("denied", {}).values())),
            )
            if checkpoint.get("source_id") == db.id():
                entry["pending"] = adapter.pending(entry["last_seq"])
            told.append(entry)
    return Record(update_seq=db.info()["update_seq"], replications=told)


def _database(env: SyncEnvironment, peer: Peer) -> SyncPouchDB:
    if isinstance(peer, Handle):
        return peer
    if isinstance(peer, str):
        return env.PouchDB(peer)
    raise BadRequest(f"a database to replicate is an object or a name, not {peer!r}")


def _positive(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise BadRequest(f"{name} must be a number from 1 up, not {value!r}")
    number: int = value
    return number
