"""Reading all documents a page at a time."""

from __future__ import annotations

import pytest

from pouchdb_core.changes.pages import document_pages
from pouchdb_core.database import SyncPouchDB


def test_an_empty_database_has_one_empty_page(database: SyncPouchDB) -> None:
    assert list(document_pages(database)) == [[]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_every_document_comes_once_without_deleted_and_design_documents(database: SyncPouchDB, size: int) -> None:
    ids = [f"doc{number}" for number in range(6)]
    database.bulk_docs([{"_id": id} for id in ids])
    database.put({"_id": "_design/views"})
    database.remove(database.get("doc3"))
    pages = list(document_pages(database, size=size))
    assert all(len(page) <= size for page in pages)
    assert [doc["_id"] for page in pages for doc in page] == ["doc0", "doc1", "doc2", "doc4", "doc5"]
    with_design = [doc["_id"] for page in document_pages(database, design=True, size=size) for doc in page]
    assert with_design == ["doc0", "doc1", "doc2", "doc4", "doc5", "_design/views"]


def test_conflicts_are_added_where_they_are_wanted(database: SyncPouchDB) -> None:
    for rev in ("1-a", "1-b"):
        database.bulk_docs([{"_id": "doc", "_rev": rev}], new_edits=False)
    assert list(document_pages(database)) == [[{"_id": "doc", "_rev": "1-b"}]]
    assert list(document_pages(database, conflicts=True)) == [[{"_id": "doc", "_rev": "1-b", "_conflicts": ["1-a"]}]]
