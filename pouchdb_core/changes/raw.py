"""The changes feed as indexes read it: documents as JSON text, which most indexes never parse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import orjson

from pouchdb_core.documents.listing import row_document
from pouchdb_core.documents.store import Row, Store
from pouchdb_core.errors import NotFound
from pouchdb_core.jsontext import dump, load_record
from pouchdb_core.requests import ReadOptions
from pouchdb_core.results import Record

__all__ = ["RawChange", "is_linear", "raw_changes"]

CONFLICTS = ReadOptions(conflicts=True, deleted_conflicts=True)


class RawChange(NamedTuple):
    """One row of the feed."""

    seq: int
    id: str
    rev: str
    deleted: bool
    text: bytes
    """The winner as JSON with ``_id``, ``_rev``, ``_conflicts`` and ``_deleted_conflicts``; empty if deleted."""

    def document(self) -> Record:
        """Return the document, parsed again at each call."""
        return load_record(self.text)


def raw_changes(store: Store, rows: Iterable[Row], options: ReadOptions) -> Iterator[RawChange]:
    """Yield rows of the feed, in the state in which they were read."""
    # Without the function that a named tuple is made by, which takes twice as long.
    quote, made = orjson.dumps, partial(tuple.__new__, RawChange)
    for seq, id, rev, deleted, tree, body in rows:
        if deleted:
            yield made((seq, id, rev, True, b""))
        elif (tree is None or is_linear(tree)) and b'"_attachments"' not in body and not options.local_seq:  # type: ignore[operator]
            head = b'{"_id":%b,"_rev":"%b"' % (quote(id), rev.encode())
            text = head + b"}" if body == b"{}" else head + b"," + body[1:]  # type: ignore[index]  # bodies were asked for
            yield made((seq, id, rev, False, text))
        else:
            wanted = replace(CONFLICTS, local_seq=options.local_seq)
            try:
                doc = row_document(store, (seq, id, rev, deleted, tree, body), wanted)
            except NotFound:
                # The document has changed since the page was read, and comes again under a later seq.
                continue
            head = b'{"_id":%b,' % quote(id)
            del doc["_id"]
            yield made((seq, id, rev, False, head + dump(doc)[1:]))


def is_linear(tree: bytes) -> bool:
    """Return whether a stored tree has one branch, and so no conflicts; False for a damaged one."""
    try:
        return len(orjson.loads(tree)) == 1
    except (ValueError, TypeError):
        return False
