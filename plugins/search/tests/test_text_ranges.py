"""Ranges of strings with any ends: what is found is what a comparison by code points finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pouchdb

TERMS = sorted(
    {chr(code) for code in range(0x21, 0x7F)}
    | {"é", "日", "😀", "\ufeff", "a\u00a0b", "a b", "a\\b", 'a"b', "(a)", "zz", "~~", "a:b^2", "a/b*c?"}
    | {f"2012-0{month}-01T00:00:00.000Z" for month in range(1, 10)}
    | {"x" * 5000 + last for last in "abc"}
)
INDEX = """function (doc) {
  index('f', doc.t, {boost: doc.n % 3 ? 1 : 2});
  index('g', doc.t + doc.t);
}"""


@pytest.fixture(scope="module")
def db() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        found: Any = environment["strings"]
        found.bulk_docs([{"_id": str(number), "n": number, "t": term} for number, term in enumerate(TERMS)])
        found.put({"_id": "_design/d", "indexes": {"i": {"analyzer": "keyword", "index": INDEX}}})
        yield found


def terms(db: Any, q: str) -> list[str]:
    return sorted(TERMS[int(row.id)] for row in db.search("d/i", q=q, limit=200).rows)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ('["2012-02-01T00:00:00.000Z" TO "2012-04-01T00:00:00.000Z"}', [f"2012-0{n}-01T00:00:00.000Z" for n in (2, 3)]),
        (f"[{'x' * 5000}b TO {'x' * 5000}c]", ["x" * 5000 + last for last in "bc"]),
        (f"{{{'x' * 5000}a TO {'x' * 5000}c}}", ["x" * 5000 + "b"]),
        ("[zz TO *]", [term for term in TERMS if term >= "zz"]),
        ("{zz TO *}", [term for term in TERMS if term > "zz"]),
        ('[* TO "#"}', ["!", '"']),
        ("[zz TO a]", []),
        ("{zz TO zz]", []),
    ],
)
def test_long_and_open_ranges(db: Any, q: str, found: list[str]) -> None:
    assert terms(db, f"f:{q}") == found


ENDS = st.sampled_from([term for term in TERMS if len(term) < 5]) | st.text("ab\\\"()[]{} ~:é日\u00a0😀", max_size=3)


@settings(max_examples=300, deadline=None)
@given(ENDS, ENDS, st.booleans(), st.booleans())
def test_ranges_with_any_ends(db: Any, low: str, high: str, with_low: bool, with_high: bool) -> None:
    low, high = f"a{low}", f"b{high}"
    written = ["".join(f"\\u{ord(each):04x}" if ord(each) < 0x10000 else each for each in end) for end in (low, high)]
    left, right = "[" if with_low else "{", "]" if with_high else "}"
    # A blank is stored as a control character: none of the other ends and terms has a character in between.
    assert terms(db, f"f:{left}{written[0]} TO {written[1]}{right}") == [
        term for term in TERMS if low < term < high or (with_low and term == low) or (with_high and term == high)
    ]
