from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import Forbidden
from pouchdb_core.testing.commands import CommandResult

# couch_server and run_command.
pytest_plugins = ["pouchdb_core.testing.fixtures"]


@pytest.fixture(params=["file", "memory"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    directory = tmp_path / "databases" if request.param == "file" else ":memory:"
    with pouchdb.setup(directory, plugins=["tags"]) as environment:
        yield environment


def test_tagged(env: Any) -> None:
    db = env["notes"]
    db.bulk_docs([{"_id": "b", "tags": ["red"]}, {"_id": "a", "tags": ["red", "green"]}, {"_id": "c"}])
    assert db.tagged("red") == ["a", "b"]
    assert db.tagged("green") == ["a"]
    assert db.tagged("blue") == []


def test_it_follows_edits_deletions_and_purges(env: Any) -> None:
    db = env["notes"]
    rev = db.put({"_id": "a", "tags": ["red"]}).rev
    assert db.tagged("red") == ["a"]
    rev = db.put({"_id": "a", "_rev": rev, "tags": ["green"]}).rev
    assert (db.tagged("red"), db.tagged("green")) == ([], ["a"])
    db.remove("a", rev)
    assert db.tagged("green") == []
    rev = db.put({"_id": "b", "tags": ["green"]}).rev
    assert db.tagged("green") == ["b"]
    db.purge("b", rev)
    assert db.tagged("green") == []


def test_tag_counts(env: Any) -> None:
    env["notes"].put({"_id": "a", "tags": ["red", "green"]})
    env["birds"].put({"_id": "b", "tags": ["red"]})
    assert env.tag_counts() == {"red": 2, "green": 1}


def test_tags_are_stored_in_lower_case(env: Any) -> None:
    env["notes"].put({"_id": "a", "tags": ["Red"]})
    assert env["notes"].get("a").tags == ["red"]


def test_anyone_who_may_read_may_ask(env: Any) -> None:
    env["notes"].put({"_id": "a", "tags": ["red"]})
    assert env["notes"].as_user({"name": "ada", "roles": []}).tagged("red") == ["a"]


@pytest.mark.parametrize("tags", ["red", 5, None, {}, [5], ["red", None]])
def test_what_is_not_a_list_of_strings_is_refused(env: Any, tags: object) -> None:
    with pytest.raises(Forbidden, match="tags must be a list of strings"):
        env["notes"].put({"_id": "a", "tags": tags})
    assert len(env["notes"]) == 0


def test_what_is_replicated_is_left_as_it_is(env: Any) -> None:
    document = {"_id": "a", "_rev": "1-abc", "tags": "Red"}
    env["notes"].bulk_docs([document], new_edits=False)
    env["notes"].replicate_to(env["copy"])
    assert env["copy"].get("a") == document
    assert env["copy"].tagged("Red") == ["a"]


def test_the_command(run_command: Callable[..., CommandResult]) -> None:
    pytest.importorskip("click", reason="NO TEST of the command: pip install 'pouchdb[cli]'")
    assert run_command("create", "notes").status == 0
    assert run_command("put", "notes", '{"_id": "a", "tags": ["red"]}').status == 0
    found = run_command("tagged", "notes", "red")
    assert (found.status, found.out.split()) == (0, ["a"])


def test_the_route() -> None:
    server = pytest.importorskip("pouchdb_server", reason="NO TEST of the route: pip install 'pouchdb[server]'")
    with pouchdb.setup(":memory:", plugins=["server", "tags"]) as environment:
        environment["notes"].put({"_id": "a", "tags": ["red"]})
        service = server.service(environment)
        answer = service.answer(service.request("GET", "/notes/_tagged/red"))
        assert (answer.status, answer.body) == (200, b'{"ids":["a"]}\n')


def test_the_page() -> None:
    server = pytest.importorskip("pouchdb_server", reason="NO TEST of the page: pip install 'pouchdb[server]'")
    with pouchdb.setup(":memory:", plugins=["server", "tags"]) as environment:
        service = server.service(environment)
        [page] = json.loads(service.answer(service.request("GET", "/_utils/pages.json")).body)
        assert (page["title"], page["level"]) == ("Tags", "database")
        answer = service.answer(service.request("GET", f"/_utils/{page['module']}"))
        assert (answer.status, b"export default" in answer.body) == (200, True)
