"""Records: what every call returns.

A ``Record`` is a dict whose keys are also readable as attributes. Item access stays as fast as a
plain dict's because ``__getitem__`` is dict's own; dict methods win over keys of the same name
(``record.items`` is the method, ``record["items"]`` the field).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import PouchDBError

__all__ = ["Outcome", "Record", "record", "record_of_objects"]


class Record(dict[str, Any]):
    """A dict whose keys read as attributes too; equal to a plain dict of the same content."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        # Python looks for its own names on any object, such as __deepcopy__: those are not fields.
        if name in self and name[:2] != "__":
            return self[name]
        raise AttributeError(f"the record has no field {name!r}")

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from pouchdb_core.notebook import record_html  # only in a notebook

        return record_html(self)

    # Hidden from type checkers, which would otherwise allow it.
    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(f"fields are read as attributes, and set by item: record[{name!r}] = ...")

        def __delattr__(self, name: str) -> None:
            raise AttributeError(f"fields are read as attributes, and removed by item: del record[{name!r}]")

    def copy(self) -> Record:
        """Return a shallow copy that is a Record."""
        return Record(self)


Outcome = Record | PouchDBError
"""The outcome of one written document: ``{"ok": True, "id", "rev"}``, or why it was not written."""


def record(value: dict[str, Any]) -> Record:
    """Make Records of a parsed JSON object and all objects in it, depth first and in place.

    The argument is modified: pass an object that nothing else uses. Lists stay lists.
    """
    try:
        return _record(value)
    except RecursionError:
        return _deep_record(value)


def _record(value: dict[str, Any]) -> Record:
    for key, member in value.items():
        kind = type(member)
        if kind is dict:
            value[key] = _record(member)
        elif kind is list:
            _members(member)
    return Record(value)


def _deep_record(value: dict[str, Any]) -> Record:
    """Make Records of a server's data that nests deeper than any document may: without the stack, slower."""
    made = Record(value)
    left: list[Any] = [made]
    while left:
        container = left.pop()
        for key, member in container.items() if isinstance(container, dict) else enumerate(container):
            if type(member) is dict:
                container[key] = Record(member)
            if isinstance(member, (dict, list)):
                left.append(container[key])
    return made


def record_of_objects(value: dict[str, Any]) -> Record:
    """Do what ``record`` does if no list holds an object: lists need not be searched."""
    for key, member in value.items():
        if type(member) is dict:
            value[key] = record_of_objects(member)
    return Record(value)


def _members(values: list[Any]) -> None:
    for index, member in enumerate(values):
        kind = type(member)
        if kind is dict:
            values[index] = _record(member)
        elif kind is list:
            _members(member)
