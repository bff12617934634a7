"""Databases that are made anew, restored or replaced under a replication, on servers and here."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import Replaced
from pouchdb_core.replication.lives import Side
from pouchdb_core.requests import Replicate
from pouchdb_core.runner import Idle
from pouchdb_core.testing.server import couch_server as start_server

pytest.importorskip("pouchdb_server")

SOON = 20.0
numbers = itertools.count()


class Place:
    """A database at a URL, and what can happen to it there."""

    def __init__(self, env: SyncEnvironment, url: str, name: str, where: SyncEnvironment | None, spare: Path) -> None:
        self.env, self.url, self.name, self.where, self.spare = env, f"{url}/{name}", name, where, spare
        # An object of its own, as another client would have.
        self.db = env.PouchDB(self.url)

    def fill(self, *ids: str) -> None:
        answers = self.db.bulk_docs([{"_id": id} for id in ids])
        assert all("ok" in each for each in answers)

    def ids(self) -> set[str]:
        return {row["id"] for row in self.db.all_docs()["rows"]}

    def recreate(self, *ids: str) -> None:
        self.db.fetch("", "DELETE").close()
        # PouchDB Server makes it by itself when somebody asks for it just then.
        made = self.db.fetch("", "PUT", check=False)
        assert made.status in (201, 412), made.text
        if ids:
            self.fill(*ids)

    def copy(self, *, raw: bool) -> Path:
        assert self.where is not None
        path = self.spare / f"copy-{next(numbers)}"
        if raw:
            self.where[self.name].adapter.store.backup(path)  # type: ignore[attr-defined]
        else:
            self.where[self.name].backup(path)
        return path

    def restore(self, copy: Path) -> None:
        assert self.where is not None
        path = self.where[self.name].adapter.path  # type: ignore[attr-defined]
        ready = path.with_name(".ready")
        shutil.copy(copy, ready)
        self.where.destroy(self.name)
        ready.rename(path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Any]:
    with (
        pouchdb.setup(tmp_path / "served", plugins=["server"], durability="normal") as where,
        start_server(where) as server,
    ):
        server.where = where
        yield server


@pytest.fixture(params=["ours", "PouchDB Server"])
def place(request: pytest.FixtureRequest, env: SyncEnvironment, tmp_path: Path) -> Place:
    if request.param == "ours":
        server = request.getfixturevalue("served")
        return Place(env, server.url, "there", server.where, tmp_path)
    return Place(env, request.getfixturevalue("pouch_server").url, f"there-{next(numbers)}", None, tmp_path)


@pytest.fixture
def own(env: SyncEnvironment, served: Any, tmp_path: Path) -> Place:
    return Place(env, served.url, "there", served.where, tmp_path)


@pytest.fixture
def here(env: SyncEnvironment) -> SyncPouchDB:
    return env["here"]


def some(letter: str, count: int) -> list[str]:
    return [f"{letter}{number:02}" for number in range(count)]


def fill(db: SyncPouchDB, *ids: str) -> None:
    db.bulk_docs([{"_id": id} for id in ids])


def arrived(db: SyncPouchDB, *ids: str) -> None:
    """Wait for documents: ``idle()`` of a source on a server counts as far as it has told."""
    left = set(ids)
    feed = db.live_changes(since=0)
    timer = threading.Timer(SOON, feed.cancel)
    timer.start()
    for row in feed:
        left.discard(row["id"])
        if not left:
            break
    timer.cancel()
    feed.cancel()
    assert not left


Start = Callable[[SyncPouchDB, SyncPouchDB], Any]


@pytest.mark.parametrize("others", [[], some("other", 3), some("other", 40)], ids=["empty", "few", "more"])
@pytest.mark.parametrize("way", ["push", "sync"])
def test_a_target_made_anew_under_a_live_push(
    env: SyncEnvironment, here: SyncPouchDB, place: Place, way: str, others: list[str]
) -> None:
    fill(here, *some("d", 20))
    start = env.replicate if way == "push" else env.sync
    target = env.PouchDB(place.url)
    handle = start(here, target, live=True)
    assert handle.idle(SOON)
    assert place.ids() == set(some("d", 20))
    place.recreate(*others)
    fill(here, "late")
    assert handle.idle(SOON)
    wanted = {*some("d", 20), "late"}
    assert place.ids() == {*wanted, *others}
    if way == "sync":
        assert set(here) == {*wanted, *others}
    handle.cancel()
    handle.wait(SOON)
    assert here.replicate_to(place.url)["docs_written"] == 0


@pytest.mark.parametrize("count", [3, 20, 45])
@pytest.mark.parametrize("way", ["pull", "sync"])
def test_a_source_made_anew_under_a_live_pull(
    env: SyncEnvironment, here: SyncPouchDB, place: Place, way: str, count: int
) -> None:
    place.fill(*some("d", 20))
    source = env.PouchDB(place.url)
    handle = env.replicate(source, here, live=True) if way == "pull" else env.sync(here, source, live=True)
    assert handle.idle(SOON)
    assert set(here) == set(some("d", 20))
    place.recreate(*some("new", count))
    assert handle.idle(SOON)
    assert set(here) == {*some("d", 20), *some("new", count)}
    if way == "sync":
        assert handle.idle(SOON)
        assert place.ids() == set(here)
    handle.cancel()
    handle.wait(SOON)


def test_nothing_is_written_and_the_target_comes_back_nevertheless(
    env: SyncEnvironment, here: SyncPouchDB, place: Place
) -> None:
    fill(here, *some("d", 20))
    handle = env.replicate(here, place.url, live=True)
    assert handle.idle(SOON)
    place.recreate()
    assert handle.idle(SOON)
    assert place.ids() == set(some("d", 20))
    handle.cancel()


@pytest.mark.parametrize("checkpoint", [True, False, "source", "target"])
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("after", [1, 2, 4])
def test_made_anew_in_the_middle_of_a_one_shot(
    env: SyncEnvironment, here: SyncPouchDB, place: Place, side: str, after: int, checkpoint: Any
) -> None:
    changes: list[Any] = []

    def changed(change: Any) -> None:
        changes.append(change)
        if len(changes) == after:
            place.recreate(*(some("new", 25) if side == "source" else []))

    if side == "target":
        fill(here, *some("d", 20))
        here.replicate_to(place.url, batch_size=5, on_change=changed, checkpoint=checkpoint)
        assert place.ids() == set(some("d", 20))
    else:
        place.fill(*some("d", 20))
        here.replicate_from(place.url, batch_size=5, on_change=changed, checkpoint=checkpoint)
        assert set(here) >= set(some("new", 25))
    assert here.replicate_from(place.url)["docs_written"] == 0
    here.replicate_to(place.url)
    assert set(here) == place.ids()


@pytest.mark.parametrize("raw", [False, True], ids=["backup", "raw copy"])
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("way", ["one way", "sync"])
def test_restored_under_a_live_one(
    env: SyncEnvironment, here: SyncPouchDB, own: Place, side: str, way: str, raw: bool
) -> None:
    begin = here if side == "target" else own.db
    fill(begin, *some("d", 10))
    if way == "sync":
        handle = env.sync(here, own.url, live=True)
    else:
        handle = env.replicate(*((here, own.url) if side == "target" else (own.url, here)), live=True)
    assert handle.idle(SOON)
    copy = own.copy(raw=raw)
    fill(begin, *some("e", 10))
    assert handle.idle(SOON)
    arrived(here, *some("e", 10))
    own.restore(copy)
    fill(begin, *some("f", 12))
    assert handle.idle(SOON)
    arrived(here, *some("f", 12))
    if way == "sync":
        assert handle.idle(SOON)
    wanted = {*some("d", 10), *some("e", 10), *some("f", 12)}
    assert set(here) == wanted
    assert own.ids() == (wanted if side == "target" or way == "sync" else {*some("d", 10), *some("f", 12)})
    handle.cancel()


def test_restored_and_what_was_seen_of_it_came_back(env: SyncEnvironment, own: Place) -> None:
    """As in a sync, whose other direction writes it again; the numbers of the feed mean something else."""
    copy = own.copy(raw=False)
    source, other = env.PouchDB(own.url), env["other"]
    fill(own.db, *some("e", 10))
    other.replicate_from(own.url)
    seen = Side(source, source.info(), "source")
    for row in source.all_docs()["rows"]:
        seen.saw(row["id"], row["value"]["rev"])
    seen.check()
    own.restore(copy)
    fill(own.db, *some("f", 10))
    other.replicate_to(own.url)
    with pytest.raises(Replaced, match="epoch"):
        seen.check()


def test_restored_between_the_feed_and_the_read(
    env: SyncEnvironment, here: SyncPouchDB, own: Place
) -> None:
    """The copy has every witness and the last checkpoint, but its sequence numbers mean something else."""
    woken = threading.Event()
    replicator = env.engine.plugins.replicate(env, Replicate(env.PouchDB(own.url), here, live=True))
    replicator.wake = woken.set
    run = replicator.run()

    def until(found: Callable[[Any], bool]) -> None:
        for event in itertools.islice(run, 200):
            if found(event):
                return
            if isinstance(event, Idle) and event.timeout != 0:
                woken.wait(SOON if event.timeout is None else min(SOON, event.timeout))
                woken.clear()
        pytest.fail("it did not come to that")

    own.fill(*some("d", 10))
    until(lambda event: getattr(event, "name", "") == "paused")
    copy = own.copy(raw=True)
    own.fill(*some("e", 10))
    until(lambda event: getattr(event, "name", "") == "checkpoint" and "start_next_batch" in event.argument)
    own.restore(copy)
    fill(own.db, *some("f", 12))
    until(lambda event: getattr(event, "name", "") == "paused")
    run.close()
    here.replicate_from(own.url)
    assert set(here) == {*some("d", 10), *some("f", 12)}


@pytest.mark.parametrize("raw", [False, True], ids=["backup", "raw copy"])
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("copied", [1, 2])
def test_restored_in_the_middle_of_a_one_shot(
    env: SyncEnvironment, here: SyncPouchDB, own: Place, side: str, raw: bool, copied: int
) -> None:
    """The copy is of the same session, before its first checkpoint."""
    copies: list[Path] = []
    changes: list[Any] = []
    begin = here if side == "target" else own.db
    fill(begin, *some("d", 30))

    def changed(change: Any) -> None:
        changes.append(change)
        if len(changes) == copied:
            if side == "source":
                fill(own.db, *some("x", 2))
            copies.append(own.copy(raw=raw))
            if side == "source":
                fill(own.db, *some("lost", 20))
        if len(changes) == copied + 2:
            own.restore(copies[0])
            if side == "source":
                fill(own.db, *some("new", 30))

    if side == "target":
        here.replicate_to(own.url, batch_size=5, on_change=changed)
    else:
        here.replicate_from(own.url, batch_size=5, on_change=changed)
    here.replicate_from(own.url)
    here.replicate_to(own.url)
    assert own.ids() == set(here) >= set(some("d", 30))
