"""Named filters of the changes feed: functions of design documents, views, ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pouchdb_core.changes.filters import BatchFilter, ChangesFilter, Judge
from pouchdb_core.errors import BadRequest, NotFound, NotSupported
from pouchdb_core.jsontext import dump, parse
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record
from pouchdb_core.views.mapreduce import function_error, view_definition
from pouchdb_core.views.servers import functions_of

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["DesignFilter", "IdFilter", "ViewFilter", "design_function", "request_object", "resolved"]

_CURES = {"_selector": "install pouchdb-find"}


def resolved(database: Database, request: Changes) -> Changes:
    """Return the request with its filter's name replaced by the filter. Raises BadRequest, NotFound, NotSupported."""
    name = request.filter
    if not isinstance(name, str):
        return request
    if name.startswith("_") and not name.startswith("_design/"):
        filters = database.plugins.changes_filters()
        if name not in filters:
            cure = _CURES.get(name, f"there are: {', '.join(sorted(filters))}")
            raise NotSupported(f"filter {name!r}: no plug-in that knows it is installed; {cure}")
        judge = filters[name].open(database, request)
    else:
        judge = _of_design_document(database, request, name)
    return replace(request, filter=None if judge is None else BatchFilter(judge))


def design_function(database: Database, name: str, member: str) -> tuple[Record, str, Any]:
    """Return (design document, function's name, source) of ``"design/name"``. Raises NotFound."""
    ddoc, function = _located(database, name)
    functions = ddoc.get(member)
    if not isinstance(functions, Mapping) or function not in functions:
        raise NotFound(f"missing json key: {ddoc['_id']} has no {function!r} in {member!r}")
    return ddoc, function, functions[function]


def _located(database: Database, name: str) -> tuple[Record, str]:
    """Return (design document, name in it) of ``"design/name"``; ``"name"`` alone is both. Raises NotFound."""
    ddoc_name, slash, function = name.removeprefix("_design/").partition("/")
    id = f"_design/{ddoc_name}"
    ddoc = next((each for each in database.design_documents() if each["_id"] == id), None)
    if ddoc is None:
        raise NotFound(f"missing: there is no design document {id!r}")
    return ddoc, function if slash else ddoc_name


def request_object(database: Database, request: Changes) -> dict[str, Any]:
    """Return the ``req`` argument of a filter function."""
    user = request.user
    context = {
        "db": database.name,
        "name": None if user is None else user.name,
        "roles": ["_admin"] if user is None else list(user.roles),
    }
    return {"method": "GET", "query": dict(request.query_params), "userCtx": context}


def _of_design_document(database: Database, request: Changes, name: str) -> Judge:
    ddoc, function, source = design_function(database, name, "filters")
    functions = functions_of(database, ddoc)
    identifier = f"filter {function}"
    functions.compile(identifier, "filter", source)
    shared = [request_object(database, request)]

    def judge(docs: Sequence[Record]) -> list[bool]:
        outcomes = functions.call_each(identifier, [(doc,) for doc in docs], shared)
        return [_truthy(outcome, name, doc) for outcome, doc in zip(outcomes, docs, strict=True)]

    return judge


def _truthy(outcome: Any, name: str, doc: Record) -> bool:
    if isinstance(outcome, Exception):
        error = function_error(outcome, f"filter {name!r}", doc["_id"])
        raise BadRequest(f"Filter function threw: {error.message}", id=doc["_id"]) from outcome
    # As in JavaScript: an empty array and an empty object are true.
    return outcome not in (None, False, 0, "") or isinstance(outcome, (list, dict))


class ViewFilter(ChangesFilter):
    """``filter="_view"`` with ``view="design/name"``: documents for which the map function emits something."""

    name = "_view"

    def open(self, database: Database, request: Changes) -> Judge:
        wanted = request.view if request.view is not None else request.query_params.get("view")
        if not isinstance(wanted, str) or not wanted:
            raise BadRequest("filter '_view' needs view='design/name'")
        ddoc, view = _located(database, wanted)
        source = view_definition(ddoc, view)["map"]
        functions = functions_of(database, ddoc)
        identifier = f"map {view}"
        functions.compile(identifier, "map", source)

        def judge(docs: Sequence[Record]) -> list[bool]:
            verdicts = []
            for doc, (emitted,) in zip(docs, functions.map([identifier], [dump(doc) for doc in docs]), strict=True):
                if isinstance(emitted, Exception):
                    return [_truthy(emitted, wanted, doc)]
                verdicts.append(bool(emitted))
            return verdicts

        return judge


class IdFilter(ChangesFilter):
    """``filter="_doc_ids"`` with ``doc_ids``, a list; without a filter ``doc_ids`` does the same."""

    name = "_doc_ids"

    def open(self, database: Database, request: Changes) -> Judge | None:
        if request.doc_ids is not None:
            return None
        ids: Any = request.query_params.get("doc_ids")
        if isinstance(ids, str):
            try:
                ids = parse(ids)
            except ValueError:
                ids = None
        if not isinstance(ids, (list, tuple)):
            raise BadRequest("filter '_doc_ids' needs doc_ids, a list")
        wanted = {id for id in ids if isinstance(id, str)}
        return lambda docs: [doc["_id"] in wanted for doc in docs]


class DesignFilter(ChangesFilter):
    """``filter="_design"``: design documents only."""

    name = "_design"

    def open(self, database: Database, request: Changes) -> Judge:
        return lambda docs: [str(doc["_id"]).startswith("_design/") for doc in docs]
