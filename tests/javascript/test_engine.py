"""Which engine is taken, and what is said when there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pouchdb_core.javascript
from pouchdb_core.javascript import (
    Engine,
    EngineMissing,
    JavaScriptPool,
    Js2Py,
    QuickJS,
    SandboxKey,
    builtin_engines,
    choose_engine,
)


class Fake(Engine):
    """An engine of a plug-in."""

    install = "pip install fake"

    def __init__(self, name: str, priority: int = 0, module: str = "json", opt_in: bool = False) -> None:
        self.name = name
        self.priority = priority
        self.modules = (module,)
        self.opt_in = opt_in

    @property
    def inside(self) -> Path:
        return QuickJS().inside


def test_highest_priority_that_is_available() -> None:
    engines = [Fake("low", 1), Fake("high", 2), Fake("absent", 3, "no_such_module"), Fake("asked for", 4, opt_in=True)]
    assert choose_engine(engines).name == "high"


def test_by_name() -> None:
    engines = [Fake("low", 1), Fake("asked for", 4, opt_in=True)]
    assert choose_engine(engines, "asked for").name == "asked for"
    assert choose_engine(engines, "low").name == "low"


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(EngineMissing, match=r"'v8'.*known are: a, b"):
        choose_engine([Fake("b"), Fake("a")], "v8")


@pytest.mark.parametrize("name", [None, "absent"])
def test_missing_engine_says_the_cure(name: str | None) -> None:
    with pytest.raises(EngineMissing, match="pip install fake"):
        choose_engine([Fake("absent", 1, "no_such_module")], name)


def test_no_engine_at_all() -> None:
    with pytest.raises(EngineMissing, match="plug-in"):
        choose_engine([])


def test_two_of_one_name() -> None:
    with pytest.raises(ValueError, match="two JavaScript engines are called 'a': Fake and Fake"):
        choose_engine([Fake("a"), Fake("a")])


def test_builtin_engines() -> None:
    quickjs, js2py = builtin_engines()
    assert (quickjs.name, quickjs.opt_in, quickjs.install) == ("quickjs-ng", False, "pip install quickjs-ng")
    assert (js2py.name, js2py.opt_in) == ("js2py", True)
    assert isinstance(quickjs, QuickJS)
    assert isinstance(js2py, Js2Py)


def test_a_call_without_the_engine_says_the_cure() -> None:
    worker = JavaScriptPool(Fake("absent", 1, "no_such_module"))
    sandbox = worker.open(SandboxKey("db", "_design/a", "1-a"), {})
    for _ in range(2):
        with pytest.raises(EngineMissing, match="pip install fake"):
            sandbox.compile("m", "map", "function (doc) {}")


class Other(QuickJS):
    """PyPI's abandoned `quickjs`, as far as its import name goes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        text = "class Context:\n    def eval(self, source):\n        return False\n"
        (folder / "_quickjs.py").write_text(text)

    def folders(self) -> list[str] | None:
        return [str(self._folder)]


def test_the_other_quickjs_is_refused(tmp_path: Path) -> None:
    worker = JavaScriptPool(Other(tmp_path))
    with pytest.raises(EngineMissing, match=r"not quickjs-ng.*pip uninstall quickjs"):
        worker.open(SandboxKey("db", "_design/a", "1-a"), {}).compile("m", "map", "function (doc) {}")


def test_import_needs_no_engine() -> None:
    program = """
import sys
for name in ("_quickjs", "quickjs", "js2py"):
    sys.modules[name] = None
from pouchdb_core.javascript import *
try:
    choose_engine(builtin_engines())
except EngineMissing as error:
    print(error)
"""
    root = str(Path(pouchdb_core.javascript.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert "pip install quickjs-ng" in done.stdout


def test_import_does_not_load_the_engine_into_this_process() -> None:
    program = (
        "import sys, pouchdb_core.javascript as j; [e.available() for e in j.builtin_engines()]; print(*sys.modules)"
    )
    root = str(Path(pouchdb_core.javascript.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert {"_quickjs", "quickjs", "js2py"}.isdisjoint(done.stdout.split())
