"""Text indexes: requests for them, and the design documents that hold them, as in CouchDB.

They belong to the plug-in search: it builds and searches what a design document of ``language: "query"`` defines in
``indexes``, and without it there are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pouchdb_core.results import Record
from pouchdb_find.couch_names import couch_name
from pouchdb_find.definitions import LANGUAGE
from pouchdb_find.errors import FindError, shown
from pouchdb_find.fields import parse_field
from pouchdb_find.selectors import Selector, normalize

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["TextDefinition", "has_search", "requested_text", "text_definitions"]

ALL_FIELDS = "all_fields"
_KEYS = ("index", "type", "name", "ddoc", "w", "partitioned")
_INDEX_KEYS = (
    *("fields", "default_field", "default_analyzer", "partial_filter_selector", "selector"),
    "index_array_lengths",
)
_TYPES = ("string", "number", "boolean")


@dataclass(frozen=True)
class TextDefinition:
    """One text index."""

    ddoc: str
    name: str
    partial: Selector
    stored: Mapping[str, Any]
    """Its entry in the design document's ``indexes``."""

    @property
    def path(self) -> str:
        """Its name in the plug-in search."""
        return f"{self.ddoc.removeprefix('_design/')}/{self.name}"

    def json(self) -> Record:
        """Return the entry of get_indexes."""
        index = {name: value for name, value in self.stored["index"].items() if value != {} or name == "default_field"}
        if isinstance(index.get("fields"), list):
            index["fields"] = [
                Record({each["name"]: each.get("type", "string")}) if "name" in each else each
                for each in index["fields"]
            ]
        return Record(ddoc=self.ddoc, name=self.name, type="text", **{"def": Record(index)})


def has_search(database: SyncPouchDB) -> bool:
    """Return whether the plug-in search is available for a database."""
    return hasattr(database, "search")


def text_definitions(database: SyncPouchDB, designs: Iterable[Mapping[str, Any]]) -> list[TextDefinition]:
    """Return the text indexes of design documents, by document and name; none without the plug-in search."""
    found: list[TextDefinition] = []
    for ddoc in designs if has_search(database) else ():
        entries = ddoc.get("indexes")
        if ddoc.get("language") != LANGUAGE or not isinstance(entries, Mapping):
            continue
        for name, entry in sorted(entries.items()):
            index = entry.get("index") if isinstance(entry, Mapping) else None
            if isinstance(index, Mapping):
                partial = index.get("partial_filter_selector") or index.get("selector") or {}
                try:
                    found.append(TextDefinition(ddoc["_id"], name, normalize(partial), entry))
                except FindError:
                    # Written by another program, and not readable.
                    continue
    return found


def requested_text(request: Mapping[str, Any]) -> TextDefinition:
    """Return the text index that a request of ``"type": "text"`` defines. Raises FindError."""
    index = request.get("index", {})
    if not isinstance(index, Mapping):
        raise FindError("invalid_index", f"a text index is an object, not: {shown(index)}")
    for given, known in ((request, _KEYS), (index, _INDEX_KEYS)):
        for name in given:
            if name not in known:
                raise FindError("invalid_key", f"Invalid key {name} for this request. There are: {', '.join(known)}")
    partial = index.get("partial_filter_selector") or index.get("selector") or {}
    normal = normalize(partial)
    default = index.get("default_field", {})
    if not isinstance(default, Mapping) or not isinstance(default.get("enabled", True), bool):
        raise FindError("invalid_index", f"default_field is {{'enabled', 'analyzer'}}, not {shown(default)}")
    analyzer = index.get("default_analyzer", "keyword")
    stored = {
        "index": {
            "default_analyzer": analyzer,
            "default_field": default,
            "partial_filter_selector": normal,
            "fields": _fields(index.get("fields", ALL_FIELDS)),
            "index_array_lengths": index.get("index_array_lengths", True),
        },
        "analyzer": {
            "name": "perfield",
            "default": analyzer,
            "fields": {"$default": default.get("analyzer", "standard")},
        },
    }
    names = [request.get(each) for each in ("ddoc", "name")]
    for each in names:
        if each is not None and not isinstance(each, str):
            raise FindError("invalid_string", f"Invalid string: {shown(each)}")
    made = couch_name({**request, "index": index}) if None in names else ""
    ddoc, name = (each or made for each in names)
    return TextDefinition(f"_design/{ddoc.removeprefix('_design/')}", name, normal, stored)


def _fields(given: Any) -> Any:
    if given == ALL_FIELDS:
        return given
    if not isinstance(given, (list, tuple)) or not given:
        raise FindError("invalid_index_fields_definition", f"fields is a list, or {ALL_FIELDS!r}, not {shown(given)}")
    found = []
    for each in given:
        name = each.get("name") if isinstance(each, Mapping) else None
        if not isinstance(name, str) or each.get("type", "string") not in _TYPES:
            raise FindError(
                "invalid_index_fields_definition",
                f"a field of a text index is {{'name': ..., 'type': {' or '.join(map(repr, _TYPES))}}}, "
                f"not {shown(each)}",
            )
        parse_field(name)
        found.append({"name": name, "type": each.get("type", "string")})
    return found
