"""The environment's JavaScript worker: one process shared by all databases and threads of an environment.

`JavaScriptWorker` starts the process on the first use, restarts it after a kill, keeps the note of which contexts live
in it, and turns the worker's letters into errors. What is asked of a context is in sandbox.py.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from pouchdb_core.javascript.engine_interface import Engine, Limits
from pouchdb_core.javascript.javascript_errors import (
    LimitError,
    OutOfMemory,
    OutputTooLarge,
    TimedOut,
    WorkerClosed,
    WorkerCrashed,
)
from pouchdb_core.javascript.process import ProcessEnded, WorkerProcess
from pouchdb_core.javascript.sandbox import Sandbox

T = TypeVar("T")
Dumps = Callable[[Any], "bytes | str"]
Loads = Callable[[bytes], Any]

_LOGGER = logging.getLogger("pouchdb.javascript")


class SandboxKey(NamedTuple):
    """What a context belongs to: contexts share nothing, so nothing else shares one."""

    database: str
    design_document: str  # its id
    revision: str

    def __str__(self) -> str:
        return f"{self.design_document} of database {self.database}"


class _State:
    """What belongs to one process of the program; a forked child begins with another one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.process: WorkerProcess | None = None


class _Letter(Exception):
    """The worker answered with a letter other than R."""

    def __init__(self, letter: bytes, text: bytes) -> None:
        super().__init__(letter)
        self.letter = letter
        self.text = text.decode("utf-8", "replace")


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _shut_down(states: dict[int, _State]) -> None:
    state = states.get(os.getpid())
    if state is not None and state.process is not None:
        state.process.kill()


class JavaScriptWorker:
    """Runs JavaScript functions in a killable process; thread-safe; survives fork, where a child starts its own.

    `dumps` and `loads` are the JSON codec (orjson's functions, say); the default is the standard library's. `on_log`
    receives what functions say through log(), after the call; the default is the logger `pouchdb.javascript`.
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
        self._dropped: deque[int] = deque()
        self._sandboxes: weakref.WeakValueDictionary[SandboxKey, Sandbox] = weakref.WeakValueDictionary()
        self._strikes: dict[tuple[SandboxKey, int], int] = {}
        self._closed = False
        # One entry per process that ever used this object. Entries of other processes are never touched again: their
        # locks may be held and their pipes are not ours. setdefault is atomic, so no lock is needed to find the lock.
        self._states: dict[int, _State] = {}
        self._finalizer = weakref.finalize(self, _shut_down, self._states)

    def open(
        self, key: SandboxKey, design_document: Mapping[str, Any] | bytes, limits: Limits | None = None
    ) -> Sandbox:
        """Return the sandbox of a design document revision; the same one while it is in use and the content is equal.

        Starts nothing: the process and the context come with the first call.
        """
        if self._closed:
            raise WorkerClosed("the JavaScript worker is closed")
        text = self.dump(design_document)
        known = self._sandboxes.get(key)
        if known is not None and known.text == text and known.limits == (limits or self.limits):
            return known
        sandbox = Sandbox(self, next(self._numbers), key, text, limits or self.limits)
        weakref.finalize(sandbox, self._dropped.append, sandbox.number).atexit = False
        self._sandboxes[key] = sandbox
        return sandbox

    def close(self) -> None:
        """End the process at once, also in the middle of another thread's call, which then raises WorkerClosed."""
        self._closed = True
        state = self._states.get(os.getpid())
        if state is None:
            return
        process = state.process
        if process is not None:
            process.interrupt()
        with state.lock:
            if state.process is not None:
                state.process.kill()
                state.process = None

    @property
    def pid(self) -> int | None:
        """The id of the running process; None before the first use and after a kill."""
        state = self._states.get(os.getpid())
        return state.process.pid if state is not None and state.process is not None else None

    def release(self, key: SandboxKey) -> None:
        """Lift the quarantine of a design document."""
        for known in [known for known in self._strikes if known[0] == key]:
            del self._strikes[known]

    # ---- for Sandbox ------------------------------------------------------------------------------------------------

    def dump(self, value: Any) -> bytes:
        """Return JSON text on one line; bytes are taken for JSON text already."""
        text = value if type(value) is bytes else self._plain_dumps(value)
        if type(text) is not bytes:
            text = text.encode() if isinstance(text, str) else bytes(text)
        if b"\n" in text or b"\r" in text:
            # Between tokens line breaks are allowed, inside of strings they cannot be: spaces mean the same.
            text = text.replace(b"\n", b" ").replace(b"\r", b" ")
        return text

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the process: no other thread's call comes between."""
        state = self._state()
        with state.lock:
            yield

    def discard(self, sandbox: Sandbox) -> None:
        """Throw the sandbox's context away; the next call makes a new one."""
        state = self._state()
        with state.lock:
            if state.process is not None and not state.process.dead:
                try:
                    self._drop(state.process, sandbox.number)
                except ProcessEnded:
                    state.process = None

    def run(self, sandbox: Sandbox, operation: str, text: bytes, decode: Callable[[Any], T], *, units: int) -> T:
        """Run one operation in the sandbox's context and decode its result.

        A call that fails for memory or a crash in a process that had a past is tried once more in a new one: then it
        was not the fault of somebody else. A time-out of a single unit is a strike.
        """
        state = self._state()
        with state.lock:
            self._admit(sandbox)
            try:
                decoded, logs = self._attempt(state, sandbox, operation, text, decode)
            except LimitError as error:
                if units == 1 and isinstance(error, (TimedOut, WorkerCrashed)):
                    identity = (sandbox.key, hash(sandbox.text))
                    self._strikes[identity] = self._strikes.get(identity, 0) + 1
                raise
        for message in logs:
            self._on_log(sandbox.key, message)
        return decoded

    def _state(self) -> _State:
        pid = os.getpid()
        return self._states.get(pid) or self._states.setdefault(pid, _State())

    def _admit(self, sandbox: Sandbox) -> None:
        if self._closed:
            raise WorkerClosed("the JavaScript worker is closed")
        if self._strikes.get((sandbox.key, hash(sandbox.text)), 0) >= sandbox.limits.strikes:
            raise TimedOut(
                f"stopped {sandbox.limits.strikes} times; runs again when the design document changes",
                design_document=sandbox.key.design_document,
            )

    def _attempt(
        self, state: _State, sandbox: Sandbox, operation: str, text: bytes, decode: Callable[[Any], T]
    ) -> tuple[T, list[str]]:
        name = sandbox.key.design_document
        seconds = sandbox.limits.seconds
        while True:
            fresh = state.process is None or state.process.dead
            if state.process is None or state.process.dead:
                state.process = WorkerProcess(self.engine, self.limits)
            process = state.process
            try:
                self._prepare(process, sandbox)
                result, logs = self._ask(process, sandbox, f"call {sandbox.number}", operation, text)
                return decode(result), logs
            except OutOfMemory as error:  # found by decode: the engine could still say it
                process.open_contexts.pop(sandbox.number, None)
                process.tell(f"drop {sandbox.number}")
                failure: LimitError = error
            except ProcessEnded as ended:
                if self._closed:
                    raise WorkerClosed("the JavaScript worker was closed") from None
                if ended.expired:
                    raise TimedOut(f"no answer within {seconds:g} s", design_document=name) from None
                failure = WorkerCrashed("the JavaScript engine died", design_document=name)
            except _Letter as answer:
                if answer.letter == b"O":
                    raise OutputTooLarge("the output is too large or unreadable", design_document=name) from None
                process.open_contexts.pop(sandbox.number, None)
                if answer.letter == b"T":
                    raise TimedOut(f"no answer within {seconds:g} s", design_document=name) from None
                if answer.letter != b"M":
                    raise WorkerCrashed(f"the JavaScript context broke: {answer.text}", design_document=name) from None
                failure = OutOfMemory("the function takes too much memory", design_document=name)
            if fresh:
                raise failure
            process.kill()

    def _prepare(self, process: WorkerProcess, sandbox: Sandbox) -> None:
        """Make sure that the context is open, the functions compiled, and that not too many others live beside it."""
        contexts = process.open_contexts
        while self._dropped:
            self._drop(process, self._dropped.popleft())
        if sandbox.number in contexts:
            contexts.move_to_end(sandbox.number)
            return
        while len(contexts) >= self.limits.contexts:
            self._drop(process, next(iter(contexts)))
        contexts[sandbox.number] = None
        self._ask(process, sandbox, f"open {sandbox.number} {sandbox.limits.memory}", "", sandbox.text)
        for identifier, (kind, source) in sandbox.functions.items():
            order = self.dump({"id": identifier, "kind": kind, "source": source})
            result, _ = self._ask(process, sandbox, f"call {sandbox.number}", "compile", order)
            sandbox.check_compiled(result, source)

    @staticmethod
    def _drop(process: WorkerProcess, number: int) -> None:
        if number in process.open_contexts:
            del process.open_contexts[number]
            process.tell(f"drop {number}")

    def _ask(
        self, process: WorkerProcess, sandbox: Sandbox, line: str, operation: str, text: bytes
    ) -> tuple[Any, list[str]]:
        words = f"{line} {sandbox.limits.inner_seconds():.3f} {operation}".rstrip()
        letter, answer = process.request(words, text, sandbox.limits.seconds)
        if letter != b"R":
            raise _Letter(letter, answer)
        try:
            parsed = self._loads(answer)
        except (ValueError, RecursionError):
            raise _Letter(b"O", b"") from None
        logs = parsed.get("logs") if isinstance(parsed, dict) else None
        if not isinstance(logs, list):
            raise _Letter(b"O", b"")
        return parsed.get("result"), [message for message in logs if isinstance(message, str)]
