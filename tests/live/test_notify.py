"""Who is told that something was written: listeners of this process, and the watcher of the others."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from pouchdb_core.changes.notify import Notifier, Watcher
from pouchdb_core.errors import DatabaseClosed, NotFound

SOON = 10.0


def test_everybody_who_listens_is_woken_until_they_end_it() -> None:
    notifier = Notifier()
    told: list[str] = []
    first = notifier.subscribe(lambda: told.append("first"))
    notifier.subscribe(lambda: told.append("second"))
    notifier.notify()
    first()
    first()
    notifier.notify()
    assert told == ["first", "second", "second"]


def test_begin_and_stop_are_told_once_for_all() -> None:
    told: list[bool] = []
    notifier = Notifier(told.append)
    ends = [notifier.subscribe(lambda: None) for _ in range(3)]
    for end in ends:
        end()
    notifier.subscribe(lambda: None)
    assert told == [True, False, True]


def test_begin_and_stop_in_two_threads_never_overtake_each_other() -> None:
    told: list[bool] = []
    notifier = Notifier(told.append)

    def subscribe_and_end() -> None:
        for _ in range(300):
            notifier.subscribe(lambda: None)()

    threads = [threading.Thread(target=subscribe_and_end) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [True, False] * (len(told) // 2)


def test_a_subscription_may_end_while_listeners_are_woken() -> None:
    notifier = Notifier()
    told: list[str] = []
    end = notifier.subscribe(lambda: (told.append("once"), end()))
    notifier.notify()
    notifier.notify()
    assert told == ["once"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_does_not_wake_the_listeners_of_the_parent() -> None:
    notifier = Notifier()
    told: list[str] = []
    end = notifier.subscribe(lambda: told.append("parent"))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with notifier._lock:
            held.set()
            release.wait(SOON)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(SOON)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            notifier.notify()
            end()
            notifier.subscribe(lambda: told.append("child"))
            notifier.notify()
            code = 0 if told == ["child"] else 2
        finally:
            os._exit(code)
    release.set()
    thread.join(SOON)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    notifier.notify()
    assert told == ["parent"]


class File:
    """A store that other processes write to."""

    def __init__(self) -> None:
        self.number = 0
        self.error: Exception | None = None
        self.looks = threading.Semaphore(0)
        self.notifier = Notifier()

    def check(self) -> None:
        self.looks.release()
        if self.error is not None:
            raise self.error

    def version(self) -> int:
        return self.number

    def seen(self, times: int = 2) -> None:
        for _ in range(times):
            assert self.looks.acquire(timeout=SOON)


def test_the_watcher_tells_of_writes_of_others() -> None:
    watcher, store = Watcher(), File()
    told = threading.Semaphore(0)
    store.notifier.subscribe(told.release)
    watcher.watch(store, True)
    assert told.acquire(timeout=SOON), "the first look tells, too"
    store.number += 1
    assert told.acquire(timeout=SOON)
    watcher.watch(store, False)
    watcher.close()


def test_the_watcher_ends_its_thread_when_nobody_listens() -> None:
    watcher, store = Watcher(), File()
    watcher.watch(store, True)
    store.seen()
    [thread] = [each for each in threading.enumerate() if each.name == "pouchdb-watcher"]
    watcher.watch(store, False)
    thread.join(SOON)
    assert not thread.is_alive()
    watcher.watch(store, True)
    store.seen()
    watcher.close()


@pytest.mark.parametrize("error", [DatabaseClosed(), NotFound()])
def test_a_store_that_is_gone_is_told_once_and_watched_no_more(error: Exception) -> None:
    watcher, store = Watcher(), File()
    told = threading.Semaphore(0)
    store.notifier.subscribe(told.release)
    store.error = error
    watcher.watch(store, True)
    assert told.acquire(timeout=SOON)
    for thread in threading.enumerate():
        if thread.name == "pouchdb-watcher":
            thread.join(SOON)
    assert not told.acquire(blocking=False)


def test_an_error_that_passes_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    watcher, store = Watcher(), File()
    told = threading.Semaphore(0)
    store.notifier.subscribe(told.release)
    store.error = OSError("too many open files")
    watcher.watch(store, True)
    store.seen()
    store.error = None
    assert told.acquire(timeout=SOON)
    assert "too many open files" in caplog.text
    watcher.close()


def test_the_watcher_keeps_no_store_alive() -> None:
    import gc
    import weakref

    watcher: Any = Watcher()
    store = File()
    watcher.watch(store, True)
    store.seen()
    gone = weakref.ref(store)
    del store
    for thread in threading.enumerate():
        if thread.name == "pouchdb-watcher":
            thread.join(SOON)
    gc.collect()
    assert gone() is None
