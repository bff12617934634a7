"""The SQL adapters: files of the storage directory, or memory when there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_core.adapters.sql.adapter import MemoryAdapter, SqliteAdapter
from pouchdb_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from pouchdb_core.adapters.base import Adapter
    from pouchdb_core.environment import SyncEnvironment


@hookimpl
def pouchdb_adapters() -> Iterable[type[Adapter]]:
    return (SqliteAdapter, MemoryAdapter)


@hookimpl(trylast=True)
def pouchdb_choose_adapter(environment: SyncEnvironment) -> str:
    return MemoryAdapter.name if environment.directory is None else SqliteAdapter.name
