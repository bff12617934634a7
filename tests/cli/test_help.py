"""The help of the commands: each has examples that its own options accept, and no text is cut off."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

pytest.importorskip("rich", reason="the command needs the extra cli")

from pouchdb.cli.app import build
from pouchdb.cli.group import Command

GROUP, OWNERS = build()


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(GROUP))
EXAMPLES = [(path, example) for path, command in COMMANDS.items() for example in getattr(command, "examples", ())]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_examples(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert isinstance(command, Command)
    assert command.examples
    assert "\nExamples:\n  " in command.get_help(click.Context(command, info_name=" ".join(path)))


@pytest.mark.parametrize(("path", "example"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else "")
def test_its_options_accept_the_example(
    path: tuple[str, ...], example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").touch()
    Path("design").mkdir()
    for line in example.split(" | "):
        words = [word for word in shlex.split(line) if not word.startswith("POUCHDB_")]
        if words[0] != "pouchdb":
            continue
        # What follows is the shell's.
        words = words[: words.index(">")] if ">" in words else words
        found: click.Command = GROUP
        rest = words[1:]
        while isinstance(found, click.Group):
            found = found.commands[rest.pop(0)]
        # Raises UsageError for what it does not know.
        found.make_context(found.name, rest)
    assert f"pouchdb {' '.join(path)}" in example


@pytest.mark.parametrize("group", [GROUP, *(each for each in GROUP.commands.values() if isinstance(each, click.Group))])
def test_no_description_is_cut_off(group: click.Group) -> None:
    assert "..." not in group.get_help(click.Context(group, info_name=group.name)).replace("[ARGS]...", "")
