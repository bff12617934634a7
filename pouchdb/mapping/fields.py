"""Fields of a mapped document: each converts between a Python value and its JSON form."""

from __future__ import annotations

import datetime
import decimal
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr

__all__ = [
    "BooleanField",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "DictField",
    "Field",
    "FloatField",
    "IntegerField",
    "ListField",
    "LongField",
    "TextField",
    "TimeField",
]


class _Owner(Protocol):
    """The document of a field, as far as the field knows it."""

    _values: dict[str, Any]


class Field:
    """One field of a document.

    ``name`` is its name in the JSON document (the attribute's name by default). ``default`` is a value
    or a function without arguments; a function is called for each new document.
    """

    name: str
    """The name of the attribute, known once the class is made."""

    def __init__(self, name: str | None = None, default: Any = None) -> None:
        self._json_name = name
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @property
    def json_name(self) -> str:
        """The field's name in the JSON document."""
        return self._json_name or self.name

    jsonName = json_name

    def default(self) -> Any:
        """Return the value for a document without one."""
        return self._default() if callable(self._default) else self._default

    def to_py(self, value: Any) -> Any:
        """Convert a value that was assigned or read from JSON; never called with None. Raises ValueError, TypeError."""
        return value

    def to_json(self, value: Any) -> Any:
        """Convert a value to what JSON can store; never called with None."""
        return value

    def __get__(self, document: _Owner | None, owner: type | None = None) -> Any:
        return self if document is None else document._values[self.json_name]

    def __set__(self, document: _Owner, value: Any) -> None:
        document._values[self.json_name] = None if value is None else self.to_py(value)

    def __delete__(self, document: _Owner) -> None:
        raise TypeError("Can't delete a document field.")


class BooleanField(Field):
    """True or False."""

    def to_py(self, value: Any) -> bool:
        return bool(value)


class TextField(Field):
    """A string."""

    def to_py(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value)


class IntegerField(Field):
    """An integer; ``"3"`` becomes 3."""

    def to_py(self, value: Any) -> int:
        return int(value)


class LongField(IntegerField):
    """An integer: Python 2 had another type for large ones."""


class FloatField(Field):
    """A number with a fraction."""

    def to_py(self, value: Any) -> float:
        return float(value)


class DecimalField(Field):
    """A ``decimal.Decimal``, stored as text so that no digit is lost."""

    def to_py(self, value: Any) -> decimal.Decimal:
        # A float read from JSON means its decimal digits, not its binary value.
        return decimal.Decimal(repr(value) if isinstance(value, float) else value)

    def to_json(self, value: Any) -> str:
        return str(value)


class DateTimeField(Field):
    """A ``datetime.datetime``, stored as ISO 8601 text.

    Also accepts a ``time.struct_time`` in local time, whole seconds since 1970 (UTC, without a time zone
    as in the original), a date, and text: ISO 8601, or any form that python-dateutil reads if it is installed.
    """

    def to_py(self, value: Any) -> Any:
        return _moment(value)

    def to_json(self, value: Any) -> str:
        return cast("str", value.isoformat())


class DateField(DateTimeField):
    """A ``datetime.date``, stored as ISO 8601 text; accepts what DateTimeField accepts."""

    def to_py(self, value: Any) -> datetime.date:
        return _moment(value).date()


class TimeField(DateTimeField):
    """A ``datetime.time``, stored as ISO 8601 text; accepts a time and what DateTimeField accepts."""

    def to_py(self, value: Any) -> datetime.time:
        if isinstance(value, datetime.time):
            return value
        if isinstance(value, str):
            try:
                return datetime.time.fromisoformat(_utc_offset(value))
            except ValueError:
                pass  # a date with a time, read below
        return _moment(value).timetz()


class _StructureField(Field):
    """A field of a mutable value; ``jsonSerializable`` and ``toPy`` convert its contents."""

    def __init__(
        self,
        name: str | None = None,
        default: Any = None,
        jsonSerializable: Callable[[Any], Any] | None = None,
        toPy: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(name, default)
        self._serialise = jsonSerializable
        self._load = toPy

    def to_json(self, value: Any) -> Any:
        return value if self._serialise is None else self._serialise(value)

    def _loaded(self, value: Any) -> Any:
        return value if self._load is None else self._load(value)


class DictField(_StructureField):
    """An object, whose fields read as attributes as well; ``{}`` by default."""

    def default(self) -> Any:
        value = super().default()
        # A new one each time: documents must not share it.
        return Record() if value is None else Record(value)

    def to_py(self, value: Mapping[str, Any]) -> Record:
        return Record(self._loaded(value))


class ListField(_StructureField):
    """A list; ``[]`` by default."""

    def default(self) -> Any:
        value = super().default()
        return [] if value is None else list(value)

    def to_py(self, value: Iterable[Any]) -> list[Any]:
        return list(self._loaded(value))


def _moment(value: Any) -> datetime.datetime:
    """Return a datetime from any of the forms that date fields accept. Raises ValueError, TypeError."""
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time())
    if isinstance(value, time.struct_time):
        # It is local time already, of any year; a leap second has no place in a datetime.
        return datetime.datetime(*value[:5], min(value.tm_sec, 59))  # noqa: DTZ001
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc).replace(tzinfo=None)
    if not isinstance(value, str):
        wrong = safe_repr(value)
        raise TypeError(f"a date is a datetime, a struct_time, whole seconds since 1970 or text, not {wrong}")
    try:
        return datetime.datetime.fromisoformat(_utc_offset(value))
    except ValueError:
        pass  # not ISO 8601 as this version of Python reads it
    try:
        from dateutil import parser  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise ValueError(
            f"{value!r} is not a date in ISO 8601 (2026-01-31T12:00:00); other forms need python-dateutil"
        ) from None
    return cast("datetime.datetime", parser.parse(value))


def _utc_offset(text: str) -> str:
    """Return ISO 8601 text with a ``Z`` as the offset that Python before 3.11 reads."""
    return text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text
