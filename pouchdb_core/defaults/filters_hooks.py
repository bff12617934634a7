"""Filters of the changes feed that every database has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.views.view_filters import DesignFilter, IdFilter, ViewFilter

if TYPE_CHECKING:
    from pouchdb_core.changes.filters import ChangesFilter


@hookimpl
def pouchdb_changes_filters() -> Iterable[ChangesFilter]:
    return (DesignFilter(), IdFilter(), ViewFilter())
