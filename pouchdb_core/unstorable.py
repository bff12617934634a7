"""Advice for values that JSON cannot represent: the end of an error message."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from os import PathLike
from typing import Any

__all__ = ["advice"]

_ADVICE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((datetime.date, datetime.time), ".isoformat() makes text of it"),
    (datetime.timedelta, ".total_seconds() makes a number of it"),
    (decimal.Decimal, "str() keeps it exactly, float() makes a number of it"),
    (uuid.UUID, "str() makes text of it"),
    (PathLike, "str() makes text of it"),
    (enum.Enum, ".value is what it stands for"),
    ((bytes, bytearray, memoryview), "attach it, or make text of it by base64.b64encode() or .decode()"),
    (AbstractSet, "sorted() or list() makes a list of it"),
    (Mapping, "dict() makes an object of it"),
    (Iterator, "list() makes a list of it"),
    (complex, "[x.real, x.imag] says it"),
)


def advice(value: Any) -> str:
    """Return how to convert a value to JSON: `` (...)``, to follow the name of its type."""
    said = next((text for kind, text in _ADVICE if isinstance(value, kind)), None)
    if said is None and dataclasses.is_dataclass(value) and not isinstance(value, type):
        said = "dataclasses.asdict() makes an object of it"
    if said is None and hasattr(type(value), "tolist"):
        # Numbers and arrays of numpy, series of pandas.
        said = ".tolist() makes Python's own value of it"
    if said is None:
        said = "convert it first"
    return f" ({said})"
