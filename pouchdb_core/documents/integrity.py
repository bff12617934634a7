"""Looking for damage that the storage does not notice: bodies, trees and content that are not what was written."""

from __future__ import annotations

from collections.abc import Iterator

from pouchdb_core.documents import local
from pouchdb_core.documents.attachment_reader import verify
from pouchdb_core.documents.bodies import parsed_body
from pouchdb_core.documents.parse import LOCAL
from pouchdb_core.documents.read import tree_of
from pouchdb_core.documents.store import Row, Store
from pouchdb_core.errors import Damaged, NotFound

__all__ = ["check_content", "damage"]

PAGE = 100
CONTENTS = 10
"""Attachments that are verified in one snapshot."""


def damage(store: Store) -> Iterator[Damaged]:
    """Yield what is damaged; reads everything, one page at a time."""
    after = 0
    while True:
        page, found = _damaged_documents(store, after)
        yield from found
        if not page:
            break
        after = page[-1][0]
    yield from _damaged_local_documents(store)
    yield from _damaged_content(store)


def check_content(store: Store) -> None:
    """Read the content of all attachments. Raises Damaged."""
    for error in _damaged_content(store):
        raise error


def _damaged_documents(store: Store, after: int) -> tuple[list[Row], list[Damaged]]:
    """Return a page of rows and what is damaged of them.

    One snapshot for a page and what it names: a compaction or an edit in between is not damage.
    """
    found: list[Damaged] = []
    with store.snapshot():
        page = store.scan_seqs(after, 2**63 - 1, limit=PAGE, bodies=True)
        for row in page:
            try:
                _check_document(store, row)
            except Damaged as error:
                found.append(error)
    return page, found


def _check_document(store: Store, row: Row) -> None:
    _, id, winner, _, _, newest = row
    tree = tree_of(row)
    for rev in tree:
        pointer = tree.body(rev)
        if pointer is None:
            continue
        body = newest if rev == winner else store.body(pointer)
        if body is None:
            raise Damaged(f"document {id!r} is damaged: the body of its revision {rev} is gone", id=id, rev=rev)
        entries = parsed_body(body, id).get("_attachments")
        if entries:
            there = store.attachments(id, rev)
            for name in entries:
                if name not in there:
                    text = f"attachment {name!r} of document {id!r} is damaged: its content is gone"
                    raise Damaged(text, id=id, rev=rev, attachment=name)


def _damaged_local_documents(store: Store) -> Iterator[Damaged]:
    for id in store.local_ids(LOCAL):
        try:
            local.read(store, id)
        except NotFound:
            # It was removed since.
            continue
        except Damaged as error:
            yield error


def _damaged_content(store: Store) -> Iterator[Damaged]:
    after = 0
    while True:
        end, found = _damaged_page(store, after)
        yield from found
        if end is None:
            return
        after = end


def _damaged_page(store: Store, after: int) -> tuple[int | None, list[Damaged]]:
    """Return the number of the last content of a page, None after the last one, and what is damaged of the page."""
    found: list[Damaged] = []
    with store.snapshot():
        page = store.content_after(after, CONTENTS)
        for content, id, name in page:
            try:
                verify(store, content)
            except Damaged as error:
                text = f"attachment {name!r} of document {id!r} is damaged: {error.message}"
                found.append(Damaged(text, id=id, attachment=name))
    return (page[-1][0].number if page else None), found
