"""The README's program, on a server."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_the_program_runs_on_a_server(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = ROOT / "tests" / "installed" / "run_document.py"
    if not runner.exists():
        pytest.skip("the runner of documents is in the repository")
    spec = importlib.util.spec_from_file_location("run_document", runner)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    assert module.run(Path(__file__).parents[1] / "README.md", {"__name__": "__main__"}) > 0
    # Nothing was written here.
    assert list(tmp_path.iterdir()) == []
