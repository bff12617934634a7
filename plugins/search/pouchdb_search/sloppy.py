"""Phrases whose words may be so far apart that not every way to place them can be searched for.

Tantivy counts a slop in another way than Lucene, and does not show positions. So the documents with all words are read
again, as the index function gives them, and those with a placement are found by their ids.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import tantivy

from pouchdb_search.entries import Document
from pouchdb_search.schema import stored_id
from pouchdb_search.text_source import TextSource

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Reader", "moved", "placed", "reader_of", "within"]

MOST = 5000
"""How many documents are read for one phrase."""
PAGE = 500

Reader = Callable[[Sequence[str]], Iterable[Document]]
"""Returns the entries of documents by their ids."""


def reader_of(db: SyncPouchDB, source: TextSource) -> Reader:
    """Return a reader of the documents that an index was made of, as they are now."""

    def read(ids: Sequence[str]) -> Iterable[Document]:
        everything = db.as_user(None).with_purpose("index")
        for start in range(0, len(ids), PAGE):
            rows = everything.all_docs(keys=list(ids[start : start + PAGE]), include_docs=True)["rows"]
            yield from source.texts([row["doc"] for row in rows if row.get("doc")])

    return read


def placed(
    terms: Sequence[str | None], words: Sequence[tuple[int, str]], slop: int
) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield the placements of a phrase in a text: how far its words are moved, not beyond the slop, and where.

    As Lucene counts: the place in the phrase is subtracted from that in the text, and the results differ by at most the
    slop. Two words of the phrase are never one of the text.
    """
    wanted = {word for _, word in words}
    places: dict[str, list[int]] = {word: [] for word in wanted}
    for place, term in enumerate(terms):
        if term in wanted:
            places[term].append(place)
    for begin in sorted({at - place for place, word in words for at in places[word]}):
        farthest, way = begin, []
        used: dict[str, int] = {}
        for place, word in words:
            found = places[word]
            number = max(bisect_left(found, begin + place), used.get(word, 0))
            if number == len(found):
                # Nor is there one for what begins later.
                return
            used[word] = number + 1
            farthest = max(farthest, found[number] - place)
            way.append(found[number])
        if farthest - begin <= slop:
            yield farthest - begin, way


def moved(terms: Sequence[str | None], words: Sequence[tuple[int, str]], slop: int) -> int | None:
    """Return how far a text's terms are from their places in a phrase, None if farther than the slop."""
    return min((distance for distance, _ in placed(terms, words, slop)), default=None)


def within(
    searcher: Any, schema: Any, read: Reader, every: Any, name: str, words: Sequence[tuple[int, str]], slop: int
) -> Any:
    """Return a query for the documents of ``every``, which has all words, in which they are near enough.

    The nearer ones score higher. None if there are too many documents to be read.
    """
    candidates = searcher.search(every, MOST)
    if candidates.count > MOST:
        return None
    ids = [stored_id(searcher, address) for _, address in candidates.hits]
    found: dict[int, list[str]] = {}
    for entry in read(ids):
        distances = [moved(terms, words, slop) for terms in entry.terms(name)]
        nearest = min((each for each in distances if each is not None), default=None)
        if nearest is not None:
            found.setdefault(nearest, []).append(entry.id)
    parts = []
    for distance, group in found.items():
        chosen = tantivy.Query.const_score_query(tantivy.Query.term_set_query(schema, "id", group), 0.0)
        both = tantivy.Query.boolean_query([(tantivy.Occur.Must, every), (tantivy.Occur.Must, chosen)])
        parts.append((tantivy.Occur.Should, tantivy.Query.boost_query(both, 1 / (1 + distance))))
    return tantivy.Query.boolean_query(parts) if parts else tantivy.Query.empty_query()

