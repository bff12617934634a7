"""All indexes of one database: finding those of a design document, dropping those that belong to none."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pouchdb_core.errors import FunctionError, NotFound
from pouchdb_core.state import Slot
from pouchdb_core.views.follow import Follower
from pouchdb_core.views.index import IndexPlace, folder
from pouchdb_core.views.index_store import IndexEntry, IndexStore
from pouchdb_core.views.servers import is_fixed
from pouchdb_core.whole_files import remove_folder

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database
    from pouchdb_core.results import Record

__all__ = ["Indexes", "indexes"]


_Wanted = tuple[Sequence[str], str, str]
"""The arguments of ``Indexes.named``."""


class _Known(NamedTuple):
    """What ``Indexes.named`` found in some design documents; replaced as a whole when one changes."""

    ddocs_seq: int
    designs: Sequence[Record]
    named: dict[_Wanted, Follower]


class Indexes:
    """The indexes of one database in one engine."""

    def __init__(self, database: Database) -> None:
        self.store: IndexStore = database.adapter.indexes()
        self._followers: dict[tuple[str, str], Follower] = {}
        self._recent: dict[tuple[str, str, str], tuple[str, str]] = {}
        self._ddocs_seq: int | None = None
        self._known = _Known(-1, (), {})
        self._followed: Sequence[Record] | None = None
        """The design documents of ``_ddocs_seq``, or of before that."""
        self._lock = threading.RLock()

    def follower(
        self,
        database: Database,
        kind: str,
        ddoc: Mapping[str, Any],
        member: str = "",
        *,
        designs: Sequence[Record] | None = None,
    ) -> Follower:
        """Return the Follower of an index; ``member`` is its name if a design document has several.

        With ``designs``, what ``database.design_documents()`` has just returned, the database is not asked again
        whether they changed. It is closed with its last reference once its definition has changed or was removed, or
        by ``close()``. Raises NotFound when the design document has no such index.
        """
        kinds = database.plugins.index_kinds()
        if kind not in kinds:
            raise NotFound(f"no plug-in for {kind!r} indexes is installed; there are: {', '.join(sorted(kinds))}")
        signature = kinds[kind].signature(database, ddoc, member)
        if signature is None:
            raise NotFound(f"design document {ddoc['_id']!r} has no {kind!r}{f' {member!r}' if member else ''}")
        key = (kind, signature)
        # The same object until one of them changes.
        changed = designs is None or designs is not self._followed
        ddocs_seq = database.adapter.ddocs_seq() if changed else None
        with self._lock:
            if changed and self._ddocs_seq != ddocs_seq:
                self._let_go(database)
                self._ddocs_seq = ddocs_seq
            if designs is not None:
                self._followed = designs
            found = self._followers.get(key)
            if found is None:
                place = IndexPlace(database, self.store, kind, signature, ddoc, member)
                found = self._followers[key] = Follower(kind, place, kinds[kind].open(database, place))
            self._recent[kind, ddoc["_id"], member] = key
            if len(self._followers) > len(self._recent):
                # A caller passed a design document that it read before it changed.
                for gone in self._followers.keys() - self._recent.values():
                    del self._followers[gone]
        return found

    def named(self, database: Database, kinds: Sequence[str], ddoc: str, name: str) -> Follower | None:
        """Return the Follower of an index by the name of its design document (without ``_design/``) and its own.

        Of several kinds (a tuple) the first that has an index of this name; None if none has. Raises NotFound without
        the design document, and for a kind whose plug-in is not installed.
        """
        # First: the design documents may be newer, and then this is looked up again.
        ddocs_seq = database.adapter.ddocs_seq()
        designs, wanted = database.design_documents(), (kinds, ddoc, name)
        with self._lock:
            known = self._known_of(ddocs_seq, designs)
            if wanted in known:
                return known[wanted]
        id = f"_design/{ddoc}"
        # Reading one that is missing raises what it should.
        design = next((each for each in designs if each["_id"] == id), None) or database.as_user(None).get(id)
        for kind in kinds:
            members = design.get(kind)
            if isinstance(members, Mapping) and name in members:
                found = self.follower(database, kind, design, name)
                if is_fixed(database, design):
                    with self._lock:
                        self._known_of(ddocs_seq, designs)[wanted] = found
                return found
        return None

    def _known_of(self, ddocs_seq: int, designs: Sequence[Record]) -> dict[_Wanted, Follower]:
        """Return what was found in design documents."""
        known = self._known
        # They are the same object until one of them changes.
        if designs is not known.designs or ddocs_seq != known.ddocs_seq:
            known = self._known = _Known(ddocs_seq, designs, known.named if designs is known.designs else {})
        return known.named

    def current(
        self, database: Database, kinds: Sequence[str], ddoc: str, name: str
    ) -> tuple[Follower, IndexEntry] | None:
        """Return the Follower of an index that ``named`` has found before, and its entry, if it is up to date.

        None if it is not, if a design document was written since, or if it was never looked for: then ask ``named``,
        and read the index in ``Follower.fresh``. For an object without a user it takes no lock, so it may be called in
        a snapshot, where the index stays up to date; for one with a user, plug-ins are asked whether they refuse.
        While nothing is committed it costs one look at the database.
        """
        known = self._known
        follower = known.named.get((kinds, ddoc, name))
        if follower is None:
            return None
        if not database.plugins.administers_plainly:
            # A plug-in may change design documents, each time.
            return None
        if database.user is not None and database.design_documents() is not known.designs:
            return None
        ddocs_seq, entry = follower.seen()
        return None if entry is None or ddocs_seq != known.ddocs_seq else (follower, entry)

    def _let_go(self, database: Database) -> None:
        """Forget indexes that no design document defines any more; they stay open while they are in use."""
        self._known = _Known(-1, (), {})
        if not self._followers:
            return
        defined = {
            (name, ddoc["_id"], member): (name, signature)
            for name, ddoc, signatures in _defined(database.as_user(None))
            for member, signature in signatures.items()
        }
        self._recent = {which: key for which, key in self._recent.items() if defined.get(which) == key}
        for gone in self._followers.keys() - self._recent.values():
            del self._followers[gone]

    def cleanup(self, database: Database) -> int:
        """Drop indexes, with their folders, that no design document defines; return how many.

        Indexes of kinds whose plug-in is not installed are left alone.
        """
        kinds = database.plugins.index_kinds()
        wanted = {(name, each) for name, _, signatures in _defined(database) for each in signatures.values()}
        dropped = 0
        for store, entry in self._entries():
            key = (entry.kind, entry.signature)
            if entry.kind in kinds and key not in wanted:
                with self._lock:
                    follower = self._followers.pop(key, None)
                if follower is not None:
                    follower.close()
                with store.write():
                    store.drop(entry.number)
                dropped += 1
        for name in kinds:
            files = database.adapter.existing_directory(folder(name))
            for left in () if files is None else files.iterdir():
                if (name, left.name) not in wanted:
                    with suppress(OSError):
                        remove_folder(left)
        return dropped

    def drop(self, database: Database, ddoc: str) -> int:
        """Drop the indexes of a design document (without ``_design/``): the next use of each builds it again.

        Returns how many there were. A build that is under way starts again; a query that is reading one may raise
        NotFound. An index that other design documents define in the same words is theirs too. Raises NotFound.
        """
        id = f"_design/{ddoc}"
        if all(each["_id"] != id for each in database.design_documents()):
            raise NotFound(f"missing: there is no design document {id!r}")
        wanted = {
            (name, signature)
            for name, design, signatures in _defined(database)
            if design["_id"] == id
            for signature in signatures.values()
        }
        dropped = 0
        for store, entry in self._entries():
            if (entry.kind, entry.signature) in wanted:
                # Files of an index are of no entry now, so the next builder removes them first.
                with store.write():
                    store.drop(entry.number)
                dropped += 1
        return dropped

    def _entries(self) -> list[tuple[IndexStore, IndexEntry]]:
        outside = self.store.outside()
        stores = [self.store] if outside is self.store else [self.store, outside]
        return [(store, IndexEntry(*row)) for store in stores for row in store.entries()]

    def close(self) -> None:
        """Close every index."""
        with self._lock:
            followers = list(self._followers.values())
            self._followers.clear()
            self._known = _Known(-1, (), {})
        for follower in followers:
            follower.close()


def _defined(database: Database) -> Iterator[tuple[str, Record, Mapping[str, str]]]:
    """Yield kind, design document, and the signatures of its indexes by name."""
    ddocs = database.design_documents()
    for name, kind in database.plugins.index_kinds().items():
        for ddoc in ddocs:
            # A design document that does not compile has no indexes.
            with suppress(FunctionError):
                yield name, ddoc, kind.signatures(database, ddoc)


_INDEXES: Slot[Indexes] = Slot("indexes", Indexes, Indexes.close)


def indexes(database: Database) -> Indexes:
    """Return the indexes of a local database. Raises NotSupported for one on a server."""
    return database.store_state(_INDEXES)
