"""How an index is built: what is committed together, and the terms that are remembered meanwhile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_search import stored_terms, text_index, tokens
from pouchdb_search.analysis import analyzer_of
from pouchdb_search.schema import GAP, prefixed
from pouchdb_search.stored_terms import StoredTerms

import pouchdb

DESIGN = {
    "_id": "_design/d",
    "indexes": {"i": {"analyzer": "english", "index": "function (doc) { index('default', doc.text); }"}},
}


def ids(db: Any, q: str) -> list[str]:
    return sorted(row.id for row in db.search("d/i", q=q, limit=200).rows)


def test_a_slow_function_is_committed_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index, "LONGEST", -1.0)
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db = env["d"]
        db.bulk_docs([{"_id": f"{n}", "text": f"word{n} foxes"} for n in range(8)])
        db.put(DESIGN)
        seen: list[int] = []
        db.on("indexing", lambda progress: seen.append(progress.indexed_docs))
        assert ids(db, "fox") == [f"{n}" for n in range(8)]
        # Each document alone; the design document is not one of them.
        assert len(seen) == 8
        # Changed, deleted and purged ones, in parts as well.
        docs = [row.doc for row in db.all_docs(include_docs=True, keys=["1", "2", "3"]).rows]
        docs[0]["text"], docs[1]["_deleted"] = "dogs", True
        db.bulk_docs(docs[:2])
        db.purge("3", docs[2]["_rev"])
        assert ids(db, "fox") == ["0", "4", "5", "6", "7"]
        assert ids(db, "dog") == ["1"]


def test_documents_of_many_bytes_are_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index.TextIndex, "batch_bytes", 10_000)
    sizes: list[int] = []
    prepare = text_index.TextIndex.prepare

    def counting(self: Any, batch: Any) -> Any:
        sizes.append(sum(len(change.text) for change in batch.changes))
        return prepare(self, batch)

    monkeypatch.setattr(text_index.TextIndex, "prepare", counting)
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db = env["d"]
        db.bulk_docs([{"_id": f"{n}", "text": "fox " * 500} for n in range(20)])
        db.put(DESIGN)
        assert len(ids(db, "fox")) == 20
    assert len(sizes) > 3
    assert max(sizes) < 10_000 + 2_100


TEXTS = st.text(st.sampled_from("aB1 .'\u00e9\u00df\u0430\u4e2d\t\n-the"), max_size=30)


@settings(deadline=None)  # a stemmer is imported in the first case
@given(st.lists(st.tuples(st.sampled_from(["english", "standard", "keyword", "whitespace", None]), TEXTS), max_size=4))
def test_stored_terms_are_those_of_the_analyzers(given: list[tuple[str | None, str]]) -> None:
    texts = [(None if name is None else analyzer_of(name), text) for name, text in given]
    wanted: list[str] = []
    for analyzer, text in texts:
        terms: list[str | None] = [text] if analyzer is None else analyzer.spaced(text)
        wanted += [GAP if term is None else prefixed("title", term, 2.0) for term in terms]
    made = StoredTerms()
    assert made.of("title", 2.0, texts) == wanted
    # From memory.
    assert made.of("title", 2.0, texts) == wanted
    # Tantivy separates terms at blanks.
    assert all(len(re.split(r"[ \t\n\r\f]", term)) == 1 for term in wanted)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_terms, "KEPT", 10)
    made, analyzer = StoredTerms(), analyzer_of("standard")
    for number in range(100):
        for name in ("a", "b"):
            text = f"common w{number} the"
            assert made.of(name, 1.0, [(analyzer, text)]) == [
                prefixed(name, "common"),
                prefixed(name, f"w{number}"),
                GAP,
            ]
            assert sum(map(len, made._known.values())) <= 10 + 3


@given(
    st.text(
        st.one_of(
            st.characters(max_codepoint=0x52F),
            st.characters(min_codepoint=0x2000, max_codepoint=0x20FF),
            st.sampled_from(" .,:'\"_-1aZ"),
        )
    )
)
def test_western_texts_have_the_same_words(text: str) -> None:
    words = [found.span() for found in tokens._standard_words(False).finditer(text)]
    assert [found.span() for found in tokens.standard_words(text).finditer(text)] == words
    assert list(tokens.Standard().spans(text)) == words
    assert tokens.Standard().words(text) == [text[start:end] for start, end in words]


def test_other_texts_do_not_use_the_expression_of_western_ones() -> None:
    for letter in "\u0530\u05d0\u1fff\u2100\u4e2d\U0001f600":
        assert tokens.standard_words(letter) is tokens._standard_words(False)
    for letter in "\u00e9\u052f\u2000\u2019\u20ac\u20ff":
        assert tokens.standard_words(letter) is tokens._standard_words(True)
