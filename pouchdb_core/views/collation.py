"""Which order the strings in a view's keys have: by code point, or as CouchDB's ICU has it.

``options: {"collation": "icu"}`` of a design document, or of one view, asks for ICU's root collation, which needs
PyICU. ``"raw"`` is the default here: strings by code point.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pouchdb_core.errors import NotSupported
from pouchdb_core.views.collate import encode, encoder

__all__ = ["Encode", "collation", "encode_of", "version_of"]

Encode = Callable[[Any], bytes]
"""As ``collate.encode``."""


def collation(ddoc: Mapping[str, Any], view: str) -> Any:
    """Return what a view, or else its design document, says about the order of strings; None if nothing."""
    for options in (ddoc["views"][view].get("options"), ddoc.get("options")):
        if isinstance(options, Mapping) and options.get("collation") is not None:
            return options["collation"]
    return None


def encode_of(ddoc: Mapping[str, Any], view: str) -> Encode:
    """Return what makes bytes of a view's keys. Raises NotSupported for an order that is not there."""
    wanted = collation(ddoc, view)
    if wanted in (None, "raw"):
        return encode
    if wanted != "icu":
        raise NotSupported(f"{ddoc['_id']}: there is no collation {wanted!r}; there are: icu, raw")
    found = _icu()
    if found is None:
        raise NotSupported(
            f"{ddoc['_id']}: collation 'icu' needs PyICU (pip install PyICU); without it strings sort by code point"
        )
    return found[0]


def version_of(ddoc: Mapping[str, Any], view: str) -> str | None:
    """Return which ICU makes a view's keys, part of its signature: another one may order otherwise."""
    found = _icu() if collation(ddoc, view) == "icu" else None
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
