"""CouchDB's order of strings for whole environments: ``setup(collation="icu")``, with the real ICU."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import icu
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pouchdb
from pouchdb_core import SyncEnvironment
from pouchdb_core.errors import BadRequest
from pouchdb_core.views.collate import AFTER
from pouchdb_core.views.collation import order_of

ROOT = icu.Collator.createInstance(icu.Locale(""))
MAP = {"map": "function (doc) { emit(doc.k, 1); }", "reduce": "_count"}
# From weak to strong: what CLDR's tests of the root collation go through, kind by kind.
ASCENDING = [
    "", "_", "-", ",", ";", ":", "!", "?", ".", "'", "\"", "(", ")", "[", "]", "{", "}", "@", "*", "/", "\\",
    "&", "#", "%", "`", "^", "+", "<", "=", ">", "|", "~", "$", "0", "1", "2", "9", "a", "A", "á", "Á", "aa",
    "aA", "Aa", "AA", "ab", "aB", "ae", "æ", "Æ", "af", "b", "B", "cote", "coté", "côte", "côté", "e", "é", "f",
    "o", "ö", "oe", "œ", "s", "ss", "ß", "st", "z", "Z", "þ", "α", "β", "а", "б", "א", "ا", "ก", "あ", "ア", "い",
    "一", "丁", "a\ufff0",
]  # fmt: skip
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6) | st.text("aAáÁ\u0301bB -'\u00ad\u200d一あア", max_size=5)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[SyncEnvironment]:
    with pouchdb.setup(tmp_path, plugins=[], collation="icu") as environment:
        yield environment


with pouchdb.setup(":memory:", plugins=[], collation="icu") as _environment:
    ENCODE = order_of(_environment["x"])[0]


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


@given(TEXTS, TEXTS)
def test_bytes_have_the_order_of_the_collator(one: str, other: str) -> None:
    a, b = ENCODE(one), ENCODE(other)
    wanted = sign(ROOT.compare(one, other))
    assert (a > b) - (a < b) == wanted
    # Inside of arrays too, whatever follows.
    a, b = ENCODE([one, 1]), ENCODE([other, 0])
    assert (a > b) - (a < b) == (wanted or 1)
    # A range of what begins with a key is a range of bytes.
    assert ENCODE([one]) < ENCODE([one, other]) < ENCODE([one])[:-1] + AFTER


def test_the_order_that_couchdb_documents() -> None:
    before_the_last = ASCENDING[:-1]
    keys = [ENCODE(each) for each in before_the_last]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    # What ends the usual range of a prefix comes after everything with it.
    assert all(ENCODE("a" + each) < ENCODE("a\ufff0") for each in before_the_last)


def test_ranges_keys_and_groups(environment: SyncEnvironment) -> None:
    db = environment["db"]
    db.put({"_id": "_design/d", "views": {"v": MAP}})
    strings = ASCENDING[::-1]
    db.bulk_docs([{"_id": f"{n:03}", "k": each} for n, each in enumerate(strings)])
    ordered = sorted(strings, key=cmp_to_key(ROOT.compare))

    def keys(**options: Any) -> list[Any]:
        return [row.key for row in db.query("d/v", reduce=False, **options).rows]

    assert keys() == ordered
    assert keys(descending=True) == ordered[::-1]
    for start, end in itertools.combinations(range(0, len(ordered), 5), 2):
        between = ordered[start : end + 1]
        assert keys(startkey=ordered[start], endkey=ordered[end]) == between
        assert keys(startkey=ordered[start], endkey=ordered[end], inclusive_end=False) == between[:-1]
        assert keys(startkey=ordered[end], endkey=ordered[start], descending=True) == between[::-1]
    assert keys(keys=["b", "A", "nowhere", "a"]) == ["b", "A", "a"]
    assert keys(startkey="a", limit=3) == ["a", "A", "á"]
    assert [(row.key, row.value) for row in db.query("d/v", group=True).rows] == [(each, 1) for each in ordered]


def test_canonical_equivalents_are_one_key(environment: SyncEnvironment) -> None:
    db = environment["db"]
    db.put({"_id": "_design/d", "views": {"v": MAP}})
    db.bulk_docs([{"_id": "1", "k": "\u00e9"}, {"_id": "2", "k": "e\u0301"}, {"_id": "3", "k": "e"}])
    assert [row.id for row in db.query("d/v", reduce=False, key="e\u0301").rows] == ["1", "2"]
    after = db.query("d/v", reduce=False, startkey="e\u0301", startkey_docid="2")
    assert [row.id for row in after.rows] == ["2"]


def test_temporary_views_and_what_a_view_says_itself(environment: SyncEnvironment) -> None:
    db = environment["db"]
    views = {name: {**MAP, "options": {"collation": name}} for name in ("codepoint", "raw", "icu", "default")}
    db.put({"_id": "_design/d", "views": views})
    db.bulk_docs([{"_id": each, "k": each} for each in ("b", "a", "B", "A")])
    for view, wanted in (("codepoint", "ABab"), ("raw", "ABab"), ("icu", "aAbB"), ("default", "aAbB")):
        assert "".join(row.key for row in db.query(f"d/{view}", reduce=False).rows) == wanted
    assert "".join(row.key for row in db.query("function (doc) { emit(doc.k); }", startkey="a").rows) == "aAbB"
    assert "".join(row.key for row in db.query("function (doc) { emit(doc.k); }", startkey="A").rows) == "AbB"


def test_another_order_builds_the_index_again(tmp_path: Path) -> None:
    for collation, wanted in ((None, "ABab"), ("icu", "aAbB"), ("codepoint", "ABab"), ("icu", "aAbB")):
        options = {} if collation is None else {"collation": collation}
        with pouchdb.setup(tmp_path, plugins=[], **options) as environment:
            db = environment["db"]
            if collation is None:
                db.put({"_id": "_design/d", "views": {"v": MAP}})
                db.bulk_docs([{"_id": each, "k": each} for each in ("b", "a", "B", "A")])
            assert "".join(row.key for row in db.query("d/v", reduce=False).rows) == wanted


@pytest.mark.parametrize("wrong", ["ICU", "raw", "de", 1])
def test_orders_that_there_are_not(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(BadRequest, match="no collation"):
        pouchdb.setup(tmp_path, plugins=[], collation=wrong)


def test_a_conformance_sample_of_cldr(environment: SyncEnvironment) -> None:
    """Ids are in the order of the sample, for what is canonically equal; it is written from behind."""
    lines = (Path(__file__).parent / "cldr_sample.txt").read_text("utf-8").splitlines()
    texts = ["".join(chr(int(each, 16)) for each in line.split()) for line in lines if not line.startswith("#")]
    database = environment["sample"]
    database.put({"_id": "_design/app", "views": {"v": MAP}})
    database.bulk_docs([{"_id": f"{n:03}", "k": text} for n, text in enumerate(texts)][::-1])
    rows = database.query("app/v", reduce=False).rows
    assert [row.id for row in rows] == [f"{n:03}" for n in range(len(texts))]
    # Every range of it is one of the index.
    middle = len(texts) // 2
    found = database.query("app/v", reduce=False, startkey=texts[20], endkey=texts[middle]).rows
    assert {row.key for row in found} >= set(texts[20:middle])
