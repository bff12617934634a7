"""``env.context``: the original's helpers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
import pouchdb.context
import pouchdb.utils
from pouchdb_core import SyncEnvironment
from pouchdb_core.errors import BadRequest


@pytest.fixture(params=["file", "memory"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncEnvironment]:
    with pouchdb.setup(tmp_path if request.param == "file" else ":memory:", plugins=[]) as environment:
        yield environment


class Listens:
    def hear(self, *args: Any) -> None:
        pass

    def hear_too(self, *args: Any) -> None:
        pass


def test_a_function_that_was_called_already(env: SyncEnvironment) -> None:
    one = Listens()
    env.on("test", one.hear).emit("test")
    assert env.context.wait_until_called(one.hear, timeout=0)
    # It was waited for: only the next call counts.
    assert not env.context.wait_until_called(one.hear, timeout=0)
    env.emit("test")
    assert env.context.waitUntilCalled(one.hear)


def test_calls_before_a_wait_count_once(env: SyncEnvironment) -> None:
    one = Listens()
    env.on("test", one.hear)
    for _ in range(3):
        env.emit("test")
    assert env.context.wait_until_called(one.hear, timeout=0)
    assert not env.context.wait_until_called(one.hear, timeout=0)


def test_a_list_waits_for_one_of_them(env: SyncEnvironment) -> None:
    one = Listens()
    env.on("test", one.hear_too)
    assert not env.context.wait_until_called([one.hear, one.hear_too], timeout=0)
    env.emit("test")
    assert env.context.wait_until_called([one.hear, one.hear_too])
    assert not env.context.wait_until_called((one.hear, one.hear_too), timeout=0)


def test_a_call_in_another_thread(env: SyncEnvironment) -> None:
    one = Listens()
    waiting = threading.Event()

    def emit() -> None:
        assert waiting.wait(60)
        env.emit("test")

    env.on("test", one.hear)
    thread = threading.Thread(target=emit)
    thread.start()
    waiting.set()
    assert env.context.wait_until_called(one.hear, timeout=60)
    thread.join(60)


def test_a_function_that_is_registered_while_it_is_waited_for(env: SyncEnvironment) -> None:
    one = Listens()
    thread = threading.Thread(target=lambda: env.on("test", one.hear).emit("test"))
    thread.start()
    assert env.context.wait_until_called(one.hear, timeout=60)
    thread.join(60)


def test_listeners_of_databases_and_of_views_count_too(env: SyncEnvironment) -> None:
    one = Listens()
    db = env.as_user({"name": "ada"})["notes"]
    db.on("closed", one.hear)
    db.close()
    assert env.context.wait_until_called(one.hear, timeout=0)


@pytest.mark.parametrize("bad", [[], [None], ["f"]])
def test_nothing_to_wait_for_is_refused(env: SyncEnvironment, bad: Any) -> None:
    with pytest.raises(BadRequest, match="takes a function or a list of functions"):
        env.context.wait_until_called(bad)


def test_get_db_size(env: SyncEnvironment) -> None:
    env["notes"].put({"_id": "a"})
    assert isinstance(env.context.get_db_size("notes"), int)
    assert env.context.getDbSize("notes") > 0
    with pytest.raises(KeyError, match=r'"status":404,"name":"not_found"'):
        env.context.get_db_size("nobody")
    assert list(env) == ["notes"]


def test_get_db_size_of_a_view(env: SyncEnvironment) -> None:
    view = env.defaults(prefix="my-")
    view["notes"].put({"_id": "a"})
    assert view.context.get_db_size("notes") > 0
    with pytest.raises(KeyError):
        view.context.get_db_size("my-notes")
    assert list(env) == ["my-notes"]


def test_get_db_size_leaves_open_objects_alone(env: SyncEnvironment) -> None:
    db = env["notes"]
    env.context.get_db_size("notes")
    assert db.put({"_id": "a"}).ok


def test_the_rest(env: SyncEnvironment) -> None:
    env.context.clear_cookies()
    env.context.clearCookies()
    env.context.inspect()
    env.context.inspect(block=False)
    assert env.context.JSError is pouchdb.context.JSError


def test_wrappers_that_programs_import(env: SyncEnvironment) -> None:
    db = env["notes"]
    db.put(pouchdb.context.JSON('{"_id": "a", "n": 1}'))
    assert db.get("a").n == 1
    db.put_attachment("b", "t", pouchdb.context.Blob(b"hello"), "text/plain")
    assert db.get_attachment("b", "t") == {"type": "text/plain", "data": b"hello"}


def test_utils_and_info() -> None:
    with pouchdb.utils.suppress(KeyError, ValueError):
        raise KeyError
    assert pouchdb.utils.AttrAccessDict(a=1).a == 1
    assert pouchdb.info.name == pouchdb.name == "pouchdb"
    assert pouchdb.__version__ == pouchdb.info.__version__
    assert pouchdb.__author__
    assert pouchdb.__copyright__
