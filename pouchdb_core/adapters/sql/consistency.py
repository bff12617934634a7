"""Consistency checks between tables: each statement returns the rows that violate one."""

from __future__ import annotations

__all__ = ["CHECKS"]

CHECKS = (
    (
        "doc_count is wrong, documents counted",
        (
            "SELECT n FROM (SELECT count(*) AS n FROM documents WHERE deleted = 0) AS found "
            "WHERE n <> (SELECT doc_count FROM counters)"
        ),
    ),
    (
        "doc_del_count is wrong, tombstones counted",
        (
            "SELECT n FROM (SELECT count(*) AS n FROM documents WHERE deleted <> 0) AS found "
            "WHERE n <> (SELECT doc_del_count FROM counters)"
        ),
    ),
    (
        "update_seq is behind the last row",
        "SELECT max(seq) FROM documents HAVING max(seq) > (SELECT update_seq FROM counters)",
    ),
    (
        "last_pointer is behind the last body",
        "SELECT max(pointer) FROM bodies HAVING max(pointer) > (SELECT last_pointer FROM counters)",
    ),
    (
        "last_attachment is behind the last attachment",
        "SELECT max(number) FROM attachments HAVING max(number) > (SELECT last_attachment FROM counters)",
    ),
    ("a document without its body", "SELECT id FROM documents WHERE body IS NULL"),
    (
        "a body of a document that is gone",
        "SELECT id FROM bodies WHERE NOT EXISTS (SELECT 1 FROM documents AS d WHERE d.id = bodies.id)",
    ),
    (
        "a use of an attachment by a document that is gone",
        "SELECT id FROM attachment_uses WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = attachment_uses.id)",
    ),
    (
        "a piece of an attachment that is gone",
        (
            "SELECT attachment FROM attachment_chunks AS c "
            "WHERE NOT EXISTS (SELECT 1 FROM attachments AS a WHERE a.number = c.attachment)"
        ),
    ),
    (
        "a use of an attachment that is gone",
        (
            "SELECT id FROM attachment_uses AS u "
            "WHERE NOT EXISTS (SELECT 1 FROM attachments AS a WHERE a.number = u.attachment)"
        ),
    ),
    (
        "an attachment that nothing uses",
        (
            "SELECT digest FROM attachments AS a "
            "WHERE NOT EXISTS (SELECT 1 FROM attachment_uses AS u WHERE u.attachment = a.number)"
        ),
    ),
    (
        "an attachment of another length than told",
        (
            "SELECT digest FROM attachments WHERE length <> coalesce("
            "(SELECT sum(length(data)) FROM attachment_chunks WHERE attachment = number), 0)"
        ),
    ),
)
