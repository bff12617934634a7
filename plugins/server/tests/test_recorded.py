"""What an Apache CouchDB 3.5 answered (recorded/core.jsonl), and the list of what is different on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pouchdb_server.recordings import ON_PURPOSE, Recording
from pouchdb_server.testing import CouchServer

import pouchdb

RECORDING = Recording.load(Path(__file__).parent / "recorded", "core")
PAGE = Path(__file__).parents[3] / "docs" / "http-coverage.md"
ADMIN = ("admin", "secret")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    environment = pouchdb.setup(":memory:", plugins=["server", "all_dbs", "find"])
    with CouchServer(environment, admins=dict([ADMIN])) as server:
        yield server.url
    environment.close()


@pytest.mark.parametrize("scenario", RECORDING.scenarios)
def test_recorded(url, scenario):
    differences = RECORDING.play(scenario, url, ADMIN)
    assert RECORDING.unexpected(scenario, differences) == []


@pytest.mark.skipif(not PAGE.exists(), reason="docs/http-coverage.md is in the repository: NO TEST of it")
def test_the_page_shows_what_is_different_on_purpose():
    section = PAGE.read_text("utf-8").partition("\n## Different on purpose\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (.*?) \|$", section, re.MULTILINE)[2:]
    wanted = [
        (
            each.why,
            "; ".join(
                f"{recording} {scenario} {', '.join(map(str, steps))}"
                for (recording, scenario), steps in each.where.items()
            ),
        )
        for each in ON_PURPOSE
    ]
    assert rows == wanted
