"""Looking after a remote database: compaction, and settling conflicts where nothing is atomic."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import Forbidden


@pytest.fixture
def Answer(server: Any) -> Any:
    """The class of answers: test folders are no packages to import from."""
    return type(server).__init__.__globals__["Told"]


@pytest.mark.parametrize(("options", "seconds"), [({}, 0.2), ({"interval": 5}, 0.005), ({"interval": 0}, 0.2)], ids=str)
def test_compact_waits_for_the_server(
    db: SyncPouchDB, server: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], seconds: float
) -> None:
    waited: list[float] = []
    adapter: Any = db.adapter
    monkeypatch.setattr(adapter.session.http, "wait", waited.append)
    server.script = [{"ok": True}, {"compact_running": True}, {"compact_running": True}, {"compact_running": False}]
    db.compact(**options)
    assert [asked.method for asked in server.asked] == ["POST", "GET", "GET", "GET"]
    assert waited == [seconds, seconds]


def test_resolving_writes_the_merged_document_first(db: SyncPouchDB, server: Any, Answer: Any) -> None:
    """What fails after that loses nothing: the conflict is there still."""
    leaves = [{"ok": {"_id": "a", "_rev": "1-a", "n": 1}}, {"ok": {"_id": "a", "_rev": "1-b", "n": 2}}]
    refused = Answer({"error": "forbidden", "reason": "not you"}, 403)
    server.script = [leaves, {"ok": True, "id": "a", "rev": "2-c"}, refused]
    with pytest.raises(Forbidden, match="not you"):
        db.resolve("a", lambda docs: {"n": [doc.n for doc in docs]})
    _, merged, removed = server.asked
    assert merged.json() == {"_id": "a", "_rev": "1-b", "n": [2, 1]}
    assert (removed.method, removed.path, removed.query) == ("DELETE", "/notes/a", {"rev": "1-a"})


def test_resolving_starts_over_when_somebody_is_faster(db: SyncPouchDB, server: Any, Answer: Any) -> None:
    def leaves(**revs: int) -> list[Any]:
        return [{"ok": {"_id": "a", "_rev": rev.replace("_", "-")[1:], "n": n}} for rev, n in revs.items()]

    conflict = Answer({"error": "conflict", "reason": "Document update conflict."}, 409)
    written = {"ok": True, "id": "a", "rev": "3-d"}
    server.script = [leaves(r1_b=2, r1_a=1), conflict, leaves(r1_a=1, r2_c=3), written, {**written, "rev": "2-e"}]
    asked: list[list[int]] = []

    def merge(docs: list[Any]) -> dict[str, Any]:
        asked.append([doc.n for doc in docs])
        return {"n": sum(asked[-1])}

    assert db.resolve("a", merge) == {"ok": True, "id": "a", "rev": "3-d"}
    # The winner comes first, in whatever order a server tells the leaves.
    assert asked == [[2, 1], [3, 1]]
    assert [each.json() for each in server.asked if each.body] == [
        {"_id": "a", "_rev": "1-b", "n": 3},
        {"_id": "a", "_rev": "2-c", "n": 4},
    ]
    removed = [(each.path, each.query) for each in server.asked if each.method == "DELETE"]
    assert removed == [("/notes/a", {"rev": "1-a"})]
