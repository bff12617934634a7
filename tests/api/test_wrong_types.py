"""Arguments of wrong types, for every parameter and option of every method, also of plug-ins: the project's errors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import PluginError, PouchDBError
from pouchdb_core.methods import Operation


class Anything:
    def __init__(self, *args: object, **more: object) -> None:
        pass


WRONG: list[Any] = [
    5, 1.5, True, None, b"x", object(), [], {}, (), "", [5], {"a": object()}, {5: 5}, {"x"}, lambda *args: 1, Anything,
    "x", "x/y",
]  # fmt: skip
LISTED = re.compile(r"(?:there are|it takes): (.*)")
# They end the database of the test, or wait for what never comes.
LEFT_OUT = {"close", "destroy"}
NOT_WAITED_FOR = {"live", "continuous"}


def methods(kind: str) -> dict[str, Operation[..., Any]]:
    """Return all operations of a kind of object, each under one of its names."""
    with pouchdb.setup(":memory:") as env:
        cls: type = type(env["a"]) if kind == "database" else type(env)
    found: dict[str, Operation[..., Any]] = {}
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, Operation) and not name.startswith("_") and member.name not in LEFT_OUT:
            found.setdefault(member.name, member)
    return found


DATABASE, ENVIRONMENT = methods("database"), methods("environment")


def parameters(method: Operation[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(method.function).parameters.values())[1:]


def calls(method: Operation[..., Any], call: Callable[..., Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield arguments: a wrong value for each parameter, then for each option that an error message names."""
    known = parameters(method)
    named = [each for each in known if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    needed = [each for each in named if each.default is each.empty]
    good: dict[str, Any] = {each.name: "x/y/z" for each in needed}
    positional = {each.name for each in needed if each.kind is not each.KEYWORD_ONLY}

    def arguments(**given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        joined = {**good, **given}
        first = [each.name for each in named if each.name in positional]
        return tuple(joined.pop(name) for name in first), joined

    names = [each.name for each in named]
    if len(names) < len(known):
        args, more = arguments(nonsense=1)
        try:
            call(*args, **more)
        except PouchDBError as error:
            listed = LISTED.search(error.message)
            names += re.findall(r"\w+", listed[1]) if listed else []
    for name in dict.fromkeys(names):
        for value in WRONG:
            if not (name in NOT_WAITED_FOR and value):
                yield arguments(**{name: value})


def end(answer: Any) -> None:
    """End what goes on."""
    if inspect.isgenerator(answer):
        next(answer, None)
        answer.close()
    elif hasattr(answer, "cancel") and not isinstance(answer, dict):
        answer.cancel()


def faults(method: Operation[..., Any], subject: Callable[[], Any]) -> list[str]:
    found = []
    for args, more in calls(method, getattr(subject(), method.name)):
        try:
            end(getattr(subject(), method.name)(*args, **more))
        except PouchDBError:
            continue
        except Exception as error:
            found.append(f"{method.name}(*{args!r}, **{more!r}): {error!r}")
    return found


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some methods write files, and a wrong value may be a path."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", DATABASE)
def test_of_a_database(name: str) -> None:
    with pouchdb.setup(":memory:") as env:
        numbers = iter(range(10**6))
        # A new one each, so that no call changes what the next one gets.
        assert faults(DATABASE[name], lambda: env[f"d{next(numbers) % 20}"]) == []


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_of_an_environment(name: str) -> None:
    with pouchdb.setup(":memory:") as env:
        assert faults(ENVIRONMENT[name], lambda: env) == []


@pytest.mark.parametrize("name", ["PouchDB", "destroy", "as_user", "__getitem__", "__delitem__", "__contains__"])
def test_of_what_an_environment_does_itself(name: str) -> None:
    with pouchdb.setup(":memory:") as env:
        for value in WRONG:
            try:
                getattr(env, name)(value)
            except (PouchDBError, KeyError):
                continue


@pytest.mark.parametrize(
    "name", ["base_url", "plugins", "collation", "default", "durability", "js_engine", "js_limits"]
)
def test_of_setup(name: str) -> None:
    for value in WRONG:
        try:
            pouchdb.setup(":memory:", **{name: value}).close()
        except (PouchDBError, PluginError):
            continue


def test_there_are_methods_of_the_core_and_of_plugins() -> None:
    assert {"put", "get", "changes", "replicate_to", "query"} <= DATABASE.keys()
    assert "replicate" in ENVIRONMENT
