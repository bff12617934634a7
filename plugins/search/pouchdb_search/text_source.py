"""The content an index takes from documents: the calls of an index function."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

from pouchdb_core.errors import FunctionError
from pouchdb_core.jsontext import dump
from pouchdb_core.views.servers import Functions, mapped
from pouchdb_search.entries import Definition, Document, indexed

__all__ = ["TextSource"]


class TextSource:
    """A compiled index function."""

    def __init__(self, functions: Functions, definition: Definition, language: str, name: str) -> None:
        self.definition = definition
        self._functions, self._language, self._name = functions, language, name

    def compile(self) -> None:
        """Compile the function, unless it is compiled. Raises FunctionError."""
        wrapped = self.definition.wrapped(self._language)
        try:
            self._functions.compile(self._name, "map", wrapped)
        except FunctionError as error:
            if isinstance(wrapped, str) and error.details.get("source") == wrapped:
                # As the user wrote it.
                error.details["source"] = self.definition.source
                error.message = error.message.replace(wrapped, self.definition.source)
            raise

    def entries(
        self, ids: Sequence[str], documents: Sequence[bytes], *, texts: bool = False
    ) -> Generator[Document | Exception, None, None]:
        """Yield the entry of each document, or its error: the function throws, or calls ``index`` wrongly.

        The function runs on while the caller handles an entry: read it to its end, or close it.
        """
        with closing(mapped(self._functions, [self._name], documents)) as emitted:
            for id, (pairs,) in zip(ids, emitted, strict=True):
                if isinstance(pairs, Exception):
                    yield pairs
                    continue
                try:
                    yield indexed(self.definition, id, pairs, texts=texts)
                except (ValueError, TypeError) as error:
                    yield FunctionError(str(error), name="index_error")

    def texts(self, documents: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Return the entries of documents as they are now, with their strings; documents without one are left out."""
        self.compile()
        found = self.entries([doc["_id"] for doc in documents], [dump(doc) for doc in documents], texts=True)
        return [each for each in found if isinstance(each, Document)]
