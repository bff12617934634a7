"""Documents with very many leaves: what is read and written grows with them, not with their square."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.revisions import Tree

LEAVES = 1500


@pytest.fixture
def forked(database: SyncPouchDB) -> SyncPouchDB:
    docs = [
        {"_id": "a", "n": n, "_revisions": {"start": 2, "ids": [f"{n:032x}", "0" * 31 + "f"]}} for n in range(LEAVES)
    ]
    assert database.bulk_docs(docs, new_edits=False) == []
    return database


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Count how many trees are made, and how many revisions are ranked."""
    made: list[int] = [0, 0]
    loads, rank = Tree.loads, Tree._rank

    def loading(data: bytes) -> Tree:
        made[0] += 1
        return loads(data)

    def ranking(self: Tree, rev: str) -> tuple[bool, int, str]:
        made[1] += 1
        return rank(self, rev)

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "loads", loading)
        patch.setattr(Tree, "_rank", ranking)
        yield made


def test_writing_ranks_each_leaf_a_few_times(database: SyncPouchDB, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = [{"_id": "a", "_revisions": {"start": 2, "ids": [f"{n:032x}", "f"]}} for n in range(LEAVES)]
    with counted(monkeypatch) as made:
        assert database.bulk_docs(docs, new_edits=False) == []
        assert database.bulk_docs(docs, new_edits=False) == []
    assert made[0] <= 2
    assert made[1] < 10 * LEAVES
    assert database.get("a")["_rev"] == f"2-{LEAVES - 1:032x}"


def test_bulk_get_makes_the_tree_once(forked: SyncPouchDB, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [{"id": "a", "rev": f"2-{n:032x}"} for n in range(LEAVES)]
    with counted(monkeypatch) as made:
        results = forked.bulk_get(asked, revs=True, latest=True)["results"]
    assert [each["docs"][0]["ok"]["n"] for each in results] == list(range(LEAVES))
    assert made[0] == 1
    assert made[1] < 5 * LEAVES


def test_it_replicates(forked: SyncPouchDB, environment: SyncEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    with counted(monkeypatch) as made:
        assert forked.replicate_to("copy")["docs_written"] == LEAVES
    assert made[0] < 20
    assert made[1] < 20 * LEAVES
    assert environment["copy"].open_revs("a", "all", revs=True) == forked.open_revs("a", "all", revs=True)


def test_latest_is_every_leaf_that_was_made_from_it(forked: SyncPouchDB) -> None:
    """As CouchDB: a replicator that asked for an older revision would lose branches otherwise."""
    root = "1-" + "0" * 31 + "f"
    found = [each["ok"]["_rev"] for each in forked.open_revs("a", [root], latest=True)]
    assert found == [f"2-{n:032x}" for n in reversed(range(LEAVES))]
    (result,) = forked.bulk_get([{"id": "a", "rev": root}], latest=True)["results"]
    assert [each["ok"]["_rev"] for each in result["docs"]] == found
