"""Whose turn it is: by database, first come first served, and nobody slow has all the seats."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pouchdb_core.javascript import turns as module
from pouchdb_core.javascript.turns import Closed, NoTurn, Turns

PATIENCE = 60.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that goes on only when a test says so."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


class Calls:
    """Calls of databases, each in a thread that holds its turn until it is let go."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.began: list[str] = []
        self._go: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def add(self, name: str) -> None:
        """Let a call of the database `name[0]` wait; returns when it waits or has begun."""
        self._go[name] = threading.Event()
        before = self.turns.waiting + self.turns.running

        def run() -> None:
            with self.turns.turn(name[0], PATIENCE):
                self.began.append(name)
                self._go[name].wait()

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        while self.turns.waiting + self.turns.running == before:
            time.sleep(0)
        self.settle()

    def settle(self) -> None:
        """Return when everybody who has a seat has said so."""
        while len(self.began) - sum(go.is_set() for go in self._go.values()) != self.turns.running:
            time.sleep(0)

    def end(self, name: str) -> None:
        running = self.turns.running
        waiting = self.turns.waiting
        self._go[name].set()
        while self.turns.running + self.turns.waiting == running + waiting:
            time.sleep(0)
        self.settle()


@contextmanager
def calls(seats: int) -> Iterator[Calls]:
    made = Calls(Turns(seats))
    try:
        yield made
    finally:
        for go in made._go.values():
            go.set()
        for thread in made._threads:
            thread.join()


def test_first_come_first_served_within_a_database(clock: list[float]) -> None:
    with calls(2) as all:
        for name in ("a1", "a2", "a3"):
            all.add(name)
        all.end("a1")
        all.end("a2")
        assert all.began == ["a1", "a2", "a3"]


def test_a_database_never_has_all_the_seats(clock: list[float]) -> None:
    with calls(3) as all:
        for name in ("a1", "a2", "a3", "a4", "b1"):
            all.add(name)
        assert all.began == ["a1", "a2", "b1"]


def test_databases_take_turns(clock: list[float]) -> None:
    with calls(2) as all:
        for name in ("a1", "b1", "a2", "a3", "b2", "c1"):
            all.add(name)
        all.end("a1")
        assert all.began == ["a1", "b1", "a2"]
        all.end("a2")
        assert all.began == ["a1", "b1", "a2", "c1"]
        all.end("b1")
        assert all.began == ["a1", "b1", "a2", "c1", "b2"]


def test_slow_databases_together_never_have_all_the_seats(clock: list[float]) -> None:
    with calls(2) as all:
        for name in ("a1", "b1"):
            all.add(name)
        clock[0] += 1.0
        all.end("a1")
        all.end("b1")  # both are slow from now on
        for name in ("a2", "b2", "c1"):
            all.add(name)
        assert all.began[2:] == ["a2", "c1"]
        all.end("a2")
        assert all.began[4:] == ["b2"]


def test_a_slow_database_that_is_quick_again_is_quick(clock: list[float]) -> None:
    with calls(2) as all:
        all.add("a1")
        clock[0] += 1.0
        all.end("a1")
        all.add("a2")
        all.end("a2")
        all.add("b1")
        all.add("a3")
        assert all.began[2:] == ["b1", "a3"]


def test_turns_that_became_slow_leave_their_seats_to_quick_databases(clock: list[float]) -> None:
    with calls(2) as all:
        for name in ("a1", "b1"):
            all.add(name)
        clock[0] += 1.0
        for name in ("c1", "d1", "e1"):
            all.add(name)
        assert all.began == ["a1", "b1", "c1", "d1"]  # twice the seats, and no more


def test_who_waits_is_seated_when_a_turn_becomes_slow() -> None:
    turns = Turns(2)
    with turns.turn("a", PATIENCE), turns.turn("b", PATIENCE):
        began = time.monotonic()
        with turns.turn("c", PATIENCE):
            assert turns.running == 3
        assert time.monotonic() - began < PATIENCE / 2


def test_patience(clock: list[float]) -> None:
    turns = Turns(2)
    with turns.turn("a", PATIENCE):
        with pytest.raises(NoTurn), turns.turn("a", 0.0):
            pass
        assert (turns.waiting, turns.running) == (0, 1)


def test_an_interrupted_wait_takes_no_seat(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    turns = Turns(2)

    def interrupt(event: threading.Event, timeout: float) -> bool:
        raise KeyboardInterrupt

    with turns.turn("a", PATIENCE):
        with monkeypatch.context() as patch:
            patch.setattr(threading.Event, "wait", interrupt)
            with pytest.raises(KeyboardInterrupt), turns.turn("a", PATIENCE):
                pass
        assert (turns.waiting, turns.running) == (0, 1)


def test_close_ends_the_waiting_and_what_comes(clock: list[float]) -> None:
    turns = Turns(2)
    with ThreadPoolExecutor(1) as pool, ExitStack() as first:
        first.enter_context(turns.turn("a", PATIENCE))

        def wait() -> None:
            with turns.turn("a", PATIENCE):
                raise AssertionError("a turn after close()")

        waiting = pool.submit(wait)
        while not turns.waiting:
            time.sleep(0)
        turns.close()
        with pytest.raises(Closed):
            waiting.result()
    with pytest.raises(Closed), turns.turn("a", PATIENCE):
        pass


def test_one_seat_is_refused() -> None:
    with pytest.raises(ValueError, match="all of them"):
        Turns(1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=60), st.integers(2, 4))
def test_nothing_is_lost_and_no_rule_is_broken(orders: list[tuple[str, int]], seats: int) -> None:
    turns = Turns(seats)
    running: list[str] = []
    broken: list[list[str]] = []
    lock = threading.Lock()

    def run(order: tuple[str, int]) -> str:
        database, rounds = order
        with turns.turn(database, PATIENCE):
            with lock:
                running.append(database)
                if running.count(database) > seats - 1 or len(running) > 2 * seats:
                    broken.append(list(running))
            for _ in range(rounds):
                time.sleep(0)
            with lock:
                running.remove(database)
        return database

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, orders)) == [database for database, _ in orders]
    assert broken == []
    assert (turns.waiting, turns.running) == (0, 0)
