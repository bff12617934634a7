"""The rows of a method that yields, for asyncio: ``async for document in await db.conflicts()``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from pouchdb_core.aio.original.promise import Promise

__all__ = ["AsyncRows"]

T = TypeVar("T")

SLICE = 100
"""Number of rows handed to the loop at a time."""

Read = Callable[[], "list[T]"]


class AsyncRows(Generic[T]):
    """Rows that are read on demand: with ``async for``, or with ``for`` where no event loop is running.

    They are read on a worker thread, a slice at a time, each a read in its turn among the calls on
    the database: memory stays bounded and the loop is not blocked. Can be iterated once.
    """

    def __init__(self, rows: Iterator[T], call: Callable[[Read[T]], Promise[list[T]]]) -> None:
        self._rows, self._call = rows, call
        self._slice: deque[T] = deque()
        self._ended = False

    def __aiter__(self) -> AsyncRows[T]:
        return self

    async def __anext__(self) -> T:
        if not self._slice and not self._ended:
            found = await self._call(lambda: list(islice(self._rows, SLICE)))
            self._slice.extend(found)
            self._ended = len(found) < SLICE
        if not self._slice:
            raise StopAsyncIteration
        return self._slice.popleft()

    def __iter__(self) -> Iterator[T]:
        while self._slice:
            yield self._slice.popleft()
        yield from self._rows
