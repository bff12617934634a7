"""Compaction, purging, stemming, limits, counters: what keeps a database small and its totals right.

Rows of the option tables and the tests that cover them:

* info(): test_info; sizes: test_compact_frees_space
* compact({interval}): None, bodies and attachments of inner revisions go, leaves stay: test_compact*
* auto_compaction: test_auto_compaction*; revs_limit: test_stemming*, test_revs_limit
* purge(id, rev): test_purge*; CouchDB's form: test_purge_many; refusals: test_purge_refuses
* close(), destroy(): later calls fail: test_close, test_destroy; id(): test_id; active_tasks(): test_active_tasks
* purged_infos_limit: test_the_purge_log_is_trimmed
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import md5
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest, DatabaseClosed, NotFound, PouchDBError


def grow(database: SyncPouchDB, id: str, number: int) -> list[str]:
    """Write a document and edit it; return its revisions, oldest first."""
    revs: list[str] = []
    for n in range(number):
        revs.append(database.put({"_id": id, "n": n, **({"_rev": revs[-1]} if revs else {})}).rev)
    return revs


def statuses(database: SyncPouchDB, id: str, rev: str | None = None) -> list[str]:
    return [each.status for each in database.get(id, rev=rev, revs_info=True)._revs_info]


def purges(database: SyncPouchDB) -> list[Any]:
    return database.adapter.store.purges(0, 100)  # type: ignore[attr-defined]


# -- info --------------------------------------------------------------------------------------------------------------


def test_info(environment: SyncEnvironment) -> None:
    database = environment["test"]
    info = database.info()
    assert (info.db_name, info.doc_count, info.doc_del_count, info.update_seq, info.purge_seq) == ("test", 0, 0, 0, 0)
    assert info.auto_compaction is False
    assert info.adapter in ("sqlite", "memory")
    assert info.sizes.file >= 0
    database.bulk_docs([{"_id": "a"}, {"_id": "b", "_deleted": True}, {"_id": "_design/d"}, {"_id": "_local/l"}])
    info = database.info()
    assert (info.doc_count, info.doc_del_count, info.update_seq) == (2, 1, 3)
    assert environment.PouchDB("other", auto_compaction=True).info().auto_compaction is True


def test_id(environment: SyncEnvironment) -> None:
    one, same, other = environment["one"], environment["one"], environment["other"]
    assert one.id() == same.id() == one.info().uuid
    assert one.id() != other.id()
    before = one.id()
    one.destroy()
    assert environment["one"].id() != before


@pytest.mark.parametrize(
    ("ops", "counts"),
    [
        pytest.param([{"_id": "a"}], (1, 0), id="new"),
        pytest.param([{"_id": "a", "_deleted": True}], (0, 1), id="born deleted"),
        pytest.param([{"_id": "a", "_rev": "1-a"}, {"_id": "a", "_rev": "1-b"}], (1, 0), id="a conflict"),
        pytest.param([{"_id": "a", "_rev": "1-a"}, {"_id": "a", "_rev": "1-b", "_deleted": True}], (1, 0), id="half"),
        pytest.param(
            [{"_id": "a", "_rev": "1-a", "_deleted": True}, {"_id": "a", "_rev": "1-b"}], (1, 0), id="half, turned"
        ),
        pytest.param(
            [
                {"_id": "a", "_rev": "1-a"},
                {"_id": "a", "_deleted": True, "_revisions": {"start": 2, "ids": ["b", "a"]}},
            ],
            (0, 1),
            id="deleted",
        ),
        pytest.param(
            [
                {"_id": "a", "_deleted": True, "_revisions": {"start": 2, "ids": ["b", "a"]}},
                {"_id": "a", "_revisions": {"start": 3, "ids": ["c", "b", "a"]}},
            ],
            (1, 0),
            id="back",
        ),
        pytest.param([{"_id": "a", "_rev": "1-a"}, {"_id": "a", "_rev": "1-a"}], (1, 0), id="the same twice"),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_counts(database: SyncPouchDB, ops: list[dict[str, Any]], counts: tuple[int, int], together: bool) -> None:
    replicated = any("_rev" in op or "_revisions" in op for op in ops)
    for batch in [ops] if together else [[op] for op in ops]:
        database.bulk_docs(batch, new_edits=not replicated)
    info = database.info()
    assert (info.doc_count, info.doc_del_count) == counts


# -- compaction --------------------------------------------------------------------------------------------------------


def test_compact(database: SyncPouchDB) -> None:
    revs = grow(database, "a", 4)
    assert statuses(database, "a") == ["available"] * 4
    seq = database.info().update_seq
    assert database.compact() is None
    assert statuses(database, "a") == ["available", "missing", "missing", "missing"]
    assert database.get("a", revs=True)._revisions.ids == [rev.partition("-")[2] for rev in reversed(revs)]
    assert database.info().update_seq == seq
    with pytest.raises(NotFound):
        database.get("a", rev=revs[0])
    assert database.compact(interval=5) is None
    assert database.put({"_id": "a", "_rev": revs[-1]}).rev.startswith("5-")


def test_compact_keeps_leaves(database: SyncPouchDB) -> None:
    database.bulk_docs(
        [
            {"_id": "a", "n": n, "_revisions": {"start": len(path), "ids": list(path)}, "_deleted": n == 3}
            for n, path in enumerate(["a", "ba", "cba", "xa", "yxa", "za"])
        ],
        new_edits=False,
    )
    before = database.open_revs("a")
    assert len(before) == 3
    database.compact()
    assert database.open_revs("a") == before
    assert database.get("a", conflicts=True)._conflicts == ["3-c", "2-z"]
    with pytest.raises(NotFound):
        database.get("a", rev="1-a")


def test_compact_keeps_tombstones(database: SyncPouchDB) -> None:
    revs = grow(database, "a", 2)
    gone = database.put({"_id": "a", "_rev": revs[-1], "_deleted": True, "why": "x"}).rev
    database.compact()
    assert database.get("a", rev=gone).why == "x"
    assert database.info().doc_del_count == 1


def test_compact_forgets_ids_beyond_a_limit_that_was_lowered(database: SyncPouchDB) -> None:
    revs = grow(database, "a", 6)
    database.bulk_docs([{"_id": "a", "_revisions": {"start": 2, "ids": ["x", revs[0][2:]]}}], new_edits=False)
    database.revs_limit(3)
    database.compact()
    assert database.get("a", revs=True)._revisions == {"start": 6, "ids": [rev[2:] for rev in reversed(revs[3:])]}
    assert database.get("a", conflicts=True)._conflicts == ["2-x"]
    assert database.get("a", rev="2-x", revs=True)._revisions == {"start": 2, "ids": ["x", revs[0][2:]]}
    assert database.put({"_id": "a", "_rev": revs[-1]}).rev.startswith("7-")


def test_compact_drops_attachments_of_inner_revisions(database: SyncPouchDB) -> None:
    first = database.put_attachment("a", "x", b"old").rev
    second = database.put_attachment("a", "x", b"new", rev=first).rev
    database.put_attachment("b", "x", b"old")
    database.compact()
    assert database.get_attachment("a", "x").data == b"new"
    assert database.get_attachment("b", "x").data == b"old"
    with pytest.raises(NotFound):
        database.get_attachment("a", "x", first)
    # The content of `b` was used by `a`, too; now it is gone with its last use.
    database.remove(database.get("b"))
    database.compact()
    with pytest.raises(PouchDBError) as caught:
        database.put({"_id": "a", "_rev": second, "_attachments": {"y": {"stub": True, "digest": digest_of(b"old")}}})
    assert caught.value.status == 412


def digest_of(content: bytes) -> str:
    return "md5-" + b64encode(md5(content).digest()).decode()


def test_compact_of_many(database: SyncPouchDB) -> None:
    """More bodies than are looked at in one transaction, several of one document."""
    database.bulk_docs([{"_id": f"{n:04}"} for n in range(700)])
    for n in range(2):
        docs = [{**row.doc, "n": n} for row in database.all_docs(include_docs=True).rows]
        database.bulk_docs(docs)
    database.compact()
    assert statuses(database, "0000") == statuses(database, "0699") == ["available", "missing", "missing"]
    assert database.adapter.store.bodies_after(0, 10) == []  # type: ignore[attr-defined]


def test_compact_frees_space(database: SyncPouchDB) -> None:
    rev = None
    for n in range(20):
        rev = database.put({"_id": "a", "text": f"{n}" * 50_000, **({"_rev": rev} if rev else {})}).rev
    before = database.info().sizes
    database.compact()
    after = database.info().sizes
    assert after.active < before.active / 3
    assert after.file <= before.file


def test_active_tasks(environment: SyncEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    database = environment["test"]
    grow(database, "a", 3)
    seen: list[Any] = []
    shrink = database.adapter.store.shrink  # type: ignore[attr-defined]
    monkeypatch.setattr(
        database.adapter.store,  # type: ignore[attr-defined]
        "shrink",
        lambda: (seen.extend(database.active_tasks()), seen.extend(environment["other"].active_tasks()), shrink()),
    )
    database.compact()
    assert [(task.name, task.database) for task in seen] == [("database_compaction", "test")]
    assert database.activeTasks() == []


@pytest.mark.parametrize("how", ["edits", "replication", "one batch"])
def test_auto_compaction(environment: SyncEnvironment, how: str) -> None:
    database = environment.PouchDB("test", auto_compaction=True)
    if how == "edits":
        grow(database, "a", 4)
    else:
        docs = [
            {"_id": "a", "n": n, "_revisions": {"start": n, "ids": [f"r{each}" for each in range(n, 0, -1)]}}
            for n in (1, 2, 3, 4)
        ]
        for batch in [docs] if how == "one batch" else [[doc] for doc in docs]:
            database.bulk_docs(batch, new_edits=False)
    assert statuses(database, "a") == ["available", "missing", "missing", "missing"]
    assert database.adapter.store.bodies_after(0, 10) == []  # type: ignore[attr-defined]
    assert database.integrity_check() == []


def test_auto_compaction_drops_attachments_and_keeps_conflicts(environment: SyncEnvironment) -> None:
    database = environment.PouchDB("test", auto_compaction=True)
    first = database.put_attachment("a", "x", b"old").rev
    database.put({"_id": "a", "_revisions": {"start": 2, "ids": ["x", first[2:]]}, "n": "x"}, new_edits=False)
    assert database.open_revs("a", [first]) == [{"missing": first}]
    database.put({"_id": "a", "_revisions": {"start": 2, "ids": ["y", first[2:]]}, "n": "y"}, new_edits=False)
    database.put({"_id": "a", "_rev": "2-y", "n": "z"})
    assert database.get("a", rev="2-x").n == "x"
    assert database.get("a", conflicts=True)._conflicts == ["2-x"]
    with pytest.raises(NotFound):
        database.get("a", rev="2-y")
    assert database.integrity_check() == []


def test_auto_compaction_of_a_chain_in_one_batch(environment: SyncEnvironment) -> None:
    database = environment.PouchDB("test", auto_compaction=True)
    path = [{"start": n, "ids": ["c", "b", "a"][3 - n :]} for n in (1, 2, 3)]
    attachment = {"x": {"data": "eA=="}}
    database.bulk_docs([{"_id": "a", "_revisions": each, "_attachments": attachment} for each in path], new_edits=False)
    assert database.get_attachment("a", "x").data == b"x"
    database.remove("a", "3-c")
    assert database.integrity_check() == []


# -- stemming ----------------------------------------------------------------------------------------------------------


def test_revs_limit(database: SyncPouchDB) -> None:
    assert database.revs_limit() == 1000
    assert database.revs_limit(5) == 5
    assert database.revsLimit() == 5
    for bad in (0, -1, "5", 1.5, True):
        with pytest.raises(BadRequest):
            database.revs_limit(bad)  # type: ignore[arg-type]
    assert database.revs_limit() == 5


def test_revs_limit_as_an_option(environment: SyncEnvironment) -> None:
    database = environment.PouchDB("test", revs_limit=2)
    grow(database, "a", 5)
    assert database.revs_limit() == 2
    assert len(database.get("a", revs=True)._revisions.ids) == 2


def test_stemming(database: SyncPouchDB) -> None:
    database.revs_limit(3)
    revs = grow(database, "a", 6)
    assert database.get("a", revs=True)._revisions == {
        "start": 6,
        "ids": [rev.partition("-")[2] for rev in reversed(revs[-3:])],
    }
    for rev in revs[:3]:
        with pytest.raises(NotFound):
            database.get("a", rev=rev)
    assert database.get("a", rev=revs[3]).n == 3
    assert database.revs_diff({"a": revs}) == {"a": {"missing": revs[:3]}}


def test_stemming_happens_at_the_next_write(database: SyncPouchDB) -> None:
    revs = grow(database, "a", 5)
    database.revs_limit(2)
    assert len(database.get("a", revs=True)._revisions.ids) == 5
    # What changes nothing stems nothing; and what is not stemmed stays readable.
    database.put({"_id": "a", "_rev": revs[-1]}, new_edits=False)
    assert database.get("a", rev=revs[0]).n == 0
    database.put({"_id": "a", "_rev": revs[-1]})
    assert len(database.get("a", revs=True)._revisions.ids) == 2


def test_stemming_of_branches(database: SyncPouchDB) -> None:
    database.revs_limit(2)
    database.bulk_docs(
        [
            {"_id": "a", "_revisions": {"start": 4, "ids": ["d", "c", "b", "a"]}},
            {"_id": "a", "_revisions": {"start": 2, "ids": ["x", "a"]}},
        ],
        new_edits=False,
    )
    assert database.get("a", revs=True, conflicts=True)._revisions.ids == ["d", "c"]
    assert database.get("a", rev="2-x", revs=True)._revisions.ids == ["x", "a"]


def test_stemming_releases_attachments(database: SyncPouchDB) -> None:
    database.revs_limit(1)
    first = database.put_attachment("a", "x", b"x").rev
    database.put({"_id": "a", "_rev": first})
    assert database.integrity_check() == []
    with pytest.raises(NotFound):
        database.get_attachment("a", "x", first)


# -- purging -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def branched(database: SyncPouchDB) -> SyncPouchDB:
    """``a``: 1-a, 2-b, 3-c (winner, with an attachment) and 2-x, 3-y (deleted) and 2-k (conflict, with one)."""
    database.bulk_docs(
        [
            {"_id": "other", "_rev": "1-o"},
            {"_id": "a", "n": 1, "_rev": "1-a"},
            {"_id": "a", "n": 2, "_revisions": {"start": 2, "ids": ["b", "a"]}},
            {
                "_id": "a",
                "n": 3,
                "_revisions": {"start": 3, "ids": ["c", "b", "a"]},
                "_attachments": {"x": {"data": b"of c"}},
            },
            {
                "_id": "a",
                "n": 4,
                "_revisions": {"start": 2, "ids": ["k", "a"]},
                "_attachments": {"x": {"data": b"of k"}},
            },
            {"_id": "a", "_deleted": True, "_revisions": {"start": 3, "ids": ["y", "x", "a"]}},
        ],
        new_edits=False,
    )
    return database


@pytest.mark.parametrize(
    ("rev", "gone", "winner", "conflicts"),
    [
        pytest.param("3-c", ["3-c", "2-b"], "2-k", None, id="the winner"),
        pytest.param("2-k", ["2-k"], "3-c", None, id="a conflict"),
        pytest.param("3-y", ["3-y", "2-x"], "3-c", ["2-k"], id="a deleted leaf"),
    ],
)
def test_purge(branched: SyncPouchDB, rev: str, gone: list[str], winner: str, conflicts: list[str] | None) -> None:
    assert branched.purge("a", rev) == {"ok": True, "deletedRevs": gone, "documentWasRemovedCompletely": False}
    doc = branched.get("a", conflicts=True)
    assert (doc._rev, doc.get("_conflicts")) == (winner, conflicts)
    info = branched.info()
    assert (info.doc_count, info.doc_del_count, info.purge_seq, info.update_seq) == (2, 0, 1, 3)
    assert [(row.seq, row.id) for row in branched.changes().results] == [(1, "other"), (3, "a")]
    assert [each._id for each in branched.conflicts()] == (["a"] if conflicts else [])
    for each in gone:
        assert branched.open_revs("a", [each]) == [{"missing": each}]
    assert branched.revs_diff({"a": gone})["a"]["missing"] == gone
    assert purges(branched) == [(1, "a", gone)]


def test_purge_everything(branched: SyncPouchDB) -> None:
    for rev in ("3-c", "2-k"):
        branched.purge("a", rev)
    # What is left is the tombstone.
    with pytest.raises(NotFound, match="deleted"):
        branched.get("a")
    assert (branched.info().doc_count, branched.info().doc_del_count) == (1, 1)
    last = branched.purge("a", "3-y")
    assert last == {"ok": True, "deletedRevs": ["3-y", "2-x", "1-a"], "documentWasRemovedCompletely": True}
    with pytest.raises(NotFound, match="missing"):
        branched.get("a")
    info = branched.info()
    assert (info.doc_count, info.doc_del_count, info.purge_seq) == (1, 0, 3)
    assert [row.id for row in branched.changes().results] == ["other"]
    assert branched.changes().last_seq == info.update_seq
    assert branched.adapter.store.bodies_after(0, 10) == []  # type: ignore[attr-defined]
    # It can be written as if it had never been.
    assert branched.put({"_id": "a"}).rev.startswith("1-")


def test_purge_many(branched: SyncPouchDB) -> None:
    answer = branched.purge({"a": ["3-c", "2-k", "1-a"], "other": ["1-o"], "none": ["1-a"], "_design/none": []})
    assert answer == {
        "purge_seq": 2,
        "purged": {"a": ["3-c", "2-k", "2-b"], "other": ["1-o"], "none": [], "_design/none": []},
    }
    assert branched.info().purge_seq == 2
    assert list(branched) == []
    assert branched.info().doc_del_count == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        pytest.param(lambda db: db.purge("a"), BadRequest, id="no revision"),
        pytest.param(lambda db: db.purge("a", "x"), BadRequest, id="malformed revision"),
        pytest.param(lambda db: db.purge("a", 5), BadRequest, id="revision is a number"),
        pytest.param(lambda db: db.purge(5, "1-a"), BadRequest, id="id is a number"),
        pytest.param(lambda db: db.purge({"a": "1-a"}), BadRequest, id="revisions are text"),
        pytest.param(lambda db: db.purge({"a": ["x"]}), BadRequest, id="malformed revision of many"),
        pytest.param(lambda db: db.purge("none", "1-a"), NotFound, id="missing document"),
        pytest.param(lambda db: db.purge("a", "2-b"), NotFound, id="an inner revision"),
        pytest.param(lambda db: db.purge("a", "9-z"), NotFound, id="an unknown revision"),
    ],
)
def test_purge_refuses(branched: SyncPouchDB, call: Callable[[SyncPouchDB], Any], error: type[PouchDBError]) -> None:
    before = branched.info()
    with pytest.raises(error):
        call(branched)
    assert branched.info() == before
    assert branched.get("a")._rev == "3-c"


def test_purge_of_a_design_document_moves_ddocs_seq(database: SyncPouchDB) -> None:
    rev = database.put({"_id": "_design/d"}).rev
    before = database.adapter.ddocs_seq()
    assert [doc._id for doc in database.design_documents()] == ["_design/d"]
    database.purge("_design/d", rev)
    assert database.adapter.ddocs_seq() > before
    assert list(database.design_documents()) == []
    database.put({"_id": "_design/d"})
    assert [doc._id for doc in database.design_documents()] == ["_design/d"]


def test_purge_in_the_middle_of_reading_the_feed(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": id, "_rev": "1-a"} for id in "abcd"], new_edits=False)
    part = database.changes(limit=2)
    database.purge("a", "1-a")
    database.purge("d", "1-a")
    rest = database.changes(since=part.last_seq)
    assert [row.id for row in rest.results] == ["c"]
    assert database.changes(since=rest.last_seq).results == []


def test_the_purge_log_is_trimmed(environment: SyncEnvironment) -> None:
    database = environment.PouchDB("test", purged_infos_limit=3)
    for n in range(5):
        database.purge(str(n), database.put({"_id": str(n)}).rev)
    assert [(seq, id) for seq, id, _ in purges(database)] == [(3, "2"), (4, "3"), (5, "4")]


# -- the end -----------------------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[SyncPouchDB], Any]] = {
    "get": lambda db: db.get("a"),
    "put": lambda db: db.put({"_id": "a"}),
    "bulk_docs": lambda db: db.bulk_docs([{}]),
    "all_docs": lambda db: db.all_docs(),
    "changes": lambda db: db.changes(),
    "info": lambda db: db.info(),
    "compact": lambda db: db.compact(),
    "conflicts": lambda db: list(db.conflicts()),
    "len": len,
    "in": lambda db: "a" in db,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_close(database: SyncPouchDB, call: Callable[[SyncPouchDB], Any]) -> None:
    database.close()
    database.close()
    with pytest.raises(DatabaseClosed, match="database is closed"):
        call(database)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_destroy(environment: SyncEnvironment, call: Callable[[SyncPouchDB], Any]) -> None:
    database = environment["test"]
    database.put({"_id": "a"})
    assert database.destroy() == {"ok": True}
    with pytest.raises(DatabaseClosed, match="database is destroyed"):
        call(database)
    assert "a" not in environment["test"]


def test_destroying_what_was_destroyed(environment: SyncEnvironment) -> None:
    """As the original answers; a database of that name that was made since stays."""
    database, other = environment["test"], environment["test"]
    assert database.destroy() == other.destroy() == database.destroy() == {"ok": True}
    environment["test"].put({"_id": "a"})
    assert database.destroy() == {"ok": True}
    assert "a" in environment["test"]
