"""Which order a view's keys have: strings by code point, or as CouchDB's ICU has them, or everything as Erlang has it.

``options: {"collation": "icu"}`` of a design document, or of one view, asks for ICU's root collation, which needs
PyICU. ``"raw"`` is CouchDB's raw collation, the order of Erlang's terms: numbers, false, null, true, objects, arrays,
strings by code point. ``"default"`` is what a view has that says nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pouchdb_core.errors import NotSupported
from pouchdb_core.views.collate import encode, encode_raw, encoder

__all__ = ["Encode", "collation", "encode_of", "version_of"]

Encode = Callable[[Any], bytes]
"""As ``collate.encode``."""


def collation(ddoc: Mapping[str, Any], view: str) -> Any:
    """Return what a view, or else its design document, says about the order of its keys; None for the default."""
    for options in (ddoc["views"][view].get("options"), ddoc.get("options")):
        if isinstance(options, Mapping) and options.get("collation") is not None:
            return None if options["collation"] == "default" else options["collation"]
    return None


def encode_of(ddoc: Mapping[str, Any], view: str) -> Encode:
    """Return what makes bytes of a view's keys. Raises NotSupported for an order that is not there."""
    wanted = collation(ddoc, view)
    if wanted is None:
        return encode
    if wanted == "raw":
        return encode_raw
    if wanted != "icu":
        raise NotSupported(f"{ddoc['_id']}: there is no collation {wanted!r}; there are: default, icu, raw")
    found = _icu()
    if found is None:
        raise NotSupported(
            f"{ddoc['_id']}: collation 'icu' needs PyICU (pip install PyICU); without it strings sort by code point"
        )
    return found[0]


def version_of(ddoc: Mapping[str, Any], view: str) -> str | None:
    """Return what makes a view's keys, part of its signature: another version may order otherwise."""
    wanted = collation(ddoc, view)
    if wanted == "raw":
        # Before, raw was the order of strings by code point and nothing else.
        return "terms"
    found = _icu() if wanted == "icu" else None
    return None if found is None else found[1]


@cache
def _icu() -> tuple[Encode, str] | None:
    try:
        icu: Any = importlib.import_module("icu")
    except ImportError:
        return None
    root = icu.Collator.createInstance(icu.Locale(""))

    def text(string: str) -> bytes:
        # ICU knows no lone surrogates: what it sorts for one is the sign for something unreadable.
        key: bytes = root.getSortKey(string.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        return key.rstrip(b"\x00")

    return encoder(text), str(icu.ICU_VERSION)
