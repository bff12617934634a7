"""Reducing ranges of rows by group: in SQL where a built-in function allows it, else row by row.

No more than some thousand rows are in memory, whatever the size of the view. Groups come in the order
of their keys; each is (key as JSON, value).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from pouchdb_core.errors import FunctionError, PouchDBError
from pouchdb_core.jsontext import dump, load
from pouchdb_core.results import Record
from pouchdb_core.views.collate import group_of
from pouchdb_core.views.index_store import Span, ViewRows
from pouchdb_core.views.mapreduce import function_error
from pouchdb_core.views.python import PythonFunctions
from pouchdb_core.views.reduce import ReduceFunction, Totals, builtin
from pouchdb_core.views.servers import Functions

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["Failures", "Overflow", "Reducer", "by_group", "by_key", "reducer_of", "whole"]

logger = logging.getLogger("pouchdb.views")

PAGE = 1000
CHUNK_ROWS, CHUNK_BYTES = 500, 256 * 1024
"""The maximum number of rows passed to a reduce function at a time."""
TOGETHER = 50
"""Chunks that are reduced in one call."""
PARTIALS = 100
"""Partial results that a group collects before they are reduced again."""
PROBE, FEW = 32, 8
"""After PROBE groups with fewer than FEW rows each, looking for the next group costs more than reading rows."""
OVERFLOW_BYTES, OVERFLOW_RATIO = 4906, 2
"""CouchDB's reduce_limit: output that is longer than this and than half of its input is refused."""

Group = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Overflow:
    """Takes the place of a group's value if the result did not shrink; its row has ``error`` and ``reason``."""

    reason: str


class _Failed:
    """A failed partial result: every group with it fails, and has ``value`` instead of a result."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Failures:
    """The errors that functions threw in one query; the first is reported."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._first: PouchDBError | None = None
        self._reported = False

    def add(self, error: PouchDBError) -> None:
        self._first = self._first or error

    def report(self) -> None:
        """Log the error, and emit it as an ``error`` event; once per query."""
        if self._first is not None and not self._reported:
            self._reported = True
            logger.warning("a row has no value: %s", self._first)
            self._database.emit("error", self._first)


class Reducer:
    """A reduce function, whatever runs it. An error in it affects the value of its group alone."""

    source: str | None = None
    """What SQL can compute it from: see ReduceFunction.source."""

    def answer(self, known: Any) -> Any:
        return NotImplemented

    def reduce(self, chunks: Sequence[bytes]) -> list[Any]:
        """Reduce chunks of rows, each ``[[[key, id], ...], [value, ...]]``."""
        raise NotImplementedError

    def rereduce(self, partials: Sequence[Any]) -> Any:
        """Reduce partial results of one group again."""
        raise NotImplementedError

    def finalize(self, partial: Any) -> Any:
        """Return the value of a group, or an Overflow."""
        return partial.value if isinstance(partial, _Failed) else partial


class _Builtin(Reducer):
    def __init__(self, function: ReduceFunction, failures: Failures) -> None:
        self.source = function.source
        self._function, self._failures = function, failures

    def answer(self, known: Any) -> Any:
        try:
            return self._function.answer(known)
        except Exception as error:
            return self._failed(error).value

    def reduce(self, chunks: Sequence[bytes]) -> list[Any]:
        partials: list[Any] = []
        for chunk in chunks:
            rows: Any = load(chunk)
            keys, values = rows
            try:
                partials.append(self._function.reduce([key for key, _ in keys], values))
            except Exception as error:
                partials.append(self._failed(error))
        return partials

    def rereduce(self, partials: Sequence[Any]) -> Any:
        failed = _failed_of(partials)
        if failed is not None:
            return failed
        try:
            return self._function.rereduce(partials)
        except Exception as error:
            return self._failed(error)

    def finalize(self, partial: Any) -> Any:
        if isinstance(partial, _Failed):
            return partial.value
        try:
            return self._function.finalize(partial)
        except Exception as error:
            return self._failed(error).value

    def _failed(self, error: Exception) -> _Failed:
        if isinstance(error, FunctionError):
            told = {"error": error.name, "reason": error.message}
            return _Failed(Record({**told, **{name: error.details[name] for name in _TOLD if name in error.details}}))
        self._failures.add(function_error(error, f"reduce function {self._function.name}"))
        return _Failed(None)


_TOLD = ("caused_by",)


def _failed_of(partials: Sequence[Any]) -> _Failed | None:
    return next((partial for partial in partials if isinstance(partial, _Failed)), None)


class _Custom(Reducer):
    def __init__(self, functions: Functions, name: str, failures: Failures) -> None:
        self._functions, self._name, self._failures = functions, name, failures

    def reduce(self, chunks: Sequence[bytes]) -> list[Any]:
        return self._run(chunks, False)

    def rereduce(self, partials: Sequence[Any]) -> Any:
        failed = _failed_of(partials)
        return failed or self._run([b"[null," + dump(list(partials)) + b"]"], True)[0]

    def _run(self, texts: Sequence[bytes], rereduce: bool) -> list[Any]:
        outcomes = [outcomes[0] for outcomes in self._functions.reduce_groups([self._name], texts, rereduce)]
        results: list[Any] = []
        for text, result in zip(texts, outcomes, strict=True):
            if isinstance(result, Exception):
                # As in CouchDB: null, which is reduced further if its group has more rows.
                self._failures.add(function_error(result, self._name))
                result = None
            elif isinstance(result, (str, list, dict)):
                # CouchDB measures results including their brackets, and the lines of its protocol.
                size = len(dump(result)) + 2
                if size > OVERFLOW_BYTES and size * OVERFLOW_RATIO > (given := _line(text, rereduce)):
                    result = _Failed(
                        Overflow(f"Reduce output must shrink more rapidly: input size: {given} output size: {size}")
                    )
            results.append(result)
        return results


def _line(text: bytes, rereduce: bool) -> int:
    """Return the length of the line with which CouchDB would ask its view server for this, without the source."""
    if rereduce:
        return len(text) + 11
    rows: Any = load(text)
    return len(text) + 12 + 2 * len(rows[0])


def reducer_of(
    database: Database, source: Any, name: str, functions: Functions, failures: Failures | None = None
) -> Reducer:
    """Return the reduce function of a view: a built-in's name, a Python function, or source. Raises FunctionError."""
    failures = failures or Failures(database)
    if isinstance(source, str) and source.strip().startswith("_"):
        return _Builtin(builtin(source.strip(), database.plugins.reduce_functions().values()), failures)
    if callable(source):
        functions = PythonFunctions({}, name)
    functions.compile(name, "reduce", source)
    return _Custom(functions, name, failures)


def whole(rows: ViewRows, view: int, span: Span, reducer: Reducer, *, descending: bool) -> Iterator[Group]:
    """Reduce all rows of a range to one value; yield nothing if there is no row."""
    if not rows.page(view, span, descending=descending, limit=1):
        return
    known = _known(rows, view, span, reducer)
    if known is not NotImplemented:
        yield None, known
        return
    for _, value in _streamed(rows, view, span, reducer, lambda key: (b"", True), descending=descending):
        yield None, value


def by_key(rows: ViewRows, view: int, span: Span, reducer: Reducer, *, descending: bool) -> Iterator[Group]:
    """Reduce the rows of each key."""
    if reducer.source is None:
        for json_key, value in _streamed(rows, view, span, reducer, lambda key: (key, False), descending=descending):
            yield load(json_key), value
        return
    while True:
        page = rows.totals_by_key(view, span, descending=descending, limit=PAGE)
        keys: Any = load(b"[" + b",".join([json_key for _, json_key, _ in page]) + b"]")
        for (key, _, totals), json_key in zip(page, keys, strict=True):
            known: Any = NotImplemented
            if reducer.source == "totals":
                known = reducer.answer(Totals(*totals))
            elif reducer.source == "distinct":
                known = 1
            if known is NotImplemented:
                known = _one(rows, view, span.within(key, False), reducer, descending=descending)
            yield json_key, known
        if len(page) < PAGE:
            return
        span = _beyond(span, page[-1][0], False, descending=descending)


def by_group(
    rows: ViewRows, view: int, span: Span, reducer: Reducer, level: int, *, descending: bool
) -> Iterator[Group]:
    """Reduce the rows of each group of keys: arrays by their first ``level`` elements."""
    if reducer.source is not None:
        seen = groups = 0
        while reducer.source not in ("totals", "distinct") or groups < PROBE or seen >= groups * FEW:
            first = rows.page(view, span, descending=descending, limit=1)
            if not first:
                return
            start, continues = group_of(first[0][0], level)
            part = span.within(start, continues)
            if reducer.source == "totals":
                totals = Totals(*rows.totals(view, part))
                known, seen = reducer.answer(totals), seen + totals.rows
            else:
                known = _known(rows, view, part, reducer)
                seen += known if reducer.source == "distinct" else 0
            if known is NotImplemented:
                known = _one(rows, view, part, reducer, descending=descending)
            groups += 1
            yield _shortened(first[0][3], level), known
            span = _beyond(span, start, continues, descending=descending)
        yield from _merged(rows, view, span, reducer, level, descending=descending)
        return
    found = _streamed(rows, view, span, reducer, lambda key: group_of(key, level), descending=descending)
    for json_key, value in found:
        yield _shortened(json_key, level), value


def _merged(
    rows: ViewRows, view: int, span: Span, reducer: Reducer, level: int, *, descending: bool
) -> Iterator[Group]:
    """Reduce groups of few rows: read the totals of every key and add them up here."""
    group: tuple[bytes, bool] | None = None
    json_group, keys, added = b"", 0, Totals(0, 0, 0, 0, 0, 0)
    everything = span

    def result() -> Group:
        assert group is not None
        known = reducer.answer(added if reducer.source == "totals" else keys)
        if known is NotImplemented:
            known = _one(rows, view, everything.within(*group), reducer, descending=descending)
        return _shortened(json_group, level), known

    while True:
        page = rows.totals_by_key(view, span, descending=descending, limit=PAGE)
        for key, json_key, row in page:
            totals, of = Totals(*row), group_of(key, level)
            if of == group:
                added, keys = _sum(added, totals), keys + 1
                continue
            if group is not None:
                yield result()
            group, json_group, added, keys = of, json_key, totals, 1
        if len(page) < PAGE:
            break
        span = _beyond(span, page[-1][0], False, descending=descending)
    if group is not None:
        yield result()


def _sum(a: Totals, b: Totals) -> Totals:
    if not (a.numbers and b.numbers):
        more = a if a.numbers else b
        return more._replace(rows=a.rows + b.rows)
    return Totals(
        a.rows + b.rows, a.numbers + b.numbers, a.sum + b.sum, min(a.min, b.min), max(a.max, b.max), a.sumsqr + b.sumsqr
    )


def _known(rows: ViewRows, view: int, span: Span, reducer: Reducer) -> Any:
    """Return the result that SQL can compute for a range that is not empty, or NotImplemented."""
    if reducer.source == "totals":
        return reducer.answer(Totals(*rows.totals(view, span)))
    if reducer.source == "distinct":
        return reducer.answer(rows.distinct(view, span))
    if reducer.source in ("first", "last"):
        if reducer.source == "first":
            value = rows.page(view, span, descending=False, limit=1)[0][4]
        else:
            value = rows.last(view, span)
        return reducer.answer(None if value is None else load(value))
    return NotImplemented


def _one(rows: ViewRows, view: int, span: Span, reducer: Reducer, *, descending: bool) -> Any:
    known = _known(rows, view, span, reducer) if reducer.source != "totals" else NotImplemented
    if known is not NotImplemented:
        return known
    return next(_streamed(rows, view, span, reducer, lambda key: (b"", True), descending=descending))[1]


def _beyond(span: Span, start: bytes, continues: bool, *, descending: bool) -> Span:
    """Return the range that follows a group."""
    if descending:
        return replace(span, high=start, high_id=None, with_high=False)
    return replace(span, low=start + b"\xff" if continues else start, low_id=None, with_low=False)


def _shortened(json_key: bytes, level: int) -> Any:
    key: Any = load(json_key)
    return key[:level] if isinstance(key, list) else key


class _Open:
    """A group whose rows are still being read."""

    def __init__(self, of: Any, json_key: bytes) -> None:
        self.of, self.json_key = of, json_key
        self.partials: list[Any] = []


def _streamed(
    rows: ViewRows,
    view: int,
    span: Span,
    reducer: Reducer,
    group: Callable[[bytes], Any],
    *,
    descending: bool,
) -> Iterator[tuple[bytes, Any]]:
    """Reduce row by row: chunks of rows to partial results, many chunks in one call, and these results again."""
    waiting: list[tuple[_Open, bytes]] = []
    begun: list[_Open] = []
    keys: list[bytes] = []
    values: list[bytes] = []
    size = 0
    quote = orjson.dumps

    def cut() -> None:
        """End the current chunk."""
        nonlocal size
        if keys:
            text = b"[[" + b",".join(keys) + b"],[" + b",".join(values) + b"]]"
            waiting.append((begun[-1], text))
            keys.clear()
            values.clear()
            size = 0

    def work() -> None:
        """Reduce the pending chunks."""
        if waiting:
            for (open, _), partial in zip(waiting, reducer.reduce([text for _, text in waiting]), strict=True):
                open.partials.append(partial)
                if len(open.partials) >= PARTIALS:
                    open.partials = [reducer.rereduce(open.partials)]
            waiting.clear()

    def finish(open: _Open) -> tuple[bytes, Any]:
        partial = open.partials[0] if len(open.partials) == 1 else reducer.rereduce(open.partials)
        return open.json_key, reducer.finalize(partial)

    after = None
    while True:
        page = rows.page(view, span, descending=descending, limit=PAGE, after=after)
        for key, id, _, json_key, value in page:
            of = group(key)
            if not begun or begun[-1].of != of:
                cut()
                begun.append(_Open(of, json_key))
            elif len(keys) >= CHUNK_ROWS or size >= CHUNK_BYTES:
                cut()
            keys.append(b"[%b,%b]" % (json_key, quote(id)))
            values.append(b"null" if value is None else value)
            size += len(keys[-1]) + len(values[-1])
            if len(waiting) >= TOGETHER:
                work()
                # All except the last are complete.
                for open in begun[:-1]:
                    yield finish(open)
                del begun[:-1]
        if len(page) < PAGE:
            break
        after = page[-1][:3]
    cut()
    work()
    for open in begun:
        yield finish(open)
