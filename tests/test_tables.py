"""Answers as data frames, Arrow tables and CSV."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pouchdb
from pouchdb_core.errors import NotSupported
from pouchdb_core.tables import Table

DOCS = [
    {"_id": "a", "n": 1, "name": "Ann", "place": {"x": 1.5}, "tags": ["p"]},
    {"_id": "b", "n": 2.5, "name": None, "odd": 1},
    {"_id": "c", "n": None, "name": 'Zoë, "C"\n', "odd": "text", "ok": True},
]


@pytest.fixture
def table() -> Table:
    return Table(docs=DOCS, bookmark="x")


def test_columns_are_all_members_in_their_order(table: Table) -> None:
    assert list(table.to_columns()) == ["_id", "n", "name", "place", "tags", "odd", "ok"]
    assert table.to_columns()["odd"] == [None, 1, "text"]


def test_it_is_the_answer_still(table: Table) -> None:
    assert table == {"docs": DOCS, "bookmark": "x"}
    assert table.docs[0] == DOCS[0]


def test_given_columns(table: Table) -> None:
    table["columns"] = ["name", "nothing"]
    assert table.to_columns() == {"name": ["Ann", None, DOCS[2]["name"]], "nothing": [None] * 3}


def test_rows_or_their_documents() -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        db = environment["x"]
        db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}])
        plain = db.all_docs()
        assert list(plain.to_columns()) == ["id", "key", "value"]
        full = db.all_docs(include_docs=True)
        assert full.to_columns()["n"] == [1, 2]
        assert list(full.to_columns(docs=False)) == ["id", "key", "value", "doc"]
        assert db.all_docs(keys=["a", "no"]).to_columns()["error"] == [None, "not_found"]
        assert db.all_docs(keys=["a", "no"], include_docs=True).to_columns()["_id"] == ["a"]
        rows = db.query(lambda doc: [(doc["n"], None)])
        assert rows.to_columns() == {"id": ["a", "b"], "key": [1, 2], "value": [None, None]}
        assert db.query(lambda doc: [(doc["n"], 1)], reduce="_sum").to_columns() == {"key": [None], "value": [2]}


@pytest.mark.parametrize("answer", [Table(), Table(docs=[]), Table(rows=[]), Table(results=[])])
def test_nothing(answer: Table) -> None:
    assert answer.to_columns() == {}
    assert answer.to_csv() == "\r\n"


def test_csv(table: Table, tmp_path: Path) -> None:
    lines = [
        "_id,n,name,place,tags,odd,ok",
        'a,1,Ann,"{""x"":1.5}","[""p""]",,',
        "b,2.5,,,,1,",
        'c,,"Zoë, ""C""\n",,,text,true',
        "",
    ]
    assert table.to_csv() == "\r\n".join(lines)
    assert table.to_csv(tmp_path / "x.csv") is None
    assert (tmp_path / "x.csv").read_bytes().decode() == "\r\n".join(lines)
    file = io.StringIO(newline="")
    table.to_csv(file)
    assert file.getvalue() == "\r\n".join(lines)


def test_text(table: Table) -> None:
    assert Table(rows=[{"country": "NP", "highest": 12400}, {"country": "CH", "highest": 5.5}]).to_text().split(
        "\n"
    ) == [
        "country  highest",
        "-------  -------",
        "NP         12400",
        "CH           5.5",
    ]
    assert table.to_text(width=7).splitlines() == [
        "_id    n  name     place    tags   odd   ok",
        "---  ---  -------  -------  -----  ----  ----",
        'a      1  Ann      {"x":1…  ["p"]',
        "b    2.5                           1",
        'c         Zoë, "…                  text  true',
    ]


@given(st.lists(st.dictionaries(st.text(max_size=3), st.none() | st.text() | st.integers() | st.booleans())))
def test_a_row_is_a_line(rows: list[dict[str, Any]]) -> None:
    table = Table(rows=rows)
    if table.to_columns():
        assert len(table.to_text().split("\n")) == len(rows) + 2


def test_pandas(table: Table) -> None:
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["_id"]) == ["a", "b", "c"]
    assert frame["place"][0] == {"x": 1.5}


def test_arrow(table: Table) -> None:
    pytest.importorskip("pyarrow")
    found = table.to_arrow()
    assert found.num_rows == 3
    assert found["n"].to_pylist() == [1.0, 2.5, None]
    assert found["place"].to_pylist() == [{"x": 1.5}, None, None]
    # Of several types: JSON text.
    assert found["odd"].to_pylist() == [None, "1", '"text"']
    assert Table(docs=[{"n": 2**70}]).to_arrow()["n"].to_pylist() == [str(2**70)]


def test_polars(table: Table) -> None:
    pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    frame = table.to_polars()
    assert frame.shape == (3, 7)
    assert frame["tags"].to_list() == [["p"], None, None]


def test_a_missing_library_is_named(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    for method in (table.to_pandas, table.to_arrow, table.to_polars):
        with pytest.raises(NotSupported, match="pip install"):
            method()
