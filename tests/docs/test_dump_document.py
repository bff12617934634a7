"""The page about dumps: its code runs."""

from __future__ import annotations

from collections.abc import Callable


def test_the_code_blocks_run(run_document: Callable[[str], int]) -> None:
    assert run_document("docs/dump.md") == 2
