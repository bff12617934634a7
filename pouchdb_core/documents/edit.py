"""Applying parsed documents to the rows of a store, inside one write transaction.

A ``Batch`` keeps a draft of every document it touches and writes all drafts at the end, so that
several edits of one document cost one row, and rows move by ``executemany``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from pouchdb_core.documents.attachments import resolve
from pouchdb_core.documents.parse import DESIGN, Parsed, rehash
from pouchdb_core.documents.store import Content, Counters, Head, RowChanges, Store
from pouchdb_core.errors import Conflict, NotFound
from pouchdb_core.jsontext import dump, load
from pouchdb_core.results import Record
from pouchdb_core.revisions import Tree, generation

__all__ = ["Batch", "Draft"]

ROW = 0
"""The pointer of a body that is in the document's row: the winner's."""


class Draft:
    """A document while it is being changed. ``seq`` 0: it has no row yet."""

    __slots__ = ("body", "deleted", "id", "merged", "new_seq", "rev", "seq", "tree", "was")

    def __init__(self, id: str, seq: int, rev: str, deleted: bool, tree: Tree | None, body: bytes | None) -> None:
        self.id, self.seq, self.rev, self.deleted = id, seq, rev, deleted
        self.tree = tree
        """None while there is a single revision."""
        self.body = body
        """The winner's body if it is not (or no longer) the one in the row ``seq``."""
        self.was = None if seq == 0 else deleted
        """Whether the row counted as deleted before the batch; None if there was no row."""
        self.new_seq = 0
        """The place in the feed it moves to; 0 while nothing has changed."""
        self.merged = False
        """Whether revisions were added to its tree, which may have grown beyond what is kept."""

    def grown(self) -> Tree:
        """Return the tree, made explicit."""
        if self.tree is None:
            self.tree = Tree.single(self.rev, deleted=self.deleted, body=ROW)
        return self.tree


class Batch:
    """Edits documents in a transaction; ``flush`` writes the rows."""

    def __init__(
        self,
        store: Store,
        counters: Counters,
        heads: dict[str, Head],
        auto_compaction: bool = False,
        *,
        unique: bool = False,
    ) -> None:
        """``unique`` promises that no id occurs twice: then a new document needs no draft."""
        self._unique = unique
        self._store, self._counters = store, counters
        self._auto_compaction = auto_compaction
        self._heads = heads
        self._drafts: dict[str, Draft] = {}
        self._changes = RowChanges()
        self._used: dict[tuple[str, str], dict[str, Content]] = {}
        """The attachments of revisions that this batch has written, which the store does not know yet."""
        self._last_pointer = counters.last_pointer
        """Pointers above this one belong to this batch: their bodies are not in the store yet."""

    def edit(self, parsed: Parsed) -> Record:
        """Add a new revision. Raises Conflict unless its parent is a leaf (or a deleted document comes back)."""
        draft = self._draft(parsed.id)
        if draft is None:
            if parsed.parent is not None:
                raise NotFound() if parsed.deleted and parsed.body == b"{}" else Conflict()
            self._create(parsed)
        else:
            if parsed.parent is None:
                # A deleted document is created again as a child of its tombstone, as PouchDB does.
                if not draft.deleted or parsed.deleted:
                    raise Conflict()
                parsed = rehash(parsed, draft.rev)
            tree, parent = draft.tree, str(parsed.parent)
            if not (parent == draft.rev if tree is None else parent in tree and tree.is_leaf(parent)):
                raise Conflict()
            tree = draft.grown()
            if parsed.deleted and parsed.body == b"{}" and tree.is_deleted(parent):
                raise NotFound("deleted")
            if parsed.rev in tree:
                raise Conflict()
            self._merge(draft, tree, parsed)
        return Record(ok=True, id=parsed.id, rev=parsed.rev)

    def graft(self, parsed: Parsed) -> Record:
        """Add a revision as another replica made it; one that is already known changes nothing."""
        draft = self._draft(parsed.id)
        if draft is None:
            self._create(parsed)
        elif not (draft.tree is None and draft.rev == parsed.rev and len(parsed.path) == 1):
            self._merge(draft, draft.grown(), parsed)
        return Record(ok=True, id=parsed.id, rev=parsed.rev)

    def prune(self, id: str, revs: list[str]) -> list[str]:
        """Purge leaves, with the ancestors only they have; return every purged revision."""
        draft = self._draft(id)
        if draft is None:
            return []
        tree = draft.grown()
        gone = tree.purge(revs)
        for rev, pointer in gone:
            self._drop(draft.id, rev, pointer)
        if gone:
            self._touch(draft)
            if len(tree):
                self._elect(draft, tree)
        return [rev for rev, _ in gone]

    def flush(self) -> None:
        """Write every draft, in the order the documents were first touched."""
        counters, changes = self._counters, self._changes
        for draft in self._drafts.values():
            seq, tree = draft.new_seq, draft.tree
            if not seq:
                continue
            if draft.id[:8] == DESIGN:
                counters.ddocs_seq = seq
            if tree is not None and not len(tree):
                changes.removed.append((draft.seq,))
                self._count(draft, None)
                continue
            if tree is not None and draft.merged:
                self._shrink(draft, tree)
            conflicts, packed = 0, None
            if tree is not None and len(tree) > 1:
                conflicts, packed = (0 if draft.deleted else len(tree.conflicts())), tree.dumps()
            if draft.body is None:
                changes.touched.append((seq, conflicts, packed, draft.seq))
            else:
                if draft.seq:
                    changes.removed.append((draft.seq,))
                changes.inserted.append((seq, draft.id, draft.rev, int(draft.deleted), conflicts, packed, draft.body))
            self._count(draft, draft.deleted)
        self._store.save(changes)

    def _draft(self, id: str) -> Draft | None:
        draft = self._drafts.get(id)
        if draft is None:
            head = self._heads.get(id)
            if head is None:
                return None
            seq, rev, deleted, tree = head
            draft = Draft(id, seq, rev, bool(deleted), None if tree is None else Tree.loads(tree), None)
            self._drafts[id] = draft
        return draft

    def _create(self, parsed: Parsed) -> None:
        body = self._body(parsed, None)
        tree = None
        if len(parsed.path) > 1:
            tree = Tree.single(parsed.path[-1], body=None)
            tree.merge(parsed.path, deleted=parsed.deleted, body=ROW)
        if self._unique and tree is None and parsed.id[:8] != DESIGN:
            counters = self._counters
            counters.update_seq += 1
            if parsed.deleted:
                counters.doc_del_count += 1
            else:
                counters.doc_count += 1
            self._changes.inserted.append(
                (counters.update_seq, parsed.id, parsed.rev, int(parsed.deleted), 0, None, body)
            )
            return
        draft = Draft(parsed.id, 0, parsed.rev, parsed.deleted, tree, body)
        draft.merged = tree is not None
        self._touch(draft)
        self._drafts[parsed.id] = draft

    def _touch(self, draft: Draft) -> None:
        """Give the document its new place in the feed: in the order of the input."""
        if not draft.new_seq:
            draft.new_seq = self._counters.next_seq()

    def _merge(self, draft: Draft, tree: Tree, parsed: Parsed) -> None:
        if parsed.rev in tree:
            # Its ancestors may still be new, which can make a leaf an inner revision.
            if tree.holds(parsed.path):
                return
            tree.merge(parsed.path)
            self._touch(draft)
            self._elect(draft, tree)
        else:
            # What can fail comes before anything is changed: the other documents of the batch continue.
            body = self._body(parsed, draft)
            tree.merge(parsed.path, deleted=parsed.deleted, body=None)
            self._touch(draft)
            if tree.winner() == parsed.rev:
                self._demote(draft, tree)
                tree.set_body(parsed.rev, ROW)
                draft.rev, draft.deleted, draft.body = parsed.rev, parsed.deleted, body
            else:
                pointer = self._counters.next_pointer()
                self._changes.bodies.append((pointer, draft.id, body))
                tree.set_body(parsed.rev, pointer)
                self._elect(draft, tree)
        draft.merged = True

    def _shrink(self, draft: Draft, tree: Tree) -> None:
        """Drop what is not kept: once per batch, because that walks the whole tree."""
        if self._auto_compaction:
            for rev, pointer in tree.compact():
                self._drop(draft.id, rev, pointer)
        if len(tree) > self._counters.revs_limit:
            self._stem(draft.id, tree)

    def _elect(self, draft: Draft, tree: Tree) -> None:
        """Move the winner's body into the row if the winner has changed."""
        winner = tree.winner()
        if winner == draft.rev:
            return
        pointer = tree.body(winner)
        body = self._read(draft, pointer)
        self._demote(draft, tree)
        if pointer is not None:
            self._changes.dropped.append((pointer,))
        tree.set_body(winner, ROW)
        draft.rev, draft.deleted, draft.body = winner, tree.is_deleted(winner), body

    def _demote(self, draft: Draft, tree: Tree) -> None:
        """Move the body of the revision that was the winner out of the row."""
        if draft.rev not in tree or tree.body(draft.rev) != ROW:
            return
        if self._auto_compaction and not tree.is_leaf(draft.rev):
            tree.set_body(draft.rev, None)
            self._drop(draft.id, draft.rev, ROW)
            return
        pointer = self._counters.next_pointer()
        if draft.body is None:
            self._changes.moved.append((pointer, draft.seq))
        else:
            self._changes.bodies.append((pointer, draft.id, draft.body))
        tree.set_body(draft.rev, pointer)

    def _read(self, draft: Draft, pointer: int | None) -> bytes:
        """Return a stored body of the document, also one that only this batch has stored."""
        body: bytes | None = None
        if pointer is not None and ROW < pointer <= self._last_pointer:
            body = self._store.body(pointer)
        elif pointer == ROW and draft.body is not None:
            body = draft.body
        elif pointer is not None:
            made = self._changes.bodies
            place = bisect_left(made, (pointer,))
            if place < len(made) and made[place][0] == pointer:
                body = made[place][2]
            elif (row := self._store.row(draft.id)) is not None:
                # It is in the row, or will be moved from there.
                body = row[5]
        return body or b"{}"

    def _stem(self, id: str, tree: Tree) -> None:
        for rev, pointer in tree.stem(self._counters.revs_limit):
            self._drop(id, rev, pointer)

    def _drop(self, id: str, rev: str, pointer: int | None) -> None:
        if pointer is None:
            return
        if pointer != ROW:
            self._changes.dropped.append((pointer,))
        if self._counters.last_attachment:
            self._changes.unused.append((id, rev))

    def _body(self, parsed: Parsed, draft: Draft | None) -> bytes:
        """Return the body to store; attachments are stored or found meanwhile. Raises MissingStub."""
        if parsed.attachments is None:
            return parsed.body
        members = load(parsed.body)
        resolved = resolve(self._store, parsed.attachments, self._previous(draft, parsed))
        entries: dict[str, Any] = {}
        for name, (entry, content) in resolved.items():
            entry["revpos"] = entry["revpos"] or generation(parsed.rev)
            entries[name] = entry
            self._changes.uses.append((parsed.id, parsed.rev, name, content.number))
        members["_attachments"] = entries
        self._used[parsed.id, parsed.rev] = {name: content for name, (_, content) in resolved.items()}
        return dump(members)

    def _previous(self, draft: Draft | None, parsed: Parsed) -> dict[str, tuple[Mapping[str, Any], Content]]:
        """Return the attachments of the revision it was made from: the parent, or the newest existing ancestor."""
        if draft is None:
            return {}
        tree = draft.grown()
        # An edit has only the parent in its path.
        for rev in parsed.path[1:]:
            if rev in tree and (pointer := tree.body(rev)) is not None:
                entries = load(self._read(draft, pointer)).get("_attachments", {})
                if not entries:
                    return {}
                used = self._used.get((draft.id, rev)) or self._store.attachments(draft.id, rev)
                return {name: (entry, used[name]) for name, entry in entries.items() if name in used}
        return {}

    def _count(self, draft: Draft, deleted: bool | None) -> None:
        counters = self._counters
        for state, step in ((draft.was, -1), (deleted, 1)):
            if state is True:
                counters.doc_del_count += step
            elif state is False:
                counters.doc_count += step
