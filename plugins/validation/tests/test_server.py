"""The server judges every write, and says of rejections what CouchDB says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

import pouchdb

pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
from pouchdb_server.testing import couch_server


@pytest.fixture
def server(source: str) -> Iterator[Any]:
    with (
        pouchdb.setup(":memory:", plugins=["server", "validation"]) as environment,
        couch_server(environment) as running,
    ):
        environment["test"].put({"_id": "_design/flags", "validate_doc_update": source})
        yield running


@pytest.fixture
def ask(server: Any) -> Any:
    http = urllib3.PoolManager()

    def ask(method: str, path: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = http.request(method, f"{server.url}/test{path}", body=data, headers={"Content-Type": content_type})
        return answer.status, json.loads(answer.data)

    yield ask
    http.clear()


REJECTED = (403, {"error": "forbidden", "reason": "no"})


def test_every_way_to_write_is_judged(ask: Any) -> None:
    assert ask("PUT", "/a", {"f": "no"}) == REJECTED
    assert ask("POST", "", {"f": "no"}) == REJECTED
    assert ask("PUT", "/a?new_edits=false", {"f": "no", "_rev": "1-a"}) == REJECTED
    assert ask("PUT", "/a", {"u": "who"}) == (401, {"error": "unauthorized", "reason": "who"})
    status, entries = ask("POST", "/_bulk_docs", {"docs": [{"_id": "a"}, {"_id": "b", "f": "no"}]})
    assert (status, entries[0]["id"], entries[1]) == (201, "a", {"id": "b", "error": "forbidden", "reason": "no"})
    docs = [{"_id": "r", "_rev": "1-d", "f": "no"}, {"_id": "s", "_rev": "1-d"}]
    status, entries = ask("POST", "/_bulk_docs", {"docs": docs, "new_edits": False})
    assert (status, [(each["id"], each["error"]) for each in entries]) == (201, [("r", "forbidden")])
    assert ask("GET", "/r")[0] == 404
    assert ask("PUT", "/att/t", b"x", "text/plain")[0] == 201
    assert ask("PUT", "/_local/l", {"f": "no"})[0] == 201
    assert ask("PUT", "/_design/d", {"f": "no"})[0] == 201


@pytest.mark.parametrize("message", [{"field": "f"}, ["no", 1], 5, True], ids=str)
def test_a_message_may_be_any_json(ask: Any, server: Any, message: Any) -> None:
    assert ask("PUT", "/a", {"f": message}) == (403, {"error": "forbidden", "reason": message})
    _, (entry,) = ask("POST", "/_bulk_docs", {"docs": [{"_id": "a", "u": message}]})
    assert entry == {"id": "a", "error": "unauthorized", "reason": message}
    with pouchdb.setup(":memory:", plugins=[]) as local:
        remote = local.PouchDB(f"{server.url}/test")
        with pytest.raises(pouchdb.Forbidden) as caught:
            remote.put({"_id": "a", "f": message})
        assert caught.value.message == message
        assert remote.bulk_docs([{"_id": "a", "u": message}])[0].message == message


def test_a_replicator_hears_which_revision_was_refused(ask: Any) -> None:
    docs = [{"_id": "r", "_rev": f"1-{each}", "f": "no"} for each in "ab"] + [{"_id": "s", "_rev": "1-d"}]
    _, entries = ask("POST", "/_bulk_docs", {"docs": docs, "new_edits": False})
    assert [(each["id"], each["rev"], each["error"]) for each in entries] == [
        ("r", "1-a", "forbidden"),
        ("r", "1-b", "forbidden"),
    ]


def test_what_functions_see(ask: Any) -> None:
    status, answer = ask("PUT", "/a", {"show": 1})
    shown = json.loads(answer["reason"])
    assert status == 403
    assert shown["user"] == {"db": "test", "name": None, "roles": ["_admin"]}, "the admin party"
    assert shown["old"] is None
    assert sorted(shown["sec"]) == ["admins", "members"]
    rev = ask("PUT", "/a", {})[1]["rev"]
    shown = json.loads(ask("PUT", "/a", {"show": 1, "_rev": rev})[1]["reason"])
    assert (shown["old"]["_id"], shown["new"]["_revisions"]["start"]) == ("a", 1)


@pytest.mark.parametrize(
    ("members", "error", "reason"),
    [
        ({"string": 1}, "unknown_error", "a string"),
        ({"object": 1}, "unknown_error", "x"),
        ({"error": 1}, "TypeError", None),
    ],
)
def test_failures(ask: Any, members: dict[str, Any], error: str, reason: str | None) -> None:
    status, answer = ask("PUT", "/a", members)
    assert (status, answer["error"]) == (500, error)
    assert reason is None or answer["reason"] == reason


def test_a_function_that_does_not_compile_stops_writes_until_it_is_deleted(ask: Any, server: Any) -> None:
    # By replication: over HTTP such a document may be refused.
    rev = server.environment["test"].put({"_id": "_design/broken", "validate_doc_update": "function("}).rev
    status, answer = ask("PUT", "/a", {})
    assert (status, answer["error"]) == (500, "compilation_error")
    assert ask("DELETE", f"/_design/broken?rev={rev}")[0] == 200
    assert ask("PUT", "/a", {})[0] == 201


def test_a_replication_to_the_server_reports_denied(server: Any) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as local:
        local["notes"].bulk_docs([{"_id": "good"}, {"_id": "bad", "f": "no"}])
        result = local["notes"].replicate_to(f"{server.url}/test")
        assert (result.docs_written, result.doc_write_failures) == (1, 1)


def test_check_http_judges_before_it_is_sent(server: Any) -> None:
    with pouchdb.setup(":memory:", plugins=["validation"]) as local:
        remote: Any = local.PouchDB(f"{server.url}/test")
        with pytest.raises(pouchdb.Forbidden) as caught:
            remote.validating_put({"_id": "a", "show": 1}, checkHttp=True, userCtx={"name": "here"})
        assert json.loads(caught.value.message)["user"]["name"] == "here"
        with pytest.raises(pouchdb.Forbidden) as caught:
            remote.validating_put({"_id": "a", "show": 1}, userCtx={"name": "here"})
        assert json.loads(caught.value.message)["user"]["name"] is None, "the server's own"
        assert [
            each.get("name", "ok") for each in remote.validating_bulk_docs([{"_id": "a"}, {"f": "x"}], checkHttp=True)
        ] == [
            "ok",
            "forbidden",
        ]


# -- hostile functions -------------------------------------------------------------------------------

HOSTILE = {
    "loop": "for (;;) {}",
    "caught": "for (;;) { try { for (;;) {} } catch (e) {} }",
    "finally": "try { for (;;) {} } finally { for (;;) {} }",
    "array": "var a = []; for (;;) a.push(new Array(1e6).join('x'));",
    "string": "var s = 'x'; for (;;) s += s;",
    "recursion": "function f() { return [1].map(f); } f();",
    "regexp": "/^(a+)+$/.test(new Array(60).join('a') + '!'); for (;;) {}",
    "sort": "new Array(5e7).join('x').split('').sort(); for (;;) {}",
    "thrown": "throw {toString: function () { for (;;) {} }, toJSON: function () { for (;;) {} }};",
    "getter": "throw {get forbidden() { for (;;) {} }};",
    "prototypes": "Object.prototype.toJSON = function () { for (;;) {} }; throw {forbidden: {}};",
    "promises": "(function f() { Promise.resolve().then(f); })(); for (;;) {}",
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_function_stops_its_own_database_only(name: str) -> None:
    source = f"function () {{ {HOSTILE[name]} }}"
    with (
        pouchdb.setup(":memory:", plugins=["server", "validation"], js_limits={"seconds": 0.5}) as environment,
        couch_server(environment, admins={"root": "secret"}) as server,
    ):
        # It comes by replication, as such functions do.
        environment["elsewhere"].put({"_id": "_design/v", "validate_doc_update": source})
        assert environment["elsewhere"].replicate_to("test").docs_written == 1
        environment["other"].put({"_id": "_design/v", "validate_doc_update": "function () {}"})
        environment["test"].put_security({"members": {"names": [], "roles": []}})
        http = urllib3.PoolManager(headers={"Content-Type": "application/json"})
        root = urllib3.make_headers(basic_auth="root:secret")

        def write(path: str, answers: list[tuple[int, Any]]) -> None:
            answer = http.request("PUT", f"{server.url}/{path}", body=b"{}", headers={**http.headers, **root})
            answers.append((answer.status, json.loads(answer.data)))

        hostile: list[tuple[int, Any]] = []
        writer = threading.Thread(target=write, args=("test/a", hostile))
        writer.start()
        others: list[tuple[int, Any]] = []
        for number in range(3):
            write(f"other/{number}", others)
        writer.join(30)
        assert [status for status, _ in others] == [201] * 3
        ((status, answer),) = hostile
        assert status in (403, 500)
        assert answer["error"]
        assert answer["reason"] is not None
        if answer["error"] == "os_process_timeout":
            assert "0.5 s" in answer["reason"], "it says what the limit is"
        assert "a" not in environment["test"]
        rev = environment["test"]["_design/v"]["_rev"]
        deleted = http.request("DELETE", f"{server.url}/test/_design/v?rev={rev}", headers=root)
        assert deleted.status == 200
        write("test/b", others)
        assert others[-1][0] == 201
        http.clear()
