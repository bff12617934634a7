"""README and the tutorial, followed in a clean environment. All documents: ``make docs-installed``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
DOCUMENTS = ("README.md", "docs/tutorial.md")


@pytest.mark.slow
def test_a_newcomer_gets_through_the_first_documents() -> None:
    if not (FOLDER.parents[1] / "plugins").is_dir():
        pytest.skip("an unpacked sdist has no plug-ins to build")
    pytest.importorskip("build", reason="NO TEST as installed: the extra dev brings build")
    if sys.platform == "win32":
        pytest.skip("NO TEST as installed: the environments are laid out for POSIX")
    command = [sys.executable, str(FOLDER / "documents.py"), "--share", *DOCUMENTS]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"{len(DOCUMENTS)} documents passed, 0 failed" in done.stdout
