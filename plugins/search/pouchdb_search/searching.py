"""``db.search`` and its relatives: an index or a function, local or on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pouchdb_core.api.options import freshness, whole_of
from pouchdb_core.changes.pages import document_pages
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_core.jsontext import dump
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.tables import Table
from pouchdb_core.views.follow import Follower, Freshness
from pouchdb_core.views.index_store import IndexEntry
from pouchdb_core.views.left_out import LeftOut
from pouchdb_core.views.mapreduce import function_error
from pouchdb_core.views.register import indexes
from pouchdb_search.analysis import analyzer_of
from pouchdb_search.answering import Opened, Search
from pouchdb_search.queries import DEFAULT, everything
from pouchdb_search.schema import opened, schema_of
from pouchdb_search.stored_terms import StoredTerms
from pouchdb_search.text_index import (
    Names,
    NouveauKind,
    SearchKind,
    TextIndex,
    Unusable,
    failure,
    is_failure,
    temporary_source,
)
from pouchdb_search.wording import MOST_WORDS, checked, completions, suggestions

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["OPTIONS", "analyze", "asked", "search", "search_completions", "search_info", "search_suggestions", "worded"]

OPTIONS = (
    *("q", "query", "limit", "skip", "bookmark", "sort", "include_docs", "include_fields", "conflicts", "attachments"),
    *("counts", "ranges", "drilldown", "group_field", "group_by", "group_limit", "group_sort", "stale", "update"),
    *("highlight_fields", "highlight_pre_tag", "highlight_post_tag", "highlight_number", "highlight_size", "partition"),
    "more_like",
)

_KNOWN = frozenset(OPTIONS)
_BOTH = (SearchKind.name, NouveauKind.name)


def search(db: SyncPouchDB, /, fun: Any, **options: Any) -> Record:
    """Search an index: ``"design/index"`` of a design document's ``indexes`` or ``nouveau``, or a function.

    A function (JavaScript source that calls ``index(name, value)``, or Python that yields ``(name, value)``) reads the
    whole database and stores nothing. ``q`` is the query. For an index without an analyzer: words that must all occur,
    each also as a prefix (pouchdb-search). With an analyzer: Lucene's syntax, ``OR`` between words. ``more_like``,
    an id or ``{"id" or "text", "fields", "max_terms"}``, finds documents with similar words; instead of ``q``
    or together with it. ``limit`` (25, at most 200; without an analyzer all), ``skip``, ``bookmark``, ``sort``
    (``"-field<string>"``, ``"<score>"``, ``"<distance,lon,lat,9.2,45.5,km>"``), ``include_docs``, ``include_fields``,
    ``counts``, ``ranges``, ``drilldown``, ``group_field``, ``highlight_fields``; ``update``
    False (``stale="ok"``) reads the index as it is, "lazy" brings it up to date afterwards.

    Returns ``{"total_rows": hits, "bookmark", "rows": [{"id", "key", "value": {"rev"}, "score", "order", "fields",
    "highlights"?, "doc"?}], "counts"?, "ranges"?}``; ``score`` is None where a field sorts. Raises NotFound,
    QueryParseError for options, BadRequest with ``position`` for a query that cannot be parsed, FunctionError for a
    function that does not compile.
    """
    for name in options:
        if name not in _KNOWN:
            raise BadRequest(f"search() has no option {name!r}; there are: {', '.join(OPTIONS)}")
    if isinstance(fun, str) and "(" not in fun:
        return _asked_of_server(db, fun, options) if db.remote else asked(db, fun, options)
    return _temporary(db, fun, options)


def search_completions(db: SyncPouchDB, index: str, prefix: str, *, field: str = DEFAULT, limit: int = 10) -> Record:
    """Return words of an index's field with a prefix, the most frequent first, to complete typed queries.

    Returns ``{"completions": [{"text", "count"}]}``; words, also where the index stores stems. Raises as ``search``.
    """
    given = {"prefix": prefix, "field": field, "limit": limit}
    return _wording_of_server(db, index, "completions", given) if db.remote else worded(db, index, "completions", given)


def search_suggestions(db: SyncPouchDB, index: str, text: str, *, field: str = DEFAULT, limit: int = 5) -> Record:
    """Return corrections of a query ("did you mean"): for each word that no document has, words that some have.

    Returns ``{"text", "words": [{"word", "suggestions": [{"text", "distance", "count"}]}]}``, where ``text`` is the
    query with the best of them. Words with one letter added, dropped, changed or swapped come before those with two,
    then the more frequent. Raises as ``search``.
    """
    given = {"q": text, "field": field, "limit": limit}
    return _wording_of_server(db, index, "suggestions", given) if db.remote else worded(db, index, "suggestions", given)


def worded(db: SyncPouchDB, path: str, what: str, given: Mapping[str, Any]) -> Record:
    """Return completions or suggestions of a stored index; options as a server gets them. Raises as ``search``."""
    text, field, limit = _wording_options(what, given)
    made = completions if what == "completions" else suggestions

    def query() -> Record:
        follower = _follower(db, path, None)
        with follower.fresh(db, _freshness(given), path) as entry:
            return made(db, _opened(follower, entry), text, field, limit)

    return _whole(db, path, None, query)


def _wording_options(what: str, given: Mapping[str, Any]) -> tuple[str, str, int]:
    """Return (text, field, limit). Raises QueryParseError."""
    field = checked("field", given.get("field", DEFAULT))
    limit = whole_of(given, "limit", 10) or 0
    if not 1 <= limit <= MOST_WORDS:
        raise QueryParseError(f"limit must be from 1 to {MOST_WORDS}, not {limit}")
    name = "prefix" if what == "completions" else "q"
    return checked(name, given.get(name)), field, limit


def asked(db: SyncPouchDB, path: str, options: Mapping[str, Any], kind: str | None = None) -> Record:
    """Search a stored index by ``"design/index"``. Raises as ``search`` does."""
    return _whole(db, path, kind, lambda: _asked(db, path, options, kind))


def _whole(db: SyncPouchDB, path: str, kind: str | None, query: Callable[[], Record]) -> Record:
    """Return the result of a query. If it fails because files are damaged, the index is built anew first."""
    try:
        return query()
    except BaseException as error:
        raw = is_failure(error) and _of_this_package(error)
        if not raw and not isinstance(error, Unusable):
            raise
        index = _follower(db, path, kind).index
        assert isinstance(index, TextIndex), "its kinds make no other"
        if not index.give_up(error):
            if raw:
                raise failure(index.folder, error) from error
            raise
    return query()


def _of_this_package(error: BaseException) -> bool:
    """Return whether an error was raised here or by tantivy, which has no frames: not by a hook or a listener."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where: str = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    return where.partition(".")[0] == __package__


def _asked(db: SyncPouchDB, path: str, options: Mapping[str, Any], kind: str | None) -> Record:
    update = _freshness(options)
    if update == "true" and (found := indexes(db).current(db, _kinds(kind), *_parts(path))) is not None:
        return Search(db, options, _opened(*found)).answer()
    follower = _follower(db, path, kind)
    with follower.fresh(db, update, path) as entry:
        return Search(db, options, _opened(follower, entry, fresh=update == "true")).answer()


def _parts(path: Any) -> tuple[str, str]:
    """Return the design document and the index of a path. Raises BadRequest for what is no string."""
    if not isinstance(path, str):
        raise BadRequest(f"an index must be named as 'design/index', not {safe_repr(path)}")
    design, _, name = path.partition("/")
    return design, name


def _kinds(kind: str | None) -> tuple[str, ...]:
    return _BOTH if kind is None else (kind,)


def _named(path: Any) -> tuple[str, str]:
    """Return the design document and the index of a path. Raises BadRequest, and NotFound for one without an index."""
    design, name = _parts(path)
    if not name:
        raise NotFound(f"{path} not found: a search index is named 'design/index'", id=f"_design/{design}")
    return design, name


def _follower(db: SyncPouchDB, path: str, kind: str | None) -> Follower:
    design, name = _named(path)
    found = indexes(db).named(db, _kinds(kind), design, name)
    if found is None:
        raise NotFound(f"{name} not found: _design/{design} has no search index of this name", index=name)
    return found


def _freshness(options: Mapping[str, Any]) -> Freshness:
    if "stale" not in options and "update" not in options:
        return "true"
    stale = options.get("stale")
    if stale not in (None, "ok", False):
        # Cloudant knows no update_after here, and says so; ``update="lazy"`` does the same.
        raise QueryParseError("stale only available as stale=ok")
    return freshness(stale, options.get("update"))


def _opened(follower: Follower, entry: IndexEntry | None, *, fresh: bool = True) -> Opened:
    index = follower.index
    assert isinstance(index, TextIndex), "its kinds make no other"
    found, searcher, names = index.read(entry)
    return Opened(index.source, index.schema, found, searcher, names, fresh)


def _temporary(db: SyncPouchDB, fun: Any, options: Mapping[str, Any]) -> Record:
    """Index all documents in memory, and search there."""
    if not callable(fun) and not isinstance(fun, str):
        raise BadRequest(f"search() takes 'design/index' or a function (Python, JavaScript), not {safe_repr(fun)}")
    source = temporary_source(db, fun)
    schema, names, terms = schema_of(), Names(None), StoredTerms()
    index = opened(None, schema)
    writer = index.writer(15_000_000, 1)
    left_out = LeftOut(db, "a search with a function")
    for docs in document_pages(db):
        entries = source.entries([doc["_id"] for doc in docs], [dump(doc) for doc in docs])
        for doc, entry in zip(docs, entries, strict=True):
            if isinstance(entry, Exception):
                left_out(doc["_id"], function_error(entry, "the function", doc["_id"]))
            elif not entry.empty:
                entry.rev = doc["_rev"]
                names.add(entry, nouveau=False)
                writer.add_document(entry.tantivy(names.slots, terms))
    left_out.finish()
    writer.commit()
    index.reload()
    return Search(db, options, Opened(source, schema, index, index.searcher(), names)).answer()


def search_info(db: SyncPouchDB, path: str, kind: str = SearchKind.name) -> Record:
    """Return ``{"name", "search_index": {"doc_count", "doc_del_count", "disk_size", ...}}`` of an index."""
    design, name = _parts(path)
    follower = _follower(db, path, kind)
    follower.update(db, path)
    entry = follower.entry()
    found = _opened(follower, entry)
    assert isinstance(follower.index, TextIndex), "its kinds make no other"
    directory = follower.index.folder
    size = 0
    for file in list(directory.iterdir()) if directory is not None and directory.is_dir() else []:
        try:
            size += file.stat().st_size
        except FileNotFoundError:
            # Merged meanwhile.
            continue
    count = found.searcher.search(everything(found.schema), 1).count
    seq = entry.seq if entry else 0
    return Record(
        name=f"_design/{design}/{name}",
        search_index=Record(
            doc_count=count, doc_del_count=0, disk_size=size, pending_seq=seq, committed_seq=seq, update_seq=seq
        ),
    )


def analyze(given: Any, text: Any) -> Record:
    """Return ``{"tokens": [...]}``: the terms an analyzer makes of a text. Raises BadRequest."""
    if not isinstance(text, str):
        raise BadRequest(f"text must be a string, not {safe_repr(text)}")
    return Record(tokens=analyzer_of(given).words(text))


def _asked_of_server(db: SyncPouchDB, path: str, options: Mapping[str, Any]) -> Record:
    """Pass a search on to the server of a remote database."""
    design, name = _named(path)
    ddoc = db.get(f"_design/{design}")
    nouveau = name in (ddoc.get("nouveau") or {}) and name not in (ddoc.get("indexes") or {})
    body = {name: value for name, value in options.items() if value is not None}
    response = db.fetch(_url(path, "_nouveau" if nouveau else "_search"), "POST", json=body)
    return Table(response.json())


def _wording_of_server(db: SyncPouchDB, path: str, what: str, given: Mapping[str, Any]) -> Record:
    # A query string has no types: there 5 is as good as "5".
    _wording_options(what, given)
    answer: Record = db.fetch(_url(path, f"_search_{what}"), query=dict(given)).json()
    return Record(answer)


def _url(path: str, endpoint: str) -> str:
    design, name = _named(path)
    return f"_design/{quote(design, safe='')}/{endpoint}/{quote(name, safe='')}"
