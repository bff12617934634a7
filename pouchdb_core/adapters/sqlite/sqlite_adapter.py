"""The adapters over SQLite, in files or in memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pouchdb_core.adapters.base import Place
from pouchdb_core.adapters.local import LOCAL_OPTIONS, LocalAdapter, check_options
from pouchdb_core.adapters.sqlite import files
from pouchdb_core.adapters.sqlite.blank_memory import blank_memory
from pouchdb_core.adapters.sqlite.copies import begin_life, finish_copy
from pouchdb_core.adapters.sqlite.disk import Durability, File
from pouchdb_core.adapters.sqlite.sqlite_index_store import SqliteIndexStore, scratch_store
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.adapters.sqlite.transactions import Connections, file_error
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.errors import BadRequest, StorageError
from pouchdb_core.requests import Guard, Write
from pouchdb_core.results import Outcome
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.whole_files import draft, sweep, sync_directory

__all__ = ["MemoryAdapter", "SqliteAdapter"]


class _SqliteAdapter(LocalAdapter):
    """What both kinds share: indexes beside the documents, and copies of files."""

    store: SqliteStore

    def __init__(self, place: Place, name: str, connections: Connections, options: Mapping[str, Any]) -> None:
        super().__init__(place, name, SqliteStore(connections), options)

    # Every write is refused at once in code that runs within a write of the same thread.

    def write(self, request: Write, guards: Sequence[Guard]) -> list[Outcome]:
        self.store.alone()
        return super().write(request, guards)

    def compact(self, interval: float | None = None) -> None:
        self.store.alone()
        super().compact(interval)

    def purge(self, revs: Mapping[str, Sequence[str]]) -> tuple[int, dict[str, list[str]], set[str]]:
        self.store.alone()
        return super().purge(revs)

    def purged_infos_limit(self, limit: int | None = None) -> int:
        if limit is not None:
            self.store.alone()
        return super().purged_infos_limit(limit)

    def revs_limit(self, limit: int | None = None) -> int:
        if limit is not None:
            self.store.alone()
        return super().revs_limit(limit)

    def put_security(self, security: Mapping[str, Any]) -> None:
        self.store.alone()
        super().put_security(security)

    def renamed(self) -> None:
        self.store.connections.renamed()

    def indexes(self) -> SqliteIndexStore:
        return SqliteIndexStore(self.store)

    def scratch(self) -> SqliteIndexStore:
        return scratch_store()

    def file_error(self, error: OSError, what: str) -> StorageError:
        return file_error(error, what)

    def backup(self, target: Path) -> None:
        """Copy the database and the side folder; the copy gets a new epoch. Raises Damaged."""
        side = files.side_directory(target)
        if target.exists() or side.exists():
            raise BadRequest(f"backup does not replace a file: {target if target.exists() else side} exists")
        try:
            sweep(target.parent)
            with draft(target.parent, ".part") as part:
                # Not left to SQLite, which would not report what is wrong.
                part.touch(exist_ok=False)
                self.store.backup(part)
                finish_copy(part)
                own = self.side_directory()
                if own.exists() and any(own.iterdir()):
                    shutil.copytree(own, files.side_directory(part))
                    os.rename(files.side_directory(part), side)
                os.rename(part, target)
                sync_directory(target.parent)
        except OSError as error:
            raise file_error(error, f"backup to {target}") from error


class SqliteAdapter(_SqliteAdapter):
    """Databases in files of a directory."""

    name: ClassVar[str] = "sqlite"
    options: ClassVar[frozenset[str]] = LOCAL_OPTIONS | {"durability"}

    @classmethod
    def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> SqliteAdapter:
        check_options(options)
        file, created = files.open_file(_directory(place), name, _durability(options))
        try:
            adapter = cls(place, name, file, options)
            begin_life(adapter.store)
        except BaseException:
            file.close()
            raise
        adapter.created = created
        adapter.path = file.path
        store = adapter.store
        store.notifier = Notifier(lambda listening: place.watch(store, listening))
        return adapter

    path: Path

    def same(self) -> bool:
        file = self.store.connections
        assert isinstance(file, File)
        return file.same()

    def configure(self, options: Mapping[str, Any]) -> None:
        file = self.store.connections
        assert isinstance(file, File)
        durability = file.durability
        if _durability(options, durability) != durability:
            raise BadRequest(
                f"database {safe_repr(self.database_name)} is open with durability {safe_repr(durability)}: "
                "close it first, or say it in setup()"
            )
        super().configure(options)

    @classmethod
    def names(cls, place: Place) -> Iterable[str]:
        return () if place.directory is None else files.names(place.directory)

    @classmethod
    def destroy(cls, place: Place, name: str) -> None:
        files.remove_file(files.file_path(_directory(place), name))

    def side_directory(self) -> Path:
        return files.side_directory(self.path)


def _durability(options: Mapping[str, Any], default: Durability = "full") -> Durability:
    durability: Durability = options.get("durability", default)
    if durability not in ("full", "normal"):
        raise BadRequest(f"durability must be 'full' or 'normal', not {safe_repr(durability)}")
    return durability


def _directory(place: Place) -> Path:
    if place.directory is None:
        raise BadRequest("this environment keeps its databases in memory: it has no directory for a file")
    return place.directory


class MemoryAdapter(_SqliteAdapter):
    """Databases in memory: shared by all objects of an engine, removed with it."""

    name: ClassVar[str] = "memory"
    lasting = False

    @classmethod
    def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> MemoryAdapter:
        check_options(options)
        # As in a file, because a backup is a file.
        connections = blank_memory(f"database {name!r}", name, pragmas=(("auto_vacuum", "INCREMENTAL"),))
        adapter = cls(place, name, connections, options)
        adapter.created = True
        return adapter

    @classmethod
    def destroy(cls, place: Place, name: str) -> None:
        # Closing it removed the database, except the files of plug-ins.
        shutil.rmtree(place.side_directory(name), ignore_errors=True)
