"""Reading documents from a server: one, its leaves, many, lists, and attachments."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pouchdb_core.adapters.http.address import document_path, query_string
from pouchdb_core.adapters.http.failures import is_missing_database
from pouchdb_core.adapters.http.http_session import HttpSession
from pouchdb_core.adapters.http.remote_attachments import RemoteAttachment
from pouchdb_core.documents.attachments import Blob
from pouchdb_core.documents.parse import LOCAL, check_id
from pouchdb_core.errors import BadRequest, MissingId, NotACouchDB, NotFound, NotSupported, RemoteError
from pouchdb_core.jsontext import dump, encodes
from pouchdb_core.requests import MISSING, Listing, Query, Read, ReadOptions
from pouchdb_core.results import Record

__all__ = ["Key", "Reader", "ask_rows", "listing_query", "view_query"]

LONG = 7000
"""Characters of a URL that every server and proxy accepts."""
FIRST = 100
"""Documents requested at once while their size is not known."""
MOST = 1000
Item = tuple[str, str | None, tuple[str, ...]]


class Reader:
    """Reads from one database; knows what its server can do and how big its documents are."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session
        self._has_bulk_get = True
        self._average = 0.0

    def read(self, request: Read) -> Any:
        """Do a read as ``documents.read`` does."""
        if request.items is not None:
            return Record(results=self._many(request.items, request.options, request.size, request.insist))
        if request.attachment is not None:
            return self._attachment(request, request.attachment)
        try:
            check_id(request.id)
        except (BadRequest, MissingId):
            # In a URL it would mean something else: the database, a list.
            raise NotFound(id=request.id) from None
        if request.open_revs is not None:
            return self._open_revs(request.id, request.open_revs, request.options)
        query = {**_query(request.options), "rev": request.rev}
        try:
            doc: Any = self._session.json("GET", document_path(request.id), query=query)
        except NotFound as error:
            if not is_missing_database(error):
                error.details.setdefault("id", request.id)
            raise
        self._check(_is_document(doc), "a document", document_path(request.id))
        for name in ("_conflicts", "_deleted_conflicts"):
            if name in doc:
                doc[name].sort(key=_rank, reverse=True)
        return _decoded(doc, request.options)

    def _attachment(self, request: Read, name: str) -> Blob | RemoteAttachment:
        if request.id.startswith(LOCAL) or not name:
            raise NotFound(id=request.id)
        packed = request.purpose == "replication"
        file = RemoteAttachment(self._session, request.id, name, request.rev, packed=packed)
        if request.stream:
            return file
        with file:
            return Blob(file.read(), file.content_type)

    def _open_revs(self, id: str, revs: str | Sequence[str], options: ReadOptions) -> list[Record]:
        if id.startswith(LOCAL):
            return [Record(ok=self._session.json("GET", document_path(id)))]
        answers: list[Record] = []
        for part in [revs] if isinstance(revs, str) else list(_short(revs)):
            query = {**_query(options), "open_revs": part}
            try:
                answer = self._session.json("GET", document_path(id), query=query)
                self._check(isinstance(answer, list) and all(map(_is_leaf, answer)), "a list of leaves", id)
                answers += answer
            except NotFound as error:
                if revs == "all" or is_missing_database(error):
                    raise
                answers += [Record(missing=rev) for rev in part]
        seen: set[str] = set()
        kept = []
        for each in answers:
            if "ok" in each:
                _decoded(each["ok"], options)
                if each["ok"]["_rev"] in seen:
                    continue
                seen.add(each["ok"]["_rev"])
            kept.append(each)
        if revs == "all" and kept and not any("ok" in each for each in kept):
            raise NotFound(id=id)
        return _best_first(kept) if revs == "all" else kept

    # -- many ------------------------------------------------------------------------------------

    def _many(self, items: Sequence[Item], options: ReadOptions, size: int | None, insist: bool) -> list[Record]:
        if size is not None:
            # As many as have about this size; the caller requests the rest.
            items = items[: FIRST if not self._average else max(1, min(MOST, int(size / self._average)))]
        wanted = [item for item in items if encodes(item[0]) and not item[0].startswith(LOCAL)]
        found = self._bulk_get(wanted, options, insist) if wanted else {}
        alone = {id for id in found if sum(item[0] == id for item in items) == 1} if len(found) < 3 else _once(items)
        results = []
        for id, rev, _ in items:
            if id.startswith(LOCAL):
                docs = self._local(id)
            else:
                docs = _of_revision(found.get(id, []), id, rev, id in alone)
            results.append(Record(id=id, docs=docs))
        return results

    def _local(self, id: str) -> list[Record]:
        try:
            return [Record(ok=self._session.json("GET", document_path(id)))]
        except NotFound:
            return [_missing(id, None)]

    def _bulk_get(self, items: Sequence[Item], options: ReadOptions, insist: bool) -> dict[str, list[Record]]:
        """Return the results by id: ``{"ok": document}`` or the error that says that there is none."""
        if not self._has_bulk_get:
            return self._one_by_one(items, options)
        docs = []
        for id, rev, atts_since in items:
            asked: dict[str, Any] = {"id": id}
            if rev is not None:
                asked["rev"] = rev
            if atts_since:
                asked["atts_since"] = list(atts_since)
            docs.append(asked)
        query = {name: value for name, value in _query(options).items() if name in ("revs", "latest", "attachments")}
        try:
            response = self._session.request(
                "POST", "_bulk_get", query=query, json={"docs": docs}, again=True, insist=insist
            )
            answer = response.json()
        except (NotFound, NotSupported, BadRequest) as error:
            if is_missing_database(error):
                raise
            # CouchDB before 2.0, or a proxy that passes only some paths.
            self._has_bulk_get = False
            return self._one_by_one(items, options)
        results = answer.get("results") if isinstance(answer, Record) else None
        self._check(isinstance(results, list) and all(map(_is_result, results)), "a list of documents", "_bulk_get")
        now = len(response.data) / len(items)
        self._average = now if now > self._average else 0.9 * self._average + 0.1 * now
        found: dict[str, list[Record]] = {}
        for result in answer["results"]:
            found.setdefault(result["id"], []).extend(_decode_all(result["docs"], options))
        return found

    def _check(self, holds: bool, what: str, path: str) -> None:
        if not holds:
            raise NotACouchDB(f"{self._session.url}/{path} answered something that is not {what}")

    def _one_by_one(self, items: Sequence[Item], options: ReadOptions) -> dict[str, list[Record]]:
        by_id: dict[str, list[str] | str] = {}
        for id, rev, _ in items:
            known = by_id.setdefault(id, [])
            if rev is None:
                by_id[id] = "all"
            elif isinstance(known, list):
                known.append(rev)

        def ask(pair: tuple[str, list[str] | str]) -> list[Record]:
            try:
                return self._open_revs(*pair, options)
            except NotFound as error:
                if is_missing_database(error):
                    raise
                return []
            except RemoteError as error:
                if error.status != 500:
                    raise
                # A failure of the server is that document's error: the others were returned.
                return [Record(error=Record(id=pair[0], error=error.name, reason=error.message))]

        answers = self._session.http.requests.map(ask, by_id.items())
        return dict(zip(by_id, answers, strict=True))


def _is_document(answer: Any) -> bool:
    return isinstance(answer, Record) and isinstance(answer.get("_rev"), str)


def _is_leaf(answer: Any) -> bool:
    if not isinstance(answer, Record):
        return False
    doc = answer.get("ok")
    return doc is None or _is_document(doc)


def _is_result(result: Any) -> bool:
    return (
        isinstance(result, Record)
        and isinstance(result.get("id"), str)
        and isinstance(result.get("docs"), list)
        and all(map(_is_leaf, result["docs"]))
    )


def _once(items: Iterable[Item]) -> set[str]:
    once: set[str] = set()
    twice: set[str] = set()
    for id, _, _ in items:
        (twice if id in once else once).add(id)
    return once - twice


def _of_revision(docs: list[Record], id: str, rev: str | None, alone: bool) -> list[Record]:
    """Return a server's result for one revision, whatever order it returns them in."""
    oks = [each for each in docs if "ok" in each]
    if rev is None:
        return _best_first(oks) or [_missing(id, rev)]
    if alone and oks:
        return oks
    exact = [each for each in oks if each["ok"]["_rev"] == rev]
    # With `latest` a revision made from it is returned.
    found = exact or [each for each in oks if _descends(each["ok"], rev)]
    return found or [each for each in docs if _failed(each, rev, alone)] or [_missing(id, rev)]


def _failed(answer: Record, rev: str, alone: bool) -> bool:
    """Return whether a result says why a revision cannot be read."""
    told = answer.get("error")
    return isinstance(told, Record) and (alone or told.get("rev") in (rev, None))


def _rank(rev: str) -> tuple[int, str]:
    number, _, id = rev.partition("-")
    return int(number) if number.isdecimal() else 0, id


def _best_first(answers: list[Record]) -> list[Record]:
    """Return the leaves that a server returned, the winner first: servers list them in any order."""

    def rank(each: Record) -> tuple[Any, ...]:
        doc = each.get("ok")
        if doc is None:
            return (False,)
        return True, not doc.get("_deleted"), *_rank(doc["_rev"])

    return sorted(answers, key=rank, reverse=True)


def _descends(doc: Mapping[str, Any], rev: str) -> bool:
    number, _, hash = rev.partition("-")
    history = doc.get("_revisions") or {"start": 0, "ids": []}
    index = history["start"] - int(number)
    return bool(0 <= index < len(history["ids"]) and history["ids"][index] == hash)


def _missing(id: str, rev: str | None) -> Record:
    return Record(error=Record(id=id, rev=rev or "undefined", error="not_found", reason="missing"))


def _short(revs: Sequence[str]) -> Iterable[list[str]]:
    """Yield the revisions in parts that fit into a URL."""
    part: list[str] = []
    for rev in revs:
        part.append(rev)
        if len(query_string({"open_revs": part})) > LONG:
            yield part
            part = []
    if part:
        yield part


def _query(options: ReadOptions) -> dict[str, Any]:
    names = ("revs", "revs_info", "conflicts", "deleted_conflicts", "local_seq", "latest", "attachments")
    query: dict[str, Any] = {name: True for name in names if getattr(options, name)}
    if options.atts_since:
        query["atts_since"] = list(options.atts_since)
    return query


def _decode_all(docs: list[Record], options: ReadOptions) -> list[Record]:
    for each in docs:
        if "ok" in each:
            _decoded(each["ok"], options)
    return docs


def _decoded(doc: Record, options: ReadOptions) -> Record:
    """Decode base64 if bytes are requested."""
    if options.binary and options.attachments:
        for entry in doc.get("_attachments", {}).values():
            if isinstance(entry.get("data"), str):
                entry["data"] = base64.b64decode(entry["data"])
    return doc


def listing_query(request: Listing | Query) -> dict[str, Any]:
    """Return the parameters that ``_all_docs`` and views share, as values."""
    query: dict[str, Any] = {
        "inclusive_end": None if request.inclusive_end else False,
        "descending": request.descending or None,
        "limit": request.limit,
        "skip": request.skip or None,
        "include_docs": request.include_docs or None,
        "update_seq": request.update_seq or None,
    }
    if request.include_docs:
        query.update(conflicts=request.options.conflicts or None, attachments=request.options.attachments or None)
    for name in ("startkey", "endkey"):
        value = getattr(request, name)
        if value is not MISSING and not (value is None and isinstance(request, Listing)):
            # In a URL keys are JSON, strings too.
            query[name] = Key(value)
    if request.keys is not None:
        query["keys"] = Key(list(request.keys))
    return query


def view_query(request: Query) -> dict[str, Any]:
    """Return the parameters of a view, as values."""
    query = listing_query(request)
    query.update(
        startkey_docid=request.startkey_docid,
        endkey_docid=request.endkey_docid,
        reduce=request.reduce,
        group=request.group or None,
        group_level=request.group_level,
        update=None if request.update == "true" else request.update,
    )
    return query


class Key:
    """A parameter that is always JSON in a URL."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def ask_rows(session: HttpSession, path: str, query: Mapping[str, Any], options: ReadOptions) -> Record:
    """Request rows: by GET, and by POST where the URL would be too long or there is a list of keys."""
    given = {name: value for name, value in query.items() if value is not None}
    text = {name: dump(value.value).decode() if isinstance(value, Key) else value for name, value in given.items()}
    if "keys" in given or len(query_string(text)) > LONG:
        # Not every server accepts other parameters in the body.
        body = {"keys": given["keys"].value} if "keys" in given else {}
        rest = {name: value for name, value in text.items() if name != "keys"}
        if len(query_string(rest)) > LONG:
            body.update({name: value.value if isinstance(value, Key) else value for name, value in given.items()})
            rest = {}
        answer = session.json("POST", path, query=rest, json=body, again=True)
    else:
        answer = session.json("GET", path, query=text)
    if not isinstance(answer, Record) or "rows" not in answer:
        raise NotACouchDB(f"{session.url}/{path} answered something that is not a list of rows")
    for row in answer["rows"]:
        if isinstance(row.get("doc"), Record):
            _decoded(row["doc"], options)
    return answer
