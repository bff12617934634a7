"""Attachments over HTTP: plain, in ranges, in multipart bodies."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_server.multipart import MultipartReader, boundary_of
from pouchdb_server.routes import decoded

from pouchdb_core.errors import BadRequest

BIG = bytes(range(256)) * 4000


def digest(content: bytes) -> str:
    return "md5-" + base64.b64encode(hashlib.md5(content).digest()).decode()


@pytest.fixture
def filled(client):
    rev = client.put("/db/a", {"x": 1}).json["rev"]
    answer = client.put(f"/db/a/dir/big.bin?rev={rev}", BIG, {"Content-Type": "application/x-big"})
    assert answer.status == 201
    client.rev = answer.json["rev"]
    return client


def test_getting(filled):
    answer = filled.get("/db/a/dir/big.bin")
    assert answer.body == BIG
    assert answer.headers["Content-Type"] == "application/x-big"
    assert answer.headers["Content-Length"] == str(len(BIG))
    assert answer.headers["ETag"] == f'"{digest(BIG)[4:]}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert filled.get("/db/a/dir%2Fbig.bin").body == BIG
    assert filled.get("/db/a/dir/big.bin", If_None_Match=answer.headers["ETag"]).status == 304
    head = filled.call("HEAD", "/db/a/dir/big.bin")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(BIG)))
    assert filled.get("/db/a/none").json["error"] == "not_found"
    assert filled.get("/db/none/big.bin").status == 404
    assert filled.get("/db/a/dir/big.bin?rev=1-none").status == 404


@pytest.mark.parametrize("content_type", ["text/plain\r\nX-Evil: 1", "text/plain; name=日", "a\0b", "ü/é"])
def test_content_types_that_are_no_headers(client, environment, content_type):
    """A type may come from any replica; it makes neither a header of its own nor an answer that fails."""
    rev = environment["db"].put_attachment("a", "f", b"hello", content_type)["rev"]
    answer = client.get("/db/a/f")
    assert (answer.status, answer.body) == (200, b"hello")
    assert "X-Evil" not in answer.headers
    assert answer.headers["Content-Type"] is not None
    mixed = client.get(f'/db/a?open_revs=["{rev}"]', Accept="multipart/mixed")
    assert mixed.status == 200
    assert b"hello" in mixed.body
    assert b"\r\nX-Evil" not in mixed.body


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=1000-", 206, slice(1000, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=0-99999999", 206, slice(0, None)),
        # From here as CouchDB reads the header, and its tests insist on.
        ("bytes=0-", 200, slice(None)),
        ("bytes=1-2,0-", 200, slice(None)),
        ("bytes=" + ",".join(["0-1"] * 10), 200, slice(None)),
        ("bytes=5-4", 416, None),
        ("bytes=1-2,5-4", 416, None),
        ("bytes=a-b", 200, slice(None)),
        ("bytes=1-2,a-b", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("lines=0-1", 200, slice(None)),
        ("bytes=99999999-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_ranges(filled, wanted, status, part):
    answer = filled.get("/db/a/dir/big.bin", Range=wanted)
    assert answer.status == status
    if part is not None:
        assert answer.body == BIG[part]
    else:
        assert answer.headers["Content-Range"] == f"bytes */{len(BIG)}"


def test_several_ranges_are_parts(filled):
    answer = filled.get("/db/a/dir/big.bin", Range="bytes=0-9, -5,1000-300000")
    assert (answer.status, "Content-Range" in answer.headers) == (206, False)
    kind, _, boundary = answer.headers["Content-Type"].partition('; boundary="')
    assert kind == "multipart/byteranges"
    first, *parts, last = answer.body.split(b"--" + boundary.strip('"').encode())
    assert (first, last) == (b"", b"--")
    size = len(BIG)
    for part, (start, end) in zip(parts, ((0, 10), (size - 5, size), (1000, 300_001)), strict=True):
        head, _, body = part.strip(b"\r\n").partition(b"\r\n\r\n")
        assert head.split(b"\r\n")[1] == f"Content-Range: bytes {start}-{end - 1}/{size}".encode()
        assert body == BIG[start:end].strip(b"\r\n")


def test_changing_attachments_of_a_revision_that_is_not_there(filled):
    """Words of CouchDB: the conflict of somebody who never saw the document."""
    for path in ("/db/a/b?rev=9-no", "/db/none/b?rev=1-no", "/db/a/dir/big.bin?rev=9-no"):
        for answer in (filled.put(path, b"x"), filled.delete(path)):
            assert (answer.status, answer.json) == (409, {"error": "not_found", "reason": "missing_rev"}), path
    filled.put(f"/db/a/b?rev={filled.rev}", b"x")
    answer = filled.put(f"/db/a/c?rev={filled.rev}", b"x")
    assert (answer.status, answer.json["error"]) == (409, "conflict")


def test_writing(filled):
    assert filled.put("/db/a/b", b"x").status == 409
    chunked = filled.call("PUT", f"/db/a/b?rev={filled.rev}", iter([b"one", b"two"]), {"Content-Type": "text/plain"})
    assert chunked.status == 201
    assert filled.get("/db/a/b").body == b"onetwo"
    assert filled.put("/db/new/file", b"").status == 201
    assert filled.get("/db/new/file").body == b""
    rev = chunked.json["rev"]
    assert filled.delete("/db/a/b").status == 409
    assert filled.delete(f"/db/a/none?rev={rev}").status == 404
    assert filled.delete(f"/db/a/b?rev={rev}").status == 200
    assert filled.get("/db/a/b").status == 404


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_what_arrives_has_the_md5_that_was_promised(filled, packed, chunked):
    body = gzip.compress(BIG) if packed else BIG
    for number, (sent, status) in enumerate([(body, 201), (body + b"x", 400), (body[:-1], 400)]):
        headers = {"Content-MD5": digest(sent if status == 201 else body).removeprefix("md5-")}
        if packed:
            headers["Content-Encoding"] = "gzip"
        answer = filled.call("PUT", f"/db/md5{number}/file", iter([sent[:9], sent[9:]]) if chunked else sent, headers)
        assert answer.status == status
        if status == 201:
            assert filled.get(f"/db/md5{number}/file").body == BIG
        else:
            assert packed or answer.json["error"] == "content_md5_mismatch"
            assert filled.get(f"/db/md5{number}").status == 404


def test_what_comes_packed_is_stored_as_what_it_was(filled, serve, call):
    packed = gzip.compress(BIG[:1000]) + gzip.compress(BIG[1000:])
    # Once with its length, once in chunks.
    for number, body in enumerate((packed, iter([packed[:10], packed[10:]]))):
        answer = filled.call("PUT", f"/db/packed{number}/file", body, {"Content-Encoding": "gzip"})
        assert answer.status == 201
        assert answer.headers["Location"].endswith(f"/db/packed{number}/file")
        assert answer.headers["ETag"] is None
        assert filled.get(f"/db/packed{number}/file").body == BIG
        assert filled.get(f"/db/packed{number}/file", Range="bytes=1-2").body == BIG[1:3]
    for wrong in (b"x", packed[:-1], b"", packed + b"more"):
        assert filled.put("/db/wrong/file", wrong, {"Content-Encoding": "gzip"}).status == 400
    assert filled.put("/db/wrong/file", b"x", {"Content-Encoding": "br"}).status == 415
    assert filled.get("/db/wrong").status == 404
    small = call(serve(max_attachment=1000))
    assert small.put("/db/bomb/file", gzip.compress(bytes(100_000)), {"Content-Encoding": "gzip"}).status == 413


def test_too_long(serve, call):
    client = call(serve(max_attachment=1000, max_body=1000))
    client.put("/db")
    assert client.put("/db/a/b", iter([b"x" * 600] * 2)).status == 413
    assert client.put("/db/a", {"x": "y" * 2000}).status == 413
    assert client.get("/db").json["doc_count"] == 0


def test_half_sent(filled):
    """A client that goes away in the middle leaves nothing behind."""
    for head in (b"Content-Length: 1000", b"Transfer-Encoding: chunked"):
        with socket.create_connection(filled.address) as sock:
            sock.sendall(b"PUT /db/half/file HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n3\r\nabc")
    body = related({"_attachments": {"one": entry(b"123")}}, b"123")
    for cut in (10, len(body) // 2, len(body) - 1):
        with socket.create_connection(filled.address) as sock:
            head = f"PUT /db/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            sock.sendall(f"{head}Content-Type: {RELATED['Content-Type']}\r\n\r\n".encode() + body[:cut])
    assert filled.get("/db/half").status == 404


def test_stubs_and_content(filled):
    doc = filled.get("/db/a").json
    assert doc["_attachments"]["dir/big.bin"]["stub"]
    whole = filled.get("/db/a?attachments=true", Accept="application/json").json
    assert base64.b64decode(whole["_attachments"]["dir/big.bin"]["data"]) == BIG
    since = filled.get(f'/db/a?atts_since=["{filled.rev}"]', Accept="application/json").json
    assert since["_attachments"]["dir/big.bin"]["stub"]
    missing = {"_id": "b", "_attachments": {"x": {"stub": True, "digest": "md5-none"}}}
    assert filled.put("/db/b", missing).json["error"] == "missing_stub"


# -- multipart -------------------------------------------------------------------------------------


def parts_of(answer):
    reader = MultipartReader(io.BytesIO(answer.body), boundary_of(answer.headers["Content-Type"]))
    return [(part.headers, part.read()) for part in reader]


def related_of(headers, body):
    reader = MultipartReader(io.BytesIO(body), boundary_of(headers["content-type"]))
    first, *rest = [(part.name, part.read()) for part in reader]
    return json.loads(first[1]), rest


def test_open_revs(filled):
    conflict = {"_id": "a", "_rev": "1-zzz", "_revisions": {"start": 1, "ids": ["zzz"]}}
    filled.put("/db/a?new_edits=false", conflict)
    answer = filled.get("/db/a?open_revs=all&revs=true", Accept="multipart/mixed")
    assert answer.headers["Content-Type"].startswith("multipart/mixed")
    (headers, body), (plain_headers, plain) = parts_of(answer)
    doc, content = related_of(headers, body)
    assert doc["_revisions"]["start"] == 2
    assert doc["_attachments"]["dir/big.bin"]["follows"]
    assert doc["_attachments"]["dir/big.bin"]["digest"] == digest(BIG)
    assert content == [("dir/big.bin", BIG)]
    assert plain_headers["content-type"] == "application/json"
    assert json.loads(plain)["_rev"] == "1-zzz"
    missing = filled.get('/db/a?open_revs=["1-x"]', Accept="multipart/mixed, */*")
    assert parts_of(missing) == [({"content-type": 'application/json; error="true"'}, b'{"missing":"1-x"}')]
    since = filled.get(f'/db/a?open_revs=["{filled.rev}"]&atts_since=["{filled.rev}"]', Accept="multipart/mixed")
    [(headers, body)] = parts_of(since)
    assert json.loads(body)["_attachments"]["dir/big.bin"]["stub"]
    whole = filled.get("/db/a?attachments=true", Accept="multipart/related")
    assert related_of({"content-type": whole.headers["Content-Type"]}, whole.body)[1] == [("dir/big.bin", BIG)]


def test_bulk_get(filled):
    asked = {"docs": [{"id": "a"}, {"id": "none", "rev": "1-x"}]}
    answer = filled.post("/db/_bulk_get?attachments=true", asked, {"Accept": "multipart/mixed"})
    (headers, body), (missing, error) = parts_of(answer)
    assert headers["x-doc-id"] == "a"
    assert related_of(headers, body)[1] == [("dir/big.bin", BIG)]
    assert missing["content-type"].endswith('error="true"')
    assert json.loads(error)["id"] == "none"
    plain = filled.post("/db/_bulk_get", asked, {"Accept": "multipart/related"})
    assert plain.headers["Content-Type"].startswith("multipart/related")
    assert json.loads(parts_of(plain)[0][1])["_attachments"]["dir/big.bin"]["stub"]


def related(doc, *contents, boundary="xyz", names=None):
    pieces = [f"--{boundary}\r\nContent-Type: application/json\r\n\r\n".encode() + json.dumps(doc).encode()]
    for index, content in enumerate(contents):
        head = b"" if names is None else f'Content-Disposition: attachment; filename="{names[index]}"\r\n'.encode()
        pieces.append(f"\r\n--{boundary}\r\n".encode() + head + b"\r\n" + content)
    return b"".join(pieces) + f"\r\n--{boundary}--".encode()


RELATED = {"Content-Type": 'multipart/related; boundary="xyz"'}


def entry(content: bytes, **more):
    return {"follows": True, "content_type": "text/plain", "length": len(content), **more}


def test_put_related(client):
    doc = {"_attachments": {"one": entry(b"1", digest=digest(b"1")), "two": entry(BIG)}, "x": 1}
    assert client.put("/db/a", related(doc, b"1", BIG), RELATED).status == 201
    assert client.get("/db/a/two").body == BIG
    named = client.put("/db/b", related(doc, BIG, b"1", names=["two", "one"]), RELATED)
    assert named.status == 201
    assert client.get("/db/b/one").body == b"1"
    replicated = {**doc, "_rev": "3-c", "_revisions": {"start": 3, "ids": ["c", "b"]}}
    replicated["_attachments"] = {"one": entry(b"1", revpos=2)}
    assert client.put("/db/c?new_edits=false", related(replicated, b"1"), RELATED).json["rev"] == "3-c"
    assert client.get("/db/c").json["_attachments"]["one"]["revpos"] == 2


def test_put_related_packed(client):
    packed = gzip.compress(b"hello" * 100)
    attachment = entry(b"hello" * 100, encoding="gzip", encoded_length=len(packed), digest=digest(packed))
    assert client.put("/db/a", related({"_attachments": {"t": attachment}}, packed), RELATED).status == 201
    assert client.get("/db/a/t").body == b"hello" * 100


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xyz--",
        b"--xyz\r\n",
        b"nothing",
        related([]),
        related({"_attachments": {"a": entry(b"12")}}, b"1"),
        related({"_attachments": {"a": entry(b"1", digest="md5-wrong")}}, b"1"),
        related({"_attachments": {"a": entry(b"1", encoding="gzip", encoded_length=1)}}, b"1"),
        related({"_attachments": {"a": entry(b"1", encoding="other", encoded_length=1)}}, b"1"),
        related({"_attachments": {"a": entry(b"1")}}),
        related({}, b"1"),
        related({"_attachments": {"a": entry(b"1")}}, b"1")[:-4],
        related({"_attachments": 1}, b"1"),
    ],
)
def test_bad_related(client, body):
    assert client.put("/db/a", body, RELATED).status == 400
    assert client.put("/db/a", body, {"Content-Type": "multipart/related"}).status == 400
    assert client.get("/db").json["doc_count"] == 0


# -- whatever comes over the wire ------------------------------------------------------------------


class Dribble(io.BytesIO):
    """A file that gives as little as it likes."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def read(self, size: int = -1, /) -> bytes:
        return super().read(min(size, self._size))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 200))
def test_what_is_written_is_read(contents, size):
    body = b"preamble"
    for content in contents:
        body += b"\r\n--bound\r\nA: b\r\n\r\n" + content.replace(b"--bound", b"--bind")
    reader = MultipartReader(Dribble(body + b"\r\n--bound--", size), b"bound")
    assert [part.read() for part in reader] == [each.replace(b"--bound", b"--bind") for each in contents]


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([b"--x", b"--", b"\r\n", b"\n", b":", b"a", b" ", b"\xff", b"A: b"])), st.integers(1, 9)
)
def test_garbage_ends(pieces, size):
    reader = MultipartReader(Dribble(b"".join(pieces), size), b"x")
    try:
        for part in reader:
            part.read()
    except BadRequest:
        pass


@given(st.text() | st.binary().map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)))
def test_any_path_is_decoded_or_refused(path):
    try:
        assert all(isinstance(part, str) for part in decoded(path))
    except BadRequest:
        pass
