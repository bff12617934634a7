"""Names of databases as names of files, and files that appear whole or not at all.

A database may be called anything (spec: plugins 1.5). Every character that some file system treats
specially is escaped, upper case included, because ``a`` and ``A`` are one file on some systems.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import orjson

from pouchdb_core.adapters.sqlite.disk import Durability, File
from pouchdb_core.adapters.sqlite.schema import identify, initialise, upgrade
from pouchdb_core.adapters.sqlite.transactions import file_error, storage_error
from pouchdb_core.errors import NotADatabase, NotFound, StorageError
from pouchdb_core.whole_files import draft, locked, make_directory, remove_folder

__all__ = ["SUFFIX", "file_path", "filename", "names", "open_file", "remove_file", "side_directory"]

SUFFIX = ".pouchdb"
SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
RESERVED = frozenset(["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))])
LONGEST = 180
"""Bytes of a file's stem; file systems allow 255 with suffixes and the journal's."""
JOURNALS = ("-journal", "-wal", "-shm")
"""Suffixes that SQLite adds to a file's name; the first only while a copy is being made."""
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
    """Yield the names of the databases in a directory, in any order. Raises StorageError."""
    try:
        entries = os.listdir(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise file_error(error, f"directory {directory}") from error
    for entry in entries:
        if entry.endswith(SUFFIX):
            stem = entry[: -len(SUFFIX)]
            name = _stored_name(directory / entry) if CUT in stem else _unescape(stem)
            # Any file may be in the directory; one whose name no database name maps to is not a database.
            if name and filename(name) == entry:
                yield name


def _unescape(stem: str) -> str | None:
    first, *pieces = stem.split("%")
    try:
        return (first.encode() + b"".join(bytes.fromhex(piece[:2]) + piece[2:].encode() for piece in pieces)).decode()
    except ValueError:
        return None


def _stored_name(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM metadata WHERE key = 'name'").fetchone()
        return None if row is None else str(orjson.loads(row[0]))
    except (sqlite3.Error, ValueError, TypeError):
        # Not one of ours, or destroyed after the directory was read.
        return None


def open_file(directory: Path, name: str, durability: Durability) -> tuple[File, bool]:
    """Open a database's file, making it if it is missing; return whether it was made.

    Raises NotADatabase, NewerSchema, ReadOnlyStorage and other StorageErrors.
    """
    path, what = file_path(directory, name), f"database {name!r}"
    while True:
        made = not _exists(path, what) and _create(path, name)
        file = File(path, durability, what)
        try:
            upgrade(file, what)
            return file, made
        except NotFound:
            # Destroyed by another process after the check.
            file.close()
        except BaseException:
            file.close()
            raise


def _exists(path: Path, what: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise NotADatabase(f"{what}: {path} is a link to a file that is missing") from None
        return False
    except OSError as error:
        raise file_error(error, what) from error
    if not stat.S_ISREG(mode):
        raise NotADatabase(f"{what}: {path} is not a file")
    return True


def _create(path: Path, name: str) -> bool:
    """Make the file under another name, complete, then rename it: no process ever sees half of it."""
    what = f"database {name!r} cannot be created in {path.parent}"
    try:
        make_directory(path.parent)
        with draft(path.parent) as new:
            # Not left to SQLite, which would not report what is wrong.
            new.touch(exist_ok=False)
            if _BLANK:
                new.write_bytes(_BLANK[0])
            else:
                _make_blank(new)
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                # The file is not visible before it is synchronized, which is done once.
                connection.execute("PRAGMA synchronous = OFF")
                identify(connection.execute, name)
                # Only the file gets the name, and closing reports no error if the journal does not fit into it.
                busy, frames, folded = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if busy or frames != folded:
                    raise StorageError(f"{what}: {frames - folded} pages of the journal are not in the file")
            with new.open("rb+") as written:
                os.fsync(written.fileno())
            return _publish(new, path)
    except sqlite3.Error as error:
        raise storage_error(error, what) from error
    except OSError as error:
        raise file_error(error, what) from error


_BLANK: list[bytes] = []
"""The file of a database without a name, once this process has made one: its schema is sixty statements."""


def _make_blank(new: Path) -> None:
    with closing(sqlite3.connect(new)) as connection:
        # These two are fixed by the first page that is written.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
    file = File(new, "normal", "a new database")
    try:
        initialise(file, "")
        file.fold()
    finally:
        file.close()
    # Two threads may make one each: the first one registered stays.
    _BLANK.append(new.read_bytes())


def _publish(new: Path, path: Path) -> bool:
    """Give a complete file its name unless it is taken; the result survives a power cut right after."""
    with locked(path.parent) as directory:
        if path.exists():
            return False
        # A journal without its database, as left by a user who deletes only the database file: SQLite would replay it.
        _unlink(path, *JOURNALS)
        # Files of plug-ins belong to one life of a database: these are left from an interrupted destroy.
        remove_folder(side_directory(path))
        try:
            # Refuses to replace, in case the directory does not support locks.
            os.link(new, path)
        except FileExistsError:
            return False
        except OSError:
            # A file system without hard links.
            try:
                os.rename(new, path)
            except FileExistsError:
                # Windows refuses to replace, too.
                return False
        if directory is not None:
            os.fsync(directory)
    return True


def _unlink(path: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")


def remove_file(path: Path) -> None:
    """Remove a database with its journal and side folder; what is missing is not an error. Raises StorageError.

    The journal goes first: left behind, it would be replayed into the next database of that name.
    """
    try:
        with locked(path.parent) as directory:
            if path.is_dir():
                raise NotADatabase(f"{path.name} is a directory")
            _unlink(path, *JOURNALS, "")
            if directory is not None:
                # A destroyed database stays destroyed, even if the power fails now.
                os.fsync(directory)
            remove_folder(side_directory(path))
    except FileNotFoundError:
        # There is not even the directory.
        return
    except OSError as error:
        raise file_error(error, f"{path.name} cannot be removed") from error
