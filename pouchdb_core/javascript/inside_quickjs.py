"""QuickJS-ng inside the worker: runs in the worker's process, never imported by the package (see engine_interface.py).

`identify()` says which engine is installed or raises ImportError with a message that says what to do. `Context` is one
JavaScript context with the core of core.js loaded. Its `call` raises TimeoutError or MemoryError when a limit was hit
and anything else when the context is broken; in all three cases the context must be thrown away.
"""

import importlib
from collections.abc import Callable
from typing import Any

# Imported by its inner name: the outer module `quickjs` starts a thread on import.
_quickjs: Any = importlib.import_module("_quickjs")

_STACK = 768 * 1024  # less than the 1 MB that Windows gives to the main thread


def identify() -> str:
    """Return the name of the engine; raise ImportError when it is PyPI's other, abandoned `quickjs`."""
    probe = _quickjs.Context()
    if not probe.eval("typeof Iterator === 'function' && typeof SuppressedError === 'function'"):
        raise ImportError(
            "the installed module quickjs is not quickjs-ng but an abandoned package with the same import name; "
            "run: pip uninstall quickjs && pip install --force-reinstall quickjs-ng"
        )
    return "quickjs-ng"


class Context:
    """One isolated JavaScript runtime that runs the dispatcher of core.js."""

    def __init__(self, core: str, memory: int, seconds: float, host: Callable[[str, str], str]) -> None:
        self._seconds = seconds
        self._context = _quickjs.Context()
        self._context.set_memory_limit(memory)
        self._context.set_max_stack_size(_STACK)
        self._context.add_callable("host", host)
        # Taken from the global object before any other code runs.
        take = "(function (host) { delete globalThis.host; return host; })(host)"
        self._dispatch = self._context.eval(f"({core}\n)(globalThis, {take})")

    def call(self, operation: str, text: str) -> str:
        """Run one operation of the dispatcher."""
        # QuickJS does not call Python while it counts the time; -1 means no limit.
        self._context.set_time_limit(-1 if operation == "converse" else self._seconds)
        try:
            answer = self._dispatch(operation, text)
        except _quickjs.JSException as error:
            first = str(error).partition("\n")[0]
            if first == "InternalError: interrupted":
                raise TimeoutError(first) from None
            if first in {"InternalError: out of memory", "null", "undefined"}:  # the last two: no memory for an error
                raise MemoryError(first) from None
            raise
        if type(answer) is not str:
            raise TypeError("the dispatcher did not answer text")
        return answer
