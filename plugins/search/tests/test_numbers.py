"""Integers beyond all doubles: Python's index functions can yield them."""

from __future__ import annotations

from typing import Any

import pytest

import pouchdb


@pytest.mark.parametrize("huge", [10**400, 10**5000], ids=["400 digits", "5000 digits"])
@pytest.mark.parametrize("analyzed", [False, True])
def test_a_number_beyond_all_doubles_leaves_its_document_out(analyzed: bool, huge: int) -> None:
    errors: list[Any] = []
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db = environment["numbers"]
        db.on("error", errors.append)
        values: list[Any] = [huge, -huge, 1.5]
        db.bulk_docs([{"_id": f"d{n}", "n": n} for n in range(len(values))])
        environment.register_function("num", lambda doc: [("num", values[doc["n"]])] if "n" in doc else [])
        index = {"index": "num", **({"analyzer": "standard"} if analyzed else {})}
        db.put({"_id": "_design/s", "language": "python", "indexes": {"n": index}})
        assert [row["id"] for row in db.search("s/n", query="num:1.5")["rows"]] == ["d2"]
    assert len(errors) == 2


@pytest.mark.parametrize(
    ("value", "word"),
    [(1e-7, "1e-7"), (1e21, "1e+21"), (0.00001, "0.00001"), (1.0, "1"), (-0.0, "0"), (2**60, "1152921504606847000"),
     ([1e-7, 2.0, None, True], "1e-7,2,,true"), (123456789012345680000, "123456789012345680000")],
)  # fmt: skip
def test_numbers_are_indexed_as_javascript_writes_them(value: Any, word: str) -> None:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db = environment["numbers"]
        db.put({"_id": "a", "n": value})
        db.put({"_id": "_design/s", "indexes": {"n": {"index": "function (doc) { index('default', doc.n); }"}}})
        assert [row["id"] for row in db.search("s/n", q=word)["rows"]] == ["a"]
        assert db.search("s/n", q=f"{word}9")["rows"] == []
