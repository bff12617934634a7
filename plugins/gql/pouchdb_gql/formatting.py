"""The clause ``format``: patterns of ICU for numbers and dates, ``'yes:no'`` for booleans; and cells as JSON."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_decimal

from pouchdb_core.revisions.numbers import MAX_DIGITS, digits_of
from pouchdb_gql.errors import GqlError
from pouchdb_gql.temporal import temporal

__all__ = ["formatter", "plain"]

_LOCALE = "en_US"


def plain(value: Any) -> Any:
    """Return a cell as a JSON value: dates and times become ISO strings."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="auto")
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value


def formatter(pattern: str) -> Callable[[Any], Any]:
    """Return a function that formats a cell as text. Null stays null, a string that is not a date is unchanged."""

    def apply(value: Any) -> Any:
        if value is None:
            return None
        try:
            return _formatted(value, pattern)
        except (ValueError, KeyError, AttributeError, IndexError) as error:
            raise GqlError(
                "label_error", f"{pattern!r} is no pattern for {plain(value)!r}: {error}", clause="format"
            ) from error

    return apply


def _formatted(value: Any, pattern: str) -> Any:
    if isinstance(value, bool):
        yes, colon, no = pattern.partition(":")
        return (yes if value else no) if colon else str(value).lower()
    if isinstance(value, (int, float)):
        with decimal.localcontext() as context:
            # All digits of an integer, and those of the longest double.
            context.prec = MAX_DIGITS + 400
            number = decimal.Decimal(digits_of(value)) if isinstance(value, int) else value
            return format_decimal(number, format=pattern, locale=_LOCALE)
    moment = temporal(value)
    if isinstance(moment, datetime.datetime):
        return format_datetime(moment, pattern, locale=_LOCALE)
    if isinstance(moment, datetime.date):
        return format_date(moment, pattern, locale=_LOCALE)
    if isinstance(moment, datetime.time):
        return format_time(moment, pattern, locale=_LOCALE)
    return value
