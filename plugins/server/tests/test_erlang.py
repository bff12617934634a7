"""What Apache CouchDB's replicator insists on, with us as its source and as its target (``erlang.py``)."""

from __future__ import annotations

import json
import threading

import pytest

from .erlang import Crash, Doc, HttpDb, digest, replicate, session, stored

ID = "c0ebe9256695ff083347cbf95f93e280"
BIG = bytes(range(256)) * 1000


@pytest.fixture
def peers(server, client):
    """Make databases at the server, as the replicator sees them."""
    opened = []

    def make(name: str, **options) -> HttpDb:
        opened.append(HttpDb(f"{server.url}/{name}", **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def filled(environment, client):
    """A database with all that a document can have."""
    db = environment["db"]
    db.bulk_docs([{"_id": f"doc{n}", "n": n} for n in range(7)])
    db.put({"_id": "with space/slash+plus%", "text": "é日🚲\u2028"})
    db.remove(db.get("doc3"))
    db.bulk_docs(
        [
            {"_id": "conflict", "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]}, "x": 1},
            {"_id": "conflict", "_rev": "2-c", "_revisions": {"start": 2, "ids": ["c", "a"]}, "x": 2},
            {"_id": "conflict", "_rev": "2-d", "_revisions": {"start": 2, "ids": ["d", "a"]}, "_deleted": True},
        ],
        new_edits=False,
    )
    rev = db.put({"_id": "_design/views", "views": {"n": {"map": "function (doc) { emit(doc.n); }"}}})["rev"]
    db.put_attachment("_design/views", "index.html", b"<p>", "text/html", rev)
    db.put({"_id": "_design/plain", "language": "javascript"})
    for name in ("a.txt", 'quo"te é.bin', "empty", "dir/big.bin"):
        rev = db.get("files")["_rev"] if name != "a.txt" else None
        content = {"empty": b"", "dir/big.bin": BIG}.get(name, b"--\r\n--" + name.encode())
        db.put_attachment("files", name, content, "text/plain; charset=utf-8", rev)
    return db


def leaves(database, id):
    found = database.open_revs(id, "all", revs=True, attachments=True)
    return sorted((each["ok"] for each in found), key=lambda doc: doc["_rev"])


def assert_same(source, target):
    ids = [row["id"] for row in source.changes()["results"]]
    assert ids
    assert sorted(ids) == sorted(row["id"] for row in target.changes()["results"])
    for id in ids:
        assert leaves(source, id) == leaves(target, id)


@pytest.mark.parametrize("double_accept", [False, True])
def test_both_roles(filled, peers, environment, double_accept):
    """All of it, through the eyes of CouchDB's replicator; a second run goes on where the first ended."""
    source, target = peers("db", double_accept=double_accept), peers("copy", double_accept=double_accept)
    stats = replicate(source, target, ID, "one", create=True)
    assert stats["docs_written"] == stats["missing_found"] == stats["docs_read"] == 14
    assert stats["doc_write_failures"] == 0
    copy = environment["copy"]
    assert_same(filled, copy)
    # Again, and from the other side: nothing to do.
    calls = len(source.calls)
    assert not any(replicate(source, target, ID, "two").values())
    assert not any("PUT _local" in call for call in source.calls[calls:])
    back = replicate(target, source, "back", "three")
    assert (back["missing_checked"], back["missing_found"]) == (14, 0)
    # An attachment that is there already is not sent again.
    doc = filled.get("files")
    filled.put_attachment("files", "new", b"new", "text/plain", doc["_rev"])
    filled.put({**filled.get("doc1"), "n": 100})
    more = replicate(source, target, ID, "four")
    assert (more["missing_found"], more["docs_written"]) == (2, 2)
    assert_same(filled, copy)
    log = copy.get(f"_local/{ID}")
    assert [each["session_id"] for each in log["history"]] == ["four", "one"]
    assert log == {**filled.get(f"_local/{ID}"), "_rev": log["_rev"]}


def test_what_is_known_is_not_sent(filled, peers):
    """possible_ancestors become atts_since: only what is newer follows, the rest are stubs."""
    source, target = peers("db"), peers("copy")
    replicate(source, target, ID, "one", create=True)
    known = filled.get("files")["_rev"]
    rev = filled.put_attachment("files", "new", b"new", "text/plain", known)["rev"]
    assert target.missing_revs({"files": [rev]}) == [("files", [rev], [known])]
    [doc] = source.open_doc_revs("files", [rev], [known])
    assert doc.contents == {"new": b"new"}
    assert all(entry.get("stub") for name, entry in doc.attachments.items() if name != "new")
    assert target.update_doc(doc) == rev
    # Without them it all comes.
    [whole] = source.open_doc_revs("files", [rev], [])
    assert set(whole.contents) == set(doc.attachments)
    # A stub of something nobody has is told as what makes the replicator send it whole.
    stranger = peers("stranger")
    stranger.open(create=True)
    with pytest.raises(Crash, match="missing_stub"):
        stranger.update_doc(doc)


def test_missing_revisions_and_documents(filled, peers):
    for id, missing in (("doc1", "2-none"), ("none", "1-a")):
        with pytest.raises(Crash, match="missing_doc"):
            list(peers("db").open_doc_revs(id, [missing], []))
    source = peers("db")
    found = source.bulk_get(
        {("none", "1-a"): [], ("doc1", "1-none"): ["1-b"], ("doc2", filled.get("doc2")["_rev"]): []}
    )
    assert isinstance(found["doc2", filled.get("doc2")["_rev"]], Doc)
    errors = [found["none", "1-a"], found["doc1", "1-none"]]
    assert [(each["id"], each["rev"], each["error"], each["reason"]) for each in errors] == [
        ("none", "1-a", "not_found", "missing"),
        ("doc1", "1-none", "not_found", "missing"),
    ]


def test_latest_answers_the_leaf(filled, peers):
    source = peers("db")
    first = filled.get("doc1")
    newer = filled.put({**first, "n": 2})["rev"]
    [doc] = source.open_doc_revs("doc1", [first["_rev"]], [])
    assert doc.json["_rev"] == newer
    assert source.bulk_get({("doc1", first["_rev"]): []})["doc1", first["_rev"]].json["_rev"] == newer


@pytest.mark.parametrize("size", [0, 10, 5000, 200_000])
def test_packed_attachments_go_from_couchdb_to_couchdb(client, peers, environment, size):
    """CouchDB stores text packed with gzip and sends it so; we send it as it is, with the digest of that."""
    text = (b"hello %d " * (size // 8 + 1) % ((1,) * (size // 8 + 1)))[:size]
    contents = {"t.txt": ("text/plain", text), "p.png": ("image/png", text), "j": ("application/json", b"1" + text)}
    first = peers("db")
    doc = stored("a", contents, "abc")
    first.update_doc(doc)
    db = environment["db"]
    for name, (kind, plain) in contents.items():
        assert db.get_attachment("a", name) == {"type": kind, "data": plain}
        # What CouchDB calls it stays known.
        assert db.get("a")["_attachments"][name]["digest"] == doc.attachments[name]["digest"]
    assert db.integrity_check() == []
    # As source of a CouchDB, which compares what comes with the digest it is told.
    client.put("/other")
    stats = replicate(first, peers("other"), ID, "s1")
    assert (stats["docs_written"], stats["doc_write_failures"]) == (1, 0)
    # As source of one like this.
    local, pulled = environment["local"], environment["pulled"]
    db.replicate_to(local)
    assert pulled.replicate_from(first_url(client, "db"))["errors"] == []
    for other in (environment["other"], local, pulled):
        assert [other.get_attachment("a", name).data for name in contents] == [each[1] for each in contents.values()]
        assert other.integrity_check() == []


def first_url(client, name):
    host, port = client.address
    return f"http://{host}:{port}/{name}"


@pytest.mark.parametrize("wrong", [{"digest": digest(b"another")}, {"length": 6}, {"encoded_length": 7}])
def test_content_that_is_not_what_its_document_says(client, peers, environment, wrong):
    doc = stored("a", {"t": ("text/plain", b"hello")}, "abc")
    doc.attachments["t"].update(wrong)
    with pytest.raises(Crash):
        peers("db").update_doc(doc)
    assert list(environment["db"]) == []


def test_bulk_docs_compares_content(client, environment):
    good = {"_id": "good", "_rev": "1-a", "_attachments": {"a": {"data": "aGVsbG8=", "digest": digest(b"hello")}}}
    # As PouchDB brings it from a CouchDB: plain content with the digest of what is packed.
    packed = stored("packed", {"a": ("text/plain", b"hello")}, "a")
    brought = {key: packed.attachments["a"][key] for key in ("digest", "content_type", "revpos")}
    brought = {"_id": "brought", "_rev": "1-a", "_attachments": {"a": {**brought, "data": "aGVsbG8="}}}
    bad = {"_id": "bad", "_rev": "1-a", "_attachments": {"a": {"data": "aGVsbG8=", "digest": digest(b"hallo")}}}
    answer = client.post("/db/_bulk_docs", {"docs": [good, bad, brought], "new_edits": False})
    [error] = answer.json
    assert (error["id"], error["error"]) == ("bad", "content_md5_mismatch")
    assert "attachment 'a'" in error["reason"]
    assert sorted(environment["db"]) == ["brought", "good"]


def test_filters(filled, peers, environment):
    source = peers("db")
    ids = lambda rows: [row[1] for row in rows if isinstance(row, tuple)]  # noqa: E731
    assert ids(source.changes(0, doc_ids=["doc1", "none"])) == ["doc1"]
    if "find" in environment.engine.plugins.names:
        assert ids(source.changes(0, selector={"n": {"$gt": 4}})) == ["doc5", "doc6"]
    filled.put({"_id": "_design/f", "filters": {"n": "function (doc, req) { return doc.n == req.query.n; }"}})
    assert ids(source.changes(0, filter="f/n", query_params={"n": "2"})) == ["doc2"]
    stats = replicate(source, peers("some"), ID, "one", create=True, doc_ids=["doc1"])
    assert stats["docs_written"] == 1
    assert [row["id"] for row in environment["some"].all_docs()["rows"]] == ["doc1"]


def test_a_continuous_feed_ends_with_where_to_go_on(filled, peers):
    rows = list(peers("db").changes(0, continuous=True, timeout=1))
    assert all(isinstance(row, tuple) for row in rows[:-1])
    assert rows[-1] == rows[-2][0] == filled.info()["update_seq"]
    source = peers("db")
    feed = source.changes(rows[-1], continuous=True, timeout=20_000)
    timer = threading.Timer(0.05, filled.put, [{"_id": "late"}])
    timer.start()
    assert next(feed)[1] == "late"
    timer.join()


def test_pending(filled, peers):
    filled.bulk_docs([{}, {}, {}])
    seq = filled.info()["update_seq"]
    assert peers("db").pending(seq - 3) == 3
    # As it asks servers whose numbers are text.
    assert peers("db").pending(str(seq - 3)) == 3


def test_too_large_batches_are_halved(filled, peers, serve, environment):
    filled.bulk_docs([{"_id": f"long{n}", "text": "x" * 1000} for n in range(9)])
    small = HttpDb(f"{serve(max_body=3000).url}/small")
    stats = replicate(peers("db"), small, ID, "one", create=True, batch=100)
    assert stats["doc_write_failures"] == 0
    assert small.calls.count("POST _bulk_docs") > 3
    small.close()
    assert_same(filled, environment["small"])


def test_a_url_that_is_too_long(filled, peers, serve):
    """414 makes the replicator ask for fewer revisions; anything else ends the job."""
    short = HttpDb(f"{serve(max_headers=2000).url}/db")
    with pytest.raises(Crash, match="request_uri_too_long"):
        list(short.open_doc_revs("doc1", [f"1-{n:032x}" for n in range(100)], []))
    short.close()


def test_documents_that_are_refused_are_named(filled, peers, serve, environment, client):
    """A failure is counted, and the others are written."""
    denied = {
        "_id": "_design/auth",
        "validate_doc_update": "function (doc) { if (doc.n == 5) throw({forbidden: 'no'}); }",
    }
    client.put("/guarded")
    environment["guarded"].put(denied)
    target = peers("guarded")
    docs = [Doc({**filled.get(f"doc{n}", revs=True)}) for n in (4, 5, 6)]
    errors = target.update_docs(docs)
    if errors:
        # With the plug-in that validates.
        assert errors == [("doc5", docs[1].json["_rev"], "forbidden", "no")]
    assert environment["guarded"].get("doc6")["n"] == 6


def test_a_session(serve, environment):
    server = serve(admins={"ada": "s3cret pass"})
    with pytest.raises(Crash, match="401"):
        session(server.url, "ada", "wrong")
    cookie = session(server.url, "ada", "s3cret pass")
    stranger, known = HttpDb(f"{server.url}/db"), HttpDb(f"{server.url}/db", cookie=cookie)
    with pytest.raises(Crash, match="unauthorized"):
        stranger.open(create=True)
    assert known.open(create=True)["db_name"] == "db"
    stranger.close()
    known.close()


def test_checkpoints_of_two_replicators(client, peers):
    """Of two that write the same log one is told, by a conflict."""
    one = peers("db")
    rev = one.update_log(ID, None, {"session_id": "one", "history": []})
    assert one.log(ID)["session_id"] == "one"
    with pytest.raises(Crash, match="conflict"):
        one.update_log(ID, None, {"session_id": "two", "history": []})
    one.update_log(ID, rev, {"session_id": "three", "history": []})
    assert json.loads(client.get(f"/db/_local/{ID}").body)["session_id"] == "three"
