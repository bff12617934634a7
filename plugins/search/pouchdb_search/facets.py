"""Counts of values and of ranges among the hits, and conditions on facets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tantivy

from pouchdb_core.errors import BadRequest
from pouchdb_core.results import Record
from pouchdb_search.entries import sound
from pouchdb_search.lucene import lucene
from pouchdb_search.lucene_grammar import NUMBER
from pouchdb_search.queries import MUST, SHOULD, Asked
from pouchdb_search.schema import hexed
from pouchdb_search.search_options import invalid, json_of, list_of

__all__ = ["counts_of", "drilled", "ranges_of"]

VALUES = 10_000
"""How many values of a facet are counted, the most frequent first."""
_RANGE = re.compile(r"\s*[\[{]\s*\S+\s+TO\s+\S+\s*[\]}]\s*\Z")


def _check_facet(asked: Asked, name: Any) -> None:
    if name not in asked.names.facets:
        raise BadRequest(
            f"The field {name!r} was not indexed with facet: true (or, in nouveau, as a string)", field=name
        )


def drilled(asked: Asked, query: Any, drills: Sequence[tuple[str, Sequence[str]]]) -> Any:
    """Return a query narrowed to facets: any one of several values of a field, and all of several fields."""
    for name, values in drills:
        _check_facet(asked, name)
        terms = [asked.value(f"s.{hexed(name)}", f"={sound(value)}") for value in values]
        either = tantivy.Query.boolean_query([(SHOULD, term) for term in terms])
        # The frequency of a facet does not affect the score of a hit.
        query = tantivy.Query.boolean_query([(MUST, query), (MUST, tantivy.Query.const_score_query(either, 0.0))])
    return query


def counts_of(asked: Asked, query: Any, given: Mapping[str, Any]) -> Record | None:
    """Return ``{field: {value: documents}}`` of the option ``counts``; None without it. Raises BadRequest."""
    names = list_of(given, "counts")
    return Record({name: _counted(asked, query, name) for name in names}) if names else None


def _counted(asked: Asked, query: Any, name: Any) -> Record:
    _check_facet(asked, name)
    found = asked.searcher.aggregate(query, {"counts": {"terms": {"field": f"s.{hexed(name)}", "size": VALUES}}})
    return Record({bucket["key"][1:]: bucket["doc_count"] for bucket in found["counts"]["buckets"]})


def ranges_of(asked: Asked, query: Any, given: Mapping[str, Any]) -> Record | None:
    """Return ``{field: {label: documents}}`` of the option ``ranges``; None without it. Raises BadRequest."""
    ranges = given.get("ranges")
    if isinstance(ranges, str):
        ranges = json_of(ranges, "ranges")
    if ranges is None:
        return None
    if not isinstance(ranges, Mapping):
        raise invalid("ranges", ranges, "an object of fields, such as {'price': {'cheap': '[0 TO 10]'}}")
    return Record({name: _ranged(asked, query, name, each) for name, each in ranges.items()})


def _ranged(asked: Asked, query: Any, name: str, wanted: Any) -> Record:
    if name not in asked.names.numbers:
        raise BadRequest(f"ranges: the field {name!r} was not indexed as a number", field=name)
    if isinstance(wanted, list):
        wanted = dict(_nouveau_range(name, each) for each in wanted)
    if not isinstance(wanted, Mapping):
        raise invalid(f"ranges of {name!r}", wanted, "an object of labels and ranges, such as {'cheap': '[0 TO 10]'}")
    found = Record()
    for label, text in wanted.items():
        if not isinstance(text, str) or not _RANGE.match(text):
            raise invalid(f"the range {label!r} of {name!r}", text, "a range such as '[0 TO 10]'")
        with asked.unmarked():
            within = lucene(asked, f"{_escaped_name(name)}:{text.strip()}")
        both = tantivy.Query.boolean_query([(MUST, query), (MUST, within)])
        found[label] = asked.searcher.search(both, 1).count
    return found


def _escaped_name(name: str) -> str:
    """Return the name of a field as used in queries."""
    return re.sub(r"([^\w])", r"\\\1", name)


def _nouveau_range(name: str, each: Any) -> tuple[str, str]:
    if not isinstance(each, Mapping) or not isinstance(each.get("label"), str):
        raise invalid(f"a range of {name!r}", each, "an object with a label (a string), min and max")
    for end in ("min", "max"):
        if end in each and not NUMBER.match(str(each[end])) and each[end] not in ("Infinity", "-Infinity"):
            raise invalid(f"{end} of the range {each['label']!r} of {name!r}", each[end], "a number")
    left = "[" if each.get("min_inclusive", True) else "{"
    right = "]" if each.get("max_inclusive", True) else "}"
    return each["label"], f"{left}{each.get('min', '-Infinity')} TO {each.get('max', 'Infinity')}{right}"
