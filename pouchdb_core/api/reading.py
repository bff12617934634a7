"""Reading documents, lists, changes and attachments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pouchdb_core.api.administration import ask
from pouchdb_core.api.options import count, document_options, either, flags, key_text, text_list
from pouchdb_core.documents.attachments import AttachmentReader, Blob
from pouchdb_core.documents.parse import LOCAL, check_id, check_rev, mapping
from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.jsontext import dump, encodes
from pouchdb_core.requests import PLAIN, Listing, Read
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.tables import Table
from pouchdb_core.typing import Revs

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = [
    "all_docs",
    "all_docs_text",
    "bulk_get",
    "conflicts",
    "get",
    "get_attachment",
    "info",
    "open_attachment",
    "open_revs",
    "revs_diff",
]


def get(
    db: Database,
    id: str,
    rev: str | None = None,
    *,
    open_revs: Literal["all"] | Sequence[str] | None = None,
    revs: bool = False,
    revs_info: bool = False,
    conflicts: bool = False,
    deleted_conflicts: bool = False,
    local_seq: bool = False,
    latest: bool = False,
    attachments: bool = False,
    binary: bool = False,
    atts_since: Sequence[str] | None = None,
    meta: bool = False,
) -> Record:
    """Return a document: its winner, or the revision ``rev``.

    ``revs`` adds ``_revisions`` ``{"start", "ids"}``, ``revs_info`` ``_revs_info``, ``conflicts``
    ``_conflicts`` (live losing leaves, when there are any), ``deleted_conflicts``
    ``_deleted_conflicts``, ``local_seq`` ``_local_seq``; ``meta`` is the three middle ones.
    ``latest`` returns the newest leaf of ``rev`` instead of it. ``attachments`` adds content as
    base64 text, with ``binary`` as bytes; only what changed after the newest known of
    ``atts_since``. With ``open_revs`` the result is the list that ``open_revs()`` returns.

    Raises NotFound (``missing`` or ``deleted``), BadRequest.
    """
    if type(id) is not str or not (id.isascii() or encodes(id)):
        id = check_id(id)
    if (
        rev is None
        and open_revs is None
        and not (revs or revs_info or conflicts or deleted_conflicts or local_seq or attachments or atts_since or meta)
        and not (latest or binary)
    ):
        doc: Record = db.plugins.read(db, Read(id, user=db.user, purpose=db.purpose))
        return doc
    flags(meta=meta)
    options = document_options(
        revs=revs,
        revs_info=meta or revs_info,
        conflicts=meta or conflicts,
        deleted_conflicts=meta or deleted_conflicts,
        local_seq=local_seq,
        latest=latest,
        attachments=attachments,
        binary=binary,
    )
    if atts_since:
        options = replace(options, atts_since=tuple(text_list("atts_since", atts_since)))
    if rev is not None and not id.startswith(LOCAL):
        check_rev(rev)
    request = Read(id, rev, options, open_revs=_leaves(open_revs), user=db.user, purpose=db.purpose)
    answer: Record = db.plugins.read(db, request)
    return answer


def open_revs(
    db: Database,
    id: str,
    open_revs: Literal["all"] | Sequence[str] = "all",
    *,
    revs: bool = False,
    latest: bool = False,
    attachments: bool = False,
    binary: bool = False,
) -> list[Record]:
    """Return leaves of a document: all, or the given revisions, as ``{"ok": document}`` or ``{"missing": rev}``.

    The winner comes first, deleted leaves last. Options are those of ``get``. Raises NotFound if
    all leaves of an unknown document are requested, BadRequest.
    """
    options = document_options(revs=revs, latest=latest, attachments=attachments, binary=binary)
    request = Read(check_id(id), None, options, open_revs=_leaves(open_revs), user=db.user, purpose=db.purpose)
    answer: list[Record] = db.plugins.read(db, request)
    return answer


def _leaves(wanted: Literal["all"] | Sequence[str] | None) -> Literal["all"] | tuple[str, ...] | None:
    if wanted is None:
        return None
    if wanted == "all":
        return "all"
    return tuple(check_rev(each) for each in text_list("open_revs", wanted))


def bulk_get(
    db: Database,
    docs: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    *,
    revs: bool = False,
    latest: bool = False,
    attachments: bool = False,
    binary: bool = False,
) -> Record:
    """Return many documents: ``docs`` is ``[{"id", "rev"?, "atts_since"?}, ...]`` or ``{"docs": [...]}``.

    Returns ``{"results": [{"id", "docs": [{"ok": document} or {"error": {...}}]}]}`` in input order.
    Without ``rev`` every leaf of the document is returned, as CouchDB does. Raises BadRequest.
    """
    if isinstance(docs, Mapping):
        options: dict[str, Any] = {"revs": revs, "latest": latest, "attachments": attachments, "binary": binary}
        for name in docs:
            if name != "docs" and name not in options:
                raise BadRequest(f"bulk_get has no option {name!r}; there are: {', '.join(options)}")
            if name != "docs":
                options[name] = docs[name]
        return bulk_get(db, docs.get("docs"), **options)  # type: ignore[arg-type]  # None is refused below
    if not isinstance(docs, (list, tuple)):
        raise BadRequest("Missing JSON list of 'docs'")
    items = []
    for each in docs:
        if not isinstance(each, Mapping) or not isinstance(each.get("id"), str):
            raise BadRequest(f"bulk_get takes objects with an 'id', not {safe_repr(each)}")
        rev = each.get("rev")
        since = tuple(text_list("atts_since", each.get("atts_since") or ()))
        items.append((each["id"], None if rev is None else check_rev(rev), since))
    chosen = document_options(revs=revs, latest=latest, attachments=attachments, binary=binary)
    answer: Record = db.plugins.read(db, Read("", options=chosen, items=tuple(items), user=db.user, purpose=db.purpose))
    return answer


def all_docs(
    db: Database,
    *,
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    binary: bool = False,
    startkey: str | None = None,
    start_key: str | None = None,
    endkey: str | None = None,
    end_key: str | None = None,
    inclusive_end: bool = True,
    limit: int | None = None,
    skip: int = 0,
    descending: bool = False,
    key: str | None = None,
    keys: Sequence[str] | None = None,
    update_seq: bool = False,
    offset: bool = False,
) -> Table:
    """List the documents by id, in code point order.

    Returns ``{"total_rows", "offset", "rows": [{"id", "key", "value": {"rev"}, "doc"?}]}``, one snapshot
    of the database. ``total_rows`` counts all documents, not the matches; ``offset`` is ``skip``,
    or with ``offset=True`` the true one. Descending reads from ``startkey`` downwards. ``key`` is a start and
    an end; as in CouchDB, it has no row with ``inclusive_end=False``. With ``keys``
    rows come in their order, ``{"key", "error": "not_found"}`` for unknown ones and ``value.deleted``
    for deleted ones. ``update_seq=True`` adds it. The result is a Table (``to_pandas()``...). Raises QueryParseError.
    """
    request = _listing(
        db,
        include_docs=include_docs,
        conflicts=conflicts,
        attachments=attachments,
        binary=binary,
        startkey=either("startkey", "start_key", startkey, start_key),
        endkey=either("endkey", "end_key", endkey, end_key),
        inclusive_end=inclusive_end,
        limit=limit,
        skip=skip,
        descending=descending,
        key=key,
        keys=keys,
        update_seq=update_seq,
        offset=offset,
    )
    return Table(db.plugins.list(db, request))


def all_docs_text(db: Database, *, after: str | None = None, **options: Any) -> Record:
    """List documents of a local database as ``all_docs`` does, with each of ``rows`` as JSON text, to be sent on.

    ``options`` are those of ``all_docs`` without their other spellings. ``last`` of the result is the id in the last
    row, None if there is no row or if ``keys`` are given; ``after=last`` continues the range behind it. Raises what
    ``all_docs`` does.
    """
    request = _listing(db, **options)
    if after is not None:
        request = replace(request, startkey=after, inclusive_start=False)
    # Documents without additions are passed on as they are stored: their JSON is not parsed.
    if db.lists_plainly and request.options is PLAIN:
        request = replace(request, text=True)
    answer: Record = db.plugins.list(db, request)
    if request.text:
        return answer
    rows = answer["rows"]
    answer["last"] = rows[-1]["id"] if rows and request.keys is None else None
    answer["rows"] = list(map(dump, rows))
    return answer


def _listing(
    db: Database,
    *,
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    binary: bool = False,
    startkey: str | None = None,
    endkey: str | None = None,
    inclusive_end: bool = True,
    limit: int | None = None,
    skip: int = 0,
    descending: bool = False,
    key: str | None = None,
    keys: Sequence[str] | None = None,
    update_seq: bool = False,
    offset: bool = False,
) -> Listing:
    """Return the request of a listing. Raises QueryParseError."""
    for name, value in (("startkey", startkey), ("endkey", endkey), ("key", key)):
        key_text(name, value)
    flags(
        include_docs=include_docs,
        inclusive_end=inclusive_end,
        descending=descending,
        update_seq=update_seq,
        offset=offset,
    )
    if keys is not None:
        if key is not None or startkey is not None or endkey is not None:
            raise QueryParseError("keys cannot be given together with key, startkey or endkey")
        if not isinstance(keys, (list, tuple)):
            raise QueryParseError(f"keys must be a list, not {safe_repr(keys)}")
    if key is not None:
        startkey = endkey = key
    return Listing(
        startkey=startkey,
        endkey=endkey,
        inclusive_end=inclusive_end is not False,
        descending=descending,
        limit=count("limit", limit),
        skip=count("skip", skip) or 0,
        keys=None if keys is None else tuple(keys),
        include_docs=include_docs,
        options=document_options(conflicts=conflicts, attachments=attachments, binary=binary),
        update_seq=update_seq,
        offset=offset,
        user=db.user,
        purpose=db.purpose,
    )


def get_attachment(db: Database, id: str, name: str, rev: str | None = None) -> Blob:
    """Return an attachment as a blob ``{"type": str, "data": bytes}``. Raises NotFound."""
    blob: Blob = db.plugins.read(db, _attachment(db, id, name, rev, stream=False))
    return blob


def open_attachment(db: Database, id: str, name: str, rev: str | None = None) -> AttachmentReader:
    """Return an attachment as a seekable binary file with ``content_type``, ``length`` and ``digest``.

    At most 256 KiB of it are in memory, whatever its length. Raises NotFound.
    """
    reader: AttachmentReader = db.plugins.read(db, _attachment(db, id, name, rev, stream=True))
    return reader


def _attachment(db: Database, id: str, name: str, rev: str | None, *, stream: bool) -> Read:
    if rev is not None:
        check_rev(rev)
    if not isinstance(name, str):
        raise BadRequest(f"an attachment's name must be a string, not {safe_repr(name)}")
    return Read(check_id(id), rev, attachment=name, stream=stream, user=db.user, purpose=db.purpose)


def conflicts(db: Database) -> Iterator[Record]:
    """Iterate over the documents that have live conflicts, in id order, each with ``_conflicts``.

    Reads an index of only those, whatever the size of the database.
    """
    found: Iterator[Record] = ask(db, "conflicts")
    return found


def info(db: Database) -> Record:
    """Return ``db_name``, ``doc_count``, ``doc_del_count``, ``update_seq``, ``purge_seq``, ``sizes`` and more.

    ``sizes`` are bytes: ``file`` on disk, ``active`` of them in use.
    """
    found: Record = ask(db, "info")
    return found


def revs_diff(db: Database, revs: Revs | str) -> Record:
    """Return the revisions that the database lacks: ``{id: {"missing": [rev], "possible_ancestors"?: [rev]}}``.

    Ids that lack nothing are left out. ``revs`` is ``{id: [rev]}`` or its JSON text. Raises BadRequest.
    """
    asked = mapping(revs)
    wanted = {check_id(id): [check_rev(rev) for rev in text_list(id, each)] for id, each in asked.items()}
    found: Record = ask(db, "revs_diff", revs=wanted)
    return found
