"""The code in the guide to the asynchronous interface runs, and prints what it says."""

from __future__ import annotations

from collections.abc import Callable


def test_the_code_blocks_run(run_document: Callable[[str], int]) -> None:
    assert run_document("docs/async.md") == 8
