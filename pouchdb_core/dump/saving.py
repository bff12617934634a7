"""Writing a dump: the changes feed to its end, then checkpoints and the like, which must follow their documents."""

from __future__ import annotations

import base64
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from email.utils import formatdate
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

from pouchdb_core.documents.attachments import parse_content
from pouchdb_core.documents.packed import Packed
from pouchdb_core.dump.lines import CHUNK, INLINE, VERSION, LineWriter
from pouchdb_core.errors import NotFound, NotSupported, PouchDBError, ServerError
from pouchdb_core.jsontext import dump as json_bytes
from pouchdb_core.jsontext import load as json_object
from pouchdb_core.requests import Administer, Changes, Read, ReadOptions
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.adapters.base import Adapter
    from pouchdb_core.interfaces import Database

__all__ = ["Progress", "dump"]

PAGE = 500
"""Documents handled together."""
SIZE = 4_000_000
"""Bytes of documents read at once."""
SPOOL = 1_000_000
LEAVES = 1_000_000
"""Bytes of leaves of one document in a line; more take several lines."""
REVS = ReadOptions(revs=True)

Item = tuple[str, str, tuple[str, ...]]
Progress = Callable[[int, int], None]
"""Called with the number of documents done and the number in all, or with bytes."""


def dump(db: Database, file: IO[bytes], on_progress: Progress | None = None) -> Record:
    """Write everything that ``db`` has to a binary file, line by line; return what was written.

    The database may be written meanwhile: the dump ends where it has caught up, and holds every document in
    a state it had between the beginning and the end. Memory does not depend on the size of the database. The
    stored documents are written: plug-ins that read or judge documents are not asked. Returns
    ``{"documents", "revisions", "attachments", "local_documents", "update_seq", "bytes"}``.
    """
    work = _Dump(db.adapter, LineWriter(file), on_progress or (lambda done, total: None))
    counts: Record = db.plugins.administer(db, Administer("dump", {"run": work.run}, db.user, db.purpose))
    return counts


class _Dump:
    def __init__(self, adapter: Adapter, out: LineWriter, progress: Progress) -> None:
        self._adapter, self._out, self._progress = adapter, out, progress
        self._counts = Record(documents=0, revisions=0, attachments=0, local_documents=0)
        self._last: str | None = None
        """The id of the document whose attachments were sent last."""
        self._written: str | None = None

    def run(self) -> Record:
        info = self._adapter.info()
        self._out.write(self._header(info))
        self._out.write({"security": self._adapter.security()})
        with tempfile.SpooledTemporaryFile(max_size=SPOOL) as spool:
            # Read before the documents, so that what a checkpoint says is true of the documents that follow.
            self._keep_locals(cast("IO[bytes]", spool))
            last_seq = self._documents()
            purge_seq = 0
            for purge_seq, id, revs in self._adapter.purges(0):
                self._out.write({"purge": {"seq": purge_seq, "id": id, "revs": list(revs)}})
            spool.seek(0)
            for line in spool:
                self._out.write({"local": json_object(line)})
                self._counts["local_documents"] += 1
        seq = info.get("purge_seq")
        self._counts["update_seq"] = last_seq
        self._out.write({"end": {**self._counts, "purge_seq": max(purge_seq, seq if type(seq) is int else 0)}})
        return Record(self._counts, bytes=self._out.bytes)

    def _header(self, info: Mapping[str, Any]) -> dict[str, Any]:
        header: dict[str, Any] = {
            "pouchdb_dump": VERSION,
            "dump": uuid.uuid4().hex,
            "start_time": formatdate(usegmt=True),
            "db_name": info.get("db_name"),
            "adapter": self._adapter.name,
        }
        if not self._adapter.remote:
            # A server's numbers and identity are its own: a database loaded from such a dump is another one.
            header.update({key: info[key] for key in ("uuid", "epoch", "former_epochs", "update_seq")})
        try:
            header["revs_limit"] = self._adapter.revs_limit()
        except (NotSupported, NotFound):
            # A server that does not report it.
            header["revs_limit"] = None
        return header

    def _keep_locals(self, spool: IO[bytes]) -> None:
        for id in self._adapter.local_ids("_local/"):
            try:
                spool.write(json_bytes(self._adapter.read(Read(id))) + b"\n")
            except NotFound:
                # Removed since it was listed.
                continue

    # -- documents -----------------------------------------------------------------------------------

    def _documents(self) -> Any:
        """Write all documents; return the last seq."""
        seq: Any = 0
        self._progress(0, self._total())
        while True:
            feed = _Rows(self._adapter.changes(Changes(since=seq, style="all_docs")))
            before = seq
            while rows := list(islice(feed, PAGE)):
                self._page(rows)
                self._progress(self._counts["documents"], self._total())
                seq = rows[-1]["seq"]
            if seq == before:
                # Every document was written in a state that is not older than the beginning.
                return feed.last_seq if feed.last_seq is not None else seq

    def _total(self) -> int:
        info = self._adapter.info()
        return int(info["doc_count"]) + int(info.get("doc_del_count") or 0)

    def _page(self, rows: Sequence[Record]) -> None:
        wanted: list[Item] = [(row["id"], change["rev"], ()) for row in rows for change in row["changes"]]
        seqs = {row["id"]: row["seq"] for row in rows}
        while wanted:
            docs, count = self._packed(wanted) if self._adapter.packs else self._plain(wanted)
            wanted = wanted[count:]
            self._write(docs, seqs)

    def _packed(self, wanted: Sequence[Item]) -> tuple[list[Record], int]:
        """Read some leaves in one snapshot; missing ones were changed since the page was read, and come again."""
        answers = self._adapter.read(Read("", items=tuple(wanted), size=SIZE, packed=True))
        docs: list[Record] = []
        for each in answers:
            if isinstance(each, PouchDBError):
                # A dump holds everything, or fails.
                raise each
            found = each if isinstance(each, list) else () if each is None else (each,)
            docs += (leaf.document() if isinstance(leaf, Packed) else leaf for leaf in found)
        return docs, len(answers)

    def _plain(self, wanted: Sequence[Item]) -> tuple[list[Record], int]:
        """Read some leaves of a server's database."""
        answers = self._adapter.read(Read("", options=REVS, items=tuple(wanted), size=SIZE))["results"]
        if not answers:
            raise ServerError("the server answers nothing to _bulk_get")
        docs: list[Record] = []
        for answer in answers:
            for each in answer["docs"]:
                if "ok" in each:
                    docs.append(each["ok"])
                elif each["error"].get("error", each["error"].get("name")) not in ("not_found", "missing", True):
                    raise ServerError(f"{answer['id']} cannot be read: {each['error']}", id=answer["id"])
        return docs, len(answers)

    def _write(self, docs: Sequence[Record], seqs: Mapping[str, Any]) -> None:
        line: list[Record] = []
        size = 0
        sent: set[str] = set()
        for doc in docs:
            if line and (doc["_id"] != line[0]["_id"] or size > LEAVES):
                self._line(line, seqs)
                line, size = [], 0
            if not line or doc["_id"] != line[0]["_id"]:
                sent = sent if self._last == doc["_id"] else set()
            if "_attachments" in doc:
                try:
                    size += self._attachments(doc, sent)
                except NotFound:
                    # Removed since the document was read: it has changed, and comes again.
                    continue
            if line:
                # Most documents have one leaf, whose length is not needed.
                size += len(json_bytes(doc))
            line.append(doc)
            self._last = doc["_id"]
        if line:
            self._line(line, seqs)

    def _line(self, line: Sequence[Record], seqs: Mapping[str, Any]) -> None:
        id = line[0]["_id"]
        self._out.write({"seq": seqs[id], "docs": line})
        # A document with many leaves takes several lines.
        self._counts["documents"] += id != self._written
        self._written = id
        self._counts["revisions"] += len(line)

    # -- attachments ---------------------------------------------------------------------------------

    def _attachments(self, doc: Record, sent: set[str]) -> int:
        """Put short attachments into the document, write long ones before it; return the size of the short ones.

        Raises Damaged, and ContentMismatch if a server sends something other than the attachment.
        """
        inline = 0
        for name, entry in doc["_attachments"].items():
            # A server is asked as a replicator asks it: the document's digest is that of its gzipped bytes.
            request = Read(doc["_id"], doc["_rev"], attachment=name, stream=True, purpose="replication")
            with self._adapter.read(request) as file, closing(_content(name, entry, file)) as content:
                if inline + content.length <= INLINE and content.md5 == entry["digest"]:
                    data = b"".join(content.pieces())
                    inline += len(data)
                    del entry["stub"]
                    entry["data"] = base64.b64encode(data).decode()
                    self._counts["attachments"] += 1
                    continue
                # Two contents may have one MD5, so MD5 is not their key.
                entry["sha256"] = content.key
                if content.key not in sent:
                    sent.add(content.key)
                    self._write_content(entry["digest"], content)
        return inline

    def _write_content(self, digest: str, content: _Content) -> None:
        self._out.write({"attachment": {"digest": digest}})
        for piece in content.pieces():
            self._out.write({"chunk": base64.b64encode(piece).decode()})
        md5 = base64.b64decode(content.md5.removeprefix("md5-")).hex()
        about = {"digest": digest, "sha256": content.key, "length": content.length, "md5": md5}
        self._out.write({"content": about})
        self._counts["attachments"] += 1


class _Content:
    """Content to dump: ``length``, ``md5`` as documents have it, ``key`` (its SHA-256) and where it is read from."""

    def __init__(self, file: Any, length: int, md5: str, sha256: bytes) -> None:
        self._file, self.length, self.md5, self.key = file, length, md5, sha256.hex()

    def pieces(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(CHUNK):
            yield piece

    def close(self) -> None:
        self._file.close()


def _content(name: str, entry: Mapping[str, Any], file: Any) -> _Content:
    """Return stored content, or content fetched from a server and compared with its document's digest."""
    if getattr(file, "sha256", None) is not None:
        return _Content(file, file.length, file.md5, file.sha256)
    incoming = parse_content(name, file, dict(entry))
    try:
        incoming.check(name)
        digests = incoming.digests
        assert digests is not None
        return _Content(incoming.content, digests.length, digests.md5, digests.sha256)
    except BaseException:
        incoming.close()
        raise


class _Rows:
    """Iterates over a feed and keeps the seq that the feed returns at its end."""

    def __init__(self, feed: Iterator[Any]) -> None:
        self._feed = iter(feed)
        self.last_seq: Any = None

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> Record:
        try:
            return cast("Record", next(self._feed))
        except StopIteration as stop:
            self.last_seq = stop.value if stop.value is not None else self.last_seq
            raise
