"""Recorded sessions: text blocks that begin with ``$ `` are run again, and what comes is compared, all but times.

``python tests/docs/test_command_line.py`` writes what comes into the documents.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("docs/command-line.md", "README.md")
SESSION = re.compile(r"^```text\n(\$ .*?)^```$", re.MULTILINE | re.DOTALL)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
# Another version of SQLite makes other sizes, another day other times, every database another id.
CHANGES = re.compile(
    r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|[\d.]+ [kM]?B\b|(?<=^bytes) +\d+|\b[0-9a-f]{32}\b", re.MULTILINE
)
TERMINAL = {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "100"}


def recorded(session: str, directory: Path) -> str:
    """Run the commands of a session one after the other in a directory; return it with what they print."""
    lines = []
    for line in session.splitlines():
        if line.startswith("$ "):
            command = line[2:]
            lines.append(line)
            printed = STYLE.sub("", _run(command, directory))
            lines.extend(each.rstrip() for each in printed.splitlines())
    return "\n".join(lines) + "\n"


def _run(command: str, directory: Path) -> str:
    words = shlex.split(command)
    if words[0] != "pouchdb" or {"|", ">", "<", "&&"} & set(words):
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout
    from pouchdb.cli.app import run

    printed = io.StringIO()
    before = Path.cwd()
    os.chdir(directory)
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            mock.patch.dict(os.environ, TERMINAL),
        ):
            status = run(words[1:])
    finally:
        os.chdir(before)
    return printed.getvalue() + (f"(exit status {status})\n" if status else "")


def compared(session: str) -> str:
    return CHANGES.sub("?", session)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_recorded_sessions_are_what_the_commands_print(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    for variable in ("NO_COLOR", "POUCHDB_DIRECTORY", "POUCHDB_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    # The sessions of a document are one, in one directory.
    for session in SESSION.findall((ROOT / name).read_text("utf-8")):
        assert compared(recorded(session, tmp_path)) == compared(session)


def test_there_is_a_session_to_compare() -> None:
    assert SESSION.search((ROOT / "docs" / "command-line.md").read_text("utf-8"))


def test_every_command_and_every_status_has_its_line() -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    from pouchdb.cli.app import COMMANDS
    from pouchdb.cli.status import Status

    text = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    table = text.partition("## Commands")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([a-z-]+)[^`]*` \|", table, re.MULTILINE)
    brought = ("find", "index", "near", "search", "security", "serve", "user")
    assert sorted(listed) == sorted([*(command.name for command in COMMANDS), *brought])
    statuses = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert statuses == [int(status) for status in Status]


def test_the_commands_of_the_demo_are_commands() -> None:
    """What the steps of the demo print is understood: names, options and numbers of arguments."""
    pytest.importorskip("rich", reason="the command needs the extra cli")
    import ast

    from pouchdb.cli.app import build

    lines = []
    for path in (ROOT / "examples").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "tour.command":
                # Of a text with values in it, something stands for each.
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                lines.append("".join(str(part.value) if isinstance(part, ast.Constant) else "1-x" for part in parts))
    assert len(lines) >= 10
    group, _ = build()
    for line in lines:
        program, name, *arguments = shlex.split(line)
        assert program == "pouchdb"
        group.commands[name].make_context(name, arguments)


def main() -> None:
    """Write what the commands print into the documents."""
    for name in DOCUMENTS:
        before = (ROOT / name).read_text("utf-8")
        pieces, end = [], 0
        with tempfile.TemporaryDirectory() as directory:
            for found in SESSION.finditer(before):
                pieces += before[end : found.start(1)], recorded(found[1], Path(directory))
                end = found.end(1)
        text = "".join(pieces) + before[end:]
        if text != before:
            (ROOT / name).write_text(text, "utf-8")
            sys.stdout.write(f"{name}: written\n")


if __name__ == "__main__":
    main()
