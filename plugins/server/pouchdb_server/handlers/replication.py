"""POST /_replicate: the server replicates, once or until it is cancelled."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pouchdb_core.errors import NotFound, Unauthorized
from pouchdb_core.live import Starter
from pouchdb_server.messages import Endpoints, Request, Response
from pouchdb_server.query import flag
from pouchdb_server.replicator.definition import Definition, definition
from pouchdb_server.replicator.endpoints import Endpoint
from pouchdb_server.replicator.launch import PeerNotFound, open_peers
from pouchdb_server.roles import ADMIN

if TYPE_CHECKING:
    from pouchdb_core.replication.replicate import Replicator

__all__ = ["cancelled_here", "replicate", "running_here"]

VERSION = 4
COUNTS = ("missing_checked", "missing_found", "docs_read", "docs_written", "doc_write_failures")
ENTRY = ("session_id", "start_time", "end_time", "start_last_seq", "end_last_seq", "recorded_seq", *COUNTS)
"""What CouchDB reports about a run."""
NO_DATABASE = ("Database does not exist.", "no_db_file")
OF_IDS = ("start_time", "end_time", "docs_read", "docs_written", "doc_write_failures")


class _Noticing(Starter):
    """Does what another starter does, and remembers the replicator, which knows more than the result."""

    def __init__(self, starter: Starter) -> None:
        self._starter, self.blocks = starter, starter.blocks
        self.replicator: Any = None

    def replication(self, env: Any, replicator: Replicator, on_change: Any, complete: Any) -> Any:
        """Return the result or the handle."""
        self.replicator = replicator
        return self._starter.replication(env, replicator, on_change, complete)


def replicate(request: Request, database: None) -> Response:
    """POST /_replicate: for every user that is logged in, with their rights, as in CouchDB."""
    user = request.user
    if user.name is None and ADMIN not in user.roles:
        raise Unauthorized("You are not an authenticated user")
    given = request.json()
    if flag("cancel", given.get("cancel", False)):
        return _cancel(request, given)
    wanted = _definition(request, given)
    by_ids = wanted.doc_ids is not None
    view = copy.copy(request.environment.as_user(request.user))
    starter = view.starter = _Noticing(view.starter)
    id, running = _identity(request, wanted), request.server.replications
    if wanted.continuous and (running_here(request.server, id) or any(request.server.others.ask("replications", id))):
        # One of them is enough.
        return _started(id)
    with ExitStack() as opened:
        source, target = open_peers(view, wanted, request.user, opened)
        if source.name == target.name and not wanted.continuous:
            # As in CouchDB: there is nothing to do, and that is not an error.
            now = formatdate(usegmt=True)
            done = {"ok": True, "last_seq": source.info()["update_seq"], "start_time": now, "end_time": now}
            return Response(_told(done, dict.fromkeys(COUNTS, 0), None, wanted.since_seq or 0, by_ids=by_ids))
        if wanted.continuous:
            handle: Any = view.replicate(source, target, retry=True, **wanted.options())
            handle.on_done(opened.pop_all().close)
            running[id] = handle
            handle.on_done(lambda: running.pop(id, None) if running.get(id) is handle else None)
            return _started(id)
        try:
            result = view.replicate(source, target, **wanted.options())
        except NotFound as error:
            if error.message not in NO_DATABASE:
                raise
            # What the server of a side responded; which one it was is not known here.
            sides = " or ".join(side.name for side in (wanted.source, wanted.target) if side.remote)
            raise PeerNotFound(f"could not open {sides}") from error
        log = None
        if wanted.use_checkpoints:
            try:
                log = target.get(starter.replicator.id)
            except NotFound:
                # No checkpoint was written.
                log = None
    return Response(_told(result, starter.replicator.progress.stats(), log, wanted.since_seq or 0, by_ids=by_ids))


def _started(id: str) -> Response:
    return Response({"ok": True, "_local_id": id}, 202)


def _cancel(request: Request, given: Mapping[str, Any]) -> Response:
    id = given.get("replication_id") or given.get("_local_id")
    if id is not None and ADMIN not in request.user.roles:
        # By an id any user could cancel the replication of another.
        raise Unauthorized("You are not a server admin.")
    id = id or _identity(request, _definition(request, given))
    if not (cancelled_here(request.server, id) or any(request.server.others.ask("cancel", id))):
        raise NotFound("no such replication is running")
    return Response({"ok": True, "_local_id": id})


def running_here(service: Endpoints, id: str) -> bool:
    """Return whether this process runs a continuous replication with this id."""
    known = service.replications.get(id)
    return known is not None and not known.done


def cancelled_here(service: Endpoints, id: Any) -> bool:
    """Cancel a continuous replication that this process runs; False when it runs none with this id."""
    found = service.replications.pop(id, None) if isinstance(id, str) else None
    if found is None:
        return False
    found.cancel()
    return True


def _definition(request: Request, given: Mapping[str, Any]) -> Definition:
    """Return what is to be replicated, with the rights of the requesting user. Raises BadRequest."""
    wanted = replace(definition(given), owner=request.user)
    return replace(wanted, source=_own(request, wanted.source), target=_own(request, wanted.target))


def _identity(request: Request, wanted: Definition) -> str:
    """Return the same id for the same request, whatever its credentials and whether or not it is continuous.

    A user's replication is theirs alone, and only they can cancel it; administrators share theirs.
    """
    user, uuid = request.user, request.environment.uuid
    whose = uuid if ADMIN in user.roles else f"{uuid} {user.name}"
    return replace(wanted, continuous=True, create_target=False).id(whose, None)


def _own(request: Request, side: Endpoint) -> Endpoint:
    """Where every client is an administrator, the server needs no HTTP to reach its own databases.

    Otherwise the credentials in a URL are used, not those of the requesting user.
    """
    if not request.server.accounts.is_party:
        return side
    origin = request.origin + "/"
    name = unquote(side.name[len(origin) :].strip("/"))
    return Endpoint(name) if side.remote and side.name.startswith(origin) and name else side


def _told(
    result: Any, stats: Mapping[str, int], log: Mapping[str, Any] | None, start: Any, *, by_ids: bool
) -> dict[str, Any]:
    """Return CouchDB's response: from the checkpoint's history, or without one from this run alone."""
    if log is None:
        last_seq = result["last_seq"]
        entry = {
            "session_id": uuid.uuid4().hex,
            "start_time": result["start_time"],
            "end_time": result["end_time"],
            "start_last_seq": start,
            "end_last_seq": last_seq,
            "recorded_seq": last_seq,
            **stats,
        }
        log = {"session_id": entry["session_id"], "source_last_seq": last_seq, "history": [entry]}
    answer: dict[str, Any] = {"ok": result["ok"]}
    if not any(stats.values()):
        answer["no_changes"] = True
    answer["session_id"] = log["session_id"]
    answer["source_last_seq"] = log["source_last_seq"]
    answer["replication_id_version"] = VERSION
    if by_ids:
        # What CouchDB 1.0 told of these, beside the history.
        answer |= {name: log["history"][0][name] for name in OF_IDS if name in log["history"][0]}
    answer["history"] = [{name: each[name] for name in ENTRY if name in each} for each in log["history"]]
    return answer
