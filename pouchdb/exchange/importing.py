"""Import of documents from files into a database, in batches."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from pouchdb.exchange.json_values import Element, JsonValues
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

__all__ = ["EXISTING", "ImportResult", "JsonDocuments", "Source", "import_documents"]

BATCH = 500
"""Maximum number of documents in one transaction."""
BYTES = 4_000_000
"""Approximate bytes of documents in one transaction."""
ERRORS = 100
"""Errors that a result lists."""

Existing = Literal["refuse", "replace", "skip", "conflict"]
EXISTING: tuple[Existing, ...] = ("refuse", "replace", "skip", "conflict")

Source = Iterable[tuple[Any, str]]
"""Documents, or the error of one (BadRequest), each with its place in the file."""

_CONTAINERS = {"docs", "new_edits", "rows", "results", "total_rows", "offset", "update_seq", "last_seq", "pending"}
_REV = re.compile(r"[1-9][0-9]*-.")
_SHOWN_ONLY = ("_conflicts", "_deleted_conflicts", "_local_seq", "_revs_info")


@dataclass
class ImportResult:
    """The outcome for the documents of a file."""

    read: int = 0
    written: int = 0
    unchanged: int = 0
    """Revisions that the database already had."""
    skipped: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    """The first hundred: ``{"place", "id"?, "error", "reason"}``."""


def import_documents(
    db: SyncPouchDB,
    source: Source,
    *,
    existing: Existing = "refuse",
    on_progress: Callable[[ImportResult], object] | None = None,
) -> ImportResult:
    """Write documents into a database, some hundred per transaction; return the outcome.

    A document with a ``_rev`` is stored as that revision, as replication does, so importing a file twice
    changes nothing. One without is a new document. If its id is taken, ``existing`` decides: ``refuse`` (the
    document is an error of the result), ``replace`` (it becomes the next revision), ``skip``, or ``conflict`` (it is
    stored as a revision beside the existing ones). All but ``refuse`` ignore a ``_rev``. Each batch is written whole or
    not at all. Raises what the database raises; documents that it refuses are errors of the result.
    """
    run = _Import(db, existing)
    for batch in _batches(source, run.result):
        run.write(batch)
        if on_progress is not None:
            on_progress(run.result)
    return run.result


class JsonDocuments:
    """Iterates over the documents of a JSON file with their places.

    The file holds a document per line, an array of them, ``{"docs": [...]}``, a listing, view or changes feed with its
    documents, or is a backup of couchbackup (also a resumed one), pouchdb-dump or couchdb-dump. Raises BadRequest
    where it is not JSON, is incomplete, or holds something that is not a document.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._backup = False
        self._broken: tuple[BadRequest, str] | None = None
        self.broken_lines = 0
        """Lines that a resumed couchbackup left incomplete; their documents are in the file again."""

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        for element in JsonValues(self._file):
            yield from self._documents(element)
        yield from self._end()

    def _documents(self, element: Element) -> Iterator[tuple[Any, str]]:
        value, place, container = element
        if self._broken is not None and self._backup:
            # It was resumed after this line, and wrote it again.
            self.broken_lines += 1
            self._broken = None
        yield from self._end()
        if isinstance(value, BadRequest):
            self._broken = (value, place)
            return
        # Lines after an array are those of a backup.
        self._backup = self._backup or container == "array"
        if container in ("rows", "results"):
            yield from _row(value, place)
        elif container:
            yield _document(value, place)
        elif isinstance(value, list):
            self._backup = True
            for each in value:
                yield _document(each, place)
        elif isinstance(value, dict):
            yield from self._object(value, place)
        else:
            raise BadRequest(f"{place}: a document is a JSON object, not {json.dumps(value)[:40]}")

    def _object(self, value: dict[str, Any], place: str) -> Iterator[tuple[Any, str]]:
        if "pouchdb_dump" in value:
            raise BadRequest("this is a dump, which has more than documents: `pouchdb load DB FILE` reads it")
        if "_id" not in value:
            if value.get("name") == "@cloudant/couchbackup" or str(value.get("marker", "")).startswith("@cloudant/"):
                self._backup = True
                return
            # pouchdb-dump begins with facts about the database, and has its progress after each batch.
            if {"version", "db_info"} <= value.keys() or value.keys() == {"seq"}:
                return
            for name in ("docs", "rows", "results"):
                if isinstance(value.get(name), list) and value.keys() <= _CONTAINERS:
                    for number, each in enumerate(value[name], 1):
                        where = f"{place}, {name}[{number - 1}]"
                        yield from [_document(each, where)] if name == "docs" else _row(each, where)
                    return
            if isinstance(value.get("id"), str) and ("doc" in value or isinstance(value.get("changes"), list)):
                yield from _row(value, place)
                return
            if value.keys() == {"last_seq", "pending"}:
                return
        yield _document(value, place)

    def _end(self) -> Iterator[tuple[Any, str]]:
        """Yield the error of an unexplained broken line."""
        if self._broken is not None:
            error, place = self._broken
            self._broken = None
            yield error, place


def _document(value: Any, place: str) -> tuple[Any, str]:
    if not isinstance(value, dict):
        raise BadRequest(f"{place}: a document is a JSON object, not {json.dumps(value)[:40]}")
    return value, place


def _row(row: Any, place: str) -> Iterator[tuple[Any, str]]:
    """Yield the document of a row of a listing, a view or a changes feed; nothing for one that was removed."""
    if not isinstance(row, dict):
        raise BadRequest(f"{place}: a row is a JSON object, not {json.dumps(row)[:40]}")
    if isinstance(row.get("doc"), dict):
        yield _document(row["doc"], place)
        return
    value = row.get("value")
    gone = row.get("error") or row.get("deleted") or (isinstance(value, dict) and value.get("deleted"))
    if "doc" not in row and not gone:
        raise BadRequest(f"{place}: the listing has no documents; make it with include_docs=true")


def _batches(source: Source, result: ImportResult) -> Iterator[list[tuple[Any, str]]]:
    batch: list[tuple[Any, str]] = []
    size = 0
    for value, place in source:
        result.read += 1
        if isinstance(value, BadRequest):
            _refused(result, place, None, value.name, value.message)
            continue
        batch.append((value, place))
        size += _size(value)
        if len(batch) >= BATCH or size >= BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _size(doc: Mapping[str, Any]) -> int:
    """Return the approximate size of a document: the length of its strings, some levels deep."""
    attachments = doc.get("_attachments")
    size = 100 + sum(len(value) for value in doc.values() if isinstance(value, str))
    if isinstance(attachments, dict):
        size += sum(len(each["data"]) for each in attachments.values() if isinstance(each, dict) and "data" in each)
    return size


def _refused(result: ImportResult, place: str, id: Any, error: str, reason: str) -> None:
    result.refused += 1
    if len(result.errors) < ERRORS:
        told: dict[str, Any] = {"place": place}
        if isinstance(id, str):
            told["id"] = id
        result.errors.append({**told, "error": error, "reason": reason})


class _Import:
    def __init__(self, db: SyncPouchDB, existing: Existing) -> None:
        if existing not in EXISTING:
            raise BadRequest(f"existing is one of {', '.join(EXISTING)}, not {safe_repr(existing)}")
        self._db, self._existing = db, existing
        self.result = ImportResult()

    def write(self, batch: list[tuple[dict[str, Any], str]]) -> None:
        docs = [(_storable(doc), place) for doc, place in batch]
        if self._existing == "refuse":
            self._revisions([each for each in docs if each[0].get("_rev") is not None])
            self._new([each for each in docs if each[0].get("_rev") is None])
            return
        for doc, _ in docs:
            doc.pop("_rev", None)
            doc.pop("_revisions", None)
        # Of several with one id the last one counts, as if they were written one after another.
        self._over(docs)

    def _new(self, docs: list[tuple[dict[str, Any], str]]) -> None:
        if docs:
            for (doc, place), outcome in zip(docs, self._db.bulk_docs([doc for doc, _ in docs]), strict=True):
                self._outcome(doc, place, outcome)

    def _revisions(self, docs: list[tuple[dict[str, Any], str]]) -> None:
        """Store documents as the revisions they name; existing ones are counted."""
        asked: dict[str, list[str]] = {}
        for doc, _ in docs:
            if isinstance(doc.get("_id"), str) and isinstance(doc["_rev"], str) and _REV.match(doc["_rev"]):
                asked.setdefault(doc["_id"], []).append(doc["_rev"])
        lacking = self._db.revs_diff(asked) if asked else {}
        wanted: list[tuple[dict[str, Any], str]] = []
        for doc, place in docs:
            id, rev = doc.get("_id"), doc["_rev"]
            if isinstance(id, str) and rev in asked.get(id, ()) and rev not in lacking.get(id, {}).get("missing", ()):
                self.result.unchanged += 1
            else:
                wanted.append((doc, place))
        if not wanted:
            return
        # Only errors are returned, in the order of the request.
        left = list(wanted)
        for outcome in self._db.bulk_docs([doc for doc, _ in wanted], new_edits=False):
            index = next((i for i, (doc, _) in enumerate(left) if doc.get("_id") == outcome.get("id")), 0)
            self._outcome(*left.pop(index), outcome)
        self.result.written += len(left)

    def _over(self, docs: list[tuple[dict[str, Any], str]]) -> None:
        ids = list({doc["_id"]: None for doc, _ in docs if isinstance(doc.get("_id"), str)})
        rows = self._db.all_docs(keys=ids)["rows"] if ids else []
        there: dict[str, str] = {}
        for row in rows:
            value = row.get("value") or {}
            if value.get("rev") and not value.get("deleted"):
                there[row["key"]] = value["rev"]
        new: list[tuple[dict[str, Any], str]] = []
        beside: list[tuple[dict[str, Any], str]] = []
        for doc, place in docs:
            id = doc.get("_id")
            rev = there.get(id) if isinstance(id, str) else None
            if rev is None:
                new.append((doc, place))
            elif self._existing == "skip":
                self.result.skipped += 1
            elif self._existing == "replace":
                new.append(({**doc, "_rev": rev}, place))
            else:
                beside.append(({**doc, "_rev": _root(doc)}, place))
        self._new(_last_of_each(new, self.result) if self._existing == "replace" else new)
        self._revisions(beside)

    def _outcome(self, doc: Mapping[str, Any], place: str, outcome: Any) -> None:
        if outcome.get("error"):
            name = str(outcome.get("name") or outcome["error"])
            reason = str(outcome.get("message") or outcome.get("reason") or "")
            _refused(self.result, place, outcome.get("id", doc.get("_id")), name, reason)
        else:
            self.result.written += 1


def _storable(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name not in _SHOWN_ONLY}


def _last_of_each(docs: list[tuple[dict[str, Any], str]], result: ImportResult) -> list[tuple[dict[str, Any], str]]:
    """Return the last document of each id: earlier ones would be replaced at once."""
    last = {doc["_id"]: number for number, (doc, _) in enumerate(docs) if isinstance(doc.get("_id"), str)}
    kept = [each for number, each in enumerate(docs) if last.get(each[0].get("_id"), number) == number]
    result.skipped += len(docs) - len(kept)
    return kept


def _root(doc: Mapping[str, Any]) -> str:
    """Return a first revision made of a document's content, so that the same document gives it again."""
    text = json.dumps({name: value for name, value in doc.items() if name != "_rev"}, sort_keys=True)
    return f"1-{hashlib.md5(text.encode('utf-8', 'surrogatepass'), usedforsecurity=False).hexdigest()}"
