"""The JavaScript engine as a plug-in sees it: what a new engine must provide, and which one is chosen.

An engine has two halves. This half, in the parent, says its name, whether it is available and which file runs in
the worker. The other half is that file (`inside`), executed in the worker's process (worker.py) without the package. It
has two names:

    def identify() -> str
        The engine's name and perhaps version; raises ImportError with a message that says what to do.

    class Context:
        def __init__(self, core: str, memory: int, seconds: float, host: Callable[[str, str], str]) -> None
            Evaluate `core`, an ES5 function expression, call it with the global object and a function that calls
            `host`, and keep the function it returns. Limit the context to `memory` bytes and each call to `seconds`
            as far as the engine can.
        def call(self, operation: str, text: str) -> str
            Call that function with two strings, return the string it returns. Raise TimeoutError or MemoryError for a
            limit, anything else when the context is broken. `host` is called only in the middle of the operation
            "converse", for which an engine whose time limit forbids that lifts it: the parent's deadline holds.

That is all: text to text. The rest is the same for every engine.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pouchdb_core.javascript.javascript_errors import EngineMissing
from pouchdb_core.safe_repr import safe_repr


def _workers() -> int:
    return max(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class Limits:
    """What an untrusted function may use. All are settable per pool; most also per sandbox."""

    seconds: float = 5.0  # the deadline of one call: of a batch of documents, of one document when the batch was too
    # slow, of a list function's work on one portion of rows
    memory: int = 64 * 2**20  # of one context
    process_memory: int = 768 * 2**20  # of the whole worker process, where the platform can limit it
    output: int = 32 * 2**20  # bytes of one answer; of a list function for each portion of rows
    response: int = 256 * 2**20  # bytes of a response that is collected, in memory or in a temporary file
    start_seconds: float = 30.0  # until the worker says hello
    workers: int = field(default_factory=_workers)  # calls at a time, each in a process that is started when needed
    patience: float = 60.0  # seconds that a call waits for its turn
    streams: int = 8  # more list functions than these are not held for slow clients: their output goes to a file first
    contexts: int = 16  # kept at a time in a process; the least recently used one goes
    strikes: int = 3  # kills until a function is quarantined
    batch_documents: int = 100  # where they are quick, ten times as many
    batch_bytes: int = 256 * 1024

    def inner_seconds(self) -> float:
        """The engine's own limit: a little earlier than the deadline, because it costs only the context."""
        return self.seconds * 0.8


class Engine(ABC):
    """A JavaScript engine that runs in the worker. Two engines with one name are an error at set-up."""

    name: str
    priority: int = 0  # the available one with the highest is used
    opt_in: bool = False  # used only when requested by name
    install: str  # what to type to get it
    modules: tuple[str, ...] = ()  # top-level modules that the inside half imports besides the standard library

    @property
    @abstractmethod
    def inside(self) -> Path:
        """The file that runs in the worker."""

    def folders(self) -> list[str] | None:
        """Return the folders in which the worker finds the engine's modules; None when one of them is missing."""
        found: list[str] = []
        for module in self.modules:
            try:
                spec = importlib.util.find_spec(module)
            except (ImportError, ValueError):  # a module that was added to sys.modules by hand
                return None
            if spec is None or spec.origin is None:
                return None
            place = Path(spec.origin).parent
            folder = str(place.parent if spec.submodule_search_locations else place)
            if folder not in found:
                found.append(folder)
        return found

    def available(self) -> bool:
        """Return cheaply, without importing the engine, whether it seems to be installed."""
        return bool(sys.executable) and self.folders() is not None


def choose_engine(engines: Iterable[Engine], name: str | None = None) -> Engine:
    """Return the engine of that name, else the available one with the highest priority.

    Raises EngineMissing, which says what to install, and ValueError for two engines with one name.
    """
    known: dict[str, Engine] = {}
    for engine in engines:
        if engine.name in known:
            both = f"{type(known[engine.name]).__qualname__} and {type(engine).__qualname__}"
            raise ValueError(f"two JavaScript engines are called {engine.name!r}: {both}")
        known[engine.name] = engine
    if name is not None:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise EngineMissing(f"there is no JavaScript engine {safe_repr(name)}; known are: {names}")
        if not known[name].available():
            raise EngineMissing(f"the JavaScript engine {name!r} is not installed; run: {known[name].install}")
        return known[name]
    usual = sorted((e for e in known.values() if not e.opt_in), key=lambda e: -e.priority)
    for engine in usual:
        if engine.available():
            return engine
    cure = usual[0].install if usual else "install a plug-in with a JavaScript engine"
    raise EngineMissing(f"no JavaScript engine is installed, so JavaScript functions cannot run; run: {cure}")
