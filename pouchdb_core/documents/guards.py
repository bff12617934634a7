"""Asking write guards about a batch, outside the write lock, and deciding when to ask again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pouchdb_core.documents import local
from pouchdb_core.documents.parse import Parsed, rehash
from pouchdb_core.documents.read import stubs, tree_of
from pouchdb_core.documents.store import Counters, Head, Row, Store
from pouchdb_core.errors import NotFound, PluginError, PouchDBError
from pouchdb_core.jsontext import dump, load
from pouchdb_core.requests import Guard, Proposed
from pouchdb_core.results import Record, record
from pouchdb_core.revisions import revisions_from_path

__all__ = ["Judge", "LocalDocument", "passes_all", "rounds"]

Ancestor = tuple[str, bytes]
"""A stored revision and its body."""


_ANY = object()
"""The winner of documents that no guard looked at: all let everything pass, whatever the winner."""


class Judge:
    """The verdicts of the guards over a batch in which no id occurs twice."""

    def __init__(self, store: Store, guards: Sequence[Guard], new_edits: bool) -> None:
        self._store, self._guards, self._new_edits = store, guards, new_edits
        self._over: dict[Parsed, tuple[object, int]] = {}
        """Over which winner (None: none), and by the rules of which ``ddocs_seq``, each document was judged."""
        self._errors: dict[Parsed, PouchDBError] = {}

    def ask(self, batch: Sequence[Parsed]) -> None:
        """Ask the guards about ``batch``, over the current state."""
        if not batch:
            return
        for parsed in batch:
            self._errors.pop(parsed, None)
        ddocs_seq = self._store.counters().ddocs_seq
        guards = [guard for guard in self._guards if not passes_all(guard, ddocs_seq)]
        if not guards:
            self._over.update(dict.fromkeys(batch, (_ANY, ddocs_seq)))
            return
        # Design documents that change from here on make the verdicts stale.
        rows, ancestors = self._read(batch)
        for parsed in batch:
            row = rows.get(parsed.id)
            self._over[parsed] = (row[2] if row else None, ddocs_seq)
        for guard in guards:
            # Each guard gets separate copies.
            errors = guard(
                [
                    _Document(parsed, rows.get(parsed.id), ancestor, ddocs_seq, self._new_edits)
                    for parsed, ancestor in zip(batch, ancestors, strict=True)
                ]
            )
            for parsed, error in zip(batch, _checked(guard, errors, len(batch)), strict=True):
                if error is not None:
                    self._errors.setdefault(parsed, error)

    def _read(self, batch: Sequence[Parsed]) -> tuple[dict[str, Row], list[Ancestor | None]]:
        """Return the rows of a batch, and what each document was made from: usually nothing, or what its row has."""
        store, new_edits = self._store, self._new_edits
        ids = [parsed.id for parsed in batch]
        try:
            rows = store.rows(ids)
            return rows, [_ancestor(_elsewhere, parsed, rows.get(parsed.id), new_edits) for parsed in batch]
        except _Elsewhere:
            with store.snapshot():
                # Again: rows and bodies must be of one state.
                rows = store.rows(ids)
                return rows, [_ancestor(store.body, parsed, rows.get(parsed.id), new_edits) for parsed in batch]

    def stale(self, batch: Sequence[Parsed], heads: dict[str, Head], counters: Counters) -> list[Parsed]:
        """Return those that were judged over another winner, or by other design documents, than the current ones."""
        ddocs_seq, over = counters.ddocs_seq, self._over
        stale = []
        for parsed in batch:
            winner, seq = over[parsed]
            head = heads.get(parsed.id)
            if seq != ddocs_seq or (winner is not _ANY and winner != (head[1] if head else None)):
                stale.append(parsed)
        return stale

    def error(self, parsed: Parsed) -> PouchDBError | None:
        """Return why a document must not be written."""
        if parsed not in self._over:
            raise PluginError(f"no guard was asked about {parsed.id!r}")
        return self._errors.get(parsed)


def passes_all(guard: Guard, ddocs_seq: int) -> bool:
    """Return whether a guard says that it lets everything pass while the design documents are those of this number."""
    says = getattr(guard, "passes_all", None)
    return says is not None and says(ddocs_seq) is True


def _checked(guard: Guard, errors: Any, count: int) -> Sequence[PouchDBError | None]:
    """Refuse an answer that does not judge every document: a document that was not judged must not pass."""
    if errors is None:
        return [None] * count
    if isinstance(errors, Sequence) and len(errors) == count:
        if all(each is None or isinstance(each, PouchDBError) for each in errors):
            return errors
        raise PluginError(f"write guard {guard!r} must answer with PouchDBErrors and None, not {errors!r}")
    raise PluginError(f"write guard {guard!r} must answer with one verdict per document ({count}), not {errors!r}")


def rounds(batch: list[Parsed]) -> list[list[Parsed]]:
    """Split a batch so that no round has an id twice: a guard must see the outcome of the previous edit."""
    split: list[list[Parsed]] = []
    seen: Counter[str] = Counter()
    for parsed in batch:
        turn = seen[parsed.id]
        seen[parsed.id] += 1
        if turn == len(split):
            split.append([])
        split[turn].append(parsed)
    return split


class _Document(Proposed):
    """A document of a batch, over the row that existed when the guards were asked."""

    __slots__ = ("_ancestor", "_ddocs_seq", "_new", "_new_edits", "_old", "_parent", "_parsed", "_row", "_sent")

    _new: Record
    _sent: Record
    _old: Record
    _parent: Record

    def __init__(
        self, parsed: Parsed, row: Row | None, ancestor: Ancestor | None, ddocs_seq: int, new_edits: bool
    ) -> None:
        self._parsed, self._row, self._ancestor = parsed, row, ancestor
        self._ddocs_seq, self._new_edits = ddocs_seq, new_edits

    @property
    def id(self) -> str:
        return self._parsed.id

    @property
    def ddocs_seq(self) -> int:
        return self._ddocs_seq

    @property
    def new(self) -> Record:
        try:
            return self._new
        except AttributeError:
            pass
        parsed, row = self._parsed, self._row
        path = list(parsed.path)
        if row is not None:
            if self._new_edits and parsed.parent is None and row[3] and not parsed.deleted:
                # It comes back, as the child of its tombstone.
                parsed = rehash(parsed, row[2])
            if parsed.parent is not None and parsed.parent in (tree := tree_of(row)):
                path = [parsed.rev, *tree.path(parsed.parent)]
        self._new = _with_stubs(_shown(parsed.id, path, parsed.deleted, load(parsed.body)), parsed)
        return self._new

    @property
    def sent(self) -> Record:
        try:
            return self._sent
        except AttributeError:
            pass
        parsed = self._parsed
        self._sent = _with_stubs(_shown(parsed.id, self._sent_path(), parsed.deleted, load(parsed.body)), parsed)
        return self._sent

    @property
    def sent_json(self) -> bytes:
        parsed = self._parsed
        if parsed.attachments is not None:
            return dump(self.sent)
        if self._new_edits and parsed.parent is None and not parsed.deleted:
            # The usual new document.
            return b'%b%b"_id":%b}' % (parsed.body[:-1], b"" if len(parsed.body) < 3 else b",", dump(parsed.id))
        more = dump(_shown(parsed.id, self._sent_path(), parsed.deleted, {}))
        return more if len(parsed.body) < 3 else b"%b,%b" % (parsed.body[:-1], more[1:])

    def _sent_path(self) -> Sequence[str]:
        """Return the revisions of the document as it was sent: its parent's, or its own if it was replicated."""
        parsed = self._parsed
        if not self._new_edits:
            return list(parsed.path)
        if parsed.parent is None:
            return []
        if self._row is not None and parsed.parent in (tree := tree_of(self._row)):
            return tree.path(parsed.parent)
        return [parsed.parent]

    @property
    def old(self) -> Record | None:
        row = self._row
        if row is None:
            return None
        try:
            return self._old
        except AttributeError:
            pass
        self._old = _shown(row[1], tree_of(row).path(row[2]), bool(row[3]), load(row[5] or b"{}"))
        if "_attachments" in self._old:
            stubs(self._old)
        return self._old

    @property
    def parent(self) -> Record | None:
        row = self._row
        if row is None or self._ancestor is None:
            return None
        try:
            return self._parent
        except AttributeError:
            pass
        rev, body = self._ancestor
        tree = tree_of(row)
        self._parent = _shown(row[1], tree.path(rev), tree.is_deleted(rev), load(body))
        if "_attachments" in self._parent:
            stubs(self._parent)
        return self._parent

    def content(self, attachment: str) -> Iterator[bytes]:
        incoming = (self._parsed.attachments or {}).get(attachment)
        if incoming is None or incoming.stub:
            raise NotFound(f"the document brings no content for an attachment {attachment!r}", id=self.id)
        return incoming.chunks()


class LocalDocument(Proposed):
    """A local document as it was given; it has no revision tree."""

    __slots__ = ("_given", "_store")

    def __init__(self, store: Store, given: Record) -> None:
        self._store, self._given = store, given

    @property
    def id(self) -> str:
        id: str = self._given["_id"]
        return id

    @property
    def new(self) -> Record:
        return self._given

    @property
    def sent(self) -> Record:
        return self._given

    @property
    def old(self) -> Record | None:
        return None if self._store.local(self.id) is None else local.read(self._store, self.id)

    @property
    def parent(self) -> Record | None:
        return self.old

    @property
    def ddocs_seq(self) -> int:
        return self._store.counters().ddocs_seq

    def content(self, attachment: str) -> Iterator[bytes]:
        raise NotFound("a local document has no attachments", id=self.id)


class _Elsewhere(Exception):
    """A body is needed that is not in its document's row."""


def _elsewhere(pointer: int) -> bytes | None:
    raise _Elsewhere


def _ancestor(
    body_of: Callable[[int], bytes | None], parsed: Parsed, row: Row | None, new_edits: bool
) -> Ancestor | None:
    """Return the revision a document was made from, and its body."""
    if row is None:
        return None
    candidates = parsed.path[1:]
    if new_edits:
        candidates = () if parsed.parent is None else (parsed.parent,)
    elif parsed.rev == row[2] and row[4] is None:
        candidates = ()
    for rev in candidates:
        if rev == row[2]:
            return rev, row[5] or b"{}"
        if row[4] is None:
            continue
        tree = tree_of(row)
        if rev in tree and (pointer := tree.body(rev)) is not None and (body := body_of(pointer)) is not None:
            return rev, body
    return None


def _shown(id: str, path: Sequence[str], deleted: bool, members: dict[str, Any]) -> Record:
    shown = record(members)
    shown["_id"] = id
    if path:
        shown["_rev"] = path[0]
    if deleted:
        shown["_deleted"] = True
    if path:
        shown["_revisions"] = Record(revisions_from_path(path))
    return shown


def _with_stubs(shown: Record, parsed: Parsed) -> Record:
    if parsed.attachments is not None:
        shown["_attachments"] = record({name: incoming.described() for name, incoming in parsed.attachments.items()})
    return shown
