"""Filters: which changes a reader wants to see.

The feed filters many documents at a time, so that a filter in another process costs one request per
batch. Named filters are returned by ``pouchdb_changes_filters``; the feed itself knows Python functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotSupported
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record
from pouchdb_core.signatures import misfit, takes_second

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["BatchFilter", "ChangesFilter", "Judge", "judge_of"]

Judge = Callable[[Sequence[Record]], Sequence[bool]]
"""Returns for each document whether it passes. Deleted documents have ``_deleted``."""

BATCH = 100
"""Documents filtered at a time."""


class BatchFilter:
    """A filter that is ready for use as ``Changes.filter``: judges documents in batches."""

    size = BATCH

    def __init__(self, judge: Judge) -> None:
        self.judge = judge

    def __call__(self, doc: Record) -> bool:
        return bool(self.judge([doc])[0])


class ChangesFilter(ABC):
    """A named filter, such as ``_view``. Returned by ``pouchdb_changes_filters``.

    With ``style="all_docs"`` every leaf of a document is judged, and those that pass are reported.
    """

    name: str
    """The name used in ``filter=``; begins with an underscore."""

    @abstractmethod
    def open(self, database: Database, request: Changes) -> Judge | None:
        """Return the filter function for one request, or None to let everything pass. Raises BadRequest, NotFound.

        Arguments are in ``request.query_params``. An exception of the filter function is an error of the feed.
        """


class _Each(BatchFilter):
    """A Python function, called when its document's turn comes."""

    size = 1

    def __init__(self, passes: Callable[[Record], bool]) -> None:
        super().__init__(lambda docs: [passes(doc) for doc in docs])


def judge_of(request: Changes) -> BatchFilter | None:
    """Return the filter of a request, or None if it has none.

    A Python callable takes ``(doc)`` or ``(doc, req)``; ``req.query`` holds ``query_params``. A second
    parameter that has a default is left alone unless it is called ``req``. An exception of the
    function is an error of the call.
    """
    wanted = request.filter
    if wanted is None or isinstance(wanted, BatchFilter):
        return wanted
    if isinstance(wanted, str):
        raise NotSupported(f"filter {wanted!r}: no plug-in that knows it is installed")
    if not callable(wanted):
        raise BadRequest(f"filter must be a function or a name, not {type(wanted).__name__}")
    function: Callable[..., Any] = wanted
    wrong = misfit(function, 1, 2)
    if wrong:
        raise BadRequest(f"a filter takes (doc) or (doc, req): {wrong}")
    if not takes_second(function, "req"):
        return _Each(lambda doc: bool(function(doc)))
    req = Record(query=Record(request.query_params))
    return _Each(lambda doc: bool(function(doc, req)))
