"""Calls with questions to the parent: a list function requests rows and sends text while it runs.

Between its questions a function waits in its process, and its seat is free for other calls: rows may need functions
themselves, and a client may read slowly. Its limits apply to each portion of rows: running time and output.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, TypeAlias

from pouchdb_core.javascript.javascript_errors import LimitError, OutputTooLarge, ThrownError
from pouchdb_core.javascript.process import Letter, ProcessEnded

if TYPE_CHECKING:
    from pouchdb_core.javascript.process import WorkerProcess
    from pouchdb_core.javascript.sandbox_pool import CompiledFunctions, SandboxPool

_SPOOLED = 2**20  # bytes of output that are kept in memory before they go to a file
_PIECE = 2**16
_FIRST_ROWS = 10  # in the first portion, so that the first piece comes soon


@dataclass(frozen=True)
class Answer:
    """Everything a show, list, update or rewrite function did."""

    value: Any  # what it (or its provider) returned, as JSON carries it
    type: str  # what that was: "undefined", "null", "string", "number", "boolean", "array", "object", "function"
    started: dict[str, Any] | None  # the argument of the last start() before anything went out, {} when only send() or
    # getRow() were called, None without any of them
    sent: str  # what send() was given, in order
    providers: list[str]  # what provides() was called with, in order
    types: list[list[str]]  # what registerType() was called with, in order
    first: dict[str, Any] | None = None  # as `started`, but the first start() counts; send() and getRow() are start({})


Negotiate: TypeAlias = "Callable[[Answer], str | None]"
"""Which of an answer's providers shall run; None for none of them."""


@dataclass
class _Heard:
    """What is known of a running call: apart from Streamed, so that an unreferenced one ends at once."""

    started: dict[str, Any] | None = None
    first: dict[str, Any] | None = None
    answer: Answer | None = None


class Streamed:
    """What a show or list function sends, piece by piece; can be iterated once.

    `started` and `first` (see Answer) are known with the first piece, `answer` after the last one, with what the
    function returned and an empty `sent`. What the function throws is raised by the iteration, before the first piece
    where it threw before anything was sent. `close()` ends a function that is no longer needed.
    """

    def __init__(
        self,
        pool: SandboxPool,
        sandbox: CompiledFunctions,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any],
        negotiate: Negotiate | None,
    ) -> None:
        self._heard = _Heard()
        self._limit = sandbox.limits.response
        self._pieces = _run(pool, sandbox, identifier, arguments, rows, negotiate, self._heard)

    @property
    def started(self) -> dict[str, Any] | None:
        """As Answer has it."""
        return self._heard.started

    @property
    def first(self) -> dict[str, Any] | None:
        """As Answer has it."""
        return self._heard.first

    @property
    def answer(self) -> Answer | None:
        """What the function returned, once it has."""
        return self._heard.answer

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        """End the function at any point."""
        self._pieces.close()

    def collect(self) -> Answer:
        """Return everything at once. Raises OutputTooLarge if it is more than `limits.response`."""
        sent, size = [], 0
        for piece in self._pieces:
            size += len(piece)
            if size > self._limit:
                self.close()
                raise OutputTooLarge("the response is too large to be collected")
            sent.append(piece)
        assert self.answer is not None
        return replace(self.answer, sent="".join(sent))


def _run(
    pool: SandboxPool,
    sandbox: CompiledFunctions,
    identifier: str,
    arguments: Sequence[Any],
    rows: Iterable[Any],
    negotiate: Negotiate | None,
    heard: _Heard,
) -> Generator[str, None, None]:
    source = iter(rows)
    text = pool.dump(identifier) + b"\n" + pool.dump(list(arguments))
    try:
        with pool.stream() as may_wait:
            conversation = pool.converse(sandbox, identifier, text)
            live = conversation.pieces(heard, source, negotiate)
            if may_wait:
                yield from live
                return
            spool = _spooled(live, sandbox.limits.response)
        with spool:
            decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
            while piece := spool.read(_PIECE):
                yield decoder.decode(piece)
    except ThrownError as error:
        if error.is_null:  # see Sandbox: perhaps there was not enough memory for more
            sandbox.generation += 1
        raise
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()


def _spooled(pieces: Iterator[str], limit: int) -> SpooledTemporaryFile[bytes]:
    """Run the function to its end, because it cannot keep its process until the client has read everything."""
    spool = SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115 - the caller closes it
    try:
        for piece in pieces:
            spool.write(piece.encode("utf-8", "surrogatepass"))
            if spool.tell() > limit:
                raise OutputTooLarge("the response is too large to be kept for its client")
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return spool


class Conversation:
    """One call in its process, from its first question to its end."""

    def __init__(
        self,
        pool: SandboxPool,
        sandbox: CompiledFunctions,
        identifier: str,
        process: WorkerProcess,
        reply: tuple[bytes, bytes],
        seconds: float,
    ) -> None:
        self._pool, self._sandbox, self._identifier, self._process = pool, sandbox, identifier, process
        self._reply = reply
        self._left = sandbox.limits.seconds - seconds  # of running time for this portion of rows
        self._output = 0  # bytes sent since it began
        self._portion = _FIRST_ROWS

    def pieces(self, heard: _Heard, rows: Iterator[Any], negotiate: Negotiate | None) -> Generator[str, None, None]:
        """Yield what is sent, answer questions; stores head and answer in `heard`."""
        pool, sandbox = self._pool, self._sandbox
        finished = sending = False
        try:
            while self._reply[0] == b"A":
                word, _, text = self._reply[1].partition(b"\n")
                asked = self._understood(text)
                if word == b"provide":
                    chosen = negotiate(sandbox.answer(asked)) if negotiate is not None else None
                    self._answer(pool.dump(chosen))
                    continue
                self._output += len(text)
                if self._output > sandbox.limits.output:
                    raise self._too_large()
                if not sending:
                    # Until something is sent, start() replaces the head.
                    heard.started, heard.first = _head(asked, "started"), _head(asked, "first")
                if asked["sent"]:
                    sending = True
                    yield asked["sent"]
                portion = self._rows(rows) if word == b"rows" else b""
                if portion:
                    self._left, self._output = sandbox.limits.seconds, 0
                self._answer(portion)
            finished = True
        finally:
            if not finished:
                self._process.kill()
            pool.put_back(self._process)
        result, logs = self._understood_result()
        pool.log(sandbox, logs)
        answer = sandbox.answer(result)
        if not sending:
            heard.started, heard.first = answer.started, answer.first
        rest, answer = answer.sent, replace(answer, sent="", started=heard.started, first=heard.first)
        heard.answer = answer
        if rest:
            yield rest

    def _rows(self, rows: Iterator[Any]) -> bytes:
        """Return the next portion of rows as lines; nothing at the end."""
        lines: list[bytes] = []
        size = 0
        for row in rows:
            line = self._pool.dump(row)
            lines.append(line)
            size += len(line)
            if len(lines) >= self._portion or size > self._sandbox.limits.batch_bytes:
                break
        self._portion = self._sandbox.limits.batch_documents
        return b"\n".join(lines)

    def _answer(self, text: bytes) -> None:
        pool, sandbox, process = self._pool, self._sandbox, self._process
        with pool.turn(sandbox), pool.striking(sandbox, [self._identifier], 1):
            began = time.monotonic()
            try:
                letter, reply = process.request(f"answer {sandbox.limits.seconds:.3f}", text, max(self._left, 0.001))
                if letter != b"R" and letter != b"A":
                    raise Letter(letter, reply)
            except (ProcessEnded, Letter) as error:
                raise self._failure(error) from None
            self._left -= time.monotonic() - began
            self._reply = letter, reply

    def _failure(self, error: Exception) -> Exception:
        return self._pool.failure(self._process, self._sandbox, error)

    def _understood(self, text: bytes) -> dict[str, Any]:
        try:
            asked = self._pool.load(text)
        except (ProcessEnded, Letter) as error:
            raise self._failure(error) from None
        if not isinstance(asked, dict) or type(asked.get("sent")) is not str:
            raise self._too_large()
        return asked

    def _understood_result(self) -> tuple[Any, list[str]]:
        try:
            return self._pool.understood(self._reply)
        except (ProcessEnded, Letter) as error:
            raise self._failure(error) from None

    def _too_large(self) -> LimitError:
        name = self._sandbox.key.design_document
        return OutputTooLarge("the output is too large or unreadable", design_document=name)


def _head(asked: dict[str, Any], member: str) -> dict[str, Any]:
    value = asked.get(member)
    return value if isinstance(value, dict) else {}
