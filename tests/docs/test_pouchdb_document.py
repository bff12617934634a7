"""The page for those who know PouchDB: its code runs, and what it says does not exist is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-pouchdb.md"


def section(heading: str) -> str:
    return PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]


@pytest.fixture
def env() -> SyncEnvironment:
    return pouchdb.setup(":memory:", plugins=[])


def test_the_code_blocks_run(run_document: Callable[[str], int]) -> None:
    assert run_document("docs/coming-from-pouchdb.md") > 0


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text("utf-8")):
        assert (PAGE.parent / target).exists(), target


def test_options_that_do_not_exist_are_refused(env: SyncEnvironment) -> None:
    db = env["test"]
    options = re.findall(r"^\| `(\w+)(?:\((\w+)=\))?` \|", section("Options that do not exist"), re.MULTILINE)
    assert len(options) == 6
    for name, option in options:
        if option:
            with pytest.raises(pouchdb.BadRequest, match=option):
                getattr(db, name)(*(["a"] if name == "get" else []), **{option: True})
        elif name == "compact_document":
            assert not hasattr(db, name)
        else:
            with pytest.raises(pouchdb.BadRequest, match=f"unknown option '{name}'"):
                env.PouchDB("other", **{name: 1})


def test_methods_that_are_named_exist(env: SyncEnvironment) -> None:
    there = {"env": env, "db": env["test"]}
    right = "\n".join(line.split(" | ")[1] for line in section("Other ways to say it").splitlines() if " | " in line)
    named = re.findall(r"`(env|db)\.(\w+)", right)
    assert len(named) > 10
    assert [(which, name) for which, name in named if not hasattr(there[which], name)] == []


def test_what_is_done_differently(env: SyncEnvironment) -> None:
    db = env["test"]
    with pytest.raises(pouchdb.Conflict):
        db.put({"_id": "new", "_rev": "1-a"})
    one = db.put({"_id": "a%2Fb"}).rev
    assert db.get("a%2Fb")._id == "a%2Fb"
    assert db.changes(limit=0).results == []
    two = db.put({"_id": "a%2Fb", "_rev": one}).rev
    db.compact()
    assert db.revs_diff({"a%2Fb": [one, "3-x"]}) == {"a%2Fb": {"missing": ["3-x"], "possible_ancestors": [two]}}
    assert db.post({}).id < db.post({}).id
    db.put({"_id": "a%2Fb", "_rev": one, "other": True}, force=True)
    assert len(db.bulk_get([{"id": "a%2Fb"}]).results[0].docs) == 2
    assert {"doc_del_count", "purge_seq", "sizes"} <= set(db.info())
