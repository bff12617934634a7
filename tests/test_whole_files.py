"""Files that appear whole: drafts, what is swept of them, and what is on the disk when a call returns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

import pouchdb
from pouchdb_core.whole_files import draft, make_directory, remove_folder, sweep

STEM = "." + "0" * 32


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The directories that were put on the disk."""
    found: list[Path] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            found.append(path)
        fsync(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("there is no /proc to tell which directory a descriptor is of")
    monkeypatch.setattr(os, "fsync", noted)
    return found


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_a_draft_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with suppress(ValueError), draft(tmp_path) as path:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
            (tmp_path / name).write_text("x")
        (tmp_path / f"{path.name}.d").mkdir()
        (tmp_path / f"{path.name}.d" / "file").write_text("x")
        raise ValueError
    assert names(tmp_path) == set()


def test_a_draft_that_is_being_made_is_not_swept(tmp_path: Path) -> None:
    with draft(tmp_path) as path:
        path.write_text("x")
        sweep(tmp_path)
        assert path.exists()
        path.rename(tmp_path / "done")
    assert names(tmp_path) == {"done"}


LEFT = [
    *(f"{STEM}.new{more}" for more in ("", "-wal", "-shm", "-journal")),
    *(f"{STEM}.part{more}" for more in ("", "-wal", "-shm", "-journal")),
    f"{STEM}.lock",
]
OTHERS = ["notes.pouchdb", "notes.pouchdb-wal", ".uuid", ".new", ".x.new", f"{STEM}.other", f"x{STEM}.new", STEM]


def test_what_is_left_of_killed_makers_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (*LEFT, *OTHERS):
        (tmp_path / name).write_text("x")
    (tmp_path / f"{STEM}.part.d").mkdir()
    sweep(tmp_path)
    assert names(tmp_path) == set(OTHERS)
    sweep(tmp_path / "missing")


@pytest.mark.parametrize("where", ["setup", "backup"])
def test_the_next_opening_of_a_directory_sweeps_it(tmp_path: Path, where: str) -> None:
    for name in LEFT:
        (tmp_path / name).write_text("x")
    if where == "setup":
        with pouchdb.setup(tmp_path, plugins=[]):
            assert names(tmp_path) == set()
    else:
        with pouchdb.setup(":memory:", plugins=[]) as environment:
            environment["notes"].backup(tmp_path / "copy")
        assert names(tmp_path) == {"copy"}


MAKER = """
import itertools, sys
import pouchdb
env = pouchdb.setup(sys.argv[1], plugins=[], durability="normal")
env.uuid
print("ready", flush=True)
for number in itertools.count():
    env[f"n{number}"].put({"_id": "a"})
    env[f"n{number}"].backup(f"{sys.argv[2]}/{number}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_makers_leave_nothing_that_stays(tmp_path: Path) -> None:
    storage, copies = tmp_path / "storage", tmp_path / "copies"
    copies.mkdir()
    for round in range(6):
        makers = [
            subprocess.Popen(
                [sys.executable, "-c", MAKER, str(storage), str(copies / str(each))], stdout=subprocess.PIPE
            )
            for each in range(2)
            if (copies / str(each)).mkdir(exist_ok=True) is None
        ]
        for maker in makers:
            assert maker.stdout is not None
            assert maker.stdout.readline() == b"ready\n"
            # As long as it takes to make a few.
            list(zip(range(200 * (round + 1)), iter(lambda: sum(1 for _ in storage.iterdir()), -1), strict=False))
            maker.send_signal(signal.SIGKILL)
            maker.wait()
            maker.stdout.close()
        for each in range(2):
            for path in (copies / str(each)).glob("[0-9]*"):
                path.unlink()
        with pouchdb.setup(storage, plugins=[]) as environment:
            left = [name for name in names(storage) if name.startswith(".") and name != ".uuid"]
            assert left == []
            for name in environment.names():
                assert environment[name].integrity_check() == []
                environment.destroy(name)
            environment["last"].backup(copies / "0" / "last")
            environment["last"].backup(copies / "1" / "last")
            environment.destroy("last")
        for each in range(2):
            assert names(copies / str(each)) == {"last"}
            (copies / str(each) / "last").unlink()


def test_new_directories_and_what_is_in_them_are_on_the_disk(tmp_path: Path, synced: list[Path]) -> None:
    with pouchdb.setup(tmp_path / "a" / "b", plugins=[]) as environment:
        assert synced == [tmp_path, tmp_path / "a"]
        environment["notes"].put({"_id": "a"})
        assert synced[2:] == [tmp_path / "a" / "b"]
        environment["notes"].backup(tmp_path / "copy")
        assert synced[3:] == [tmp_path]
        environment.destroy("notes")
        assert synced[4:] == [tmp_path / "a" / "b"]


def test_a_parent_that_cannot_be_read_will_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(OSError):
            make_directory(path)
    make_directory(tmp_path / "a")
    make_directory(tmp_path / "a")
    assert names(tmp_path) == {"a", "file"}


def test_files_of_a_database_that_was_killed_while_it_was_destroyed_are_not_the_next_one_s(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        (environment["notes"].directory("index") / "segment").write_text("old")
        environment["notes"].close()
        (tmp_path / "notes.pouchdb").unlink()
        environment["notes"].put({"_id": "a"})
        assert names(environment["notes"].directory("index")) == set()


def test_a_folder_that_others_use_is_removed(tmp_path: Path) -> None:
    """``rmtree`` fails when a file appears in a folder that it has just emptied."""
    folder = tmp_path / "side" / "index"
    remove_folder(folder)
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            with suppress(OSError):
                (folder / "lock").touch()

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    try:
        for _ in range(200):
            folder.mkdir(parents=True)
            (folder / "file").touch()
            remove_folder(folder.parent)
            assert not folder.parent.exists()
    finally:
        done.set()
        disturbing.join()


@pytest.mark.skipif(os.name == "nt", reason="the platform has other rights")
def test_a_folder_that_cannot_be_removed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        remove_folder(tmp_path / "file")
