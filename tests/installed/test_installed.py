"""README, the tutorial and a new plug-in in clean environments. All documents: ``make docs-installed``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
DOCUMENTS = ("README.md", "docs/tour.md", "docs/tutorial.md")


@pytest.fixture(autouse=True)
def possible() -> None:
    """Skip loudly where nothing can be built."""
    if not (FOLDER.parents[1] / "plugins").is_dir():
        pytest.skip("an unpacked sdist has no plug-ins to build")
    pytest.importorskip("build", reason="NO TEST as installed: the extra dev brings build")
    if sys.platform == "win32":
        pytest.skip("NO TEST as installed: the environments are laid out for POSIX")


def run(script: str, *words: str) -> str:
    command = [sys.executable, str(FOLDER / script), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_a_newcomer_gets_through_the_first_documents() -> None:
    said = run("documents.py", "--share", *DOCUMENTS)
    assert f"{len(DOCUMENTS)} documents passed, 0 failed" in said


@pytest.mark.slow
def test_a_new_plug_in_passes_its_tests_beside_built_wheels() -> None:
    assert " passed" in run("template.py").splitlines()[-1]
