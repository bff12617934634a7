"""What Python programs expect: iterables, JSON text, values that json.dumps is told about, names of plug-ins."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import pathlib
import pickle
import types
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb.brought import DATABASE, ENVIRONMENT, brought
from pouchdb.setup import installed_plugins
from pouchdb_core.errors import BadRequest
from pouchdb_core.methods import camel_case

# -- setup(default=...) ----------------------------------------------------------------------------


@dataclasses.dataclass
class Visit:
    _id: str
    at: datetime.date
    tags: set[str]


def default(value: Any) -> Any:
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, decimal.Decimal, pathlib.PurePath)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Visit):
        return dataclasses.asdict(value)
    if isinstance(value, types.MappingProxyType):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not one of ours")


@pytest.fixture
def db() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=[], default=default) as environment:
        yield environment["habits"]


DAY = datetime.date(2020, 2, 29)
VALUES: list[tuple[Any, Any]] = [
    (DAY, "2020-02-29"),
    (datetime.datetime(2020, 2, 29, 1, 2, 3, tzinfo=datetime.timezone.utc), "2020-02-29T01:02:03+00:00"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (decimal.Decimal("1.10"), "1.10"),
    (pathlib.PurePosixPath("a/b"), "a/b"),
    ({"b", "a"}, ["a", "b"]),
    ([{"deep": [{DAY}]}], [{"deep": [["2020-02-29"]]}]),
    (types.MappingProxyType({"at": DAY}), {"at": "2020-02-29"}),
    (Visit("x", DAY, {"b", "a"}), {"_id": "x", "at": "2020-02-29", "tags": ["a", "b"]}),
]


@pytest.mark.parametrize(("value", "stored"), VALUES, ids=lambda value: type(value).__name__)
def test_default_says_what_json_cannot(db: Any, value: Any, stored: Any) -> None:
    doc = {"_id": "a", "v": value}
    rev = db.put(doc)["rev"]
    assert db["a"]["v"] == stored
    assert doc == {"_id": "a", "v": value}, "the caller's document is left alone"
    assert rev == pouchdb.setup(":memory:", plugins=[])["b"].put({"_id": "a", "v": stored})["rev"]


def test_default_is_asked_by_every_way_in(db: Any) -> None:
    visit = Visit("put", DAY, {"b", "a"})
    body = {"at": "2020-02-29", "tags": ["a", "b"]}
    db.put(visit)
    db.post({"_id": "post", "at": DAY, "tags": {"b", "a"}})
    db.bulk_docs(Visit(id, DAY, {"a", "b"}) for id in ("bulk-1", "bulk-2"))
    db["set"] = visit
    db["dict"] = {"at": DAY, "tags": {"a", "b"}}
    db.put({"_id": "_local/l", "at": DAY, "tags": {"a", "b"}})
    db.put({"_id": "file", "at": DAY, "tags": {"a"}, "_attachments": {"f": {"data": b"x", "content_type": "a/b"}}})
    for id in ("put", "post", "bulk-1", "bulk-2", "set", "dict", "_local/l"):
        found = {name: value for name, value in db.get(id).items() if not name.startswith("_")}
        assert found == body, id
    assert db.get_attachment("file", "f").data == b"x"
    db.remove({**db["put"], "gone": DAY}, keep_fields=["gone"])
    assert db.get("put", rev=db.all_docs(keys=["put"]).rows[0].value.rev)["gone"] == "2020-02-29"


def test_what_default_refuses_is_named(db: Any) -> None:
    with pytest.raises(BadRequest, match=r"x\[0\]\.y: complex is not JSON serializable, and default= raised TypeError"):
        db.put({"_id": "a", "x": [{"y": 1j}]})
    good, bad = db.bulk_docs([{"_id": "good", "at": DAY}, {"_id": "bad", "x": 1j}])
    assert good["ok"] is True
    assert (bad["status"], bad["id"]) == (400, "bad")


def test_an_error_of_default_is_the_programs(db: Any) -> None:
    with pouchdb.setup(":memory:", plugins=[], default=lambda value: value.no_such) as environment:
        with pytest.raises(AttributeError, match="no_such"):
            environment["x"].put({"_id": "a", "x": DAY})
        assert list(environment["x"]) == []


def test_default_must_be_a_function() -> None:
    with pytest.raises(BadRequest, match="default must be a function"):
        pouchdb.setup(":memory:", plugins=[], default="str")
    with (
        pouchdb.setup(":memory:", plugins=[], default=None) as environment,
        pytest.raises(BadRequest, match="isoformat"),
    ):
        environment["x"].put({"_id": "a", "x": DAY})


def test_default_of_asyncio() -> None:
    async def run() -> Any:
        environment = pouchdb.setup(":memory:", async_=True, plugins=[], default=default)
        await environment["x"].put({"_id": "a", "at": DAY})
        found = await environment["x"].get("a")
        environment.sync_view.close()
        return found["at"]

    assert asyncio.run(run()) == "2020-02-29"


# -- bulk_docs ---------------------------------------------------------------------------------------

DOCS = [{"_id": "a"}, {"_id": "b"}]


ITERABLES: list[Any] = [
    list,
    tuple,
    iter,
    lambda docs: (doc for doc in docs),
    lambda docs: {doc["_id"]: doc for doc in docs}.values(),
    lambda docs: map(dict, docs),
]


@pytest.mark.parametrize("made", ITERABLES, ids=["list", "tuple", "iterator", "generator", "view", "map"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_bulk_docs_takes_any_iterable(db: Any, made: Any, wrapped: bool) -> None:
    docs = made(DOCS)
    assert [each["id"] for each in db.bulk_docs({"docs": docs} if wrapped else docs)] == ["a", "b"]
    assert len(db) == 2


@pytest.mark.parametrize("docs", [5, None, {"docs": "abc"}, {"docs": {"a": {}}}, {"docs": 5}, '"abc"', "{}"], ids=repr)
def test_bulk_docs_takes_nothing_else(db: Any, docs: Any) -> None:
    with pytest.raises(BadRequest, match="Missing JSON list of 'docs'"):
        db.bulk_docs(docs)


def test_nothing_is_written_when_the_iterable_fails(db: Any) -> None:
    def docs() -> Iterator[Any]:
        yield {"_id": "a"}
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        db.bulk_docs(docs())
    assert list(db) == []


# -- db[id] = ... --------------------------------------------------------------------------------------


@pytest.mark.parametrize("doc", ['{"n": 1}', b'{"n": 1}', bytearray(b'{"n": 1}'), types.MappingProxyType({"n": 1})])
def test_setting_takes_json_text(db: Any, doc: Any) -> None:
    db["a"] = doc
    first = db["a"]
    assert first["n"] == 1
    # The current revision is borrowed, as with a mapping.
    db["a"] = doc
    assert db["a"]["_rev"].startswith("2-")
    db["a"] = {"n": 2}
    assert db["a"]["n"] == 2


@pytest.mark.parametrize("doc", [[1], 5, None, "[1]", "{", b"\xff", {1}, "", True], ids=repr)
def test_setting_what_is_no_document(doc: Any) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        db = environment["habits"]
        with pytest.raises(BadRequest, match=r"must be a JSON object|invalid JSON"):
            db["a"] = doc
        assert list(db) == []


# -- methods of plug-ins -------------------------------------------------------------------------------


def test_the_first_party_plugins_bring_what_is_said_of_them() -> None:
    names = {f"pouchdb-{name.replace('_', '-')}" for name, _ in installed_plugins()}
    if not {*DATABASE, *ENVIRONMENT} <= names:
        pytest.skip(f"NOT INSTALLED: {', '.join(sorted({*DATABASE, *ENVIRONMENT} - names))}")
    with pouchdb.setup(":memory:", plugins=[]) as bare:
        for name, plugin in installed_plugins():
            distribution = f"pouchdb-{name.replace('_', '-')}"
            with pouchdb.setup(":memory:", plugins=[plugin]) as environment:
                # `update` is hidden: a mapping has one.
                for known, one, other in (
                    (DATABASE, environment.async_view["x"], bare.async_view["x"]),
                    (ENVIRONMENT, environment.async_view, bare.async_view),
                ):
                    added = {each for each in dir(one) if not hasattr(other, each)}
                    said = known.get(distribution, ())
                    assert {*said, *map(camel_case, said)} == added, name


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_missing_method_names_its_plugin(kind: str) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as synchronous:
        environment: Any = synchronous if kind == "sync" else synchronous.async_view
        database: Any = environment["x"]
        for owner, known in ((database, DATABASE), (environment, ENVIRONMENT)):
            for distribution, names in known.items():
                for name in dict.fromkeys((*names, *map(camel_case, names))):
                    with pytest.raises(
                        AttributeError, match=f"has no attribute '{name}'; it comes with {distribution}:"
                    ):
                        getattr(owner, name)
                    assert not hasattr(owner, name)
        for owner, name in ((database, "all_dbs"), (environment, "gql")):
            with pytest.raises(AttributeError, match=f"'{name}'; it is a method of an? .+, and comes with pouchdb-"):
                getattr(owner, name)
        for owner in (database, environment):
            with pytest.raises(AttributeError, match=r"has no attribute 'nope'$") as caught:
                owner.nope  # noqa: B018
            assert caught.value.name == "nope"


def test_nobody_brings_a_private_name() -> None:
    assert brought("database", "_gql") is None


def test_objects_are_copied_and_pickled_all_the_same(tmp_path: pathlib.Path) -> None:
    with pouchdb.setup(tmp_path / "data", plugins=[]) as environment:
        database = environment["x"]
        again = pickle.loads(pickle.dumps(database))
        assert (again.name, again.as_user({"name": "eve"}).user.name) == ("x", "eve")


# -- handles -------------------------------------------------------------------------------------------

MEMBERS = ("state", "pending", "denied_count", "attempt", "next_retry_at", "last_error")


def members(handle: Any) -> list[Any]:
    return [getattr(handle, name) for name in MEMBERS]


def test_a_sync_tells_how_it_is_going() -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        environment["a"].bulk_docs([{} for _ in range(3)])
        handle: Any = environment["a"].sync("b", live=True)
        assert handle.idle(10)
        assert members(handle) == ["paused", 0, 0, 0, None, None]
        handle.cancel()
        handle.wait(10)
        assert members(handle) == ["cancelled", 0, 0, 0, None, None]


@pytest.mark.parametrize("state", ["pending", "active", "paused", "failed", "complete"])
def test_what_is_cancelled_says_so_at_once(state: str) -> None:
    """Whatever it was doing: a worker may still be in the middle of it."""
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        handle: Any = environment["a"].replicate_to("b", live=True)
        assert handle.idle(10)
        handle.replicator.state = state
        handle.cancelled = True
        assert handle.state == (state if state in ("failed", "complete") else "cancelled")
        handle.cancelled = False
        handle.cancel()
        assert handle.state == "cancelled"


def test_a_sync_of_asyncio_tells_how_it_is_going() -> None:
    async def run() -> None:
        environment: Any = pouchdb.setup(":memory:", async_=True, plugins=[])
        await environment["a"].put({"_id": "x"})
        handle = environment["a"].sync("b", live=True)
        assert members(handle) == ["pending", 0, 0, 0, None, None]
        await asyncio.wait_for(handle.idle(), 10)
        assert members(handle) == ["paused", 0, 0, 0, None, None]
        handle.cancel()
        await handle
        assert members(handle) == ["cancelled", 0, 0, 0, None, None]
        unbegun = environment["a"].sync("c", live=True)
        unbegun.cancel()
        assert members(unbegun)[0] == "cancelled"
        await unbegun
        environment.sync_view.close()

    asyncio.run(run())


def test_cancelled_at_any_moment_of_its_beginning_it_says_so_at_once() -> None:
    """It begins on a worker: a fifth of these were "pending" until that had ended them."""

    async def run() -> None:
        environment: Any = pouchdb.setup(":memory:", async_=True, plugins=[])
        for number in range(150):
            handle = environment["a"].sync(f"b{number % 5}", live=True)
            for _ in range(number % 5):
                await asyncio.sleep(0)
            handle.cancel()
            assert handle.state != "pending", number
            await handle
            assert handle.state == "cancelled"
        environment.sync_view.close()

    asyncio.run(run())


def test_a_sync_that_fails_says_so_in_both_members() -> None:
    class Way:
        def __init__(self, state: str, attempt: int, retry: float | None, error: Exception | None) -> None:
            self.state, self.pending, self.denied_count = state, attempt + 1, 1
            self.attempt, self.next_retry_at, self.last_error = attempt, retry, error

    from pouchdb_core.live import Sync

    old, new = ValueError("old"), ValueError("new")
    handle = Sync.__new__(Sync)
    for push, pull, told in (
        (Way("paused", 0, None, old), Way("paused", 2, 9.0, new), ["paused", 4, 2, 2, 9.0, new]),
        (Way("paused", 1, 8.0, old), Way("active", 0, None, None), ["active", 3, 2, 1, 8.0, old]),
        (Way("cancelled", 0, None, None), Way("failed", 0, None, new), ["failed", 2, 2, 0, None, new]),
        (Way("complete", 0, None, None), Way("complete", 0, None, None), ["complete", 2, 2, 0, None, None]),
    ):
        handle.push, handle.pull = push, pull  # type: ignore[assignment]  # what stands in for them
        assert members(handle) == told
