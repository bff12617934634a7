"""Names of fields, such as ``address.city`` or ``version\\.number``: reading and projecting them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from pouchdb_core.results import Record
from pouchdb_find.errors import FindError, shown

__all__ = ["Absent", "getter", "parse_field", "projection"]


class Absent(Enum):
    """Why a document has no such field. CouchDB distinguishes the two: ``$exists: false`` matches only the first."""

    NOT_FOUND = "the object on the way has no such member"
    BAD_PATH = "there is no object on the way, or no such element"


NOT_FOUND, BAD_PATH = Absent.NOT_FOUND, Absent.BAD_PATH
_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")
_INDEX = re.compile(r"[+-]?[0-9]+", re.ASCII)


@lru_cache(maxsize=4096)
def parse_field(name: str) -> tuple[str, ...]:
    """Return the path of a field: ``"a.b"`` is ``("a", "b")``, ``"a\\\\.b"`` is ``("a.b",)``.

    Raises FindError (``invalid_field_name``) for an empty part.
    """
    parts = name.split(".") if "\\" not in name else _UNESCAPED_DOT.split(name)
    if "" in parts:
        raise FindError("invalid_field_name", f"the field name {shown(name)} has an empty part: write \\. for a dot")
    return tuple(part.replace("\\", "") for part in parts) if "\\" in name else tuple(parts)


def getter(name: str) -> Callable[[Any], Any]:
    """Return a function that reads a field of a JSON value, or returns why it is Absent."""
    path = parse_field(name)
    if len(path) == 1:
        key = path[0]

        def member(value: Any) -> Any:
            # The usual case without the slower check for a Mapping.
            return value.get(key, NOT_FOUND) if isinstance(value, dict) else _step(value, key)

        return member

    if len(path) == 2:
        outer, inner = path

        def nested(value: Any) -> Any:
            value = value.get(outer, NOT_FOUND) if isinstance(value, dict) else _step(value, outer)
            if isinstance(value, dict):
                return value.get(inner, NOT_FOUND)
            return value if type(value) is Absent else _step(value, inner)

        return nested

    def walk(value: Any) -> Any:
        for part in path:
            value = value.get(part, NOT_FOUND) if isinstance(value, dict) else _step(value, part)
            if type(value) is Absent:
                return value
        return value

    return walk


def _step(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part, NOT_FOUND)
    if isinstance(value, (list, tuple)) and _INDEX.fullmatch(part) and len(part) < 20:
        index = int(part)
        if 0 <= index < len(value):
            return value[index]
    return BAD_PATH


def projection(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Record]:
    """Return a function that copies the named fields of a document, with the same nesting."""
    readers = [(parse_field(name), getter(name)) for name in names]

    def project(doc: Mapping[str, Any]) -> Record:
        answer = Record()
        for path, read in readers:
            value = read(doc)
            if type(value) is not Absent:
                _set(answer, path, value)
        return answer

    return project


def _set(target: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        inner = target.get(part)
        if not isinstance(inner, dict):
            inner = target[part] = Record()
        target = inner
    target[path[-1]] = value
