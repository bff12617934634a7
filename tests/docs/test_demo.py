"""`make demo`: it runs, the README shows a piece of what it prints, and a step that fails makes it fail."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"[\d.,]*\d")


@pytest.fixture(scope="module")
def output() -> str:
    pytest.importorskip("airportsdata", reason="airportsdata is not installed: make demo installs it")
    pytest.importorskip("pouchdb_all_dbs")
    pytest.importorskip("pouchdb_find")
    pytest.importorskip("pouchdb_couchapp")
    pytest.importorskip("pouchdb_gql")
    command = [sys.executable, "-X", "utf8", "-W", "error", "examples/demo.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_every_step_is_shown(output: str) -> None:
    steps = re.findall(r"^(\d+)\. ", output, re.MULTILINE)
    assert steps == [str(number) for number in range(1, len(steps) + 1)]
    assert f"All {len(steps)} steps did what they said" in output
    assert "\033" not in output, "no colours when the output is no terminal"


def test_the_readme_shows_what_it_prints(output: str) -> None:
    shown = re.search(r"```text\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert NUMBER.sub("0", shown[1].strip()) in NUMBER.sub("0", output)


@pytest.fixture
def tour() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("tour", ROOT / "examples" / "tour.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules["tour"] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["tour"]


def test_a_claim_that_is_not_true_fails(tour: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reached = []

    def wrong(tour):
        """Add up."""
        tour.check(1 + 1 == 3, "one and one are three")

    assert tour.run(tour.Tour(tmp_path), [wrong, reached.append]) == 1
    assert "step 1, wrong: one and one are three" in capsys.readouterr().err
    assert not reached


def test_an_exception_fails(tour: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(tour):
        """Break."""
        raise ValueError("broken")

    assert tour.run(tour.Tour(tmp_path), [broken]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_is_shown_is_what_is_run(tour: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def adds(tour):
        """Add."""
        with tour.code():
            total = sum(
                [1, 2],
            )
        tour.notes["total"] = total

    place = tour.Tour(tmp_path)
    assert tour.run(place, [adds]) == 0
    assert place.notes["total"] == 3
    assert "\n       total = sum(\n           [1, 2],\n       )\n" in capsys.readouterr().out


def test_the_step_with_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tour: ModuleType) -> None:
    """``make demo SERVER=...``: it leaves nothing behind, also when it fails."""
    pytest.importorskip("pouchdb_server")
    import pouchdb
    from pouchdb_core.testing.server import couch_server

    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    remote = importlib.import_module("remote")
    monkeypatch.delitem(sys.modules, "remote")
    assert remote.steps(None) == []
    with couch_server(admins={"anna": "secret"}) as server, pouchdb.setup(":memory:") as env:
        airports = [{"_id": f"airport:{number:05}", "country": "FR"} for number in range(1_100)]
        airports += [{"_id": f"airport:BI{number:02}", "country": "IS"} for number in range(60)]
        env["airports"].bulk_docs([*airports, {"_id": "airport:BIKF", "country": "IS"}])
        place = tour.Tour(tmp_path, env)
        assert tour.run(place, remote.steps(server.url.replace("//", "//anna:secret@"))) == 0
        assert list(server.environment) == []
        assert list(env) == ["airports"]
        # It is asked again and again; how long that waits in between does not matter here.
        monkeypatch.setattr("pouchdb_core.adapters.http.http_session.FIRST_DELAY", 0.001)
        server.fail(500, "_bulk_get", times=None)
        assert tour.run(place, remote.steps(server.url.replace("//", "//anna:secret@"))) == 1
        assert list(server.environment) == []
