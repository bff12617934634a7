"""Documents like another one, completions, suggestions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

import pouchdb

TEXTS = {
    "fox": "The quick brown foxes are running through the northern forest",
    "dog": "A quick dog runs in the forest, the northern one",
    "cake": "Chocolate cake with brown sugar and running cream",
    "boat": "A boat runs aground near the northern harbour",
    "none": "",
}
INDEX = "function (doc) { index('default', doc.text); index('title', doc._id); index('size', doc.text.length); }"
PLAIN = ("plain", "standard", "english")


@pytest.fixture(scope="module")
def env() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        fill(environment["texts"])
        yield environment


def fill(db: Any) -> None:
    db.bulk_docs([{"_id": id, "text": text} for id, text in TEXTS.items()])
    indexes: dict[str, Any] = {name: {"index": INDEX, "analyzer": name} for name in PLAIN[1:]}
    db.put({"_id": "_design/d", "indexes": {"plain": {"index": INDEX}, **indexes}})


@pytest.fixture
def db(env: Any) -> Any:
    return env["texts"]


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer.rows]


@pytest.mark.parametrize("index", PLAIN)
def test_documents_like_another_one(db: Any, index: str) -> None:
    answer = db.search(f"d/{index}", more_like="fox")
    assert ids(answer)[0] == "dog", "two rare words are the same"
    assert "fox" not in ids(answer), "the model itself is left out"
    assert "none" not in ids(answer)
    assert answer.rows[0].score > answer.rows[1].score
    text = db.search(f"d/{index}", more_like={"text": "harbour boat"})
    assert ids(text) == ["boat"]
    both = db.search(f"d/{index}", more_like="fox", q="title:boat")
    assert ids(both) == ["boat"]
    assert ids(db.search(f"d/{index}", more_like={"id": "fox", "fields": ["title"]})) == []
    assert len(db.search(f"d/{index}", more_like={"id": "fox", "max_terms": 1}).rows) >= 1
    assert ids(db.search(f"d/{index}", more_like="none")) == []


@pytest.mark.parametrize(
    "model", [5, {}, {"id": "fox", "text": "x"}, {"id": 5}, {"text": 5}, {"id": "fox", "fields": "title"},
              {"id": "fox", "max_terms": 0}, {"id": "fox", "colour": 1}]
)  # fmt: skip
def test_a_model_is_checked(db: Any, model: Any) -> None:
    with pytest.raises(pouchdb.BadRequest, match="more_like"):
        db.search("d/plain", more_like=model)


def test_a_model_must_be_there(db: Any) -> None:
    with pytest.raises(pouchdb.NotFound):
        db.search("d/plain", more_like="nobody")


@pytest.mark.parametrize(
    ("index", "prefix", "words"),
    [
        ("standard", "run", ["running", "runs"]),
        ("standard", "RUN", ["running", "runs"]),
        ("standard", "no", ["northern"]),
        ("standard", "x", []),
        ("english", "nor", ["northern"]),
        ("english", "runni", ["running"]),
        ("english", "forest", ["forest"]),
        ("plain", "foxe", ["foxes"]),
        ("plain", "qu", ["quick"]),
    ],
)
def test_completions(db: Any, index: str, prefix: str, words: list[str]) -> None:
    answer = db.search_completions(f"d/{index}", prefix)
    assert [each.text for each in answer.completions] == words
    assert answer == db.searchCompletions(f"d/{index}", prefix)


def test_completions_are_counted_and_limited(db: Any) -> None:
    answer = db.search_completions("d/standard", "n")
    assert answer.completions == [{"text": "northern", "count": 3}, {"text": "near", "count": 1}]
    assert len(db.search_completions("d/standard", "n", limit=1).completions) == 1
    assert [each.text for each in db.search_completions("d/standard", "b", field="title").completions] == ["boat"]


@pytest.mark.parametrize(
    ("index", "text", "meant"),
    [
        ("standard", "quikc brown", "quick brown"),
        ("standard", "the quikc forst!", "the quick forest!"),
        ("standard", "quick brown", "quick brown"),
        ("standard", "zzzzzz", "zzzzzz"),
        ("standard", "nothern harbor", "northern harbour"),
        ("standard", "xorthern", "northern"),
        ("english", "nothern", "northern"),
        ("english", "runing", "running"),
        ("english", "chocoalte", "chocolate"),
        ("english", "forrests", "forest"),
        ("plain", "chocolat cakke", "chocolate cake"),
    ],
)
def test_suggestions(db: Any, index: str, text: str, meant: str) -> None:
    assert db.search_suggestions(f"d/{index}", text).text == meant


def test_suggestions_are_ordered(db: Any) -> None:
    (word,) = db.search_suggestions("d/standard", "rune").words
    assert word.word == "rune"
    assert word.suggestions[0] == {"text": "runs", "distance": 1, "count": 2}
    assert [each.distance for each in word.suggestions] == sorted(each.distance for each in word.suggestions)
    assert len(db.search_suggestions("d/standard", "boet", limit=1).words[0].suggestions) == 1


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda db: db.search_completions("d/standard", ""), 400),
        (lambda db: db.search_completions("d/standard", 5), 400),
        (lambda db: db.search_completions("d/standard", "a", limit=0), 400),
        (lambda db: db.search_completions("d/standard", "a", limit=101), 400),
        (lambda db: db.search_completions("d/standard", "a", field=""), 400),
        (lambda db: db.search_completions("d/none", "a"), 404),
        (lambda db: db.search_suggestions("none/none", "a"), 404),
        (lambda db: db.search_suggestions("d/standard", " "), 400),
    ],
)
def test_wrong_calls(db: Any, call: Any, status: int) -> None:
    with pytest.raises(pouchdb.PouchDBError) as caught:
        call(db)
    assert caught.value.status == status


def test_documents_that_changed_since_do_no_harm() -> None:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db: Any = environment["texts"]
        fill(db)
        db.search("d/standard", q="quick")
        indexed = db.search_suggestions("d/standard", "chocolte")
        assert indexed.text == "chocolate"
        db["cake"] = {"text": "vanilla"}
        assert db.search_suggestions("d/standard", "chocolte").text == "chocolte"


def test_the_server_and_a_database_on_it() -> None:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    http = urllib3.PoolManager()
    with pouchdb.setup(":memory:", plugins=["server", "search"]) as environment, couch_server(environment) as server:
        fill(environment["texts"])
        base = f"{server.url}/texts/_design/d"

        def get(path: str, **fields: str) -> Any:
            answer = http.request("GET", f"{base}/{path}", fields=fields)
            return json.loads(answer.data) if answer.status == 200 else answer.status

        assert get("_search_completions/standard", prefix="run", limit="1") == {
            "completions": [{"text": "running", "count": 2}]
        }
        assert get("_search_completions/standard") == 400
        assert get("_search_suggestions/standard", q="quikc")["text"] == "quick"
        assert get("_search/standard", more_like="fox")["rows"][0]["id"] == "dog"
        assert get("_search/standard", more_like='{"text": "harbour"}')["total_rows"] == 1
        remote: Any = environment.PouchDB(f"{server.url}/texts")
        assert remote.search_completions("d/standard", "run", limit=1).completions[0].text == "running"
        assert remote.search_suggestions("d/standard", "quikc & co").text == "quick & co"
        assert ids(remote.search("d/standard", more_like="fox"))[0] == "dog"
    http.clear()


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    from pouchdb.cli.app import run

    monkeypatch.chdir(tmp_path)
    with pouchdb.setup("data", plugins=[]) as environment:
        fill(environment["texts"])
    assert run(["complete", "texts", "d/english", "nor"]) == 0
    assert capsys.readouterr().out.split() == ["northern", "3"]
    assert run(["suggest", "texts", "d/standard", "quikc brown"]) == 0
    output = capsys.readouterr()
    assert output.out.split() == ["quikc", "quick"]
    assert "quick brown" in output.err
    assert run(["search", "texts", "d/standard", "--like", "fox", "--limit", "1"]) == 0
    assert capsys.readouterr().out.split("\t")[0] == "dog"
    assert run(["search", "texts", "d/standard"]) == 2
