"""Reading one document: a revision with what the options add, its open revisions, its attachments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from pouchdb_core.documents import local
from pouchdb_core.documents.attachment_reader import AttachmentReader
from pouchdb_core.documents.attachments import Blob, outgoing
from pouchdb_core.documents.bodies import parsed_body
from pouchdb_core.documents.parse import LOCAL
from pouchdb_core.documents.store import Row, Store
from pouchdb_core.errors import Damaged, NotFound
from pouchdb_core.jsontext import encodes
from pouchdb_core.requests import PLAIN, Read, ReadOptions
from pouchdb_core.results import Record
from pouchdb_core.revisions import Tree, generation, revisions_from_path
from pouchdb_core.revisions.stored import InvalidTree

__all__ = ["Trees", "compose", "fitting", "read", "stubs", "tree_of"]

ROW = 200
"""Approximate bytes that a document takes beside its body."""
AT_ONCE = 100
"""Documents that are read in one snapshot."""


def read(store: Store, request: Read) -> Any:
    """Do a read.

    Returns a document; with ``open_revs`` a list of ``{"ok": doc}`` and ``{"missing": rev}``; with
    ``items`` the result of ``bulk_get``; with ``attachment`` a Blob or an AttachmentReader.
    Raises NotFound with the message ``missing`` or ``deleted``.
    """
    if request.items is not None:
        return _many(store, request)
    id = request.id
    if id.startswith(LOCAL):
        if request.attachment is not None:
            raise NotFound(id=id)
        doc = local.read(store, id)
        if request.rev not in (None, doc["_rev"]):
            # It has no history.
            raise NotFound(id=id)
        return doc if request.open_revs is None else [Record(ok=doc)]
    if request.attachment is not None:
        return _attachment(store, request, request.attachment)
    if request.open_revs is not None:
        return _open_revs(store, id, request.open_revs, request.options)
    if request.rev is None and request.options is PLAIN:
        row = store.row(id)
        if row is None or row[3]:
            raise NotFound("missing" if row is None else "deleted", id=id)
        doc = parsed_body(row[5], id)  # type: ignore[arg-type]  # row() brings the body
        doc["_id"], doc["_rev"] = id, row[2]
        if "_attachments" in doc:
            stubs(doc)
        return doc
    # A winner without the content of its attachments is all in one row.
    whole = request.rev is None and not request.options.attachments
    with nullcontext() if whole else store.snapshot():
        row = store.row(id)
        if row is None:
            raise NotFound(id=id)
        rev = request.rev
        if rev is None:
            if row[3]:
                raise NotFound("deleted", id=id)
            rev = row[2]
        return compose(store, row, rev, request.options)


def fitting(store: Store, ids: Sequence[str], size: int) -> int:
    """Return how many of these documents, but at least one, take about ``size`` bytes."""
    lengths = store.lengths(list(dict.fromkeys(ids)))
    total = 0
    for count, id in enumerate(ids):
        total += lengths.get(id, 0) + ROW
        if count and total > size:
            return count
    return len(ids)


def tree_of(row: Row) -> Tree:
    """Return a row's revision tree, made explicit when it has a single revision. Raises Damaged."""
    tree = row[4]
    if tree is None:
        return Tree.single(row[2], deleted=bool(row[3]))
    try:
        return Tree.loads(tree)
    except InvalidTree as error:
        raise Damaged(f"document {row[1]!r} is damaged: {error}", id=row[1]) from error


class Trees:
    """The trees of rows: the tree of a row that is requested repeatedly is made once."""

    def __init__(self) -> None:
        self._data: bytes | None = None
        self._tree = Tree()

    def of(self, row: Row) -> Tree:
        """Return a row's revision tree. The caller must not change it."""
        data = row[4]
        if data is None:
            return tree_of(row)
        if data != self._data:
            self._tree, self._data = tree_of(row), data
        return self._tree


def stubs(doc: Record) -> None:
    """Mark the attachments of a document as stubs."""
    for entry in doc["_attachments"].values():
        entry["stub"] = True


def compose(store: Store, row: Row, rev: str, options: ReadOptions, tree: Tree | None = None) -> Record:
    """Build the document of one revision, with what ``options`` add; ``tree`` if it is known. Raises NotFound.

    Fields come in PouchDB's order: the body's, ``_id``, ``_rev``, then the added ones.
    """
    id = row[1]
    tree = tree_of(row) if tree is None else tree
    if options.latest and rev in tree:
        rev = tree.latest(rev)
    pointer = tree.body(rev) if rev in tree else None
    if pointer is None:
        raise NotFound(id=id, rev=rev)
    body = row[5] if rev == row[2] else store.body(pointer)
    if body is None:
        # Outside a snapshot it may have been removed since the row was read.
        raise NotFound(id=id, rev=rev)
    doc = parsed_body(body, id)
    if "_attachments" in doc:
        since = _common_generation(tree, rev, options.atts_since)
        doc["_attachments"] = outgoing(
            store, doc["_attachments"], id, rev, data=options.attachments, binary=options.binary, since_generation=since
        )
    doc["_id"], doc["_rev"] = id, rev
    if tree.is_deleted(rev):
        doc["_deleted"] = True
    if options.revs:
        doc["_revisions"] = Record(revisions_from_path(tree.path(rev)))
    if options.revs_info:
        doc["_revs_info"] = [Record(rev=each, status=_status(tree, each)) for each in tree.path(rev)]
    if options.local_seq:
        doc["_local_seq"] = row[0]
    if options.conflicts and (conflicts := tree.conflicts()):
        doc["_conflicts"] = conflicts
    if options.deleted_conflicts and (conflicts := tree.deleted_conflicts()):
        doc["_deleted_conflicts"] = conflicts
    return doc


def _status(tree: Tree, rev: str) -> str:
    if tree.body(rev) is None:
        return "missing"
    return "deleted" if tree.is_deleted(rev) else "available"


def _common_generation(tree: Tree, rev: str, known: Sequence[str]) -> int:
    """Return the generation of the newest ancestor-or-self among ``known``, or 0."""
    wanted = set(known)
    return next((generation(each) for each in tree.path(rev) if each in wanted), 0) if wanted else 0


def _open_revs(store: Store, id: str, revs: str | Iterable[str], options: ReadOptions) -> list[Record]:
    with store.snapshot():
        return _revisions_of(store, store.row(id), id, revs, options, Trees())


def _revisions_of(
    store: Store, row: Row | None, id: str, revs: str | Iterable[str], options: ReadOptions, trees: Trees
) -> list[Record]:
    if row is None:
        if revs == "all":
            raise NotFound(id=id)
        return [Record(missing=rev) for rev in revs]
    tree = trees.of(row)
    answers: list[Record] = []
    seen: set[str] = set()
    for asked in tree.leaves() if revs == "all" else revs:
        # With `latest` every leaf that was made from it, as in CouchDB; two requested ones may have the same.
        for rev in tree.leaves_of(asked) if options.latest and asked in tree else (asked,):
            if rev in seen:
                continue
            seen.add(rev)
            try:
                answers.append(Record(ok=compose(store, row, rev, options, tree)))
            except NotFound:
                answers.append(Record(missing=rev))
    return answers


def _many(store: Store, request: Read) -> Record:
    results: list[Record] = []
    items = request.items or ()
    if request.size is not None:
        items = items[: fitting(store, [id for id, _, _ in items if encodes(id)], request.size)]
    # A snapshot each would cost as much as the reading; one for all would lock a database in memory for all others.
    some = 1 if request.options.attachments else AT_ONCE
    trees = Trees()
    for start in range(0, len(items), some):
        with store.snapshot():
            part = items[start : start + some]
            ids = [id for id, _, _ in part if encodes(id) and not id.startswith(LOCAL)]
            rows = store.rows(list(dict.fromkeys(ids)))
            results += (_result(store, item, rows.get(item[0]), request.options, trees) for item in part)
    return Record(results=results)


def _result(
    store: Store, item: tuple[str, str | None, tuple[str, ...]], row: Row | None, options: ReadOptions, trees: Trees
) -> Record:
    id, rev, atts_since = item
    if atts_since:
        options = replace(options, atts_since=atts_since)
    try:
        if not encodes(id):
            raise NotFound(id=id)
        if id.startswith(LOCAL):
            docs = [Record(ok=local.read(store, id))]
        else:
            answers = _revisions_of(store, row, id, "all" if rev is None else (rev,), options, trees)
            docs = [each if "ok" in each else _missing(id, each["missing"]) for each in answers]
    except NotFound:
        docs = [_missing(id, rev or "undefined")]
    except Damaged as error:
        # The other documents can be read.
        docs = [Record(error=Record(id=id, rev=rev or "undefined", error=error.name, reason=error.message))]
    return Record(id=id, docs=docs)


def _missing(id: str, rev: str) -> Record:
    return Record(error=Record(id=id, rev=rev, error="not_found", reason="missing"))


def _attachment(store: Store, request: Read, name: str) -> Blob | AttachmentReader:
    with store.snapshot():
        row = store.row(request.id)
        if row is None or (row[3] and request.rev is None):
            raise NotFound("missing" if row is None else "deleted", id=request.id)
        rev = request.rev or row[2]
        if rev == row[2]:
            body = row[5]
        else:
            tree = tree_of(row)
            pointer = tree.body(rev) if rev in tree else None
            if pointer is None:
                raise NotFound(id=request.id, rev=rev)
            body = store.body(pointer)
        entry = parsed_body(body or b"{}", request.id).get("_attachments", {}).get(name)
        if entry is None:
            raise NotFound(id=request.id)
        reader = AttachmentReader(store, entry, request.id, rev, name)
        return reader if request.stream else Blob(reader.read(), entry["content_type"])
