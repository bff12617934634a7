"""Parameters of the URL as values: numbers, flags and JSON, refused with what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.jsontext import from_text

if TYPE_CHECKING:
    from pouchdb_server.messages import Request

__all__ = ["LISTING", "READING", "VIEWING", "chosen", "flag", "is_number", "json", "number", "parameters"]

READING = {
    "conflicts": "flag",
    "deleted_conflicts": "flag",
    "local_seq": "flag",
    "meta": "flag",
    "revs": "flag",
    "revs_info": "flag",
}
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


def flag(name: str, text: Any) -> bool:
    """Return a parameter that is true or false. Raises QueryParseError."""
    if text in ("true", True):
        return True
    if text in ("false", False):
        return False
    raise QueryParseError(f"Invalid boolean parameter: {name}={text}")


def is_number(text: str) -> bool:
    """Return whether a text is a number from 0 up that a database can count to."""
    return text.isascii() and text.isdigit() and len(text) < 20


def number(name: str, text: Any) -> int:
    """Return a parameter that is a number from 0 up. Raises QueryParseError."""
    if type(text) is int and text >= 0:
        return text
    if isinstance(text, str) and is_number(text):
        return int(text)
    raise QueryParseError(f"Invalid value for positive integer: {name}={text}")


def json(name: str, text: Any) -> Any:
    """Return a parameter that is JSON. Raises QueryParseError."""
    if not isinstance(text, str):
        return text
    try:
        return from_text(text)
    except BadRequest as error:
        raise QueryParseError(f"{name}: {error.message}") from None


def chosen(given: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """Return those parameters that are known, as values; others are left alone, as CouchDB does.

    ``known`` tells the kind of each, or the name it is another spelling of. What comes from a body
    is a value already.
    """
    values: dict[str, Any] = {}
    for name, text in given.items():
        kind = known.get(name)
        if kind is None:
            continue
        if kind not in _KINDS:
            name, kind = kind, known[kind]
        values[name] = _KINDS[kind](name, text)
    return values


def parameters(request: Request, known: Mapping[str, str]) -> dict[str, Any]:
    """Return the known parameters of the URL, and of the body of a POST, which count more."""
    values = chosen(request.query, known)
    if request.method == "POST":
        body = request.json(required=False)
        _check_keys(body)
        # Texts of a body are texts, not JSON in a text.
        for name, value in body.items():
            kind = known.get(name)
            if kind is None:
                continue
            if kind not in _KINDS:
                name, kind = kind, known[kind]
            values[name] = value if kind == "json" else _KINDS[kind](name, value)
    return values


def _check_keys(body: Mapping[str, Any]) -> None:
    if "keys" in body and not isinstance(body["keys"], list):
        raise BadRequest("`keys` body member must be an array.")


_KINDS: dict[str, Callable[[str, Any], Any]] = {
    "flag": flag,
    "json": json,
    "leaves": lambda name, text: text if text == "all" else json(name, text),
    "number": number,
    "text": lambda name, text: text,
}
