"""The hooks of views: what they collect, and what they refuse at set-up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import BadRequest, FunctionError, PluginError
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


WRONG_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"js_engine": "nothing"}, "no JavaScript engine 'nothing'; known are: js2py, quickjs-ng"),
    ({"js_engine": 5}, "no JavaScript engine 5"),
    ({"js_limits": 5}, "js_limits is a mapping of seconds, memory"),
    ({"js_limits": {"time": 5}}, "no limit 'time'; there are: seconds, memory"),
    ({"js_limits": {"seconds": "5"}}, "seconds must be a number above 0"),
    ({"js_limits": {"seconds": float("nan")}}, "seconds must be a number above 0"),
    ({"js_limits": {"memory": 0}}, "memory must be a whole number above 0"),
    ({"js_limits": {"memory": 1.5}}, "memory must be a whole number above 0"),
    ({"js_limits": {"strikes": True}}, "strikes must be a whole number above 0"),
]


@pytest.mark.parametrize(("settings", "text"), WRONG_SETTINGS, ids=str)
def test_settings_of_javascript_are_checked_at_set_up(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        pouchdb.setup(":memory:", plugins=[], **settings)


def test_limits_of_javascript_are_settings() -> None:
    with pouchdb.setup(":memory:", plugins=[], js_limits={"seconds": 0.3}) as env:
        db = env["db"]
        db.put({"_id": "x"})
        with pytest.raises(FunctionError, match=r"within 0\.3 s"):
            db.query("function (doc) { while (true) {} }")
    kept = []
    for megabytes in (8, 200):
        with pouchdb.setup(":memory:", plugins=[], js_limits={"memory": megabytes * 2**20}) as env:
            db = env["db"]
            db.put({"_id": "x"})
            kept.append(len(db.query("function (doc) { emit(new Array(9e6).join('x').length); }").rows))
    assert kept == [0, 1]


NO_ENGINE = """
import sys
for name in ("_quickjs", "quickjs", "js2py", "pyjsparser"):
    sys.modules[name] = None
import pouchdb
db = pouchdb.setup(":memory:", plugins=[])["here"]
view = {"map": "function (doc) { emit(doc.n); }"}
db.put({"_id": "_design/js", "views": {"n": view}, "filters": {"n": "function (doc) { return doc.n; }"}})
db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}])
db.replicate_to("there")
there = db.environment["there"]
assert there.get("_design/js") == db.get("_design/js")
assert [row.key for row in there.query(lambda doc: [(doc["n"], 1)]).rows] == [1, 2]
assert len(there.changes(filter=lambda doc: doc.get("n") == 2).results) == 1
for call in (
    lambda: there.query("js/n"),
    lambda: there.query("function (doc) { emit(1); }"),
    lambda: there.changes(filter="js/n"),
    lambda: there.changes(view="js/n"),
):
    try:
        call()
    except pouchdb.PouchDBError as error:
        print(error.status, error.name, error.message)
"""


def test_without_an_engine_everything_works_but_javascript() -> None:
    done = subprocess.run([sys.executable, "-c", NO_ENGINE], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("501 javascript_engine_missing ") for line in lines)
    assert all("run: pip install quickjs-ng" in line for line in lines)


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
