"""Whatever a client sends, it is answered: by what it asked for, or by an error that says what is wrong with it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pouchdb_server import create_app
from pouchdb_server.table import ROUTES

import pouchdb

SEGMENTS = sorted({part for route in ROUTES for part in route.path.split("/") if part and not part.startswith("{")})
NAMES = sorted(
    "attachments conflicts descending endkey feed filter group group_level heartbeat include_docs inclusive_end key "
    "keys latest limit meta new_edits open_revs rev revs since skip startkey style timeout atts_since count "
    "batch".split()
)
VALUES = [
    "true",
    "false",
    "0",
    "1",
    "-1",
    "1e400",
    "[]",
    '["1-a"]',
    '"a"',
    "{}",
    "all",
    "now",
    "1-a",
    "continuous",
    "%ff",
    "9" * 5000,
    "[{}]",
]
KINDS = ["application/json", "multipart/related; boundary=x", "multipart/form-data; boundary=x", "text/plain", ""]
BODIES = [
    b"",
    b"{}",
    b"[]",
    b'{"docs":[{"id":1}]}',
    b'{"keys":[1,null,{},[]]}',
    b'{"queries":[{"keys":[{}]},{"key":{}},{"limit":1}]}',
    b'--x\r\nContent-Disposition: form-data; name="_doc"\r\n\r\n{"_attachments":"text"}\r\n--x--',
    b'{"_id":"a","_rev":"1-a"}',
    b"--x\r\n\r\n{}\r\n--x--",
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(
    ["docs", "keys", "queries", "doc_ids", "selector", "map", "_id", "_rev", "_attachments", "id"]
)
bodies = (
    st.sampled_from(BODIES)
    | st.binary(max_size=40)
    | st.dictionaries(members, json_values, max_size=3).map(lambda value: json.dumps(value).encode())
)
segments = (
    st.sampled_from([*SEGMENTS, "a", "b", "_local", "file"])
    | st.text(max_size=4).map(lambda text: quote(text, safe="", errors="replace"))
    | st.binary(max_size=3).map(lambda raw: "".join(f"%{byte:02X}" for byte in raw))
)
documents = st.sampled_from(["a", "b", "_design/d", "_local/l", "_design/d/_view/v", "a/file"])
paths = (
    st.lists(segments, max_size=5)
    | st.lists(segments, max_size=3).map(lambda rest: ["a", *rest])
    | st.tuples(st.just("a"), documents).map(list)
)
queries = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text('a1"[]{}%&=', max_size=6)), max_size=3
)


numbers = st.sampled_from(["", "0", "1", "-1", "9" * 5000, "a"]) | st.integers().map(str)
headers = st.one_of(
    st.tuples(st.just("range"), st.builds("bytes={}-{}".format, numbers, numbers)),
    st.tuples(st.sampled_from(["last-event-id", "if-match", "if-none-match", "if-range", "content-encoding"]), numbers),
    st.tuples(st.sampled_from(["destination", "referer", "accept", "cookie"]), st.text("a:/?=;,*-[]%", max_size=9)),
    st.sampled_from([("content-encoding", "gzip"), ("accept", "multipart/mixed"), ("authorization", "Basic a")]),
)
"""Headers whose values the server reads."""


class Asked:
    """An application, asked without a network."""

    def __init__(self) -> None:
        self.environment = pouchdb.setup(":memory:", plugins=["server"])
        self.app: Any = create_app(self.environment)
        self.loop = asyncio.new_event_loop()

    def ask(
        self, method: str, path: str, query: str, body: bytes, kind: str, more: Sequence[tuple[str, str]] = ()
    ) -> tuple[int, dict[str, str], bytes]:
        return self.loop.run_until_complete(asyncio.wait_for(self._ask(method, path, query, body, kind, more), 30))

    async def _ask(
        self, method: str, path: str, query: str, body: bytes, kind: str, more: Sequence[tuple[str, str]]
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []
        messages = [{"type": "http.request", "body": body}]

        async def receive() -> dict[str, Any]:
            # Who has sent all it had goes away: so feeds end.
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in more]
        if kind:
            headers.append((b"content-type", kind.encode()))
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": headers}
        await self.app({**scope, "query_string": query.encode(), "client": ("127.0.0.1", 1)}, receive, send)
        start, *rest = sent
        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return start["status"], told, b"".join(each.get("body", b"") for each in rest)


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    asked = Asked()
    yield asked
    asked.app.stop()
    asked.app.close()
    asked.loop.close()
    asked.environment.close()


@settings(
    max_examples=int(os.environ.get("FUZZ", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "COPY", "OPTIONS", "PATCH"]),
    paths,
    queries,
    bodies,
    st.sampled_from(KINDS),
    st.lists(headers, max_size=2),
)
def test_nothing_is_the_servers_fault(asked, caplog, method, path, query, body, kind, more):
    if "a" not in asked.environment["a"]:
        asked.environment["a"].put({"_id": "a", "x": 1})
    text = "&".join(f"{name}={value}" for name, value in query)
    with caplog.at_level(logging.ERROR):
        status, headers, answer = asked.ask(method, "/" + "/".join(path), text, body, kind, more)
    assert status < 500 or status == 501, (status, answer)
    assert not caplog.records
    if headers.get("content-type") == "application/json" and method != "HEAD" and "feed" not in text:
        told = json.loads(answer)
        assert answer.endswith(b"\n")
        if status >= 400:
            assert set(told) == {"error", "reason"}
            assert told["reason"]
    # Nothing but databases of legal names came to be.
    assert all(name in ("a", "b") or name.isascii() for name in asked.environment.names())


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "kind", "more"),
    [
        ("GET", "/a/a/file", "", b"", "", [("range", f"bytes=0-{'9' * 5000}")]),
        ("GET", "/a/a/file", "", b"", "", [("range", f"bytes={'9' * 5000}-")]),
        ("GET", "/a/a/file", "", b"", "", [("range", f"bytes=-{'9' * 5000}")]),
        ("GET", "/_db_updates", "", b"", "", [("last-event-id", "9" * 5000)]),
        ("GET", "/a/_changes", "", b"", "", [("last-event-id", "9" * 5000)]),
        ("GET", "/a/_changes", f"since={'9' * 5000}", b"", "", []),
        ("GET", "/a/a", f"rev={'9' * 5000}-a", b"", "", []),
        ("POST", "/a/_design_docs/queries", "", b'{"queries":[{"keys":[{}]}]}', "application/json", []),
        ("POST", "/a/_design_docs", "", b'{"keys":[{},[]]}', "application/json", []),
        ("POST", "/a/_local_docs/queries", "", b'{"queries":[{"keys":[{},[],1]}]}', "application/json", []),
        ("POST", "/a/_all_docs/queries", "", b'{"queries":[{"keys":{}}]}', "application/json", []),
        (
            "POST",
            "/a/b",
            "",
            b'--x\r\nContent-Disposition: form-data; name="_doc"\r\n\r\n{"_attachments":"text"}\r\n--x--',
            "multipart/form-data; boundary=x",
            [("referer", "http://localhost/")],
        ),
    ],
)
def test_what_was_the_servers_fault_once(asked, caplog, method, path, query, body, kind, more):
    """S17: each of these gave 500."""
    db = asked.environment["a"]
    rev = db.get("a")["_rev"] if "a" in db else None
    db.put_attachment("a", "file", b"content", "text/plain", rev)
    with caplog.at_level(logging.ERROR):
        status, _, answer = asked.ask(method, path, query, body, kind, more)
    assert status < 500, answer
    assert not caplog.records
