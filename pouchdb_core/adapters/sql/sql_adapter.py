"""The adapter over SQL: documents/* on a SqlStore, in files or in memory."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pouchdb_core.adapters.base import Adapter, Place
from pouchdb_core.adapters.sql import files
from pouchdb_core.adapters.sql.disk import Durability, File
from pouchdb_core.adapters.sql.memory import Memory
from pouchdb_core.adapters.sql.schema import initialise
from pouchdb_core.adapters.sql.sql_index_store import SqlIndexStore, scratch_store
from pouchdb_core.adapters.sql.sql_store import SqlStore
from pouchdb_core.adapters.sql.sqlite import Connections, file_error
from pouchdb_core.changes.feed import changes, follow
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.documents.compaction import compact, purge, revs_diff
from pouchdb_core.documents.integrity import check_content, damage
from pouchdb_core.documents.listing import conflicted, design_documents, listing
from pouchdb_core.documents.packed import read_packed
from pouchdb_core.documents.read import read
from pouchdb_core.documents.restore import LOADING, Restore
from pouchdb_core.documents.write import Rules, write
from pouchdb_core.errors import BadRequest, StorageError
from pouchdb_core.jsontext import jsonable
from pouchdb_core.requests import Changes, Guard, Listing, Read, Write
from pouchdb_core.results import Outcome, Record, record

__all__ = ["MemoryAdapter", "SqliteAdapter"]

COMMON_OPTIONS = frozenset({"auto_compaction", "deterministic_revs", "purged_infos_limit", "revs_limit"})
DEFAULT_PURGED_INFOS_LIMIT = 1000
PAGE = 1000


class _SqlAdapter(Adapter):
    """What both kinds share: the operations."""

    packs: ClassVar[bool] = True

    def __init__(self, place: Place, name: str, connections: Connections, options: Mapping[str, Any]) -> None:
        self.database_name = name
        self.store = SqlStore(connections)
        self._place = place
        self._uuid: str = self.store.metadata("uuid")
        self._auto_compaction, self._deterministic = False, True
        self._purged_infos_limit = DEFAULT_PURGED_INFOS_LIMIT
        self._ddocs: tuple[int, tuple[Record, ...]] = (-1, ())
        self.configure(options)

    def configure(self, options: Mapping[str, Any]) -> None:
        _check(options)
        self._auto_compaction = options.get("auto_compaction", self._auto_compaction)
        self._deterministic = options.get("deterministic_revs", self._deterministic)
        self._purged_infos_limit = options.get("purged_infos_limit", self._purged_infos_limit)
        if "revs_limit" in options and options["revs_limit"] != self.revs_limit():
            self.revs_limit(options["revs_limit"])

    def id(self) -> str:
        return self._uuid

    def check(self) -> None:
        self.store.connections.check()

    def write(self, request: Write, guards: Sequence[Guard]) -> list[Outcome]:
        return write(self.store, request, self._rules(), guards)

    def _rules(self) -> Rules:
        return Rules(self._place.new_id, self._deterministic, self._auto_compaction)

    def read(self, request: Read) -> Any:
        if request.packed and request.items is not None:
            revisions = [(id, str(rev)) for id, rev, _ in request.items]
            return read_packed(self.store, revisions, request.size or sys.maxsize)
        return read(self.store, request)

    def listing(self, request: Listing) -> Record:
        return listing(self.store, request)

    def changes(self, request: Changes) -> Iterator[Any]:
        return follow(self.store, request) if request.live else changes(self.store, request)

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        return self.store.notifier.subscribe(wake)

    def pending(self, since: Any) -> int:
        return self.store.count_seqs(since)

    def lacking(self, keys: Collection[bytes]) -> set[bytes]:
        return {key for key in keys if self.store.content(key) is None}

    def local_ids(self, prefix: str) -> Sequence[str]:
        return self.store.local_ids(prefix)

    def conflicts(self) -> Iterator[Record]:
        return conflicted(self.store)

    def ddocs_seq(self) -> int:
        return self.store.counters().ddocs_seq

    def design_documents(self) -> Sequence[Record]:
        if self._ddocs[0] != self.ddocs_seq():
            with self.store.snapshot():
                # One assignment of a pair: a reader in another thread sees both or neither.
                self._ddocs = (self.ddocs_seq(), tuple(design_documents(self.store)))
        return self._ddocs[1]

    def indexes(self) -> SqlIndexStore:
        return SqlIndexStore(self.store)

    def scratch(self) -> SqlIndexStore:
        return scratch_store()

    def info(self) -> Record:
        with self.store.snapshot():
            counters = self.store.counters()
            epoch = self.store.metadata("epoch")
            former = self.store.metadata("former_epochs")
            sizes = self.store.sizes()
        return Record(
            db_name=self.database_name,
            doc_count=counters.doc_count,
            doc_del_count=counters.doc_del_count,
            update_seq=counters.update_seq,
            purge_seq=counters.purge_seq,
            sizes=Record(sizes),
            adapter=self.name,
            auto_compaction=self._auto_compaction,
            instance_start_time="0",
            uuid=self._uuid,
            epoch=epoch,
            former_epochs=[Record(each) for each in former or ()],
        )

    def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> Record:
        return revs_diff(self.store, revs)

    def compact(self, interval: float | None = None) -> None:
        with self._place.tasks.running("database_compaction", self.database_name) as task:
            compact(self.store, task)

    def purge(self, revs: Mapping[str, Sequence[str]]) -> tuple[int, dict[str, list[str]], set[str]]:
        return purge(self.store, revs, self.purged_infos_limit())

    def purged_infos_limit(self, limit: int | None = None) -> int:
        if limit is None:
            kept: int | None = self.store.metadata("purged_infos_limit")
            return self._purged_infos_limit if kept is None else kept
        _check({"purged_infos_limit": limit})
        with self.store.write():
            self.store.set_metadata("purged_infos_limit", limit)
        return limit

    def purges(self, after: int) -> Iterator[tuple[int, str, Sequence[str]]]:
        while page := self.store.purges(after, PAGE):
            yield from page
            after = page[-1][0]

    def restore(self, dump: str) -> Restore:
        def adopted(uuid: str) -> None:
            self._uuid = uuid

        return Restore(self.store, self._rules(), dump, adopted)

    def loading(self) -> Mapping[str, Any] | None:
        begun: Mapping[str, Any] | None = self.store.metadata(LOADING)
        return begun

    def revs_limit(self, limit: int | None = None) -> int:
        if limit is None:
            return self.store.counters().revs_limit
        _check({"revs_limit": limit})
        with self.store.write() as counters:
            counters.revs_limit = limit
        return limit

    def security(self) -> Record:
        return record(self.store.metadata("security") or {})

    def put_security(self, security: Mapping[str, Any]) -> None:
        said = jsonable(dict(security))
        with self.store.write():
            self.store.set_metadata("security", said)

    def directory(self, plugin: str) -> Path:
        directory = self._side_directory() / plugin
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise file_error(error, f"directory {directory}") from error
        return directory

    @abstractmethod
    def _side_directory(self) -> Path:
        """Return the folder for the files of plug-ins."""

    def backup(self, target: Path) -> None:
        """Copy the database and the side folder; the copy gets an epoch of its own. Raises Damaged."""
        side = files.side_directory(target)
        if target.exists() or side.exists():
            raise BadRequest(f"backup does not replace a file: {target if target.exists() else side} exists")
        part = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            # Not left to SQLite, which would not say what is wrong.
            part.touch(exist_ok=False)
            self.store.backup(part)
            _finish_copy(part)
            own = self._side_directory()
            if own.exists() and any(own.iterdir()):
                shutil.copytree(own, files.side_directory(part))
                os.rename(files.side_directory(part), side)
            os.rename(part, target)
        except OSError as error:
            raise file_error(error, f"backup to {target}") from error
        finally:
            files.discard(part)

    def problems(self, deep: bool = True) -> Sequence[str]:
        found = self.store.problems()
        if deep:
            try:
                found += [error.message for error in damage(self.store)]
            except StorageError as error:
                # The tables cannot be read, which was found before.
                found.append(error.message)
        return found

    def close(self) -> None:
        self.store.close()


LARGEST = 2**53 - 1
"""JavaScript's largest exact integer, and well within a column of SQLite."""


def _check(options: Mapping[str, Any]) -> None:
    """Refuse option values before anything is made. Raises BadRequest."""
    for option in ("revs_limit", "purged_infos_limit"):
        value = options.get(option, 1)
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise BadRequest(f"{option} must be a number from 1 to {LARGEST}, not {value!r}")
    for option in ("auto_compaction", "deterministic_revs"):
        if type(options.get(option, True)) is not bool:
            raise BadRequest(f"{option} must be true or false, not {options[option]!r}")


class SqliteAdapter(_SqlAdapter):
    """Databases in files of a directory."""

    name: ClassVar[str] = "sqlite"
    options: ClassVar[frozenset[str]] = COMMON_OPTIONS | {"durability"}

    @classmethod
    def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> SqliteAdapter:
        _check(options)
        file, created = files.open_file(_directory(place), name, _durability(options))
        try:
            adapter = cls(place, name, file, options)
        except BaseException:
            file.close()
            raise
        adapter.created = created
        adapter.path = file.path
        store = adapter.store
        store.notifier = Notifier(lambda listening: place.watch(store, listening))
        return adapter

    path: Path

    def configure(self, options: Mapping[str, Any]) -> None:
        file = self.store.connections
        assert isinstance(file, File)
        durability = file.durability
        if _durability(options, durability) != durability:
            raise BadRequest(
                f"database {self.database_name!r} is open with durability {durability!r}: "
                "close it first, or say it in setup()"
            )
        super().configure(options)

    @classmethod
    def names(cls, place: Place) -> Iterable[str]:
        return () if place.directory is None else files.names(place.directory)

    @classmethod
    def destroy(cls, place: Place, name: str) -> None:
        files.remove_file(files.file_path(_directory(place), name))

    def _side_directory(self) -> Path:
        return files.side_directory(self.path)


def _durability(options: Mapping[str, Any], default: Durability = "full") -> Durability:
    durability: Durability = options.get("durability", default)
    if durability not in ("full", "normal"):
        raise BadRequest(f"durability must be 'full' or 'normal', not {durability!r}")
    return durability


def _directory(place: Place) -> Path:
    if place.directory is None:
        raise BadRequest("this environment keeps its databases in memory: it has no directory for a file")
    return place.directory


def _finish_copy(path: Path) -> None:
    """Mark a copy as another life of its database: sequence numbers after it are not the original's.

    Raises Damaged for one that has damaged content: it would be taken for what was written.
    """
    file = File(path, "full", "backup")
    try:
        # That of a database in memory has another journal.
        file.run("PRAGMA journal_mode = WAL")
        store = SqlStore(file)
        check_content(store)
        with store.write() as counters:
            # Numbers up to here are the same in both lives.
            former = store.metadata("former_epochs") or []
            former.append({"epoch": store.metadata("epoch"), "seq": counters.update_seq})
            store.set_metadata("former_epochs", former)
            store.set_metadata("epoch", uuid.uuid4().hex)
    finally:
        file.close()


class MemoryAdapter(_SqlAdapter):
    """Databases in memory: shared by all objects of an engine, gone with it."""

    name: ClassVar[str] = "memory"
    options: ClassVar[frozenset[str]] = COMMON_OPTIONS
    lasting = False

    @classmethod
    def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> MemoryAdapter:
        _check(options)
        # As in a file, for a backup is one.
        connections = Memory(f"database {name!r}", pragmas=(("auto_vacuum", "INCREMENTAL"),))
        initialise(connections, name)
        adapter = cls(place, name, connections, options)
        adapter.created = True
        return adapter

    @classmethod
    def destroy(cls, place: Place, name: str) -> None:
        # Closing it was the end of the database, but for the files of plug-ins.
        shutil.rmtree(place.side_directory(name), ignore_errors=True)

    def _side_directory(self) -> Path:
        return self._place.side_directory(self.database_name)
