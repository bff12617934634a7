"""A plug-in that keeps a database encrypted: its replica on a server is unreadable there.

    key = Encrypted.new_key()                   # keep it: without it nothing can be read
    env = pouchdb.setup("data", plugins=[Encrypted(key, "diary")])
    env["diary"].put({"_id": "2026-11-30", "text": "rain"})
    env["diary"].replicate_to("https://server/diary")

Every device has the key, the server does not. Documents are sealed with AES-256-GCM, bound to their id: one that is
changed, or put under another id, is unreadable and nothing else.

What it does not do:

- Ids, revisions, the number, sizes and times of changes, and which documents are deleted, are readable by everybody.
- A server can hold back changes, send an older revision again, or delete.
- Attachments are not encrypted; documents with new ones are refused.
- Design documents are not encrypted. Views on a server see sealed documents; local ones see readable ones, and their
  index in the local file is **not** encrypted.
- The same edit made on two devices is two revisions, since no two seals are equal.
- The key cannot be changed: make a new database, with another key, and copy the documents into it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pouchdb_core import Record, SyncPouchDB, Transform, hookimpl
from pouchdb_core.errors import BadRequest, Forbidden
from pouchdb_core.requests import Write

__all__ = ["Encrypted"]

SEALED = "sealed"
NONCE = 12


class _Sealing(Transform):
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
        if _travels(doc, request):
            return doc
        if any("data" in entry for entry in doc.get("_attachments", {}).values()):
            raise BadRequest("this database is encrypted, which attachments would not be: they are refused")
        body = {name: value for name, value in doc.items() if not name.startswith("_")}
        kept = {name: value for name, value in doc.items() if name.startswith("_")}
        if not body and doc.get("_deleted"):
            return kept
        nonce = os.urandom(NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, json.dumps(body).encode(), doc["_id"].encode())
        return {**kept, SEALED: base64.b64encode(sealed).decode()}

    def outgoing(self, doc: Record, request: Any) -> Mapping[str, Any]:
        if _travels(doc, request) or SEALED not in doc:
            return doc
        try:
            sealed = base64.b64decode(doc[SEALED], validate=True)
            body = self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], doc["_id"].encode())
        except (InvalidTag, TypeError, ValueError):
            raise Forbidden(f"{doc['_id']!r} was changed, or sealed with another key", id=doc["_id"]) from None
        return {**json.loads(body), **{name: value for name, value in doc.items() if name.startswith("_")}}


def _travels(doc: Record, request: Any) -> bool:
    """Return whether a document stays as it is: replicas hold what is sealed, design documents are code."""
    replicated = request.purpose == "replication" or (isinstance(request, Write) and not request.new_edits)
    return replicated or doc["_id"].startswith("_design/")


class Encrypted:
    """The plug-in: keeps the databases that are named encrypted with a key of 32 bytes."""

    def __init__(self, key: bytes, *databases: str) -> None:
        self._sealing = _Sealing(key)
        self._databases = databases

    @staticmethod
    def new_key() -> bytes:
        """Return a new random key."""
        return AESGCM.generate_key(256)

    @hookimpl
    def pouchdb_transforms(self, database: SyncPouchDB) -> Transform | None:
        return self._sealing if database.name in self._databases else None
