"""Event emitters, and waiting for callbacks."""

from __future__ import annotations

import logging
import threading
import warnings
from typing import Any

import pytest

from pouchdb_core.errors import BadRequest
from pouchdb_core.events import EventEmitter


class Listens:
    """Its bound methods are a new object at every access, equal all the same."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def hear(self, *args: Any) -> str:
        self.got.append(args)
        return "answer"


@pytest.fixture
def emitter() -> EventEmitter:
    return EventEmitter()


@pytest.fixture
def one() -> Listens:
    return Listens()


def test_listeners_get_the_arguments_in_order(emitter: EventEmitter) -> None:
    got: list[Any] = []
    emitter.on("test", lambda *args: got.append(("first", *args))).on(
        "test", lambda *args: got.append(("second", *args))
    )
    assert emitter.emit("test", 2, "x") is True
    assert got == [("first", 2, "x"), ("second", 2, "x")]
    assert emitter.emit("other") is False


@pytest.mark.parametrize("name", ["on", "add_listener", "addListener"])
def test_the_names_of_on(emitter: EventEmitter, one: Listens, name: str) -> None:
    assert getattr(emitter, name)("test", one.hear) is emitter
    emitter.emit("test")
    assert one.got == [()]


def test_calls_chain(emitter: EventEmitter, one: Listens) -> None:
    chained = (
        emitter.on("a", one.hear)
        .once("b", one.hear)
        .set_max_listeners(3)
        .setMaxListeners(0)
        .remove_listener("a", one.hear)
        .removeListener("a", one.hear)
        .remove_all_listeners("a")
        .removeAllListeners()
    )
    assert chained is emitter
    assert not emitter.emit("b")


def test_once_fires_once(emitter: EventEmitter, one: Listens) -> None:
    emitter.once("test", one.hear)
    assert [emitter.emit("test", 1), emitter.emit("test", 2)] == [True, False]
    assert one.got == [(1,)]


def test_once_may_emit_again_from_inside(emitter: EventEmitter) -> None:
    got: list[int] = []
    emitter.once("test", lambda: (got.append(1), emitter.emit("test")))
    emitter.emit("test")
    assert got == [1]


def test_once_fires_once_in_two_threads(emitter: EventEmitter, one: Listens) -> None:
    """Another thread's emit, begun before the listener was taken out, does not call it again."""
    emitter.once("test", one.hear)
    (wrapper,) = emitter.listeners("test")
    emitter.emit("test", 1)
    wrapper(2)
    assert one.got == [(1,)]


def test_the_same_function_twice_counts_twice(emitter: EventEmitter, one: Listens) -> None:
    emitter.on("test", one.hear).on("test", one.hear)
    emitter.emit("test")
    assert len(one.got) == 2
    emitter.remove_listener("test", one.hear)
    emitter.emit("test")
    assert len(one.got) == 3


def test_removing_by_equality_takes_the_newest(emitter: EventEmitter) -> None:
    one, other = Listens(), Listens()
    order: list[str] = []
    first, second = (lambda: order.append("first")), (lambda: order.append("second"))
    emitter.on("test", first).on("test", second).on("test", first)
    emitter.remove_listener("test", first).emit("test")
    assert order == ["first", "second"]
    emitter.on("bound", one.hear).remove_listener("bound", other.hear)
    assert emitter.emit("bound")
    emitter.remove_listener("bound", one.hear)
    assert not emitter.emit("bound")
    emitter.remove_listener("unknown", one.hear)


def test_listeners_are_wrappers(emitter: EventEmitter, one: Listens) -> None:
    emitter.on("test", one.hear)
    (wrapper,) = emitter.listeners("test")
    assert wrapper is not one.hear
    assert wrapper == one.hear
    assert wrapper(1, 2) is None
    assert one.got == [(1, 2)]
    assert emitter.listeners("other") == []
    # A copy: changing it changes nothing.
    emitter.listeners("test").clear()
    emitter.remove_listener("test", wrapper)
    assert emitter.listeners("test") == []


def test_remove_all_listeners(emitter: EventEmitter, one: Listens) -> None:
    emitter.on("a", one.hear).on("a", one.hear).on("b", one.hear)
    emitter.remove_all_listeners("a")
    assert [emitter.emit("a"), emitter.emit("b")] == [False, True]
    emitter.remove_all_listeners()
    assert not emitter.emit("b")


def test_listeners_may_change_the_list_while_it_is_called(emitter: EventEmitter, one: Listens) -> None:
    def change() -> None:
        emitter.remove_all_listeners("test")
        emitter.on("test", one.hear)

    emitter.on("test", change).on("test", one.hear)
    emitter.emit("test")
    # The one that was there is called, the new one is not.
    assert one.got == [()]


def test_a_listener_that_raises_is_logged_and_stops_nothing(
    emitter: EventEmitter, one: Listens, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("my mistake")

    emitter.on("test", broken).on("test", one.hear)
    assert emitter.emit("test") is True
    assert one.got == [()]
    (told,) = caplog.records
    assert (told.name, told.levelno) == ("pouchdb.events", logging.ERROR)
    assert "'test'" in told.getMessage()
    assert told.exc_info is not None
    assert told.exc_info[0] is ZeroDivisionError


def test_too_many_listeners_warn(emitter: EventEmitter, one: Listens) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(50):
            emitter.on("unlimited", one.hear)
        emitter.set_max_listeners(1).on("test", one.hear)
    with pytest.warns(
        RuntimeWarning, match=r"possible EventEmitter memory leak detected\. 2 listeners.*'test'"
    ) as told:
        emitter.once("test", one.hear)
    assert told[0].filename == __file__
    assert len(emitter.listeners("test")) == 2


@pytest.mark.parametrize("bad", [None, "hear", 5])
def test_what_cannot_be_called_is_refused(emitter: EventEmitter, bad: Any) -> None:
    with pytest.raises(BadRequest, match="must be callable"):
        emitter.on("test", bad)


def test_threads_may_add_emit_and_remove(emitter: EventEmitter) -> None:
    start = threading.Barrier(4)
    failed: list[BaseException] = []

    def work() -> None:
        mine = Listens()
        try:
            start.wait(60)
            for _ in range(200):
                emitter.on("test", mine.hear).emit("test")
                emitter.remove_listener("test", mine.hear)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert emitter.listeners("test") == []


def test_listeners_equal_what_was_added(emitter: EventEmitter, one: Listens) -> None:
    emitter.on("test", one.hear).once("test", one.hear).on("test", print)
    assert one.hear in emitter.listeners("test")
    assert emitter.listeners("test") == [one.hear, one.hear, print]
    assert len not in emitter.listeners("test")
    first = emitter.listeners("test")[0]
    emitter.remove_listener("test", first)
    assert emitter.listeners("test") == [one.hear, print]
    emitter.emit("test")
    assert emitter.listeners("test") == [print], "the one that was left was added by once()"


@pytest.mark.parametrize("bad", [None, 5, b"test", [], {}, object()])
def test_the_name_of_an_event_is_a_string(emitter: EventEmitter, bad: Any) -> None:
    calls: list[Any] = [
        lambda: emitter.on(bad, print),
        lambda: emitter.once(bad, print),
        lambda: emitter.emit(bad),
        lambda: emitter.listeners(bad),
        lambda: emitter.remove_listener(bad, print),
    ]
    if bad is not None:
        calls.append(lambda: emitter.remove_all_listeners(bad))
    for call in calls:
        with pytest.raises(BadRequest, match="the name of an event must be a string"):
            call()


@pytest.mark.parametrize("bad", [None, "5", -1, float("nan"), True, []])
def test_the_number_of_listeners_is_a_number(emitter: EventEmitter, bad: Any) -> None:
    with pytest.raises(BadRequest, match="the number of listeners"):
        emitter.set_max_listeners(bad)


def test_nobody_would_await_a_coroutine_function(emitter: EventEmitter) -> None:
    async def hear() -> None:
        """Never called."""

    with pytest.raises(BadRequest, match="coroutine function"):
        emitter.on("test", hear)
