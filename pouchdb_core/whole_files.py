"""Files that appear whole or not at all, even if the program is killed or the power fails in the middle.

A file is made as a draft, under another name in the same directory, and renamed when complete. A draft has a
lock beside it while it is being made: one that is not held is of a process that was killed, and ``sweep``
removes it with what belongs to the draft.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["draft", "locked", "make_directory", "remove_folder", "sweep", "sync_directory"]

_DRAFT = re.compile(r"\.([0-9a-f]{32})\.(?:new|part|lock)(?:$|[-.])")
"""Drafts, their locks, and the suffixes that SQLite and plug-ins add."""


ATTEMPTS = 100
"""How often a folder is removed that others make files in meanwhile."""


def remove_folder(path: Path) -> None:
    """Remove a folder with all its files; one that is missing is not an error. Raises OSError.

    Others may use it meanwhile: a thread or a process that makes a last file in it, or a lock, or removes one.
    """
    for attempt in range(ATTEMPTS):
        try:
            shutil.rmtree(path)
        except OSError as error:
            if not path.exists():
                return
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) or attempt == ATTEMPTS - 1:
                raise
        else:
            return


@contextmanager
def locked(directory: Path) -> Iterator[int | None]:
    """Let one process at a time make or remove files in a directory; yield its descriptor.

    Windows does not have this, nor need it: its unlink never removes a file that is open.
    """
    if sys.platform == "win32":
        yield None
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        # Closing the descriptor unlocks, and so does the end of the process. NFS cannot lock a directory.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def draft(directory: Path, suffix: str = ".new") -> Iterator[Path]:
    """Yield the name of a draft, to be made and renamed or linked in the block; a file left at its end is removed.

    Raises OSError.
    """
    stem = f".{uuid.uuid4().hex}"
    path, lock = directory / f"{stem}{suffix}", directory / f"{stem}.lock"
    # Not on the draft itself: closing a descriptor of it would remove SQLite's locks once it has its name.
    with locked(directory):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        if sys.platform != "win32":
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield path
    finally:
        for left in (path, *(path.with_name(path.name + each) for each in ("-journal", "-wal", "-shm", ".d"))):
            _remove(left)
        os.close(descriptor)
        _remove(lock)


def sweep(directory: Path) -> None:
    """Remove drafts that are no longer being made; files that cannot be removed stay. Never fails."""
    with suppress(OSError):
        found: dict[str, list[Path]] = {}
        for name in os.listdir(directory):
            if (match := _DRAFT.match(name)) is not None:
                found.setdefault(match[1], []).append(directory / name)
        if not found:
            return
        # Locks are taken under this one, so that a draft without its lock has no owner.
        with locked(directory):
            for stem, paths in found.items():
                if not _is_held(directory / f".{stem}.lock"):
                    for path in paths:
                        _remove(path)


def _is_held(lock: Path) -> bool:
    """Return whether a process is writing the draft; True where that cannot be known."""
    if sys.platform == "win32":
        try:
            lock.unlink(missing_ok=True)
        except OSError:
            # It is open.
            return True
        return False
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def make_directory(path: Path) -> None:
    """Make a directory with its parents, all of them on the disk. Raises OSError, ValueError."""
    missing: list[Path] = []
    parent = path
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_directory(each.parent)
    # Raises for what is not a directory.
    path.mkdir(exist_ok=True)


def sync_directory(path: Path) -> None:
    """Sync a directory's entries to disk, where system and permissions allow that."""
    if sys.platform == "win32":
        return
    with suppress(PermissionError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)
