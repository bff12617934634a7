"""all_dbs: what is listed, what is not, and forgetting it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pouchdb_all_dbs
import pytest

import pouchdb
from pouchdb_core.adapters.sqlite.sqlite_adapter import MemoryAdapter
from pouchdb_core.hookspecs import hookimpl


@pytest.fixture(params=["file", "memory"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An environment with nothing but this plug-in."""
    where = tmp_path / "data" if request.param == "file" else ":memory:"
    with pouchdb.setup(where, plugins=["all_dbs"]) as environment:
        yield environment


def run(code: str, *arguments: object) -> str:
    """Run Python in another process; return what it printed."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- listing ---------------------------------------------------------------------------------------


def test_an_empty_environment(env: Any) -> None:
    assert env.all_dbs() == env.allDbs() == []
    assert (len(env), list(env)) == (0, [])


def test_a_database_is_listed_once_it_was_opened(env: Any) -> None:
    env["b"], env["a"], env["b"]
    env.PouchDB("c").put({"_id": "x"})
    assert env.all_dbs() == list(env) == ["a", "b", "c"]


@pytest.mark.parametrize("way", ["environment", "object", "mapping"])
def test_a_destroyed_database_is_not_listed(env: Any, way: str) -> None:
    env["kept"]
    db = env["notes"]
    if way == "environment":
        env.destroy("notes")
    elif way == "object":
        db.destroy()
    else:
        del env["notes"]
    assert env.all_dbs() == ["kept"]


def test_names_are_listed_as_they_were_given(env: Any) -> None:
    names = ["_users", "_x", "a/b", "a%2Fb", "é", "A", "a", "10", "9", "a b", "日本", "..", "nul", "x" * 300]
    for name in names:
        env[name]
    assert env.all_dbs() == sorted(names)


def test_asking_for_a_database_leaves_nothing_behind(env: Any) -> None:
    assert "nope" not in env
    assert env.get("nope") is None
    assert env.all_dbs() == []


def test_databases_elsewhere_are_not_listed(tmp_path: Path) -> None:
    class Remote(MemoryAdapter):
        name, schemes, remote = "elsewhere", ("gopher",), True

    class Brings:
        @hookimpl
        def pouchdb_adapters(self) -> list[Any]:
            return [Remote]

    with pouchdb.setup(tmp_path, plugins=["all_dbs", Brings()]) as env:
        env["gopher://example.org/notes"], env["notes"]
        assert env.all_dbs() == ["notes"]  # type: ignore[attr-defined]  # a plug-in's method


def test_another_process_on_the_same_directory(tmp_path: Path) -> None:
    code = """
import sys, pouchdb
env = pouchdb.setup(sys.argv[1], plugins=["all_dbs"])
env["from there"]
print(env.all_dbs())
"""
    with pouchdb.setup(tmp_path, plugins=["all_dbs"]) as environment:
        env: Any = environment
        env["from here"]
        assert run(code, tmp_path) == "['from here', 'from there']"
        # The list is the storage's: it cannot be behind.
        assert env.all_dbs() == ["from here", "from there"]
    with pouchdb.setup(tmp_path, plugins=["all_dbs"]) as again:
        env = again
        assert env.all_dbs() == ["from here", "from there"]


def test_it_does_not_depend_on_the_public_listeners(env: Any) -> None:
    env["a"]
    env.remove_all_listeners()
    env["b"]
    assert env.all_dbs() == ["a", "b"]
    env.destroy("a")
    assert env.all_dbs() == ["b"]


def test_a_view_with_a_prefix_lists_its_own(env: Any) -> None:
    view = env.defaults(prefix="my-")
    view["notes"], env["notes"], env["other"]
    assert view.all_dbs() == ["notes"]
    view.reset_all_dbs()
    assert (view.all_dbs(), env.all_dbs()) == ([], ["notes", "other"])
    view["notes"]
    assert (view.all_dbs(), env.all_dbs()) == (["notes"], ["my-notes", "notes", "other"])


# -- forgetting ------------------------------------------------------------------------------------


def test_reset_before_anything(env: Any) -> None:
    assert env.reset_all_dbs() is None
    assert env.resetAllDbs() is None
    assert env.all_dbs() == []
    env["notes"]
    assert env.all_dbs() == ["notes"]


def test_reset_forgets_but_deletes_nothing(env: Any) -> None:
    notes, other = env["notes"], env["other"]
    notes.put({"_id": "a"})
    env.reset_all_dbs()
    env.reset_all_dbs()
    assert env.all_dbs() == []
    # They are still there, and open objects work.
    assert list(env) == ["notes", "other"]
    assert "notes" in env
    assert notes.get("a")._id == "a"
    assert other.put({"_id": "b"}).ok
    assert env.all_dbs() == []
    # Opening one lists it again.
    assert list(env["notes"]) == ["a"]
    assert env.all_dbs() == ["notes"]
    env["new"]
    assert env.all_dbs() == ["new", "notes"]


def test_reset_then_destroy_then_make_again(env: Any) -> None:
    env["notes"]
    env.reset_all_dbs()
    env.destroy("notes")
    assert env.all_dbs() == []
    env["notes"]
    assert env.all_dbs() == ["notes"]


def test_what_was_forgotten_stays_forgotten_in_other_processes(tmp_path: Path) -> None:
    code = "import sys, pouchdb; print(pouchdb.setup(sys.argv[1], plugins=['all_dbs']).all_dbs())"
    with pouchdb.setup(tmp_path, plugins=["all_dbs"]) as environment:
        env: Any = environment
        env["a"], env["b"]
        env.reset_all_dbs()
        assert run(code, tmp_path) == "[]"
        env["b"]
        assert run(code, tmp_path) == "['b']"
        env.destroy("a")
        env.destroy("b")
        assert list(env.plugin_directory("all_dbs").iterdir()) == []


# -- being installed -------------------------------------------------------------------------------


def test_it_is_found_by_its_entry_point(tmp_path: Path) -> None:
    from importlib.metadata import entry_points

    (point,) = entry_points(group="pouchdb", name="all_dbs")
    assert point.load() is pouchdb_all_dbs
    with pouchdb.setup(tmp_path) as env:
        assert "all_dbs" in env.engine.plugins.names
        assert hasattr(env, "all_dbs")


def test_it_can_be_chosen_and_left_out() -> None:
    assert hasattr(pouchdb.setup(":memory:", plugins=["all_dbs"]), "allDbs")
    assert hasattr(pouchdb.setup(":memory:", plugins=[pouchdb_all_dbs]), "resetAllDbs")
    bare = pouchdb.setup(":memory:", plugins=[])
    assert not hasattr(bare, "all_dbs")
    bare["notes"]
    assert list(bare) == ["notes"]


def test_without_it_installed_the_core_works() -> None:
    code = """
import importlib.metadata, sys

# As if it had not been installed: nothing to import, no entry point.
sys.modules["pouchdb_all_dbs"] = None
importlib.metadata.entry_points = lambda **wanted: ()

import pouchdb

env = pouchdb.setup(":memory:")
assert not hasattr(env, "all_dbs")
env["notes"].put({"_id": "a"})
try:
    pouchdb.setup(":memory:", plugins=["all_dbs"])
except pouchdb.PluginError as error:
    print(error, list(env))
"""
    assert run(code) == "no plug-in 'all_dbs' is installed; there are: none ['notes']"
