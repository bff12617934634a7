"""A search with its options checked, and the result: rows, groups, facets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import tantivy

from pouchdb_core.api.options import document_options, flag_of, place_after, place_in, whole_of
from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.requests import Listing
from pouchdb_core.results import Record
from pouchdb_core.tables import Table
from pouchdb_search.entries import sound
from pouchdb_search.facets import counts_of, drilled, ranges_of
from pouchdb_search.highlights import Highlighter
from pouchdb_search.likeness import alike
from pouchdb_search.lucene import lucene
from pouchdb_search.queries import MUST, Asked, original
from pouchdb_search.schema import stored_lines, stored_value
from pouchdb_search.search_options import drills_of, invalid, list_of
from pouchdb_search.sloppy import reader_of
from pouchdb_search.sorting import (
    Hit,
    SortKey,
    all_hits,
    best,
    best_hits,
    field_and_type,
    sort_key,
    sorted_hits,
    sorted_page,
)
from pouchdb_search.text_index import Names
from pouchdb_search.text_source import TextSource

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Opened", "Search"]

USUAL, MOST = 25, 200
_FACETS = {"counts": counts_of, "ranges": ranges_of}


@dataclass
class Opened:
    """An index as a search sees it."""

    source: TextSource
    schema: Any
    index: Any
    searcher: Any
    names: Names
    fresh: bool = True
    """Whether it was brought up to date for this search: then the revisions it has are the current ones."""

    def asked(self) -> Asked:
        """Return the compiler of queries."""
        return Asked(self.schema, self.index, self.searcher, self.source.definition.analyzer, self.names)


class Search:
    """Checked options, and how the search is run. Raises QueryParseError, BadRequest."""

    # Most searches have no other option than the query.
    _skip = 0
    _docs = False
    _sort: Sequence[SortKey] = ()
    _shown: Sequence[str] | None = None
    _highlighter = Highlighter({})
    _group: str | None = None

    def __init__(self, db: SyncPouchDB, options: Mapping[str, Any], opened: Opened) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        self._db, self._given, self._definition = db, given, opened.source.definition
        self._original, self._fresh = self._definition.original, opened.fresh
        self._limit = None if self._original else USUAL
        text, model = given.get("q", given.get("query")), given.get("more_like")
        if "partition" in given:
            # In CouchDB's words. To ignore it would find what is in others.
            raise BadRequest("`partition` not supported on this index")
        if text is None and model is None:
            raise QueryParseError("Query must include a 'q' or 'query' argument")
        if text is not None and not isinstance(text, str):
            raise invalid("q" if "q" in given else "query", text, "a string")
        text = text if text is None else sound(text)
        if len(given) > 1:
            self._choose(given)
        self._asked = opened.asked()
        self._asked.read = partial(reader_of, db, opened.source)
        parts = []
        if text is not None:
            parts.append((original if self._original else lucene)(self._asked, text))
        if model is not None:
            parts.append(alike(db, self._asked, opened.source, model))
        query = parts[0] if len(parts) == 1 else tantivy.Query.boolean_query([(MUST, each) for each in parts])
        self._query = drilled(self._asked, query, drills_of(given["drilldown"])) if "drilldown" in given else query

    def _choose(self, given: Mapping[str, Any]) -> None:
        """Check the options beside the query."""
        self._limit = whole_of(given, "limit", self._limit)
        if self._limit is not None and self._limit > MOST and not self._original:
            raise QueryParseError(f"Value for limit is too large, must not exceed {MOST}")
        self._skip = whole_of(given, "skip", 0) or 0
        if given.get("bookmark"):
            self._skip = place_in("search", given["bookmark"])
        self._docs = flag_of(given, "include_docs")
        self._sort = [sort_key(each) for each in list_of(given, "sort")]
        self._shown = list_of(given, "include_fields") if "include_fields" in given else None
        self._highlighter = Highlighter(given)
        self._group = next((name for name in ("group_field", "group_by") if name in given), None)

    def answer(self) -> Record:
        """Return the result."""
        if self._group is not None:
            return self._grouped(self._group)
        if self._plain:
            return self._answered(*self._plain_rows())
        if self._sort:
            page, total = sorted_page(self._asked, self._query, self._sort, self._skip, self._limit, self._original)
        else:
            page, total = best_hits(self._asked, self._query, self._skip, self._limit, self._original)
        return self._answered(self._rows(page), total)

    def _answered(self, rows: list[Record], total: int) -> Record:
        answer = Table(total_rows=total, bookmark=place_after("search", self._skip + len(rows)), rows=rows)
        for name, facets in _FACETS.items():
            if name in self._given:
                found = facets(self._asked, self._query, self._given)
                if found is not None:
                    answer[name] = found
        return _as_nouveau(answer) if self._definition.nouveau else answer

    @property
    def _plain(self) -> bool:
        """Whether rows have what the index has stored, in the order of scores."""
        return not (self._sort or self._docs or self._highlighter.names) and self._shown is None and self._fresh

    def _listed(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return the rows of documents as ``all_docs`` has them."""
        db, chosen = self._db, {name: flag_of(self._given, name) for name in ("conflicts", "attachments")}
        request = Listing(
            keys=tuple(ids),
            include_docs=self._docs,
            options=document_options(**chosen),
            user=db.user,
            purpose=db.purpose,
        )
        listing: Any = db.plugins.list(db, request)
        return {row["key"]: row for row in listing["rows"]}

    def _plain_rows(self) -> tuple[list[Record], int]:
        """Return the rows of the best hits and the number of all, in half the time that ``_rows`` takes."""
        found, total = best(self._asked, self._query, self._skip, self._limit, self._original)
        searcher, rows = self._asked.searcher, []
        for score, address in found:
            rev, text, _, raw = stored_lines(searcher, address)
            id = raw.decode()
            fields = Record() if text == b"{}" else Record(stored_value(text))
            value = Record(rev=rev.decode())
            rows.append(Record(id=id, key=id, value=value, score=score, order=[score, 0], fields=fields))
        return rows, total

    def _rows(self, hits: Sequence[Hit]) -> list[Record]:
        known = self._listed([hit.id for hit in hits]) if hits and (self._docs or not self._fresh) else None
        shown, missing = self._shown, Record()
        rows = []
        for hit in hits:
            id, fields = hit.id, hit.fields
            if shown is not None:
                fields = {name: value for name, value in fields.items() if name in shown}
            rev: str | None
            if known is None:
                rev = hit.rev
            else:
                row = known.get(id, missing)
                rev = row["value"]["rev"] if "value" in row else None
            found = Record(
                id=id, key=id, value=Record(rev=rev), score=hit.score, order=[*hit.order, 0], fields=Record(fields)
            )
            if self._highlighter.names:
                found["highlights"] = self._highlighter.of(hit.fields, self._asked)
            if known is not None and self._docs:
                found["doc"] = row.get("doc")
            rows.append(found)
        return rows

    def _grouped(self, option: str) -> Record:
        name, kind = field_and_type(self._given[option], option)
        limit = whole_of(self._given, "group_limit", 1)
        assert limit is not None, "it has a default"
        if limit < 1:
            raise QueryParseError(f"group_limit must be greater than zero, not {limit}")
        if limit > MOST:
            raise QueryParseError(f"Value for group_limit is too large, must not exceed {MOST}")
        order = [sort_key(each, "group_sort") for each in list_of(self._given, "group_sort")]
        hits = all_hits(self._asked, self._query, self._original)
        total = len(hits)
        if self._sort:
            sorted_hits(hits, self._sort)
        groups: dict[Any, list[Hit]] = {}
        for hit in hits:
            value = hit.value(name)
            groups.setdefault(value if kind == "number" or value is None else str(value), []).append(hit)
        if order:
            # By each group's first hit.
            firsts = {found[0]: by for by, found in groups.items()}
            names = [firsts[hit] for hit in _in_order(list(firsts), order)]
        else:
            names = list(groups)
        shown = names[self._skip : None if self._limit is None else self._skip + self._limit]
        # The older option returns the older names.
        hits_name, total_name = ("rows", "total_rows") if option == "group_field" else ("hits", "total_hits")
        answer = Record({total_name: total})
        if option == "group_by":
            answer["total_grouped_hits"] = total
        answer["groups"] = [
            Record({"by": each, total_name: len(groups[each]), hits_name: self._rows(groups[each][:limit])})
            for each in shown
        ]
        return answer


def _in_order(hits: list[Hit], keys: Sequence[SortKey]) -> list[Hit]:
    """Return hits sorted by some keys; the order shown in rows is unchanged."""
    orders = [hit.order for hit in hits]
    found = list(hits)
    sorted_hits(found, keys)
    for hit, order in zip(hits, orders, strict=True):
        hit.order = order
    return found


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
