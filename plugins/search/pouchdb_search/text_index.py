"""The index of one function: tantivy next to the database."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tantivy

from pouchdb_core.errors import BadRequest, DiskFull, StorageError, TooManyOpenFiles
from pouchdb_core.forks import renew_in_child
from pouchdb_core.views.index import Batch, IndexKind, IndexPlace, OutsideIndex
from pouchdb_core.views.index_store import IndexEntry
from pouchdb_core.views.mapreduce import function_error
from pouchdb_core.views.servers import fingerprint_of, functions_of, server_of
from pouchdb_search.checksums import damaged_file
from pouchdb_search.entries import Definition, Document, clouseau_definition, nouveau_definition
from pouchdb_search.mango_source import LANGUAGE, MangoSource
from pouchdb_search.schema import MARK, Slots, opened, schema_of
from pouchdb_search.stored_terms import StoredTerms
from pouchdb_search.text_source import TextSource

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["Names", "NouveauKind", "SearchKind", "TextIndex", "Unusable", "failure", "is_failure", "temporary_source"]

logger = logging.getLogger("pouchdb.search")

HEAP = 30_000_000
"""Bytes that tantivy collects before it writes a segment."""
LONGEST = 5.0
"""Seconds after which what is there is committed: other processes wait for a builder that they take for dead."""

NOT_ITS_FAULT = frozenset([errno.ENOMEM, errno.EACCES, errno.EPERM, errno.EROFS])
"""Errors of the operating system that do not say that an index is damaged."""


class Names:
    """Statistics of an index: stored in its state, because tantivy does not report them."""

    def __init__(self, state: Mapping[str, Any] | None) -> None:
        state = state or {}
        self.facets, self.numbers, self.strings = (
            set(state.get(name, ())) for name in ("facets", "numbers", "strings")
        )
        self.boosts: dict[str, list[float]] = {name: list(each) for name, each in state.get("boosts", {}).items()}
        self._boosted = {(name, boost) for name, each in self.boosts.items() for boost in each}
        self.slots = Slots(state)

    def add(self, document: Document, nouveau: bool) -> None:
        """Add the counts of a document."""
        if document.facets:
            self.facets.update(document.facets)
            if nouveau:
                # Nouveau's facets are its strings without an analyzer.
                self.strings.update(document.facets)
        if document.numbers:
            self.numbers.update(document.numbers)
        if not self._boosted.issuperset(document.values):
            for name, boost in document.values:
                if (name, boost) not in self._boosted:
                    self.boosts.setdefault(name, []).append(boost)
                    self._boosted.add((name, boost))

    def state(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "facets": sorted(self.facets),
            "numbers": sorted(self.numbers),
            "strings": sorted(self.strings),
            "boosts": self.boosts,
            "slots": self.slots.known,
        }


class Unusable(StorageError):
    """An index cannot be read or written, and its files in ``folder`` may be the reason."""


@contextmanager
def _told(directory: Path | None) -> Iterator[None]:
    """Turn tantivy's storage errors in a folder into ours."""
    try:
        yield
    except BaseException as error:
        if not is_failure(error):
            raise
        raise failure(directory, error) from error


def is_failure(error: BaseException) -> bool:
    """Return whether an error is one of tantivy, or of reading what it has stored."""
    return isinstance(error, (ValueError, OSError)) or type(error).__name__ == "PanicException"


def failure(directory: Path | None, error: BaseException) -> StorageError:
    """Return the error for one of tantivy's in a folder."""
    code = re.search(r"(?:os error|code:) (\d+)", str(error))
    number = int(code[1]) if code else getattr(error, "errno", None)
    # A thread of tantivy's that dies does not report why.
    died = "io::Error" in str(error) and _is_full(directory)
    if died or number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return DiskFull(f"the disk is full; the search index is as it was: {error}")
    if number in (errno.EMFILE, errno.ENFILE):
        return TooManyOpenFiles(f"the search index cannot be used: {error}")
    kind = StorageError if number in NOT_ITS_FAULT else Unusable
    return kind(f"the search index cannot be used: {error}", folder=str(directory))


def _is_full(directory: Path | None) -> bool:
    """Return whether the disk of a folder has no room for a segment; not that of one which is gone or in memory."""
    if directory is None:
        return False
    try:
        return shutil.disk_usage(directory).free < HEAP
    except OSError:
        return False


class TextIndex(OutsideIndex):
    """An index in its own folder, or in memory if its database is."""

    # Each commit waits for the disk several times: as many documents as memory allows.
    batch_documents = 30_000
    batch_bytes = 8_000_000

    def __init__(self, place: IndexPlace, source: TextSource) -> None:
        super().__init__(place)
        self.source = source
        self.schema = schema_of()
        self._index: Any = None
        self._writer: Any = None
        self._began_empty = False
        """Whether there was nothing in the index when the writer was opened."""
        self._known: tuple[Any, tuple[Any, Any, Names]] | None = None
        self._meta: str | None = None
        self._distrusted = False
        """Whether it was given up once, although its files had the right sums."""
        self._terms = StoredTerms()
        self.in_memory = place.in_memory
        self._inherited: list[Any] = []
        if self.in_memory:
            renew_in_child(self._forget)

    def _forget(self) -> None:
        """Build anew in a forked child: threads and locks are the parent's, and to drop a writer waits for them."""
        self._inherited += [self._writer, self._index, self._known]
        self.close()

    @property
    def folder(self) -> Path | None:
        """Where its files are; None in memory."""
        return None if self.in_memory else self.place.directory

    @property
    def definition(self) -> Definition:
        """Its definition in the design document."""
        return self.source.definition

    def prepare(self, batch: Batch) -> tuple[Names, int]:
        """Give the documents to tantivy, whose thread indexes them meanwhile; without a commit they are dropped.

        Returns the statistics of the index together with these documents.
        """
        self.source.compile()
        until = time.monotonic() + LONGEST
        living = batch.living
        ids, texts = [change.id for change in living], [change.text for change in living]
        with _told(self.folder):
            writer = self._opened_writer()
            # Those of a first build may be there already if an earlier one ended between the commit and the checkpoint.
            replacing = not (batch.fresh and self._began_empty)
            if replacing:
                for id in (*batch.removed, *(change.id for change in batch.changes if change.deleted)):
                    writer.delete_documents_by_term("id", id)
        names, nouveau = Names(self.state), self.definition.nouveau
        with closing(self.source.entries(ids, texts)) as entries:
            for change, entry in zip(living, entries, strict=True):
                document = None
                if isinstance(entry, Exception):
                    batch.report(change.id, function_error(entry, f"search index {self.place.member!r}", change.id))
                elif not entry.empty:
                    entry.rev = change.rev
                    names.add(entry, nouveau)
                    document = entry.tantivy(names.slots, self._terms)
                try:
                    if replacing:
                        writer.delete_documents_by_term("id", change.id)
                    if document is not None:
                        writer.add_document(document)
                except (ValueError, OSError) as error:
                    raise failure(self.folder, error) from error
                if time.monotonic() > until and change is not living[-1]:
                    return names, batch.changes.index(change) + 1
        return names, len(batch.changes)

    def apply(self, batch: Batch, work: Names) -> None:
        self.state = work.state()

    def _opened_writer(self) -> Any:
        if self._writer is None:
            self._writer = self.index.writer(HEAP, 1)
            self._began_empty = self.searcher().num_docs == 0
        return self._writer

    def commit(self, mark: str) -> None:
        with _told(self.folder):
            writer = self._opened_writer()
            # In the same commit as the documents it describes.
            writer.delete_documents_by_term("id", MARK)
            writer.add_document(tantivy.Document.from_dict({"id": MARK, "stored": mark.encode()}, self.schema))
            writer.commit()

    def finish(self) -> None:
        writer, self._writer = self._writer, None
        self._terms = StoredTerms()
        if writer is not None:
            # Its lock is released: another process may be the next builder.
            try:
                writer.wait_merging_threads()
            except ValueError as error:
                # Segments are not merged; the next commit tries again.
                logger.warning("segments in %s could not be merged: %s", self.folder or "memory", error)

    def present(self) -> bool:
        if self.in_memory:
            return self._index is not None
        if self._meta is None:
            self._meta = str(self.place.directory / "meta.json")
        return os.access(self._meta, os.F_OK)  # for every query: exists() takes twice as long

    def mark(self) -> str | None:
        if not self.present():
            return None
        try:
            searcher = self.searcher()
            with _told(self.folder):
                found = searcher.search(tantivy.Query.term_query(self.schema, "id", MARK), 1).hits
                return bytes(searcher.doc(found[0][1])["stored"][0]).decode() if found else None
        except (ValueError, OSError, KeyError, IndexError, StorageError) as error:
            if isinstance(error, StorageError) and not isinstance(error, Unusable):
                raise
            where = self.folder or "memory"
            logger.warning("the search index in %s cannot be read and is built anew: %s", where, error)
            return None

    def give_up(self, error: BaseException) -> bool:
        """Give up the folder for an error of a query if it may be damaged: the next query builds the index anew.

        It is if a file has a wrong sum. A merge makes right ones of damaged files, so it is given up once without.
        An error about another folder is of an index that was dropped while it was built: this one is whole.
        """
        if isinstance(error, Unusable) and error.folder != str(self.folder):
            return True
        if not self.present() or "FileDoesNotExist" in str(error):
            # Another process has begun to build it anew, or has just merged what was to be read.
            return True
        wrong = None if self.folder is None else damaged_file(self.folder)
        if wrong is None and self._distrusted:
            return False
        self._distrusted = self._distrusted or wrong is None
        shown = wrong or self.folder or "memory"
        logger.warning("the search index in %s is damaged and is built anew: %s", shown, error)
        if self.folder is None:
            self.close()
        else:
            # Its absence is noticed by every process.
            (self.folder / "meta.json").unlink(missing_ok=True)
        self._known = None
        return True

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        self._writer = None
        self._index = None
        self._known = None

    @property
    def index(self) -> Any:
        """Tantivy's index, open."""
        if self._index is None:
            self._index = opened(self.folder, self.schema)
        return self._index

    def searcher(self) -> Any:
        """Return a searcher of the committed state, also by other processes. Raises StorageError."""
        return self._shown()[1]

    def _shown(self) -> tuple[Any, Any]:
        """Return tantivy's index and a searcher of it; an empty one while it has no files, which only builders make."""
        with _told(self.folder):
            there = self.in_memory or self._writer is not None or self.present()
            index = self.index if there else opened(None, self.schema)
            index.reload()
            return index, index.searcher()

    def read(self, entry: IndexEntry | None) -> tuple[Any, Any, Names]:
        """Return tantivy's index, a searcher of the state that a register's entry describes, and its names.

        Raises StorageError.
        """
        if entry is None:
            return *self._shown(), Names(None)
        state = (entry.number, entry.mark, entry.purge_seq)
        known = self._known
        if known is None or known[0] != state:
            # One assignment: other threads see both or neither.
            known = self._known = (state, (*self._shown(), Names(entry.state)))
        return known[1]


_OTHERS = frozenset(["views", "indexes", "nouveau", "spatial", "st_indexes", "filters", "validate_doc_update"])
"""Fields of a design document that do not concern a search index: it is not rebuilt when they change."""


class SearchKind(IndexKind):
    """``indexes``: pouchdb-search's without an analyzer, Cloudant's with one."""

    name = "indexes"
    version = 10

    def definitions(self, database: Database, ddoc: Mapping[str, Any]) -> Mapping[str, Any]:
        found = ddoc.get(self.name)
        if not isinstance(found, Mapping):
            return {}
        if ddoc.get("language") == LANGUAGE:
            return {name: [LANGUAGE, each] for name, each in found.items()}
        rest = {name: value for name, value in ddoc.items() if not name.startswith("_") and name not in _OTHERS}
        return {name: [each, rest, *fingerprint_of(database, ddoc, _source(each))] for name, each in found.items()}

    def defined(self, entry: Any) -> Definition:
        """Return the definition of an entry of a design document. Raises BadRequest."""
        return clouseau_definition(entry)

    def open(self, database: Database, place: IndexPlace) -> TextIndex:
        try:
            return self._opened(database, place)
        except BadRequest as error:
            error.message = f"{place.ddoc['_id']}, {self.name} {place.member!r}: {error.message}"
            raise

    def _opened(self, database: Database, place: IndexPlace) -> TextIndex:
        entry = place.ddoc[self.name][place.member]
        language = place.ddoc.get("language", "javascript")
        if language == LANGUAGE:
            return TextIndex(place, MangoSource(entry))
        functions = functions_of(database, place.ddoc)
        return TextIndex(place, TextSource(functions, self.defined(entry), language, f"{place.signature} search"))


def _source(entry: Any) -> Any:
    """Return the function of an entry of a design document, which may be none."""
    return entry.get("index") if isinstance(entry, Mapping) else entry


class NouveauKind(SearchKind):
    """``nouveau``: CouchDB's."""

    name = "nouveau"

    def defined(self, entry: Any) -> Definition:
        return nouveau_definition(entry)


def temporary_source(database: Database, fun: Any) -> TextSource:
    """Return a compiled function that is not in a design document. Raises FunctionError."""
    language = "python" if callable(fun) else "javascript"
    ddoc = {"_id": "_design/temporary", "language": language}
    source = TextSource(
        server_of(database, ddoc).open(database, ddoc), clouseau_definition({"index": fun}), language, "search"
    )
    source.compile()
    return source
