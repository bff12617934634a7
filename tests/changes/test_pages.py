"""Reading all documents a page at a time."""

from __future__ import annotations

from typing import Any

import pytest

import pouchdb
from pouchdb_core import Transform
from pouchdb_core.changes.pages import document_pages, plain_documents
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


def test_plain_documents_are_the_same(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": f"doc{n}", "n": n, "nested": {"list": [{"x": 1.5}]}} for n in range(5)])
    database.put({"_id": "_design/views"})
    database.put_attachment("doc1", "t", b"x", "text/plain", database.get("doc1")["_rev"])
    database.remove(database.get("doc3"))
    for rev in ("1-a", "1-b", "1-c"):
        database.bulk_docs([{"_id": "conflicted", "_rev": rev}], new_edits=False)
    for design in (False, True):
        records = [doc for page in document_pages(database, design=design) for doc in page]
        assert list(plain_documents(database, design=design)) == records


def test_plain_documents_are_what_plug_ins_make_of_them() -> None:
    class Louder:
        @pouchdb.hookimpl
        def pouchdb_transforms(self, database: Any) -> Any:
            class Loud(Transform):
                def outgoing(self, doc: Any, request: Any) -> Any:
                    return {**doc, "text": doc["text"].upper()}

            return Loud()

    class Silent:
        @pouchdb.hookimpl(wrapper=True)
        def pouchdb_changes(self, database: Any, request: Any) -> Any:
            rows = yield
            return (row for row in rows if row["id"] != "secret")

    for plugin, texts in ((Louder(), ["A", "B"]), (Silent(), ["a"])):
        with pouchdb.setup(":memory:", plugins=[plugin]) as environment:
            db = environment["x"]
            db.bulk_docs([{"_id": "known", "text": "a"}, {"_id": "secret", "text": "b"}])
            assert [doc["text"] for doc in plain_documents(db)] == texts
