"""A database in a file: connections shared by its users; other processes may use it too."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from time import monotonic
from typing import Any, Literal

from pouchdb_core.adapters.sqlite.connection import OPEN, Connection, Held, no_descriptor_left, too_many
from pouchdb_core.adapters.sqlite.fork import GATE
from pouchdb_core.adapters.sqlite.transactions import Connections, file_error
from pouchdb_core.adapters.write_lock import Turn, holder
from pouchdb_core.errors import NotFound, ReadOnlyStorage, ServerError, StorageError, TooManyOpenFiles

__all__ = ["Durability", "File"]

Durability = Literal["full", "normal"]

BUSY_SECONDS = 60.0
"""How long a writer waits for another process before DatabaseBusy."""
KEPT = 16
"""Idle connections a file keeps: as many as the threads of a server read at once."""
LOOK = 0.1
"""Seconds after which a read checks whether the file is still the one that was opened; every write does."""

# spec: store, section 4. A checkpoint every 4000 pages instead of 1000 makes bulk writes a quarter faster.
# Every connection has a page cache of its own, which stays as large as it once was: with 64 MB, three databases of
# 100,000 documents held 249 MB, with 8 MB they hold 67, and nothing is slower: what is read is mapped, and what one
# batch writes fits (10,000 documents with random ids: 11 us each with either, in a database of 120,000).
PRAGMAS = (
    ("cache_size", -8000),
    ("mmap_size", 268435456),
    ("wal_autocheckpoint", 4000),
)
DURABILITY: dict[Durability, tuple[tuple[str, Any], ...]] = {
    # macOS leaves synced data in the drive's cache without this; elsewhere fullfsync does nothing.
    "full": (("synchronous", "FULL"), ("fullfsync", 1)),
    "normal": (("synchronous", "NORMAL"),),
}


class File(Connections):
    """A database in a file, shared by threads and processes."""

    def __init__(self, path: Path, durability: Durability, what: str) -> None:
        self._path = path.absolute()
        self.durability: Durability = durability
        self._made = _inode(self._path)
        self._uuid: Any = None
        self._idle: list[Held] = []
        """Idle connections; the last one was used last."""
        self._generation = 0
        """Counts how often all connections were released."""
        self._all: weakref.WeakSet[Held] = weakref.WeakSet()
        self._snapshots: dict[int, _Snapshot] = {}
        self._look_at = monotonic() + LOOK
        super().__init__(what)

    @property
    def path(self) -> Path:
        return self._path

    # -- lending -----------------------------------------------------------------------------------

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        held = self._bound.get(get_ident())
        if held is not None:
            try:
                return held.execute(sql, params).fetchone()
            except sqlite3.Error as error:
                raise self._failed(error) from error
            finally:
                # A traceback must not keep it.
                del held
        if monotonic() > self._look_at:
            self._look()
        # The current list: after a release, the old list takes what is returned.
        idle = self._idle
        try:
            held = idle.pop()
        except IndexError:
            held = self._connect()
        try:
            return held.execute(sql, params).fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error
        finally:
            held.fresh = True
            if len(idle) < KEPT and not held.passing:
                idle.append(held)
            del held, idle

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        held = self._bound.get(get_ident())
        if held is not None:
            try:
                return held.execute(sql, params).fetchall()
            except sqlite3.Error as error:
                raise self._failed(error) from error
            finally:
                del held
        if monotonic() > self._look_at:
            self._look()
        idle = self._idle
        try:
            held = idle.pop()
        except IndexError:
            held = self._connect()
        try:
            return held.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error
        finally:
            held.fresh = True
            if len(idle) < KEPT and not held.passing:
                idle.append(held)
            del held, idle

    def _lend(self) -> Held:
        left = self._snapshots.get(get_ident())
        if left is not None and left.lost():
            left.leave()
        if monotonic() > self._look_at:
            self._look()
        try:
            return self._idle.pop()
        except IndexError:
            pass
        return self._connect()

    def _give_back(self, held: Held) -> None:
        held.fresh = True
        if held.generation == self._generation and len(self._idle) < KEPT and not held.passing:
            self._idle.append(held)

    def _drop(self, held: Held | None) -> None:
        # It closes with its last reference.
        pass

    def close_idle(self, wanted: int | None, every: bool) -> int:
        """Close idle connections, and unless ``every`` none that was used since the last time."""
        closed, spared, idle = 0, [], self._idle
        while wanted is None or closed < wanted:
            try:
                held = idle.pop(0)
            except IndexError:
                break
            if held.fresh and not every:
                held.fresh = False
                spared.append(held)
            else:
                held = None  # type: ignore[assignment]  # closes it
                closed += 1
        idle[:0] = spared
        return closed

    def _forget(self) -> None:
        """Release all connections. Each closes with its last reference: at once, unless it is being read."""
        self._generation += 1
        before, self._idle = self._idle, []
        before.clear()

    def _connected(self) -> bool:
        # Usually one is idle, and this is ten times faster than looking at all of them.
        # Not by len(): the callback that removes collected ones may have been interrupted.
        return bool(self._idle) or any(True for _ in self._all)

    # -- connecting ----------------------------------------------------------------------------------

    def _connect(self) -> Held:
        with GATE:
            self.check()
            try:
                held = self._opened()
            except sqlite3.Error as error:
                if not no_descriptor_left():
                    raise self._error(error) from error
                # Other databases have idle ones.
                OPEN.close_idle()
                try:
                    held = self._opened()
                except sqlite3.Error as again:
                    raise self._error(again) from again
            held.generation = self._generation
            self._all.add(held)
            OPEN.add(self, held)
        return held

    def _opened(self) -> Held:
        try:
            # mode=rw: never makes a file, above all not in place of one that was destroyed.
            return self._open("mode=rw")
        except sqlite3.OperationalError:
            if no_descriptor_left() or self._read_only() is None:
                raise
        with suppress(sqlite3.OperationalError):
            return self._open("mode=ro")
        # SQLite shares memory with other readers by files beside the database, which cannot be made here.
        if _size(f"{self._path}-wal"):
            raise ReadOnlyStorage(
                f"{self.what} cannot be read: its newest documents are in {self._path.name}-wal, which needs a "
                f"directory that can be written; {self._path.parent} cannot be"
            )
        held = self._open("mode=ro&immutable=1")
        # A user who may write to the directory may write to the file: it is checked again each time.
        held.passing = True
        return held

    def _open(self, mode: str) -> Held:
        connection: Connection = sqlite3.connect(
            f"{self._path.as_uri()}?{mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        try:
            for name, value in (*PRAGMAS, *DURABILITY[self.durability]):
                connection.execute(f"PRAGMA {name} = {value}")
            self._identify(connection)
        except BaseException:
            connection.close()
            raise
        return Held(connection)

    def check(self) -> None:
        super().check()
        self._look()

    def _look(self) -> None:
        if self._made is None or _inode(self._path) != self._made:
            # Another process destroyed it: writing to the unlinked file would lose the document.
            raise self._gone()
        self._look_at = monotonic() + LOOK

    def same(self) -> bool:
        """Return whether the file is still the one that was opened."""
        try:
            self.check()
            if not self._connected():
                # Another file may have got its inode.
                self._give_back(self._connect())
        except NotFound:
            return False
        return True

    def _identify(self, connection: sqlite3.Connection) -> None:
        """Raise NotFound if a new connection leads to another database than the first one.

        While there was no connection, another file may have got the old one's inode.
        """
        try:
            row = connection.execute("SELECT value FROM metadata WHERE key = 'uuid'").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            # It is just being made, or not ours: opening will show.
            return
        if self._uuid not in (None, row):
            raise self._gone()
        self._uuid = row

    def renamed(self) -> None:
        """Record that the database was given another identity."""
        self._uuid = None

    def _gone(self) -> NotFound:
        # From now on every call checks.
        self._look_at = 0.0
        return NotFound(f"{self.what}: the database was destroyed or replaced while it was open")

    def _error(self, error: Exception) -> ServerError:
        ours = super()._error(error)
        if isinstance(ours, ReadOnlyStorage):
            if no_descriptor_left():
                return TooManyOpenFiles(f"{self.what}: {too_many()}")
            reason = self._read_only()
            if reason is not None:
                return ReadOnlyStorage(f"{self.what} cannot be written: {reason}")
        return ours

    def _read_only(self) -> str | None:
        """Return why the database cannot be written, as far as permissions say."""
        if not os.access(self._path, os.W_OK):
            return f"the file {self._path} is read-only for this user"
        if not os.access(self._path.parent, os.W_OK):
            return f"the directory {self._path.parent} is read-only for this user, and SQLite writes beside the file"
        return None

    # -- reading one state -----------------------------------------------------------------------------

    def snapshot(self) -> _Snapshot:
        return _Snapshot(self)

    def sizes(self) -> dict[str, int]:
        sizes = super().sizes()
        with suppress(FileNotFoundError):
            sizes["file"] = self._path.stat().st_size
            sizes["file"] += Path(f"{self._path}-wal").stat().st_size
        return sizes

    def shrink(self) -> None:
        super().shrink()
        with self._turn():
            self.check()
            # What is in the journal goes to the file, then the journal is emptied too.
            self.all("PRAGMA wal_checkpoint(TRUNCATE)")

    def fold(self) -> None:
        """Copy the whole journal into the file. Raises StorageError unless all of it is there and on the disk."""
        with self._turn():
            self.check()
            busy, frames, folded = self.one("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy or frames != folded:
            raise StorageError(f"{self.what}: {frames - folded} pages of the journal are not in the file")

    # -- forks -------------------------------------------------------------------------------------------

    def part(self, deadline: float) -> bool:
        if get_ident() in self._bound:
            # The thread that forks is itself in the middle of something.
            return False
        self._forget()
        while self._connected():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def rejoin(self, *, spoiled: bool, child: bool) -> None:
        if spoiled:
            self._forget()
        if child:
            self._snapshots.clear()
        super().rejoin(spoiled=spoiled, child=child)

    def kin(self) -> object:
        return self._made

    def close(self) -> None:
        with self._turn(), GATE:
            self._closed = True
            mine = self._bound.get(get_ident())
            self._forget()
            if mine is not None:
                # This thread is not reading; but the traceback of an error may keep it.
                mine.connection.end()


class _Snapshot(Turn):
    """A read transaction of a thread; does nothing inside another one or a write."""

    __slots__ = ("_file", "_held")

    def __init__(self, file: File) -> None:
        self._file, self._held = file, None

    _held: Held | None

    def __enter__(self) -> None:
        super().__init__(holder())
        file, thread = self._file, self.thread
        bound = file._bound
        if thread in bound:
            left = file._snapshots.get(thread)
            if left is None or bound[thread] is not left._held or not left.lost():
                return
            left.leave()
        try:
            held = self._held = file._lend()
            bound[thread] = held
            file._snapshots[thread] = self
            held.execute("BEGIN")
        except BaseException as error:
            self.leave()
            if isinstance(error, sqlite3.Error):
                raise file._error(error) from error
            raise

    def __exit__(self, *exception: object) -> None:
        if self._held is not None:
            self.leave()

    def leave(self) -> None:
        """End the snapshot."""
        file, held = self._file, self._held
        try:
            # There is nothing to commit, and SQLite ends a transaction by itself when a read fails badly.
            if held is not None and held.connection.in_transaction:
                held.rollback()
        except sqlite3.Error:
            # Closed meanwhile; it closes with its last reference.
            held = None
        finally:
            self._held = None
            try:
                if file._snapshots[self.thread] is self:
                    del file._bound[self.thread]
                    del file._snapshots[self.thread]
            except KeyError:
                pass
            self.frame = None
        if held is not None:
            file._give_back(held)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise file_error(error, path.name) from error
    return status.st_dev, status.st_ino


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
