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
    ((datetime.date, datetime.time), "use .isoformat()"),
    (datetime.timedelta, "use .total_seconds()"),
    (decimal.Decimal, "use str() for the exact digits, or float()"),
    (uuid.UUID, "use str()"),
    (PathLike, "use str()"),
    (enum.Enum, "use .value"),
    ((bytes, bytearray, memoryview), "use an attachment, base64.b64encode() or .decode()"),
    (AbstractSet, "use sorted() or list()"),
    (Mapping, "use dict()"),
    (Iterator, "use list()"),
    (complex, "use [x.real, x.imag]"),
)


def advice(value: Any) -> str:
    """Return how to convert a value to JSON: `` (...)``, to follow the name of its type."""
    said = next((text for kind, text in _ADVICE if isinstance(value, kind)), None)
    if said is None and dataclasses.is_dataclass(value) and not isinstance(value, type):
        said = "use dataclasses.asdict()"
    if said is None and hasattr(value, "__geo_interface__"):
        # Geometries of shapely, geopandas and others.
        said = "use .__geo_interface__"
    if said is None and hasattr(type(value), "tolist"):
        # Numbers and arrays of numpy, series of pandas.
        said = "use .tolist()"
    if said is None:
        said = "convert it first"
    return f" ({said})"
