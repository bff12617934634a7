"""The replication that a document of ``_replicator`` defines, checked as CouchDB checks it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_core.requests import UserContext
from pouchdb_core.urls import is_http
from pouchdb_server.replicator.endpoints import Endpoint, endpoint

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["FINAL", "Definition", "definition", "filter_code", "is_replicator", "owner_name"]

REPLICATOR = "_replicator"
FINAL = ("completed", "failed")
"""States that a document is left in: it is run again only when the state is removed."""
FLAGS = ("continuous", "create_target", "winning_revs_only", "use_checkpoints", "use_bulk_get", "cancel")
NUMBERS = (
    "checkpoint_interval",
    "connection_timeout",
    "http_connections",
    "retries_per_request",
    "worker_batch_size",
    "worker_processes",
)


def is_replicator(name: str) -> bool:
    """Return whether the documents of a database (by its short name) are replications."""
    return name == REPLICATOR or name.endswith("/" + REPLICATOR)


@dataclass(frozen=True)
class Definition:
    """One replication, as its document defines it."""

    source: Endpoint
    target: Endpoint
    owner: UserContext | None
    """The user whose rights it runs with; None: without an owner it has the rights that every client has."""
    continuous: bool = False
    create_target: bool = False
    winning_revs_only: bool = False
    use_checkpoints: bool = True
    doc_ids: tuple[str, ...] | None = None
    filter: str | None = None
    query_params: str = "{}"
    """Parameters as JSON, so that definitions can be compared."""
    selector: str | None = None
    since_seq: Any = None
    batch_size: int | None = None
    timeout: float | None = None
    retries: int | None = None

    def options(self) -> dict[str, Any]:
        """Return the options of ``environment.replicate``."""
        options: dict[str, Any] = {
            "live": self.continuous,
            "create_target": self.create_target,
            "winning_revs_only": self.winning_revs_only,
            "checkpoint": self.use_checkpoints,
            "doc_ids": self.doc_ids,
            "filter": self.filter,
            "query_params": json.loads(self.query_params),
            "selector": None if self.selector is None else json.loads(self.selector),
            "since": self.since_seq,
        }
        if self.batch_size is not None:
            options["batch_size"] = self.batch_size
        return options

    def peer_options(self, side: Endpoint) -> dict[str, Any]:
        """Return the options of the database object of a side that is on a server."""
        options: dict[str, Any] = {**side.options, "skip_setup": True}
        if self.timeout is not None:
            options["timeout"] = self.timeout
        if self.retries is not None:
            options["retries"] = self.retries
        return options

    def id(self, uuid: str, code: str | None) -> str:
        """Return the id of the replication, in CouchDB's form.

        Two documents with one id are the same replication. ``uuid`` is the server's, ``code`` the source
        of the filter: editing it makes another replication (spec: replication 4.1).
        """
        identity = [
            uuid,
            self.source.identity(),
            self.target.identity(),
            self.filter,
            code,
            self.query_params,
            None if self.doc_ids is None else sorted(set(self.doc_ids)),
            self.selector,
            self.winning_revs_only,
            self.since_seq,
        ]
        text = json.dumps(identity, separators=(",", ":"), sort_keys=True)
        extension = ("+continuous" if self.continuous else "") + ("+create_target" if self.create_target else "")
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + extension


def owner_name(doc: Mapping[str, Any]) -> str | None:
    """Return the name of the user a document belongs to, or None for the administrators."""
    user = doc.get("user_ctx")
    name = user.get("name") if isinstance(user, Mapping) else doc.get("owner")
    return name if isinstance(name, str) else None


def definition(doc: Mapping[str, Any]) -> Definition:
    """Return the replication a document defines. Raises BadRequest, with CouchDB's reasons."""
    for end in ("source", "target"):
        if not isinstance(doc.get(end), (str, Mapping)):
            raise BadRequest(f"The `{end}` property must exist and be either a string or an object.")
    proxies = {end: _proxy(doc, f"{end}_proxy") or _proxy(doc, "proxy") for end in ("source", "target")}
    source, target = (endpoint(doc[end], end, proxies[end]) for end in ("source", "target"))
    flags = {name: doc.get(name) for name in FLAGS}
    for name, value in flags.items():
        if value is not None and not isinstance(value, bool):
            raise BadRequest(f"The `{name}` field must be a boolean.")
    numbers = {name: _number(name, doc.get(name)) for name in NUMBERS}
    ids, selector, wanted, params = (doc.get(name) for name in ("doc_ids", "selector", "filter", "query_params"))
    if ids is not None and not (_is_list(ids) and all(isinstance(each, str) for each in ids)):
        raise BadRequest("The `doc_ids` field must be an array of strings.")
    if selector is not None and not isinstance(selector, Mapping):
        raise BadRequest("The `selector` field must be an object.")
    if wanted is not None and not (isinstance(wanted, str) and wanted):
        raise BadRequest("The `filter` field must be a non-empty string.")
    if params is not None and not isinstance(params, Mapping):
        raise BadRequest("The `query_params` field must be an object.")
    for one, other in (("doc_ids", "selector"), ("doc_ids", "filter"), ("selector", "filter")):
        if doc.get(one) is not None and doc.get(other) is not None:
            raise BadRequest(f"`{one}` is incompatible with `{other}`")
    since = doc.get("since_seq")
    if since is not None and (isinstance(since, bool) or not isinstance(since, (int, str, list))):
        raise BadRequest("The `since_seq` field must be a sequence number.")
    timeout, batch_size = numbers["connection_timeout"], numbers["worker_batch_size"]
    return Definition(
        source=source,
        target=target,
        owner=_owner(doc),
        continuous=bool(flags["continuous"]),
        create_target=bool(flags["create_target"]),
        winning_revs_only=bool(flags["winning_revs_only"]),
        use_checkpoints=flags["use_checkpoints"] is not False,
        doc_ids=None if ids is None else tuple(ids),
        filter=wanted,
        query_params=_text(params or {}),
        selector=None if selector is None else _text(selector),
        since_seq=since,
        batch_size=batch_size or None,
        timeout=timeout / 1000 if timeout else None,
        retries=numbers["retries_per_request"],
    )


def filter_code(source: SyncPouchDB, name: str | None) -> str | None:
    """Return the source of a design document's filter; None where there is none to read. Raises NotFound."""
    if name is None or name.startswith("_") or "/" not in name:
        return None
    id, _, function = name.partition("/")
    ddoc = source.get(f"_design/{id}")
    code = (ddoc.get("filters") or {}).get(function)
    if not isinstance(code, str):
        raise NotFound(f"there is no filter {function!r} in _design/{id} of the source")
    return code


def _owner(doc: Mapping[str, Any]) -> UserContext | None:
    user = doc.get("user_ctx")
    if user is None:
        return None
    if not isinstance(user, Mapping):
        raise BadRequest("The `user_ctx` property must be a non-null object.")
    name, roles = user.get("name"), user.get("roles", [])
    if not (name is None or isinstance(name, str)):
        raise BadRequest("The `user_ctx.name` property must be a non-empty string or null.")
    if not (_is_list(roles) and all(isinstance(role, str) and role for role in roles)):
        raise BadRequest("The `user_ctx.roles` property must be an array of strings.")
    return UserContext(name, tuple(roles))


def _proxy(doc: Mapping[str, Any], name: str) -> str | None:
    value = doc.get(name)
    if value is not None and not is_http(value):
        raise BadRequest(f"The `{name}` field must be a URL such as http://host:3128.")
    return value


def _number(name: str, value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise BadRequest(f"The `{name}` field must be a whole number from 0 up.")
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
