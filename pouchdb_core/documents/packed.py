"""Revisions as replication moves them between two of our stores: the stored JSON, not parsed.

Parsing a document and writing it again is most of what a local replication costs. What is packed
was checked when it was first written, so it is not checked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pouchdb_core.documents.parse import Parsed
from pouchdb_core.documents.read import Trees, compose, fitting
from pouchdb_core.documents.store import Row, Store
from pouchdb_core.errors import Damaged, NotFound, PouchDBError
from pouchdb_core.jsontext import dump, load_record
from pouchdb_core.requests import ReadOptions
from pouchdb_core.results import Record
from pouchdb_core.revisions import Tree, revisions_from_path
from pouchdb_core.revisions.stored import InvalidTree, read_branches

__all__ = ["Answer", "Packed", "read_packed"]

WITH_REVISIONS = ReadOptions(revs=True, latest=True)


class Packed:
    """A revision with its history; ``document()`` is what reading it with ``revs=True`` returns."""

    __slots__ = ("body", "deleted", "id", "path", "rev")

    def __init__(self, id: str, rev: str, path: Sequence[str], deleted: bool, body: bytes) -> None:
        self.id, self.rev, self.path, self.deleted, self.body = id, rev, path, deleted, body

    def document(self) -> Record:
        """Return the document, parsed again at each call."""
        doc = load_record(self.body)
        doc["_id"], doc["_rev"] = self.id, self.rev
        if self.deleted:
            doc["_deleted"] = True
        doc["_revisions"] = Record(revisions_from_path(self.path))
        return doc

    def json(self) -> bytes:
        """Return ``document()`` as JSON, without parsing it."""
        added: dict[str, Any] = {"_id": self.id, "_rev": self.rev}
        if self.deleted:
            added["_deleted"] = True
        added["_revisions"] = revisions_from_path(self.path)
        # Neither has white space, as ``dump`` writes it, and only the first may be empty.
        start = self.body[:-1]
        return start + (b"" if start == b"{" else b",") + dump(added)[1:]

    def parsed(self) -> Parsed:
        """Return it in the form that a writer accepts."""
        return Parsed(self.id, self.rev, None, self.path, self.deleted, self.body, {}, None)


Answer = Packed | Record | PouchDBError | list[Packed | Record] | None
"""The result for a revision: itself, the leaves that were made from it, or why it cannot be read."""


def read_packed(store: Store, revisions: Sequence[tuple[str, str]], size: int) -> list[Answer]:
    """Return revisions, or the leaves that were made from them: about ``size`` bytes, then it stops.

    One with attachments is a document with stubs; a missing one is None, one that cannot be read the error.
    """
    with store.snapshot():
        revisions = revisions[: fitting(store, [id for id, _ in revisions], size)]
        rows = store.rows(list(dict.fromkeys(id for id, _ in revisions)))
        trees = Trees()
        answers: list[Answer] = []
        total = 0
        for id, rev in revisions:
            row = rows.get(id)
            if row is not None and row[4] is None and row[2] == rev and b'"_attachments"' not in row[5]:  # type: ignore[operator]  # rows() brings bodies
                answers.append(Packed(id, rev, (rev,), bool(row[3]), row[5]))  # type: ignore[arg-type]
                continue
            answer: Answer = None
            try:
                answer = None if row is None else _one(store, row, rev, trees)
            except Damaged as error:
                answer = error
            answers.append(answer)
            # The length of losing leaves was not known.
            leaves = answer if isinstance(answer, list) else (answer,)
            total += sum(len(each.body) + 40 * len(each.path) for each in leaves if isinstance(each, Packed))
            if total > size:
                break
        return answers


def _one(store: Store, row: Row, rev: str, trees: Trees) -> Packed | Record | list[Packed | Record] | None:
    if rev == row[2] and row[4] is not None and b'"_attachments"' not in row[5]:  # type: ignore[operator]  # rows() brings bodies
        # The winner of one branch, as most are: no tree has to be made.
        try:
            branches = read_branches(row[4])
        except InvalidTree as error:
            raise Damaged(f"document {row[1]!r} is damaged: {error}", id=row[1]) from error
        if len(branches) == 1:
            return Packed(row[1], rev, branches[0][0], bool(row[3]), row[5])  # type: ignore[arg-type]
    tree = trees.of(row)
    if rev not in tree:
        return None
    leaves = tree.leaves_of(rev)
    found = [each for leaf in leaves if (each := _leaf(store, row, leaf, tree)) is not None]
    return found if len(found) > 1 else found[0] if found else None


def _leaf(store: Store, row: Row, rev: str, tree: Tree) -> Packed | Record | None:
    pointer = tree.body(rev)
    body = None if pointer is None else row[5] if rev == row[2] else store.body(pointer)
    if body is None:
        return None
    if b'"_attachments"' in body:
        try:
            return compose(store, row, rev, WITH_REVISIONS, tree)
        except NotFound:
            return None
    return Packed(row[1], rev, tree.path(rev), tree.is_deleted(rev), body)
