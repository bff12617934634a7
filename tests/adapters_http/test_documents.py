"""Documents of a server: what is checked here before it is sent, and put in order when it comes."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import BadRequest, MissingId, NotFound, QueryParseError, Unauthorized

Server = Any


def test_leaves_are_told_best_first(db: SyncPouchDB, server: Server) -> None:
    """Servers tell them in any order."""
    told = [
        {"ok": {"_id": "a", "_rev": "3-a", "_deleted": True}},
        {"ok": {"_id": "a", "_rev": "2-b"}},
        {"missing": "1-x"},
        {"ok": {"_id": "a", "_rev": "10-a"}},
        {"ok": {"_id": "a", "_rev": "odd"}},
        {"ok": {"_id": "a", "_rev": "2-c"}},
    ]
    order = ["10-a", "2-c", "2-b", "odd", "3-a", None]
    server.answer = lambda asked: told
    assert [each.get("ok", {}).get("_rev") for each in db.open_revs("a")] == order
    server.answer = lambda asked: {"results": [{"id": "a", "docs": told}]}
    found = db.bulk_get([{"id": "a"}])["results"][0]["docs"]
    assert [each["ok"]["_rev"] for each in found] == order[:-1]
    server.answer = lambda asked: {"_id": "a", "_rev": "11-x", "_conflicts": ["2-b", "10-a", "2-c"]}
    assert db.get("a", conflicts=True)["_conflicts"] == ["10-a", "2-c", "2-b"]


@pytest.mark.parametrize(
    "entries",
    [{"t": {}}, {"t": {"content_type": "a/b"}}, {"t": {"data": "not base64!"}}, {"t": 5}, {"_t": {"data": b""}}],
    ids=repr,
)
def test_attachments_that_cannot_be_are_not_sent(db: SyncPouchDB, server: Server, entries: Any) -> None:
    with pytest.raises(BadRequest, match=r"(?i)attachment"):
        db.put({"_id": "a", "_attachments": entries})
    assert server.asked == []


@pytest.mark.parametrize("since", [{}, 1.5, True, b"1"], ids=repr)
def test_a_since_that_is_no_seq_is_not_sent(db: SyncPouchDB, server: Server, since: Any) -> None:
    with pytest.raises(BadRequest, match="since"):
        db.changes(since=since)
    assert server.asked == []


@pytest.mark.parametrize("id", ["", "_all_docs", "_design", "_design/", "_local/", "_changes", "\ud800"], ids=ascii)
def test_what_is_no_id_is_not_asked_for(db: SyncPouchDB, server: Server, id: str) -> None:
    """It would name something else in a URL."""
    server.answer = lambda asked: {"rows": []}
    for call in (
        lambda: db.get(id),
        lambda: db.get(id, rev="1-a"),
        lambda: db.open_revs(id),
        lambda: db.get_attachment(id, "x"),
    ):
        with pytest.raises((BadRequest, MissingId, NotFound)):
            call()
    assert id not in db
    assert server.asked == []


def test_in_sends_no_document(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    there = {"/notes/a", "/notes/_design/b", "/notes/_local/c"}
    server.answer = lambda asked: Answer(b"", 200 if asked.path in there else 404)
    assert ["a" in db, "_design/b" in db, "_local/c" in db, "d" in db] == [True, True, True, False]
    assert {asked.method for asked in server.asked} == {"HEAD"}
    server.asked.clear()
    assert ["_x" in db, 5 in db, "" in db] == [False] * 3
    assert server.asked == []
    server.answer = lambda asked: Answer(b"", 401)
    with pytest.raises(Unauthorized):
        assert "a" in db


# -- what must not be sent -------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["secret\nx", "secret\0", "", "sécret"], ids=repr)
@pytest.mark.parametrize("kind", ["function", "token"])
def test_a_token_that_cannot_be_sent_is_not_shown(env: SyncEnvironment, server: Server, token: str, kind: str) -> None:
    auth: Any = (lambda: token) if kind == "function" else {"token": token}
    with pytest.raises(BadRequest, match="bearer token") as caught:
        env.PouchDB(f"{server.url}/notes", auth=auth).info()
    assert "cret" not in str(caught.value)
    assert server.asked == []


def test_headers_that_cannot_be_sent_are_not_shown(env: SyncEnvironment, server: Server) -> None:
    url = f"{server.url}/notes"
    for call in (
        lambda: env.PouchDB(url, auth=lambda: {"x": "secret\r\ny: z"}).info(),
        lambda: env.PouchDB(url, headers={"x": "secret\ry"}).info(),
        lambda: env.PouchDB(url, proxy="me:secret@host:3128").info(),
        lambda: env.PouchDB(url).fetch("x", headers={"x": "secret\ny"}),
    ):
        with pytest.raises(BadRequest) as caught:
            call()
        assert "secret" not in str(caught.value)
    assert server.asked == []


@pytest.mark.parametrize(
    "options",
    [{"path": 5}, {"method": "GET /x"}, {"method": ""}, {"query": {"a": {1, 2}}}, {"query": 5}, {"json": {1, 2}}],
    ids=repr,
)
def test_what_fetch_cannot_send(db: SyncPouchDB, server: Server, options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        db.fetch(**options)
    assert server.asked == []


def test_what_a_query_cannot_say(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    """The error of a server is the one that a database here raises, and knows where the query is wrong."""
    answer = {"error": "query_parse_error", "reason": "Invalid value for limit", "position": 3}
    server.answer = lambda asked: Answer(answer, 400)
    with pytest.raises(QueryParseError, match="Invalid value for limit") as caught:
        db.fetch("_design/d/_search/i")
    assert (caught.value.status, caught.value.name, caught.value.position) == (400, "query_parse_error", 3)
