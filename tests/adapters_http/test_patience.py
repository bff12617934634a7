"""A server that does not answer holds nobody up: not who cancels, not who asks for the state, not who closes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import NotFound

Server = Any
SOON = 0.1
"""Seconds."""


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a database on a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/notes"


def promptly(call: Callable[[], Any]) -> Any:
    """Call; best of three, because the machine may be busy."""
    start = time.monotonic()
    answer = call()
    assert time.monotonic() - start < SOON
    return answer


def begun(server_threads: int) -> bool:
    return sum(each.name in ("pouchdb-feed", "pouchdb-replication") for each in threading.enumerate()) >= server_threads


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing began")


def test_cancelling_a_feed_that_waits_for_an_answer(env: SyncEnvironment, silent: str) -> None:
    feed = env.PouchDB(silent).changes(live=True, since=0).on("change", lambda row: None)
    wait_for(lambda: begun(1))
    feed.cancel()
    assert promptly(lambda: feed.wait(5))["status"] == "cancelled"


@pytest.mark.parametrize("method", ["replicate_to", "replicate_from", "sync"])
def test_cancelling_a_replication_that_waits_for_an_answer(env: SyncEnvironment, silent: str, method: str) -> None:
    here = env["here"]
    handle = getattr(here, method)(silent, live=True, retry=True)
    wait_for(lambda: begun(1))
    # Asking how far it is asks no server.
    states = promptly(here.sync_status)["replications"]
    assert {each["state"] for each in states} == {"pending"}
    handle.cancel()
    assert promptly(lambda: handle.wait(5))["status"] == "cancelled"
    promptly(env.close)


def test_cancelling_while_a_checkpoint_is_written(env: SyncEnvironment, server: Server, Couch: Any) -> None:
    couch = Couch(server, env["backing"])
    couch.db.put({"_id": "a"})
    asked, over = threading.Event(), threading.Event()

    def stall(request: Any) -> Any:
        if (
            request.method == "PUT"
            and "/_local/" in request.path
            and "history" in request.json()
            and request.json()["history"]
        ):
            asked.set()
            over.wait(30)
        return None

    couch.before = stall
    pull = env["here"].replicate_from(f"{server.url}/notes", live=True)
    assert asked.wait(10)
    pull.cancel()
    assert promptly(lambda: pull.wait(5))["status"] == "cancelled"
    over.set()
    assert len(env["here"]) == 1


@pytest.mark.parametrize("live", [True, False])
def test_a_sync_makes_what_is_missing_on_a_server(env: SyncEnvironment, server: Server, Couch: Any, live: bool) -> None:
    """Whichever direction comes first."""
    couch = Couch(server, env["backing"])
    made: list[str] = []

    def absent(asked: Any) -> Any:
        if asked.path == "/notes" and asked.method == "PUT":
            made.append(asked.path)
            return couch.Told({"ok": True}, 201)
        if asked.path.startswith("/notes") and not made:
            return couch.told(404, "not_found", "Database does not exist.")
        return None

    couch.before = absent
    here = env["here"]
    here.put({"_id": "a"})
    url = f"{server.url}/notes"
    for pull, push in (({}, {"create_target": False}), ({}, {})):
        if push:
            with pytest.raises(NotFound):
                here.sync(url, pull=pull, push=push)
            assert made == []
            continue
        sync = here.sync(url, live=live)
        if live:
            sync.idle(10)
            sync.cancel()
            assert sync.wait(10)["status"] == "cancelled"
        assert "a" in couch.db


def test_the_state_of_a_replication_is_told_on_both_sides(env: SyncEnvironment, server: Server, Couch: Any) -> None:
    couch = Couch(server, env["backing"])
    here: SyncPouchDB = env["here"]
    other = env["other"]
    remote = env.PouchDB(f"{server.url}/notes")
    handle = here.replicate_from(remote, live=True)
    handle.idle(10)
    assert [each["target"] for each in here.sync_status()["replications"]] == ["here"]
    assert other.sync_status()["replications"] == []
    handle.cancel()
    handle.wait(10)
    assert couch.db.info()["doc_count"] == 0
