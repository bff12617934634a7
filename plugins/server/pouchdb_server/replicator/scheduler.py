"""GET /_scheduler/jobs and /_scheduler/docs: the replications of documents, and those of POST /_replicate."""

from __future__ import annotations

import re
from collections.abc import Collection
from email.utils import parsedate_to_datetime
from operator import itemgetter
from typing import Any

from pouchdb_core.errors import BadRequest, NotFound, Unauthorized
from pouchdb_server.messages import Endpoints, Request
from pouchdb_server.query import chosen
from pouchdb_server.replicator.endpoints import without_credentials
from pouchdb_server.replicator.job import NODE, progress, stamp
from pouchdb_server.replicator.seat import SEAT
from pouchdb_server.replicator.supervisor import Supervisor
from pouchdb_server.roles import ADMIN

__all__ = ["doc", "doc_here", "docs", "docs_here", "job", "jobs", "jobs_here"]

LIMIT = 100
"""Rows that are returned without ``limit``: CouchDB's number."""
STATES = frozenset({"initializing", "running", "completed", "pending", "crashing", "error", "failed"})
PATH = re.compile(r"((?:.*?/)?_replicator)(?:/(.+))?\Z", re.DOTALL)


def jobs(request: Request, database: None) -> dict[str, Any]:
    """GET /_scheduler/jobs: what runs, waits for its turn or is tried again."""
    skip, limit = _page(request)
    found = _jobs(request)
    return {"total_rows": len(found), "offset": skip, "jobs": found[skip : skip + limit]}


def job(request: Request, database: None) -> dict[str, Any]:
    """GET /_scheduler/jobs/{id}; a plus in the path is a blank, but ids have no blanks."""
    wanted = request.params["id"].replace(" ", "+")
    for each in _jobs(request):
        if each["id"] == wanted:
            return each
    raise NotFound("missing")


def docs(request: Request, database: None) -> dict[str, Any]:
    """GET /_scheduler/docs: every document of the replicator databases, with its state."""
    return _docs(request, None)


def doc(request: Request, database: None) -> dict[str, Any]:
    """GET /_scheduler/docs/{database}, or /{database}/{id}; the database's slash may be written as it is."""
    found = PATH.match(request.params["rest"])
    if found is None:
        raise NotFound("missing")
    name, id = found.groups()
    if name not in request.environment.names():
        raise NotFound("Database does not exist.")
    if id is None:
        return _docs(request, name)
    mine = _mine(request)
    row = doc_here(request.server, name, id, mine) or next(iter(request.server.others.ask("doc", name, id, mine)), None)
    if row is None:
        raise NotFound("missing")
    return row


def _docs(request: Request, wanted: str | None) -> dict[str, Any]:
    skip, limit = _page(request)
    states = {each for each in request.query.get("states", "").split(",") if each} or STATES
    if unknown := states - STATES:
        raise BadRequest(f"there is no state {', '.join(sorted(unknown))}: there are {', '.join(sorted(STATES))}")
    asked = (states, wanted, _mine(request), skip, limit)
    # One process has the rows: the one that runs the replications.
    found = max((docs_here(request.server, *asked), *request.server.others.ask("docs", *asked)), key=itemgetter(0))
    return {"total_rows": found[0], "offset": skip, "docs": found[1]}


# -- in one process ------------------------------------------------------------------------------


def doc_here(service: Endpoints, database: str, id: str, mine: str | None) -> dict[str, Any] | None:
    """Return the row of a document, if this process runs the replications and the user owns it."""
    supervisor = _supervisor(service)
    row = None if supervisor is None else supervisor.doc(database, id)
    if row is None or supervisor is None or not (mine is None or supervisor.owner_of(database, id) == mine):
        return None
    return row


def docs_here(
    service: Endpoints, states: Collection[str], wanted: str | None, mine: str | None, skip: int, limit: int
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many documents this process knows, in these states, of a database, of an owner; and rows of some."""
    supervisor = _supervisor(service)
    if supervisor is None:
        return 0, []

    def asked(database: str, state: str, owner: str | None) -> bool:
        return state in states and wanted in (None, database) and mine in (None, owner)

    return supervisor.docs(asked, skip, limit)


def jobs_here(service: Endpoints, mine: str | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the replications of documents that this process runs, and the others that it runs."""
    supervisor = _supervisor(service)
    rows = [] if supervisor is None else supervisor.jobs()
    if mine is not None:
        return [each for each in rows if each["user"] == mine], []
    # Those of _replicate, and those that the program itself has started.
    known = set() if supervisor is None else supervisor.replicators()
    # One that was answered with 202 may not have made its first step.
    names = {each.replicator: id for id, each in tuple(service.replications.items()) if not each.done}
    others = dict.fromkeys((*service.environment.replicators(), *names))
    return rows, [_other(each, names.get(each)) for each in others if each not in known]


def _page(request: Request) -> tuple[int, int]:
    options = chosen(request.query, {"limit": "number", "skip": "number"})
    return options.get("skip", 0), options.get("limit", LIMIT)


def _supervisor(service: Endpoints) -> Supervisor | None:
    return service.environment.state(SEAT).supervisor(service.environment.prefix)


def _mine(request: Request) -> str | None:
    """Return the user whose replications are reported; None, all users, for administrators. Raises Unauthorized."""
    if ADMIN in request.user.roles:
        return None
    if request.user.name is None:
        raise Unauthorized("You are not a server admin.")
    return request.user.name


def _jobs(request: Request) -> list[dict[str, Any]]:
    mine = _mine(request)
    rows, others = jobs_here(request.server, mine)
    for more, more_others in request.server.others.ask("jobs", mine):
        rows, others = rows + more, others + more_others
    return rows + sorted(others, key=lambda row: str(row["id"]))


def _other(replicator: Any, id: str | None) -> dict[str, Any]:
    began = stamp(parsedate_to_datetime(replicator.start_time).timestamp())
    return {
        "database": None,
        # One that the program started has no id before both sides are known.
        "id": id or replicator.id.removeprefix("_local/") + ("+continuous" if replicator.request.live else ""),
        "pid": "<0.0.0>",
        "source": without_credentials(replicator.source.name),
        "target": without_credentials(replicator.target.name),
        "user": None if replicator.source.user is None else replicator.source.user.name,
        "doc_id": None,
        "info": progress(replicator),
        "history": [{"timestamp": began, "type": "started"}, {"timestamp": began, "type": "added"}],
        "node": NODE,
        "start_time": began,
    }
