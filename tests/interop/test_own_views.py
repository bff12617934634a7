"""Views at our own server answer what they answer here, and HTTP what CouchDB answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import NotFound, NotSupported, PouchDBError
from pouchdb_core.testing.server import couch_server as start_server

pytest.importorskip("pouchdb_server")

MAP = "function (doc) { if (doc.k) emit(doc.k, doc.n); }"
VIEWS = {
    name: {"map": MAP, **({"reduce": reduce} if reduce else {})}
    for name, reduce in {
        "rows": None,
        "sum": "_sum\n// adds up",
        "stats": "_stats",
        "throws": "function (keys, values) { if (values.indexOf('x') >= 0) { throw('r'); } return values.length; }",
        "grows": "function (keys, values) { return new Array(values.length * 500).join('abcdefghij,').split(','); }",
        "revs": None,
    }.items()
}
VIEWS["revs"]["map"] = "function (doc) { if (doc.k) emit(doc.k, {_rev: doc._rev}); }"
numbers = itertools.count()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start_server() as server:
        yield server.url


@pytest.fixture
def both(env: SyncEnvironment, url: str) -> tuple[SyncPouchDB, SyncPouchDB]:
    """The same documents here and at the server."""
    name = f"views-{next(numbers)}"
    here, there = env[name], env.PouchDB(f"{url}/{name}")
    documents = [("a1", "a", 1), ("a2", "a", 2), ("b1", "b", "x"), ("c1", "c", 8), ("c2", "c", 16)]
    here.put({"_id": "_design/v", "views": VIEWS})
    here.bulk_docs([{"_id": id, "k": k, "n": n} for id, k, n in documents])
    here.replicate_to(there)
    return here, there


def told(db: SyncPouchDB, view: str, options: dict[str, Any]) -> Any:
    try:
        return db.query(f"v/{view}", **options)["rows"]
    except PouchDBError as error:
        return error.status


RANGES: list[dict[str, Any]] = [
    {},
    {"key": "a"},
    {"key": "a", "startkey": "b"},
    {"key": "a", "inclusive_end": False},
    {"keys": ["c", "a", "zz"]},
    {"keys": ["c", "a"], "startkey": "b"},
    {"keys": ["c", "a"], "inclusive_end": False},
    {"keys": ["b"], "key": "a"},
    {"keys": ["b"]},
    {"keys": []},
    {"startkey": "b", "endkey": "a"},
    {"startkey": "a", "startkey_docid": "a2", "endkey": "c", "endkey_docid": "c1"},
]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("options", RANGES, ids=str)
def test_ranges(both: tuple[SyncPouchDB, SyncPouchDB], options: dict[str, Any], descending: bool) -> None:
    for view, more in (
        ("rows", {}),
        ("rows", {"skip": 1, "limit": 2}),
        ("revs", {"include_docs": True}),
        ("sum", {}),
        ("sum", {"group": True}),
        ("sum", {"group_level": 1}),
        ("throws", {"group": True}),
    ):
        given = {**options, **more, "descending": descending}
        mine, its = (told(db, view, given) for db in both)
        assert mine == its, (view, given)


@pytest.mark.parametrize("view", ["sum", "stats", "throws", "grows"])
@pytest.mark.parametrize("options", [{}, {"group": True}, {"key": "b"}, {"key": "c"}], ids=str)
def test_errors_of_reduce_functions(both: tuple[SyncPouchDB, SyncPouchDB], view: str, options: dict[str, Any]) -> None:
    here, there = both
    rows = here.query(f"v/{view}", **options)["rows"]
    assert there.query(f"v/{view}", **options)["rows"] == rows
    answer = there.fetch(f"_design/v/_view/{view}{'?group=true' if options.get('group') else ''}")
    assert answer.status == 200


def test_a_view_is_reduced_by_its_own_function_or_not_at_all(both: tuple[SyncPouchDB, SyncPouchDB]) -> None:
    here, there = both
    own = VIEWS["sum"]["reduce"]
    assert there.query("v/sum", reduce=own)["rows"] == here.query("v/sum", reduce=own)["rows"]
    others: list[Any] = ["_count", "_stats", "function (k, v) { return 1; }", lambda keys, values: 1]
    for view, reduce in [("v/sum", other) for other in others] + [("v/rows", "_count")]:
        with pytest.raises(NotSupported, match="a server reduces a view by its own function"):
            there.query(view, reduce=reduce)
    for missing in ("v/none", "none/v"):
        with pytest.raises(NotFound):
            there.query(missing, reduce="_count")


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("key=%22a%22&startkey=%22b%22", 400),
        ("startkey=%22b%22&key=%22a%22", "a1 a2"),
        ("key=%22c%22&startkey=%22a%22", "a1 a2 b1 c1 c2"),
        ("startkey=%22a%22&key=%22c%22", "c1 c2"),
        ("key=%22a%22&endkey=%22b%22", "a1 a2 b1"),
        ("endkey=%22b%22&key=%22a%22", "a1 a2"),
        ("key=%22a%22&inclusive_end=false", ""),
        ("keys=[%22b%22]&key=%22b%22", "b1"),
        ("keys=[%22b%22,%22a%22]", "b1 a1 a2"),
        ("keys=[%22b%22,%22a%22]&descending=true", "a2 a1 b1"),
        ("keys=[%22b%22,%22a%22]&key=%22b%22", 400),
        ("keys=[%22b%22,%22a%22]&startkey=%22a%22", 400),
        ("keys=[]", ""),
    ],
)
def test_the_later_parameter_counts_over_http(both: tuple[SyncPouchDB, SyncPouchDB], query: str, ids: Any) -> None:
    """As recorded from CouchDB 3.5.0; several keys exclude a range (``couch_mrview_util:validate_args``)."""
    answer = both[1].fetch(f"_design/v/_view/rows?{query}", check=False)
    if answer.status == 200:
        assert [row["id"] for row in answer.json()["rows"]] == ids.split()
    else:
        assert (answer.status, answer.json()["error"]) == (ids, "query_parse_error")
