"""Sizes of indexes: exact while they are small, estimated from their first pages when they are large."""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pouchdb_core import SyncPouchDB
from pouchdb_core.adapters.sqlite.btree_sizes import Sizes, _share, btree_sizes
from pouchdb_core.testing.index_sizes import grown_index
from pouchdb_core.views.state import index_sizes

with closing(sqlite3.connect(":memory:")) as asked:
    if not asked.execute("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'").fetchall():
        pytest.skip("NO TEST of the sizes of indexes: this SQLite was compiled without dbstat", allow_module_level=True)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def _fill(connection: sqlite3.Connection, keys: Sequence[int], length: int) -> None:
    connection.execute("CREATE TABLE t (key INTEGER NOT NULL, value BLOB, PRIMARY KEY (key)) WITHOUT ROWID")
    connection.executemany("INSERT INTO t VALUES (?, zeroblob(?))", ((key, length) for key in keys))


def _exact(connection: sqlite3.Connection) -> Sizes:
    found = connection.execute("SELECT sum(pgsize), sum(pgsize - unused), sum(payload) FROM dbstat WHERE name = 't'")
    return Sizes(*found.fetchone())


@pytest.mark.parametrize("count", [0, 1, 100, 5000])
def test_a_small_tree_is_counted(connection: sqlite3.Connection, count: int) -> None:
    _fill(connection, range(count), 50)
    found = btree_sizes(lambda *given: connection.execute(*given).fetchall(), "t")
    assert found == _exact(connection)
    assert found.external <= found.active <= found.file


@pytest.mark.parametrize("length", [10, 500, 9000], ids=["short", "long", "on pages of their own"])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("most", [1, 2, 40, 400])
def test_a_large_tree_is_estimated(connection: sqlite3.Connection, length: int, shuffled: bool, most: int) -> None:
    keys = list(range(12_000_000 // (length + 20) // 2))
    if shuffled:
        random.Random(7).shuffle(keys)
    _fill(connection, keys, length)
    asked: list[Any] = []

    def rows(sql: str, params: Sequence[Any]) -> list[Any]:
        found = connection.execute(sql, params).fetchall()
        asked.append(len(found))
        return found

    found, exact = btree_sizes(rows, "t", most), _exact(connection)
    assert asked == [most], "no more pages are read"
    if most >= 40:
        assert exact.file / 3 < found.file < exact.file * 3
        assert exact.external / 3 < found.external < exact.external * 3


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), st.data())
def test_the_share_of_a_tree_grows_from_leaf_to_leaf(cells: list[int], data: st.DataObject) -> None:
    def path(children: list[int]) -> str:
        return "/" + "".join(f"{child:03x}/" for child in children)

    one, other = (path([data.draw(st.integers(0, count)) for count in cells]) for _ in range(2))
    known = {}
    for each in (one, other, path(list(cells))):
        parts = each.strip("/").split("/")
        known.update({"/" + "".join(f"{part}/" for part in parts[:depth]): cells[depth] for depth in range(len(cells))})
    shares = [_share(known, each) for each in sorted([one, other])]
    assert 0 < shares[0] <= shares[1] <= 1.0000001
    assert (shares[0] == shares[1]) == (one == other)
    assert _share(known, path(list(cells))) == pytest.approx(1), "after the last leaf"


def test_the_index_of_a_design_document_grows_with_its_rows(database: SyncPouchDB) -> None:
    database.put({"_id": "_design/e", "views": {"all": {"map": "function (doc) { emit(doc._id); }"}}})
    seen = grown_index(database)
    assert all(before < after for before, after in itertools.pairwise(seen))
    assert index_sizes(database, "e")["file"] == 0, "each has its own"
    database.put({**database.get("_design/d"), "views": {"by": {"map": "function (doc) { emit(null); }"}}})
    assert index_sizes(database, "d")["file"] == 0, "another definition is another index"
