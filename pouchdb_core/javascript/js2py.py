"""js2py's interpreter, the fallback in pure Python for platforms without a wheel of quickjs-ng; used only by name.

ES5.1 without Date, about twenty-five times slower, and without a memory limit on macOS and Windows.
"""

from __future__ import annotations

from pathlib import Path

from pouchdb_core.javascript.engine_interface import Engine


class Js2Py(Engine):
    """The distribution js2py, of which only the bytecode interpreter is used."""

    name = "js2py"
    priority = 0
    opt_in = True
    install = 'pip install "pouchdb[js2py]"'
    modules = ("js2py", "pyjsparser", "six")

    @property
    def inside(self) -> Path:
        return Path(__file__).with_name("inside_js2py.py")
