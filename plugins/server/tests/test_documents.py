"""Documents one by one: revisions, ETags, local and design ones."""

from __future__ import annotations

import pytest

JSON = {"Content-Type": "application/json"}


def test_a_life(client):
    answer = client.put("/db/a", {"x": 1})
    assert answer.status == 201
    assert answer.json == {"ok": True, "id": "a", "rev": answer.json["rev"]}
    assert answer.headers["ETag"] == f'"{answer.json["rev"]}"'
    assert answer.headers["Location"].endswith("/db/a")
    rev = answer.json["rev"]
    doc = client.get("/db/a")
    assert doc.json == {"_id": "a", "_rev": rev, "x": 1}
    assert doc.headers["ETag"] == f'"{rev}"'
    assert client.get("/db/a", If_None_Match=f'"{rev}"').status == 304
    assert client.get("/db/a", If_None_Match='"1-other"').status == 200
    head = client.call("HEAD", "/db/a")
    assert (head.body, head.headers["Content-Length"]) == (b"", str(len(doc.body)))
    assert client.put("/db/a", {"x": 2}).json["error"] == "conflict"
    second = client.put(f"/db/a?rev={rev}", {"x": 2}).json["rev"]
    third = client.put("/db/a", {"x": 3}, {"If-Match": f'"{second}"'}).json["rev"]
    assert client.put(f"/db/a?rev={rev}", {"_rev": third}).status == 400
    assert client.delete("/db/a").status == 409
    gone = client.delete(f"/db/a?rev={third}")
    assert (gone.status, gone.headers["ETag"]) == (200, f'"{gone.json["rev"]}"')
    assert client.get("/db/a").json == {"error": "not_found", "reason": "deleted"}
    assert client.delete("/db/b?rev=1-x").status == 404


def test_posting(client):
    answer = client.post("/db", {"x": 1})
    assert answer.status == 201
    assert client.get(f"/db/{answer.json['id']}").json["x"] == 1
    assert client.post("/db?batch=ok", {}).status == 202


@pytest.mark.parametrize("id", ["a/b", "ü", "a b", "%", "+", "日本", "a?b", "_design/x", "c&d", "e=f", '"', "a%2Fb"])
def test_ids(client, id):
    from urllib.parse import quote

    path = f"/db/{quote(id, safe='')}"
    assert client.put(path, {"x": 1}).json["id"] == id
    assert client.get(path).json["_id"] == id
    assert client.get("/db/_all_docs").json["rows"][0]["id"] == id


@pytest.mark.parametrize("id", ["_own", "_all_docs%2F", "_"])
def test_ids_that_cannot_be(client, id):
    assert client.put(f"/db/{id}", {}).status == 400
    assert client.get("/db/%ff").status == 400


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("{", JSON, 400),
        ("[]", JSON, 400),
        ("", JSON, 400),
        ('{"_id": "_other"}', JSON, 400),
        ('{"_unknown": 1}', JSON, 400),
        ('{"_rev": 5}', JSON, 400),
        ('{"a":' + "[" * 300 + "]" * 300 + "}", JSON, 400),
        ('{"a": 1e999}', JSON, 400),
        (b'{"a": "\xff"}', JSON, 400),
    ],
)
def test_bad_bodies(client, body, headers, status):
    answer = client.put("/db/a", body, headers)
    assert answer.status == status
    assert set(answer.json) == {"error", "reason"}
    assert client.get("/db").json["doc_count"] == 0


def test_options(client):
    rev = client.put("/db/a", {}).json["rev"]
    other = {"_id": "a", "_rev": "1-zzz", "_revisions": {"start": 1, "ids": ["zzz"]}}
    assert client.put("/db/a?new_edits=false", other).status == 201
    assert client.put("/db/a?new_edits=false", other).status == 201
    doc = client.get("/db/a?conflicts=true&revs=true&revs_info=true&local_seq=true").json
    assert doc["_conflicts"] == [rev]
    assert doc["_revisions"] == {"start": 1, "ids": ["zzz"]}
    assert doc["_revs_info"] == [{"rev": "1-zzz", "status": "available"}]
    assert doc["_local_seq"] == 2
    assert client.get(f"/db/a?rev={rev}").headers["ETag"] == f'"{rev}"'
    assert client.get("/db/a?rev=1-none").status == 404
    leaves = client.get("/db/a?open_revs=all").json
    assert [each["ok"]["_rev"] for each in leaves] == ["1-zzz", rev]
    some = client.get(f'/db/a?open_revs=["{rev}","1-x"]&latest=true').json
    assert some == [{"ok": {"_id": "a", "_rev": rev}}, {"missing": "1-x"}]
    assert client.get("/db/none?open_revs=all").status == 404
    assert client.get("/db/none?open_revs=[").status == 400


def test_copying(client):
    rev = client.put("/db/a", {"x": 1}).json["rev"]
    answer = client.call("COPY", "/db/a", headers={"Destination": "b%2Fc"})
    assert (answer.status, answer.json["id"]) == (201, "b/c")
    assert client.get("/db/b%2Fc").json["x"] == 1
    assert client.call("COPY", "/db/a", headers={"Destination": "b%2Fc"}).status == 409
    known = answer.json["rev"]
    assert client.call("COPY", f"/db/a?rev={rev}", headers={"Destination": f"b%2Fc?rev={known}"}).status == 201
    assert client.call("COPY", "/db/a").status == 400


def test_local_documents(client):
    answer = client.put("/db/_local/point", {"x": 1})
    assert (answer.status, answer.json) == (201, {"ok": True, "id": "_local/point", "rev": "0-1"})
    assert client.put("/db/_local/point", {"x": 2}).status == 409
    assert client.put("/db/_local%2Fpoint", {"x": 2, "_rev": "0-1"}).json["rev"] == "0-2"
    assert client.get("/db/_local/point").json == {"_id": "_local/point", "_rev": "0-2", "x": 2}
    assert [row["id"] for row in client.get("/db/_local_docs").json["rows"]] == ["_local/point"]
    assert client.get("/db/_changes").json["results"] == []
    assert client.delete("/db/_local/point?rev=0-2").status == 200
    assert client.get("/db/_local/point").status == 404


def test_forms_of_attachments(client):
    rev = client.put("/db/a", {"x": 1}).json["rev"]
    lines = [
        "--xyz", 'Content-Disposition: form-data; name="_rev"', "", rev,
        "--xyz", 'Content-Disposition: form-data; name="_attachments"; filename="note.txt"',
        "Content-Type: text/plain", "", "hello", "--xyz--", "",
    ]  # fmt: skip
    headers = {"Content-Type": "multipart/form-data; boundary=xyz"}
    # Every page of the web may send forms, so the page must be one of this server.
    assert client.post("/db/a", "\r\n".join(lines), headers).json["reason"] == "Referer header required."
    for elsewhere in ("http://evil.example/", "http://[", "null"):
        assert client.post("/db/a", "\r\n".join(lines), {**headers, "Referer": elsewhere}).status == 400
    headers["Referer"] = f"http://{client.address[0]}:{client.address[1]}/_utils/"
    assert client.post("/db/a", "\r\n".join(lines), headers).status == 201
    assert client.get("/db/a/note.txt").body == b"hello"
    assert client.get("/db/a").json["x"] == 1
    assert client.post("/db/a", "\r\n".join(lines), headers).status == 409
    assert client.post("/db/a", "{}", {**JSON, "Referer": headers["Referer"]}).status == 415
    assert client.post("/db/_find", "{}", JSON).status == 404
