"""What one would write without a database library: the same rows and the same answers by plain sqlite3.

No revision trees, no hooks, no design documents, no attachments, one connection: the floor for this kind of
storage in Python. It does the work that cannot be left out: a revision hash, a conflict check, a sequence
number that moves with every write, kept counts, and the same dictionaries as answers.
"""

from __future__ import annotations

import sqlite3
from hashlib import md5
from pathlib import Path
from typing import Any

import orjson

from .documents import Document

SCHEMA = """
CREATE TABLE docs(
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  rev TEXT NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0,
  tree BLOB,
  body BLOB
);
CREATE TABLE meta(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO meta VALUES ('doc_count', 0);
"""
LOOKUP = "SELECT d.id, d.seq, d.rev, d.deleted FROM json_each(?) j CROSS JOIN docs d ON d.id = j.value"
INSERT = "INSERT INTO docs(seq, id, rev, deleted, body) VALUES (?, ?, ?, 0, ?)"


class HandWritten:
    """A document table with the methods the benchmark calls."""

    def __init__(self, path: Path, synchronous: str = "NORMAL") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.execute = self.connection.execute
        self.execute("PRAGMA page_size=4096")
        self.execute("PRAGMA journal_mode=WAL")
        self.execute(f"PRAGMA synchronous={synchronous}")
        self.execute("PRAGMA cache_size=-64000")
        self.execute("PRAGMA mmap_size=268435456")
        self.execute("PRAGMA wal_autocheckpoint=4000")
        self.connection.executescript(SCHEMA)

    def close(self) -> None:
        self.connection.close()

    def bulk_docs(self, docs: list[Document]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        rows: list[tuple[int, str, str, bytes]] = []
        replaced: list[tuple[int]] = []
        alive = 0
        self.execute("BEGIN IMMEDIATE")
        try:
            stored = {
                id: (seq, rev, deleted)
                for id, seq, rev, deleted in self.execute(LOOKUP, (orjson.dumps([doc["_id"] for doc in docs]),))
            }
            (seq,) = self.execute("SELECT coalesce(max(seq), 0) FROM docs").fetchone()
            for doc in docs:
                id = doc["_id"]
                generation = 1
                old = stored.get(id)
                if old is not None:
                    old_seq, old_rev, deleted = old
                    if doc.get("_rev") != old_rev and not deleted:
                        results.append({"id": id, "error": "conflict", "status": 409})
                        continue
                    generation += int(old_rev.partition("-")[0])
                    replaced.append((old_seq,))
                    alive -= not deleted
                body = orjson.dumps(doc)
                rev = f"{generation}-{md5(body).hexdigest()}"
                seq += 1
                rows.append((seq, id, rev, body))
                stored[id] = (seq, rev, 0)
                results.append({"ok": True, "id": id, "rev": rev})
            if replaced:
                self.connection.executemany("DELETE FROM docs WHERE seq = ?", sorted(replaced))
            self.connection.executemany(INSERT, rows)
            self.execute("UPDATE meta SET v = v + ? WHERE k = 'doc_count'", (alive + len(rows),))
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")
        return results

    def put(self, doc: Document) -> dict[str, Any]:
        id = doc["_id"]
        body = orjson.dumps(doc)
        generation, alive = 1, 1
        self.execute("BEGIN IMMEDIATE")
        try:
            old = self.execute("SELECT seq, rev, deleted FROM docs WHERE id = ?", (id,)).fetchone()
            if old is not None:
                old_seq, old_rev, deleted = old
                if doc.get("_rev") != old_rev and not deleted:
                    raise ValueError("conflict")
                generation += int(old_rev.partition("-")[0])
                alive = deleted
                self.execute("DELETE FROM docs WHERE seq = ?", (old_seq,))
            rev = f"{generation}-{md5(body).hexdigest()}"
            (seq,) = self.execute("SELECT coalesce(max(seq), 0) + 1 FROM docs").fetchone()
            self.execute(INSERT, (seq, id, rev, body))
            self.execute("UPDATE meta SET v = v + ? WHERE k = 'doc_count'", (alive,))
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")
        return {"ok": True, "id": id, "rev": rev}

    def get(self, id: str) -> Document:
        row = self.execute("SELECT rev, deleted, body FROM docs WHERE id = ?", (id,)).fetchone()
        if row is None or row[1]:
            raise KeyError(id)
        doc: Document = orjson.loads(row[2])
        doc["_rev"] = row[0]
        return doc

    def all_docs(self, include_docs: bool = False) -> dict[str, Any]:
        (total,) = self.execute("SELECT v FROM meta WHERE k = 'doc_count'").fetchone()
        rows: list[dict[str, Any]] = []
        if include_docs:
            for id, rev, body in self.execute("SELECT id, rev, body FROM docs WHERE deleted = 0 ORDER BY id"):
                doc = orjson.loads(body)
                doc["_rev"] = rev
                rows.append({"id": id, "key": id, "value": {"rev": rev}, "doc": doc})
        else:
            for id, rev in self.execute("SELECT id, rev FROM docs WHERE deleted = 0 ORDER BY id"):
                rows.append({"id": id, "key": id, "value": {"rev": rev}})
        return {"total_rows": total, "offset": 0, "rows": rows}

    def changes(self, include_docs: bool = False) -> dict[str, Any]:
        results: list[dict[str, Any]] = []
        columns = "seq, id, rev, deleted, body" if include_docs else "seq, id, rev, deleted"
        seq = 0
        for seq, id, rev, deleted, *body in self.execute(f"SELECT {columns} FROM docs ORDER BY seq"):
            row: dict[str, Any] = {"seq": seq, "id": id, "changes": [{"rev": rev}]}
            if deleted:
                row["deleted"] = True
            if include_docs:
                doc = orjson.loads(body[0])
                doc["_rev"] = rev
                row["doc"] = doc
            results.append(row)
        return {"results": results, "last_seq": seq}
