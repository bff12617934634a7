"""``more_like``: documents with the same significant words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tantivy

from pouchdb_core.errors import NotFound
from pouchdb_search.queries import DEFAULT, NOT, SHOULD, Asked
from pouchdb_search.search_options import invalid
from pouchdb_search.text_source import TextSource

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["alike"]

TERMS = 25
"""Words that are searched for by default (``max_terms``)."""
_MEMBERS = frozenset(["id", "text", "fields", "max_terms"])


def alike(db: SyncPouchDB, asked: Asked, source: TextSource, model: Any) -> Any:
    """Return a query for documents like a model, an id or ``{"id" or "text", "fields", "max_terms"}``.

    It searches for words that the model has often and other documents seldom; the model itself is not found.
    Raises QueryParseError, and NotFound for a missing document.
    """
    given = {"id": model} if isinstance(model, str) else model
    if not isinstance(given, Mapping) or given.keys() - _MEMBERS or ("id" in given) == ("text" in given):
        raise invalid(
            "more_like", model, "a document id, or an object with either 'id' or 'text', and 'fields' and 'max_terms'"
        )
    fields, most, id = given.get("fields"), given.get("max_terms", TERMS), given.get("id")
    if fields is not None and (not isinstance(fields, list) or not all(isinstance(name, str) for name in fields)):
        raise invalid("fields of more_like", fields, "a list of strings")
    if type(most) is not int or not 1 <= most <= 1000:
        raise invalid("max_terms of more_like", most, "a number from 1 to 1000")
    texts = _texts(db, source, given)
    scored = []
    least = 1 if id is None else 2
    for name, each in texts.items():
        if fields is not None and name not in fields:
            continue
        words = Counter(word for text in each for word in asked.analyzer(name).words(text))
        for word, count in words.items():
            frequency = asked.frequency(name, word)
            # Only those of the model's words that others have, too.
            if frequency >= least:
                scored.append((count * math.log(1 + asked.searcher.num_docs / frequency), name, word))
    scored.sort(key=lambda each: (-each[0], each[1], each[2]))
    if not scored:
        return tantivy.Query.empty_query()
    parts = [
        (SHOULD, tantivy.Query.boost_query(asked.term(name, word), score / scored[0][0]))
        for score, name, word in scored[:most]
    ]
    if id is not None:
        parts.append((NOT, tantivy.Query.term_query(asked.schema, "id", id)))
    return tantivy.Query.boolean_query(parts)


def _texts(db: SyncPouchDB, source: TextSource, given: Mapping[str, Any]) -> Mapping[str, list[str]]:
    if "id" not in given:
        if not isinstance(given["text"], str):
            raise invalid("text of more_like", given["text"], "a string")
        return {name: [given["text"]] for name in given.get("fields") or [DEFAULT]}
    if not isinstance(given["id"], str):
        raise invalid("id of more_like", given["id"], "a string")
    try:
        model = db.get(given["id"])
    except NotFound as error:
        raise NotFound(f"more_like: the document {given['id']!r} is {error.message}", id=given["id"]) from error
    entries = source.texts([model])
    return entries[0].texts if entries else {}
