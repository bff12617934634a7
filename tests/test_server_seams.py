"""What a server needs of the core, by public names."""

from __future__ import annotations

import threading

import pytest

import pouchdb
from pouchdb_core.errors import Forbidden, NotFound
from pouchdb_core.live.background import replicate_in_background
from pouchdb_core.runner import Runner
from pouchdb_core.views.state import index_state


@pytest.fixture
def env():
    with pouchdb.setup(":memory:", plugins=[]) as env:
        yield env


@pytest.fixture
def runner():
    runner = Runner("test", threads=1)
    yield runner
    runner.close(5)


def test_a_replication_in_the_background_of_a_server(env, runner):
    env["from"].bulk_docs([{"_id": f"{n}"} for n in range(30)])
    asked, over, seen = [], threading.Event(), []

    def complete(error, result):
        seen.append((error, result))
        over.set()

    source, target = env["from"], env["to"]
    handle = replicate_in_background(
        env, source, target, runner=runner, check=asked.append, complete=complete, batch_size=10
    )
    assert over.wait(20)
    [(error, result)] = seen
    assert (error, result.docs_written) == (None, 30)
    # At the start and before every batch.
    assert len(asked) > 3
    assert {each is handle.replicator for each in asked} == {True}


def test_its_condition_ends_it(env, runner):
    source, target = env["from"], env["to"]
    source.put({"_id": "a"})

    def refuse(replicator):
        raise Forbidden("not any more")

    with pytest.raises(Forbidden):
        replicate_in_background(env, source, target, runner=runner, check=refuse)
    allowed, over, seen = [True], threading.Event(), []

    def check(replicator):
        if not allowed[0]:
            raise Forbidden("not any more")

    def complete(error, result):
        seen.append(error)
        over.set()

    handle = replicate_in_background(env, source, target, runner=runner, check=check, complete=complete, live=True)
    handle.idle(20)
    assert handle.replicator in env.replicators()
    assert env.defaults(prefix="other-").replicators() == []
    allowed[0] = False
    source.put({"_id": "b"})
    assert over.wait(20)
    assert isinstance(seen[0], Forbidden)
    assert "b" not in target


def test_the_state_of_an_index_is_asked_without_building_it(env):
    db = env["db"]
    db.put({"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(doc._id); }"}}})
    state = index_state(db, "v")
    assert (state.update_seq, state.is_current, state.is_building) == (0, False, False)
    assert state.signature
    db.query("v/v")
    assert index_state(db, "v").is_current
    db.put({"_id": "a"})
    assert index_state(db, "v").pending == 1
    db.query("v/v")
    db.purge({"a": [db.get("a")["_rev"]]})
    assert not index_state(db, "v").is_current
    with pytest.raises(NotFound):
        index_state(db, "none")


def test_a_database_that_another_process_destroyed_is_not_there(tmp_path, env):
    assert env["db"].is_there()
    with pouchdb.setup(tmp_path, plugins=[]) as here:
        db = here["db"]
        assert db.is_there()
        (tmp_path / "db.pouchdb").unlink()
        assert not db.is_there()


def test_names_and_ids(env):
    view = env.defaults(prefix="t1-")
    assert view["db"].short_name == "db"
    assert view["db"].name == "t1-db"
    assert env["t1-db"].short_name == "t1-db"
    assert (view.short_name("t1-db"), view.short_name("t2-db")) == ("db", None)
    assert env.new_id() < env.new_id()
    assert env.plugins is env["db"].plugins
