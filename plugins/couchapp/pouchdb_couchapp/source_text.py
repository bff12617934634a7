"""Thrown values as CouchDB writes them in its reasons: JavaScript's old ``toSource()``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["to_source"]

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")


def to_source(thrown: Mapping[str, Any]) -> str:
    """Return what a function threw (``details["thrown"]`` of our errors) as source text."""
    if thrown.get("name") is not None:
        return f"(new {thrown['name']}({_quoted(str(thrown.get('message') or ''))}))"
    value = thrown.get("value")
    if isinstance(value, str):
        return f"(new String({_quoted(value)}))"
    if isinstance(value, bool):
        return f"(new Boolean({_inner(value)}))"
    if isinstance(value, (int, float)):
        return f"(new Number({_inner(value)}))"
    if isinstance(value, Mapping):
        return f"({_inner(value)})"
    if value is None:
        return str(thrown.get("text") or "null")
    return _inner(value)


def _inner(value: Any) -> str:
    if isinstance(value, Mapping):
        members = (f"{key if _NAME.match(key) else _quoted(key)}:{_inner(each)}" for key, each in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_inner, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
