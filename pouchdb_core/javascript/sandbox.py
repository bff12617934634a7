"""The functions of one design document revision, in a separate context."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pouchdb_core.javascript.ahead import Ahead
from pouchdb_core.javascript.conversation import Answer, Negotiate, Streamed
from pouchdb_core.javascript.engine_interface import Limits
from pouchdb_core.javascript.javascript_errors import (
    CompilationError,
    JavaScriptError,
    LimitError,
    OutOfMemory,
    OutputTooLarge,
    ThrownError,
    TimedOut,
)

if TYPE_CHECKING:
    from pouchdb_core.javascript.sandbox_pool import SandboxKey, SandboxPool

# What one function made of one document: the emitted [key, value] pairs, or why not.
Emitted: TypeAlias = "list[list[Any]] | JavaScriptError"
# What one call returned. Never mistake one for the other: test with isinstance(outcome, JavaScriptError).
Outcome: TypeAlias = "Any | JavaScriptError"


class Sandbox:
    """Compiled functions of one design document revision. Made by `JavaScriptPool.open`; thread-safe.

    The process, the context and the functions in it are made by the first call and again after a kill. Every method
    raises TimedOut, WorkerCrashed, EngineMissing or WorkerClosed; the other limits and everything that JavaScript
    throws are data for calls that do many things, raised for calls that do one.
    """

    def __init__(self, pool: SandboxPool, number: int, key: SandboxKey, text: bytes, limits: Limits) -> None:
        self.number = number
        self.key = key
        self.text = text
        self.limits = limits
        self.functions: dict[str, tuple[str, str]] = {}
        self.generation = 0  # contexts of an older one are thrown away
        self._pool = pool
        self._pace = limits.batch_documents  # documents in a batch: fewer where they take long

    def compile(self, identifier: str, kind: str, source: str) -> None:
        """Compile a function under a name of your choice; raises CompilationError. Repeating it costs nothing.

        `kind` determines what the function may call: "map" emit; "show" and "list" start, send, provides, registerType;
        "list" getRow; any other ("reduce", "filter", "validate", "update", …) none of these.
        """
        known = self.functions.get(identifier)
        if known == (kind, source):
            return
        self.functions[identifier] = (kind, source)
        try:
            self._pool.compile(self, identifier)
        except BaseException as error:
            if known is None:
                self.functions.pop(identifier, None)
            else:
                self.functions[identifier] = known
            if isinstance(error, CompilationError):
                self._discard_after(error.cause)
            raise

    def map(self, identifiers: Sequence[str], documents: Iterable[Any]) -> list[list[Emitted]]:
        """Run map functions over documents: for each document, for each function, the pairs or the error.

        Documents are JSON objects, or their JSON text as bytes, which saves the encoding.
        """
        head = self._pool.dump(self._known(identifiers))
        row, failed = self._emitted(identifiers), _for_each(identifiers)
        return self._each_line("map", identifiers, head, documents, row, failed)

    def map_ahead(self, identifiers: Sequence[str], documents: Iterable[Any]) -> Iterator[list[Emitted]]:
        """Yield the rows that `map` returns; the next batch is under way while the caller handles those of one.

        This is so where batches are quick; slow functions run while their caller waits. Close the iterator, or read it
        to its end: its process waits for nobody else.
        """
        head = self._pool.dump(self._known(identifiers))
        row, failed = self._emitted(identifiers), _for_each(identifiers)

        def batch(lines: list[bytes], ahead: Ahead | None = None) -> list[list[Emitted]]:
            return self._batch("map", identifiers, head, lines, row, failed, ahead)

        begun: tuple[list[bytes], Ahead] | None = None
        try:
            for lines in self._batches(documents):
                rows: list[list[Emitted]] = []
                if begun is not None:
                    taken, begun = begun, None
                    rows = batch(*taken)
                if self._pace > self.limits.batch_documents:
                    try:
                        begun = lines, self._pool.begin(self, "map", identifiers, b"\n".join([head, *lines]))
                    except LimitError:
                        # Again, by who tries twice.
                        self._pace = self.limits.batch_documents
                yield from rows
                if begun is None:
                    yield from batch(lines)
            if begun is not None:
                taken, begun = begun, None
                yield from batch(*taken)
        finally:
            if begun is not None:
                begun[1].close()

    def _emitted(self, identifiers: Sequence[str]) -> Callable[[Any], list[Emitted]]:
        """Return the decoder of what map functions made of one document."""

        def row(result: Any) -> list[Emitted]:
            if type(result) is not list or len(result) != len(identifiers):
                return [self._unreadable() for _ in identifiers]
            for place, pairs in enumerate(result):
                if type(pairs) is not list:
                    result[place] = self._thrown(pairs)
                    continue
                for pair in pairs:
                    if type(pair) is not list or len(pair) != 2:
                        result[place] = self._unreadable()
                        break
            return result

        return row

    def reduce(self, identifiers: Sequence[str], keys: Any, values: Sequence[Any], rereduce: bool) -> list[Outcome]:
        """Reduce one group with each function. `keys` is a list of [key, id], or None when reducing again."""
        return self.reduce_groups(identifiers, [(keys, values)], rereduce)[0]

    def reduce_groups(
        self, identifiers: Sequence[str], groups: Iterable[tuple[Any, Sequence[Any]]], rereduce: bool
    ) -> list[list[Outcome]]:
        """Reduce many groups of (keys, values): for each group, for each function, the value or the error."""

        def row(result: Any) -> list[Outcome]:
            if not isinstance(result, list) or len(result) != len(identifiers):
                return [self._unreadable() for _ in identifiers]
            return [self._outcome(one) for one in result]

        head = self._pool.dump({"functions": self._known(identifiers), "rereduce": rereduce})
        return self._each_line("reduce", identifiers, head, groups, row, _for_each(identifiers))

    def call_each(
        self, identifier: str, arguments: Iterable[Sequence[Any] | bytes], shared: Sequence[Any] = ()
    ) -> list[Outcome]:
        """Call one function for many argument lists (or JSON texts of them), `shared` after each: filters, validation.

        No call sees changes that another one made to its arguments. At most six arguments in all.
        """
        self._known([identifier])
        head = self._pool.dump(identifier) + b"\n" + self._pool.dump(list(shared))
        return self._each_line("each", [identifier], head, arguments, self._outcome, lambda error: error)

    def call(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Negotiate | None = None,
    ) -> Answer:
        """Call one function and return everything it did; raises what it throws.

        `rows` is what getRow() returns, one after the other. If the function called provides(), `negotiate` chooses
        which of `answer.providers` shall run; the answer is then that provider's, with everything sent. A show or list
        function that sends more than `limits.response` bytes in all is OutputTooLarge: see `stream`.
        """
        self._known([identifier])
        if self.functions[identifier][0] in ("show", "list"):
            return self.stream(identifier, arguments, rows, negotiate).collect()
        lines = [self._pool.dump(identifier), self._pool.dump(list(arguments))]
        try:
            return self._pool.run(self, "call", [identifier], b"\n".join(lines), self.answer, units=1)
        except ThrownError as error:
            self._discard_after(error)
            raise

    def stream(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Negotiate | None = None,
    ) -> Streamed:
        """Call a show or list function and return what it sends, piece by piece while it runs.

        Rows are fetched when the function asks for them, a hundred at a time. Nothing starts before the first piece is
        requested; then the function runs no further than its client reads. Waiting for rows and for the client
        is not counted as the function's time, and other functions run meanwhile.
        """
        self._known([identifier])
        return Streamed(self._pool, self, identifier, arguments, rows, negotiate)

    def _known(self, identifiers: Sequence[str]) -> list[str]:
        for identifier in identifiers:
            if identifier not in self.functions:
                raise KeyError(f"no function {identifier!r} was compiled in this sandbox")
        return list(identifiers)

    # ---- splitting into batches, and splitting a failed batch into single calls -------------------------------------

    def _each_line(
        self,
        operation: str,
        identifiers: Sequence[str],
        head: bytes,
        things: Iterable[Any],
        decode: Callable[[Any], Any],
        failed: Callable[[LimitError], Any],
    ) -> list[Any]:
        results: list[Any] = []
        for batch in self._batches(things):
            results += self._batch(operation, identifiers, head, batch, decode, failed)
        return results

    def _batches(self, things: Iterable[Any]) -> Iterator[list[bytes]]:
        """Yield lines of JSON, as many at a time as the pace allows when they are taken."""
        batch: list[bytes] = []
        size = 0
        dump, largest = self._pool.dump, self.limits.batch_bytes
        for thing in things:
            line = dump(thing)
            size += len(line)
            if batch and (size > largest or len(batch) >= self._pace):
                yield batch
                batch, size = [], len(line)
            batch.append(line)
        if batch:
            yield batch

    def _batch(
        self,
        operation: str,
        identifiers: Sequence[str],
        head: bytes,
        lines: list[bytes],
        decode: Callable[[Any], Any],
        failed: Callable[[LimitError], Any],
        ahead: Ahead | None = None,
    ) -> list[Any]:
        """Return the results of some lines; `ahead`: they are under way already."""

        def read(result: Any) -> tuple[list[Any], bool]:
            if not isinstance(result, list):  # the dispatcher itself failed
                if self._thrown(result).is_null:
                    raise self._no_memory()
                raise self._unreadable()
            if len(result) != len(lines):
                raise self._unreadable()
            suspicious = _null_thrown(result)
            return [decode(one) for one in result], suspicious

        began = time.monotonic()
        try:
            if ahead is None:
                text = b"\n".join([head, *lines])
                results, suspicious = self._pool.run(self, operation, identifiers, text, read, units=len(lines))
            else:
                results, suspicious = ahead.result(read)
            self._keep_pace(len(lines), time.monotonic() - began)
            # QuickJS throws null when it has no memory left for an error object. This cannot be told from
            # `throw null`, so after a null the context is thrown away, and a batch is done again one by one.
            if suspicious:
                self.generation += 1
                self._pace = min(self._pace, self.limits.batch_documents)
            if not suspicious or len(lines) == 1:
                return results
        except LimitError as error:
            self._pace = min(self._pace, self.limits.batch_documents)
            if ahead is not None and (len(lines) == 1 or not isinstance(error, TimedOut)):
                # It may have been the fault of another function, or counts as a strike: see `JavaScriptPool.run`.
                return self._batch(operation, identifiers, head, lines, decode, failed)
            if len(lines) == 1:
                if isinstance(error, (OutOfMemory, OutputTooLarge)):
                    return [failed(error)]
                error.document = _document_id(lines[0])
                raise
            if isinstance(error, TimedOut):
                self._pace = 1
        return [self._batch(operation, identifiers, head, [line], decode, failed)[0] for line in lines]

    def _keep_pace(self, count: int, seconds: float) -> None:
        """Make batches that take about `_PACE` seconds: other calls wait for their turn meanwhile."""
        if seconds > 2 * _PACE:
            self._pace = max(1, int(count * _PACE / seconds))
        elif seconds < _PACE / 2 and count >= self._pace < (most := _QUICK * self.limits.batch_documents):
            self._pace = min(2 * self._pace, most)

    def _discard_after(self, thrown: ThrownError | None) -> None:
        if thrown is not None and thrown.is_null:
            self.generation += 1

    # ---- reading what the worker says: untrusted -----------------------------------------------------------------

    def check_compiled(self, result: Any, source: str) -> None:
        """Raise CompilationError unless the result reports success."""
        if not (isinstance(result, dict) and result.get("ok") is True):
            cause = self._thrown(result)
            raise CompilationError(
                source, cause=cause, position=_position(cause, result), design_document=self.key.design_document
            )

    def _outcome(self, result: Any) -> Outcome:
        if isinstance(result, dict) and "ok" in result:
            return result["ok"]
        return self._thrown(result)

    def answer(self, result: Any) -> Answer:
        """Return what a call did; raises what the function threw."""
        if not (isinstance(result, dict) and "ok" in result):
            raise self._thrown(result)
        sent: Any = result.get("sent")
        kind: Any = result.get("type")
        providers: Any = result.get("providers")
        types: Any = result.get("types")
        if [type(member) for member in (sent, kind, providers, types)] != [str, str, list, list]:
            raise self._unreadable()
        started, first = (_response(result.get(member)) for member in ("started", "first"))
        return Answer(result["ok"], kind, started, sent, providers, types, first)

    def _thrown(self, result: Any) -> ThrownError:
        error = result.get("error") if isinstance(result, dict) else None
        if not isinstance(error, dict):
            raise self._unreadable()
        if error.get("name") == "InternalError" and error.get("message") == "out of memory":
            raise self._no_memory()
        return ThrownError.of(error, self.key.design_document)

    def _no_memory(self) -> OutOfMemory:
        return OutOfMemory("the function takes too much memory", design_document=self.key.design_document)

    def _unreadable(self) -> OutputTooLarge:
        return OutputTooLarge("the output cannot be read", design_document=self.key.design_document)


_PACE = 0.1
"""Seconds that a batch should take at most."""
_QUICK = 10
"""How many times `Limits.batch_documents` are in a batch of quick functions: each batch costs changes of process."""


def _for_each(identifiers: Sequence[str]) -> Callable[[LimitError], list[Any]]:
    """Return what makes of the failure of a unit one for each of its functions."""
    return lambda error: [error for _ in identifiers]


def _response(value: Any) -> dict[str, Any] | None:
    return value if value is None or isinstance(value, dict) else {}


def _null_thrown(results: list[Any]) -> bool:
    """Whether an outcome of one of some units is a thrown null. Called for every document: most outcomes are lists."""
    for result in results:
        for outcome in result if type(result) is list else [result]:
            if type(outcome) is dict and "ok" not in outcome:
                error = outcome.get("error")
                if isinstance(error, dict) and error.get("name") is None and error.get("text") == "null":
                    return True
    return False


def _position(cause: ThrownError, result: Any) -> tuple[int, int] | None:
    """Return line and column of a syntax error in its source."""
    lines, characters = result.get("lines"), result.get("characters")
    place = re.search(r":(\d{1,9}):(\d{1,9})", (cause.stack or "").partition("\n")[0])
    if place is None or type(lines) is not int or type(characters) is not int:
        return None
    line = int(place[1]) - lines
    column = int(place[2]) - (characters if line == 1 else 0)
    return (line, column) if line > 0 and column > 0 else None


def _document_id(line: bytes) -> str | None:
    """Find the id in the text of a document (or of a list of arguments that begins with one), for a message."""
    start = line.find(b'"_id":"')
    end = line.find(b'"', start + 7)
    return line[start + 7 : end].decode("utf-8", "replace") if start >= 0 and end >= 0 else None
