"""How entries are stored in tantivy.

Fields are not known beforehand. A term is stored with a hash of its field's name before it, in one of some text
fields of tantivy's: the first fields have one each, so that they have their own lengths. Terms indexed with a boost
have their own hash, so that a query can weigh them (``queries.Asked``). Numbers and facets go into JSON fields by the
name in hexadecimal digits. The first fields that rows may be sorted by have their own columns, too (``Slots``). The
values that rows show and sort by are stored as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import math
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import tantivy

from pouchdb_core.errors import Damaged
from pouchdb_core.jsontext import load

__all__ = [
    "DEFAULT",
    "GAP",
    "MARK",
    "WEIGHT",
    "Slots",
    "given",
    "hexed",
    "opened",
    "packed",
    "prefix_of",
    "prefixed",
    "schema_of",
    "separated",
    "stored",
    "stored_id",
    "stored_lines",
    "stored_value",
    "weight_of",
]

DEFAULT = "default"
"""The field that a query searches by default."""
BUCKETS = 16
_BLANKS = "\t\n\x0c\r "
_STORED = str.maketrans(_BLANKS, "\x10\x11\x12\x13\x14")
_GIVEN = str.maketrans("\x10\x11\x12\x13\x14", _BLANKS)
GAP = "\x1d"
"""Placeholder for a dropped word: tantivy counts its position and drops it."""
MARK = "\x00mark"
"""The id of the document that holds the mark: ids of documents never begin like this."""
WEIGHT = "weight"
"""The column that orders documents of one score by their lengths."""
SLOTS = 16


@lru_cache(maxsize=10_000)
def prefix_of(name: str, boost: float = 1.0) -> str:
    """Return what stands before the terms of a field. Hashes differ by more letters than a fuzzy query may change."""
    key = name if boost == 1 else f"{name}\x1d{boost!r}"
    digest = hashlib.md5(key.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
    return f"{base64.b32encode(digest)[:8].decode().lower()}\x1f"


def stored(term: str) -> str:
    """Return a term without spaces, which separate terms: placeholders replace them."""
    return term if term.isalnum() else term.translate(_STORED)


def given(term: str) -> str:
    """Return a term as it was before it was stored."""
    return term.translate(_GIVEN)


def prefixed(name: str, term: str, boost: float = 1.0) -> str:
    """Return a term as it is stored for a field."""
    return prefix_of(name, boost) + stored(term)


separated = " ".join
"""Returns stored terms as one string for tantivy."""


@lru_cache(maxsize=10_000)
def hexed(name: str) -> str:
    """Return a field's name as a key of tantivy's JSON fields."""
    return f"f{name.encode('utf-8', 'surrogatepass').hex()}"


@lru_cache(maxsize=10_000)
def weight_of(length: int) -> float:
    """Return the weight of a document with this many terms: less for longer ones, and too little to outweigh a score.

    Tantivy stores lengths approximately; it multiplies scores by ``log2(2 + weight)``.
    """
    return 2e-3 * max(0.0, 1 - math.log1p(length) / 20)


def _shared(name: str) -> str:
    return f"t{zlib.crc32(name.encode('utf-8', 'surrogatepass')) % BUCKETS}"


class Slots:
    """The fields of tantivy's that the fields of documents are in, as they were assigned in the order they came.

    Terms: the first fields have one each, later ones share them. Columns to sort by: the first fields of numbers and
    of strings have one. Stored in the index's state.
    """

    def __init__(self, state: Mapping[str, Any] | None) -> None:
        self.known: dict[str, str] = dict((state or {}).get("slots", {}))

    def bucket(self, name: str) -> str:
        """Return the text field of tantivy's that a field's terms are in."""
        return self.known.get(f"b:{name}") or _shared(name)

    def given_bucket(self, name: str) -> str:
        """Return the text field of tantivy's for a field's terms, one of its own if there are any left."""
        found = self.known.get(f"b:{name}")
        if found is None:
            count = sum(1 for each in self.known if each[0] == "b")
            found = self.known[f"b:{name}"] = f"t{count}" if count < BUCKETS else _shared(name)
        return found

    def of(self, name: str, text: bool) -> str | None:
        """Return the column of a field, if it has one."""
        return self.known.get(("t:" if text else "n:") + name) or None

    def has(self, name: str, text: bool) -> bool:
        """Whether some document has a value of this type."""
        return ("t:" if text else "n:") + name in self.known

    def given(self, name: str, text: bool, *, fits: bool = True) -> str | None:
        """Return the column of a field, a new one if there are any left; None once a value did not fit."""
        key = ("t:" if text else "n:") + name
        if not fits:
            self.known[key] = ""
            return None
        found = self.known.get(key)
        if found is None:
            count = sum(1 for each in self.known if each[0] == key[0])
            found = self.known[key] = f"{'text' if text else 'number'}{count}" if count < SLOTS else ""
        return found or None


def packed(id: str, rev: str, shown: bytes, values: bytes) -> bytes:
    """Return what is stored of a document: JSON of what rows show, and of values that they may be sorted by."""
    # Lines: JSON has no line feed, and an id, which may have some, is the last. One value is read faster than four.
    return b"\n".join((rev.encode(), shown, values, id.encode()))


def stored_lines(searcher: Any, address: Any) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the lines of a stored document: rev, shown, values, id. Raises ValueError for a damaged one."""
    try:
        rev, shown, values, id = searcher.doc(address).get_first("stored").split(b"\n", 3)
    except AttributeError:
        raise ValueError("a document of the index has nothing stored") from None
    return rev, shown, values, id


def stored_value(line: bytes) -> Any:
    """Return the value of such a line of JSON. Raises ValueError for a damaged one."""
    try:
        return load(line)
    except Damaged as error:
        raise ValueError(error.message) from error


def stored_id(searcher: Any, address: Any) -> str:
    """Return the id of a stored document."""
    return stored_lines(searcher, address)[3].decode()


def schema_of() -> tantivy.Schema:
    """Return the schema, the same for all indexes."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
    for number in range(BUCKETS):
        builder.add_text_field(f"t{number}", tokenizer_name="terms")
    builder.add_json_field("n", fast=True, tokenizer_name="raw")
    builder.add_json_field("s", fast=True, tokenizer_name="raw")
    builder.add_float_field(WEIGHT, fast=True)
    for number in range(SLOTS):
        builder.add_float_field(f"number{number}", fast=True)
        builder.add_text_field(f"text{number}", fast=True, tokenizer_name="raw", index_option="basic")
    # Not a text field: those are searched, too, which takes longer than everything else.
    builder.add_bytes_field("stored", stored=True)
    return builder.build()


def opened(directory: Path | None, schema: tantivy.Schema) -> Any:
    """Open tantivy's index in a folder, made if it is missing; without a folder in memory.

    Raises ValueError and OSError.
    """
    if directory is None:
        index = tantivy.Index(schema)
    else:
        directory.mkdir(parents=True, exist_ok=True)
        index = tantivy.Index(schema, path=str(directory))
        # Else a thread of it reads the folder whenever it changes, also while it is emptied.
        index.config_reader("manual")
    # Terms are stored unchanged, separated by spaces.
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    index.register_tokenizer("terms", words.filter(tantivy.Filter.custom_stopword([GAP])).build())
    return index
