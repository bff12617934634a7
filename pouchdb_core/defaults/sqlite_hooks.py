"""The SQL adapters: files of the storage directory, or memory when there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_core.adapters.sqlite.sqlite_adapter import MemoryAdapter, SqliteAdapter
from pouchdb_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from pouchdb_core.adapters.base import Adapter
    from pouchdb_core.environment import SyncEnvironment


@hookimpl
def pouchdb_adapters() -> Iterable[type[Adapter]]:
    return (SqliteAdapter, MemoryAdapter)


@hookimpl(trylast=True)
def pouchdb_choose_adapter(environment: SyncEnvironment, name: str) -> str:
    """The usual adapter, unless only another one has the database: ``env[name]`` finds what ``env`` lists."""
    engine = environment.engine
    usual = MemoryAdapter.name if environment.directory is None else SqliteAdapter.name
    if engine.storage is not None:
        usual = engine.storage.adapter
    others = [other for other in engine.adapters if other != usual and engine.holds(other, name)]
    return others[0] if others and not engine.holds(usual, name) else usual
