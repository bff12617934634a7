"""Text indexes of Mango: design documents of ``language: "query"`` name the fields, no function runs.

As in CouchDB: every string of a document, or of the named fields, is found in the field ``default`` (``$default``
of CouchDB), unless ``default_field`` is not enabled; each field is found by its own name as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from pouchdb_core.errors import BadRequest, NotSupported
from pouchdb_core.jsontext import load
from pouchdb_core.safe_repr import safe_repr
from pouchdb_search.analysis import analyzers_of
from pouchdb_search.entries import Definition, Document, indexed
from pouchdb_search.schema import DEFAULT
from pouchdb_search.text_source import TextSource

__all__ = ["LANGUAGE", "MangoSource"]

LANGUAGE = "query"
_DOT = re.compile(r"(?<!\\)\.")
_KINDS: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}
Call = tuple[str, Any]


class MangoSource(TextSource):
    """The values that a definition of fields takes from documents."""

    def __init__(self, entry: Any) -> None:
        index = entry.get("index") if isinstance(entry, Mapping) else None
        if not isinstance(index, Mapping):
            raise BadRequest(f"a text index must be an object with an object 'index', not {safe_repr(entry)}")
        self.definition = Definition(None, analyzers_of(_named(entry.get("analyzer"))), original=False)
        default = index.get("default_field")
        self._default = not isinstance(default, Mapping) or default.get("enabled", True) is not False
        fields = index.get("fields", "all_fields")
        self._fields = None if fields == "all_fields" else [_field(each) for each in fields]
        self._passes = _passes(index.get("partial_filter_selector") or index.get("selector"))

    def compile(self) -> None:
        """There is nothing to compile."""

    def entries(
        self, ids: Sequence[str], documents: Sequence[bytes], *, texts: bool = False
    ) -> Generator[Document | Exception, None, None]:
        for id, text in zip(ids, documents, strict=True):
            doc = load(text)
            calls = list(self._calls(doc)) if self._passes is None or self._passes(doc) else []
            yield indexed(self.definition, id, [[call, None] for call in calls], texts=texts)

    def _calls(self, doc: Mapping[str, Any]) -> Iterator[Call]:
        for name, value in self._values(doc):
            yield name, value
            if self._default and isinstance(value, str):
                yield DEFAULT, value

    def _values(self, doc: Mapping[str, Any]) -> Iterator[Call]:
        members = {name: value for name, value in doc.items() if name[:1] != "_"}
        if self._fields is None:
            yield from _leaves("", members)
            return
        for name, path, kinds in self._fields:
            for value in _reached({**members, "_id": doc["_id"]}, path):
                if isinstance(value, kinds) and isinstance(value, bool) == (kinds == (bool,)):
                    yield name, value


def _named(analyzer: Any) -> Any:
    """Return an analyzer with our name of the default field."""
    if analyzer is None:
        return {"name": "perfield", "default": "keyword", "fields": {DEFAULT: "standard"}}
    if not isinstance(analyzer, Mapping) or not isinstance(analyzer.get("fields"), Mapping):
        return analyzer
    fields = {DEFAULT if name == "$default" else name: each for name, each in analyzer["fields"].items()}
    return {**analyzer, "fields": fields}


def _field(given: Any) -> tuple[str, list[str], tuple[type, ...]]:
    if not isinstance(given, Mapping) or not given:
        raise BadRequest(f"a field of a text index must be {{'name': ..., 'type': ...}}, not {safe_repr(given)}")
    if "name" in given:
        name, kind = given["name"], given.get("type", "string")
    else:
        # As CouchDB lists it.
        ((name, kind),) = list(given.items())[:1]
    if not isinstance(name, str):
        raise BadRequest(f"the name of a field must be a string, not {safe_repr(name)}")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadRequest(f"the type of the field {name!r} must be string, number or boolean, not {safe_repr(kind)}")
    return name, [part.replace("\\", "") for part in _DOT.split(name)], _KINDS[kind]


def _reached(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield the values at a path; ``[]`` matches every element of an array."""
    if not path:
        yield value
    elif path[0] == "[]":
        for each in value if isinstance(value, list) else ():
            yield from _reached(each, path[1:])
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _reached(value[path[0]], path[1:])


def _leaves(name: str, value: Any) -> Iterator[Call]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(f"{name}.{key}" if name else key, each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(name, each)
    elif value is not None:
        yield name, value


def _passes(selector: Any) -> Callable[[Mapping[str, Any]], bool] | None:
    if not selector:
        return None
    try:
        from pouchdb_find import predicate
    except ImportError:
        raise NotSupported("partial_filter_selector needs the plug-in find: pip install 'pouchdb[find]'") from None
    passes: Callable[[Mapping[str, Any]], bool] = predicate(selector)
    return passes
