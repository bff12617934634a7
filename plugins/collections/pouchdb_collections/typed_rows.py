"""Rows with an object of the model in place of a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Change", "Row"]

M = TypeVar("M")


@dataclass(frozen=True)
class Row(Generic[M]):
    """A row of a view."""

    id: str
    key: Any
    value: Any
    document: M


@dataclass(frozen=True)
class Change(Generic[M]):
    """A change; for a deleted document there is no object, and its kind is unknown."""

    id: str
    seq: Any
    deleted: bool
    document: M | None
