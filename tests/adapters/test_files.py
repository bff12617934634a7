"""Names of databases as names of files; files that appear and go whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pouchdb
from pouchdb_core.adapters.sqlite.files import (
    SUFFIX,
    file_path,
    filename,
    names,
    open_file,
    remove_file,
    side_directory,
)
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import NotADatabase, StorageError

HOSTILE = [
    ".",
    "..",
    "...",
    "/",
    "//",
    "\\",
    "../x",
    "..\\x",
    "/etc/passwd",
    "C:",
    "C:\\x",
    "a/b",
    "a%2Fb",
    "a%2fb",
    "%",
    "%%",
    "%00",
    "%~",
    "~",
    "\0",
    "a\0b",
    "a",
    "A",
    "é",
    unicodedata.normalize("NFD", "é"),
    "ß",
    "ẞ",
    "SS",
    "ſ",
    "K",  # the Kelvin sign, whose lower case is k
    "k",
    "x.",
    "x..",
    "x ",
    " x",
    " ",
    "x.pouchdb",
    ".pouchdb",
    "x-wal",
    "x-shm",
    "x.pouchdb-wal",
    "x.d",
    "x.pouchdb.d",
    "x.new",
    ".uuid",
    "con",
    "CON",
    "con.txt",
    "prn",
    "aux",
    "nul",
    "com0",
    "com1",
    "com¹",
    "lpt9",
    "lpt10",
    "conin$",
    "-rf",
    "x'; DROP TABLE documents; --",
    'x"y',
    "x?mode=memory",
    "x#fragment",
    "file:x",
    "x&cache=shared",
    "x:y",
    "x*?",
    "\n",
    "\u202e",
    "\ud7ff",
    "\U0010ffff",
    "_users",
    "日本語",
    "x" * 180,
    "x" * 181,
    "x" * 10_000,
    "x" * 9_999 + "y",
    "É" * 10_000,
]

anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)

WINDOWS = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³")}


def alike(name: str) -> str:
    """Return what the least discerning file system makes of a file's name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()).casefold().rstrip(". ")


def check_safe(file: str) -> None:
    stem = file.removesuffix(SUFFIX)
    assert stem != file
    assert stem
    assert all(c.isascii() and (c.isalnum() or c in "%-_~") for c in stem)
    assert file.split(".")[0] not in WINDOWS
    assert file == file.lower()
    for suffix in ("", "-wal", "-shm", "-journal", ".d"):
        assert len((file + suffix).encode()) <= 255


@given(anything)
def test_a_file_name_is_safe_everywhere(name: str) -> None:
    check_safe(filename(name))


@given(anything, anything)
def test_two_names_are_two_files_everywhere(one: str, other: str) -> None:
    assert (alike(filename(one)) == alike(filename(other))) == (one == other)


@given(st.data())
def test_names_that_differ_in_little_are_two_files(data: st.DataObject) -> None:
    name = data.draw(anything)
    change = data.draw(
        st.sampled_from(
            [
                str.lower,
                str.upper,
                str.casefold,
                str.swapcase,
                str.strip,
                lambda text: unicodedata.normalize("NFC", text),
                lambda text: unicodedata.normalize("NFD", text),
                lambda text: text + ".",
                lambda text: text + " ",
                lambda text: text + "\0",
                lambda text: text.replace("%", "%25"),
                lambda text: filename(text).removesuffix(SUFFIX),
            ]
        )
    )
    other = change(name)
    if other:
        assert (alike(filename(name)) == alike(filename(other))) == (name == other)


def test_hostile_names_are_distinct_files() -> None:
    assert len({alike(filename(name)) for name in HOSTILE}) == len(HOSTILE)
    for name in HOSTILE:
        check_safe(filename(name))


@given(anything)
def test_short_names_are_read_from_the_file_name(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    if len(filename(name)) > 150:
        return
    directory = tmp_path_factory.mktemp("names")
    file_path(directory, name).touch()
    assert list(names(directory)) == [name]


def test_hostile_names_round_trip_and_stay_in_the_directory(directory: Path) -> None:
    storage = directory / "inner" / "storage"
    before = {str(path) for path in directory.rglob("*")}
    with pouchdb.setup(storage, plugins=[], durability="normal") as environment:
        for name in HOSTILE:
            # Some look like mistyped URLs: asked for, they are names as others.
            database = environment.PouchDB(name, adapter="sqlite")
            assert database.name == name
            database.put({"_id": "which", "name": name})
            assert environment[name].info()["db_name"] == name
        assert environment.names() == sorted(HOSTILE)
        for name in HOSTILE:
            assert environment[name].get("which")["name"] == name
    assert {str(path) for path in directory.rglob("*")} - before == {
        str(path) for path in [directory / "inner", storage, *storage.iterdir()]
    }
    # Long ones are read from the file, which another process may just have open.
    assert sorted(names(storage)) == sorted(HOSTILE)
    with pouchdb.setup(storage, plugins=[]) as environment:
        for name in HOSTILE:
            environment.destroy(name)
    assert not [path for path in storage.iterdir() if SUFFIX in path.name]


@pytest.mark.parametrize(
    "file",
    [
        "X.pouchdb",
        "é.pouchdb",
        "a b.pouchdb",
        "%zz.pouchdb",
        "%4.pouchdb",
        "%.pouchdb",
        "%ff.pouchdb",
        "%61.pouchdb",
        "%C3%A9.pouchdb",
        "con.pouchdb",
        ".pouchdb",
        ".0123456789abcdef.new",
        "x.pouchdb-wal",
        "x%~0123.pouchdb",
        "notes.txt",
    ],
)
def test_files_that_are_not_ours_are_not_listed(directory: Path, file: str) -> None:
    (directory / file).write_bytes(b"no database")
    assert list(names(directory)) == []


def test_a_file_name_that_is_no_text_is_not_listed(directory: Path) -> None:
    try:
        with open(os.fsencode(directory) + b"/\xff.pouchdb", "wb"):
            pass
    except OSError:
        pytest.skip("this file system has only names that are text")
    assert list(names(directory)) == []


@pytest.mark.parametrize("value", [None, b"no json", b"1", b'"another name"', b"[]"])
def test_a_long_name_that_the_file_denies_is_not_listed(directory: Path, value: bytes | None) -> None:
    path = file_path(directory, "x" * 1000)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE metadata (key, value)")
        if value is not None:
            connection.execute("INSERT INTO metadata VALUES ('name', ?)", (value,))
        connection.commit()
    assert list(names(directory)) == []


def test_a_directory_that_is_missing_has_no_names(directory: Path) -> None:
    assert list(names(directory / "missing")) == []


def test_a_directory_that_is_a_file_is_an_error(directory: Path) -> None:
    (directory / "file").touch()
    with pytest.raises(StorageError):
        list(names(directory / "file"))


# -- making --------------------------------------------------------------------------------------


def test_opening_tells_whether_the_database_was_made(directory: Path) -> None:
    for expected in (True, False):
        file, made = open_file(directory, "test", "full")
        file.close()
        assert made is expected


def test_making_a_database_leaves_one_file(directory: Path) -> None:
    file, _ = open_file(directory, "test", "full")
    file.close()
    assert [path.name for path in directory.iterdir()] == ["test.pouchdb"]


@pytest.mark.parametrize("place", ["schema.create_tables", "files.identify"])
def test_a_failed_making_leaves_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    # As in a process that has made no database yet.
    monkeypatch.setattr("pouchdb_core.adapters.sqlite.files._BLANK", [])
    monkeypatch.setattr(f"pouchdb_core.adapters.sqlite.{place}", fail)
    with pytest.raises(StorageError, match="test"):
        open_file(directory, "test", "full")
    assert list(directory.iterdir()) == []


def test_databases_made_one_after_the_other_are_each_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is a copy of the first's file, as it was when it was empty."""
    blank: list[bytes] = []
    monkeypatch.setattr("pouchdb_core.adapters.sqlite.files._BLANK", blank)
    with pouchdb.setup(tmp_path / "data", plugins=[]) as environment:
        environment["a"].put({"_id": "only here"})
        assert len(blank) == 1
        infos = [environment[name].info() for name in "abc"]
        assert [info.doc_count for info in infos] == [1, 0, 0]
        assert [info.db_name for info in infos] == ["a", "b", "c"]
        assert len({environment[name].id() for name in "abc"}) == 3
        assert len({info.epoch for info in infos}) == 3
        assert [environment[name].integrity_check() for name in "bc"]
    with pouchdb.setup(tmp_path / "data", plugins=[]) as environment:
        assert sorted(environment.names()) == ["a", "b", "c"]
        assert environment["b"].put({"_id": "x"}).ok


def test_leftovers_of_a_killed_making_are_ignored(directory: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (directory / f".0123456789abcdef0123456789abcdef.new{suffix}").write_bytes(b"half")
    with pouchdb.setup(directory, plugins=[]) as environment:
        assert environment.names() == []
        environment["test"].put({"_id": "a"})
        assert environment.names() == ["test"]


def test_a_file_system_without_hard_links_will_do(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    file, made = open_file(directory, "test", "full")
    file.close()
    assert made
    assert [path.name for path in directory.iterdir()] == ["test.pouchdb"]


def test_where_a_rename_does_not_replace_the_first_maker_wins(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, on a file system without hard links."""

    def link(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    def rename(source: Any, target: Any) -> None:
        # Somebody else has made it just now.
        shutil.copy(source, target)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "rename", rename)
    file, made = open_file(directory, "test", "full")
    file.close()
    assert not made
    assert [path.name for path in directory.iterdir()] == ["test.pouchdb"]


@pytest.mark.parametrize("links", [True, False], ids=["with-links", "without-links"])
def test_threads_that_make_one_database_make_it_once(
    directory: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def link(*_: Any, **__: Any) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    for round in range(5):
        together, outcomes = threading.Barrier(8), []

        def run(round: int = round, together: Any = together, outcomes: list[Any] = outcomes) -> None:
            together.wait()
            file, made = open_file(directory, f"round{round}", "normal")
            outcomes.append((made, file.one("SELECT value FROM metadata WHERE key = 'uuid'")[0]))
            file.close()

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [made for made, _ in outcomes].count(True) == 1
        assert len({uuid for _, uuid in outcomes}) == 1
        assert len(outcomes) == 8
    assert not list(directory.glob(".*"))


def test_processes_that_make_one_database_make_it_once(directory: Path, child: Callable[..., Any]) -> None:
    def run(send: Any, receive: Any) -> Any:
        send("ready")
        receive()
        with pouchdb.setup(directory, plugins=[], durability="normal") as environment:
            database = environment["test"]
            return database._life.opened.adapter.created, database.id(), database.post({})["ok"]

    children = [child(run) for _ in range(6)]
    for each in children:
        assert each.receive() == "ready"
    for each in children:
        each.send("go")
    outcomes = [each.result() for each in children]
    assert [made for made, _, _ in outcomes].count(True) == 1
    assert len({uuid for _, uuid, _ in outcomes}) == 1
    with pouchdb.setup(directory, plugins=[]) as environment:
        assert environment["test"].info()["doc_count"] == 6
        assert environment["test"].integrity_check() == []


def test_a_database_destroyed_while_it_is_opened_is_made_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = open_file(directory, "test", "full")
    file.close()
    from pouchdb_core.adapters.sqlite import files

    exists = files._exists

    def destroyed_after(path: Path, what: str) -> bool:
        found = exists(path, what)
        remove_file(path)
        return found

    monkeypatch.setattr(files, "_exists", destroyed_after)
    file, made = open_file(directory, "test", "full")
    file.close()
    assert made


# -- journals ------------------------------------------------------------------------------------


def leave_a_journal(directory: Path, path: Path, child: Callable[..., Any]) -> bytes:
    """Have a process write a document and die, so that it is in the journal only; return the journal."""

    def write_and_die(send: Any, receive: Any) -> None:
        environment = pouchdb.setup(directory, plugins=[])
        environment["test"].put({"_id": "old", "secret": True})
        send("written")
        receive()

    writer = child(write_and_die)
    assert writer.receive() == "written"
    writer.kill()
    writer.end()
    journal = Path(f"{path}-wal").read_bytes()
    assert journal
    return journal


def test_the_journal_of_a_killed_writer_is_replayed(directory: Path, path: Path, child: Callable[..., Any]) -> None:
    leave_a_journal(directory, path, child)
    with pouchdb.setup(directory, plugins=[]) as environment:
        assert environment["test"].get("old")["secret"] is True


def test_a_journal_goes_with_its_database(directory: Path, path: Path, child: Callable[..., Any]) -> None:
    leave_a_journal(directory, path, child)
    with pouchdb.setup(directory, plugins=[]) as environment:
        environment.destroy("test")
        assert environment["test"].info()["doc_count"] == 0
        assert environment["test"].integrity_check() == []


def test_a_journal_whose_database_was_deleted_by_hand_is_not_replayed(
    directory: Path, path: Path, child: Callable[..., Any]
) -> None:
    journal = leave_a_journal(directory, path, child)
    path.unlink()
    with pouchdb.setup(directory, plugins=[]) as environment:
        database = environment["test"]
        database.put({"_id": "new"})
        assert [row["id"] for row in database.all_docs()["rows"]] == ["new"]
        assert database.integrity_check() == []
        assert not Path(f"{path}-wal").read_bytes().startswith(journal)


# -- removing ------------------------------------------------------------------------------------


def test_removing_takes_journal_and_side_folder(environment: SyncEnvironment, path: Path) -> None:
    database = environment["test"]
    (database.directory("plugin") / "index").write_text("x")
    database.put({"_id": "a"})
    other = environment["other"]
    other.put({"_id": "a"})
    (other.directory("plugin") / "index").write_text("x")
    database.destroy()
    assert not list(path.parent.glob("test*"))
    assert other.get("a")["_id"] == "a"
    assert (other.directory("plugin") / "index").read_text() == "x"


def test_removing_what_is_missing_is_no_error(directory: Path) -> None:
    remove_file(directory / "missing.pouchdb")
    remove_file(directory / "missing" / "missing.pouchdb")


def test_removing_a_directory_is_refused(directory: Path, path: Path) -> None:
    (path / "kept").mkdir(parents=True)
    with pytest.raises(NotADatabase):
        remove_file(path)
    assert (path / "kept").exists()


def test_a_side_folder_without_its_database_goes_too(directory: Path, path: Path) -> None:
    side_directory(path).mkdir()
    remove_file(path)
    assert not side_directory(path).exists()
