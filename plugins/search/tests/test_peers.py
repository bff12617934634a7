"""What is found is what Lucene and lunr find: their recorded answers (peers/README.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pouchdb_search.analysis import analyzer_of

import pouchdb

PEERS = Path(__file__).parent / "peers"
LUCENE, LUNR = (json.loads((PEERS / f"{name}.json").read_text(encoding="utf-8")) for name in ("lucene", "lunr"))
SOURCE = """function (doc) {
  Object.keys(doc.fields).forEach(function (name) { index(name, doc.fields[name]); });
}"""


@pytest.fixture(scope="module")
def db() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        for name, recorded in (("lucene", LUCENE), ("lunr", LUNR)):
            found: Any = environment[name]
            found.bulk_docs([{"_id": str(number), "fields": doc} for number, doc in enumerate(recorded["docs"])])
        fields = {name: analyzer for name, analyzer in LUCENE["fields"].items() if name != "default"}
        analyzer = {"name": "perfield", "default": LUCENE["fields"]["default"], "fields": fields}
        environment["lucene"].put({"_id": "_design/d", "indexes": {"i": {"analyzer": analyzer, "index": SOURCE}}})
        environment["lunr"].put({"_id": "_design/d", "indexes": {"i": {"index": SOURCE}}})
        yield environment


def found(db: Any, q: str) -> str | None:
    """The documents as the bits of a number, as they are recorded; None if the query is refused."""
    try:
        rows = db.search("d/i", q=q, limit=200).rows
    except pouchdb.BadRequest:
        return None
    return f"{sum(1 << int(row.id) for row in rows):x}"


def test_queries_find_what_lucene_finds(db: Any) -> None:
    other = [(q, recorded, ours) for q, recorded in LUCENE["queries"] if (ours := found(db["lucene"], q)) != recorded]
    assert other == []


def test_words_find_what_lunr_finds(db: Any) -> None:
    other = [(q, recorded, ours) for q, recorded in LUNR["queries"] if (ours := found(db["lunr"], q)) != recorded]
    assert other == []


@pytest.mark.parametrize("name", LUCENE["tokens"])
def test_words_of_texts_are_those_of_lucene(name: str) -> None:
    analyzer = analyzer_of(name)
    for text, recorded in LUCENE["tokens"][name]:
        terms = analyzer.spaced(text)
        while terms and terms[-1] is None:
            terms.pop()
        assert terms == recorded, text
        assert [term.text for term in analyzer.terms(text)] == [term for term in recorded if term is not None]


def test_the_recordings_are_not_trivial() -> None:
    results = [recorded for _, recorded in (*LUCENE["queries"], *LUNR["queries"])]
    assert len(results) > 1000
    assert sum(each not in (None, "0") for each in results) > len(results) // 3
    assert sum(each is None for each in results) > 100
