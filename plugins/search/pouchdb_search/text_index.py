"""The index of one function: tantivy beside the database.

Fields are not known beforehand. A term is stored with a hash of its field's name before it, in one of some text
fields of tantivy's by that hash, so that fields have lengths of their own. Numbers and facets go into JSON fields by
the name in hexadecimal digits. What rows show and sort by is stored as JSON.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tantivy

from pouchdb_core.errors import BadRequest, FunctionError
from pouchdb_core.views.index import Batch, IndexKind, IndexPlace, OutsideIndex
from pouchdb_core.views.servers import Functions, functions_of
from pouchdb_search.analysis import ORIGINAL, Analyzer, analyzers_of

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = [
    "Definition",
    "Document",
    "NouveauKind",
    "SearchKind",
    "TextIndex",
    "bucket",
    "hexed",
    "indexed",
    "opened",
    "prefixed",
    "schema_of",
]

logger = logging.getLogger("pouchdb.search")

BUCKETS = 16
SEPARATOR = "\x1e"
MARK = "\x00mark"
"""The id of the document that holds the mark: ids of documents have no such beginning."""
HEAP = 30_000_000
"""Bytes that tantivy collects before it writes a segment."""
LONGEST = 256
"""Characters of a text that rows can be sorted by."""


def prefixed(name: str, term: str) -> str:
    """Return a term as it is stored for a field. Hashes differ by more letters than a fuzzy query may change."""
    return f"{hashlib.md5(name.encode('utf-8', 'surrogatepass'), usedforsecurity=False).hexdigest()[:12]}\x1f{term}"


def bucket(name: str) -> str:
    """Return the text field of tantivy's that a field's terms are in."""
    return f"t{zlib.crc32(name.encode('utf-8', 'surrogatepass')) % BUCKETS}"


def hexed(name: str) -> str:
    """Return a field's name as a key of tantivy's JSON fields."""
    return f"f{name.encode('utf-8', 'surrogatepass').hex()}"


def schema_of() -> tantivy.Schema:
    """Return the schema, the same for all indexes."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
    for number in range(BUCKETS):
        builder.add_text_field(f"t{number}", tokenizer_name="terms")
    builder.add_json_field("n", fast=True, tokenizer_name="raw")
    builder.add_json_field("s", fast=True, tokenizer_name="raw")
    builder.add_text_field("stored", stored=True, tokenizer_name="raw", index_option="basic")
    return builder.build()


@dataclass
class Document:
    """What a function gave for one document."""

    id: str
    terms: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    facets: dict[str, list[str]] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    """Fields that rows bring."""
    sorted: dict[str, Any] = field(default_factory=dict)
    """Values that rows can be sorted by."""

    def add_shown(self, name: str, value: Any) -> None:
        """Keep a value for rows; several become a list."""
        if name in self.shown:
            before = self.shown[name]
            self.shown[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            self.shown[name] = value

    def tantivy(self, schema: tantivy.Schema) -> tantivy.Document:
        """Return it as tantivy takes it."""
        texts: dict[str, list[str]] = {}
        for name, terms in self.terms.items():
            texts.setdefault(bucket(name), []).append(SEPARATOR.join(prefixed(name, term) for term in terms))
        stored = {
            "f": self.shown,
            "s": self.sorted,
            "l": {name: len(terms) for name, terms in self.terms.items()},
        }
        return tantivy.Document.from_dict(
            {
                "id": self.id,
                "kind": "doc",
                **texts,
                "n": {hexed(name): values for name, values in self.numbers.items()},
                # A mark before it: a text of digits is no number.
                "s": {hexed(name): [f"={value}" for value in values] for name, values in self.facets.items()},
                "stored": json.dumps(stored),
            },
            schema,
        )


@dataclass(frozen=True)
class Definition:
    """How a design document wants an index."""

    source: Any
    analyzer: Callable[[str], Analyzer]
    original: bool
    """As pouchdb-search: no analyzer is named."""
    nouveau: bool = False

    def wrapped(self, language: str) -> Any:
        """Return a map function that emits what the index function is called with."""
        if language != "javascript" or not isinstance(self.source, str):
            return self.source
        source = self.source.strip().removesuffix(";")
        return (
            "function (doc) { function index() { emit(Array.prototype.slice.call(arguments).map(function (each) {"
            " return each === undefined ? null : each; }), null); } return ("
            f"{source}\n)(doc); }}"
        )


def indexed(definition: Definition, id: str, pairs: Sequence[Sequence[Any]]) -> Document:
    """Return a document's entry of the calls of ``index``. Raises ValueError for a call that is wrong."""
    doc = Document(id)
    for key, value in pairs:
        if isinstance(key, str):
            # A Python function yields (name, value) or (name, (value, options)).
            call = [key, *value] if isinstance(value, (list, tuple)) and len(value) == 2 else [key, value]
        else:
            call = list(key)
        if definition.nouveau and len(call) >= 3:
            _nouveau(definition, doc, *call[:4])
        else:
            name, given, *rest = [*call, None][: max(2, len(call))]
            _clouseau(definition, doc, name, given, rest[0] if rest else None)
    return doc


def _text(value: Any) -> str:
    """Return a value as JavaScript shows it: what pouchdb-search indexes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return "[object Object]" if isinstance(value, Mapping) else str(value)


def _clouseau(definition: Definition, doc: Document, name: Any, value: Any, options: Any) -> None:
    if not isinstance(name, str):
        raise ValueError(f"index() takes the name of a field first, not {name!r}")
    options = options if isinstance(options, Mapping) else {}
    if not definition.original and not isinstance(value, (str, int, float, bool)):
        raise ValueError(f"index() of {name!r} takes text, a number or a boolean, not {value!r}")
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    text = _text(value)
    if options.get("index", True) not in (False, "no"):
        if number is not None:
            doc.numbers.setdefault(name, []).append(float(number))
        terms = [text] if number is not None and not definition.original else definition.analyzer(name).words(text)
        boost = options.get("boost")
        times = max(1, round(boost)) if isinstance(boost, (int, float)) and boost > 1 else 1
        doc.terms.setdefault(name, []).extend(terms * times)
    if options.get("facet"):
        doc.facets.setdefault(name, []).append(text)
    if options.get("store") not in (None, False, "no"):
        doc.add_shown(name, value)
    if number is not None or len(text) <= LONGEST:
        doc.sorted.setdefault(name, number if number is not None else text)


def _nouveau(definition: Definition, doc: Document, kind: Any, name: Any, value: Any, options: Any = None) -> None:
    if not isinstance(name, str):
        raise ValueError(f"index() takes the name of a field second, not {name!r}")
    options = options if isinstance(options, Mapping) else {}
    if kind == "text" and isinstance(value, str):
        doc.terms.setdefault(name, []).extend(definition.analyzer(name).words(value))
    elif kind == "string" and isinstance(value, str):
        doc.terms.setdefault(name, []).append(value)
        doc.facets.setdefault(name, []).append(value)
        doc.sorted.setdefault(name, value[:LONGEST])
    elif kind == "double" and isinstance(value, (int, float)) and not isinstance(value, bool):
        doc.numbers.setdefault(name, []).append(float(value))
        doc.sorted.setdefault(name, value)
    elif kind != "stored":
        raise ValueError(
            f"index({kind!r}, {name!r}, ...) takes text, string, double or stored with a value of that kind"
        )
    if kind == "stored" or options.get("store"):
        doc.add_shown(name, value)


class TextIndex(OutsideIndex):
    """An index in a folder of its own."""

    def __init__(self, place: IndexPlace, definition: Definition, functions: Functions, language: str) -> None:
        super().__init__(place)
        self.definition = definition
        self.schema = schema_of()
        self._functions, self._language = functions, language
        self._name = f"{place.signature} search"
        self._index: Any = None
        self._writer: Any = None

    def prepare(self, batch: Batch) -> tuple[list[Document], int]:
        self._functions.compile(self._name, "map", self.definition.wrapped(self._language))
        living = batch.living
        documents: list[Document] = []
        for change, (pairs,) in zip(
            living, self._functions.map([self._name], [change.text for change in living]), strict=True
        ):
            if isinstance(pairs, Exception):
                batch.report(change.id, pairs)
                continue
            try:
                document = indexed(self.definition, change.id, pairs)
            except (ValueError, TypeError) as error:
                batch.report(change.id, FunctionError(str(error), name="index_error"))
                continue
            if document.terms or document.numbers or document.facets or document.shown:
                documents.append(document)
        return documents, len(batch.changes)

    def apply(self, batch: Batch, work: list[Document]) -> None:
        if self._writer is None:
            self._writer = self.index.writer(HEAP, 1)
        for id in batch.replaced or [document.id for document in work]:
            self._writer.delete_documents_by_term("id", id)
        facets = set((self.state or {}).get("facets", ()))
        numbers = set((self.state or {}).get("numbers", ()))
        for document in work:
            self._writer.add_document(document.tantivy(self.schema))
            facets.update(document.facets)
            numbers.update(document.numbers)
        self.state = {"facets": sorted(facets), "numbers": sorted(numbers)}

    def commit(self, mark: str) -> None:
        if self._writer is None:
            self._writer = self.index.writer(HEAP, 1)
        # In the same commit as what it is about.
        self._writer.delete_documents_by_term("id", MARK)
        self._writer.add_document(tantivy.Document.from_dict({"id": MARK, "stored": mark}, self.schema))
        self._writer.commit()
        # Its lock is let go of: another process may be the next builder.
        self._writer.wait_merging_threads()
        self._writer = None
        self.index.reload()

    def mark(self) -> str | None:
        if not (self.place.directory / "meta.json").exists():
            return None
        try:
            searcher = self.searcher()
            found = searcher.search(tantivy.Query.term_query(self.schema, "id", MARK), 1).hits
            return str(searcher.doc(found[0][1])["stored"][0]) if found else None
        except (ValueError, OSError, KeyError, IndexError) as error:
            logger.warning("the search index in %s cannot be read and is built anew: %s", self.place.directory, error)
            return None

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        self._writer = None
        self._index = None

    @property
    def index(self) -> Any:
        """Tantivy's index, open."""
        if self._index is None:
            self._index = opened(self.place.directory, self.schema)
        return self._index

    def searcher(self) -> Any:
        """Return a searcher of what is committed now, also by other processes."""
        self.index.reload()
        return self.index.searcher()


def opened(directory: Path | None, schema: tantivy.Schema) -> Any:
    """Open tantivy's index in a folder, made if it is not there; without one in memory."""
    if directory is None:
        index = tantivy.Index(schema)
    else:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            index = tantivy.Index(schema, path=str(directory))
        except ValueError:
            # Half-written, or of an older form: it has no mark, and is built anew.
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            index = tantivy.Index(schema, path=str(directory))
    # Terms come as they are, with a mark between them.
    index.register_tokenizer("terms", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(f"[^{SEPARATOR}]+")).build())
    return index


_OTHERS = frozenset(["views", "indexes", "nouveau", "spatial", "st_indexes", "filters", "validate_doc_update"])
"""Members of a design document that are no business of a search index: it is not built again when they change."""


class SearchKind(IndexKind):
    """``indexes``: pouchdb-search's without an analyzer, Cloudant's with one."""

    name = "indexes"

    def definitions(self, database: SyncPouchDB, ddoc: Mapping[str, Any]) -> Mapping[str, Any]:
        found = ddoc.get(self.name)
        if not isinstance(found, Mapping):
            return {}
        rest = {
            name: value
            for name, value in ddoc.items()
            if not name.startswith("_")
            and name not in ("views", "indexes", "nouveau", "spatial", "st_indexes", "filters")
        }
        return {name: [each, rest] for name, each in found.items()}

    def defined(self, entry: Any) -> Definition:
        """Return what an entry of a design document means. Raises BadRequest."""
        if not isinstance(entry, Mapping):
            entry = {"index": entry}
        given = entry.get("analyzer")
        if given is None:
            return Definition(entry.get("index"), lambda field: ORIGINAL, original=True)
        return Definition(entry.get("index"), analyzers_of(given), original=False)

    def open(self, database: SyncPouchDB, place: IndexPlace) -> TextIndex:
        entry = place.ddoc[self.name][place.member]
        language = place.ddoc.get("language", "javascript")
        return TextIndex(place, self.defined(entry), functions_of(database, place.ddoc), language)


class NouveauKind(SearchKind):
    """``nouveau``: CouchDB's."""

    name = "nouveau"

    def defined(self, entry: Any) -> Definition:
        if not isinstance(entry, Mapping):
            raise BadRequest(f"an index of nouveau is an object with a function, not {entry!r}")
        analyzers = analyzers_of(entry.get("default_analyzer", "standard"), entry.get("field_analyzers"))
        return Definition(entry.get("index"), analyzers, original=False, nouveau=True)
