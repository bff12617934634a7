"""A database of version 0.1.0 (schema version 2) is carried forward: nothing of it is lost or shown otherwise.

``data/version_2.sqlite.gz`` was made by the code of commit 528c6fc: documents, a tombstone, a view, a local document,
shared content, two chunks, conflicts with attachments of one name, a purge, and content that came from a CouchDB which
packs it.
"""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import pouchdb
from pouchdb_core.adapters.sqlite.schema import MIGRATIONS
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.documents.content import Digests
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import Damaged

OLD = Path(__file__).parent / "data" / "version_2.sqlite.gz"
TEXT = b"text that CouchDB keeps packed " * 40


@pytest.fixture
def old(directory: Path) -> Path:
    path = directory / "old.pouchdb"
    path.write_bytes(gzip.decompress(OLD.read_bytes()))
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for sql in statements:
            connection.execute(sql)
        connection.commit()


def test_everything_is_there(old: Path, environment: SyncEnvironment) -> None:
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        before = connection.execute("SELECT seq, id, rev, deleted, tree, body FROM documents ORDER BY seq").fetchall()
    db = environment["old"]
    assert db.integrity_check() == []
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        rows = connection.execute("SELECT seq, id, rev, deleted, tree, body FROM documents ORDER BY seq").fetchall()
        assert rows == before, "only what is kept of content has changed"
    info = db.info()
    assert (info.doc_count, info.doc_del_count, info.update_seq, info.purge_seq) == (9, 1, 17, 1)
    assert db.id() == "2e85b78ddefb49ca9d091151d480e09b"
    assert [db.get(f"doc{number}")["n"] for number in range(4)] == [0, 11, 2, 3]
    assert db.get("_local/mine")["note"] == "kept"
    assert db.query("by/n")["total_rows"] == 8
    shared, big = b"shared content", bytes(range(256)) * 1200
    assert db.get_attachment("one", "a") == {"type": "text/plain", "data": shared}
    assert db.get_attachment("one", "b") == {"type": "image/png", "data": shared}
    assert db.get_attachment("two", "shared").data == shared
    assert db.get_attachment("two", "big").data == big
    assert db.get("torn", conflicts=True)["_conflicts"] == ["2-left"]
    for side in ("left", "right"):
        assert db.get_attachment("torn", "side", rev=f"2-{side}").data == side.encode()
        assert db.get_attachment("torn", "empty", rev=f"2-{side}").data == b""
    assert db.get_attachment("from couch", "t.txt").data == TEXT
    # It goes by the digest that its source gives it, and that of its bytes is known, too.
    assert db.get("from couch")["_attachments"]["t.txt"]["digest"] != Digests(TEXT).md5
    assert db.open_attachment("from couch", "t.txt").md5 == Digests(TEXT).md5


def test_it_goes_on(old: Path, environment: SyncEnvironment) -> None:
    db = environment["old"]
    db.put({**db.get("from couch"), "edited": True})
    db.put({**db.get("two"), "edited": 2})
    db.put({"_id": "new", "_attachments": {"x": {"data": b"shared content", "content_type": "a/b"}}})
    assert db.info().update_seq == 20
    copy = environment["copy"]
    assert db.replicate_to(copy)["ok"]
    for database in (db, copy):
        assert database.integrity_check() == []
        assert database.get_attachment("from couch", "t.txt").data == TEXT
    # Content that is there under two names and in three documents is stored once.
    db.remove(db.get("one"))
    db.remove(db.get("two"))
    db.compact()
    assert db.get_attachment("new", "x").data == b"shared content"
    db.remove(db.get("new"))
    db.compact()
    assert db.adapter.store.contents(Digests(b"shared content").md5) == []  # type: ignore[attr-defined]
    assert db.integrity_check() == []


def test_content_of_two_digests_becomes_one(old: Path, environment: SyncEnvironment) -> None:
    """It came from a CouchDB which packs it, and from somebody here."""
    change(
        old,
        f"INSERT INTO attachments (number, digest, length) VALUES (90, '{Digests(TEXT).md5}', {len(TEXT)})",
        "INSERT INTO attachment_chunks SELECT 90, position, data FROM attachment_chunks WHERE attachment = "
        "(SELECT max(number) FROM attachments WHERE number < 90)",
        "UPDATE counters SET last_attachment = 90",
        'UPDATE documents SET body = CAST(replace(CAST(body AS TEXT), \'"n":0\', \'"n":0,"_attachments":'
        f'{{"t":{{"content_type":"text/plain","revpos":1,"digest":"{Digests(TEXT).md5}","length":{len(TEXT)}}}}}\') '
        "AS BLOB) WHERE id = 'doc0'",
        "INSERT INTO attachment_uses (attachment, id, rev) SELECT 90, id, rev FROM documents WHERE id = 'doc0'",
    )
    db = environment["old"]
    assert db.integrity_check() == []
    assert db.get_attachment("doc0", "t").data == db.get_attachment("from couch", "t.txt").data == TEXT
    assert len(db.adapter.store.contents(Digests(TEXT).md5)) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE attachment_chunks SET data = CAST(x'ff' || substr(data, 2) AS BLOB) WHERE length(data) > 40000",
        "DELETE FROM attachment_chunks WHERE position = 1",
    ],
)
def test_what_was_damaged_already_stays_known_to_be(old: Path, environment: SyncEnvironment, damage: str) -> None:
    change(old, damage)
    db, target = environment["old"], environment["target"]
    assert [each for each in db.integrity_check() if "'big' of document 'two'" in each]
    with pytest.raises(Damaged, match="'big' of document 'two'"):
        db.get_attachment("two", "big")
    assert db.get_attachment("two", "shared").data == b"shared content"
    result = db.replicate_to(target)
    assert [each["id"] for each in result["errors"]] == ["two"]
    assert target.info().doc_count == 8
    assert target.integrity_check() == []


def test_two_processes_at_once(old: Path, open_store: Callable[..., SqliteStore], child: Callable[..., None]) -> None:
    def run(send: object, receive: object) -> object:
        with pouchdb.setup(old.parent, plugins=[]) as environment:
            return environment["old"].get_attachment("two", "shared").data

    children = [child(run) for _ in range(3)]
    assert [each.result() for each in children] == [b"shared content"] * 3  # type: ignore[attr-defined]
