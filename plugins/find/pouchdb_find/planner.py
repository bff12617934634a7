"""Choosing the index for a query, by CouchDB's rules.

An index can be used if the selector, or the sort, requires every one of its fields to exist; sorting needs an index
whose fields begin with those of the sort, after fields that the selector holds constant. Of several the one is chosen
whose leading fields meet most of the conditions, then the one of fewer fields, then the first by name. Partial
indexes are used only where ``use_index`` names them. Beyond CouchDB, a ``$or`` over several fields joins the
indexes of its alternatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pouchdb_core.views.collation import Encode
from pouchdb_find.definitions import Definition
from pouchdb_find.errors import FindError
from pouchdb_find.find_request import FindRequest
from pouchdb_find.intervals import ALL_IDS, of_ids
from pouchdb_find.key_range import KeyRange, key_range, ranged_fields
from pouchdb_find.selectors import Selector, conjuncts, single
from pouchdb_find.text_definitions import TextDefinition

__all__ = ["NO_INDEX", "REASONS", "Candidate", "Plan", "describe_range", "planned", "prefix_of", "searches"]

NO_INDEX = "No matching index found, create an index to optimize query time."
_EMPTY_OPERATORS = ("$all", "$and", "$or", "$in")

REASONS = {
    "is_partial": "it is partial, and use_index does not name it",
    "field_mismatch": "the selector does not require all of its fields to exist",
    "sort_order_mismatch": "its fields do not begin with those of the sort",
    "needs_text_search": "$text needs a search index",
    "excluded_by_user": "use_index names another one",
    "unfavored_type": "an index of fields is there",
    "less_overlap": "its leading fields meet fewer conditions",
    "too_many_fields": "it has more fields than the chosen one",
    "alphabetically_comes_after": "the chosen one comes first by name",
}
"""CouchDB's names for why an index was not chosen, as text."""


@dataclass
class Candidate:
    """An index that could have been chosen; without a definition it is the one of all documents."""

    definition: Definition | None
    usable: bool = True
    reason: str | None = None
    """Why it was not chosen; None of the chosen one."""
    distance: int = 0
    """The number of conditions that its leading fields do not serve."""
    ranking: int = 0


@dataclass
class Plan:
    """How a query is run."""

    selector: Selector
    definition: Definition | None = None
    """The index; None reads the documents in the order of their ids."""
    text: TextDefinition | None = None
    """The text index, of a query with ``$text``."""
    words: str = ""
    """The query for the text index."""
    union: tuple[Plan, ...] = ()
    """For an ``$or``: read each of these, in the order of ids, each document once."""
    empty: bool = False
    """No document can match: nothing is read."""
    missing: bool = False
    """No index serves the sort; only explain continues."""
    warnings: list[str] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)


def planned(
    request: FindRequest,
    definitions: Iterable[Definition],
    encode: Encode,
    *,
    explain: bool = False,
    wanted: tuple[str, str] | None = None,
    texts: Sequence[TextDefinition] = (),
) -> Plan:
    """Choose an index. Raises FindError ``no_usable_index`` and ``invalid_index``.

    ``texts`` are the existing text indexes. ``wanted`` is the (design document, name) of the index that a bookmark
    belongs to; empty names mean no index.
    """
    candidates = [_judged(each, request) for each in definitions]
    special = Candidate(None)
    if searches(request.selector):
        special.usable, special.reason = False, "needs_text_search"
        plan = _text_plan(request, texts, wanted)
        if plan is not None:
            plan.candidates = _ranked([], [*candidates, special])
            return plan
        if not explain:
            raise FindError(
                "no_usable_index",
                "No index exists for $text: make one, create_index({'index': {}, 'type': 'text'}), with the plug-in "
                "pouchdb-search.",
            )
    elif request.sort and request.sorted_by != ("_id",):
        special.usable = False
        special.reason = "sort_order_mismatch" if "_id" in ranged_fields(request.selector) else "field_mismatch"
    usable = [each for each in (*candidates, special) if each.usable]
    if not usable:
        if not explain:
            raise FindError("no_usable_index", "No index exists for this sort, try indexing by the sort fields.")
        return Plan(request.selector, missing=True, candidates=_ranked([], [*candidates, special]))
    asked = [each for each in usable if request.use_index and _named(each.definition, request.use_index)]
    warnings = []
    if request.use_index and not asked:
        if not request.allow_fallback:
            raise FindError(
                "invalid_index",
                f"{_name(request.use_index)} specified by `use_index` could not be found or it is not suitable.",
            )
        kind = "does not contain a valid index" if len(request.use_index) == 1 else "is not a valid index"
        warnings.append(f"{_name(request.use_index)} was not used because it {kind} for this query.")
    for each in usable:
        if asked and each not in asked:
            each.reason = "excluded_by_user"
    choice = [each for each in (asked or usable) if each.definition is not None]
    if wanted is not None and wanted != ("", ""):
        choice = [each for each in choice if each.definition and (each.definition.ddoc, each.definition.name) == wanted]
        if not choice:
            raise FindError(
                "invalid_bookmark", f"the index of this bookmark, {' '.join(wanted)}, is not there: begin without one"
            )
    elif wanted is not None:
        choice = []
    if choice:
        chosen = _best(choice, request, encode)
        special.reason = special.reason or "unfavored_type"
        empty = any(key_range(request.selector, name, encode) is None for name in ranged_fields(request.selector))
        plan = Plan(request.selector, chosen.definition, empty=empty, warnings=warnings)
        plan.candidates = _ranked(choice, [each for each in (*candidates, special) if each is not chosen])
    else:
        union = () if request.use_index or request.sort else _union(request, candidates, encode)
        if not union and not request.allow_fallback:
            raise FindError(
                "invalid_index",
                "You must specify an index with the `use_index` parameter: only _all_docs fits this query, "
                "and `allow_fallback` is false.",
            )
        if not union:
            warnings.append(NO_INDEX)
        plan = Plan(request.selector, union=union, warnings=warnings)
        plan.empty = key_range(request.selector, "_id", encode) is None
        plan.candidates = _ranked([], candidates)
    plan.empty = plan.empty or _is_noop(request.selector)
    return plan


def _text_plan(request: FindRequest, texts: Sequence[TextDefinition], wanted: tuple[str, str] | None) -> Plan | None:
    """Return how a text index serves ``$text``; None if no index can. Raises FindError."""
    parts = conjuncts(request.selector)
    words = [argument["$text"] for name, argument in map(single, parts) if name == "$default"]
    if any(searches(part) for part in parts if single(part)[0] != "$default"):
        raise FindError("bad_arg", "$text stands beside the other conditions, not in $or: ask for each alone")
    if request.sort:
        raise FindError("no_usable_index", "$text answers the best first: it cannot be sorted by fields")
    named = [each for each in texts if request.use_index and _named(each, request.use_index)]
    usable = named or [each for each in texts if not each.partial]
    if wanted is not None:
        usable = [each for each in usable if (each.ddoc, each.name) == wanted]
    if not usable:
        return None
    warnings = []
    if request.use_index and not named:
        if not request.allow_fallback:
            raise FindError("invalid_index", f"{_name(request.use_index)} is no text index, which $text needs.")
        warnings.append(f"{_name(request.use_index)} was not used because it is no text index.")
    text = words[0] if len(words) == 1 else " AND ".join(f"({each})" for each in words)
    return Plan(request.selector, text=usable[0], words=text, warnings=warnings)


def _is_noop(selector: Selector) -> bool:
    """Return whether a selector is only an operator without operands, which CouchDB does not run."""
    return bool(selector) and single(selector)[0] in _EMPTY_OPERATORS and not single(selector)[1]


# -- which can be used ---------------------------------------------------------------------------


def _judged(definition: Definition, request: FindRequest) -> Candidate:
    candidate = Candidate(definition)
    named = bool(request.use_index) and _named(definition, request.use_index)
    needed = set(definition.fields) - set(request.sorted_by) - {"_id", "_rev"}
    if definition.partial and not named:
        candidate.reason = "is_partial"
    elif _unmet(request.selector, frozenset(needed)):
        candidate.reason = "field_mismatch"
    elif searches(request.selector):
        candidate.reason = "needs_text_search"
    elif not _sorts(definition.fields, request):
        candidate.reason = "sort_order_mismatch"
    candidate.usable = candidate.reason is None
    return candidate


def _named(definition: Definition | TextDefinition | None, use_index: Sequence[str]) -> bool:
    if definition is None or definition.ddoc != f"_design/{use_index[0]}":
        return False
    return len(use_index) == 1 or definition.name == use_index[1]


def _name(use_index: Sequence[str]) -> str:
    return f"_design/{', '.join(use_index)}"


def _unmet(selector: Selector, fields: frozenset[str]) -> frozenset[str]:
    """Return the fields that matching documents may lack."""
    if not selector or not fields:
        return fields
    name, argument = single(selector)
    if name == "$and":
        for part in argument:
            fields = _unmet(part, fields)
        return fields
    if name == "$or" and argument:
        return frozenset().union(*(_unmet(part, fields) for part in argument))
    if argument == {"$exists": False}:
        return fields
    return fields - {name}


def searches(selector: Selector) -> bool:
    """Return whether a selector has ``$text`` where a text index could serve it."""
    if not selector:
        return False
    name, argument = single(selector)
    return name == "$default" or (name in ("$and", "$or") and any(map(searches, argument)))


def _sorts(columns: Sequence[str], request: FindRequest) -> bool:
    sort = request.sorted_by
    if not sort:
        return True
    constant = {
        name
        for name, condition in map(single, conjuncts(request.selector))
        if isinstance(condition, dict) and "$eq" in condition
    }
    for start, column in enumerate(columns):
        if column == sort[0]:
            return tuple(columns[start : start + len(sort)]) == sort
        if column not in constant:
            return False
    return False


# -- which is best -------------------------------------------------------------------------------


def _best(choice: list[Candidate], request: FindRequest, encode: Encode) -> Candidate:
    ranged = ranged_fields(request.selector)

    def order(candidate: Candidate) -> tuple[Any, ...]:
        definition = candidate.definition
        assert definition is not None
        candidate.distance = len(ranged) - len(prefix_of(definition.fields, ranged))
        return candidate.distance, len(definition.fields), definition.ddoc, definition.name

    choice.sort(key=order)
    best = choice[0]
    for each in choice[1:]:
        assert best.definition is not None
        assert each.definition is not None
        if each.distance > best.distance:
            each.reason = "less_overlap"
        elif len(each.definition.fields) > len(best.definition.fields):
            each.reason = "too_many_fields"
        else:
            each.reason = "alphabetically_comes_after"
    return best


def prefix_of(columns: Sequence[str], fields: Iterable[str]) -> tuple[str, ...]:
    """Return the leading columns that are among the fields."""
    known = set(fields)
    found: list[str] = []
    for column in columns:
        if column not in known:
            break
        found.append(column)
    return tuple(found)


def _ranked(choice: Sequence[Candidate], rejected: list[Candidate]) -> list[Candidate]:
    """Return the indexes not chosen with their positions, in CouchDB's order: the last design document first.

    Those that lost the choice keep their place in it. Behind them, groups of one reason share a place, and groups
    without members have none (``mango_cursor:extract_candidate_indexes`` of CouchDB 3.4).
    """
    places = {id(each): number for number, each in enumerate(choice)}
    place = max(len(choice), 1)
    for reasons in (("unfavored_type",), ("excluded_by_user",), _UNUSABLE, ("is_partial",)):
        group = [each for each in rejected if each.reason in reasons and id(each) not in places]
        places.update((id(each), place) for each in group)
        place += bool(group)
    for each in rejected:
        each.ranking = places.get(id(each), place)

    def name(each: Candidate) -> tuple[str, str]:
        return ("", "") if each.definition is None else (each.definition.ddoc, each.definition.name)

    return sorted(rejected, key=name, reverse=True)


_UNUSABLE = ("field_mismatch", "needs_text_search", "sort_order_mismatch")


# -- joining indexes -----------------------------------------------------------------------------


def _union(request: FindRequest, candidates: Sequence[Candidate], encode: Encode) -> tuple[Plan, ...]:
    """Return a plan for each alternative of a ``$or`` whose every alternative has an index."""
    parts = conjuncts(request.selector)
    for part in parts:
        name, alternatives = single(part)
        if name != "$or" or not alternatives:
            continue
        others = [each for each in parts if each is not part]
        plans = [_alternative({"$and": [each, *others]}, request, candidates, encode) for each in alternatives]
        found = tuple(plan for plan in plans if plan is not None)
        if len(found) == len(plans):
            return found
    return ()


def _alternative(
    selector: Selector, request: FindRequest, candidates: Sequence[Candidate], encode: Encode
) -> Plan | None:
    alone = replace(request, selector=selector)
    if of_ids(selector) != ALL_IDS:
        return Plan(selector)
    usable = [
        each
        for each in (_judged(candidate.definition, alone) for candidate in candidates if candidate.definition)
        if each.usable
    ]
    return Plan(selector, _best(usable, alone, encode).definition) if usable else None


def describe_range(selector: Selector, definition: Definition, encode: Encode) -> list[KeyRange]:
    """Return the ranges of an index's leading fields, as in CouchDB."""
    found = []
    for name in prefix_of(definition.fields, ranged_fields(selector)):
        part = key_range(selector, name, encode)
        if part is None:
            return []
        found.append(part)
    return found
