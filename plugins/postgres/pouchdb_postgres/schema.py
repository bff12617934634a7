"""The tables of a database, and the steps from each version of them to the next.

Rows are those of SQLite's store. What differs: an index entry of PostgreSQL has at most 2,700 bytes, and ids and keys
may be longer. So a table that is sorted by such columns has two partitions: rows with short values, which have the
index, and the few with long ones, which are sorted when they are read. PostgreSQL keeps them apart, and merges them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pouchdb_postgres.connections import Connections

__all__ = ["LONGEST", "MIGRATIONS", "Migration", "sorted_table"]

Migration = Callable[[Connections], None]

LONGEST = 2400
"""Bytes that the columns of an index may have together."""


def sorted_table(name: str, columns: str, long: Sequence[str], by: Sequence[str] = ()) -> list[str]:
    """Return the statements that make a table sorted by columns, of which ``long`` are of any length."""
    length = " + ".join(f"octet_length({column})" for column in long)
    short = [column for column in by if column not in long][:1]
    return [
        f"CREATE TABLE {name} ({columns}) PARTITION BY LIST (({length} > {LONGEST}))",
        f"CREATE TABLE {name}_short PARTITION OF {name} FOR VALUES IN (false)",
        f"CREATE TABLE {name}_long PARTITION OF {name} FOR VALUES IN (true)",
        f"CREATE UNIQUE INDEX ON {name}_short ({', '.join(by or long)})",
        # Without any way but reading all of it, which has a price that hides all others, its plans would be by chance.
        *(f"CREATE INDEX ON {name}_long ({column})" for column in short),
    ]


_TABLES = """
CREATE INDEX ON documents (seq);
-- By its hash, for any length.
CREATE INDEX ON documents_long USING hash (id);
CREATE INDEX ON documents_short (id) WHERE conflicts > 0;
CREATE INDEX ON documents_long (seq) WHERE conflicts > 0;
CREATE TABLE bodies (pointer BIGINT PRIMARY KEY, id TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE attachments (
  number BIGINT PRIMARY KEY, digest TEXT NOT NULL, length BIGINT NOT NULL, sha256 BYTEA UNIQUE
);
CREATE INDEX ON attachments USING hash (digest);
CREATE TABLE attachment_chunks (
  attachment BIGINT NOT NULL, position INTEGER NOT NULL, data BYTEA NOT NULL, checksum BIGINT,
  PRIMARY KEY (attachment, position)
);
-- Most content is packed already.
ALTER TABLE attachment_chunks ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE attachment_uses (id TEXT NOT NULL, rev TEXT NOT NULL, name TEXT NOT NULL, attachment BIGINT NOT NULL);
CREATE INDEX ON attachment_uses USING hash (id);
CREATE INDEX ON attachment_uses (attachment);
CREATE INDEX ON local_documents_long USING hash (id);
CREATE TABLE purges (purge_seq BIGINT PRIMARY KEY, id TEXT NOT NULL, revs TEXT NOT NULL);
CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL);
-- One row, whose lock is the write lock. It is written in place: its page has room for the next versions.
CREATE TABLE counters (
  update_seq BIGINT NOT NULL, doc_count BIGINT NOT NULL, doc_del_count BIGINT NOT NULL, purge_seq BIGINT NOT NULL,
  ddocs_seq BIGINT NOT NULL, last_pointer BIGINT NOT NULL, last_attachment BIGINT NOT NULL, revs_limit BIGINT NOT NULL,
  commits BYTEA NOT NULL
) WITH (fillfactor = 10);
INSERT INTO counters VALUES (0, 0, 0, 0, 0, 0, 0, 1000, '');
CREATE TABLE indexes (
  number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind TEXT NOT NULL, signature TEXT NOT NULL,
  seq BIGINT NOT NULL DEFAULT 0, purge_seq BIGINT NOT NULL DEFAULT 0, fresh_until BIGINT NOT NULL DEFAULT 0,
  state TEXT, mark TEXT, builder TEXT, heartbeat DOUBLE PRECISION NOT NULL DEFAULT 0, UNIQUE (kind, signature)
)
"""


def _version_1(connections: Connections) -> None:
    # One row per document. seq moves at every change: the feed is a scan of this.
    documents = sorted_table(
        "documents",
        'seq BIGINT NOT NULL, id TEXT COLLATE "C" NOT NULL, rev TEXT NOT NULL, deleted INTEGER NOT NULL, '
        "conflicts INTEGER NOT NULL, tree BYTEA, body TEXT",
        ["id"],
    )
    local = sorted_table(
        "local_documents", 'id TEXT COLLATE "C" NOT NULL, rev BIGINT NOT NULL, body TEXT NOT NULL', ["id"]
    )
    connections.script([*documents, *local, _TABLES])


def _version_2(connections: Connections) -> None:
    # For pages of a listing: see ``sorted_table``.
    connections.script(["CREATE INDEX ON documents_long (deleted)"])
    rows = connections.all(
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace(?) AND relkind = 'r' "
        "AND relname ~ '^index_[0-9]+_rows_long$'",
        (connections.schema,),
    )
    connections.script([f"CREATE INDEX ON {name} (view)" for (name,) in rows])


MIGRATIONS: tuple[Migration, ...] = (_version_1, _version_2)
"""The step to each version; the newest version is their number."""
