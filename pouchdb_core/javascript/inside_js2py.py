"""js2py's bytecode interpreter inside the worker: runs in the worker's process, never imported by the package.

Only `js2py.internals` is loaded. The package itself would load js2py's translator, which lets JavaScript reach Python
(CVE-2024-28397) and does not import on Python 3.12 and later; an empty module takes its place.

The interpreter has no limits: time is the parent's deadline, memory is the process's where the platform has
such a limit. It knows ES5.1 without Date. Bugs of js2py 0.74 that affect this code are fixed here.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_RECURSION = 3000


def _internals(name: str) -> Any:
    return importlib.import_module(f"js2py.internals.{name}")


def _load() -> None:
    folders = [Path(folder) / "js2py" for folder in sys.path]
    found = [str(folder) for folder in folders if (folder / "internals").is_dir()]
    if not found:
        raise ImportError("js2py is not installed; run: pip install js2py")
    package = ModuleType("js2py")
    package.__path__ = found[:1]
    sys.modules["js2py"] = package
    _mend()


def _mend() -> None:
    code, simplex, stringify = _internals("code"), _internals("simplex"), _internals("prototypes.jsjson")
    parser: Any = importlib.import_module("pyjsparser")
    parser.parser.ENABLE_PYIMPORT = False
    parser.parser.ENABLE_JS2PY_ERRORS = lambda message: simplex.MakeError("SyntaxError", str(message))

    # JSON.stringify wrote NaN as NaN, which is not JSON.
    stringify.is_infinity = lambda value: value != value or value in (float("inf"), float("-inf"))

    # JSON.parse could not read null.
    stringify.to_js = lambda value, space: _convert(value, space, simplex.null)

    # String.prototype.split compared letter by letter: ten times as slow as everything else.
    strings = _internals("prototypes.jsstring").StringPrototype
    plain_split = strings.split

    def split(this: Any, arguments: Any) -> Any:
        if type(this) is str and len(arguments) == 1 and type(arguments[0]) is str and arguments[0]:
            return arguments.space.ConstructArray(this.split(arguments[0]))
        return plain_split(this, arguments)

    strings.split = split

    # An exception that passed through a native function (call, bind, sort) left the interpreter in the inner state.
    plain_call = code.Code._call

    def call(self: Any, function: Any, this: Any, arguments: Any) -> Any:
        saved = self.contexts, self.return_locs, self.current_ctx
        try:
            return plain_call(self, function, this, arguments)
        finally:
            self.contexts, self.return_locs, self.current_ctx = saved

    # A Python exception (deep recursion, a bug in the interpreter) becomes one that JavaScript can catch.
    plain_fragment = code.Code._execute_fragment_under_context

    def fragment(self: Any, *arguments: Any) -> Any:
        try:
            return plain_fragment(self, *arguments)
        except (simplex.JsException, MemoryError):
            raise
        except RecursionError:
            raise simplex.MakeError("RangeError", "Maximum call stack size exceeded") from None
        except Exception as error:
            raise simplex.MakeError("Error", f"{type(error).__name__}: {error}") from None

    code.Code._call = call
    code.Code._execute_fragment_under_context = fragment


def _convert(value: Any, space: Any, null: Any) -> Any:
    kind = type(value)
    if kind is str or kind is bool or kind is float:
        return value
    if kind is int:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if value is None:
        return null
    if kind is list:
        return space.ConstructArray([_convert(member, space, null) for member in value])
    return space.ConstructObject({name: _convert(member, space, null) for name, member in value.items()})


def identify() -> str:
    """Return the name of the engine."""
    return "js2py"


class Context:
    """One interpreter that runs the dispatcher of core.js."""

    def __init__(self, core: str, memory: int, seconds: float, host: Callable[[str, str], str]) -> None:
        code = _internals("code").Code()
        generator = _internals("byte_trans").ByteCodeGenerator(code)
        space = _internals("space").Space()
        code.space, space.exe = space, code
        generator.emit(importlib.import_module("pyjsparser").parse(f"({core}\n);"))
        _internals("fill_space").fill_space(space, generator)
        code.compile()
        self._space = space
        self._undefined = _internals("simplex").undefined
        maker = code.run(space.GlobalObj)

        def ask(this: Any, arguments: Any) -> str:
            return host(*arguments)

        native = _internals("base").PyJsFunction(
            ask, None, (), "host", space, None, {}, prototype=space.FunctionPrototype
        )
        self._dispatch = maker.call(self._undefined, (space.GlobalObj, native))

    def call(self, operation: str, text: str) -> str:
        """Run one operation of the dispatcher."""
        answer = self._dispatch.call(self._undefined, (operation, text))
        if type(answer) is not str:
            raise TypeError("the dispatcher did not answer text")
        return answer


_load()
sys.setrecursionlimit(_RECURSION)
for _name in ("seval", "fill_space"):  # all now: no file can be opened later
    _internals(_name)
