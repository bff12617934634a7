"""luqum's parser, built without writing files.

luqum builds its parser with ply when it is imported. ply compares the tables that luqum ships with the grammar's
docstrings, and Python 3.13 strips their indentation: there it finds them stale, reports that on the standard error,
and writes new ones and a log into site-packages, which several processes may do at once or may not be allowed to.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

from ply import yacc  # type: ignore[import-untyped]  # luqum's dependency, which its parser imports

__all__ = ["lexer", "parser"]

_LOCK = threading.Lock()


def _imported() -> Any:
    build = yacc.yacc

    def quietly(**options: Any) -> Any:
        # The module is given because ply would take the globals of its caller, which are ours here.
        fixed = {"module": sys.modules["luqum.parser"], "debug": False, "write_tables": False}
        return build(**fixed, errorlog=yacc.NullLogger(), **options)

    with _LOCK:
        yacc.yacc = quietly
        try:
            return importlib.import_module("luqum.parser")
        finally:
            yacc.yacc = build


_MODULE = _imported()
lexer: Any = _MODULE.lexer
parser: Any = _MODULE.parser
