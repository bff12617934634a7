"""``make demo SERVER=postgresql://...``: the step leaves nothing behind, also when it fails."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

import pouchdb

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_step_of_the_demo(
    url: str, place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not EXAMPLES.is_dir():
        pytest.skip("the examples are not here: these tests run outside the repository")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    tour, remote = importlib.import_module("tour"), importlib.import_module("remote")
    monkeypatch.delitem(sys.modules, "remote")
    monkeypatch.delitem(sys.modules, "tour")
    with pouchdb.setup(":memory:") as env:
        airports = [{"_id": f"airport:BI{number:02}", "country": "IS"} for number in range(60)]
        env["airports"].bulk_docs([*airports, {"_id": "airport:BIKF", "country": "IS"}, {"_id": "x", "country": "FR"}])
        assert tour.run(tour.Tour(tmp_path, env), remote.steps(url)) == 0
        assert "IS: 61" in capsys.readouterr().out
        assert list(place) == []
        # Without the airport that it edits it fails, and clears up as well.
        env["airports"].remove(env["airports"]["airport:BIKF"])
        assert tour.run(tour.Tour(tmp_path, env), remote.steps(url)) == 1
        assert list(place) == []
