"""An adapter over any store of rows: what a database does, independent of where its documents are stored.

A new kind of storage writes a ``Store`` (documents/store.py) and a subclass of ``LocalAdapter`` that opens it: a name,
``open``, ``names`` and ``destroy``. With an ``IndexStore`` (views/index_store.py) it has views too. The conformance kit
(``pouchdb_core.testing``) says whether it keeps every promise; tests/adapters/toy_store.py is one in a dict.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pouchdb_core.adapters.base import Adapter, Place
from pouchdb_core.changes.feed import changes, follow
from pouchdb_core.documents.compaction import compact, purge, revs_diff
from pouchdb_core.documents.integrity import damage
from pouchdb_core.documents.listing import conflicted, design_documents, listing
from pouchdb_core.documents.packed import read_packed
from pouchdb_core.documents.read import read
from pouchdb_core.documents.restore import LOADING, Restore
from pouchdb_core.documents.store import Store
from pouchdb_core.documents.write import Rules, Seen, write
from pouchdb_core.errors import BadRequest, NotSupported, StorageError
from pouchdb_core.jsontext import jsonable
from pouchdb_core.requests import Changes, Guard, Listing, Read, Write
from pouchdb_core.results import Outcome, Record, record
from pouchdb_core.safe_repr import safe_repr

__all__ = ["LOCAL_OPTIONS", "LocalAdapter", "check_options"]

LOCAL_OPTIONS = frozenset({"auto_compaction", "deterministic_revs", "purged_infos_limit", "revs_limit"})
"""The options that every database of this kind has."""
DEFAULT_PURGED_INFOS_LIMIT = 1000
PAGE = 1000
LARGEST = 2**53 - 1
"""JavaScript's largest exact integer, and well within a column of SQLite."""


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse option values before anything is made. Raises BadRequest."""
    for option in ("revs_limit", "purged_infos_limit"):
        value = options.get(option, 1)
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise BadRequest(f"{option} must be a number from 1 to {LARGEST}, not {safe_repr(value)}")
    for option in ("auto_compaction", "deterministic_revs"):
        if type(options.get(option, True)) is not bool:
            raise BadRequest(f"{option} must be true or false, not {safe_repr(options[option])}")


class LocalAdapter(Adapter):
    """The operations over a ``Store``. Subclasses open it, and define ``name`` and ``options``.

    The store's metadata must have ``uuid`` and ``epoch``: 32 hex digits each, made with the database.
    """

    options: ClassVar[frozenset[str]] = LOCAL_OPTIONS
    packs: ClassVar[bool] = True

    def __init__(self, place: Place, name: str, store: Store, options: Mapping[str, Any]) -> None:
        self.database_name = name
        self.store = store
        self._place = place
        self._uuid: str = store.metadata("uuid")
        self._auto_compaction, self._deterministic = False, True
        self._purged_infos_limit = DEFAULT_PURGED_INFOS_LIMIT
        self._has_files = False
        self._seen = Seen()
        self._ddocs: tuple[int, tuple[Record, ...]] = (-1, ())
        self.configure(options)

    def configure(self, options: Mapping[str, Any]) -> None:
        check_options(options)
        self._auto_compaction = options.get("auto_compaction", self._auto_compaction)
        self._deterministic = options.get("deterministic_revs", self._deterministic)
        self._purged_infos_limit = options.get("purged_infos_limit", self._purged_infos_limit)
        if "revs_limit" in options and options["revs_limit"] != self.revs_limit():
            self.revs_limit(options["revs_limit"])

    def id(self) -> str:
        return self._uuid

    def check(self) -> None:
        self.store.check()

    def write(self, request: Write, guards: Sequence[Guard]) -> list[Outcome]:
        return write(self.store, request, self._rules(), guards)

    def _rules(self) -> Rules:
        return Rules(self._place.new_id, self._deterministic, self._auto_compaction, self._seen)

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
        # A number beyond those of a store is after every change.
        return self.store.count_seqs(min(since, LARGEST))

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
        check_options({"purged_infos_limit": limit})
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
            self.renamed()

        return Restore(self.store, self._rules(), dump, adopted)

    def renamed(self) -> None:  # most stores need nothing
        """Called when the database was given another uuid, by loading a dump."""

    def loading(self) -> Mapping[str, Any] | None:
        begun: Mapping[str, Any] | None = self.store.metadata(LOADING)
        return begun

    def revs_limit(self, limit: int | None = None) -> int:
        if limit is None:
            return self.store.counters().revs_limit
        check_options({"revs_limit": limit})
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
        directory = self.side_directory() / plugin
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.file_error(error, f"directory {directory}") from error
        self._has_files = True
        return directory

    def existing_directory(self, plugin: str) -> Path | None:
        if not (self._has_files or self.lasting):
            # Asking for a temporary folder would make it.
            return None
        directory = self.side_directory() / plugin
        return directory if directory.is_dir() else None

    def side_directory(self) -> Path:
        """Return the folder for the files of plug-ins: a temporary one, unless the storage has a place for them."""
        return self._place.side_directory(self.database_name)

    def backup(self, target: Path) -> None:
        raise NotSupported(f"{self.name}: a database is copied by replicating it")

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
