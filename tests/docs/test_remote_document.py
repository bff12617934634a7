"""The guide to remote databases is a program that runs, with our own server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("pouchdb_server")


def test_the_code_blocks_run(run_document: Callable[[str], int]) -> None:
    assert run_document("docs/remote.md") > 0
