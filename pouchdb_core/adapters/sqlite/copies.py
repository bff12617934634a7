"""Copies made by ``backup()``: each time one is put in the place of a database, a new life (epoch) of it begins.

A copy cannot know how often it will be restored, so a life begins when it is first opened, not when it is made.
"""

from __future__ import annotations

from pathlib import Path

from pouchdb_core.adapters.sqlite.disk import File
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.documents.epochs import begin_epoch, renew_epoch
from pouchdb_core.documents.integrity import check_content
from pouchdb_core.errors import ReadOnlyStorage

__all__ = ["begin_life", "finish_copy"]

UNOPENED = "unopened_copy"
"""The key of the metadata that marks a copy nobody has opened yet."""


def finish_copy(path: Path) -> None:
    """Mark a copy as another life of its database: sequence numbers after it are not the original's.

    Raises Damaged if it has damaged content: that would be taken for what was written.
    """
    file = File(path, "full", "backup")
    try:
        # The copy of a database in memory has another journal.
        file.run("PRAGMA journal_mode = WAL")
        store = SqliteStore(file)
        check_content(store)
        with store.write() as counters:
            # The epoch it gets here is the one it has where it cannot be written.
            begin_epoch(store, store.metadata("former_epochs") or (), store.metadata("epoch"), counters.update_seq)
            store.set_metadata(UNOPENED, True)
            # No build is under way here: files of an index that are copied later may have documents that are not.
            file.run("UPDATE indexes SET builder = NULL, mark = substr(mark, 1, instr(mark || ',', ',') - 1)")
        # Only the file is renamed, and closing reports no error if the journal does not fit into it.
        file.fold()
    finally:
        file.close()


def begin_life(store: SqliteStore) -> None:
    """Give a database that is an unopened copy an epoch of its own. Does nothing where nothing can be written."""
    if not store.metadata(UNOPENED):
        return
    try:
        with store.write():
            # Another process may have just opened it as well.
            if store.metadata(UNOPENED):
                renew_epoch(store)
                store.set_metadata(UNOPENED, None)
    except ReadOnlyStorage:
        # Nothing will be written in this life either.
        return
