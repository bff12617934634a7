"""The request of find and explain, checked as in CouchDB's mango_opts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pouchdb_core.results import Record
from pouchdb_find.definitions import sort_fields
from pouchdb_find.errors import FindError, shown
from pouchdb_find.fields import parse_field
from pouchdb_find.selectors import Selector, normalize

__all__ = ["DEFAULT_LIMIT", "FindRequest"]

DEFAULT_LIMIT = 25
NO_BOOKMARK = "nil"


@dataclass(frozen=True)
class FindRequest:
    """One query."""

    selector: Selector
    """In normal form."""
    use_index: tuple[str, ...] = ()
    """(design document without its prefix, name?) or nothing."""
    bookmark: str | None = None
    limit: int | None = DEFAULT_LIMIT
    """None: all; only Python callers can pass that."""
    skip: int = 0
    sort: tuple[tuple[str, str], ...] = ()
    fields: tuple[str, ...] = ()
    """Empty: whole documents."""
    conflicts: bool = False
    update: bool = True
    stable: bool = False
    execution_stats: bool = False
    allow_fallback: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    """The field ``opts`` of explain."""

    @property
    def descending(self) -> bool:
        """Whether rows are read backwards; all fields of a sort have one direction."""
        return bool(self.sort) and self.sort[0][1] == "desc"

    @property
    def sorted_by(self) -> tuple[str, ...]:
        """The names of the fields to sort by."""
        return tuple(name for name, _ in self.sort)

    def unlimited(self) -> FindRequest:
        """Return the same request for all documents."""
        return replace(self, limit=None)

    @classmethod
    def checked(cls, given: Any) -> FindRequest:
        """Make a request of the arguments of find. Raises FindError naming what to change."""
        if not isinstance(given, Mapping):
            raise FindError("bad_request", f"find takes {{'selector': {{...}}, ...}}, not {shown(given)}")
        for name in given:
            if name not in _OPTIONS:
                raise FindError(
                    "invalid_key", f"Invalid key {name} for this request. There are: {', '.join(sorted(_OPTIONS))}"
                )
        if "selector" not in given:
            raise FindError("missing_required_key", "Missing required key: selector")
        found = {
            name: check(name, given[name]) if name in given else default for name, (check, default) in _OPTIONS.items()
        }
        shown_options = Record(
            use_index=list(found["use_index"]),
            bookmark=found["bookmark"] or NO_BOOKMARK,
            limit=found["limit"],
            skip=found["skip"],
            sort=Record(dict(found["sort"])),
            fields=list(found["fields"]),
            partition=found["partition"],
            r=found["r"],
            conflicts=found["conflicts"],
            stale=found["stale"],
            update=found["update"],
            stable=found["stable"],
            execution_stats=found["execution_stats"],
            allow_fallback=found["allow_fallback"],
        )
        return cls(
            **{name: found[name] for name in cls.__dataclass_fields__ if name != "options"}, options=shown_options
        )


def _selector(name: str, value: Any) -> Selector:
    return normalize(value)


def _use_index(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        ddoc, slash, rest = value.removeprefix("_design/").partition("/")
        return (ddoc, rest) if slash else (ddoc,)
    if isinstance(value, (list, tuple)) and len(value) <= 2 and all(isinstance(each, str) for each in value):
        return tuple(each.removeprefix("_design/") if number == 0 else each for number, each in enumerate(value))
    raise FindError(
        "invalid_index_name", f"Invalid index name: {shown(value)}; use_index is 'ddoc' or ['ddoc', 'name']"
    )


def _bookmark(name: str, value: Any) -> str | None:
    if value is None or value in ("", NO_BOOKMARK):
        return None
    if not isinstance(value, str):
        raise FindError("invalid_bookmark", f"Invalid bookmark value: {shown(value)}")
    return value


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise FindError(
            "invalid_non_neg_integer", f"{shown(value)} is not an integer greater than or equal to zero: {name}"
        )
    return value


def _positive(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise FindError("invalid_pos_integer", f"{shown(value)} is not an integer greater than zero: {name}")
    return value


def _flag(name: str, value: Any) -> bool:
    if value is not True and value is not False:
        raise FindError("invalid_boolean", f"Invalid boolean value: {name} is true or false, not {shown(value)}")
    return value


def _stale(name: str, value: Any) -> Any:
    if value == "ok":
        return "ok"
    if value is False or value == "false":
        return False
    raise FindError("invalid_ok_or_false_value", f"stale is 'ok' or false, not {shown(value)}")


def _sort(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    found = tuple(sort_fields(value))
    for path, _ in found:
        parse_field(path)
    return found


def _fields(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise FindError("invalid_fields", f"Fields must be an array of strings, not: {shown(value)}")
    for each in value:
        if not isinstance(each, str):
            raise FindError("invalid_field", f"Invalid JSON for field spec: {shown(each)}; write its name")
        parse_field(each)
    return tuple(value)


def _partition(name: str, value: Any) -> str:
    if value != "":
        raise FindError("bad_request", "partition must be empty: databases have no partitions here")
    return ""


_OPTIONS: dict[str, tuple[Callable[[str, Any], Any], Any]] = {
    "selector": (_selector, None),
    "use_index": (_use_index, ()),
    "bookmark": (_bookmark, None),
    "limit": (_count, DEFAULT_LIMIT),
    "skip": (_count, 0),
    "sort": (_sort, ()),
    "fields": (_fields, ()),
    "partition": (_partition, ""),
    "r": (_positive, 1),
    "conflicts": (_flag, False),
    "stale": (_stale, False),
    "update": (_flag, True),
    "stable": (_flag, False),
    "execution_stats": (_flag, False),
    "allow_fallback": (_flag, True),
}
