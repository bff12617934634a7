"""Querying views, and dropping indexes that are no longer needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pouchdb_core.api.administration import ask
from pouchdb_core.api.options import count, document_options, either, flags, freshness, key_text
from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.requests import MISSING, Query
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.tables import Table
from pouchdb_core.views.mapreduce import maps_of

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["query", "query_rows", "view_cleanup"]

MapFunction = Callable[..., Any]

_FLAGS = ("inclusive_end", "descending", "group", "include_docs", "stable", "sorted", "update_seq", "offset")


def query(
    db: Database,
    fun: str | MapFunction | Mapping[str, Any],
    *,
    reduce: bool | str | Callable[..., Any] | None = None,
    key: Any = MISSING,
    keys: Sequence[Any] | None = None,
    startkey: Any = MISSING,
    start_key: Any = MISSING,
    endkey: Any = MISSING,
    end_key: Any = MISSING,
    startkey_docid: str | None = None,
    start_key_doc_id: str | None = None,
    endkey_docid: str | None = None,
    end_key_doc_id: str | None = None,
    inclusive_end: bool = True,
    descending: bool = False,
    limit: int | None = None,
    skip: int = 0,
    group: bool | None = None,
    group_level: int | None = None,
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    binary: bool = False,
    stale: str | None = None,
    update: bool | str | None = None,
    stable: bool = False,
    sorted: bool = True,
    update_seq: bool = False,
    offset: bool = False,
    queries: Sequence[Mapping[str, Any]] | None = None,
) -> Table:
    """Query a view: ``"design/view"``, ``"view"`` (for ``"view/view"``), or a temporary one.

    A temporary view is a Python function, JavaScript source, or ``{"map": ..., "reduce": ...}`` of
    either; it reads the whole database and stores nothing. A Python map function takes the document and
    yields ``(key, value)`` pairs, or takes ``(doc, emit)``; a reduce function takes ``(keys, values,
    rereduce)``, ``keys`` being ``[key, id]`` pairs or None.

    Returns ``{"total_rows", "offset", "rows": [{"id", "key", "value", "doc"?}]}`` or, reduced,
    ``{"rows": [{"key", "value"}]}``. ``reduce`` False returns the rows; a name (``"_sum"``) or a function
    is used instead of the view's. ``group`` reduces by key, ``group_level`` by the first elements of
    array keys. Rows of ``keys`` come in their order, backwards with ``descending`` unless they are reduced.
    ``key`` overrides ``startkey`` and ``endkey``, ``keys`` all of them. ``include_docs`` adds the
    document that a row's value names by ``_id`` and ``_rev`` (either defaults to the row's), else the row's own.
    ``update`` False (``stale="ok"``) reads the index as it is, ``"lazy"`` (``"update_after"``)
    brings it up to date afterwards. ``offset`` is ``skip``, or with ``offset=True`` the true one. ``queries``
    is a list of such options, which returns ``{"results": [...]}``. Results are Tables (``to_pandas()``...).

    Raises NotFound, QueryParseError, and FunctionError if a function cannot run or is stopped. A document
    whose map function fails is left out; a row whose reduce function throws has the value None; both are reported
    by ``error`` events. A built-in function over values it does not take has an object with ``error`` and
    ``reason`` as its value, and a row whose result does not shrink has ``error`` and ``reason`` instead of a value.
    """
    given = dict(locals())
    del given["db"], given["fun"], given["queries"]
    if queries is None:
        return _run(db, fun, given)
    if not isinstance(queries, (list, tuple)) or not all(isinstance(each, Mapping) for each in queries):
        raise QueryParseError(f"queries must be a list of objects, not {safe_repr(queries)}")
    for each in queries:
        for name in each:
            if name not in given:
                raise BadRequest(f"queries: unknown option {name!r}; there are: {', '.join(given)}")
    return Table(results=[_run(db, fun, _joined(given, each)) for each in queries])


def query_rows(db: Database, fun: str, **options: Any) -> Record:
    """Query a saved view as ``query`` does, but return ``rows`` as an iterator that can be read once.

    Rows are read page by page while they are taken, in constant memory; the first page is of the same moment as
    ``total_rows`` and ``offset``. ``options`` are those of ``query``, without ``queries``. Raises what ``query`` does;
    what goes wrong later is raised by the iterator.
    """
    known = inspect.signature(query).parameters
    for name in options:
        if name not in known or name == "queries":
            options_there = sorted(each for each in known if known[each].kind is known[each].KEYWORD_ONLY)
            raise BadRequest(f"unknown option {name!r} of a query; there are: {', '.join(options_there)}")
    given = {name: each.default for name, each in known.items() if each.kind is each.KEYWORD_ONLY}
    answer = db.plugins.list(db, replace(_request(db, fun, {**given, **options}), stream=True))
    answer["rows"] = iter(answer["rows"])
    return answer


_SPELLINGS = {
    "startkey": "start_key",
    "endkey": "end_key",
    "startkey_docid": "start_key_doc_id",
    "endkey_docid": "end_key_doc_id",
}


def _joined(given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of one of several queries: its own, then those given for all of them."""
    joined = dict(given)
    for name, other in _SPELLINGS.items():
        if name in own or other in own:
            # Not two values of one option: in whichever spelling, its own one goes first.
            joined[name] = joined[other] = MISSING if name in ("startkey", "endkey") else None
    return {**joined, **own}


def _run(db: Database, fun: Any, options: Mapping[str, Any]) -> Table:
    return Table(db.plugins.list(db, _request(db, fun, options)))


def _request(db: Database, fun: Any, given: Mapping[str, Any]) -> Query:
    view, map_function, own = _view(db, fun)
    reduce = given["reduce"]
    if not (reduce is None or isinstance(reduce, (bool, str)) or callable(reduce)):
        raise QueryParseError(f"reduce must be a boolean, a name or a function, not {safe_repr(reduce)}")
    startkey = _either("startkey", given["startkey"], given["start_key"])
    endkey = _either("endkey", given["endkey"], given["end_key"])
    keys = given["keys"]
    if given["key"] is not MISSING:
        # As PouchDB: key goes before startkey and endkey, keys before all three.
        startkey = endkey = given["key"]
    if keys is not None:
        if not isinstance(keys, (list, tuple)):
            raise QueryParseError(f"keys must be a list, not {safe_repr(keys)}")
        startkey = endkey = MISSING
        if len(keys) == 1:
            # As CouchDB, where one key of a reduced view needs no grouping.
            startkey = endkey = keys[0]
            keys = None
    flags(**{name: given[name] for name in _FLAGS})
    # CouchDB's level 0 is one group of everything.
    level = count("group_level", given["group_level"])
    if level and given["group"] is False:
        raise QueryParseError("group=False cannot be given together with a group_level above 0")
    return Query(
        view=view,
        map=map_function,
        map_reduce=own if reduce is None or isinstance(reduce, bool) else reduce,
        reduce=reduce if isinstance(reduce, bool) else None if reduce is None else True,
        startkey=startkey,
        endkey=endkey,
        startkey_docid=_document("startkey_docid", given["startkey_docid"], given["start_key_doc_id"]),
        endkey_docid=_document("endkey_docid", given["endkey_docid"], given["end_key_doc_id"]),
        # None is "not given", here too.
        inclusive_end=given["inclusive_end"] is not False,
        keys=None if keys is None else tuple(keys),
        descending=bool(given["descending"]),
        limit=count("limit", given["limit"]),
        skip=count("skip", given["skip"]) or 0,
        group=bool(given["group"]),
        group_level=level,
        include_docs=bool(given["include_docs"]),
        options=document_options(
            conflicts=given["conflicts"], attachments=given["attachments"], binary=given["binary"]
        ),
        update=freshness(given["stale"], given["update"]),
        update_seq=bool(given["update_seq"]),
        offset=bool(given["offset"]),
        user=db.user,
        purpose=db.purpose,
    )


def _view(db: Database, fun: Any) -> tuple[tuple[str, str] | None, Any, Any]:
    """Return (design document and name, or None; map function; reduce function of a temporary view)."""
    if isinstance(fun, Mapping):
        if not (callable(fun.get("map")) or isinstance(fun.get("map"), str)):
            raise BadRequest("a temporary view is {'map': function, 'reduce': function or name}")
        for name in fun:
            if name not in ("map", "reduce"):
                raise BadRequest(f"a temporary view has 'map' and 'reduce', not {safe_repr(name)}")
        own = fun.get("reduce")
        if not (own is None or own is False or isinstance(own, str) or callable(own)):
            raise BadRequest(f"the reduce function of a temporary view is a name or a function, not {safe_repr(own)}")
        return None, fun["map"], None if own is False else own
    if callable(fun):
        return None, fun, None
    if not isinstance(fun, str) or not fun:
        raise BadRequest(f"query takes the name of a view, a function or {{'map': ...}}, not {safe_repr(fun)}")
    ddoc, slash, name = fun.removeprefix("_design/").partition("/")
    view = (f"_design/{ddoc}", name.removeprefix("_view/") if slash else ddoc)
    if any(mark in fun for mark in ("(", "{", "=>")) and not _exists(db, view):
        return None, fun, None
    return view, None, None


def _exists(db: Database, view: tuple[str, str]) -> bool:
    return not db.remote and any(ddoc["_id"] == view[0] and view[1] in maps_of(ddoc) for ddoc in db.design_documents())


def _either(name: str, value: Any, alias: Any) -> Any:
    if alias is MISSING:
        return value
    if value is not MISSING and value != alias:
        raise BadRequest(f"{name} and {_SPELLINGS[name]} are one option and were given two values")
    return alias


def _document(name: str, value: Any, alias: Any) -> str | None:
    id: Any = either(name, _SPELLINGS[name], value, alias)
    text: str | None = key_text(name, id)
    return text


def view_cleanup(db: Database) -> Record:
    """Drop the indexes, with their files, that design documents no longer define. Returns ``{"ok": True}``.

    Indexes of plug-ins that are not installed are left alone.
    """
    ask(db, "view_cleanup")
    return Record(ok=True)
