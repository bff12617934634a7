"""Clients that others wrote talk to our server: a program of some twenty calls each, whose answers they check."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import pouchdb

testing = pytest.importorskip("pouchdb_server.testing")

FOLDER = Path(__file__).parent / "clients"
PYTHON = FOLDER / ".venv" / "bin" / "python"
SECONDS = 120
LEAST = 15
PROGRAMS = sorted(path.name for path in FOLDER.glob("*_program.*"))


@pytest.fixture(params=["memory", "file"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    where = ":memory:" if request.param == "memory" else tmp_path / "data"
    with pouchdb.setup(where, durability="normal") if request.param == "file" else pouchdb.setup(where) as environment:
        with testing.couch_server(environment, admins={"ada": "secret"}) as server:
            yield server.url
        # Each cleans up behind itself.
        assert [name for name in environment if not name.startswith("_")] == []


def runner(program: str) -> list[str]:
    """Return what runs a program, or skip loudly."""
    if program.endswith(".py"):
        if not PYTHON.is_file():
            pytest.skip(f"call `make peers` (tests/interop/clients/.venv): NO TEST with {program} was made")
        return [str(PYTHON), "-W", "ignore"]
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "nano").is_dir():
        pytest.skip(f"call `make peers` (npm ci in tests/interop/clients): NO TEST with {program} was made")
    return [node]


@pytest.mark.parametrize("program", PROGRAMS)
def test_client(server: str, program: str, tmp_path: Path) -> None:
    # Nobody's proxy is between the two.
    surroundings = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [*runner(program), str(FOLDER / program), server, str(tmp_path / "file")],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=surroundings,
        cwd=FOLDER,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(steps) >= LEAST
    assert len(steps) == len(set(steps)), "a step is named twice"


def test_there_are_seven() -> None:
    assert len(PROGRAMS) == 7
