"""Which order a view's keys have: strings by code point, or as CouchDB's ICU has them, or everything as Erlang has it.

``setup(collation="icu")`` takes ICU's root collation for all views, as CouchDB does; it needs PyICU, of which there are
binary wheels (``pyicu-wheels``, the extra ``icu``). Without it, or with ``"codepoint"``, strings sort by code point.
``options: {"collation": ...}`` of a design document, or of one view, is ``"icu"``, ``"codepoint"``, ``"default"`` (as
if nothing was said), or ``"raw"``: CouchDB's raw collation, the order of Erlang's terms: numbers, false, null, true,
objects, arrays, strings by code point.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotSupported
from pouchdb_core.views.collate import encode, encode_raw, encoder

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.engine import Engine

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
    """Refuse a ``collation`` of an environment that cannot be had, at set-up. Raises BadRequest."""
    wanted = engine.settings.get("collation")
    if wanted not in (None, ICU, CODEPOINT):
        raise BadRequest(f"there is no collation {wanted!r} of an environment; there are: codepoint, icu")
    if wanted == ICU and not has_icu():
        raise BadRequest(MISSING)


def has_icu() -> bool:
    """Return whether strings can be sorted as ICU does."""
    return _icu() is not None


def icu_version() -> str | None:
    """Return the version of ICU, None where there is none."""
    found = _icu()
    return None if found is None else found[1]


def order_of(database: SyncPouchDB) -> tuple[Encode, str | None]:
    """Return what makes bytes of the values of a database, and which version of ICU does, None by code point."""
    found = _icu() if default_of(database) == ICU else None
    return (encode, None) if found is None else found


def default_of(database: SyncPouchDB) -> str:
    """Return the order of views that say nothing: ``"codepoint"`` unless the environment says otherwise."""
    return str(database.environment.engine.settings.get("collation") or CODEPOINT)


def encode_of(default: str, ddoc: Mapping[str, Any], view: str) -> Encode:
    """Return what makes bytes of a view's keys. Raises NotSupported for an order that is not there."""
    wanted = _collation(default, ddoc, view)
    if wanted == CODEPOINT:
        return encode
    if wanted == RAW:
        return encode_raw
    if wanted != ICU:
        raise NotSupported(f"{ddoc['_id']}: there is no collation {wanted!r}; there are: {', '.join(sorted(KNOWN))}")
    found = _icu()
    if found is None:
        raise NotSupported(f"{ddoc['_id']}: {MISSING}")
    return found[0]


def version_of(default: str, ddoc: Mapping[str, Any], view: str) -> list[Any]:
    """Return what makes a view's keys, part of its signature: another order, or version, makes other ones."""
    wanted = _collation(default, ddoc, view)
    if wanted == CODEPOINT:
        return []
    if wanted == RAW:
        # Before, raw was the order of strings by code point and nothing else.
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
            # ICU knows no lone surrogates: what it sorts for one is the sign for something unreadable.
            string = string.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        key: bytes = root.getSortKey(string)
        return key.rstrip(b"\x00")

    return encoder(text), str(icu.ICU_VERSION)
