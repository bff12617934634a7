"""Documents of a server: what is checked here before it is sent, and put in order when it comes."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest

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
