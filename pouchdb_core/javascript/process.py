"""One worker process seen from the parent: start, one request at a time, a deadline that kills.

Not thread-safe: the owner (client.py) gives it to one call at a time. Nothing here knows about design documents.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import IO, NamedTuple

from pouchdb_core.javascript.engine_interface import Engine, Limits
from pouchdb_core.javascript.javascript_errors import EngineMissing

_HERE = Path(__file__).parent
_CHUNK = 2**16


class ProcessEnded(Exception):
    """The process is gone; `expired` says whether the deadline killed it."""

    def __init__(self, *, expired: bool) -> None:
        super().__init__("the JavaScript worker ended")
        self.expired = expired


class Letter(Exception):
    """The worker answered with a letter that is not an answer (see worker.py)."""

    def __init__(self, letter: bytes, text: bytes) -> None:
        super().__init__(letter)
        self.letter = letter
        self.text = text.decode("utf-8", "replace")


class _Watchdog:
    """One thread that kills a process at a deadline; arming costs nothing when it is asleep for an earlier one."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._wakes: float | None = None  # when the thread checks next; None: when it is notified
        self._closed = False
        self.expired = False
        threading.Thread(target=self._watch, name="pouchdb-javascript-watchdog", daemon=True).start()

    def arm(self, seconds: float) -> None:
        with self._changed:
            self._deadline = time.monotonic() + seconds
            if self._wakes is None or self._wakes > self._deadline:
                self._changed.notify()

    def disarm(self) -> None:
        with self._changed:
            self._deadline = None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                left = None
                if self._deadline is not None:
                    left = self._deadline - time.monotonic()
                    if left <= 0:
                        self.expired = True
                        self._process.kill()
                        return
                self._wakes = self._deadline
                self._changed.wait(left)


def _environment() -> dict[str, str]:
    """None of our variables are visible to untrusted code; Windows does not start a process without SYSTEMROOT."""
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


def _start(engine: Engine, limits: Limits) -> subprocess.Popen[bytes]:
    folders = engine.folders()
    if folders is None:
        raise EngineMissing(f"the JavaScript engine {engine.name!r} is not installed; run: {engine.install}")
    program = _HERE / "worker.py"
    if not sys.executable or not program.is_file() or not engine.inside.is_file():
        raise EngineMissing("JavaScript needs a Python interpreter (sys.executable) and this package as files on disk")
    sizes = [str(limits.process_memory), str(limits.output)]
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(program), str(engine.inside), str(_HERE / "core.js"), *sizes, *folders],
        bufsize=0,  # nothing is buffered here that a forked child could write a second time
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        close_fds=True,
        cwd=_HERE,  # never the database's folder: Windows could not remove it
        env=_environment(),
        start_new_session=True,  # Ctrl-C is for the program, not for its worker; no effect on Windows
        creationflags=flags,
    )


class OpenContext(NamedTuple):
    """What the owner knows about a context in a process."""

    generation: int  # of its sandbox: an older one is thrown away
    compiled: dict[str, tuple[str, str]]  # identifier: (kind, source)


class WorkerProcess:
    """A running worker. `open_contexts` is the owner's record of the contexts in it, least recently used first."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.open_contexts: OrderedDict[int, OpenContext] = OrderedDict()
        self.dead = False
        self._limits = limits
        self._process = _start(engine, limits)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        self._watchdog = _Watchdog(self._process)
        try:
            letter, text = self._exchange(None, limits.start_seconds)
        except ProcessEnded as ended:
            why = f"did not start within {limits.start_seconds} s" if ended.expired else "did not start"
            raise EngineMissing(f"the JavaScript worker {why} (engine {engine.name!r})") from None
        if letter != b"H":
            self.kill()
            reason = text.decode("utf-8", "replace")
            raise EngineMissing(f"the JavaScript engine {engine.name!r} does not run: {reason}")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def request(self, line: str, text: bytes, seconds: float) -> tuple[bytes, bytes]:
        """Send one request, return letter and text of its answer; raises ProcessEnded, kills on any error.

        Also sends the answer to a question of the worker in the middle of a call (letter A); then `line` is "answer".
        """
        return self._exchange(self._frame(line, text), seconds)

    def send(self, line: str, text: bytes, seconds: float) -> None:
        """Send one request whose answer `receive` reads later; nothing else may be sent in between."""
        if self.dead:
            raise self._end()
        self._watchdog.arm(seconds)
        try:
            self._write(self._frame(line, text))
        except OSError:
            raise self._end() from None
        except BaseException:
            self.kill()
            raise
        self._watchdog.disarm()

    def receive(self, seconds: float) -> tuple[bytes, bytes]:
        """Return letter and text of the answer to what was sent; the time since then does not count."""
        return self._exchange(None, seconds)

    def tell(self, line: str) -> None:
        """Send a request that is not answered."""
        if self.dead:
            raise self._end()
        try:
            self._write(self._frame(line, b""))
        except OSError:
            raise self._end() from None

    @staticmethod
    def _frame(line: str, text: bytes) -> bytes:
        return b"%b%b\n%b" % ((len(line) + 1 + len(text)).to_bytes(4, "big"), line.encode(), text)

    def _exchange(self, frame: bytes | None, seconds: float) -> tuple[bytes, bytes]:
        if self.dead:  # an answer before came together with its deadline, and was a question
            raise self._end()
        self._watchdog.arm(seconds)
        try:
            if frame is not None:
                self._write(frame)
            answer = self._read_frame()
        except (OSError, EOFError):
            raise self._end() from None
        except BaseException:  # KeyboardInterrupt and the like: the answer would be taken for the next one's
            self.kill()
            raise
        self._watchdog.disarm()
        if self._watchdog.expired:  # the answer and the deadline came together: keep the answer, clean up
            self.kill()
        return answer[:1], answer[1:]

    def _write(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            view = view[self._requests.write(view) :]

    def _read_frame(self) -> bytes:
        # Usually one read: each takes as long as many lines of Python.
        chunk = self._answers.read(_CHUNK)
        if len(chunk) < 4:
            if not chunk:
                raise EOFError("the worker closed its pipe")
            chunk += self._read(4 - len(chunk))
        length = int.from_bytes(chunk[:4], "big")
        if not 1 <= length <= self._limits.output + 2**16 or len(chunk) > 4 + length:
            raise EOFError("a frame of a length that no worker of ours sends")
        missing = 4 + length - len(chunk)
        return chunk[4:] + self._read(missing) if missing else chunk[4:]

    def _read(self, length: int) -> bytes:
        chunk = self._answers.read(length)
        if len(chunk) == length:
            return chunk
        chunks = [chunk]
        while chunk:
            length -= len(chunk)
            if not length:
                return b"".join(chunks)
            chunk = self._answers.read(min(length, 2**20))
            chunks.append(chunk)
        raise EOFError("the worker closed its pipe")

    def _end(self) -> ProcessEnded:
        self.kill()
        return ProcessEnded(expired=self._watchdog.expired)

    def interrupt(self) -> None:
        """End the process from another thread: the one that waits for its answer gets ProcessEnded and cleans up."""
        self._process.kill()

    def kill(self) -> None:
        """End the process at once and wait for it; may be called again."""
        self.dead = True
        self._watchdog.close()
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._answers.close()
