"""The hooks of views: what they collect, and what they refuse at set-up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import FunctionError, PluginError
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.javascript import Engine
from pouchdb_core.views import IndexKind
from pouchdb_core.views.python import PythonFunctions
from pouchdb_core.views.reduce import ReduceFunction
from pouchdb_core.views.servers import ViewServer


class Nowhere(Engine):
    name = "nowhere"
    priority = 1000
    install = "pip install nowhere"
    modules = ("no_such_module_at_all",)

    @property
    def inside(self) -> Path:
        return Path("nowhere.py")


def test_hook_javascript_engines() -> None:
    class Plugin:
        @hookimpl
        def pouchdb_javascript_engines(self) -> list[Engine]:
            return [Nowhere()]

    with pouchdb.setup(":memory:", plugins=[Plugin()]) as env:
        # Of those that are installed the best is taken: not this one.
        assert env["db"].query("function (doc) { emit(1) }").rows == []
        assert "nowhere" in env.engine.plugins.javascript_engines()
    with pouchdb.setup(":memory:", plugins=[Plugin()], js_engine="nowhere") as env:
        db = env["db"]
        db.put({"_id": "_design/a", "views": {"a": {"map": "function (doc) { emit(1) }"}}})
        with pytest.raises(FunctionError, match="pip install nowhere") as caught:
            db.query("function (doc) { emit(1) }")
        assert (caught.value.status, caught.value.name) == (501, "javascript_engine_missing")
        db.put({"_id": "x"})
        with pytest.raises(FunctionError, match="pip install nowhere"):
            db.query("a")
        assert db.query(lambda doc: [(doc["_id"], 1)]).rows[0].id == "x"


class Upper(ViewServer):
    language = "upper"

    def open(self, database: Any, ddoc: Any) -> Any:
        class Functions(PythonFunctions):
            def compile(self, identifier: str, kind: str, source: Any) -> None:
                super().compile(identifier, kind, lambda doc: [(doc["_id"].upper(), source)])

        return Functions({}, ddoc["_id"])


def test_hook_view_servers() -> None:
    class Plugin:
        @hookimpl
        def pouchdb_view_servers(self) -> list[ViewServer]:
            return [Upper()]

    with pouchdb.setup(":memory:", plugins=[Plugin()]) as env:
        db = env["db"]
        db.put({"_id": "_design/a", "language": "upper", "views": {"a": {"map": "anything"}}})
        db.put({"_id": "x"})
        assert db.query("a").rows == [{"id": "x", "key": "X", "value": "anything"}]
    with pouchdb.setup(":memory:", plugins=[]) as env:
        db = env["db"]
        db.put({"_id": "_design/a", "language": "upper", "views": {"a": {"map": "anything"}}})
        with pytest.raises(FunctionError, match="no plug-in runs functions in 'upper'; there are: javascript, python"):
            db.query("a")


class Longest(ReduceFunction):
    name = "_longest"

    def reduce(self, keys: Any, values: Any) -> Any:
        return max(map(len, values))

    def rereduce(self, partials: Any) -> Any:
        return max(partials)


def test_hook_reduce_functions() -> None:
    class Plugin:
        @hookimpl
        def pouchdb_reduce_functions(self) -> list[ReduceFunction]:
            return [Longest()]

    with pouchdb.setup(":memory:", plugins=[Plugin()]) as env:
        db = env["db"]
        db.bulk_docs([{"_id": f"{'x' * n}"} for n in range(1, 50)])
        assert db.query(lambda doc: [(len(doc["_id"]) % 2, doc["_id"])], reduce="_longest", group=True).rows == [
            {"key": 0, "value": 48},
            {"key": 1, "value": 49},
        ]


class Twice(IndexKind):
    name = "views"

    def definition(self, database: Any, ddoc: Any) -> Any:
        return None

    def open(self, database: Any, place: Any) -> Any:
        raise AssertionError


def test_hook_index_kinds() -> None:
    """Kinds that work are in test_index.py."""

    class Plugin:
        @hookimpl
        def pouchdb_index_kinds(self) -> list[IndexKind]:
            return [Twice()]

    with pytest.raises(PluginError, match=r"'core-mapreduce' and 'Plugin-.*' both bring 'views'"):
        pouchdb.setup(":memory:", plugins=[Plugin()])


def test_what_has_no_name_is_refused_at_set_up() -> None:
    class Plugin:
        @hookimpl
        def pouchdb_reduce_functions(self) -> list[Any]:
            return [object()]

    with pytest.raises(PluginError, match="which has no name"):
        pouchdb.setup(":memory:", plugins=[Plugin()])
