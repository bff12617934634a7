"""The JavaScript worker: a program run by path that executes untrusted functions and is killed if it takes too long.

It imports only the standard library and one engine, and as little as possible of the former: start time counts. It
knows nothing about documents or views: it keeps contexts by number and hands text to their dispatcher (core.js).

    python -I -S worker.py INSIDE CORE MEMORY OUTPUT [FOLDER ...]

INSIDE is the engine's file (inside_*.py), CORE is core.js, MEMORY the limit of the whole process in bytes, OUTPUT the
largest answer in bytes, FOLDERs are searched for the engine's modules after the standard library.

Frames have four bytes of length, most significant first. A request is one line of words, then the text:

    open NUMBER MEMORY SECONDS  + design document    answered as a call
    call NUMBER SECONDS OPERATION  + text            answered
    drop NUMBER                                      not answered
    answer SECONDS  + text                           to a letter A, answered

SECONDS are a fraction of the parent's deadline. An answer is one letter and a text: H hello (name of the engine), N no
engine (why), R result, T time limit, M memory limit, O output too large, X the context broke, A the function asks for
something in the middle of its call (a word, a line break, a text): it waits for `answer`. After T, M and X the context
is gone.
"""

import os
import sys
from types import ModuleType
from typing import Any, BinaryIO


def confine(memory: int) -> None:
    """Limit the process as far as the platform can: the one place where platforms differ.

    Linux enforces all of these. macOS ignores RLIMIT_AS, so only the engine's own memory limit holds there (quickjs-ng
    has one, js2py has none). Windows has no such limits at all; there, too, the engine's own and the parent's deadline
    apply.
    """
    try:
        import resource
    except ImportError:
        return
    limits = {"RLIMIT_AS": memory, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": 0, "RLIMIT_NPROC": 0}
    for name, limit in limits.items():
        number = getattr(resource, name, None)
        if number is None:
            continue
        hard = resource.getrlimit(number)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        try:
            resource.setrlimit(number, (limit, limit))
        except (OSError, ValueError):  # a container may forbid it: the engine's limits and the deadline still apply
            continue


def limit_processor_time(seconds: float) -> None:
    """End this process by itself if the parent that watches it is gone: the kernel counts CPU seconds."""
    try:
        import resource
        import time
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(time.process_time() + seconds) + 3
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


class Worker:
    """Contexts by number, and the frames that come and go."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, inside: ModuleType, core: str, largest: int) -> None:
        self._source = source
        self._sink = sink
        self._inside = inside
        self._core = core
        self._largest = largest
        self._contexts: dict[bytes, Any] = {}

    def send(self, letter: bytes, text: bytes) -> None:
        """Write one answer."""
        self._sink.write((len(text) + 1).to_bytes(4, "big") + letter + text)
        self._sink.flush()

    def receive(self) -> bytes | None:
        """Read one request; None at the end, also at an unfinished one."""
        head = self._source.read(4)
        if len(head) < 4:
            return None
        length = int.from_bytes(head, "big")
        frame = self._source.read(length)
        return frame if len(frame) == length else None

    def ask(self, verb: str, text: str) -> str:
        """Ask the parent in the middle of a call, and wait for its answer."""
        question = text.encode("utf-8", "surrogatepass")
        if len(question) > self._largest:
            self.send(b"O", str(len(question)).encode())
            self.receive()  # the end: the parent kills a worker that sends O in the middle of a call
        else:
            self.send(b"A", verb.encode() + b"\n" + question)
        frame = self.receive()
        if frame is None:
            os._exit(1)  # the parent is gone, and foreign code is running here
        line, _, answer = frame.partition(b"\n")
        limit_processor_time(float(line.split(b" ")[1]))
        return answer.decode()

    def serve(self) -> None:
        """Answer requests until the parent closes the pipe."""
        while (frame := self.receive()) is not None:
            line, _, text = frame.partition(b"\n")
            verb, number, *words = line.split(b" ")
            if verb == b"drop":
                self._contexts.pop(number, None)
                continue
            try:
                letter, answer = b"R", self._answer(verb, number, words, text)
                if len(answer) > self._largest:
                    letter, answer = b"O", str(len(answer)).encode()
            except TimeoutError:
                letter, answer = b"T", b""
            except MemoryError:
                letter, answer = b"M", b""
            except Exception as error:
                letter, answer = b"X", f"{type(error).__name__}: {error}"[:2000].encode("utf-8", "replace")
            if letter in b"TMX":
                self._contexts.pop(number, None)
            self.send(letter, answer)

    def _answer(self, verb: bytes, number: bytes, words: list[bytes], text: bytes) -> bytes:
        if verb == b"open":
            memory, seconds = int(words[0]), float(words[1])
            limit_processor_time(seconds)
            context = self._inside.Context(self._core, memory, seconds, self.ask)
            self._contexts[number] = context
            operation = "open"
        else:
            limit_processor_time(float(words[0]))
            context = self._contexts[number]
            operation = words[1].decode()
        answer: str = context.call(operation, text.decode())
        return answer.encode("utf-8", "surrogatepass")


def load(path: str) -> ModuleType:
    """Run the file of an engine as a module, without the import system (and its cost)."""
    module = ModuleType("inside")
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)
    return module


def main(inside_path: str, core_path: str, memory: int, largest: int, folders: list[str]) -> None:
    """Take over the pipes, load the engine, say hello, drop all rights, serve."""
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # nothing that prints can write into the frames
    os.close(silence)
    sys.path += folders
    with open(core_path, encoding="utf-8") as file:
        core = file.read()
    letter, hello = b"H", ""
    try:
        inside = load(inside_path)
        hello = inside.identify()
    except ImportError as error:
        letter, hello, inside = b"N", str(error), ModuleType("none")
    confine(memory)
    worker = Worker(source, sink, inside, core, largest)
    worker.send(letter, hello.encode())
    if letter == b"H":
        worker.serve()


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(1)
    os._exit(0)  # nothing to clean up, and nothing of the engine's to wait for
