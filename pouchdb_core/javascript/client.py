"""The environment's JavaScript workers: a few processes shared by all databases and threads of an environment.

`JavaScriptPool` starts processes when they are needed, restarts them after a kill, keeps track of which contexts
live where, and turns the workers' letters into errors. Scheduling is in turns.py, requests to a context in
sandbox.py, calls with questions to the parent in conversation.py.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pouchdb_core.forks import renew_in_child
from pouchdb_core.javascript.ahead import Ahead
from pouchdb_core.javascript.conversation import Conversation
from pouchdb_core.javascript.engine_interface import Engine, Limits
from pouchdb_core.javascript.javascript_errors import (
    LimitError,
    NoWorkerFree,
    OutOfMemory,
    OutputTooLarge,
    TimedOut,
    WorkerClosed,
    WorkerCrashed,
)
from pouchdb_core.javascript.process import Letter, OpenContext, ProcessEnded, WorkerProcess
from pouchdb_core.javascript.sandbox import Sandbox
from pouchdb_core.javascript.sandbox_pool import SandboxKey
from pouchdb_core.javascript.turns import Closed, NoTurn, Turns

T = TypeVar("T")
Dumps = Callable[[Any], "bytes | str"]
Loads = Callable[[bytes], Any]

_LOGGER = logging.getLogger("pouchdb.javascript")


class _State:
    """State of one process of the program; a forked child begins with a new one."""

    def __init__(self, workers: int) -> None:
        self.turns = Turns(max(2, workers))
        self.lock = threading.Lock()  # for the two below, and never held while waiting
        self.idle: list[WorkerProcess] = []  # the one that was used last is the last
        self.alive: set[WorkerProcess] = set()
        self.streams = 0


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _shut_down(states: list[_State]) -> None:
    for process in list(states[-1].alive):
        process.kill()


class JavaScriptPool:
    """Runs JavaScript functions in killable processes; thread-safe; survives fork, where a child starts its own.

    `dumps` and `loads` are the JSON codec (such as orjson's functions); the default is the standard library's. `on_log`
    receives what functions log with log(), after the call; the default is the logger `pouchdb.javascript`.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits | None = None,
        *,
        dumps: Dumps = _dumps,
        loads: Loads = json.loads,
        on_log: Callable[[SandboxKey, str], None] | None = None,
    ) -> None:
        self.engine = engine
        self.limits = limits or Limits()
        self._plain_dumps = dumps
        self._loads = loads
        self._on_log = on_log or (lambda key, message: _LOGGER.info("%s: %s", key, message))
        self._numbers = itertools.count(1)
        self._used: set[int] = set()  # the numbers of the sandboxes that are still referenced
        self._sandboxes: weakref.WeakValueDictionary[SandboxKey, Sandbox] = weakref.WeakValueDictionary()
        self._strikes: dict[tuple[SandboxKey, int, tuple[str, ...]], int] = {}
        self._closed = False
        # The last one counts. Those of this process's parents are kept, but never touched again: their locks may be
        # held and their pipes are not ours.
        self._states: list[_State] = []
        self._renew()
        renew_in_child(self._renew)
        self._finalizer = weakref.finalize(self, _shut_down, self._states)

    def open(
        self, key: SandboxKey, design_document: Mapping[str, Any] | bytes, limits: Limits | None = None
    ) -> Sandbox:
        """Return the sandbox of a design document revision; the same one while it is in use and the content is equal.

        Starts nothing: process and context come with the first call.
        """
        if self._closed:
            raise WorkerClosed("the JavaScript pool is closed")
        text = self.dump(design_document)
        known = self._sandboxes.get(key)
        if known is not None and known.text == text and known.limits == (limits or self.limits):
            return known
        sandbox = Sandbox(self, next(self._numbers), key, text, limits or self.limits)
        self._used.add(sandbox.number)
        weakref.finalize(sandbox, self._used.discard, sandbox.number).atexit = False
        self._sandboxes[key] = sandbox
        return sandbox

    def close(self) -> None:
        """End the processes at once, even in the middle of other threads' calls, which then raise WorkerClosed."""
        self._closed = True
        state = self._states[-1]
        state.turns.close()
        with state.lock:
            idle, state.idle = state.idle, []
            busy = state.alive.difference(idle)
        for process in busy:
            process.interrupt()
        for process in idle:
            self._end(state, process)

    @property
    def pids(self) -> list[int]:
        """The ids of the running processes: none before the first use; the idle one that is used next is last."""
        state = self._states[-1]
        with state.lock:
            busy = [process for process in state.alive if process not in state.idle]
            return [process.pid for process in (*busy, *state.idle)]

    def release(self, key: SandboxKey) -> None:
        """Lift the quarantine of a design document's functions."""
        for known in [known for known in self._strikes if known[0] == key]:
            del self._strikes[known]

    # ---- for Sandbox and Conversation -------------------------------------------------------------------------------

    def dump(self, value: Any) -> bytes:
        """Return JSON text on one line; bytes are taken as JSON text."""
        text = value if type(value) is bytes else self._plain_dumps(value)
        if type(text) is not bytes:
            text = text.encode() if isinstance(text, str) else bytes(text)
        if b"\n" in text or b"\r" in text:
            # Between tokens line breaks are allowed, inside of strings they cannot be: spaces mean the same.
            text = text.replace(b"\n", b" ").replace(b"\r", b" ")
        return text

    def load(self, text: bytes) -> Any:
        """Return the value of JSON text that a worker sent. Raises Letter for text that is not JSON."""
        try:
            return self._loads(text)
        except (ValueError, RecursionError):
            raise Letter(b"O", b"") from None

    def run(
        self,
        sandbox: Sandbox,
        operation: str,
        identifiers: Sequence[str],
        text: bytes,
        decode: Callable[[Any], T],
        *,
        units: int,
    ) -> T:
        """Run one operation of functions in the sandbox's context and decode its result.

        A call that fails for memory or a crash in a process used before is tried once more in a new one: then it
        was not the fault of another function. A time-out of a single unit is a strike against the functions.
        """
        logs: list[str] = []

        def call(process: WorkerProcess) -> T:
            result, said = self.understood(self.ask(process, sandbox, f"call {sandbox.number}", operation, text))
            logs.extend(said)
            return decode(result)

        try:
            return self._attempt(sandbox, identifiers, call, units=units)
        finally:
            self.log(sandbox, logs)

    def begin(self, sandbox: Sandbox, operation: str, identifiers: Sequence[str], text: bytes) -> Ahead:
        """Send an operation of functions to a process, which works on it while the caller does something else.

        The process is nobody else's until the result is taken, or `close` is called. It has a seat only while the
        request is sent, so this is for short ones: the caller, or its listeners, may call functions meanwhile.
        """
        state = self._states[-1]
        with self.turn(sandbox), self.striking(sandbox, identifiers, 0):
            process, _ = self._process(state, sandbox)
            try:
                self._prepare(process, sandbox, identifiers)
                line = f"call {sandbox.number} {sandbox.limits.inner_seconds():.3f} {operation}"
                process.send(line, text, sandbox.limits.seconds)
            except (OutOfMemory, ProcessEnded, Letter) as error:
                failure = self.failure(process, sandbox, error)
                process.kill()
                self.put_back(process)
                raise failure from None
            except BaseException:
                process.kill()
                self.put_back(process)
                raise
        return Ahead(self, sandbox, process)

    def compile(self, sandbox: Sandbox, identifier: str) -> None:
        """Compile a function of the sandbox, where it will probably run. Raises CompilationError."""
        self._attempt(sandbox, [identifier], lambda process: None, units=1)

    def converse(self, sandbox: Sandbox, identifier: str, text: bytes) -> Conversation:
        """Begin a call that may request rows and send text before it returns."""

        def call(process: WorkerProcess) -> Conversation:
            began = time.monotonic()
            reply = self.ask(process, sandbox, f"call {sandbox.number}", "converse", text)
            return Conversation(self, sandbox, identifier, process, reply, time.monotonic() - began)

        return self._attempt(sandbox, [identifier], call, units=1, keep=True)

    def _attempt(
        self,
        sandbox: Sandbox,
        identifiers: Sequence[str],
        call: Callable[[WorkerProcess], T],
        *,
        units: int,
        keep: bool = False,
    ) -> T:
        state = self._states[-1]
        with self.turn(sandbox), self.striking(sandbox, identifiers, units):
            while True:
                process, fresh = self._process(state, sandbox)
                kept = False
                try:
                    self._prepare(process, sandbox, identifiers)
                    value = call(process)
                    kept = keep
                    return value
                except (OutOfMemory, ProcessEnded, Letter) as error:
                    failure = self.failure(process, sandbox, error)
                    if fresh or not isinstance(failure, (OutOfMemory, WorkerCrashed)):
                        raise failure from None
                    process.kill()
                finally:
                    if not kept:
                        self.put_back(process)

    @contextmanager
    def turn(self, sandbox: Sandbox) -> Iterator[None]:
        """Wait for this database's turn, and take it. Raises NoWorkerFree, WorkerClosed."""
        try:
            with self._states[-1].turns.turn(sandbox.key.database, sandbox.limits.patience):
                yield
        except NoTurn:
            message = f"all JavaScript workers were busy for {sandbox.limits.patience:g} s; try again"
            raise NoWorkerFree(message, design_document=sandbox.key.design_document) from None
        except Closed:
            raise WorkerClosed("the JavaScript pool is closed") from None

    @contextmanager
    def striking(self, sandbox: Sandbox, identifiers: Sequence[str], units: int) -> Iterator[None]:
        """Refuse functions that were stopped too often, and count when they are stopped once more."""
        if self._closed:
            raise WorkerClosed("the JavaScript pool is closed")
        accused = (sandbox.key, hash(sandbox.text), tuple(identifiers))
        if self._strikes.get(accused, 0) >= sandbox.limits.strikes:
            raise TimedOut(
                f"{', '.join(identifiers)}: stopped {sandbox.limits.strikes} times; "
                "runs again when the design document changes",
                design_document=sandbox.key.design_document,
            )
        try:
            yield
        except (TimedOut, WorkerCrashed):
            if units == 1:
                self._strikes[accused] = self._strikes.get(accused, 0) + 1
            raise

    @contextmanager
    def stream(self) -> Iterator[bool]:
        """Count a list function that runs; the value says whether it may keep its process while its client is slow."""
        state = self._states[-1]
        with state.lock:
            state.streams += 1
            few = state.streams <= self.limits.streams
        try:
            yield few
        finally:
            with state.lock:
                state.streams -= 1

    def failure(self, process: WorkerProcess, sandbox: Sandbox, error: Exception) -> LimitError | WorkerClosed:
        """Return the error for a call's end, and drop the context that is gone with it."""
        name = sandbox.key.design_document
        late = f"no answer within {sandbox.limits.seconds:g} s"
        if isinstance(error, OutOfMemory):  # found by decode: the engine could still report it
            self._drop(process, sandbox.number)
            return error
        if isinstance(error, Letter):
            if error.letter == b"O":
                return OutputTooLarge("the output is too large or unreadable", design_document=name)
            process.open_contexts.pop(sandbox.number, None)
            if error.letter == b"T":
                return TimedOut(late, design_document=name)
            if error.letter != b"M":
                return WorkerCrashed(f"the JavaScript context broke: {error.text}", design_document=name)
            return OutOfMemory("the function takes too much memory", design_document=name)
        if self._closed:
            return WorkerClosed("the JavaScript pool was closed")
        if isinstance(error, ProcessEnded) and error.expired:
            return TimedOut(late, design_document=name)
        return WorkerCrashed("the JavaScript engine died", design_document=name)

    def put_back(self, process: WorkerProcess) -> None:
        """Return a process that was taken for a call; a dead or superfluous one is ended."""
        state = self._states[-1]
        with state.lock:
            if process not in state.alive or process in state.idle:
                return
            if not process.dead and not self._closed and len(state.idle) < state.turns.seats:
                state.idle.append(process)
                return
        self._end(state, process)

    def ask(
        self, process: WorkerProcess, sandbox: Sandbox, line: str, operation: str, text: bytes
    ) -> tuple[bytes, bytes]:
        """Ask a process, and return the letter and the text of its answer: R, or A for a question."""
        words = f"{line} {sandbox.limits.inner_seconds():.3f} {operation}".rstrip()
        letter, answer = process.request(words, text, sandbox.limits.seconds)
        if letter != b"R" and letter != b"A":
            raise Letter(letter, answer)
        return letter, answer

    def understood(self, reply: tuple[bytes, bytes]) -> tuple[Any, list[str]]:
        """Return the result and the log lines of an answer R."""
        letter, answer = reply
        if letter != b"R":
            raise Letter(letter, answer)
        parsed = self.load(answer)
        logs = parsed.get("logs") if isinstance(parsed, dict) else None
        if not isinstance(logs, list):
            raise Letter(b"O", b"")
        return parsed.get("result"), [message for message in logs if isinstance(message, str)]

    def log(self, sandbox: Sandbox, lines: Sequence[str]) -> None:
        """Pass on what a function logged, after its turn: the listener may call functions."""
        for line in lines:
            self._on_log(sandbox.key, line)

    # ---- processes and the contexts in them --------------------------------------------------------------------------

    def _renew(self) -> None:
        self._states.append(_State(self.limits.workers))

    def _process(self, state: _State, sandbox: Sandbox) -> tuple[WorkerProcess, bool]:
        """Take an idle process, one with the sandbox's context if possible, else a new one; and whether it is new."""
        with state.lock:
            place = next((n for n, each in enumerate(state.idle) if sandbox.number in each.open_contexts), -1)
            found = state.idle.pop(place) if state.idle else None
        if found is not None and not found.dead:
            return found, False
        if found is not None:
            self._end(state, found)
        process = WorkerProcess(self.engine, self.limits)
        with state.lock:
            state.alive.add(process)
        if self._closed:  # since the turn began
            self._end(state, process)
            raise WorkerClosed("the JavaScript pool is closed")
        return process, True

    @staticmethod
    def _end(state: _State, process: WorkerProcess) -> None:
        process.kill()
        with state.lock:
            state.alive.discard(process)

    def _prepare(self, process: WorkerProcess, sandbox: Sandbox, identifiers: Sequence[str]) -> None:
        """Make sure that the context is open, the functions compiled, and that not too many others live beside it."""
        contexts = process.open_contexts
        for number in [number for number in contexts if number not in self._used]:
            self._drop(process, number)
        found = contexts.get(sandbox.number)
        if found is not None and found.generation != sandbox.generation:
            self._drop(process, sandbox.number)
            found = None
        if found is not None:
            contexts.move_to_end(sandbox.number)
        else:
            while len(contexts) >= self.limits.contexts:
                self._drop(process, next(iter(contexts)))
            found = contexts[sandbox.number] = OpenContext(sandbox.generation, {})
            line = f"open {sandbox.number} {sandbox.limits.memory}"
            self.understood(self.ask(process, sandbox, line, "", sandbox.text))
        for identifier in identifiers:
            function = sandbox.functions[identifier]
            if found.compiled.get(identifier) == function:
                continue
            order = self.dump({"id": identifier, "kind": function[0], "source": function[1]})
            reply = self.ask(process, sandbox, f"call {sandbox.number}", "compile", order)
            sandbox.check_compiled(self.understood(reply)[0], function[1])
            found.compiled[identifier] = function

    @staticmethod
    def _drop(process: WorkerProcess, number: int) -> None:
        if process.open_contexts.pop(number, None) is not None and not process.dead:
            process.tell(f"drop {number}")
