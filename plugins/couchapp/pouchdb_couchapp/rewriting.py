"""Rewrites: the target of a request, by the rules or the function of a design document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_couchapp.errors import DesignError, RewriteError
from pouchdb_couchapp.functions import compiled, design_document
from pouchdb_couchapp.manners import LOCAL, Manners
from pouchdb_couchapp.rewrite_rules import Target, is_insecure, parts_of, rules_of, target_of

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["MOST_REWRITES", "Rewritten", "Wanted", "rewritten", "too_many"]

MOST_REWRITES = 100
"""How often a rewrite may lead to a rewrite."""


def too_many() -> BadRequest:
    """Return the error for a rewrite that leads to itself."""
    return BadRequest("Exceeded rewrite recursion limit")


@dataclass(frozen=True)
class Wanted:
    """A request before it is rewritten."""

    method: str
    path: Sequence[str]
    """Below ``_rewrite``."""
    query: Mapping[str, Any]
    request: Any
    """Returns the request object, for a function; called only for one."""


@dataclass(frozen=True)
class Rewritten:
    """The target, below the design document, and other changes of a function."""

    target: Target
    changed: dict[str, Any] = field(default_factory=dict)
    """``method``, ``headers`` and ``body`` where a function replaced them."""
    response: Mapping[str, Any] | None = None
    """The response, where a function responded itself."""


def rewritten(database: SyncPouchDB, ddoc: str, wanted: Wanted, manners: Manners = LOCAL) -> Rewritten:
    """Return the target of a request.

    Raises NotFound for a request that no rule matches, RewriteError and DesignError for invalid rules, over
    HTTP ``insecure_rewrite_rule`` for a design document with a rule that leads out of its database; functions may,
    as in CouchDB.
    """
    design = design_document(database, ddoc)
    rewrites = design.get("rewrites")
    if rewrites is None:
        missing = RewriteError("Invalid path.")
        missing.status = 404
        raise missing
    if isinstance(rewrites, str):
        return _by_function(database, design, rewrites, wanted, manners)
    rules = rules_of(rewrites)
    if manners is not LOCAL and any(map(is_insecure, rules)):
        raise DesignError("insecure_rewrite_rule", "too many ../.. segments")
    return Rewritten(target_of(rules, wanted.method, wanted.path, wanted.query, appends=manners is LOCAL))


def _by_function(
    database: SyncPouchDB, design: Mapping[str, Any], source: str, wanted: Wanted, manners: Manners
) -> Rewritten:
    call = compiled(database, design, "rewrite", "rewrites", source, manners)
    value = call.call([wanted.request()]).value
    if not value:
        raise NotFound("missing")
    if isinstance(value, str):
        value = {"path": value}
    if not isinstance(value, Mapping):
        raise DesignError("rewrite_error", "a rewrite function returns a path or an object")
    if value.get("code") is not None:
        response = {name: each for name, each in value.items() if name in ("code", "headers", "body", "json", "base64")}
        return Rewritten(Target([], {}), response=response)
    path = value.get("path")
    if not isinstance(path, str):
        raise DesignError("rewrite_error", "a rewrite function returns an object with a path")
    path, _, text = path.partition("?")
    parts = parts_of(path)
    query: dict[str, Any] = dict(parse_qsl(text, keep_blank_values=True)) if text else dict(wanted.query)
    given = value.get("query")
    if isinstance(given, Mapping):
        query = dict(given)
    elif isinstance(given, list) and all(isinstance(each, list) and len(each) == 2 for each in given):
        query = {str(name): each for name, each in given}
    changed = {name: value[name] for name in ("method", "headers", "body") if value.get(name) is not None}
    return Rewritten(Target(parts, query), changed)
