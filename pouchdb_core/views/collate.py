"""CouchDB's order of keys, as bytes: ``encode(a) < encode(b)`` just when ``a`` comes before ``b``.

null < false < true < numbers < strings < arrays < objects. Numbers compare by value, integers of any
size exactly; strings by code point; arrays element by element and objects field by field, the shorter one
first; an object's fields are compared in their order, name before value.

One byte is the type, then the elements follow; arrays, objects and strings end with a zero byte,
which is lower than any type. A range of keys is a range of bytes, so SQL can scan it.

``encode_raw`` has the order of Erlang's terms, which CouchDB's ``"collation": "raw"`` asks for: numbers < false <
null < true < objects < arrays < strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

from pouchdb_core.jsontext import CUT
from pouchdb_core.safe_repr import safe_repr

__all__ = [
    "AFTER",
    "ARRAY",
    "END",
    "FALSE",
    "NULL",
    "NUMBER",
    "OBJECT",
    "STRING",
    "TRUE",
    "encode",
    "encode_raw",
    "encoder",
    "group_of",
]

END = b"\x00"
NULL, FALSE, TRUE = b"\x10", b"\x20", b"\x21"
NUMBER, STRING, ARRAY, OBJECT = b"\x30", b"\x40", b"\x50", b"\x60"

_RAW_ATOMS = {False: b"\x31", None: b"\x32", True: b"\x33"}
_RAW_OBJECT, _RAW_ARRAY, _RAW_STRING = b"\x34", b"\x35", b"\x36"
_STRINGS, _ARRAYS = (STRING, _RAW_STRING), (ARRAY, _RAW_ARRAY)
_NESTED = (ARRAY, OBJECT, _RAW_ARRAY, _RAW_OBJECT)

AFTER = b"\xff"
"""Sorts after every continuation of a key: ``key + AFTER`` ends the range of keys that begin with ``key``."""

_pack = Struct(">d").pack
_INVERT = bytes(255 - byte for byte in range(256))
_EXACT = 2**53
# From here on a double stands for several integers; two more bytes say which one, or how many further bytes do.
_BIG = _pack(-float(_EXACT))
_BIG_NEGATIVE = _pack(-float(_EXACT)).translate(_INVERT)
_MIDDLE, _ABOVE, _BELOW = 0x8000, 0xC000, 0x4000
_NEAR = 1024
_INFINITE = float("inf")


def encode(key: Any) -> bytes:
    """Return the bytes of a JSON value. Raises ValueError if it is not one, or is nested deeper than ``CUT`` levels."""
    return _bounded(_encode, key)


def _bounded(encoder: Callable[[Any], bytes], key: Any) -> bytes:
    try:
        data = encoder(key)
    except RecursionError:
        data = None
    # Each level takes two bytes at least. Python's recursion limit is not the rule: a program may have raised it.
    if data is None or (len(data) > 2 * CUT and _is_too_deep(key)):
        raise ValueError(f"the key is nested deeper than {CUT} levels")
    return data


def _is_too_deep(key: Any) -> bool:
    level = [key]
    for _ in range(CUT):
        level = [
            member
            for value in level
            if isinstance(value, (list, tuple, Mapping))
            for member in (value.values() if isinstance(value, Mapping) else value)
        ]
        if not level:
            return False
    return any(isinstance(value, (list, tuple, Mapping)) for value in level)


def _encode(value: Any) -> bytes:
    try:
        return _ENCODERS[type(value)](value)
    except KeyError:
        return _other(value)


def _string(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = text.encode("utf-8", "surrogatepass")
    return STRING + _escaped(data) + END


def _escaped(data: bytes) -> bytes:
    if b"\x00" in data or b"\x01" in data:
        return data.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")
    return data


def _float(number: float) -> bytes:
    if number >= 0:
        # Negating sets the sign bit, and makes -0.0 and 0.0 equal.
        data = NUMBER + _pack(-(number + 0.0))
    elif number < 0:
        data = NUMBER + _pack(number).translate(_INVERT)
    else:
        raise ValueError("NaN is not JSON")
    if -_EXACT < number < _EXACT:
        return data
    if number in (_INFINITE, -_INFINITE):
        raise ValueError("an infinite number is not JSON")
    return data + _residual(0)


def _int(number: int) -> bytes:
    if -_EXACT < number < _EXACT:
        return _float(number)
    try:
        nearest = float(number)
        return _float(nearest)[:9] + _residual(number - int(nearest))
    except OverflowError:
        # Beyond all doubles.
        if number > 0:
            return NUMBER + _pack(-_INFINITE) + _residual(number)
        return NUMBER + _pack(-_INFINITE).translate(_INVERT) + _residual(number)


def _residual(residual: int) -> bytes:
    """Return the bytes for the difference between an integer and its double; 0 if the double is exact."""
    if -_NEAR <= residual <= _NEAR:
        # All integers of 64 bits.
        return (residual + _MIDDLE).to_bytes(2, "big")
    data = abs(residual).to_bytes((residual.bit_length() + 7) // 8, "big")
    if len(data) >= _BELOW:
        raise ValueError("the number is too large")
    if residual > 0:
        return (_ABOVE + len(data)).to_bytes(2, "big") + data
    return (_BELOW - len(data)).to_bytes(2, "big") + data.translate(_INVERT)


def _array(values: Any) -> bytes:
    return ARRAY + b"".join([_encode(value) for value in values]) + END


def _object(members: Mapping[str, Any]) -> bytes:
    parts = []
    for name, value in members.items():
        if not isinstance(name, str):
            raise ValueError(f"the name of a member must be text, not {safe_repr(name)}")
        parts.append(_string(name) + _encode(value))
    return OBJECT + b"".join(parts) + END


def _other(value: Any) -> bytes:
    for kind in (bool, str, int, float, list, tuple, Mapping):
        if isinstance(value, kind):
            encoder: Callable[[Any], bytes] = _object if kind is Mapping else _ENCODERS[kind]
            return encoder(value)
    raise ValueError(f"a key is JSON, not {type(value).__name__}")


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: NULL,
    bool: lambda value: TRUE if value else FALSE,
    int: _int,
    float: _float,
    str: _string,
    list: _array,
    tuple: _array,
    dict: _object,
}


def encoder(text: Callable[[str], bytes]) -> Callable[[Any], bytes]:
    """Return another ``encode`` in which strings sort as the bytes that ``text`` returns for them."""

    def one(value: Any) -> bytes:
        if isinstance(value, str):
            return STRING + _escaped(text(value)) + END
        if isinstance(value, (list, tuple)):
            return ARRAY + b"".join([one(each) for each in value]) + END
        if isinstance(value, Mapping):
            encode(dict.fromkeys(value))  # refuses names that are no text
            return OBJECT + b"".join([one(name) + one(member) for name, member in value.items()]) + END
        return _encode(value)

    def encode_by(key: Any) -> bytes:
        return _bounded(one, key)

    return encode_by


def encode_raw(key: Any) -> bytes:
    """Return the bytes of a JSON value in the order of Erlang's terms. Raises ValueError as ``encode`` does."""
    return _bounded(_raw, key)


def _raw(value: Any) -> bytes:
    if value is None or isinstance(value, bool):
        return _RAW_ATOMS[value]
    if isinstance(value, str):
        return _RAW_STRING + _string(value)[1:]
    if isinstance(value, (list, tuple)):
        return _RAW_ARRAY + b"".join([_raw(each) for each in value]) + END
    if isinstance(value, Mapping):
        encode(dict.fromkeys(value))  # refuses names that are no text
        return _RAW_OBJECT + b"".join([_raw(name) + _raw(member) for name, member in value.items()]) + END
    return _encode(value)


def group_of(key: bytes, level: int) -> tuple[bytes, bool]:
    """Return where the group of a key begins, by the first ``level`` elements of arrays.

    The second value is True if the group is all keys that continue these bytes, False if it is just this
    key, because it is not an array or is a shorter one.
    """
    if key[:1] not in _ARRAYS:
        return key, False
    at = 1
    for _ in range(level):
        if key[at] == 0:
            return key, False
        at = _skip(key, at)
    return key[:at], True


def _skip(data: bytes, at: int) -> int:
    """Return where the value that begins at ``at`` ends."""
    depth = 0
    while True:
        tag = data[at : at + 1]
        at += 1
        if tag == NUMBER:
            number = data[at : at + 8]
            at += 8
            if not _BIG_NEGATIVE < number < _BIG:
                mark = int.from_bytes(data[at : at + 2], "big")
                at += 2 + (mark - _ABOVE if mark >= _ABOVE else _BELOW - mark if mark <= _BELOW else 0)
        elif tag in _STRINGS:
            at = data.index(END, at) + 1
        elif tag in _NESTED:
            depth += 1
        elif tag == END:
            depth -= 1
        if not depth:
            return at
