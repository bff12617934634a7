"""Running the code blocks of a document, as ``tests/installed`` does where little else is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("run_document", ROOT / "tests" / "installed" / "run_document.py")
assert SPEC is not None
assert SPEC.loader is not None
RUNNER = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(RUNNER)


@pytest.fixture
def run_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Run a document of the project, by its path, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda path: RUNNER.run(ROOT / path, {"__name__": "__main__"})
