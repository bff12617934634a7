"""Names of databases as names of files, and files that appear whole or not at all.

A database may be called anything (spec: plugins 1.5). Every character that some file system treats
specially is escaped, upper case included, because ``a`` and ``A`` are one file on some systems.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import orjson

from pouchdb_core.adapters.sql.schema import initialise, upgrade
from pouchdb_core.adapters.sql.sqlite import Durability, File, storage_error
from pouchdb_core.errors import NotADatabase, ReadOnlyStorage

__all__ = ["SUFFIX", "file_path", "filename", "names", "open_file", "remove_file", "side_directory"]

SUFFIX = ".pouchdb"
SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
RESERVED = frozenset(["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))])
LONGEST = 180
"""Bytes of a file's stem; file systems allow 255 with suffixes and the journal's."""
CUT = "%~"
"""Marks a stem that was too long: the whole name is in the file."""


def filename(name: str) -> str:
    """Return the file's name for a database; distinct for distinct names on any file system."""
    data = name.encode()
    stem = "".join(chr(byte) if byte in SAFE else f"%{byte:02x}" for byte in data)
    if stem in RESERVED:
        stem = f"%{ord(stem[0]):02x}{stem[1:]}"
    if len(stem) > LONGEST:
        stem = stem[:100].rstrip("%") + CUT + hashlib.sha256(data).hexdigest()
    return stem + SUFFIX


def file_path(directory: Path, name: str) -> Path:
    return directory / filename(name)


def side_directory(path: Path) -> Path:
    """Return the folder beside a database where plug-ins keep files."""
    return path.with_name(path.name + ".d")


def names(directory: Path) -> Iterator[str]:
    """Yield the names of the databases in a directory, in no order."""
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return
    for entry in entries:
        if not entry.name.endswith(SUFFIX):
            continue
        stem = entry.name[: -len(SUFFIX)]
        if CUT in stem:
            name = _stored_name(Path(entry.path))
            if name is not None:
                yield name
        else:
            yield _unescape(stem)


def _unescape(stem: str) -> str:
    pieces = stem.split("%")
    data = pieces[0].encode()
    for piece in pieces[1:]:
        data += bytes.fromhex(piece[:2]) + piece[2:].encode()
    return data.decode()


def _stored_name(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM metadata WHERE key = 'name'").fetchone()
    except sqlite3.Error:
        # Not one of ours, or destroyed since the directory was read.
        return None
    return None if row is None else str(orjson.loads(row[0]))


def open_file(directory: Path, name: str, durability: Durability) -> tuple[File, bool]:
    """Open a database's file, making it if it is missing; tell whether it was made.

    Raises NotADatabase, NewerSchema, ReadOnlyStorage and other StorageErrors.
    """
    path = file_path(directory, name)
    made = not path.exists() and _create(path, name)
    what = f"database {name!r}"
    file = File(path, durability, what)
    try:
        upgrade(file, what)
    except BaseException:
        file.close()
        raise
    return file, made


def _create(path: Path, name: str) -> bool:
    """Make the file under another name, complete, then give it its own: no one ever sees half of it."""
    new = path.with_name(f".{uuid.uuid4().hex}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(new)) as connection:
            # These two are fixed by the first page that is written.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
        file = File(new, "full", f"database {name!r}")
        try:
            initialise(file, name)
        finally:
            file.close()
        return _publish(new, path)
    except sqlite3.Error as error:
        raise storage_error(error, f"database {name!r}") from error
    except OSError as error:
        raise ReadOnlyStorage(f"database {name!r} cannot be created in {path.parent}: {error.strerror}") from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{new}{suffix}")


def _publish(new: Path, path: Path) -> bool:
    """Give a complete file its name unless it is taken; survive a power cut right after."""
    try:
        if os.name == "nt":
            os.rename(new, path)  # refuses to replace, unlike on POSIX
        else:
            os.link(new, path)
    except FileExistsError:
        return False
    if os.name != "nt":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    return True


def remove_file(path: Path) -> None:
    """Remove a database with its journal and side folder; what is missing is no error.

    The journal goes first: left behind, it would be replayed into the next database of that name.
    """
    try:
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                os.unlink(f"{path}{suffix}")
        with suppress(FileNotFoundError):
            shutil.rmtree(side_directory(path))
    except IsADirectoryError:
        raise NotADatabase(f"{path.name} is a directory") from None
    except OSError as error:
        raise ReadOnlyStorage(f"{path.name} cannot be removed: {error.strerror}") from error
