"""Dates, datetimes and times of day, from the ISO strings in JSON documents."""

from __future__ import annotations

import datetime
import re
from typing import Any

__all__ = ["as_date", "as_datetime", "as_time", "temporal"]

_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\Z")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:?\d\d)?\Z")
Temporal = datetime.date | datetime.datetime | datetime.time


def as_date(text: str) -> datetime.date | None:
    """Return the date of a string ``yyyy-MM-dd``, or None."""
    try:
        return datetime.date.fromisoformat(text) if _DATE.match(text) else None
    except ValueError:
        return None


def as_time(text: str) -> datetime.time | None:
    """Return the time of day of a string ``HH:mm[:ss[.SSS]]``, or None."""
    found = _TIME.match(text)
    if found is None:
        return None
    try:
        return datetime.time(int(found[1]), int(found[2]), int(found[3] or 0), int((found[4] or "0").ljust(6, "0")))
    except ValueError:
        return None


def as_datetime(text: str) -> datetime.datetime | None:
    """Return the datetime of a string, in UTC without a zone, or None."""
    found = _MOMENT.match(text)
    if found is None:
        return None
    date, time = as_date(found[1]), as_time(found[2])
    if date is None or time is None:
        return None
    moment = datetime.datetime.combine(date, time)
    zone = found[3]
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        away = datetime.timedelta(hours=hours, minutes=minutes)
        try:
            moment += away if zone[0] == "-" else -away
        except OverflowError:
            return None
    return moment


def temporal(value: Any) -> Temporal | None:
    """Return a value as a date, datetime or time of day; None if it is not one."""
    if isinstance(value, (datetime.date, datetime.time)):
        return value
    if not isinstance(value, str) or len(value) > 40:
        return None
    return as_date(value) or as_datetime(value) or as_time(value)
