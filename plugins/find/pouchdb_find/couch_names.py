"""The names that CouchDB gives to indexes without one, so that both give the same index the same name.

CouchDB hashes the request as Erlang serializes it (the external term format). Checked against the name in CouchDB's
documentation and the order of names that a CouchDB 3.5 listed.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

__all__ = ["couch_name"]


class _Atom(str):
    __slots__ = ()


def couch_name(request: Mapping[str, Any]) -> str:
    """Return the name of an index for the body of ``POST /{db}/_index``."""
    options = [
        (_Atom("ddoc"), request.get("ddoc", _Atom("auto_name"))),
        (_Atom("def"), request["index"]),
        (_Atom("name"), request.get("name", _Atom("auto_name"))),
        (_Atom("partitioned"), request.get("partitioned", _Atom("db_default"))),
        (_Atom("type"), request.get("type", "json")),
        (_Atom("w"), request.get("w", 2)),
    ]
    term = b"\x83" + _term((request["index"], options))
    return hashlib.sha1(term, usedforsecurity=False).hexdigest()


def _term(value: Any) -> bytes:
    if value is None or value is True or value is False:
        return _term(_Atom("null" if value is None else str(value).lower()))
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return (
            b"d" + struct.pack(">H", len(data)) + data
            if type(value) is _Atom
            else b"m" + struct.pack(">I", len(data)) + data
        )
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return b"F" + struct.pack(">d", value)
    if isinstance(value, tuple):
        return b"h" + bytes([len(value)]) + b"".join(map(_term, value))
    if isinstance(value, Mapping):
        return b"h\x01" + _list([(name, member) for name, member in value.items()])
    return _list(list(value))


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"a" + bytes([value])
    if -(2**31) <= value < 2**31:
        return b"b" + struct.pack(">i", value)
    data = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
    return b"n" + bytes([len(data), value < 0]) + data


def _list(values: list[Any]) -> bytes:
    if not values:
        return b"j"
    if len(values) < 2**16 and all(type(each) is int and 0 <= each < 256 for each in values):
        return b"k" + struct.pack(">H", len(values)) + bytes(values)
    return b"l" + struct.pack(">I", len(values)) + b"".join(map(_term, values)) + b"j"
