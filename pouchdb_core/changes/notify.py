"""Notifying live feeds that there may be something new.

Writes of this process notify at once, after their commit. Writes of other processes are noticed by
one thread per engine that asks SQLite for its ``data_version`` (2 us) every 50 ms, and only while
there are listeners: the one poll of the project, because SQLite has no other way.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Protocol

from pouchdb_core.errors import DatabaseClosed, NotFound
from pouchdb_core.forks import renew_in_child

__all__ = ["Notifier", "Watched", "Watcher"]

logger = logging.getLogger("pouchdb.live")

INTERVAL = 0.05
"""Seconds between two checks of the files."""

Wake = Callable[[], None]


class Notifier:
    """Wakes the listeners of one store. A forked child starts with none: the parent keeps its own."""

    def __init__(self, on_listeners: Callable[[bool], None] = lambda listening: None) -> None:
        self._on_listeners = on_listeners
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        self._wakes: dict[object, Wake] = {}
        # Re-entrant: the garbage collector may end a subscription during another one.
        self._lock = threading.RLock()

    def subscribe(self, wake: Wake) -> Callable[[], None]:
        """Call ``wake`` whenever something may be new, until the returned function is called."""
        key = object()
        with self._lock:
            self._wakes[key] = wake
            if len(self._wakes) == 1:
                # Under the lock: begin and stop must not overtake each other.
                self._on_listeners(True)

        def unsubscribe() -> None:
            with self._lock:
                # It is not there in a forked child.
                if self._wakes.pop(key, None) is not None and not self._wakes:
                    self._on_listeners(False)

        return unsubscribe

    def notify(self) -> None:
        """Wake all listeners; called in the writing thread, so listeners must only take note."""
        if self._wakes:
            with self._lock:
                wakes = list(self._wakes.values())
            for wake in wakes:
                wake()


class Watched(Protocol):
    """A store that other processes may write to."""

    def version(self) -> int:
        """Return a number that changes with every commit of another connection."""

    def check(self) -> None:
        """Raise DatabaseClosed or NotFound if the database is no longer there."""

    notifier: Notifier


class Watcher:
    """Checks all files of one engine for writes of other processes."""

    def __init__(self) -> None:
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        self._stores: weakref.WeakKeyDictionary[Watched, int | None] = weakref.WeakKeyDictionary()
        self._condition = threading.Condition()
        self._running = False

    def watch(self, store: Watched, listening: bool) -> None:
        """Begin or stop watching a store."""
        with self._condition:
            if listening:
                self._stores[store] = None
                if not self._running:
                    self._running = True
                    threading.Thread(target=self._watch, name="pouchdb-watcher", daemon=True).start()
            else:
                self._stores.pop(store, None)
            self._condition.notify_all()

    def close(self) -> None:
        """Stop watching all stores."""
        with self._condition:
            self._stores.clear()
            self._condition.notify_all()

    def _watch(self) -> None:
        while True:
            with self._condition:
                if not self._stores:
                    self._running = False
                    return
                known = list(self._stores.items())
            for store, before in known:
                self._look(store, before)
            del known, store, before
            with self._condition:
                if self._stores:
                    self._condition.wait(INTERVAL)

    def _look(self, store: Watched, before: int | None) -> None:
        try:
            store.check()
            version = store.version()
        except (DatabaseClosed, NotFound):
            # Closed, or destroyed by another process: its listeners get the error from their next read.
            with self._condition:
                self._stores.pop(store, None)
            store.notifier.notify()
            return
        except Exception as error:
            # The error may be temporary (no more files can be opened, the disk is away): try again next time.
            logger.warning("a database cannot be watched just now: %s", error)
            return
        if version != before:
            with self._condition:
                if store in self._stores:
                    self._stores[store] = version
            # The first check notifies too: something may have been written before it.
            store.notifier.notify()
