"""The pages about views and indexes run, and print what they say."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.parametrize("path", ["docs/views.md", "docs/indexes.md"])
def test_the_code_blocks_run(path: str, run_document: Callable[[str], int]) -> None:
    assert run_document(path) > 0
