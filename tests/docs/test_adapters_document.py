"""The page for authors of adapters: its code runs, and it names every capability."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pouchdb_core.testing.conformance import Capabilities

PAGE = Path(__file__).parents[2] / "docs" / "adapters.md"


def test_the_code_blocks_run(run_document: Callable[[str], int]) -> None:
    assert run_document("docs/adapters.md") > 0


def test_every_capability_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8").partition("## Fixtures")[0], re.MULTILINE)
    assert explained == list(Capabilities.__dataclass_fields__)
