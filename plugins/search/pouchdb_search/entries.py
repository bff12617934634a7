"""The result of an index function for a document: its calls of ``index`` as an entry of the index."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tantivy

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import dump, encodes
from pouchdb_core.revisions.numbers import js_number
from pouchdb_core.safe_repr import safe_repr
from pouchdb_search.analysis import ORIGINAL, Analyzer, analyzers_of
from pouchdb_search.schema import WEIGHT, Slots, hexed, packed, separated, weight_of
from pouchdb_search.stored_terms import StoredTerms, Text

__all__ = ["Definition", "Document", "clouseau_definition", "indexed", "nouveau_definition", "sound"]

LONGEST = 256
"""Characters of a text that rows can be sorted by; a string that is one word, or a facet, may be longer."""
SHORT = 64
"""Characters of a string that fit a column: with a longer one the field has no column."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_REFUSED = "index({name!r}, value): the value must be a string, a number or a boolean, not {value}"


_NOUVEAU = {"text": "string", "string": "string", "double": "number"}
"""The kinds of fields with a value of a type; what is ``stored`` may be anything."""


class Document:
    """The result of a function for one document."""

    __slots__ = ("facets", "id", "numbers", "rev", "shown", "sorted", "texts", "values")

    def __init__(self, id: str) -> None:
        self.id, self.rev = id, ""
        """The revision is the one that was indexed; set when the entry is stored."""
        self.values: dict[tuple[str, float], list[Text]] = {}
        """The texts to search in, by field and boost."""
        self.numbers: dict[str, list[float]] = {}
        self.facets: dict[str, list[str]] = {}
        self.texts: dict[str, list[str]] = {}
        """The original strings, by field, if the caller requests them."""
        self.shown: dict[str, Any] = {}
        """Fields that rows contain."""
        self.sorted: dict[str, Any] = {}
        """Values that rows can be sorted by."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to find it by, and nothing to show."""
        return not (self.values or self.numbers or self.facets or self.shown)

    def add_text(self, name: str, boost: float, analyzer: Analyzer | None, text: str) -> None:
        """Add a text to search in; without an analyzer it is one term."""
        key = (name, boost)
        if key in self.values:
            self.values[key].append((analyzer, text))
        else:
            self.values[key] = [(analyzer, text)]

    def terms(self, name: str) -> list[list[str | None]]:
        """Return the terms of a field for each of its boosts; None where a word was dropped."""
        return [
            [term for analyzer, text in each for term in ([text] if analyzer is None else analyzer.spaced(text))]
            for (field, _), each in self.values.items()
            if field == name
        ]

    def add_shown(self, name: str, value: Any) -> None:
        """Store a value for rows; several become a list."""
        if name in self.shown:
            before = self.shown[name]
            self.shown[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            self.shown[name] = value

    def tantivy(self, slots: Slots, stored: StoredTerms) -> tantivy.Document:
        """Return it in tantivy's form."""
        made = tantivy.Document()
        add_text = made.add_text
        add_text("id", self.id)
        add_text("kind", "doc")
        length = 0
        for (name, boost), values in self.values.items():
            terms = stored.of(name, boost, values)
            if terms:
                length += len(terms)
                add_text(slots.given_bucket(name), separated(terms))
        if self.numbers:
            made.add_json("n", {hexed(name): values for name, values in self.numbers.items()})
        if self.facets:
            # With a prefix: a string of digits is not a number.
            made.add_json("s", {hexed(name): [f"={value}" for value in values] for name, values in self.facets.items()})
        made.add_float(WEIGHT, weight_of(length))
        for name, value in self.sorted.items():
            is_text = isinstance(value, str)
            slot = slots.given(name, is_text, fits=not is_text or len(value) <= SHORT)
            if slot is not None:
                if is_text:
                    add_text(slot, value)
                else:
                    made.add_float(slot, float(value))
        shown = dump(self.shown) if self.shown else b"{}"
        made.add_bytes("stored", packed(self.id, self.rev, shown, dump(self.sorted)))
        return made


@dataclass(frozen=True)
class Definition:
    """How a design document defines an index."""

    source: Any
    analyzer: Callable[[str], Analyzer]
    original: bool
    """As in pouchdb-search: no analyzer is named."""
    nouveau: bool = False

    def wrapped(self, language: str) -> Any:
        """Return a map function that emits the arguments of the calls of ``index``."""
        if language != "javascript" or not isinstance(self.source, str):
            return self.source
        source = self.source.strip().removesuffix(";")
        return (
            "function (doc) { function index() { emit(Array.prototype.slice.call(arguments).map(function (each) {"
            " return each === undefined ? null : each; }), null); } return ("
            f"{source}\n)(doc); }}"
        )


def clouseau_definition(entry: Any) -> Definition:
    """Return the definition of an entry of ``indexes``. Raises BadRequest."""
    if not isinstance(entry, Mapping):
        entry = {"index": entry}
    given = entry.get("analyzer")
    if given is None:
        return Definition(entry.get("index"), lambda field: ORIGINAL, original=True)
    return Definition(entry.get("index"), analyzers_of(given), original=False)


def nouveau_definition(entry: Any) -> Definition:
    """Return the definition of an entry of ``nouveau``. Raises BadRequest."""
    if not isinstance(entry, Mapping):
        raise BadRequest(f"a nouveau index must be an object with a function 'index', not {safe_repr(entry)}")
    analyzers = analyzers_of(entry.get("default_analyzer", "standard"), entry.get("field_analyzers"))
    return Definition(entry.get("index"), analyzers, original=False, nouveau=True)


def indexed(definition: Definition, id: str, pairs: Sequence[Sequence[Any]], *, texts: bool = False) -> Document:
    """Return a document's entry from the calls of ``index``; with its ``texts``, too, if requested.

    Raises ValueError for an invalid call.
    """
    doc = Document(id)
    for key, value in pairs:
        if isinstance(key, (list, tuple)):
            call: Sequence[Any] = key
        elif isinstance(key, str):
            # A Python function yields (name, value) or (name, (value, options)).
            call = [key, *value] if isinstance(value, (list, tuple)) and len(value) == 2 else [key, value]
        else:
            raise ValueError(f"an index function must yield (name of a field, value), not {safe_repr(key)} as the name")
        if definition.nouveau and len(call) >= 3:
            found = _nouveau(definition, doc, *call[:4])
        else:
            if len(call) == 2:
                name, given = call
                options = None
            else:
                name, given, options = [*call, None, None, None][:3]
            found = _clouseau(definition, doc, name, given, options)
        if texts and found is not None:
            doc.texts.setdefault(found[0], []).append(found[1])
    return doc


def sound(text: str) -> str:
    """Return a string as Lucene indexes it: a lone surrogate, which has no UTF-8 form, is a replacement character."""
    return text if encodes(text) else _SURROGATES.sub("\ufffd", text)


def _text(value: Any) -> str:
    """Return a value as a string as JavaScript does: what pouchdb-search indexes."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return js_number(value)
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return "[object Object]" if isinstance(value, Mapping) else str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"index(): a number must be finite, not {safe_repr(value)}")
    return number


def _boost(name: str, options: Mapping[str, Any]) -> float:
    """Return a boost, rounded to two digits: each different one needs its own term in queries."""
    boost = options.get("boost")
    if boost is None:
        return 1.0
    number = _number(boost)
    if number is None or number <= 0:
        raise ValueError(f"index({name!r}, ...): boost must be a number above 0, not {safe_repr(boost)}")
    return float(f"{number:.2g}")


def _clouseau(definition: Definition, doc: Document, name: Any, value: Any, options: Any) -> tuple[str, str] | None:
    if not isinstance(name, str):
        raise ValueError(f"index(): the first argument must be the name of a field, not {safe_repr(name)}")
    if not definition.original and not isinstance(value, (str, int, float, bool)):
        # What is undefined, NaN or infinite in JavaScript is null in JSON.
        shown = "null, undefined, NaN or Infinity" if value is None else safe_repr(value)
        raise ValueError(_REFUSED.format(name=name, value=shown))
    name = sound(name)
    number, text = (None, sound(value)) if isinstance(value, str) else (_number(value), sound(_text(value)))
    if not options and number is None:
        doc.add_text(name, 1.0, definition.analyzer(name), text)
        if len(text) <= LONGEST or definition.analyzer(name).whole:
            doc.sorted.setdefault(name, text)
        return name, text
    options = options if isinstance(options, Mapping) else {}
    searched = options.get("index", True) not in (False, "no", "false")
    if searched:
        if number is not None:
            doc.numbers.setdefault(name, []).append(number)
        whole = number is not None and not definition.original
        doc.add_text(name, _boost(name, options), None if whole else definition.analyzer(name), text)
    if options.get("facet"):
        doc.facets.setdefault(name, []).append(text)
    if options.get("store") not in (None, False, "no", "false"):
        doc.add_shown(name, value)
    if number is not None or len(text) <= LONGEST or options.get("facet") or definition.analyzer(name).whole:
        doc.sorted.setdefault(name, value if number is not None else text)
    return (name, text) if searched and number is None else None


def _nouveau(
    definition: Definition, doc: Document, kind: Any, name: Any, value: Any, options: Any = None
) -> tuple[str, str] | None:
    if not isinstance(name, str):
        raise ValueError(f"index(): the second argument must be the name of a field, not {safe_repr(name)}")
    name, shown, value = sound(name), value, sound(value) if isinstance(value, str) else value
    options = options if isinstance(options, Mapping) else {}
    found = None
    if kind == "text" and isinstance(value, str):
        doc.add_text(name, _boost(name, options), definition.analyzer(name), value)
        found = name, value
    elif kind == "string" and isinstance(value, str):
        doc.add_text(name, _boost(name, options), None, value)
        doc.facets.setdefault(name, []).append(value)
        doc.sorted.setdefault(name, value)
    elif kind == "double" and _number(value) is not None:
        doc.numbers.setdefault(name, []).append(float(value))
        doc.sorted.setdefault(name, value)
    elif kind != "stored":
        if kind not in _NOUVEAU:
            kinds = "'text', 'string', 'double' or 'stored'"
            raise ValueError(f"index(): the first argument must be {kinds}, not {safe_repr(kind)}")
        raise ValueError(
            f"index({kind!r}, {name!r}, value): the value must be a {_NOUVEAU[kind]}, not {safe_repr(value)}"
        )
    if kind == "stored" or options.get("store"):
        doc.add_shown(name, shown)
    return found
