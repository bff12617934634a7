"""The incremental index: map/reduce views, search, spatial and Mango indexes stand on it.

An index follows the changes feed of its database. It belongs to a design document: what is in the
member its kind is called by says what to index, and a digest of that is the index's signature. When
the definition changes, the signature does, and a new index is built; ``view_cleanup`` drops the old one.

To bring an index of your own, write two classes and return the first from ``pouchdb_index_kinds``::

    class WordKind(IndexKind):
        name = "words"                                  # the member of the design document

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
makes it last together with a mark that the database then remembers too; a directory whose mark is older
or another one (it was lost, or came back from a backup) is emptied and the index built anew. After a
crash between the two the same documents come again, so ``apply`` must be idempotent: delete by id, add.
``finish()`` ends a build, before the next builder may begin.

A design document with several indexes of a kind, which change apart, has a definition for each::

        def definitions(self, database, ddoc):
            return ddoc.get("words", {})                # {"title": {...}, "body": {...}}

    follower = indexes(database).follower(database, "words", ddoc, "title")

What holds for both: one builder works at a time, whatever threads and processes there are; the others
wait for it. A killed builder's work is taken up where it was last committed. The documents of a batch are
each document's newest state, so purged documents and changed winners need nothing special. What
``prepare`` and ``apply`` raise is an error of the query, and nothing of that batch is kept.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from pouchdb_core.changes.raw import RawChange
from pouchdb_core.views.index_store import IndexStore, Tables, ViewRows

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Batch", "Index", "IndexKind", "IndexPlace", "InsideIndex", "OutsideIndex", "folder"]

Report = Callable[[str, Exception], None]


class Batch:
    """Some rows of the changes feed."""

    def __init__(self, changes: Sequence[RawChange], removed: Sequence[str], fresh: bool, report: Report) -> None:
        self.changes = changes
        """Each document's newest state, in the order of the feed."""
        self.removed = removed
        """Ids of purged documents; some may be among the changes too, with what is left of them."""
        self.fresh = fresh
        """Nothing of these documents is in the index yet: the first build has nothing to remove."""
        self.report = report
        """Call it with the id of a document and an exception to leave that document out; the user is told."""

    @property
    def living(self) -> list[RawChange]:
        """The changes that bring a document."""
        return [change for change in self.changes if not change.deleted]

    @property
    def replaced(self) -> list[str]:
        """Ids whose earlier contributions must go, whether anything comes for them or not."""
        if self.fresh:
            return []
        return [*self.removed, *(change.id for change in self.changes)]

    def part(self, count: int) -> Batch:
        """Return the first changes as a batch of their own."""
        if count == len(self.changes):
            return self
        return Batch(self.changes[:count], self.removed, self.fresh, self.report)


class IndexPlace:
    """Where an index lives: handed to ``IndexKind.open``."""

    def __init__(
        self,
        database: SyncPouchDB,
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
        """A design document that defines the index; others may define the same."""
        self.number = 0
        self._kind = kind
        # Not the database: whoever lets go of that one lets go of its store.
        self._base = database.adapter.directory

    @property
    def tables(self) -> Tables:
        """The tables of an inside index."""
        return self.store.tables(self.number)

    @property
    def rows(self) -> ViewRows:
        """Rows as those of views, for an inside index that wants them."""
        return self.store.view_rows(self.number)

    @property
    def directory(self) -> Path:
        """The folder of an outside index; it is there, and empty when the index is new."""
        return self._base(folder(self._kind)) / self.signature


def folder(kind: str) -> str:
    """Return what the side folder for the indexes of a kind is called."""
    return f"index-{kind}"


class Index(ABC):
    """One index, open. Used by one thread at a time; reading happens beside that."""

    include_design: bool = False
    """Whether it wants design documents too."""
    local_seq: bool = False
    """Whether documents shall have ``_local_seq``."""
    batch_documents: int = 1000
    """How many changes it gets at a time."""
    state: Any = None
    """JSON that is kept with the checkpoint: set before each ``prepare``, saved after each ``apply``."""

    def __init__(self, place: IndexPlace) -> None:
        self.place = place

    def prepare(self, batch: Batch) -> tuple[Any, int]:
        """Do the slow work; return what ``apply`` needs, and how many of the changes were worked on.

        No lock is held: the result is thrown away if somebody else was faster. Taking fewer than all
        changes bounds memory when documents give a lot, and shows the others that the builder lives.
        """
        return None, len(batch.changes)

    @abstractmethod
    def apply(self, batch: Batch, work: Any) -> None:
        """Remove ``batch.replaced``, add what ``prepare`` made."""

    def close(self) -> None:  # noqa: B027  # most have nothing open
        """Let go of what is open."""


class InsideIndex(Index):
    """An index in tables of the database: ``apply`` runs in the transaction that moves the checkpoint."""

    @abstractmethod
    def create(self) -> None:
        """Make the tables."""


class OutsideIndex(Index):
    """An index in files of ``place.directory``."""

    @abstractmethod
    def commit(self, mark: str) -> None:
        """Make what was applied last, together with the mark; on disk when it returns."""

    @abstractmethod
    def mark(self) -> str | None:
        """Return the mark of the last commit; None if there was none or the files are unreadable."""

    def present(self) -> bool:
        """Whether the files are still there; asked at every query, so it only looks, and reads nothing."""
        return self.place.directory.is_dir()

    def finish(self) -> None:
        """Let go of what only a builder needs, such as a lock: building is done, or has failed. May come twice."""

    def reset(self) -> None:
        """Start again in an empty folder; called with the old one gone. ``close`` was called before."""


class IndexKind(ABC):
    """What a design document may define indexes with."""

    name: str
    """The member of the design document; also names the folder, so letters, digits and ``_`` only."""
    version: int = 1
    """Part of every signature: count up when what you store changes its form."""

    def definition(self, database: SyncPouchDB, ddoc: Mapping[str, Any]) -> Any:
        """Return what of the design document determines its index (JSON), or None when it has none.

        For kinds that have one index a design document; others override ``definitions``. Called for every
        query, so it does not compile anything.
        """
        return None

    def definitions(self, database: SyncPouchDB, ddoc: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what determines each index of the design document, by the index's name.

        Each has a signature of its own: when one definition changes, the other indexes stay as they are. A kind that
        does not override this has one index, called ``""``.
        """
        definition = self.definition(database, ddoc)
        return {} if definition is None else {"": definition}

    @abstractmethod
    def open(self, database: SyncPouchDB, place: IndexPlace) -> Index:
        """Open an index; called before it exists, too. The index outlives ``database``: it must not keep it."""

    def signature(self, database: SyncPouchDB, ddoc: Mapping[str, Any], member: str = "") -> str | None:
        """Return what names an index, None if there is none of this name: equal definitions share one."""
        definition = self.definitions(database, ddoc).get(member)
        return None if definition is None else self._digest(definition)

    def signatures(self, database: SyncPouchDB, ddoc: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the signatures of all indexes of the design document by name."""
        return {name: self._digest(each) for name, each in self.definitions(database, ddoc).items() if each is not None}

    def _digest(self, definition: Any) -> str:
        try:
            text = orjson.dumps([self.version, definition])
        except TypeError:
            # Lone surrogates: hashed in another form, only the same every time.
            text = repr([self.version, definition]).encode("utf-8", "surrogatepass")
        return hashlib.md5(text, usedforsecurity=False).hexdigest()
