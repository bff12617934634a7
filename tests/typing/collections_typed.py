"""What programs with typed collections write: must pass mypy --strict and pyright. Never run."""

from __future__ import annotations

from dataclasses import dataclass

from pouchdb_collections import AsyncCollection, Change, Collection, Row
from typing_extensions import assert_type

import pouchdb


@dataclass
class Book:
    title: str
    id: str | None = None


books = pouchdb.setup("data")["library"].collection(Book, kind="book")
assert_type(books, Collection[Book])
assert_type(books.get("a"), Book)
assert_type(books.put(Book("Dune")), Book)
assert_type(books.find({"title": "Dune"}), list[Book])
assert_type(books.query("v/w"), list[Row[Book]])
assert_type([each.document for each in books.query("v/w")], list[Book])
assert_type(next(books.changes()), Change[Book])
assert_type(next(books.changes()).document, Book | None)
assert_type(list(books), list[Book])
assert_type(books.resolve("a", lambda revisions: revisions[0]), Book)


async def main() -> None:
    others = pouchdb.setup("data", async_=True)["library"].collection(Book)
    assert_type(others, AsyncCollection[Book])
    assert_type(await others.get("a"), Book)
    assert_type([each async for each in others], list[Book])
    assert_type([each.document async for each in others.follow()], list[Book | None])
