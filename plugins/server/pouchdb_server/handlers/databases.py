"""Databases as a whole: creating, describing, deleting, maintaining."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import quote

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest, PouchDBError
from pouchdb_core.results import Record
from pouchdb_server.document_check import check_rev_text
from pouchdb_server.messages import Endpoints, Request, Response
from pouchdb_server.query import is_number
from pouchdb_server.security import security_of

__all__ = [
    "IllegalName",
    "all_dbs",
    "check_name",
    "compact",
    "compacting_here",
    "create",
    "described",
    "destroy",
    "ensure_full_commit",
    "get_purged_infos_limit",
    "get_revs_limit",
    "get_security",
    "info",
    "purge",
    "purged_infos",
    "put_purged_infos_limit",
    "put_revs_limit",
    "put_security",
]

logger = logging.getLogger("pouchdb.server")

LEGAL = re.compile(r"[a-z][a-z0-9_$()+/-]*\Z")
SYSTEM = ("_users", "_replicator", "_global_changes")
LONGEST = 238
OPEN: dict[str, Any] = {"members": {}}
"""How an empty security object is stored: the core treats an empty one as none."""


class IllegalName(PouchDBError):
    status, name = 400, "illegal_database_name"


def check_name(name: str) -> None:
    """Refuse names that CouchDB would not accept for a new database. Raises IllegalName."""
    if name not in SYSTEM and not (LEGAL.match(name) and len(name) <= LONGEST):
        raise IllegalName(
            f"Name: '{name}'. Only lowercase characters (a-z), digits (0-9), and any of the characters _, $, (, ), +, "
            "-, and / are allowed. Must begin with a letter."
        )


def create(request: Request, database: None) -> Response:
    """PUT /{db}."""
    name = request.path[0]
    check_name(name)
    _check_options(request)
    request.server.databases.create(name)
    return Response({"ok": True}, 201, {"location": f"{request.public_origin}/{quote(name, safe='')}"})


def _check_options(request: Request) -> None:
    """Raise BadRequest for what CouchDB refuses; otherwise these options mean nothing here."""
    query = request.query
    for option in ("n", "q"):
        value = query.get(option, "1")
        if not is_number(value) or int(value) == 0:
            raise BadRequest(f"The `{option}` value should be a positive integer.")
    if query.get("engine", "couch") != "couch":
        raise BadRequest("invalid_engine_extension")
    if query.get("partitioned", "false") not in ("true", "false"):
        raise BadRequest("Invalid `partitioned` parameter")


def info(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}: CouchDB's replicator insists on update_seq and instance_start_time."""
    return described(request, database)


def described(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """Return what GET /{db} reports."""
    known = database.info()
    sizes = known["sizes"]
    file = sizes.get("file", 0)
    name = database.short_name
    compacting = compacting_here(request.server, name) or any(request.server.others.ask("compacting", name))
    return {
        "db_name": database.short_name,
        "doc_count": known["doc_count"],
        "doc_del_count": known["doc_del_count"],
        "update_seq": known["update_seq"],
        "purge_seq": known["purge_seq"],
        "compact_running": compacting,
        "sizes": {"file": file, "active": sizes.get("active", file), "external": sizes.get("external", file)},
        "disk_format_version": 8,
        "instance_start_time": "0",
        "cluster": {"q": 1, "n": 1, "w": 1, "r": 1},
        "props": _life(request, known),
    }


def compacting_here(service: Endpoints, name: str) -> bool:
    """Return whether this process compacts a database, or is about to."""
    tasks = service.environment.active_tasks()
    return any(task["name"] == "database_compaction" and task.get("database") == name for task in tasks)


def _life(request: Request, known: Record) -> dict[str, Any]:
    """Return the value by which our client sees that a database was restored or made again; CouchDB has none."""
    if "epoch" not in known:
        return {}
    return {
        "epoch": known["epoch"],
        "former_epochs": known["former_epochs"],
        "server": request.environment.uuid,
    }


def destroy(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """DELETE /{db}; refused with ?rev=, which is meant for a document."""
    if "rev" in request.query:
        raise BadRequest(
            "You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?"
        )
    database.destroy()
    return {"ok": True}


def all_dbs(request: Request, database: None) -> list[str]:
    """GET /_all_dbs where no plug-in lists the databases."""
    return request.environment.names()


def ensure_full_commit(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_ensure_full_commit: a commit is on the disk before its response is sent, so nothing is left to do."""
    request.check_json()
    return Response({"ok": True, "instance_start_time": "0"}, 201)


def compact(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_compact: continues after the response, as GET /{db} reports."""
    request.check_json()
    name, user = request.path[0], request.user
    held = request.server.databases.take(name)
    # Before the response: the client checks at once whether it is done.
    over = held.database.announce_task("database_compaction")

    def run() -> None:
        try:
            held.database.as_user(user).compact()
        except PouchDBError as error:
            logger.warning("compaction of %s failed: %s", name, error)
        finally:
            over()
            request.server.databases.give_back(held)

    try:
        request.server.spawn(run)
    except BaseException:
        over()
        request.server.databases.give_back(held)
        raise
    return Response({"ok": True}, 202)


def get_security(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_security."""
    security = dict(security_of(database))
    return {} if security == OPEN else security


def put_security(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """PUT /{db}/_security."""
    given = request.json()
    for group in ("admins", "members"):
        named = given.get(group, {})
        if not isinstance(named, dict):
            raise BadRequest(f"{group} must be a JSON object")
        for member in ("names", "roles"):
            listed = named.get(member, [])
            if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
                raise BadRequest(f"{group}.{member} must be a JSON list of strings")
    # An empty object is not the same as none: it allows every user, as in CouchDB.
    database.put_security(given or OPEN)
    return {"ok": True}


def get_revs_limit(request: Request, database: SyncPouchDB) -> Response:
    """GET /{db}/_revs_limit."""
    return Response(database.revs_limit())


def put_revs_limit(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """PUT /{db}/_revs_limit."""
    database.revs_limit(_positive(request, "`_revs_limit`"))
    return {"ok": True}


def purged_infos(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_purged_infos: what was purged, as far as it is remembered, oldest first."""
    purges = database.adapter.indexes().purges(0, database.adapter.purged_infos_limit())
    return {"purged_infos": [{"id": id, "revs": revs} for _, id, revs in purges]}


def get_purged_infos_limit(request: Request, database: SyncPouchDB) -> Response:
    """GET /{db}/_purged_infos_limit: how many purges are remembered."""
    return Response(database.adapter.purged_infos_limit())


def put_purged_infos_limit(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """PUT /{db}/_purged_infos_limit."""
    database.adapter.purged_infos_limit(_positive(request, "`purged_infos_limit`"))
    return {"ok": True}


def purge(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_purge {id: [rev]}."""
    given = request.json()
    for revs in given.values():
        if not isinstance(revs, list):
            raise BadRequest("Invalid list of revisions")
        for rev in revs:
            check_rev_text(rev)
    done = database.purge(given)
    # Only the requested ones: ancestors purged with them are not reported, as in CouchDB.
    purged = {id: [rev for rev in given[id] if rev in gone] for id, gone in done["purged"].items()}
    return Response({"purge_seq": done["purge_seq"], "purged": purged}, 201)


def _positive(request: Request, what: str) -> int:
    value = request.json(kind=object)
    if type(value) is not int or value < 1:
        raise BadRequest(f"{what} must be a positive integer")
    return value
