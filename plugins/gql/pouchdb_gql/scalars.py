"""Scalar functions. They return null for null, and for a value of a type that the function does not accept."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from pouchdb_gql.temporal import temporal

__all__ = ["SCALAR_FUNCTIONS"]

_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - moments here are UTC without a zone


def _of_day(read: Callable[[Any], int]) -> Callable[[Any], int | None]:
    """Make a function of dates and datetimes."""

    def apply(value: Any) -> int | None:
        moment = temporal(value)
        return read(moment) if isinstance(moment, datetime.date) else None

    return apply


def _of_time(read: Callable[[Any], int]) -> Callable[[Any], int | None]:
    """Make a function of datetimes and times of day."""

    def apply(value: Any) -> int | None:
        moment = temporal(value)
        return read(moment) if isinstance(moment, (datetime.datetime, datetime.time)) else None

    return apply


def _days(value: Any) -> int | None:
    moment = temporal(value)
    return moment.toordinal() if isinstance(moment, datetime.date) else None


def _date_diff(first: Any, second: Any) -> int | None:
    one, other = _days(first), _days(second)
    return None if one is None or other is None else one - other


def _to_date(value: Any) -> datetime.date | None:
    if type(value) in (int, float):
        try:
            return (_EPOCH + datetime.timedelta(milliseconds=value)).date()
        except (OverflowError, ValueError):
            return None
    moment = temporal(value)
    if isinstance(moment, datetime.datetime):
        return moment.date()
    return moment if isinstance(moment, datetime.date) else None


def _cased(apply: Callable[[str], str]) -> Callable[[Any], str | None]:
    return lambda value: apply(value) if isinstance(value, str) else None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


SCALAR_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "year": (1, 1, _of_day(lambda moment: moment.year)),
    # From 0, as in JavaScript.
    "month": (1, 1, _of_day(lambda moment: moment.month - 1)),
    "day": (1, 1, _of_day(lambda moment: moment.day)),
    "quarter": (1, 1, _of_day(lambda moment: (moment.month + 2) // 3)),
    # 1 is Sunday.
    "dayofweek": (1, 1, _of_day(lambda moment: moment.isoweekday() % 7 + 1)),
    "hour": (1, 1, _of_time(lambda moment: moment.hour)),
    "minute": (1, 1, _of_time(lambda moment: moment.minute)),
    "second": (1, 1, _of_time(lambda moment: moment.second)),
    "millisecond": (1, 1, _of_time(lambda moment: moment.microsecond // 1000)),
    "now": (0, 0, _now),
    "datediff": (2, 2, _date_diff),
    "todate": (1, 1, _to_date),
    "upper": (1, 1, _cased(str.upper)),
    "lower": (1, 1, _cased(str.lower)),
}
"""By name in lower case: the minimum and maximum number of arguments, and the function."""
