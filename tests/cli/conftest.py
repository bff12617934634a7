"""Running the command: in this process, as a process, and on a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich", reason="the command needs the extra cli")

import pouchdb
from pouchdb.cli.app import run
from pouchdb_core import SyncEnvironment


@dataclass
class Done:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """The lines of JSON; the one, if there is one."""
        found = [json.loads(line) for line in self.out.splitlines()]
        return found[0] if len(found) == 1 else found

    @property
    def error(self) -> Any:
        return json.loads(self.err)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of databases; it is what the command takes by default."""
    monkeypatch.chdir(tmp_path)
    for name in ("POUCHDB_DIRECTORY", "POUCHDB_PASSWORD", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def cli(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run the command in this process: ``cli("get", "notes", "a")``."""

    def call(*arguments: str, stdin: str | None = None) -> Done:
        capsys.readouterr()
        status = run(list(arguments))
        out, err = capsys.readouterr()
        return Done(int(status), out, err)

    return call


@pytest.fixture
def env(directory: Path) -> Iterator[SyncEnvironment]:
    with pouchdb.setup(directory, plugins=[]) as environment:
        yield environment


@pytest.fixture
def process(directory: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command as a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, stdin: Any = None, **variables: str) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "pouchdb", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory.parent,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
        )
        started.append(made)
        return made

    yield start
    for each in started:
        if each.poll() is None:
            each.kill()
        each.communicate()
