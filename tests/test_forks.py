"""The registry of what a forked child must not inherit, and that nothing has its own way to survive a fork."""

from __future__ import annotations

import ast
import gc
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pouchdb_core import forks
from pouchdb_core.forks import Origin, around_forks, renew_in_child

ROOT = Path(__file__).parents[1]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


class Thing:
    """It has a lock, and cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.renewed = 0
        self.lock = threading.Lock()
        renew_in_child(self.renew)

    def __eq__(self, other: object) -> bool:
        return True

    def renew(self) -> None:
        self.renewed += 1
        self.lock = threading.Lock()


class Failing:
    def __init__(self) -> None:
        renew_in_child(self.renew)

    def renew(self) -> None:
        raise OSError("no more files")


def in_child(run: Callable[[], bool]) -> bool:
    """Return what ``run`` returns in a forked child."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if run() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_fork
def test_each_object_is_renewed_once_in_the_child_and_never_in_the_parent() -> None:
    things = [Thing() for _ in range(3)]
    with things[0].lock:
        assert in_child(lambda: [each.renewed for each in things] == [1, 1, 1] and things[0].lock.acquire(timeout=0))
    assert [each.renewed for each in things] == [0, 0, 0]


@needs_fork
def test_a_child_of_a_child_is_renewed_again() -> None:
    thing = Thing()
    assert in_child(lambda: in_child(lambda: thing.renewed == 2) and thing.renewed == 1)


@needs_fork
def test_one_that_fails_is_logged_and_keeps_no_other_from_being_renewed() -> None:
    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    messages: list[str] = []
    things: list[object] = [part for _ in range(4) for part in (Thing(), Failing())]
    handler = Listening()
    forks.logger.addHandler(handler)
    try:
        assert in_child(
            lambda: (
                all(each.renewed == 1 for each in things if isinstance(each, Thing))
                and messages == ["Failing cannot be used in this forked process"] * 4
            )
        )
    finally:
        forks.logger.removeHandler(handler)


def test_the_registry_keeps_nothing_alive() -> None:
    def known() -> int:
        return sum(isinstance(entry(), Thing) for entry in forks._entries.copy())

    before = known()
    things = [Thing() for _ in range(10)]
    assert known() == before + 10
    size = len(forks._entries)
    del things
    gc.collect()
    assert known() == before
    assert len(forks._entries) <= size - 10


@needs_fork
def test_an_origin_is_the_process_that_made_the_object() -> None:
    origin = Origin()
    assert origin.here()
    assert in_child(lambda: not origin.here() and Origin().here())
    assert origin.here()


@needs_fork
def test_functions_around_a_fork_are_called_on_both_sides() -> None:
    def run() -> bool:
        # In a child of its own: what is registered stays.
        calls: list[str] = []
        around_forks(
            before=lambda: calls.append("before"),
            in_parent=lambda: calls.append("parent"),
            in_child=lambda: calls.append("child"),
        )
        return in_child(lambda: calls == ["before", "child"]) and calls == ["before", "parent"]

    assert in_child(run)


# Where the number of the process is part of a name, and nothing depends on a fork.
NAMES = {"pouchdb/cli/dumps.py", "pouchdb_core/views/builders.py", "plugins/postgres/pouchdb_postgres/adapter.py"}


@pytest.mark.checkout
def test_nothing_else_has_its_own_way_to_survive_a_fork() -> None:
    sources = [*ROOT.glob("pouchdb*/**/*.py"), *ROOT.glob("plugins/*/pouchdb_*/**/*.py")]
    found = {
        str(path.relative_to(ROOT))
        for path in sources
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("getpid", "register_at_fork", "_at_fork_reinit")
    }
    assert len(sources) > 200
    assert found == {"pouchdb_core/forks.py", *NAMES}
