"""Writing documents to a server: one by one, in bulk, and with attachments as streams."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from pouchdb_core.adapters.http.address import document_path
from pouchdb_core.adapters.http.failures import is_missing_database, server_error
from pouchdb_core.adapters.http.http_session import HttpSession
from pouchdb_core.adapters.http.multipart_upload import Part, can_carry, related
from pouchdb_core.documents.attachments import CHUNK, Incoming, check_name, parse_content
from pouchdb_core.documents.packed import Packed
from pouchdb_core.documents.parse import LOCAL, check_id, mapping
from pouchdb_core.errors import (
    BadRequest,
    Forbidden,
    NotACouchDB,
    NotFound,
    NotSupported,
    PouchDBError,
    RemoteError,
    TooLarge,
    Unauthorized,
)
from pouchdb_core.jsontext import dump, jsonable
from pouchdb_core.requests import Write
from pouchdb_core.results import Outcome, Record
from pouchdb_core.revisions import path_from_revisions

__all__ = ["Outgoing", "Writer"]

BYTES = 4 * 1024 * 1024
"""Bytes of JSON sent at once, approximately."""
INLINE = 16 * 1024
"""Bytes of attachments that are sent as base64 in the document; more are streamed."""
DEFAULT_TYPE = "application/octet-stream"
OF_SOURCE = ("digest", "length", "encoding", "encoded_length")
"""What a document says about content as its source has it."""


class Outgoing:
    """One document to send: its JSON, and the attachments that follow it."""

    __slots__ = ("doc", "id", "index", "parts", "rev", "spooled", "text")

    def __init__(self, index: int, doc: Mapping[str, Any]) -> None:
        self.index, self.doc = index, doc
        self.id: str = doc["_id"]
        self.rev: Any = doc.get("_rev") or _newest(doc.get("_revisions"))
        self.parts: list[Part] = []
        self.spooled: list[Incoming] = []
        self.text = b""


def _newest(revisions: Any) -> str | None:
    """Return the revision that a replicated document is, from its ``_revisions``; None where only the server knows."""
    try:
        return path_from_revisions(revisions["start"], revisions["ids"])[0]
    except (ValueError, TypeError, KeyError):
        return None


class Writer:
    """Writes to one database; ``create`` makes it when the first write finds it missing."""

    def __init__(self, session: HttpSession, new_id: Callable[[], str], create: Callable[[], bool]) -> None:
        self._session, self._new_id, self._create = session, new_id, create

    def write(self, request: Write) -> list[Outcome]:
        """Do a write as ``documents.write`` does. Raises an error that fails all of it, and NotSupported if atomic."""
        if request.atomic:
            raise NotSupported("a server cannot write several documents together or not at all (atomic=True)")
        outcomes: list[Outcome | None] = [None] * len(request.docs)
        batch: list[Outgoing] = []
        alone: list[Outgoing] = []
        size = 0
        try:
            for index, given in enumerate(request.docs):
                try:
                    out = self._outgoing(index, given, request.new_edits)
                except PouchDBError as error:
                    outcomes[index] = error
                    continue
                if out.id.startswith(LOCAL):
                    self._flush(batch, outcomes, request)
                    outcomes[index] = self._one(out, self._put_local)
                elif out.parts or (len(request.docs) == 1 and request.new_edits):
                    if request.new_edits:
                        # Documents of one id are applied in order.
                        self._flush(batch, outcomes, request)
                        outcomes[index] = self._put(out, request)
                    else:
                        alone.append(out)
                    size = 0 if not batch else size
                else:
                    if batch and size + len(out.text) > BYTES:
                        self._flush(batch, outcomes, request)
                        size = 0
                    batch.append(out)
                    size += len(out.text)
            self._flush(batch, outcomes, request)
            self._side_by_side(alone, outcomes, request)
        finally:
            for out in alone:
                _close(out)
        return cast("list[Outcome]", outcomes)

    # -- one -------------------------------------------------------------------------------------

    def _outgoing(self, index: int, given: Any, new_edits: bool) -> Outgoing:
        if isinstance(given, Packed):
            out = Outgoing(index, {"_id": given.id, "_rev": given.rev})
            out.text = given.json()
            return out
        doc = mapping(given)
        if "_id" not in doc and new_edits:
            doc = {**doc, "_id": self._new_id()}
        id = check_id(doc.get("_id"))
        try:
            out = Outgoing(index, doc)
            if isinstance(doc.get("_attachments"), Mapping):
                _take_attachments(out, replicated=not new_edits)
            else:
                out.doc = jsonable(doc)
            out.text = dump(out.doc)
            return out
        except PouchDBError as error:
            error.details.setdefault("id", id)
            raise

    def _put(self, out: Outgoing, request: Write) -> Outcome:
        return self._one(out, lambda out: self._put_document(out, request.new_edits))

    def _one(self, out: Outgoing, put: Callable[[Outgoing], Record]) -> Outcome:
        try:
            try:
                return put(out)
            except NotFound as error:
                if not self._made(error):
                    raise
                return put(out)
        except PouchDBError as error:
            if _is_about_all(error):
                raise
            error.details.setdefault("id", out.id)
            return error
        finally:
            _close(out)

    def _put_document(self, out: Outgoing, new_edits: bool) -> Record:
        query = {} if new_edits else {"new_edits": False}
        if new_edits and _is_bare_tombstone(out.doc):
            # CouchDB makes a tombstone of a document that never existed when it is put or sent with others.
            answer = self._session.json("DELETE", document_path(out.id), query={"rev": out.doc["_rev"]})
        elif out.parts:
            sent = related(out.doc, out.parts)
            answer = self._session.json(
                "PUT", document_path(out.id), query=query, body=sent.body, headers=sent.headers, again=not new_edits
            )
        else:
            answer = self._session.json(
                "PUT",
                document_path(out.id),
                query=query,
                body=out.text,
                headers={"content-type": "application/json"},
                again=not new_edits,
            )
        return _ok(answer, out, new_edits)

    def _put_local(self, out: Outgoing) -> Record:
        path = document_path(out.id)
        if out.doc.get("_deleted"):
            answer = self._session.json("DELETE", path, query={"rev": out.rev})
        else:
            answer = self._session.json("PUT", path, body=out.text, headers={"content-type": "application/json"})
        return _ok(answer, out, True)

    # -- many ------------------------------------------------------------------------------------

    def _flush(self, batch: list[Outgoing], outcomes: list[Outcome | None], request: Write) -> None:
        if batch:
            sent, batch[:] = list(batch), []
            self._bulk(sent, outcomes, request.new_edits)

    def _bulk(self, batch: list[Outgoing], outcomes: list[Outcome | None], new_edits: bool) -> None:
        try:
            try:
                answer = self._bulk_docs(batch, new_edits)
            except NotFound as error:
                if not self._made(error):
                    raise
                answer = self._bulk_docs(batch, new_edits)
        except PouchDBError as error:
            if _is_about_all(error) or not _splits(error, new_edits):
                raise
            if len(batch) == 1:
                error.details.setdefault("id", batch[0].id)
                outcomes[batch[0].index] = error
                return
            # Too much, or one document that the server does not accept: find out which.
            middle = len(batch) // 2
            self._bulk(batch[:middle], outcomes, new_edits)
            self._bulk(batch[middle:], outcomes, new_edits)
            return
        if new_edits:
            self._take_all(batch, answer, outcomes)
        else:
            self._take_failures(batch, answer, outcomes)

    def _bulk_docs(self, batch: Sequence[Outgoing], new_edits: bool) -> list[Any]:
        docs = b",".join(out.text for out in batch)
        body = b'{"docs":[' + docs + (b"]}" if new_edits else b'],"new_edits":false}')
        answer = self._session.json(
            "POST", "_bulk_docs", body=body, headers={"content-type": "application/json"}, again=not new_edits
        )
        if not isinstance(answer, list):
            raise NotACouchDB(f"{self._session.url}/_bulk_docs answered something that is not a list")
        return answer

    def _take_all(self, batch: Sequence[Outgoing], answer: list[Any], outcomes: list[Outcome | None]) -> None:
        if len(answer) != len(batch):
            raise NotACouchDB(
                f"{self._session.url}/_bulk_docs answered {len(answer)} results for {len(batch)} documents"
            )
        for out, result in zip(batch, answer, strict=True):
            if "error" in result:
                outcomes[out.index] = server_error(None, result, id=out.id)
            else:
                outcomes[out.index] = Record(ok=True, id=result.get("id", out.id), rev=result["rev"])

    def _take_failures(self, batch: Sequence[Outgoing], answer: list[Any], outcomes: list[Outcome | None]) -> None:
        failed: dict[tuple[str, Any], Any] = {}
        for result in answer:
            if "error" in result:
                failed[result.get("id", ""), result.get("rev")] = result
        for out in batch:
            # A server that does not name the revision may mean any one of the document.
            result = failed.get((out.id, out.rev)) or failed.get((out.id, None)) or failed.get(("", None))
            if result is None:
                outcomes[out.index] = Record(ok=True, id=out.id, rev=out.rev)
            else:
                outcomes[out.index] = server_error(None, result, id=out.id)

    def _side_by_side(self, alone: list[Outgoing], outcomes: list[Outcome | None], request: Write) -> None:
        if len(alone) == 1:
            outcomes[alone[0].index] = self._put(alone[0], request)
        elif alone:
            # Bounded by the number of threads: each holds one chunk of one attachment.
            results = self._session.http.requests.map(lambda out: self._put(out, request), alone)
            for out, outcome in zip(alone, results, strict=True):
                outcomes[out.index] = outcome

    def _made(self, error: NotFound) -> bool:
        return is_missing_database(error) and self._create()


def _is_bare_tombstone(doc: Mapping[str, Any]) -> bool:
    return doc.keys() == {"_id", "_rev", "_deleted"} and doc["_deleted"] is True and type(doc["_rev"]) is str


def _ok(answer: Any, out: Outgoing, new_edits: bool) -> Record:
    if not new_edits:
        # PouchDB Server reports nothing here if all went well.
        result = answer[0] if isinstance(answer, list) and answer else answer
        if isinstance(result, Mapping) and "error" in result:
            raise server_error(None, result)
        return Record(ok=True, id=out.id, rev=out.rev)
    if not isinstance(answer, Record) or "rev" not in answer:
        raise NotACouchDB("the server did not answer with the revision of what was written")
    return Record(ok=True, id=answer.get("id", out.id), rev=answer["rev"])


def _is_about_all(error: PouchDBError) -> bool:
    """Return whether an error is about the connection or the database, so that other documents would get it, too."""
    if isinstance(error, NotFound):
        return is_missing_database(error)
    # A failure of the server with one document is that document's error.
    return isinstance(error, RemoteError) and error.status != 500


def _splits(error: PouchDBError, new_edits: bool) -> bool:
    if isinstance(error, (Unauthorized, Forbidden)):
        return False
    if isinstance(error, (TooLarge, BadRequest)):
        # Refused before anything was written.
        return True
    return not new_edits


def _close(out: Outgoing) -> None:
    for incoming in out.spooled:
        incoming.close()
    out.spooled = []


# -- attachments ---------------------------------------------------------------------------------


def _take_attachments(out: Outgoing, *, replicated: bool) -> None:
    """Put small contents into the document as base64; send big ones after it.

    The digest sent is that of the content sent, whatever digest it has elsewhere; a replicated document is
    checked against its content, as everywhere.
    """
    attachments = out.doc["_attachments"]
    doc = jsonable({**out.doc, "_attachments": None})
    entries: dict[str, Any] = {}
    contents: dict[str, Part] = {}
    try:
        for name, entry in attachments.items():
            check_name(name)
            if not isinstance(entry, Mapping):
                raise BadRequest(f"attachment {name!r} must be an object with data or stub")
            if "data" not in entry:
                # PouchDB Server ends when it gets one.
                if not entry.get("stub"):
                    raise BadRequest(f"attachment {name!r} has neither data nor stub")
                entries[name] = dict(entry)
                continue
            if isinstance(entry["data"], str):
                incoming = parse_content(name, entry["data"], dict(entry))
                if replicated:
                    incoming.check(name)
                entries[name] = {key: value for key, value in entry.items() if key not in OF_SOURCE}
                continue
            kept = {key: value for key, value in entry.items() if key not in ("data", "stub", *OF_SOURCE)}
            part, told = _content(name, entry, out, replicated=replicated)
            contents[name], entries[name] = part, {**kept, **told}
        inline = sum(part.length for part in contents.values()) <= INLINE
        if not all(can_carry(name, part.content_type) for name, part in contents.items()):
            inline = True
        for name, part in contents.items():
            entry = entries[name]
            if inline:
                entry.pop("digest", None)
                entry.pop("length", None)
                entry["data"] = base64.b64encode(b"".join(part.chunks())).decode("ascii")
            else:
                entry["follows"] = True
        if inline:
            _close(out)
        else:
            out.parts = [contents[name] for name in entries if name in contents]
        out.doc = jsonable({**doc, "_attachments": entries})
    except BaseException:
        _close(out)
        raise


def _content(name: str, entry: Mapping[str, Any], out: Outgoing, *, replicated: bool) -> tuple[Part, dict[str, Any]]:
    """Return content to send and its description; a stream of unknown length is spooled first."""
    data = entry["data"]
    kind = str(entry.get("content_type") or getattr(data, "content_type", None) or DEFAULT_TYPE)
    length = getattr(data, "length", None)
    if length is not None and callable(getattr(data, "read", None)) and callable(getattr(data, "seek", None)):
        # An attachment of another database: it can be read again, and knows its digest.
        told = {"content_type": kind, "length": length, "digest": getattr(data, "md5", None)}
        return Part(name, kind, length, lambda: _pieces(data)), {k: v for k, v in told.items() if v is not None}
    incoming = parse_content(name, data, {key: value for key, value in entry.items() if key != "data"})
    out.spooled.append(incoming)
    if replicated:
        incoming.check(name)
    kind = str(incoming.entry.get("content_type") or kind)
    part = Part(name, kind, incoming.length, incoming.chunks)
    assert incoming.digests is not None
    return part, {"content_type": kind, "length": incoming.length, "digest": incoming.digests.md5}


def _pieces(file: Any) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(CHUNK):
        yield piece
