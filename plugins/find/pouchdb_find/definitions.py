"""Definitions of indexes: requests for them, and the design documents of ``language: "query"`` that hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pouchdb_core.results import Record
from pouchdb_core.revisions.ids import js_json
from pouchdb_find.couch_names import couch_name
from pouchdb_find.errors import FindError, shown
from pouchdb_find.fields import parse_field
from pouchdb_find.selectors import Selector, normalize

__all__ = ["LANGUAGE", "Definition", "defined", "definitions", "direction_of", "requested", "sort_fields"]

LANGUAGE = "query"


@dataclass(frozen=True)
class Definition:
    """One JSON index."""

    ddoc: str
    """Id of its design document."""
    name: str
    fields: tuple[str, ...]
    directions: tuple[str, ...]
    """The direction in the definition, "asc" or "desc"; keys are stored in one order in either case."""
    partial: Selector
    """Only documents that match are in the index; ``{}`` takes all."""
    given: Any = None
    """The definition as it was given: ``{"fields": [...]}``."""
    view: Any = None
    """The view of the design document that holds it."""

    @property
    def label(self) -> str:
        """What its index is called in events: ``"design/name"``."""
        return f"{self.ddoc.removeprefix('_design/')}/{self.name}"

    def json(self) -> Record:
        """Return the entry of get_indexes."""
        definition = Record(
            fields=[Record({field: way}) for field, way in zip(self.fields, self.directions, strict=True)]
        )
        if self.partial:
            definition["partial_filter_selector"] = self.partial
        return Record(ddoc=self.ddoc, name=self.name, type="json", **{"def": definition})


def defined(ddoc: Mapping[str, Any]) -> list[Definition]:
    """Return the JSON indexes of a design document, also one that a CouchDB or a PouchDB wrote.

    Others are left out, as in CouchDB: a view that is not Mango's, a text index.
    """
    views = ddoc.get("views")
    if ddoc.get("language") != LANGUAGE or not isinstance(views, Mapping):
        return []
    found = []
    for name, view in sorted(views.items()):
        definition = _view(ddoc["_id"], name, view)
        if definition is not None:
            found.append(definition)
    return found


def definitions(designs: Iterable[Mapping[str, Any]]) -> list[Definition]:
    """Return the JSON indexes of design documents, in their order."""
    return [each for ddoc in designs for each in defined(ddoc)]


def _view(ddoc: str, name: str, view: Any) -> Definition | None:
    index = view.get("map") if isinstance(view, Mapping) else None
    if not isinstance(index, Mapping) or not isinstance(index.get("fields"), Mapping):
        return None
    fields = index["fields"]
    options = view.get("options")
    given = options.get("def") if isinstance(options, Mapping) else None
    try:
        for field in fields:
            parse_field(field)
        # Earlier CouchDB versions wrote "selector".
        partial = normalize(index.get("partial_filter_selector") or index.get("selector") or {})
    except FindError:
        return None
    ways = tuple("desc" if way == "desc" else "asc" for way in fields.values())
    return Definition(ddoc, name, tuple(fields), ways, partial, given, view)


# -- requests ------------------------------------------------------------------------------------

_KEYS = ("index", "type", "name", "ddoc", "w", "partitioned", "fields")


def requested(request: Any, *, strict: bool = False) -> Definition:
    """Return the index that a request defines. Raises FindError.

    As in PouchDB, ``type``, ``name`` and ``ddoc`` may be inside of ``index``, and ``fields`` next to it; ``strict`` is
    CouchDB, which accepts neither. Without a name one is made from the definition, as in PouchDB (``idx-`` and an
    MD5), or (``strict``) as in CouchDB (a SHA-1; see ``couch_names``).
    """
    if not isinstance(request, Mapping):
        raise FindError("bad_request", f"create_index takes {{'index': {{'fields': [...]}}}}, not {shown(request)}")
    asked = dict(request)
    _check_names(asked, _KEYS)
    index = asked.get("index")
    if index is None and not strict and "fields" in asked:
        index = {}
    if index is None:
        raise FindError("missing_required_key", "Missing required key: index")
    if not isinstance(index, Mapping):
        raise FindError("invalid_index", f"JSON indexes must be an object, not: {shown(index)}")
    index = dict(index)
    if not strict:
        for name in ("type", "name", "ddoc"):
            if index.get(name):
                asked[name] = index.pop(name)
        if "fields" in asked:
            index["fields"] = asked.pop("fields")
    elif "fields" in asked:
        raise FindError("invalid_key", "Invalid key fields for this request.")
    kind = _text(asked.get("type", "json"))
    if kind == "text":
        raise FindError(
            "index_service_unavailable",
            "text indexes need the plug-in search: pip install pouchdb-search",
            status=503,
        )
    if kind != "json":
        raise FindError("invalid_index", f"Invalid type for index: {kind}")
    if "fields" not in index:
        raise FindError("missing_required_key", "Missing required key: fields")
    _check_names(index, ("fields", "partial_filter_selector"))
    sort = sort_fields(index["fields"])
    for field, _ in sort:
        parse_field(field)
    partial = index.get("partial_filter_selector") or {}
    normal = normalize(partial)
    given = dict(index)
    names = tuple(field for field, _ in sort)
    ways = tuple(way for _, way in sort)
    chosen = {each: _text(asked[each]) for each in ("name", "ddoc") if asked.get(each) is not None}
    if "" in chosen.values():
        raise FindError("invalid_index_name", "Names of indexes and of their design documents must not be empty.")
    made = ""
    if len(chosen) < 2:
        made = couch_name(asked) if strict else f"idx-{_md5(asked, index, sort, partial)}"
    name, ddoc = chosen.get("name", made), chosen.get("ddoc", made)
    view = {
        "map": {"fields": dict(sort), "partial_filter_selector": normal},
        "reduce": "_count",
        "options": {"def": given},
    }
    return Definition(f"_design/{ddoc.removeprefix('_design/')}", name, names, ways, normal, given, view)


def _check_names(given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise FindError("invalid_key", f"Invalid key {name} for this request. There are: {', '.join(known)}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FindError("invalid_string", f"Invalid string: {shown(value)}")
    return value


def _md5(asked: Mapping[str, Any], index: Mapping[str, Any], sort: Iterable[tuple[str, str]], partial: Any) -> str:
    """Return PouchDB's name of an index: the MD5 of its request as PouchDB rewrites it."""
    rewritten = {**index, "fields": [{field: way} for field, way in sort]}
    if "partial_filter_selector" in index and partial:
        rewritten["partial_filter_selector"] = {
            name: value if name[:1] == "$" or isinstance(value, Mapping) else {"$eq": value}
            for name, value in partial.items()
        }
    request = {"index": rewritten, **{name: asked[name] for name in asked if name != "index"}}
    ordered = {name: request[name] for name in ([*asked] if "index" in asked else [*asked, "index"])}
    ordered.setdefault("type", "json")
    return hashlib.md5(js_json(ordered), usedforsecurity=False).hexdigest()


# -- sort ----------------------------------------------------------------------------------------


def sort_fields(sort: Any) -> list[tuple[str, str]]:
    """Return (field, "asc" or "desc") of ``["a", {"b": "desc"}]``. Raises FindError, also for mixed directions."""
    if not isinstance(sort, (list, tuple)):
        raise FindError("invalid_sort_json", f"Sort must be an array of sort specs, not: {shown(sort)}")
    found = []
    for each in sort:
        if isinstance(each, str):
            found.append((each, "asc"))
        elif isinstance(each, Mapping) and len(each) == 1 and [*each.values()][0] in ("asc", "desc"):  # noqa: RUF015
            found.append(next((field, way) for field, way in each.items()))
        else:
            raise FindError(
                "invalid_sort_field",
                f"Invalid sort field: {shown(each)}; write 'field' or {{'field': 'asc' or 'desc'}}",
            )
    if not all(isinstance(field, str) for field, _ in found):
        raise FindError("invalid_sort_field", f"Invalid sort field: {shown(sort)}: names of fields are text")
    if len({way for _, way in found}) > 1:
        raise FindError("unsupported_mixed_sort", "Sorts currently only support a single direction for all fields.")
    return found


def direction_of(sort: Sequence[tuple[str, str]]) -> str:
    """Return the one direction of a sort, ascending if there is none."""
    return sort[0][1] if sort else "asc"
