"""Schema version 3: content is keyed by SHA-256, and found by the revision and the name that have it.

Until then it was keyed by the document's digest: MD5, for which two contents with one digest can be
made, or the digest of a CouchDB that packs content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pouchdb_core.adapters.sqlite.transactions import Connections
from pouchdb_core.documents.attachments import Incoming
from pouchdb_core.documents.content import Digests, compare, is_compressible
from pouchdb_core.errors import ContentMismatch
from pouchdb_core.jsontext import load
from pouchdb_core.revisions import Tree

__all__ = ["key_content"]

PAGE = 500


def key_content(connections: Connections) -> None:
    """Give all content its key. Reads every attachment once.

    Content that does not match its digest, although nothing may have packed it, is damaged: it gets no key,
    and reading it raises that error from then on.
    """
    run = connections.run
    run("ALTER TABLE attachments RENAME TO old_attachments")
    run("ALTER TABLE attachment_uses RENAME TO old_attachment_uses")
    run(
        "CREATE TABLE attachments (number INTEGER NOT NULL PRIMARY KEY, digest TEXT NOT NULL, "
        "length INTEGER NOT NULL, sha256 BLOB UNIQUE)"
    )
    run(
        "CREATE TABLE attachment_uses (id TEXT NOT NULL, rev TEXT NOT NULL, name TEXT NOT NULL, "
        "attachment INTEGER NOT NULL, PRIMARY KEY (id, rev, name)) WITHOUT ROWID"
    )
    # The CRC-32 of the piece; null in those of earlier versions, which are not rewritten for it.
    run("ALTER TABLE attachment_chunks ADD COLUMN checksum INTEGER")
    if connections.one("SELECT 1 FROM old_attachments LIMIT 1") is not None:
        same = _contents(connections)
        _uses(connections, same)
    run("DROP TABLE old_attachments")
    run("DROP TABLE old_attachment_uses")
    run("CREATE INDEX attachments_digest ON attachments (digest)")
    run("CREATE INDEX attachment_uses_attachment ON attachment_uses (attachment)")


def _contents(connections: Connections) -> dict[int, int]:
    """Fill the new table; return the numbers whose content already has another number."""
    same: dict[int, int] = {}
    after = 0
    while page := connections.all(
        "SELECT number, digest, length FROM old_attachments WHERE number > ? ORDER BY number LIMIT ?", (after, PAGE)
    ):
        for number, digest, length in page:
            came = Digests()
            for piece in _pieces(connections, number):
                came.update(piece)
            md5 = came.md5
            sha256: bytes | None = came.sha256
            if not _is_whole(connections, number, digest, length, came):
                md5, sha256 = digest, None
            known = sha256 and connections.one("SELECT number FROM attachments WHERE sha256 = ?", (sha256,))
            if known:
                # One came as it is, the other from a CouchDB that packed it.
                same[number] = known[0]
                connections.run("DELETE FROM attachment_chunks WHERE attachment = ?", (number,))
            else:
                row = (number, md5, length, sha256)
                connections.run("INSERT INTO attachments (number, digest, length, sha256) VALUES (?, ?, ?, ?)", row)
        after = page[-1][0]
    return same


def _pieces(connections: Connections, number: int) -> Iterator[bytes]:
    position = 0
    while row := connections.one(
        "SELECT data FROM attachment_chunks WHERE attachment = ? AND position = ?", (number, position)
    ):
        yield row[0]
        position += 1


def _is_whole(connections: Connections, number: int, digest: str, length: int, came: Digests) -> bool:
    if came.length != length:
        return False
    if digest == came.md5:
        return True
    entry: dict[str, Any] = {"digest": digest}
    use = connections.one("SELECT id, rev FROM old_attachment_uses WHERE attachment = ? LIMIT 1", (number,))
    if use is not None:
        entries = _entries(connections, *use).values()
        entry = next((dict(each) for each in entries if each["digest"] == digest), entry)
    if is_compressible(entry):
        # A CouchDB packed it, or the client that sent it there, by any packer.
        return True
    try:
        compare("", {**entry, "encoding": "gzip"}, Incoming(entry, digests=came), _pieces(connections, number))
    except ContentMismatch:
        return False
    return True


def _uses(connections: Connections, same: dict[int, int]) -> None:
    after = ("", "")
    while page := connections.all(
        "SELECT DISTINCT id, rev FROM old_attachment_uses WHERE (id, rev) > (?, ?) ORDER BY id, rev LIMIT ?",
        (*after, PAGE),
    ):
        for id, rev in page:
            for name, entry in _entries(connections, id, rev).items():
                row = connections.one("SELECT number FROM old_attachments WHERE digest = ?", (entry["digest"],))
                if row is not None:
                    number = same.get(row[0], row[0])
                    use = (id, rev, name, number)
                    connections.run("INSERT INTO attachment_uses (id, rev, name, attachment) VALUES (?, ?, ?, ?)", use)
        after = page[-1]


def _entries(connections: Connections, id: str, rev: str) -> dict[str, Any]:
    """Return what a stored revision says about its attachments."""
    row = connections.one("SELECT rev, tree, body FROM documents WHERE id = ?", (id,))
    if row is None:
        return {}
    winner, tree, body = row
    if rev != winner:
        pointer = None if tree is None else Tree.loads(tree).body(rev)
        found = None if pointer is None else connections.one("SELECT body FROM bodies WHERE pointer = ?", (pointer,))
        body = None if found is None else found[0]
    entries: dict[str, Any] = load(body or b"{}").get("_attachments", {})
    return entries
