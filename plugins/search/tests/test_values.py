"""A number or facet is found by tantivy's query language as by its terms: what there is before tantivy 0.27."""

from __future__ import annotations

from typing import Any

import pytest
import tantivy
from hypothesis import given
from hypothesis import strategies as st
from pouchdb_search.queries import quoted
from pouchdb_search.schema import opened, schema_of

ODD = ['=a "q" \\ é\n<b>', "=\\", '="', "=", "=\\\"", "=a AND b", "=*", "=5", "=[1 TO 2]", "=\0", "=\u2028"]
NUMBERS = [0.0, -3.0, 7.5, 1e300, -1e-300, 2.0**53, 1e19, -1e19, 0.1]


def found(kind: str, value: float | str, other: float | str) -> int:
    schema = schema_of()
    index = opened(None, schema)
    writer = index.writer(15_000_000, 1)
    for id, each in (("a", value), ("b", other)):
        fields: dict[str, Any] = {"id": id, "kind": "doc", kind: {"6162": [each]}, "stored": b""}
        writer.add_document(tantivy.Document.from_dict(fields, schema))
    writer.commit()
    index.reload()
    return int(index.searcher().search(index.parse_query(quoted(f"{kind}.6162", value)), 5).count)


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_strings(value: str) -> None:
    assert found("s", value, f"{value}x") == 1


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers(value: float) -> None:
    assert found("n", value, value * 2 + 1) == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_string(value: str) -> None:
    assert found("s", f"={value}", f"={value}x") == 1
