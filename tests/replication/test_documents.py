"""What travels: documents, tombstones, conflicts and histories, by every option, and what does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import BadRequest, NotFound, PouchDBError

from .conftest import leaves, revision, same

IDS = [
    "a",
    "a+b",
    "a/b",
    "100%",
    "%2F",
    "ä ö",
    "日本",
    "_design/d",
    "_design/a/b",
    "a?b#c",
    "a\0b",
    " ",
    "🚲",
    "x" * 500,
]


def test_the_result(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    result = environment.replicate(source, target)
    assert {key: value for key, value in result.items() if not key.endswith("_time")} == {
        "ok": True,
        "docs_read": 2,
        "docs_written": 2,
        "doc_write_failures": 0,
        "errors": [],
        "last_seq": 2,
        "status": "complete",
    }
    assert result.start_time.endswith("GMT")
    assert result.end_time.endswith("GMT")
    again = environment.replicate(source, target)
    assert (again.docs_read, again.docs_written, again.last_seq) == (0, 0, 2)
    same(source, target)


def test_ids(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.bulk_docs([{"_id": id, "v": id} for id in IDS])
    assert environment.replicate(source, target).docs_written == len(IDS)
    same(source, target)
    for id in IDS:
        source.put({**source.get(id), "v": 2})
    assert environment.replicate(source, target, doc_ids=IDS[:5]).docs_written == 5
    assert environment.replicate(source, target).docs_written == len(IDS) - 5
    same(source, target)


def test_strange_values(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.put(
        {"_id": "a", "big": 2**63, "half": "\ud800", "deep": [[[{"_x": None}]]], "1": 1.0, "text": '"_attachments"'}
    )
    environment.replicate(source, target)
    same(source, target)


def tombstone(db: SyncPouchDB) -> None:
    db.remove("a", db.put({"_id": "a"})["rev"])


def tombstone_with_body(db: SyncPouchDB) -> None:
    rev = db.put({"_id": "a"})["rev"]
    db.put({"_id": "a", "_rev": rev, "_deleted": True, "type": "t"})


def conflicts(db: SyncPouchDB) -> None:
    revision(db, "a", "2-a", "1-a", v=1)
    revision(db, "a", "2-b", "1-a", v=2)
    revision(db, "a", "3-c", "2-c", "1-a", v=3)


def deleted_conflict(db: SyncPouchDB) -> None:
    conflicts(db)
    revision(db, "a", "4-d", "3-c", "2-c", "1-a", _deleted=True)


def all_leaves_deleted(db: SyncPouchDB) -> None:
    conflicts(db)
    for leaf in ("2-a", "2-b", "3-c"):
        db.remove("a", leaf)


def two_roots(db: SyncPouchDB) -> None:
    revision(db, "a", "1-a")
    revision(db, "a", "1-b")


def stemmed(db: SyncPouchDB) -> None:
    db.revs_limit(3)
    rev = None
    for number in range(10):
        rev = db.put({"_id": "a", "n": number, **({"_rev": rev} if rev else {})})["rev"]


def long_history(db: SyncPouchDB) -> None:
    revision(db, "a", *(f"{number}-{number:x}" for number in range(900, 0, -1)))


def compacted(db: SyncPouchDB) -> None:
    stemmed(db)
    conflicts(db)
    db.compact()


def re_created(db: SyncPouchDB) -> None:
    tombstone(db)
    db.put({"_id": "a", "again": True})


SITUATIONS: list[Callable[[SyncPouchDB], None]] = [
    tombstone,
    tombstone_with_body,
    conflicts,
    deleted_conflict,
    all_leaves_deleted,
    two_roots,
    stemmed,
    long_history,
    compacted,
    re_created,
]


@pytest.mark.parametrize("make", SITUATIONS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_histories(
    environment: SyncEnvironment,
    source: SyncPouchDB,
    target: SyncPouchDB,
    make: Callable[[SyncPouchDB], None],
    batch_size: int,
) -> None:
    make(source)
    source.put({"_id": "z"})
    assert environment.replicate(source, target, batch_size=batch_size).ok
    same(source, target)
    for db in (source, target):
        assert db.get("a", rev=source.changes(doc_ids=["a"])["results"][0]["changes"][0]["rev"], revs=True)
    before = target.info().update_seq
    assert environment.replicate(source, target, checkpoint=False, batch_size=batch_size).docs_written == 0
    assert environment.replicate(target, source, batch_size=batch_size).docs_written == 0
    assert target.info().update_seq == before


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(SITUATIONS, 2)))
def test_two_histories_merge_to_the_same_on_both_sides(
    first: Callable[[SyncPouchDB], None], second: Callable[[SyncPouchDB], None]
) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        left, right = environment["left"], environment["right"]
        first(left)
        second(right)
        left.sync(right)
        same(left, right)
        assert left.sync(right).push.docs_written == 0


def test_local_documents_and_security_stay(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    source.put({"_id": "_local/mine"})
    source.put_security({"admins": {"names": ["x"]}})
    source.put({"_id": "a"})
    source.revs_limit(5)
    environment.replicate(source, target)
    with pytest.raises(NotFound):
        target.get("_local/mine")
    assert target.get_security() == {}
    assert target.revs_limit() == 1000


def test_a_snapshot_of_the_source(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    """A writer that keeps writing does not make a one-shot replication endless."""
    source.bulk_docs([{"_id": f"{number:02}"} for number in range(20)])
    written = [0]

    def write(change: Any) -> None:
        written[0] += 10
        source.bulk_docs([{"_id": f"new{written[0] + number}"} for number in range(10)])

    result = environment.replicate(source, target, batch_size=5, on_change=write)
    assert result.status == "complete"
    assert 20 <= result.docs_written < 30
    assert {f"{number:02}" for number in range(20)} <= set(target)


def test_a_document_that_changes_all_the_time(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    source.bulk_docs([{"_id": f"{number:02}", "n": 0} for number in range(6)])

    def write(change: Any) -> None:
        for id in list(source):
            source.put({**source.get(id), "n": source.get(id).n + 1})

    environment.replicate(source, target, batch_size=2, on_change=write)
    environment.replicate(source, target)
    same(source, target)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 14])
def test_batch_boundaries(count: int, batch_size: int) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        source = environment["source"]
        source.bulk_docs([{"_id": f"{number:02}"} for number in range(count)])
        told: list[Any] = []
        result = environment.replicate("source", "target", batch_size=batch_size, on_change=told.append)
        assert result.docs_written == result.last_seq == count
        assert [len(each.docs) for each in told] == [
            min(batch_size, count - start) for start in range(0, count, batch_size)
        ]
        assert [each.last_seq for each in told] == [
            min(start + batch_size, count) for start in range(0, count, batch_size)
        ]
        assert [each.pending for each in told] == [count - each.last_seq for each in told]
        same(source, environment["target"])


# -- options ---------------------------------------------------------------------------------------


def kinds(db: SyncPouchDB) -> None:
    db.bulk_docs([{"_id": id, "type": "even" if number % 2 == 0 else "odd"} for number, id in enumerate("abcdef")])
    db.put({"_id": "_design/x"})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"filter": lambda doc: doc.get("type") == "odd"}, "bdf", id="filter"),
        pytest.param(
            {"filter": lambda doc, req: doc["_id"] in req.query.ids, "query_params": {"ids": ["a", "f"]}},
            "af",
            id="filter with parameters",
        ),
        pytest.param({"filter": "_design"}, ["_design/x"], id="built-in filter"),
        pytest.param({"filter": lambda doc: False}, "", id="filter that lets nothing through"),
        pytest.param({"doc_ids": ["f", "b", "nobody", "b"]}, "bf", id="doc_ids"),
        pytest.param({"doc_ids": []}, "", id="no doc_ids"),
        pytest.param({"doc_ids": ["a", "b"], "filter": lambda doc: doc["_id"] > "a"}, "b", id="doc_ids and filter"),
        pytest.param({"since": 4}, ["e", "f", "_design/x"], id="since"),
        pytest.param({"since": "4"}, ["e", "f", "_design/x"], id="since as text"),
        pytest.param({"since": "now"}, "", id="since now"),
        pytest.param({"since": 99}, "", id="since the future"),
        pytest.param({"since": 0}, ["_design/x", *"abcdef"], id="since 0"),
        pytest.param({"batches_limit": 3, "heartbeat": 10, "timeout": False}, ["_design/x", *"abcdef"], id="HTTP's"),
        pytest.param({"retry": True, "back_off_function": lambda delay: 1}, ["_design/x", *"abcdef"], id="retry"),
    ],
)
def test_options_that_choose(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, options: dict[str, Any], expected: Any
) -> None:
    kinds(source)
    result = environment.replicate(source, target, **options)
    assert set(target) == set(expected)
    assert result.docs_written == len(expected)
    assert result.last_seq >= 7
    # What another filter left out is not skipped; `since` says that what is before it is not wanted, as in PouchDB.
    left = 0 if "since" in options else 7 - len(expected)
    assert environment.replicate(source, target).docs_written == left


def test_a_filter_and_deletions(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    def mine(doc: Any) -> bool:
        return bool(doc.get("type") == "mine" or doc.get("_deleted"))

    def strict(doc: Any) -> bool:
        return bool(doc.get("type") == "mine")

    source.bulk_docs([{"_id": id, "type": "mine"} for id in "abc"])
    environment.replicate(source, target, filter=mine)
    source.remove("a", source.get("a")._rev)
    source.remove(source.get("b"), keep_fields=["type"])
    environment.replicate(source, target, filter=strict)
    assert set(target) == {"a", "c"}, "a deletion passes a filter as any document does: by what is left in it"
    environment.replicate(source, target, filter=mine)
    assert set(target) == {"c"}


@pytest.mark.parametrize("options", [{"winning_revs_only": True}, {"style": "main_only"}])
def test_winners_only(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, options: dict[str, Any]
) -> None:
    conflicts(source)
    environment.replicate(source, target, **options)
    assert [id.split()[1] for id in leaves(target)] == ["3-c"]
    environment.replicate(source, target)
    same(source, target)


def test_a_filter_judges_every_leaf(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    conflicts(source)
    environment.replicate(source, target, filter=lambda doc: doc.get("v") in (1, 2))
    assert sorted(id.split()[1] for id in leaves(target)) == ["2-a", "2-b"]


def test_two_filters_of_one_source_do_not_share_a_checkpoint(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    kinds(source)
    for wanted in ("odd", "even"):
        environment.replicate(source, target, filter=lambda doc, wanted=wanted: doc.get("type") == wanted)
    assert set(target) == set("abcdef")


@pytest.mark.parametrize(
    "options",
    [
        {"live": "yes"},
        {"continuous": 1},
        {"retry": "no"},
        {"filter": 5},
        {"query_params": "a=1"},
        {"doc_ids": "abc"},
        {"doc_ids": [1]},
        {"since": -1},
        {"since": "soon"},
        {"since": True},
        {"since": 1.5},
        {"winning_revs_only": "x"},
        {"style": "all"},
        {"batch_size": 0},
        {"batch_size": True},
        {"batch_size": "7"},
        {"checkpoint": "both"},
        {"checkpoint": 1},
        {"back_off_function": 5},
        {"nonsense": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["env.replicate", "replicate_to", "replicate_from", "sync", "env.sync", "push", "live"])
def test_a_wrong_option_is_refused_and_nothing_begins(options: dict[str, Any], way: str) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        source, target = environment["source"], environment["target"]
        source.put({"_id": "a"})
        calls: dict[str, Callable[[], Any]] = {
            "env.replicate": lambda: environment.replicate("source", "target", **options),
            "replicate_to": lambda: source.replicate_to(target, **options),
            "replicate_from": lambda: target.replicate_from(source, **options),
            "sync": lambda: source.sync(target, **options),
            "env.sync": lambda: environment.sync("source", "target", **options),
            "push": lambda: source.sync(target, pull=options),
            "live": lambda: source.sync(target, **{"live": True, **options}),
        }
        with pytest.raises(BadRequest) as caught:
            calls[way]()
        assert next(iter(options)) in caught.value.message
        assert len(target) == 0
        assert not environment.engine.live
        assert not environment.active_tasks()


@pytest.mark.parametrize("selector", [5, None, ["a"], b"source"])
def test_a_peer_is_an_object_or_a_name(environment: SyncEnvironment, selector: Any) -> None:
    with pytest.raises(BadRequest, match="an object or a name"):
        environment.replicate(selector, "target")


def test_a_missing_source_is_made(environment: SyncEnvironment, caplog: pytest.LogCaptureFixture) -> None:
    """As in PouchDB and the original, which a program may rely on; a log says so, for it may be a typing error."""
    result = environment.replicate("typo", "target")
    assert (result.ok, result.docs_read, result.status) == (True, 0, "complete")
    assert "typo" in environment
    assert "target" in environment
    assert "there is no database 'typo' to replicate from" in caplog.text
    caplog.clear()
    assert environment["target"].replicate_from("typo").ok
    assert not caplog.records


def test_databases_that_are_missing_here(environment: SyncEnvironment) -> None:
    environment["source"].put({"_id": "a"})
    assert environment.replicate("source", "made").docs_written == 1
    assert environment.sync("made", "also-made").push.docs_written == 1


def test_databases_given_by_name_are_closed_again(environment: SyncEnvironment) -> None:
    environment["source"].put({"_id": "a"})
    closed: list[str] = []
    opened: list[Any] = []
    original = environment.engine.plugins.database_closed
    environment.engine.plugins.database_closed = lambda database: (closed.append(database.name), original(database))  # type: ignore[method-assign,assignment]
    environment.on("created", opened.append)
    environment.replicate("source", "target")
    assert sorted(opened) == sorted(closed) == ["source", "target"]
    handle = environment.sync("source", "target", live=True)
    assert len(closed) == 2
    handle.cancel()
    handle.wait(20)
    assert sorted(closed) == ["source", "source", "target", "target"]


# -- databases of every kind -----------------------------------------------------------------------


@pytest.mark.parametrize("kinds_", list(itertools.product(["file", "memory"], repeat=2)), ids=str)
@pytest.mark.parametrize("engines", [1, 2])
def test_any_two_databases(tmp_path: Path, kinds_: tuple[str, str], engines: int) -> None:
    def environment(number: int, kind: str) -> SyncEnvironment:
        return pouchdb.setup(":memory:" if kind == "memory" else tmp_path / f"{number}", plugins=[])

    first = environment(0, kinds_[0])
    second = environment(1, kinds_[1]) if engines == 2 else first
    with first, second:
        source = first.PouchDB("a")
        target = second.PouchDB("b", **({"adapter": "memory"} if engines == 1 and kinds_[1] == "memory" else {}))
        for make in (conflicts, kinds):
            make(source)
        source.put_attachment("b", "t", b"x" * 300_000, "text/plain", rev=source.get("b")._rev)
        assert source.replicate_to(target).ok
        same(source, target)
        assert target.replicate_from(source).docs_read == 0
        assert first.sync(source, target).pull.docs_written == 0


def test_a_database_and_itself(environment: SyncEnvironment, source: SyncPouchDB) -> None:
    for call in (
        lambda: environment.replicate(source, source),
        lambda: environment.replicate("source", environment["source"], live=True),
        lambda: source.sync("source"),
        lambda: source.replicate_to(source.as_user({"name": "x"})),
    ):
        with pytest.raises(BadRequest, match="to itself"):
            call()


def test_users(guard: Any, guarded: SyncEnvironment) -> None:
    """Both sides are asked on behalf of the user of their object."""
    asked: list[Any] = []

    class Asks:
        @pouchdb.hookimpl(wrapper=True)
        def pouchdb_changes(self, database: Any, request: Any) -> Any:
            asked.append((database.name, request.user, request.purpose))
            return (yield)

        @pouchdb.hookimpl
        def pouchdb_write_guards(self, database: Any, request: Any) -> Any:
            asked.append((database.name, request.user, request.purpose))

    with pouchdb.setup(":memory:", plugins=[Asks()]) as environment:
        environment["source"].put({"_id": "a"})
        asked.clear()
        source = environment["source"].as_user({"name": "reader"})
        target = environment["target"].as_user({"name": "writer"})
        source.replicate_to(target)
        # Checkpoints are local documents, of which guards are not asked one by one, but the call is.
        assert {(name, user.name, purpose) for name, user, purpose in asked} == {
            ("source", "reader", "replication"),
            ("target", "writer", "replication"),
            ("source", "reader", "api"),
            ("target", "writer", "api"),
        } or {(name, user.name) for name, user, _ in asked} == {("source", "reader"), ("target", "writer")}


def test_a_wrapper_sees_documents_not_stored_text(faults: Any, faulty: SyncEnvironment) -> None:
    seen: list[Any] = []
    faults.on_write = lambda database, request: seen.extend(request.docs)
    faulty["source"].bulk_docs([{"_id": "a", "v": {"w": 1}}])
    conflicts(faulty["source"])
    seen.clear()
    faulty.replicate("source", "target")
    assert all(isinstance(doc, dict) and "_revisions" in doc for doc in seen if not doc["_id"].startswith("_local"))
    same(faulty["source"], faulty["target"])


def test_documents_written_is_told_of_replicated_documents() -> None:
    class Hears:
        def __init__(self) -> None:
            self.told: list[Any] = []

        @pouchdb.hookimpl
        def pouchdb_documents_written(self, database: Any, results: Any) -> None:
            self.told.append((database.name, [each["id"] for each in results]))

    hears = Hears()
    with pouchdb.setup(":memory:", plugins=[hears]) as environment:
        environment["source"].bulk_docs([{"_id": "a"}, {"_id": "b"}])
        hears.told.clear()
        environment.replicate("source", "target")
    assert ("target", ["a", "b"]) in hears.told


def test_an_error_of_the_filter_is_an_error_of_the_call(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    source.bulk_docs([{"_id": f"{number:03}"} for number in range(300)])

    def wrong(doc: Any) -> bool:
        return bool(1 / (doc["_id"] != "250"))

    with pytest.raises(ZeroDivisionError) as caught:
        environment.replicate(source, target, filter=wrong, batch_size=100, retry=True)
    result = caught.value.result  # type: ignore[attr-defined]
    assert (result.status, result.docs_written) == ("aborting", 200)
    with pytest.raises(PouchDBError):
        environment.replicate(source, target, filter="no/such")


# -- filters with a name ---------------------------------------------------------------------------


def design() -> dict[str, Any]:
    filters = {"kind": "function (doc, req) { return doc.type === req.query.type; }", "broken": "function (doc) {"}
    views = {"odd": {"map": "function (doc) { if (doc.type === 'odd') emit(1); }"}}
    return {"_id": "_design/d", "filters": filters, "views": views}


@pytest.fixture
def scripted(tmp_path: Path) -> Any:
    """An environment with the core's own plug-ins, which know design documents."""
    with pouchdb.setup(tmp_path / "scripted", plugins=[], durability="normal") as environment:
        yield environment


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"filter": "d/kind", "query_params": {"type": "odd"}}, "bdf", id="filter of a design document"),
        pytest.param({"filter": "_view", "view": "d/odd"}, "bdf", id="_view"),
        pytest.param({"view": "d/odd"}, "bdf", id="view"),
        pytest.param({"filter": "_doc_ids", "doc_ids": ["a"]}, "a", id="_doc_ids"),
    ],
)
def test_filters_with_a_name(scripted: SyncEnvironment, options: dict[str, Any], expected: str) -> None:
    source, target = scripted["source"], scripted["target"]
    kinds(source)
    source.put(design())
    assert scripted.replicate(source, target, **options).docs_written == len(expected)
    assert set(target) == set(expected)
    assert scripted.replicate(source, target, **options).docs_read == 0


@pytest.mark.parametrize("options", [{"filter": "d/none"}, {"filter": "x/y"}, {"filter": "d/broken"}, {"view": "d/x"}])
@pytest.mark.parametrize("live", [False, True])
def test_a_filter_that_is_not_there(scripted: SyncEnvironment, options: dict[str, Any], live: bool) -> None:
    source, target = scripted["source"], scripted["target"]
    source.put(design())

    def replicate() -> None:
        answer: Any = scripted.replicate(source, target, live=live, **options)  # type: ignore[arg-type]
        answer.wait(20)

    with pytest.raises(PouchDBError):
        replicate()
    assert len(target) == 0


def test_an_edited_filter_starts_over(scripted: SyncEnvironment) -> None:
    source, target = scripted["source"], scripted["target"]
    kinds(source)
    source.put(design())
    scripted.replicate(source, target, filter="d/kind", query_params={"type": "odd"})
    ddoc = source.get("_design/d")
    ddoc["filters"]["kind"] = "function (doc) { return doc.type === 'even'; }"
    source.put(ddoc)
    scripted.replicate(source, target, filter="d/kind", query_params={"type": "odd"})
    assert set(target) == set("abcdef")
