"""The API of a database on PouchDB Server."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict, MissingStub, NotFound, NotSupported


def test_documents(remote: SyncPouchDB) -> None:
    with pytest.raises(NotFound, match="no_db_file"):
        remote.get("a")
    # The first write makes the database.
    first = remote.put({"_id": "a", "n": 1})
    assert remote.get("a") == {"_id": "a", "_rev": first["rev"], "n": 1}
    with pytest.raises(Conflict):
        remote.put({"_id": "a", "n": 2})
    second = remote.put({"_id": "a", "_rev": first["rev"], "n": 2})
    assert remote.get("a", rev=first["rev"])["n"] == 1
    assert [each["status"] for each in remote.get("a", revs_info=True)["_revs_info"]] == ["available"] * 2
    removed = remote.remove("a", second["rev"])
    with pytest.raises(NotFound):
        remote.get("a")
    assert remote.put({"_id": "a", "n": 3})["rev"].startswith("4-")
    assert removed["rev"].startswith("3-")
    remote["b"] = {"x": [1, {"y": None}]}
    assert remote["b"].x[1] == {"y": None}
    assert "b" in remote
    assert "c" not in remote
    assert sorted(remote) == ["a", "b"]
    assert len(remote) == 2
    assert remote.post({"z": 1})["id"] in remote


def test_revisions_are_the_same_as_here(env: SyncEnvironment, remote: SyncPouchDB) -> None:
    for doc in ({"_id": "a", "z": 1, "10": 2, "2": 3}, {"_id": "d", "x": 1e21, "v": 1e-5}):
        assert remote.put(doc)["rev"] == env["here"].put(doc)["rev"]


def test_many_documents(remote: SyncPouchDB) -> None:
    results = remote.bulk_docs([{"_id": "a"}, {"_id": "b"}, {"_id": "a"}, {"_id": "_bad"}, {"x": 1}])
    assert [result.get("ok") or result["status"] for result in results] == [True, True, 409, 400, True]
    assert remote.bulk_docs([{"_id": "c", "_rev": "3-a"}, {"_id": "c", "_rev": "3-b"}], new_edits=False) == []
    assert remote.get("c", conflicts=True) == {"_id": "c", "_rev": "3-b", "_conflicts": ["3-a"]}
    assert [doc["_id"] for doc in remote.conflicts()] == ["c"]
    with pytest.raises(NotSupported):
        remote.bulk_docs([{"_id": "x"}, {"_id": "y"}], atomic=True)
    assert {answer["ok"]["_rev"] for answer in remote.open_revs("c")} == {"3-a", "3-b"}
    answer = remote.open_revs("c", ["3-a", "9-x"])
    assert (answer[0]["ok"]["_rev"], answer[1]) == ("3-a", {"missing": "9-x"})
    rev = remote.get("a")["_rev"]
    items = [{"id": "a", "rev": rev}, {"id": "c", "rev": "3-a"}, {"id": "nope"}, {"id": "c", "rev": "3-b"}]
    found = remote.bulk_get(items, revs=True)["results"]
    assert [each["id"] for each in found] == ["a", "c", "nope", "c"]
    assert [each["docs"][0].get("ok", {}).get("_rev") for each in found] == [rev, "3-a", None, "3-b"]
    assert found[2]["docs"][0]["error"]["error"] == "not_found"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(id=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12))
def test_any_id_travels(remote: SyncPouchDB, id: str) -> None:
    if id.startswith("_"):
        return
    rev = remote.put({"_id": id, "_rev": remote.get_(id, {}).get("_rev")} if id in remote else {"_id": id})["rev"]
    assert remote.get(id)["_id"] == id
    assert remote.all_docs(key=id)["rows"][0]["id"] == id
    remote.remove(id, rev)


def test_lists(remote: SyncPouchDB) -> None:
    remote.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(10)])
    assert remote.all_docs(startkey="d3", endkey="d5")["rows"][0]["key"] == "d3"
    rows = remote.all_docs(startkey="d5", endkey="d3", descending=True, inclusive_end=False)["rows"]
    assert [row["id"] for row in rows] == ["d5", "d4"]
    assert [row["doc"]["n"] for row in remote.all_docs(include_docs=True, skip=8)["rows"]] == [8, 9]
    rows = remote.all_docs(keys=["d9", "x", "d1"], include_docs=True)["rows"]
    assert [row.get("doc", {}).get("n", row.get("error")) for row in rows] == [9, "not_found", 1]
    many = [f"{number:0100}" for number in range(300)]
    assert len(remote.all_docs(keys=many)["rows"]) == 300
    assert remote.all_docs(limit=0)["total_rows"] == 10


def test_attachments(remote: SyncPouchDB) -> None:
    name = "a folder/é + 100% (1).txt"
    rev = remote.put_attachment("doc", name, b"hello", "text/plain")["rev"]
    assert remote.get_attachment("doc", name) == {"type": "text/plain", "data": b"hello"}
    big = bytes(range(256)) * 4096
    rev = remote.put_attachment("doc", "big.bin", io.BytesIO(big), "application/octet-stream", rev)["rev"]
    assert remote.get_attachment("doc", "big.bin")["data"] == big
    stubs = remote.get("doc")["_attachments"]
    assert (stubs["big.bin"]["length"], stubs[name]["stub"]) == (len(big), True)
    with remote.open_attachment("doc", "big.bin") as file:
        assert file.read(10) == big[:10]
        assert (file.length, file.digest) == (len(big), stubs["big.bin"]["digest"])
        file.seek(-5, io.SEEK_END)
        assert file.read() == big[-5:]
        file.seek(1)
        assert file.read(3) == big[1:4]
    assert remote.get("doc", attachments=True, binary=True)["_attachments"][name]["data"] == b"hello"
    rev = remote.remove_attachment("doc", name, rev)["rev"]
    with pytest.raises(NotFound):
        remote.get_attachment("doc", name)
    inline = {"_id": "two", "_attachments": {"s": {"content_type": "a/b", "data": b"small"}, "b": {"data": big}}}
    remote.put(inline)
    assert remote.get_attachment("two", "s") == {"type": "a/b", "data": b"small"}
    assert remote.get_attachment("two", "b")["data"] == big
    with pytest.raises(MissingStub):
        remote.put({"_id": "three", "_attachments": {"x": {"stub": True, "digest": "md5-no", "content_type": "a/b"}}})


def test_local_documents(remote: SyncPouchDB) -> None:
    remote.put({"_id": "a"})
    rev = remote.put({"_id": "_local/x/y", "v": 1})["rev"]
    assert rev == "0-1"
    rev = remote.put({"_id": "_local/x/y", "v": 2, "_rev": rev})["rev"]
    assert remote.get("_local/x/y")["v"] == 2
    remote.remove("_local/x/y", rev)
    with pytest.raises(NotFound):
        remote.get("_local/x/y")
    assert len(remote.all_docs()["rows"]) == 1


def test_changes(remote: SyncPouchDB) -> None:
    remote.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(5)])
    remote.remove(remote.get("d1"))
    result = remote.changes(include_docs=True)
    assert [row["id"] for row in result["results"]] == ["d0", "d2", "d3", "d4", "d1"]
    assert result["results"][-1]["deleted"]
    last = result["last_seq"]
    assert remote.changes(since=last) == {"results": [], "last_seq": last}
    assert len(remote.changes(limit=2)["results"]) == 2
    assert [row["id"] for row in remote.changes(descending=True, limit=2)["results"]] == ["d1", "d4"]
    assert [row["id"] for row in remote.changes(doc_ids=["d3", "d4"])["results"]] == ["d3", "d4"]
    even = remote.changes(filter=lambda doc: doc.get("n", 1) % 2 == 0)["results"]
    assert [row["id"] for row in even] == ["d0", "d2", "d4"]
    assert "doc" not in even[0]


def test_views_run_on_the_server(remote: SyncPouchDB) -> None:
    remote.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(5)])
    source = "function (doc) { emit(doc.n % 2, doc.n); }"
    remote.put({"_id": "_design/a b", "views": {"parity": {"map": source, "reduce": "_sum"}}})
    assert remote.query("a b/parity", group=True)["rows"] == [{"key": 0, "value": 6}, {"key": 1, "value": 4}]
    assert len(remote.query("a b/parity", key=1, reduce=False)["rows"]) == 2
    assert [doc["_id"] for doc in remote.design_documents()] == ["_design/a b"]
    remote.view_cleanup()


def test_the_database_itself(env: SyncEnvironment, remote: SyncPouchDB, url: str) -> None:
    remote.put({"_id": "a"})
    info = remote.info()
    assert (info["doc_count"], info["adapter"], info["host"]) == (1, "http", url)
    assert remote.id() == env.PouchDB(url).id()
    assert remote.id().endswith(url.rpartition("/")[2])
    remote.compact()
    assert remote.revs_diff({"a": ["1-x"], "b": ["2-y"]}) == {"a": {"missing": ["1-x"]}, "b": {"missing": ["2-y"]}}
    remote.put_security({"admins": {"names": ["me"]}})
    assert remote.get_security()["admins"]["names"] == ["me"]
    for call in (lambda: remote.backup("x"), remote.integrity_check, lambda: remote.directory("x")):
        with pytest.raises(NotSupported):
            call()
    other = env.PouchDB(url)
    ended: list[Any] = []
    other.on("destroyed", lambda *args: ended.append(args))
    assert remote.destroy() == {"ok": True}
    with pytest.raises(NotFound):
        env.PouchDB(url).info()
    # One that does not exist is no error.
    env.destroy(url)
    assert ended
    assert url not in env


def test_without_setup_nothing_is_made(env: SyncEnvironment, url: str) -> None:
    with pytest.raises(NotFound):
        env.PouchDB(url, skip_setup=True).put({"_id": "a"})
    with pytest.raises(BadRequest):
        env.PouchDB(url).put({"_id": "_x"})


def test_live_changes(remote: SyncPouchDB) -> None:
    remote.put({"_id": "before"})
    came: list[str] = []
    condition = threading.Condition()

    def change(row: Any) -> None:
        with condition:
            came.append(row["id"])
            condition.notify_all()

    feed = remote.changes(live=True, since=0).on("change", change)
    for number in range(3):
        remote.put({"_id": f"d{number}"})
        with condition:
            assert condition.wait_for(lambda number=number: f"d{number}" in came, 10)
    assert came == ["before", "d0", "d1", "d2"]
    start = time.monotonic()
    feed.cancel()
    assert feed.wait(60)["status"] == "cancelled"
    assert time.monotonic() - start < 0.1
    remote.put({"_id": "after"})
    assert came == ["before", "d0", "d1", "d2"]


def test_a_live_feed_can_be_iterated(remote: SyncPouchDB) -> None:
    remote.bulk_docs([{"_id": f"d{number}"} for number in range(5)])
    assert [row["id"] for row in remote.live_changes(since=2, limit=3)] == ["d2", "d3", "d4"]


def test_a_live_feed_survives_its_connection(env: SyncEnvironment, proxy: Any, url: str) -> None:
    remote = env.PouchDB(f"{proxy.url}/{url.rpartition('/')[2]}")
    remote.put({"_id": "d0"})
    feed = iter(remote.changes(live=True, since=0, heartbeat=500))
    assert next(feed)["id"] == "d0"
    for number in range(1, 6):
        proxy.hang_up()
        env.PouchDB(url).put({"_id": f"d{number}"})
        assert next(feed)["id"] == f"d{number}"


def test_a_feed_that_falls_silent_is_connected_again(env: SyncEnvironment, proxy: Any, url: str) -> None:
    direct = env.PouchDB(url)
    direct.put({"_id": "d0"})
    stalled: list[str] = []

    def fault(method: str, path: str) -> str | None:
        if "feed=" in path and len(stalled) < 2:
            stalled.append(path)
            return "stall"
        return None

    remote = env.PouchDB(f"{proxy.url}/{url.rpartition('/')[2]}", retries=3)
    feed = iter(remote.changes(live=True, since=0, heartbeat=200))
    proxy.fault = fault
    assert next(feed)["id"] == "d0"
    assert len(stalled) == 2
