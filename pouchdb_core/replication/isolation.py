"""Reading batches of a source that fails at some documents: finding those documents in few requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pouchdb_core.errors import (
    BadRequest,
    DatabaseBusy,
    DatabaseClosed,
    Forbidden,
    PouchDBError,
    RemoteError,
    Unauthorized,
)

__all__ = ["Failed", "Isolation", "ends_all"]

PROBES = 7
"""Other documents that are requested before a source counts as failing at everything."""
_Item = TypeVar("_Item")
_Answers = TypeVar("_Answers")


def ends_all(error: PouchDBError) -> bool:
    """Return whether a reading error would affect other documents, too: of the database or the connection to it."""
    if isinstance(error, RemoteError):
        # An internal error of the server at one document is that document's error.
        return error.status != 500
    return isinstance(error, (Unauthorized, Forbidden, DatabaseClosed, DatabaseBusy))


@dataclass(frozen=True, slots=True)
class Failed:
    """The first ``count`` of the requested items cannot be read."""

    count: int
    error: PouchDBError


class Isolation(Generic[_Item, _Answers]):
    """Requests batches. A failing batch is requested in smaller parts, which grow again while they are answered.

    So one bad document of n costs about 2 log n requests, and n bad ones n. A server that fails at all of a batch
    costs log n and a few: single documents from all over it are requested, and if none is answered it gives up.
    """

    def __init__(self, ask: Callable[[list[_Item], bool], _Answers], most: int) -> None:
        """``ask(items, insist)`` returns answers for the first items; with ``insist`` it retries a failing server."""
        self._ask = ask
        self._most = self._width = most
        self._alone = 0

    def read(self, items: list[_Item]) -> _Answers | Failed:
        """Return the answers for the first items, or Failed. Raises errors that concern all documents."""
        count, insist = min(self._width, len(items)), self._width == self._most
        while True:
            answer = self._tried(items[:count], insist)
            if not isinstance(answer, Failed):
                self._width, self._alone = min(self._most, 2 * count), 0
                return answer
            if count == 1:
                break
            # The request was repeated already: that did not help.
            count, insist = count // 2, False
        self._width = 1
        self._alone += 1
        # At the first of several bad ones, and then less and less often.
        if (
            isinstance(answer.error, RemoteError)
            and self._alone & (self._alone - 1) == 0
            and not self._works(items[1:])
        ):
            self._width, self._alone = self._most, 0
            return Failed(len(items), answer.error)
        return answer

    def _works(self, others: Sequence[_Item]) -> bool:
        """Return whether the source answers for one of the other items; True if there are too few to say."""
        if len(others) < PROBES:
            return True
        return any(not isinstance(self._tried([other], False), Failed) for other in random.sample(others, PROBES))

    def _tried(self, items: list[_Item], insist: bool) -> _Answers | Failed:
        try:
            return self._ask(items, insist)
        except PouchDBError as error:
            if ends_all(error):
                raise
            return Failed(1, error)
        except RecursionError:
            return Failed(1, BadRequest("the document is nested too deep to be read"))
