"""The result of explain: CouchDB's fields, and ours in ``plan``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.views.collation import Encode
from pouchdb_find.definitions import Definition, definitions
from pouchdb_find.find_request import FindRequest
from pouchdb_find.intervals import ALL_IDS, of_ids
from pouchdb_find.key_range import KeyRange, key_range, ranged_fields
from pouchdb_find.mango_index import encode_of
from pouchdb_find.planner import REASONS, Candidate, Plan, describe_range, planned, searches
from pouchdb_find.selectors import Selector, conjuncts, single
from pouchdb_find.spans import Reading
from pouchdb_find.text_definitions import TextDefinition, text_definitions

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["ALL_DOCS", "explained"]

ALL_DOCS = {"ddoc": None, "name": "_all_docs", "type": "special", "def": {"fields": [{"_id": "asc"}]}}
MAX = "<MAX>"


def explained(database: SyncPouchDB, request: FindRequest) -> Record:
    """Return how a query would be answered. Only design documents are read."""
    encode = encode_of(database)
    designs = database.design_documents()
    texts = text_definitions(database, designs) if searches(request.selector) else ()
    plan = planned(request, definitions(designs), encode, explain=True, texts=texts)
    low, high = _keys(plan, request, encode)
    covering = plan.definition is not None and _covers(plan.definition, request)
    start, end = (high, low) if request.descending else (low, high)
    answer = Record(
        dbname=database.short_name,
        index=None if plan.missing else _json(plan.definition or plan.text),
        partitioned=False,
        selector=request.selector,
        opts=request.options,
        limit=request.limit,
        skip=request.skip,
        fields=list(request.fields),
        index_candidates=[_candidate(each, request) for each in plan.candidates],
        selector_hints=[_hints(request.selector)],
        mrargs=Record(
            include_docs=not covering,
            view_type="map",
            reduce=False,
            partition=None,
            start_key=start,
            end_key=end,
            direction="rev" if request.descending else "fwd",
            stable=request.stable,
            update=request.update,
            conflicts=True if request.conflicts else "undefined",
        ),
        covering=covering,
        range=Record(start_key=start, end_key=end),
    )
    answer["plan"] = _plan(plan, request, encode)
    return answer


def _json(definition: Definition | TextDefinition | None) -> Record:
    if definition is None:
        return Record(ALL_DOCS)
    answer = definition.json()
    return Record(
        ddoc=answer["ddoc"], name=answer["name"], type=answer["type"], partitioned=False, **{"def": answer["def"]}
    )


def _keys(plan: Plan, request: FindRequest, encode: Encode) -> tuple[Any, Any]:
    """Return the ends of the range as CouchDB reports them."""
    if plan.empty or plan.missing or plan.text is not None:
        return None, None
    if plan.definition is None:
        found = key_range(request.selector, "_id", encode) or KeyRange()
        return found.low, MAX if found.below is None else found.high
    low, high = [], []
    ranges = describe_range(request.selector, plan.definition, encode)
    for part in ranges:
        if part.above is None:
            break
        low.append(part.low)
    for part in ranges:
        if part.below is None:
            break
        high.append(part.high)
    return low, [*high, MAX]


def _covers(definition: Definition, request: FindRequest) -> bool:
    """Return whether an index has all requested fields, by CouchDB's rules; documents are read all the same."""
    there = {*definition.fields, "_id"}
    used = {single(each)[0] for each in conjuncts(request.selector)}
    return bool(request.fields) and set(request.fields) <= there and used <= there


def _candidate(candidate: Candidate, request: FindRequest) -> Record:
    definition = candidate.definition
    return Record(
        index=_json(definition),
        analysis=Record(
            usable=candidate.usable,
            reasons=[Record(name=candidate.reason)],
            ranking=candidate.ranking,
            covering=None if definition is None else _covers(definition, request),
        ),
    )


def _hints(selector: Selector) -> Record:
    indexable = ranged_fields(selector)
    every = sorted(set(_named(selector)))
    return Record(
        type="json", indexable_fields=indexable, unindexable_fields=[name for name in every if name not in indexable]
    )


def _named(selector: Selector) -> list[str]:
    if not selector:
        return []
    name, argument = single(selector)
    if name in ("$and", "$or", "$nor"):
        return [each for part in argument for each in _named(part)]
    return _named(argument) if name == "$not" else [name]


# -- in our own words ----------------------------------------------------------------------------


def _plan(plan: Plan, request: FindRequest, encode: Encode) -> Record:
    """Return what is read and how: ``reads``, ``ranges``, ``filter`` (conditions tested afterwards), ``not_used``."""
    answer = Record(reads=_reads(plan), ranges=[], filter=[], not_used=Record())
    if plan.missing:
        answer["reads"] = "nothing: no index begins with the fields of the sort"
    elif plan.empty:
        answer["reads"] = "nothing: no document can match"
    else:
        for part in plan.union or (plan,):
            ranges, filtered = _read(part, encode)
            answer["ranges"] += ranges
            answer["filter"] += [each for each in filtered if each not in answer["filter"]]
        if plan.union:
            answer["filter"] = conjuncts(request.selector)
    for candidate in plan.candidates:
        definition = candidate.definition
        if definition is not None and candidate.reason is not None:
            answer["not_used"][_title(definition)] = REASONS[candidate.reason]
    if plan.union:
        answer["index"] = [None if part.definition is None else _json(part.definition) for part in plan.union]
    return answer


def _title(definition: Definition | TextDefinition | None) -> str:
    return "_all_docs" if definition is None else f"{definition.ddoc.removeprefix('_design/')}/{definition.name}"


def _reads(plan: Plan) -> str:
    if plan.union:
        return "union of " + ", ".join(dict.fromkeys(_title(part.definition) for part in plan.union))
    if plan.definition is not None:
        return f"index {_title(plan.definition)}"
    if plan.text is not None:
        return f"text index {_title(plan.text)}"
    if of_ids(plan.selector) != ALL_IDS:
        return "documents in a range of ids"
    return "all documents"


def _read(plan: Plan, encode: Encode) -> tuple[list[str], Sequence[Selector]]:
    """Return the ranges of a plan in words, and the conditions that documents are tested by."""
    if plan.text is not None:
        rest = [each for each in conjuncts(plan.selector) if single(each)[0] != "$default"]
        return [f"$text {plan.words!r}"], rest
    if plan.definition is None:
        rest = [each for each in conjuncts(plan.selector) if single(each)[0] != "_id"]
        bounds = [each for each in conjuncts(plan.selector) if single(each)[0] == "_id"]
        return [_condition(each) for each in bounds], rest
    reading = Reading(plan.definition, plan.selector, encode)
    served = [each for each in conjuncts(plan.selector) if each not in reading.filtered]
    count = len(reading.spans)
    ranges = [
        f"{_title(plan.definition)}: {count} range{'' if count == 1 else 's'} of ({', '.join(plan.definition.fields)})"
    ]
    ranges += [_condition(each) for each in served]
    return ranges, reading.filtered


def _condition(condition: Selector) -> str:
    name, argument = single(condition)
    if name[:1] == "$" or not isinstance(argument, dict):
        return str(condition)
    operator, wanted = single(argument)
    return f"{name} {operator} {safe_repr(wanted)}"
