"""The incremental index: map/reduce views, search, spatial and Mango indexes are built on it.

An index follows the changes feed of its database. It belongs to a design document: the field with the
name of its kind says what to index, and a digest of that is the index's signature. When
the definition changes, the signature does, and a new index is built; ``view_cleanup`` drops the old one.

To add an index, write two classes and return the first from ``pouchdb_index_kinds``::

    class WordKind(IndexKind):
        name = "words"                                  # the field of the design document

        def definition(self, database, ddoc):
            return ddoc.get("words")                    # None: this design document has no such index

        def open(self, database, place):
            return WordIndex(place)

    class WordIndex(InsideIndex):                       # in the database's file
        def create(self):
            self.place.tables.run("CREATE TABLE {words} (word TEXT, id TEXT, PRIMARY KEY (word, id))")

        def prepare(self, batch):                       # the slow part: no lock is held
            return [(w, c.id) for c in batch.living for w in words(c.document())], len(batch.changes)

        def apply(self, batch, work):                   # the quick part: in the transaction
            self.place.tables.many("DELETE FROM {words} WHERE id = ?", [(id,) for id in batch.replaced])
            self.place.tables.many("INSERT INTO {words} VALUES (?, ?) ON CONFLICT DO NOTHING", work)

A query brings the index up to date and reads it in one snapshot::

    follower = indexes(database).follower(database, "words", ddoc)
    follower.update(database)
    with follower.snapshot() as place:
        rows = place.tables.all("SELECT id FROM {words} WHERE word = ?", (word,))

An ``OutsideIndex`` keeps files in ``place.directory`` instead. ``apply`` writes there, ``commit(mark)``
makes it durable together with a mark that the database then stores too; a directory whose mark is older
or different (it was lost, or restored from a backup) is emptied and the index built again. After a
crash between the two the same documents come again, so ``apply`` must be idempotent: delete by id, add.
``finish()`` ends a build, before the next builder may begin.

A design document with several indexes of a kind, which change independently, has a definition for each::

        def definitions(self, database, ddoc):
            return ddoc.get("words", {})                # {"title": {...}, "body": {...}}

    follower = indexes(database).follower(database, "words", ddoc, "title")

For both: one builder works at a time, among all threads and processes; the others
wait for it. A killed builder's work is continued from its last commit. A batch has each
document in its newest state, so purged documents and changed winners need nothing special. An exception of
``prepare`` or ``apply`` is an error of the query, and nothing of that batch is stored.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from pouchdb_core.changes.raw import RawChange
from pouchdb_core.jsontext import dump
from pouchdb_core.views.index_store import IndexStore, Tables, ViewRows

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["Batch", "Index", "IndexKind", "IndexPlace", "InsideIndex", "OutsideIndex", "folder"]

Report = Callable[[str, Exception], None]


class Batch:
    """Some rows of the changes feed."""

    def __init__(self, changes: Sequence[RawChange], removed: Sequence[str], fresh: bool, report: Report) -> None:
        self.changes = changes
        """Each document's newest state, in the order of the feed."""
        self.removed = removed
        """Ids of purged documents; some may be among the changes too, with their remaining revisions."""
        self.fresh = fresh
        """True if nothing of these documents is in the index yet: the first build has nothing to remove."""
        self.report = report
        """Call it with the id of a document and an exception to leave that document out; it is reported to the user."""

    @property
    def living(self) -> list[RawChange]:
        """The changes with a document, i.e. not deletions."""
        return [change for change in self.changes if not change.deleted]

    @property
    def replaced(self) -> list[str]:
        """Ids whose earlier entries must be removed, whether they get new ones or not."""
        if self.fresh:
            return []
        return [*self.removed, *(change.id for change in self.changes)]

    def part(self, count: int) -> Batch:
        """Return the first changes as a separate batch."""
        if count == len(self.changes):
            return self
        return Batch(self.changes[:count], self.removed, self.fresh, self.report)


class IndexPlace:
    """Where an index is stored: passed to ``IndexKind.open``."""

    def __init__(
        self,
        database: Database,
        store: IndexStore,
        kind: str,
        signature: str,
        ddoc: Mapping[str, Any],
        member: str = "",
    ) -> None:
        self.database_name = database.name
        self.store = store
        self.signature = signature
        self.member = member
        """Which of the design document's indexes it is: a name of ``IndexKind.definitions``."""
        self.ddoc = ddoc
        """A design document that defines the index; others may define the same index."""
        self.in_memory = not database.adapter.lasting
        """Whether the database is in memory only: its outside indexes may be, too."""
        self.number = 0
        self._kind = kind
        # Not the database object: it closes its store when its last reference goes.
        self._base = database.adapter.directory

    @property
    def tables(self) -> Tables:
        """The tables of an inside index."""
        return self.store.tables(self.number)

    @property
    def rows(self) -> ViewRows:
        """Rows like those of views, for an inside index that uses them."""
        return self.store.view_rows(self.number)

    @property
    def directory(self) -> Path:
        """The folder of an outside index; it exists, and is empty if the index is new."""
        return self._base(folder(self._kind)) / self.signature


def folder(kind: str) -> str:
    """Return the name of the side folder for the indexes of a kind."""
    return f"index-{kind}"


class Index(ABC):
    """One open index. Used by one thread at a time; reads may run at the same time."""

    include_design: bool = False
    """Whether it gets design documents too."""
    local_seq: bool = False
    """Whether documents have ``_local_seq``."""
    batch_documents: int = 1000
    """How many changes it gets at a time, at most."""
    batch_bytes: int = 16_000_000
    """After how many bytes of documents it gets no more of them at a time."""
    state: Any = None
    """JSON that is stored with the checkpoint: set before each ``prepare``, saved after each ``apply``."""

    def __init__(self, place: IndexPlace) -> None:
        self.place = place

    def prepare(self, batch: Batch) -> tuple[Any, int]:
        """Do the slow work; return the input of ``apply``, and how many of the changes were processed.

        No lock is held: the result is discarded if another builder was faster. An outside index has one builder, and
        may write to its files already, if ``finish`` leaves nothing there that was not committed. Processing fewer than
        all changes bounds memory when documents emit a lot, and shows the others that the builder is alive.
        """
        return None, len(batch.changes)

    @abstractmethod
    def apply(self, batch: Batch, work: Any) -> None:
        """Remove ``batch.replaced``, add the result of ``prepare``."""

    def close(self) -> None:  # noqa: B027  # most have nothing open
        """Close open files."""


class InsideIndex(Index):
    """An index in tables of the database: ``apply`` runs in the transaction that moves the checkpoint."""

    @abstractmethod
    def create(self) -> None:
        """Create the tables."""


class OutsideIndex(Index):
    """An index in files of ``place.directory``, or in memory like its database (``in_memory``: then it has no folder).

    One in memory is built anew where it was not built, as in a forked child.
    """

    in_memory: bool = False

    @abstractmethod
    def commit(self, mark: str) -> None:
        """Make the applied changes durable, together with the mark; they are on disk when it returns."""

    @abstractmethod
    def mark(self) -> str | None:
        """Return the mark of the last commit; None if there was none or the files are unreadable."""

    def present(self) -> bool:
        """Return whether the files still exist; called for every query, so it must not read them."""
        return self.place.directory.is_dir()

    def finish(self) -> None:
        """Release what only a builder needs, such as a lock: building is done, or has failed. May be called twice.

        What was written since the last ``commit`` must not be there for the next builder.
        """

    def reset(self) -> None:
        """Start again in an empty folder; called after ``close``, when the old folder has been removed."""


class IndexKind(ABC):
    """A kind of index that design documents can define."""

    name: str
    """The field of the design document; also names the folder, so letters, digits and ``_`` only."""
    version: int = 1
    """Part of every signature: increment it when the stored format changes."""

    def definition(self, database: Database, ddoc: Mapping[str, Any]) -> Any:
        """Return the part of the design document that determines its index (JSON), or None if it has none.

        For kinds with one index per design document; others override ``definitions``. Called for every
        query, so it must not compile anything.
        """
        return None

    def definitions(self, database: Database, ddoc: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the definition of each index of the design document, by the index's name.

        Each has a separate signature: when one definition changes, the other indexes stay as they are. A kind that
        does not override this has one index, called ``""``.
        """
        definition = self.definition(database, ddoc)
        return {} if definition is None else {"": definition}

    @abstractmethod
    def open(self, database: Database, place: IndexPlace) -> Index:
        """Open an index; also called before it exists. The index outlives ``database`` and must not keep it."""

    def signature(self, database: Database, ddoc: Mapping[str, Any], member: str = "") -> str | None:
        """Return the signature of an index, None if there is no index of this name: equal definitions share one."""
        definition = self.definitions(database, ddoc).get(member)
        return None if definition is None else self._digest(definition)

    def signatures(self, database: Database, ddoc: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the signatures of all indexes of the design document by name."""
        return {name: self._digest(each) for name, each in self.definitions(database, ddoc).items() if each is not None}

    def _digest(self, definition: Any) -> str:
        try:
            text = orjson.dumps([self.version, definition])
        except TypeError:
            # Lone surrogates: hashed in another form, which only has to be the same every time.
            try:
                text = repr([self.version, definition]).encode("utf-8", "surrogatepass")
            except ValueError:
                # An integer of more digits than Python writes at once.
                text = dump([self.version, definition])
        return hashlib.md5(text, usedforsecurity=False).hexdigest()
