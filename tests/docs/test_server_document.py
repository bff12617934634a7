"""The code in the guide to the server runs, and prints what it says; its commands and settings exist."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pouchdb_server")

PAGE = Path(__file__).parents[2] / "docs" / "server.md"


@pytest.fixture
def text() -> str:
    return PAGE.read_text("utf-8")


def test_the_code_blocks_run(run_document: Callable[[str], int]) -> None:
    assert run_document("docs/server.md") == 7


def test_options_of_the_command_exist(text: str) -> None:
    lines = re.findall(r"pouchdb serve (.*)$|`(--[a-z-]+.*?)`", text, re.MULTILINE)
    told = {option for line in lines for option in option_names(" ".join(line))}
    done = subprocess.run(
        [sys.executable, "-m", "pouchdb", "serve", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert {"--admin", "--host", "--cors", "--cors-origin"} <= told
    assert told <= option_names(done.stdout)


def option_names(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z-]+", text))


def test_settings_exist(text: str) -> None:
    from pouchdb_server import Settings

    names = set(re.findall(r"`(max_\w+|workers|patience|admins|cors)`", text))
    assert len(names) > 5
    assert names <= set(Settings.__dataclass_fields__)


def test_faults_exist(text: str) -> None:
    from pouchdb_server.testing import CouchServer

    names = re.findall(r"^\| `(\w+)\(", text, re.MULTILINE)
    assert len(names) == 6
    assert all(callable(getattr(CouchServer, name)) for name in names)


@pytest.mark.checkout
@pytest.mark.parametrize("page", ["docs/server.md", "docs/http-coverage.md", "plugins/server/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    document = PAGE.parents[1] / page
    for target in re.findall(r"\]\((?!https?://)([^)#\s]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), f"{page} links {target}"
