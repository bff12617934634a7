"""The functions of one design document revision, in a context of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

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
    from pouchdb_core.javascript.client import JavaScriptWorker, SandboxKey

# What one function made of one document: the emitted [key, value] pairs, or why not.
Emitted: TypeAlias = "list[list[Any]] | JavaScriptError"
# What one call returned. Never mistake one for the other: test with isinstance(outcome, JavaScriptError).
Outcome: TypeAlias = "Any | JavaScriptError"


@dataclass(frozen=True)
class Answer:
    """Everything a show, list, update or rewrite function did."""

    value: Any  # what it returned, as JSON carries it
    type: str  # what that was: "undefined", "null", "string", "number", "boolean", "array", "object", "function"
    started: dict[str, Any] | None  # the argument of the first start(), {} when send() came first, None without either
    sent: str  # what send() was given, in order
    providers: list[str]  # what provides() was called with, in order
    types: list[list[str]]  # what registerType() was called with, in order


class Sandbox:
    """Compiled functions of one design document revision. Made by `JavaScriptWorker.open`; thread-safe.

    The process, the context and the functions in it come with the first call and come back after a kill. Every method
    raises TimedOut, WorkerCrashed, EngineMissing or WorkerClosed; the other limits and everything that JavaScript
    throws are data where many things are done at a time, errors where it is one.
    """

    def __init__(self, worker: JavaScriptWorker, number: int, key: SandboxKey, text: bytes, limits: Limits) -> None:
        self.number = number
        self.key = key
        self.text = text
        self.limits = limits
        self.functions: dict[str, tuple[str, str]] = {}
        self._worker = worker
        # QuickJS throws null when it has no memory left for an error object. Nobody can tell this from `throw null`, so
        # after a null the context is thrown away, and a batch is done again one by one. Guarded by the process's lock.
        self._null_thrown = False
        self._slow = False  # a batch timed out as a whole: from then on one document at a time

    def compile(self, identifier: str, kind: str, source: str) -> None:
        """Compile a function under a name of your choice; raises CompilationError. Doing it again costs nothing.

        `kind` says what the function may call: "map" emit; "show" and "list" start, send, provides, registerType;
        "list" getRow; any other ("reduce", "filter", "validate", "update", …) none of these.
        """
        if self.functions.get(identifier) == (kind, source):
            return
        order = self._worker.dump({"id": identifier, "kind": kind, "source": source})
        try:
            self._worker.run(self, "compile", order, lambda result: self.check_compiled(result, source), units=1)
        except CompilationError as error:
            self._discard_after(error.cause)
            raise
        self.functions[identifier] = (kind, source)

    def map(self, identifiers: Sequence[str], documents: Iterable[Any]) -> list[list[Emitted]]:
        """Run map functions over documents: for each document, for each function, the pairs or the error.

        Documents are JSON objects, or their JSON text as bytes, which saves the encoding.
        """

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

        head = self._worker.dump(self._known(identifiers))
        return self._each_line("map", head, documents, row, lambda error: [error for _ in identifiers])

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

        head = self._worker.dump({"functions": self._known(identifiers), "rereduce": rereduce})
        return self._each_line("reduce", head, groups, row, lambda error: [error for _ in identifiers])

    def call_each(
        self, identifier: str, arguments: Iterable[Sequence[Any]], shared: Sequence[Any] = ()
    ) -> list[Outcome]:
        """Call one function for many argument lists, `shared` after each: filters, validation.

        No call sees what another one did to its arguments. At most six arguments in all.
        """
        self._known([identifier])
        head = self._worker.dump(identifier) + b"\n" + self._worker.dump(list(shared))
        return self._each_line("each", head, arguments, self._outcome, lambda error: error)

    def call(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Callable[[Answer], str | None] | None = None,
    ) -> Answer:
        """Call one function and return everything it did; raises what it throws.

        `rows` is what getRow() returns, one after the other. When the function called provides(), `negotiate` is asked
        which of `answer.providers` shall run; the answer is then that one's, with all that was sent.
        """
        self._known([identifier])
        lines = [self._worker.dump(identifier), self._worker.dump(list(arguments)), *map(self._worker.dump, rows)]
        with self._worker.exclusive():
            try:
                answer = self._worker.run(self, "call", b"\n".join(lines), self._answer, units=1)
                chosen = negotiate(answer) if negotiate is not None and answer.providers else None
                if chosen is None:
                    return answer
                return self._worker.run(self, "provide", self._worker.dump(chosen), self._answer, units=1)
            except ThrownError as error:
                self._discard_after(error)
                raise

    def _known(self, identifiers: Sequence[str]) -> list[str]:
        for identifier in identifiers:
            if identifier not in self.functions:
                raise KeyError(f"no function {identifier!r} was compiled in this sandbox")
        return list(identifiers)

    # ---- how many become batches, and how a batch that fails becomes single ones -------------------------------------

    def _each_line(
        self,
        operation: str,
        head: bytes,
        things: Iterable[Any],
        decode: Callable[[Any], Any],
        failed: Callable[[LimitError], Any],
    ) -> list[Any]:
        results: list[Any] = []
        batch: list[bytes] = []
        size = 0
        dump, most, largest = self._worker.dump, self.limits.batch_documents, self.limits.batch_bytes
        for thing in things:
            line = dump(thing)
            size += len(line)
            if batch and (size > largest or len(batch) >= most or self._slow):
                results += self._batch(operation, head, batch, decode, failed)
                batch, size = [], len(line)
            batch.append(line)
        if batch:
            results += self._batch(operation, head, batch, decode, failed)
        return results

    def _batch(
        self,
        operation: str,
        head: bytes,
        lines: list[bytes],
        decode: Callable[[Any], Any],
        failed: Callable[[LimitError], Any],
    ) -> list[Any]:
        def read(result: Any) -> tuple[list[Any], bool]:
            self._null_thrown = False
            if not isinstance(result, list):  # the dispatcher itself failed
                if self._thrown(result).is_null:
                    raise self._no_memory()
                raise self._unreadable()
            if len(result) != len(lines):
                raise self._unreadable()
            return [decode(one) for one in result], self._null_thrown

        try:
            results, suspicious = self._worker.run(self, operation, b"\n".join([head, *lines]), read, units=len(lines))
            if suspicious:
                self._worker.discard(self)
            if not suspicious or len(lines) == 1:
                return results
        except LimitError as error:
            if len(lines) == 1:
                if isinstance(error, (OutOfMemory, OutputTooLarge)):
                    return [failed(error)]
                error.document = _document_id(lines[0])
                raise
            self._slow = self._slow or isinstance(error, TimedOut)
        return [self._batch(operation, head, [line], decode, failed)[0] for line in lines]

    def _discard_after(self, thrown: ThrownError | None) -> None:
        if thrown is not None and thrown.is_null:
            self._worker.discard(self)

    # ---- reading what the worker says: untrusted -----------------------------------------------------------------

    def check_compiled(self, result: Any, source: str) -> None:
        """Raise CompilationError unless the result says that it went well."""
        if not (isinstance(result, dict) and result.get("ok") is True):
            raise CompilationError(source, cause=self._thrown(result), design_document=self.key.design_document)

    def _outcome(self, result: Any) -> Outcome:
        if isinstance(result, dict) and "ok" in result:
            return result["ok"]
        return self._thrown(result)

    def _answer(self, result: Any) -> Answer:
        if not (isinstance(result, dict) and "ok" in result):
            raise self._thrown(result)
        started: Any = result.get("started")
        sent: Any = result.get("sent")
        kind: Any = result.get("type")
        providers: Any = result.get("providers")
        types: Any = result.get("types")
        if [type(member) for member in (sent, kind, providers, types)] != [str, str, list, list]:
            raise self._unreadable()
        if started is not None and not isinstance(started, dict):
            started = {}
        return Answer(result["ok"], kind, started, sent, providers, types)

    def _thrown(self, result: Any) -> ThrownError:
        error = result.get("error") if isinstance(result, dict) else None
        if not isinstance(error, dict):
            raise self._unreadable()
        if error.get("name") == "InternalError" and error.get("message") == "out of memory":
            raise self._no_memory()
        thrown = ThrownError.of(error, self.key.design_document)
        self._null_thrown = self._null_thrown or thrown.is_null
        return thrown

    def _no_memory(self) -> OutOfMemory:
        return OutOfMemory("the function takes too much memory", design_document=self.key.design_document)

    def _unreadable(self) -> OutputTooLarge:
        return OutputTooLarge("the output cannot be read", design_document=self.key.design_document)


def _document_id(line: bytes) -> str | None:
    """Find the id in the text of a document (or of a list of arguments that begins with one), for a message."""
    start = line.find(b'"_id":"')
    end = line.find(b'"', start + 7)
    return line[start + 7 : end].decode("utf-8", "replace") if start >= 0 and end >= 0 else None
