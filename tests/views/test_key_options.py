"""key, keys and the options of a range together: PouchDB's rules of which one counts, CouchDB's of order and ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import QueryParseError

MAP = "function (doc) { emit(doc.k, doc.n); }"


@pytest.fixture(params=["saved", "temporary", "python"])
def ask(request: pytest.FixtureRequest, database: SyncPouchDB) -> Callable[..., Any]:
    """Ask a view with the keys a (documents a1, a2), b (b1), c (c1, c2)."""
    database.put({"_id": "_design/v", "views": {"v": {"map": MAP, "reduce": "_sum"}}})
    documents = [("a1", "a", 1), ("a2", "a", 2), ("b1", "b", 4), ("c1", "c", 8), ("c2", "c", 16)]
    database.bulk_docs([{"_id": id, "k": k, "n": n} for id, k, n in documents])
    fun: Any = {
        "saved": "v",
        "temporary": {"map": MAP, "reduce": "_sum"},
        "python": {"map": lambda doc: [(doc["k"], doc["n"])], "reduce": "_sum"},
    }[request.param]
    return lambda **options: database.query(fun, **options)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        pytest.param({"key": "a", "startkey": "b"}, "a1 a2", id="key before startkey"),
        pytest.param({"key": "b", "endkey": "a"}, "b1", id="key before endkey"),
        pytest.param({"key": "a", "startkey": "c", "endkey": "b"}, "a1 a2", id="key before both"),
        pytest.param({"key": None, "startkey": "a"}, "", id="null is a key"),
        pytest.param({"keys": ["b"], "key": "a"}, "b1", id="one of keys before key"),
        pytest.param({"keys": ["c", "a"], "key": "b"}, "c1 c2 a1 a2", id="keys before key"),
        pytest.param({"keys": ["c", "a"], "startkey": "b", "endkey": "b"}, "c1 c2 a1 a2", id="keys before a range"),
        pytest.param({"keys": [], "key": "b"}, "", id="no keys before key"),
        pytest.param({"keys": ["c", "a", "zz", "c"]}, "c1 c2 a1 a2 c1 c2", id="keys in their order"),
        pytest.param({"keys": ["b", "a"], "descending": True}, "a2 a1 b1", id="keys reversed"),
        pytest.param({"keys": ["c", "b", "c"], "descending": True}, "c2 c1 b1 c2 c1", id="keys twice, reversed"),
        pytest.param({"keys": ["b", "a"], "descending": True, "skip": 1, "limit": 2}, "a1 b1", id="a part, reversed"),
        pytest.param({"keys": ["a", "b"], "skip": 2}, "b1", id="skipped within keys"),
        pytest.param({"keys": ["a"], "descending": True}, "a2 a1", id="one of keys reversed"),
        pytest.param({"key": "a", "inclusive_end": False}, "", id="key without its end"),
        pytest.param({"key": "a", "inclusive_end": False, "descending": True}, "", id="and descending"),
        pytest.param({"keys": ["a"], "inclusive_end": False}, "", id="one of keys without its end"),
        pytest.param({"keys": ["a", "b"], "inclusive_end": False}, "", id="keys without their ends"),
        pytest.param({"key": "a", "inclusive_end": True}, "a1 a2", id="key with its end"),
        pytest.param({"startkey": "a", "endkey": "a", "inclusive_end": False}, "", id="a range of one key"),
        pytest.param({"key": "c", "startkey_docid": "c2"}, "c2", id="key from a document on"),
        pytest.param({"key": "c", "endkey_docid": "c1"}, "c1", id="key up to a document"),
        pytest.param({"key": "c", "startkey_docid": "z", "endkey_docid": "a"}, "", id="documents the wrong way round"),
        pytest.param({"keys": ["c", "a"], "startkey_docid": "b"}, "c1 c2", id="keys from a document on"),
    ],
)  # fmt: skip
def test_rows(ask: Callable[..., Any], options: dict[str, Any], ids: str) -> None:
    assert [row.id for row in ask(reduce=False, **options).rows] == ids.split()


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        pytest.param({"keys": ["c", "a"], "group": True}, [("c", 24), ("a", 3)], id="keys by group"),
        pytest.param(
            {"keys": ["c", "zz", "a"], "group": True, "descending": True}, [("c", 24), ("a", 3)], id="in the same order"
        ),
        pytest.param({"keys": ["b", "a", "b"], "group": True}, [("b", 4), ("a", 3), ("b", 4)], id="keys twice"),
        pytest.param({"keys": ["b"]}, [(None, 4)], id="one key without a group"),
        pytest.param({"keys": ["c", "a"], "group_level": 1}, [("c", 24), ("a", 3)], id="keys by level"),
        pytest.param({"keys": ["b"], "group_level": 1}, [("b", 4)], id="one key by level"),
        pytest.param({"key": "a", "startkey": "c"}, [(None, 3)], id="key before startkey"),
        pytest.param({"key": "a", "inclusive_end": False}, [], id="key without its end"),
        pytest.param({"keys": ["a", "b"], "inclusive_end": False, "group": True}, [], id="keys without their ends"),
    ],
)
def test_groups(ask: Callable[..., Any], options: dict[str, Any], rows: list[Any]) -> None:
    assert [(row.key, row.value) for row in ask(**options).rows] == rows


@pytest.mark.parametrize(
    ("options", "offset"),
    [
        pytest.param({"keys": ["c", "a"]}, 3, id="of the first key"),
        pytest.param({"keys": ["c", "a"], "descending": True}, 3, id="of the last key"),
        pytest.param({"keys": ["bb", "b", "a"]}, 2, id="of the first key that is there"),
        pytest.param({"keys": ["zz", "bb"]}, 5, id="of no key"),
        pytest.param({"keys": ["c", "a"], "skip": 1}, 4, id="skipped"),
        pytest.param({"keys": ["b"]}, 2, id="of one key"),
        pytest.param({"keys": []}, 0, id="of none"),
    ],
)
def test_the_true_offset_of_keys(ask: Callable[..., Any], options: dict[str, Any], offset: int) -> None:
    assert ask(reduce=False, offset=True, **options).offset == offset


def test_keys_must_be_a_list_and_grouped(ask: Callable[..., Any]) -> None:
    for keys in ("abc", {"a": 1}, 5):
        with pytest.raises(QueryParseError, match="list"):
            ask(reduce=False, keys=keys)
    with pytest.raises(QueryParseError, match="Multi-key fetches"):
        ask(keys=["a", "b"])


@pytest.mark.parametrize("descending", [False, True])
def test_keys_are_one_query_each(ask: Callable[..., Any], descending: bool) -> None:
    keys = ["b", "zz", "c", "a", "c"]
    each = [row for key in keys for row in ask(reduce=False, key=key).rows]
    found = ask(reduce=False, keys=keys, descending=descending).rows
    assert found == (each[::-1] if descending else each)
