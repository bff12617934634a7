"""quickjs-ng, the default engine: MIT, ES2025, a small wheel for every platform."""

from __future__ import annotations

from pathlib import Path

from pouchdb_core.javascript.engine_interface import Engine


class QuickJS(Engine):
    """The distribution quickjs-ng. That the module is not PyPI's older `quickjs` is checked in the worker."""

    name = "quickjs-ng"
    priority = 100
    install = "pip install quickjs-ng"
    modules = ("_quickjs",)

    @property
    def inside(self) -> Path:
        return Path(__file__).with_name("inside_quickjs.py")
