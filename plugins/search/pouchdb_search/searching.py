"""``db.search``: how hits are found, and what an answer shows of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tantivy

from pouchdb_core.changes.pages import document_pages
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_core.jsontext import dump
from pouchdb_core.results import Record
from pouchdb_core.tables import Table
from pouchdb_core.views.register import indexes
from pouchdb_core.views.servers import server_of
from pouchdb_search.analysis import analyzer_of
from pouchdb_search.queries import MUST, SHOULD, Asked, everything, lucene, original
from pouchdb_search.search_options import bookmark_at, count_of, drills_of, flag_of, json_of, list_of, place_of
from pouchdb_search.sorting import Hit, SortKey, field_and_type, orderable, sort_key
from pouchdb_search.text_index import (
    Definition,
    NouveauKind,
    SearchKind,
    TextIndex,
    hexed,
    indexed,
    opened,
    schema_of,
)

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["OPTIONS", "analyze", "asked", "search", "search_info"]

OPTIONS = (
    *("q", "query", "limit", "skip", "bookmark", "sort", "include_docs", "include_fields", "conflicts", "attachments"),
    *("counts", "ranges", "drilldown", "group_field", "group_by", "group_limit", "group_sort", "stale", "update"),
    *("highlight_fields", "highlight_pre_tag", "highlight_post_tag", "highlight_number", "highlight_size", "partition"),
)
USUAL, MOST = 25, 200
EVERY = 2_000_000
"""Hits that are looked at where they are sorted or grouped."""
MORE = 200
"""Hits beyond the page that are looked at for ties."""


def search(db: SyncPouchDB, fun: Any, **options: Any) -> Record:
    """Search an index: ``"design/index"`` of a design document's ``indexes`` or ``nouveau``, or a function.

    A function (JavaScript source that calls ``index(name, value)``, or Python that yields ``(name, value)``) reads the
    whole database and keeps nothing. ``q`` is the query. Of an index without an analyzer: words that all must be there,
    each also as a beginning (pouchdb-search). With an analyzer: Lucene's syntax, ``OR`` between words. ``limit`` (25,
    at most 200; without an analyzer all), ``skip``, ``bookmark``, ``sort`` (``"-field<string>"``, ``"<score>"``,
    ``"<distance,lon,lat,9.2,45.5,km>"``), ``include_docs``, ``include_fields``, ``counts``, ``ranges``, ``drilldown``,
    ``group_field``, ``highlight_fields``, ``stale="ok"``.

    Returns ``{"total_rows": hits, "bookmark", "rows": [{"id", "key", "value": {"rev"}, "score", "order", "fields",
    "highlights"?, "doc"?}], "counts"?, "ranges"?}``. Raises NotFound, QueryParseError for options, BadRequest for a
    query that cannot be parsed, FunctionError for a function that does not compile.
    """
    for name in options:
        if name not in OPTIONS:
            raise BadRequest(f"search() has no option {name!r}; there are: {', '.join(OPTIONS)}")
    if isinstance(fun, str) and "(" not in fun:
        return _asked_of_server(db, fun, options) if db.remote else asked(db, fun, options)
    return _temporary(db, fun, options)


def asked(db: SyncPouchDB, path: str, options: Mapping[str, Any], kind: str | None = None) -> Record:
    """Search a stored index by ``"design/index"``. Raises as ``search`` does."""
    index = _follower(db, path, kind, options)
    searcher = index.searcher()
    state = index.state or {}
    return _Search(db, options, index.definition, index.schema, index.index, searcher, state).answer()


def _follower(db: SyncPouchDB, path: str, kind: str | None, options: Mapping[str, Any]) -> TextIndex:
    design, _, name = path.partition("/")
    ddoc = db.as_user(None).get(f"_design/{design}")
    found = next(
        (
            each
            for each in (SearchKind.name, NouveauKind.name)
            if kind in (None, each) and isinstance(ddoc.get(each), Mapping) and name in ddoc[each]
        ),
        None,
    )
    if found is None:
        raise NotFound(f"{name or path} not found", id=ddoc["_id"], index=name)
    stale, update = options.get("stale"), options.get("update", True)
    if stale not in (None, "ok", False):
        raise QueryParseError("stale only available as stale=ok")
    follower = indexes(db).follower(db, found, ddoc, name)
    if stale != "ok" and update not in (False, "false"):
        follower.update(db)
    index = follower.index
    assert isinstance(index, TextIndex), "its kinds make no other"
    return index


def _temporary(db: SyncPouchDB, fun: Any, options: Mapping[str, Any]) -> Record:
    """Index all documents in memory, and search there."""
    if not callable(fun) and not isinstance(fun, str):
        raise BadRequest(f"search() takes 'design/index', JavaScript or a function, not {fun!r}")
    language = "python" if callable(fun) else "javascript"
    definition = SearchKind().defined({"index": fun})
    ddoc = {"_id": "_design/temporary", "language": language}
    functions = server_of(db, ddoc).open(db, ddoc)
    functions.compile("search", "map", definition.wrapped(language))
    schema = schema_of()
    index = opened(None, schema)
    writer = index.writer(15_000_000, 1)
    for docs in document_pages(db):
        for doc, (pairs,) in zip(docs, functions.map(["search"], [dump(doc) for doc in docs]), strict=True):
            if not isinstance(pairs, Exception):
                writer.add_document(indexed(definition, doc["_id"], pairs).tantivy(schema))
    writer.commit()
    index.reload()
    return _Search(db, options, definition, schema, index, index.searcher(), {}).answer()


class _Search:
    """Checked options, and how they are answered."""

    def __init__(
        self,
        db: SyncPouchDB,
        options: Mapping[str, Any],
        definition: Definition,
        schema: Any,
        index: Any,
        searcher: Any,
        state: Mapping[str, Any],
    ) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        self._db, self._given, self._definition = db, given, definition
        self._schema, self._searcher, self._state = schema, searcher, state
        text = given.get("q", given.get("query"))
        if not isinstance(text, str):
            raise QueryParseError("Query must include a 'q' or 'query' argument")
        self._limit = count_of(given, "limit", None if definition.original else USUAL)
        if self._limit is not None and self._limit > MOST and not definition.original:
            raise QueryParseError(f"Value for limit is too large, must not exceed {MOST}")
        self._skip = count_of(given, "skip", 0) or 0
        if given.get("bookmark"):
            self._skip = place_of(given["bookmark"])
        self._docs = flag_of(given, "include_docs")
        self._sort = [sort_key(each) for each in list_of(given, "sort")]
        self._asked = Asked(schema, index, searcher, definition.analyzer)
        self._query = (original if definition.original else lucene)(self._asked, text)
        for drill in drills_of(given.get("drilldown")):
            self._query = tantivy.Query.boolean_query([(MUST, self._query), (MUST, self._drill(*drill))])

    def _drill(self, name: str, values: Sequence[str]) -> Any:
        self._faceted(name)
        terms = [tantivy.Query.term_query(self._schema, f"s.{hexed(name)}", f"={value}") for value in values]
        return tantivy.Query.boolean_query([(SHOULD, term) for term in terms])

    def _faceted(self, name: str) -> None:
        if name not in self._state.get("facets", ()):
            raise BadRequest(f"The field {name!r} was not indexed with facet: true", field=name)

    # -- hits ----------------------------------------------------------------------------------------

    def _hits(self, count: int) -> tuple[list[Hit], int]:
        result = self._searcher.search(self._query, max(1, count))
        hits = []
        for score, address in result.hits:
            doc = self._searcher.doc(address)
            hits.append(Hit(doc["id"][0], float(score), json.loads(doc["stored"][0])))
        return hits, result.count

    def answer(self) -> Record:
        """Return the answer."""
        group = self._given.get("group_field", self._given.get("group_by"))
        if group is not None:
            return self._grouped(group)
        if self._sort:
            hits, total = self._hits(EVERY)
            hits = self._sorted(hits, self._sort)
        else:
            end = EVERY if self._limit is None else self._skip + self._limit + MORE
            hits, total = self._hits(end)
            # Tantivy keeps lengths roughly: of equal hits the shorter document is the better one.
            hits.sort(key=lambda hit: (-round(hit.score, 5), hit.length, hit.id))
        page = hits[self._skip : None if self._limit is None else self._skip + self._limit]
        answer = Table(total_rows=total, bookmark=bookmark_at(self._skip + len(page)), rows=self._rows(page))
        self._facets(answer)
        if self._definition.nouveau:
            return _as_nouveau(answer)
        return answer

    def _sorted(self, hits: list[Hit], sort: Sequence[SortKey]) -> list[Hit]:
        for key in sort:
            key.check(hits)
        for hit in hits:
            hit.order = [key.value(hit) for key in sort]
        # From the last key to the first: sorting is stable.
        hits.sort(key=lambda hit: hit.id)
        for place, key in reversed(list(enumerate(sort))):
            hits.sort(key=lambda hit, place=place: orderable(hit.order[place]), reverse=key.descending)  # type: ignore[misc]
        return hits

    def _rows(self, hits: Sequence[Hit]) -> list[Record]:
        ids = [hit.id for hit in hits]
        listing: Any = {"rows": []}
        if ids:
            conflicts, attachments = (flag_of(self._given, name) for name in ("conflicts", "attachments"))
            listing = self._db.all_docs(keys=ids, include_docs=self._docs, conflicts=conflicts, attachments=attachments)
        known = {row["key"]: row for row in listing["rows"]}
        wanted = self._given.get("include_fields")
        rows = []
        for hit in hits:
            row = known.get(hit.id, {})
            fields = hit.stored["f"]
            if wanted is not None:
                fields = {name: value for name, value in fields.items() if name in wanted}
            shown = Record(
                id=hit.id,
                key=hit.id,
                value=Record(rev=(row.get("value") or {}).get("rev")),
                score=hit.score,
                order=[*hit.order, 0],
                fields=Record(fields),
            )
            highlights = self._highlights(hit)
            if highlights is not None:
                shown["highlights"] = highlights
            if self._docs:
                shown["doc"] = row.get("doc")
            rows.append(shown)
        return rows

    # -- groups --------------------------------------------------------------------------------------

    def _grouped(self, group: Any) -> Record:
        name, kind = field_and_type(str(group))
        limit = count_of(self._given, "group_limit", 1)
        if limit is not None and limit < 1:
            raise QueryParseError("group_limit must be greater than zero")
        hits, total = self._hits(EVERY)
        hits.sort(key=lambda hit: (-round(hit.score, 5), hit.length, hit.id))
        if self._sort:
            hits = self._sorted(hits, self._sort)
        groups: dict[Any, list[Hit]] = {}
        for hit in hits:
            value = hit.stored["s"].get(name)
            groups.setdefault(value if kind == "number" or value is None else str(value), []).append(hit)
        names = list(groups)
        for key in reversed([sort_key(each) for each in list_of(self._given, "group_sort")]):
            names.sort(key=lambda each, key=key: orderable(key.value(groups[each][0])), reverse=key.descending)  # type: ignore[misc]
        shown = names[self._skip : None if self._limit is None else self._skip + self._limit]
        return Record(
            total_rows=total,
            groups=[
                Record(by=each, total_rows=len(groups[each]), rows=self._rows(groups[each][:limit])) for each in shown
            ],
        )

    # -- facets --------------------------------------------------------------------------------------

    def _facets(self, answer: Record) -> None:
        counts = list_of(self._given, "counts")
        if counts:
            answer["counts"] = Record({name: self._counted(name) for name in counts})
        ranges = self._given.get("ranges")
        if isinstance(ranges, str):
            ranges = json_of(ranges, "ranges")
        if ranges is not None:
            if not isinstance(ranges, Mapping):
                raise QueryParseError("Invalid value for ranges: an object of fields")
            answer["ranges"] = Record({name: self._ranged(name, each) for name, each in ranges.items()})

    def _counted(self, name: str) -> Record:
        self._faceted(name)
        found = self._searcher.aggregate(
            self._query, {"counts": {"terms": {"field": f"s.{hexed(name)}", "size": 10_000}}}
        )
        return Record({bucket["key"][1:]: bucket["doc_count"] for bucket in found["counts"]["buckets"]})

    def _ranged(self, name: str, wanted: Any) -> Record:
        if name not in self._state.get("numbers", ()):
            raise BadRequest(f"The field {name!r} was not indexed as a number", field=name)
        if isinstance(wanted, list):
            # Nouveau's form.
            wanted = {each["label"]: _nouveau_range(each) for each in wanted}
        if not isinstance(wanted, Mapping):
            raise QueryParseError(f"Invalid value for ranges: {name} has labels with ranges such as [0 TO 10]")
        found = Record()
        for label, text in wanted.items():
            query = lucene(self._asked, f"{_escaped_name(name)}:{text}")
            both = tantivy.Query.boolean_query([(MUST, self._query), (MUST, query)])
            found[label] = self._searcher.search(both, 1).count
        return found

    # -- highlights ----------------------------------------------------------------------------------

    def _highlights(self, hit: Hit) -> Record | None:
        names = list_of(self._given, "highlight_fields")
        if not names:
            return None
        before = str(self._given.get("highlight_pre_tag", "<em>"))
        after = str(self._given.get("highlight_post_tag", "</em>"))
        number = count_of(self._given, "highlight_number", 1) or 1
        size = count_of(self._given, "highlight_size", 100) or 100
        found = Record()
        for name in names:
            text = hit.stored["f"].get(name)
            if isinstance(text, str):
                fragments = self._fragments(name, text, size, before, after)
                if fragments:
                    found[name] = fragments[:number]
        return found

    def _fragments(self, name: str, text: str, size: int, before: str, after: str) -> list[str]:
        tests = self._asked.tests.get(name, [])
        spans = [
            (term.start, term.end)
            for term in self._definition.analyzer(name).terms(text)
            if any(test(term.text) for test in tests)
        ]
        fragments: list[str] = []
        reached = -1
        for start, _ in spans:
            if start < reached:
                continue
            begin = max(0, start - size // 2)
            begin = text.rfind(" ", 0, begin) + 1 if begin else 0
            end = min(len(text), begin + size)
            reached = end
            parts, place = [], begin
            for left, right in spans:
                if begin <= left and right <= end:
                    parts += [text[place:left], before, text[left:right], after]
                    place = right
            fragments.append("".join([*parts, text[place:end]]))
        return fragments


def _nouveau_range(each: Mapping[str, Any]) -> str:
    left = "[" if each.get("min_inclusive", True) else "{"
    right = "]" if each.get("max_inclusive", True) else "}"
    return f"{left}{each.get('min', '-Infinity')} TO {each.get('max', 'Infinity')}{right}"


def _escaped_name(name: str) -> str:
    return re.sub(r"([^\w])", r"\\\1", name)


def _as_nouveau(answer: Record) -> Record:
    hits = [
        Record({name: row[name] for name in ("id", "order", "fields", "doc", "highlights") if name in row})
        for row in answer["rows"]
    ]
    shown = Record(
        hits=hits,
        total_hits=answer["total_rows"],
        total_hits_relation="EQUAL_TO",
        bookmark=answer["bookmark"],
    )
    shown.update({name: answer[name] for name in ("counts", "ranges") if name in answer})
    return shown


def search_info(db: SyncPouchDB, path: str, kind: str = SearchKind.name) -> Record:
    """Return ``{"name", "search_index": {"doc_count", "doc_del_count", "disk_size", ...}}`` of an index."""
    design, _, name = path.partition("/")
    index = _follower(db, path, kind, {})
    files = list(index.place.directory.iterdir()) if index.place.directory.is_dir() else []
    size = sum(file.stat().st_size for file in files)
    count = index.searcher().search(everything(index.schema), 1).count
    return Record(
        name=f"_design/{design}/{name}",
        search_index=Record(
            doc_count=count, doc_del_count=0, disk_size=size, pending_seq=0, committed_seq=0, update_seq=0
        ),
    )


def analyze(given: Any, text: Any) -> Record:
    """Return ``{"tokens": [...]}``: what an analyzer makes of a text. Raises BadRequest."""
    if not isinstance(text, str):
        raise BadRequest(f"text must be a string, not {text!r}")
    return Record(tokens=analyzer_of(given).words(text))


def _asked_of_server(db: SyncPouchDB, path: str, options: Mapping[str, Any]) -> Record:
    """Pass a search on to the server of a remote database."""
    from urllib.parse import quote

    design, _, name = path.partition("/")
    ddoc = db.get(f"_design/{design}")
    nouveau = name in (ddoc.get("nouveau") or {}) and name not in (ddoc.get("indexes") or {})
    url = f"_design/{quote(design, safe='')}/{'_nouveau' if nouveau else '_search'}/{quote(name, safe='')}"
    body = {name: value for name, value in options.items() if value is not None}
    response = db.fetch(url, "POST", json=body)
    return Table(response.json())
