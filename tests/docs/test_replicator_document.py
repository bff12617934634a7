"""The code in the guide to the replications of a server runs, and prints what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pouchdb_core.errors import BadRequest

pytest.importorskip("pouchdb_server")

PAGE = Path(__file__).parents[2] / "docs" / "replicator.md"


def test_the_code_blocks_run(run_document: Callable[[str], int]) -> None:
    assert run_document("docs/replicator.md") == 2


def test_the_fields_are_those_that_are_read() -> None:
    from pouchdb_server.replicator.definition import definition

    told = re.findall(r"^\| (`.*?) \|", PAGE.read_text("utf-8").partition("## States")[0], re.MULTILINE)
    names = [name for line in told for name in re.findall(r"`(\w+)`", line)]
    assert len(names) > 15
    # Each of them is looked at: nonsense is refused.
    for name in names:
        with pytest.raises(BadRequest, match=name.rpartition("_")[2]):
            definition({"source": "s", "target": "t", name: object()})


def test_the_states_are_those_that_there_are() -> None:
    from pouchdb_server.replicator.scheduler import STATES

    table = PAGE.read_text("utf-8").partition("## States")[2].partition("Only the last two")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == STATES
