"""The pages for authors of plug-ins: their code runs, and every hook has its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

PAGES = [
    "docs/asking.md",
    "docs/users.md",
    "docs/hooks.md",
    "docs/writing-a-plugin.md",
    "plugins/all_dbs/README.md",
    "plugins/auth/README.md",
    "plugins/find/README.md",
    "plugins/gql/README.md",
    "plugins/search/README.md",
    "plugins/spatial/README.md",
    "plugins/validation/README.md",
]


@pytest.mark.parametrize("path", PAGES)
def test_the_code_blocks_run(path: str, run_document: Callable[[str], int]) -> None:
    pytest.importorskip("pouchdb_all_dbs")
    assert run_document(path) > 0
