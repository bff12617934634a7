"""The tables, as peewee models. They make the schema; rows move by SQL text (see ``store``).

Models are declared per database because a peewee model is bound to one; nothing here is global.
"""

from __future__ import annotations

from typing import Any

import peewee

__all__ = ["create_tables"]


def create_tables(database: peewee.Database) -> None:
    """Create the tables of schema version 1 in an empty database."""

    class Table(peewee.Model):
        class Meta:
            legacy_table_names = False

    class Documents(Table):
        """One row a document. A get is one index read, all_docs and changes are range scans."""

        seq = peewee.BigIntegerField(primary_key=True)  # moves at every change: the feed is a scan of this
        id = peewee.TextField(unique=True)
        rev = peewee.TextField()  # the winner
        deleted = peewee.IntegerField()  # 1 if the winner is a tombstone
        conflicts = peewee.IntegerField()  # live losing leaves
        tree = peewee.BlobField(null=True)  # NULL while there is a single revision
        body = peewee.BlobField(null=True)  # the winner's JSON, last because it is long

    class Bodies(Table):
        """Bodies of every other revision that is kept; pointers are in the trees and never reused."""

        pointer = peewee.BigIntegerField(primary_key=True)
        id = peewee.TextField()  # so that compaction finds the document
        body = peewee.BlobField()

    class Attachments(Table):
        """Content, once per digest."""

        number = peewee.BigIntegerField(primary_key=True)  # never reused
        digest = peewee.TextField(unique=True)
        length = peewee.BigIntegerField()

    class AttachmentChunks(Table):
        """Content in pieces, so that one larger than memory streams in and out."""

        attachment = peewee.BigIntegerField()
        position = peewee.IntegerField()  # 0, 1, 2...
        data = peewee.BlobField()

        class Meta:
            primary_key = peewee.CompositeKey("attachment", "position")
            table_name = "attachment_chunks"

    class AttachmentUses(Table):
        """Which revisions use which content; content is deleted with its last use."""

        id = peewee.TextField()
        rev = peewee.TextField()
        attachment = peewee.BigIntegerField(index=True)

        class Meta:
            primary_key = peewee.CompositeKey("id", "rev", "attachment")
            table_name = "attachment_uses"
            without_rowid = True

    class LocalDocuments(Table):
        id = peewee.TextField(primary_key=True)
        rev = peewee.BigIntegerField()  # 3 is shown as 0-3
        body = peewee.BlobField()

        class Meta:
            table_name = "local_documents"

    class Purges(Table):
        """What was purged, so that indexes can follow."""

        purge_seq = peewee.BigIntegerField(primary_key=True)
        id = peewee.TextField()
        revs = peewee.BlobField()  # JSON list

    class Metadata(Table):
        key = peewee.TextField(primary_key=True)
        value = peewee.BlobField()  # JSON

    class Counters(Table):
        """One row: what changes with nearly every write (counting 300,000 rows takes 47 ms)."""

        one = peewee.IntegerField(primary_key=True)
        update_seq = peewee.BigIntegerField(default=0)
        doc_count = peewee.BigIntegerField(default=0)
        doc_del_count = peewee.BigIntegerField(default=0)
        purge_seq = peewee.BigIntegerField(default=0)
        ddocs_seq = peewee.BigIntegerField(default=0)
        last_pointer = peewee.BigIntegerField(default=0)
        last_attachment = peewee.BigIntegerField(default=0)
        revs_limit = peewee.BigIntegerField(default=1000)  # every write needs it

    conflicted: Any = Documents.index(Documents.id, name="documents_conflicted", where=(Documents.conflicts > 0))
    Documents.add_index(conflicted)
    tables: list[type[peewee.Model]] = [
        Documents,
        Bodies,
        Attachments,
        AttachmentChunks,
        AttachmentUses,
        LocalDocuments,
        Purges,
        Metadata,
        Counters,
    ]
    with database.bind_ctx(tables):
        database.create_tables(tables)
        Counters.insert(one=1).execute()
