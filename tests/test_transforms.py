"""Transforms: every way in and every way out, what is hidden, and what a database without one is spared."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import Record, SyncEnvironment, SyncPouchDB, Transform, hookimpl
from pouchdb_core.api.reading import all_docs_text
from pouchdb_core.dump import dump, load
from pouchdb_core.errors import Forbidden, NotFound, PluginError, PouchDBError
from pouchdb_core.requests import Listing, Read, Write


class Rot13(Transform):
    """Stores ``text`` turned by 13 letters; what has ``secret`` is hidden from readers, not from replications."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
        self.requests.append(request)
        if request.purpose == "replication":
            return doc
        if doc.get("refused"):
            raise Forbidden("refused")
        if "text" in doc:
            doc["text"] = turned(doc["text"])
        return doc

    def outgoing(self, doc: Record, request: Any) -> Mapping[str, Any] | None:
        self.requests.append(request)
        if request.purpose == "replication":
            return doc
        if doc.get("secret"):
            return None
        return {**doc, "text": turned(doc["text"])} if "text" in doc else doc


class Turning:
    """The plug-in; only databases whose names begin with ``t`` are turned."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.transform = Rot13()

    @hookimpl
    def pouchdb_transforms(self, database: SyncPouchDB) -> Transform | None:
        self.asked.append(database.name)
        assert database.user is None
        return self.transform if database.name.startswith("t") else None


def turned(text: str) -> str:
    return text.translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm"))


@pytest.fixture
def turning() -> Turning:
    return Turning()


@pytest.fixture(params=["file", "memory"])
def env(request: pytest.FixtureRequest, tmp_path: Path, turning: Turning) -> Iterator[SyncEnvironment]:
    where = tmp_path / "data" if request.param == "file" else ":memory:"
    with pouchdb.setup(where, plugins=[turning]) as environment:
        yield environment


def stored(db: SyncPouchDB, id: str) -> Record:
    doc: Record = db.adapter.read(Read(id))
    return doc


@pytest.fixture
def db(env: SyncEnvironment) -> SyncPouchDB:
    return env["turned"]


def test_it_is_asked_once_a_database(env: SyncEnvironment, turning: Turning) -> None:
    one, two = env["turned"], env["turned"].as_user({"name": "ada"})
    one.put({"_id": "a"})
    two.get("a")
    env["plain"].put({"_id": "a"})
    env["plain"].all_docs()
    assert sorted(turning.asked) == ["plain", "turned"]


def put(db: SyncPouchDB) -> Any:
    return db.put({"_id": "a", "text": "abc"})


def put_text(db: SyncPouchDB) -> Any:
    return db.put('{"_id": "a", "text": "abc"}')


def bulk(db: SyncPouchDB) -> Any:
    return db.bulk_docs([{"_id": "a", "text": "abc"}])[0]


def item(db: SyncPouchDB) -> Any:
    db["a"] = {"text": "abc"}


def attach(db: SyncPouchDB) -> Any:
    rev = put(db).rev
    return db.put_attachment("a", "file", b"content", "text/plain", rev)


def force(db: SyncPouchDB) -> Any:
    rev = put(db).rev
    return db.put({"_id": "a", "_rev": rev, "text": "abc"}, force=True)


def settle(db: SyncPouchDB) -> Any:
    rev = put(db).rev
    db.put({"_id": "a", "_rev": rev, "text": "xyz"})
    db.put({"_id": "a", "_rev": rev, "text": "xyz2"}, force=True)
    return db.resolve("a", lambda leaves: {**leaves[0], "text": "abc"})


WAYS_IN = [put, put_text, bulk, item, attach, force, settle]


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_way_in(db: SyncPouchDB, way: Callable[[SyncPouchDB], Any]) -> None:
    way(db)
    assert stored(db, "a").text == "nop"
    assert db.get("a").text == "abc"


def test_a_post_has_its_id_before_it_comes_in(db: SyncPouchDB) -> None:
    answer = db.post({"text": "abc"})
    assert stored(db, answer.id).text == "nop"


def test_what_the_caller_gave_is_not_changed(db: SyncPouchDB) -> None:
    given = {"_id": "a", "text": "abc", "list": [{"x": 1}]}
    db.put(given)
    assert given == {"_id": "a", "text": "abc", "list": [{"x": 1}]}


WAYS_OUT: dict[str, Callable[[SyncPouchDB], Any]] = {
    "get": lambda db: db.get("a"),
    "get a revision": lambda db: db.get("a", rev=db.all_docs(key="a").rows[0].value.rev),
    "get with options": lambda db: db.get("a", revs=True, conflicts=True),
    "item": lambda db: db["a"],
    "open_revs": lambda db: db.open_revs("a")[0].ok,
    "get open_revs": lambda db: db.get("a", open_revs="all")[0].ok,
    "bulk_get": lambda db: db.bulk_get([{"id": "a"}]).results[0].docs[0].ok,
    "all_docs": lambda db: db.all_docs(include_docs=True).rows[0].doc,
    "all_docs keys": lambda db: db.all_docs(keys=["a"], include_docs=True).rows[0].doc,
    "values": lambda db: next(iter(db.values())),
    "changes": lambda db: db.changes(include_docs=True).results[0].doc,
    "query": lambda db: db.query(by_text, include_docs=True).rows[0].doc,
    "live": lambda db: first(db.live_changes(since=0, include_docs=True)).doc,
    "conflicts": lambda db: conflicting(db),
}


def by_text(doc: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    yield doc.get("text"), None


def first(feed: Any) -> Any:
    try:
        return next(iter(feed))
    finally:
        feed.cancel()


def conflicting(db: SyncPouchDB) -> Any:
    db.put({"_id": "a", "_rev": db.get("a")._rev, "text": "abc"}, force=True)
    rev = db.get("a", revs=True)._revisions
    db.put({"_id": "a", "_rev": f"1-{rev.ids[-1]}", "text": "abc"}, force=True)
    return next(iter(db.conflicts()))


@pytest.mark.parametrize("way", WAYS_OUT)
def test_every_way_out(db: SyncPouchDB, way: str) -> None:
    put(db)
    assert WAYS_OUT[way](db).text == "abc"


def test_an_index_sees_what_leaves(db: SyncPouchDB) -> None:
    db.bulk_docs([{"_id": "a", "text": "abc"}, {"_id": "b", "text": "xyz", "secret": True}])
    assert [row.key for row in db.query(by_text).rows] == ["abc"]
    rev = stored(db, "a")._rev
    # Hidden from now on: it leaves the index as well.
    db.put({"_id": "a", "_rev": rev, "text": "abc", "secret": True})
    assert db.query(by_text).rows == []


def test_filters_judge_what_leaves(db: SyncPouchDB) -> None:
    db.bulk_docs([{"_id": "a", "text": "abc"}, {"_id": "b", "text": "xyz"}, {"_id": "c", "secret": True}])
    seen: list[Any] = []

    def wanted(doc: Mapping[str, Any]) -> bool:
        seen.append(doc["_id"])
        return doc.get("text") == "abc"

    assert [row.id for row in db.changes(filter=wanted).results] == ["a"]
    assert seen == ["a", "b"]


def test_what_is_hidden_is_not_there(db: SyncPouchDB) -> None:
    db.bulk_docs([{"_id": "a", "text": "abc"}, {"_id": "s", "secret": True, "_attachments": {"x": {"data": b"x"}}}])
    rev = stored(db, "s")._rev
    reads: list[Callable[[], Any]] = [
        lambda: db.get("s"),
        lambda: db.get("s", rev=rev),
        lambda: db.open_revs("s"),
        lambda: db.get_attachment("s", "x"),
        lambda: db.open_attachment("s", "x", rev),
    ]
    for read in reads:
        with pytest.raises(NotFound, match="missing"):
            read()
    assert "s" not in db
    assert db.open_revs("s", [rev]) == [{"missing": rev}]
    [answer] = db.bulk_get([{"id": "s", "rev": rev}]).results
    assert answer.docs[0].error.error == "not_found"
    assert [row.id for row in db.all_docs(include_docs=True).rows] == ["a"]
    assert db.all_docs(keys=["s", "a"], include_docs=True).rows[0] == {"key": "s", "error": "not_found"}
    assert [row.id for row in db.changes(include_docs=True).results] == ["a"]


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_is_filled_up_where_documents_are_hidden(db: SyncPouchDB, descending: bool) -> None:
    db.bulk_docs([{"_id": f"{number:04}", "secret": number % 200 > 1} for number in range(1000)])
    ids = [f"{number:04}" for number in range(1000) if number % 200 <= 1][:: -1 if descending else 1]
    for limit in (1, 2, 3, 9, 10, 11):
        rows = db.all_docs(include_docs=True, limit=limit, descending=descending).rows
        assert [row.id for row in rows] == ids[:limit]
    raw = db.plugins.list(db, Listing(raw=True, include_docs=True, limit=4, descending=descending))["rows"]
    assert [doc.document()._id for doc in raw] == ids[:4]


def test_documents_as_json_text_are_transformed_too(db: SyncPouchDB) -> None:
    db.bulk_docs([{"_id": "a", "text": "abc"}, {"_id": "s", "secret": True}])
    for request in (Listing(raw=True), Listing(raw=True, keys=("s", "a"))):
        [found] = db.plugins.list(db, request)["rows"]
        assert json.loads(found.json()) == db.get("a") == {"_id": "a", "_rev": found.rev, "text": "abc"}
    for options in ({}, {"keys": ["s", "a"]}, {"include_docs": True, "after": "A"}):
        page = all_docs_text(db, **{"include_docs": True, **options})
        assert json.loads(page["rows"][-1])["doc"] == db.get("a")


def test_refusals_are_in_input_order(db: SyncPouchDB) -> None:
    docs = [{"_id": "a"}, {"_id": "b", "refused": True}, {"_id": "_bad"}, {"_id": "c"}, 7, {"_id": "_local/x"}]
    answers = db.bulk_docs(docs)
    assert [each.get("name", "ok") for each in answers] == ["ok", "forbidden", "bad_request", "ok", "bad_request", "ok"]
    assert [each.get("id") for each in answers] == ["a", "b", "_bad", "c", None, "_local/x"]
    with pytest.raises(Forbidden):
        db.bulk_docs([{"_id": "d"}, {"_id": "e", "refused": True}], atomic=True)
    assert "d" not in db


def test_local_documents_are_left_alone(db: SyncPouchDB) -> None:
    db.put({"_id": "_local/a", "text": "abc"})
    assert stored(db, "_local/a").text == db.get("_local/a").text == "abc"


def test_replication_moves_what_is_stored(env: SyncEnvironment, db: SyncPouchDB, turning: Turning) -> None:
    put(db)
    plain, again = env["plain"], env["turned again"]
    db.replicate_to(plain)
    assert plain.get("a").text == "nop"
    plain.replicate_to(again)
    assert (stored(again, "a").text, again.get("a").text) == ("nop", "abc")
    assert db.get("a")._rev == plain.get("a")._rev == again.get("a")._rev
    writes = [each for each in turning.transform.requests if isinstance(each, Write) and each.purpose == "replication"]
    assert [each.new_edits for each in writes] == [False]


def test_databases_without_one_keep_their_fast_lanes(env: SyncEnvironment, db: SyncPouchDB) -> None:
    plain = env["plain"]
    assert (plain.transforms, plain.reads_plainly, plain.writes_plainly) == (None, True, True)
    assert (db.reads_plainly, db.writes_plainly) == (False, False)


def test_a_dump_holds_what_is_stored(env: SyncEnvironment, db: SyncPouchDB) -> None:
    put(db)
    file = io.BytesIO()
    dump(db, file)
    assert b'"nop"' in file.getvalue()
    file.seek(0)
    again = env["turned again"]
    load(again, file, identity=False)
    assert again.get("a").text == "abc"


def test_the_context_of_a_write_is_seen(db: SyncPouchDB, turning: Turning) -> None:
    put(db.with_context({"acme": 1}))
    assert dict(turning.transform.requests[-1].context) == {"acme": 1}


def test_two_transforms_are_undone_in_the_opposite_order(tmp_path: Path) -> None:
    class Wraps(Transform):
        def __init__(self, mark: str) -> None:
            self.mark = mark

        def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
            return {**doc, "text": f"{self.mark}{doc['text']}"}

        def outgoing(self, doc: Record, request: Any) -> Mapping[str, Any]:
            assert doc["text"].startswith(self.mark)
            return {**doc, "text": doc["text"][len(self.mark) :]}

    class Plugin:
        def __init__(self, mark: str) -> None:
            self.mark = mark

        @hookimpl
        def pouchdb_transforms(self, database: SyncPouchDB) -> Transform:
            return Wraps(self.mark)

    with pouchdb.setup(tmp_path, plugins=[Plugin("a"), Plugin("b")]) as env:
        db = env["notes"]
        db.put({"_id": "x", "text": "!"})
        assert stored(db, "x").text == "ab!"
        assert db.get("x").text == "!"


@pytest.mark.parametrize("wrong", [lambda doc: None, lambda doc: [], lambda doc: {**doc, "_id": "other"}])
def test_a_transform_of_another_shape_stores_nothing(tmp_path: Path, wrong: Callable[[Any], Any]) -> None:
    class Wrong(Transform):
        def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
            return wrong(doc)  # type: ignore[no-any-return]

    class Plugin:
        @hookimpl
        def pouchdb_transforms(self, database: SyncPouchDB) -> Transform:
            return Wrong()

    with pouchdb.setup(tmp_path, plugins=[Plugin()]) as env:
        with pytest.raises((PluginError, PouchDBError)):
            env["notes"].put({"_id": "a"})
        assert env["notes"].info().doc_count == 0


def test_what_is_no_transform_is_refused() -> None:
    class Plugin:
        @hookimpl
        def pouchdb_transforms(self, database: SyncPouchDB) -> Any:
            return json

    with pouchdb.setup(":memory:", plugins=[Plugin()]) as env, pytest.raises(PluginError, match="Transform or None"):
        env["notes"].put({"_id": "a"})


def test_a_plugin_may_read_the_database_while_it_is_asked() -> None:
    class Plugin:
        @hookimpl
        def pouchdb_transforms(self, database: SyncPouchDB) -> Transform | None:
            return Rot13() if database.info().doc_count == 0 and "x" not in database else None

    with pouchdb.setup(":memory:", plugins=[Plugin()]) as env:
        put(env["notes"])
        assert stored(env["notes"], "a").text == "nop"


def test_asynchronous_databases_are_transformed_too(tmp_path: Path, turning: Turning) -> None:
    async def program() -> None:
        async with pouchdb.setup_async(tmp_path, plugins=[turning]) as env:
            db = env["turned"]
            await db.put({"_id": "a", "text": "abc"})
            assert (await db.get("a")).text == "abc"
            assert stored(db.sync_view, "a").text == "nop"

    asyncio.run(program())
