"""Parameters of the URL as values: numbers, flags and JSON, or an error that says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.jsontext import dump
from pouchdb_server.messages import parsed

if TYPE_CHECKING:
    from pouchdb_server.messages import Request

__all__ = [
    "LIKE_VIEW",
    "LISTING",
    "READING",
    "VIEWING",
    "as_values",
    "chosen",
    "flag",
    "is_number",
    "json",
    "number",
    "parameters",
    "switch",
]

READING = {
    "conflicts": "switch",
    "deleted_conflicts": "switch",
    "local_seq": "switch",
    "meta": "switch",
    "revs": "switch",
    "revs_info": "switch",
}
"""Of a document: values other than ``true`` are ignored, as in CouchDB."""
LISTING = {
    "attachments": "flag",
    "conflicts": "flag",
    "descending": "flag",
    "end_key": "endkey",
    "endkey": "json",
    "include_docs": "flag",
    "inclusive_end": "flag",
    "key": "json",
    "keys": "json",
    "limit": "number",
    "skip": "number",
    "start_key": "startkey",
    "startkey": "json",
    "update_seq": "flag",
}
LIKE_VIEW = {
    **LISTING,
    "group": "flag",
    "group_level": "number",
    "partition": "text",
    "reduce": "flag",
    "sorted": "flag",
    "stable": "flag",
    "stale": "text",
    "update": "text",
}
"""Of a list of documents: CouchDB takes it for a view without a reduce function, and checks what views have."""
VIEWING = {
    **LISTING,
    "end_key_doc_id": "endkey_docid",
    "endkey_docid": "text",
    "group": "flag",
    "group_level": "number",
    "reduce": "flag",
    "stable": "flag",
    "stale": "text",
    "start_key_doc_id": "startkey_docid",
    "startkey_docid": "text",
    "update": "text",
}
INTEGER = re.compile(r"[+-]?[0-9]+")


def flag(name: str, text: Any) -> bool:
    """Return a parameter of a list that is true or false, in any case. Raises QueryParseError."""
    if text is True or text is False:
        return bool(text)
    said = text.lower() if isinstance(text, str) else ""
    if said not in ("true", "false"):
        raise QueryParseError(f"Invalid boolean parameter: {_shown(text)}")
    return said == "true"


def switch(name: str, text: Any) -> bool | None:
    """Return True for a parameter that is ``true``, None for any other, which is ignored."""
    return True if text in ("true", True) else None


def is_number(text: str) -> bool:
    """Return whether a string is a number from 0 up in the range of a database."""
    return text.isascii() and text.isdigit() and len(text) < 20


def number(name: str, text: Any) -> int:
    """Return a parameter that is a number from 0 up. Raises QueryParseError."""
    if type(text) is int and text >= 0:
        return text
    if isinstance(text, str) and is_number(text):
        return int(text)
    is_integer = type(text) is int or (isinstance(text, str) and INTEGER.fullmatch(text))
    kind = "positive integer" if is_integer else "integer"
    raise QueryParseError(f"Invalid value for {kind}: {_shown(text)}")


def json(name: str, text: Any) -> Any:
    """Return a parameter that is JSON. Raises BadRequest."""
    return parsed(text) if isinstance(text, str) else text


def _shown(value: Any) -> str:
    return dump(value).decode()


def chosen(given: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """Return the known parameters, as values; others are ignored, as in CouchDB.

    ``known`` has the kind of each, or the name it is an alias of. What comes from a body
    is a value already. ``key`` is a start and an end: if others contradict it, the last is used.
    """
    values: dict[str, Any] = {}
    for name, text in given.items():
        kind = known.get(name)
        if kind is None:
            continue
        if kind not in _KINDS:
            name, kind = kind, known[kind]
        value = _KINDS[kind](name, text)
        if name == "key":
            values["startkey"] = values["endkey"] = value
        elif kind != "switch" or value is not None:
            values[name] = value
    return values


def parameters(request: Request, known: Mapping[str, str]) -> dict[str, Any]:
    """Return the known parameters of a POST's body and of the URL, which takes precedence, as in CouchDB."""
    values: dict[str, Any] = {}
    if request.method == "POST":
        body = request.json(required=False)
        if "keys" in body and not isinstance(body["keys"], list):
            raise BadRequest("`keys` body member must be an array.")
        values = chosen(body, as_values(known))
    return {**values, **chosen(request.query, known)}


def as_values(known: Mapping[str, str]) -> dict[str, str]:
    """Return the kinds of parameters as they are in a body, where strings are strings, not JSON in a string."""
    return {name: "text" if kind == "json" else kind for name, kind in known.items()}


_KINDS: dict[str, Callable[[str, Any], Any]] = {
    "flag": flag,
    "json": json,
    "leaves": lambda name, text: text if text == "all" else json(name, text),
    "number": number,
    "switch": switch,
    "text": lambda name, text: text,
}
