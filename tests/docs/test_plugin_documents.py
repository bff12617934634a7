"""The pages for authors of plug-ins: their code runs, and every hook has its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "docs/asking.md",
    "docs/users.md",
    "docs/hooks.md",
    "docs/plugin-objects.md",
    "docs/writing-a-plugin.md",
    # In an unpacked sdist of the core there are none.
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("plugins/*/README.md"))),
]


@pytest.mark.parametrize("path", PAGES)
def test_the_code_blocks_run(path: str, run_document: Callable[[str], int]) -> None:
    pytest.importorskip("pouchdb_all_dbs")
    assert run_document(path) > 0
