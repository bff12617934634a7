"""The order of a view's keys: strings by code point, or as CouchDB's ICU sorts them, or everything as in Erlang.

``setup(collation="icu")`` uses ICU's root collation for all views, as CouchDB does; it needs PyICU, which has binary
wheels (``pyicu-wheels``, the extra ``icu``). Without it, or with ``"codepoint"``, strings sort by code point.
``options: {"collation": ...}`` of a design document, or of one view, is ``"icu"``, ``"codepoint"``, ``"default"`` (as
without the option), or ``"raw"``: CouchDB's raw collation, the order of Erlang's terms: numbers, false, null, true,
objects, arrays, strings by code point.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotSupported
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.views.collate import encode, encode_raw, encoder

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database, Engine

__all__ = [
    "CODEPOINT",
    "ICU",
    "Encode",
    "check_collation",
    "default_of",
    "encode_of",
    "has_icu",
    "icu_version",
    "order_of",
    "version_of",
]

Encode = Callable[[Any], bytes]
"""As ``collate.encode``."""

ICU, CODEPOINT, RAW = "icu", "codepoint", "raw"
KNOWN = (ICU, CODEPOINT, RAW, "default")
MISSING = "collation 'icu' needs PyICU (pip install pyicu-wheels); without it strings sort by code point"


def check_collation(engine: Engine) -> None:
    """Raise BadRequest, at set-up, for a ``collation`` of an environment that is not available."""
    wanted = engine.settings.get("collation")
    if wanted not in (None, ICU, CODEPOINT):
        raise BadRequest(f"there is no collation {safe_repr(wanted)} of an environment; there are: codepoint, icu")
    if wanted == ICU and not has_icu():
        raise BadRequest(MISSING)


def has_icu() -> bool:
    """Return whether strings can be sorted as ICU does."""
    return _icu() is not None


def icu_version() -> str | None:
    """Return the version of ICU, None if it is not installed."""
    found = _icu()
    return None if found is None else found[1]


def order_of(database: Database) -> tuple[Encode, str | None]:
    """Return the ``encode`` of a database, and the version of ICU that it uses, None for code point order."""
    found = _icu() if default_of(database) == ICU else None
    return (encode, None) if found is None else found


def default_of(database: Database) -> str:
    """Return the order of views without the option: ``"codepoint"`` unless the environment says otherwise."""
    return str(database.environment.engine.settings.get("collation") or CODEPOINT)


def encode_of(default: str, ddoc: Mapping[str, Any], view: str) -> Encode:
    """Return the ``encode`` of a view's keys. Raises NotSupported for an order that is not available."""
    wanted = _collation(default, ddoc, view)
    if wanted == CODEPOINT:
        return encode
    if wanted == RAW:
        return encode_raw
    if wanted != ICU:
        there = ", ".join(sorted(KNOWN))
        raise NotSupported(f"{ddoc['_id']}: there is no collation {safe_repr(wanted)}; there are: {there}")
    found = _icu()
    if found is None:
        raise NotSupported(f"{ddoc['_id']}: {MISSING}")
    return found[0]


def version_of(default: str, ddoc: Mapping[str, Any], view: str) -> list[Any]:
    """Return the order and its version, part of a view's signature: with another one the keys differ."""
    wanted = _collation(default, ddoc, view)
    if wanted == CODEPOINT:
        return []
    if wanted == RAW:
        # In an earlier version, raw meant only the order of strings by code point.
        return [wanted, "terms"]
    found = _icu() if wanted == ICU else None
    return [wanted, None if found is None else found[1]]


def _collation(default: str, ddoc: Mapping[str, Any], view: str) -> Any:
    for options in (ddoc["views"][view].get("options"), ddoc.get("options")):
        if isinstance(options, Mapping) and options.get("collation") is not None:
            said = options["collation"]
            return default if said == "default" else said
    return default


@cache
def _icu() -> tuple[Encode, str] | None:
    try:
        icu: Any = importlib.import_module("icu")
    except ImportError:
        return None
    root = icu.Collator.createInstance(icu.Locale(""))

    def text(string: str) -> bytes:
        if not string.isascii():
            # ICU does not support lone surrogates: it sorts each as the replacement character.
            string = string.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        key: bytes = root.getSortKey(string)
        return key.rstrip(b"\x00")

    return encoder(text), str(icu.ICU_VERSION)
