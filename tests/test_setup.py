"""``setup()``: which directory, which plug-ins, the same environment or another."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pouchdb_all_dbs
import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, hookimpl
from pouchdb_core.errors import BadRequest, EnvironmentError


class Plugin:
    """One that can be pickled."""

    @hookimpl
    def pouchdb_database_opened(self) -> None:
        pass


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which temporary directories are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Leave no environment of a test behind."""
    yield
    gc.collect()


def run(code: str, *arguments: object, **options: Any) -> str:
    """Run Python in another process; return what it printed."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- identity --------------------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_environment(tmp_path: Path) -> None:
    env = pouchdb.setup(tmp_path, plugins=[])
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for again in (
        pouchdb.setup(str(tmp_path), plugins=[]),
        pouchdb.setup(tmp_path / "x" / "..", plugins=[]),
        pouchdb.setup(tmp_path / "link", plugins=[]),
        pouchdb.setup(storageDir=tmp_path, plugins=()),
        pouchdb.setup(tmp_path, False, "file:///", plugins=[]),
        pouchdb.setup(storage_dir=tmp_path, baseUrl="file:///", plugins=iter([])),
        pouchdb.setup(tmp_path, plugins=[], **{"async": False}),
    ):
        assert again is env


def test_other_arguments_give_another_environment(tmp_path: Path) -> None:
    plugin = Plugin()
    made = [
        pouchdb.setup(tmp_path, plugins=[]),
        pouchdb.setup(tmp_path / "sub", plugins=[]),
        pouchdb.setup(tmp_path, base_url="http://localhost", plugins=[]),
        pouchdb.setup(tmp_path, plugins=["all_dbs"]),
        pouchdb.setup(tmp_path, plugins=[plugin]),
        pouchdb.setup(tmp_path, plugins=[Plugin()]),
        pouchdb.setup(tmp_path, plugins=[], durability="normal"),
    ]
    assert len({id(env) for env in made}) == len(made)
    assert pouchdb.setup(tmp_path, plugins=[plugin]) is made[4]
    assert pouchdb.setup(tmp_path, plugins=[], durability="normal") is made[6]
    for env in made:
        env.close()


def test_no_directory_and_memory_are_new_each_time() -> None:
    for where in (None, ":memory:"):
        with pouchdb.setup(where, plugins=[]) as one, pouchdb.setup(where, plugins=[]) as two:
            assert one is not two
            one["notes"]
            assert list(two) == []


def test_an_environment_is_remembered_only_as_long_as_it_is_used(tmp_path: Path) -> None:
    env = pouchdb.setup(tmp_path, plugins=[])
    engine = id(env.engine)
    env["notes"].put({"_id": "a"})
    view = env.as_user({"name": "ada"})
    database = env["notes"]
    del env
    gc.collect()
    # A view, or a database, keeps it.
    assert id(pouchdb.setup(tmp_path, plugins=[]).engine) == engine
    del view
    gc.collect()
    assert id(pouchdb.setup(tmp_path, plugins=[]).engine) == engine
    uuid = pouchdb.setup(tmp_path, plugins=[]).uuid
    del database
    gc.collect()
    import weakref

    gone = weakref.ref(pouchdb.setup(tmp_path, plugins=[]))
    gc.collect()
    assert gone() is None
    again = pouchdb.setup(tmp_path, plugins=[])
    assert again.uuid == uuid
    assert list(again["notes"]) == ["a"]


def test_a_closed_environment_is_not_given_again(tmp_path: Path) -> None:
    env = pouchdb.setup(tmp_path, plugins=[])
    env.close()
    again = pouchdb.setup(tmp_path, plugins=[])
    assert again is not env
    assert again["notes"].put({"_id": "a"}).ok


def test_threads_get_one_environment(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    got: list[SyncEnvironment] = []

    def work() -> None:
        start.wait(60)
        got.append(pouchdb.setup(tmp_path, plugins=[]))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == 8
    assert len(set(map(id, got))) == 1


def test_a_plugin_may_set_up_an_environment_while_one_is_set_up(tmp_path: Path) -> None:
    class Nested:
        @hookimpl
        def pouchdb_environment_opened(self) -> None:
            made.append(pouchdb.setup(tmp_path / "inner", plugins=[]))

    made: list[SyncEnvironment] = []
    pouchdb.setup(tmp_path / "outer", plugins=[Nested()])
    assert made[0].directory == tmp_path / "inner"


# -- arguments -------------------------------------------------------------------------------------


def test_paths_are_expanded_made_absolute_and_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", "there")
    monkeypatch.chdir(tmp_path)
    assert pouchdb.setup("~/here/$PLACE", plugins=[]).directory == tmp_path / "here" / "there"
    assert pouchdb.setup("relative", plugins=[]).directory == tmp_path / "relative"
    assert pouchdb.setup(tmp_path / "PathLike", plugins=[]).directory == tmp_path / "PathLike"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["PathLike", "here", "relative"]


@pytest.mark.parametrize(
    "spelled",
    [pytest.param({"async_": True}, id="async_"), pytest.param({"async": True}, id="async")],
)
def test_the_asynchronous_view_shares_the_engine(tmp_path: Path, spelled: dict[str, bool]) -> None:
    made = pouchdb.setup(tmp_path, plugins=[], **spelled)
    assert isinstance(made, pouchdb.AsyncEnvironment)
    assert made is pouchdb.setup_async(tmp_path, plugins=[])
    assert made.sync_view is pouchdb.setup(tmp_path, plugins=[])
    made.sync_view.close()
    assert made.closed


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"storage_dir": "a", "storageDir": "b"}, "storage_dir and storageDir are the same"),
        ({"base_url": "http://a", "baseUrl": "http://b"}, "base_url and baseUrl are the same"),
        ({"async_": True, "async": False}, "async_ and async are the same"),
        ({"storage_dir": 5}, "storage_dir must be a path, not 5"),
        ({"colour": "green"}, r"unknown option 'colour'; there are: .*durability"),
        ({"plugin": []}, r"unknown option 'plugin'"),
    ],
)
def test_arguments_that_are_refused(
    options: Any, text: str, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRequest, match=text):
        pouchdb.setup(**options)
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert list(temporary.iterdir()) == []


def test_directories_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for where in (tmp_path / "file", tmp_path / "file" / "below", "nul\0byte", "", "x" * 300):
        with pytest.raises(EnvironmentError, match=r"storage.dir") as caught:
            pouchdb.setup(where, plugins=[])
        assert str(where).split("\0")[0][:50] in str(caught.value)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a place where nobody may write")
def test_a_directory_in_which_nobody_may_write() -> None:
    with pytest.raises(EnvironmentError, match="the storage directory /proc/self/databases cannot be used"):
        pouchdb.setup("/proc/self/databases", plugins=[])
    env = pouchdb.setup("/proc/self/", plugins=[])
    with pytest.raises(EnvironmentError, match="the storage directory /proc/self cannot be used"):
        _ = env.uuid
    with pytest.raises(EnvironmentError, match="the storage directory /proc/self cannot be written"):
        env.plugin_directory("search")
    with pytest.raises(pouchdb.BaseError):
        env["notes"]
    assert list(env) == []


# -- temporary directories -------------------------------------------------------------------------


def test_a_temporary_directory_goes_with_close(temporary: Path) -> None:
    env = pouchdb.setup(plugins=[])
    env["notes"].put({"_id": "a"})
    (made,) = temporary.iterdir()
    assert env.directory == made
    env.close()
    env.close()
    assert list(temporary.iterdir()) == []
    assert list(env) == []


def test_a_temporary_directory_goes_with_the_environment(temporary: Path) -> None:
    env = pouchdb.setup(plugins=[])
    database = env["notes"]
    database.put({"_id": "a"})
    del env
    gc.collect()
    # The database still needs it.
    assert len(list(temporary.iterdir())) == 1
    assert database["a"]._id == "a"
    del database
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_a_forgotten_environment_takes_its_state_with_it(temporary: Path) -> None:
    """State of a plug-in may know its database: it must not keep everything alive for ever."""
    slot = pouchdb_all_dbs.registry.IN_MEMORY.__class__("knows its owner", lambda owner: {"owner": owner})
    env = pouchdb.setup(plugins=[])
    database = env["notes"]
    for owner in (database.state(slot), database.store_state(slot), env.state(slot)):
        assert owner["owner"] is not None
    del env, database, owner
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_a_temporary_directory_goes_at_exit(temporary: Path) -> None:
    code = (
        "import pouchdb; env = pouchdb.setup(plugins=[]); db = env['notes']; db.put({'_id': 'a'}); print(env.directory)"
    )
    made = Path(run(code))
    assert made.parent == temporary
    assert not made.exists()


def test_side_files_of_a_memory_environment_go_at_exit(temporary: Path) -> None:
    code = """
import pouchdb
env = pouchdb.setup(":memory:", plugins=[])
folder = env["notes"].directory("search")
(folder / "segment").write_text("x")
print(folder)
"""
    assert not Path(run(code)).exists()
    assert list(temporary.iterdir()) == []
    # Where nothing needs one, there is none.
    pouchdb.setup(":memory:")["notes"].put({"_id": "a"})
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "env.close(); sys.exit(0)", "del env; sys.exit(0)"])
def test_a_forked_child_removes_nothing(temporary: Path, end: str) -> None:
    code = f"""
import os, sys, pouchdb
env = pouchdb.setup(plugins=[])
env["notes"].put({{"_id": "a"}})
folder = env["notes"].directory("search")
pid = os.fork()
if pid == 0:
    assert env["notes"]["a"]._id == "a"
    {end}
assert os.waitpid(pid, 0)[1] == 0
assert folder.exists() and env.directory.exists()
env["notes"].put({{"_id": "b"}})
print(list(env["notes"]))
"""
    assert run(code) == "['a', 'b']"
    assert list(temporary.iterdir()) == []


# -- other processes -------------------------------------------------------------------------------


def test_the_uuid_stays(tmp_path: Path) -> None:
    env = pouchdb.setup(tmp_path, plugins=[])
    assert len(env.uuid) == 32
    assert int(env.uuid, 16)
    code = "import sys, pouchdb; print(pouchdb.setup(sys.argv[1], plugins=[]).uuid)"
    assert run(code, tmp_path) == env.uuid
    assert list(env) == []
    assert pouchdb.setup(tmp_path / "other", plugins=[]).uuid != env.uuid


def test_processes_that_race_to_make_the_uuid_agree(tmp_path: Path) -> None:
    code = """
import sys, pouchdb
env = pouchdb.setup(sys.argv[1], plugins=[])
print("ready", flush=True)
sys.stdin.readline()
print(env.uuid)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(4)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
        uuids = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert len(uuids) == 1
    assert [path.name for path in tmp_path.iterdir()] == [".uuid"]


def test_threads_that_race_to_make_the_uuid_agree(tmp_path: Path) -> None:
    for env in (pouchdb.setup(":memory:", plugins=[]), pouchdb.setup(tmp_path, plugins=[])):
        start, got = threading.Barrier(8), set()

        def work(env: SyncEnvironment = env, start: threading.Barrier = start, got: set[str] = got) -> None:
            start.wait(60)
            got.add(env.uuid)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(got) == 1


def test_a_damaged_uuid_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".uuid").write_text("")
    with pytest.raises(EnvironmentError, match=r"the storage directory .* has a damaged file \.uuid"):
        _ = pouchdb.setup(tmp_path, plugins=[]).uuid


def test_pickles_find_the_same_environment(tmp_path: Path, temporary: Path) -> None:
    for env in (pouchdb.setup(tmp_path / "data", plugins=[pouchdb_all_dbs]), pouchdb.setup(plugins=["all_dbs"])):
        again = pickle.loads(pickle.dumps(env))
        assert again is env
        view = pickle.loads(pickle.dumps(env.as_user({"name": "ada", "roles": ["r"]}).defaults(prefix="p-")))
        assert view.engine is env.engine
        assert (view.user.name, view.user.roles, view.prefix) == ("ada", ("r",), "p-")


def test_what_is_in_memory_cannot_be_pickled() -> None:
    env = pouchdb.setup(":memory:", plugins=[])
    for each in (env, env["notes"]):
        with pytest.raises(TypeError, match="in memory cannot be pickled"):
            pickle.dumps(each)


@pytest.mark.parametrize("where", ["directory", "temporary"])
def test_a_spawned_process_gets_environments_and_databases(where: str, tmp_path: Path, temporary: Path) -> None:
    env: Any = pouchdb.setup(tmp_path / "data" if where == "directory" else None, plugins=iter([pouchdb_all_dbs]))
    db = env.defaults(prefix="p-").as_user({"name": "ada"})["notes"]
    db.put({"_id": "a"})
    sent = tmp_path / "sent"
    sent.write_bytes(pickle.dumps((env, db)))
    code = """
import pickle, sys
from pathlib import Path
env, db = pickle.loads(Path(sys.argv[1]).read_bytes())
db.put({"_id": "b"})
print(db.name, list(db), db.user.name, env.all_dbs(), env.uuid)
"""
    assert run(code, sent) == f"p-notes ['a', 'b'] ada ['p-notes'] {env.uuid}"
    assert list(db) == ["a", "b"]
    env.close()


def test_plugins_that_are_objects_are_pickled_with_the_environment(tmp_path: Path) -> None:
    env = pouchdb.setup(tmp_path, plugins=[Plugin()])
    again = pickle.loads(pickle.dumps(env))
    # Another object is another plug-in: an engine of its own on the same directory.
    assert again.engine is not env.engine
    env["notes"].put({"_id": "a"})
    assert list(again["notes"]) == ["a"]
    again.close()


def test_two_processes_use_one_directory(tmp_path: Path) -> None:
    env = pouchdb.setup(tmp_path, plugins=[])
    env["notes"].put({"_id": "a"})
    code = """
import sys, pouchdb
env = pouchdb.setup(sys.argv[1], plugins=[])
env["notes"].put({"_id": "b"})
env["other"]
print(list(env))
"""
    assert run(code, tmp_path) == "['notes', 'other']"
    assert list(env) == ["notes", "other"]
    assert list(env["notes"]) == ["a", "b"]
