"""Which plug-ins there are, and what is refused at set-up: always naming both parties."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB, hookimpl, hookspec, operation
from pouchdb_core.adapters.sqlite.sqlite_adapter import MemoryAdapter
from pouchdb_core.defaults import CORE_PLUGINS
from pouchdb_core.errors import BadRequest, PluginError
from pouchdb_core.plugins import Plugins


def plugin(name: str, **functions: Callable[..., Any]) -> Any:
    """Make a plug-in module with these hook implementations."""
    module: Any = ModuleType(name)
    for hook, function in functions.items():
        setattr(module, hook, hookimpl(function))
    return module


def method(name: str) -> Any:
    return operation(lambda subject: name, name=name)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a distribution with one plug-in, the way pip does; ``blocked`` hides what is really installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    before = set(sys.modules)

    def make(distribution: str, name: str, module: str, source: str = "") -> None:
        info = folder / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[pouchdb]\n{name} = {module}\n")
        (folder / f"{module}.py").write_text(source)

    monkeypatch.setattr(sys, "path", [str(folder)])
    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]


REFUSALS: list[Any] = [
    pytest.param(
        [plugin("misspelt", pouchdb_wriet=lambda database, request: None)],
        r"'misspelt' implements a hook that nobody specifies: unknown hook 'pouchdb_wriet'.*optionalhook",
        id="unknown hook",
    ),
    pytest.param(
        [plugin("greedy", pouchdb_write=lambda database, request, colour: None)],
        r"'greedy' cannot be registered: Plugin 'greedy' for hook 'pouchdb_write'(.|\n)*'colour'",
        id="an argument the hook does not have",
    ),
    pytest.param([plugin("one"), plugin("one")], r"two plug-ins are called 'one': .*one.* and .*one", id="one name"),
    pytest.param([plugin("core-sqlite")], r"two plug-ins are called 'core-sqlite'", id="a name of the core"),
    pytest.param(
        [plugin("green", pouchdb_adapters=lambda: [MemoryAdapter])],
        r"plug-ins 'core-sqlite' and 'green' both bring an adapter 'memory'",
        id="an adapter of the core",
    ),
    pytest.param(
        [
            plugin(name, pouchdb_adapters=lambda name=name: [type("A", (MemoryAdapter,), {"name": "third"})])
            for name in ("green", "red")
        ],
        r"plug-ins 'green' and 'red' both bring an adapter 'third'",
        id="one adapter",
    ),
    pytest.param(
        [plugin("green", pouchdb_adapters=lambda: ["memory"])],
        r"'green' brings 'memory', which is not a subclass of Adapter",
        id="no adapter",
    ),
    pytest.param(
        [plugin("green", pouchdb_adapters=lambda: MemoryAdapter)],
        r"'green' answers pouchdb_adapters with .*MemoryAdapter'> instead of a list",
        id="no list",
    ),
    pytest.param(
        [plugin(name, pouchdb_database_methods=lambda: [method("paint")]) for name in ("green", "red")],
        r"plug-ins '(green|red)' and '(red|green)' both add a method 'paint' to SyncPouchDB",
        id="one database method",
    ),
    pytest.param(
        [
            plugin("green", pouchdb_environment_methods=lambda: [method("paintAll")]),
            plugin("red", pouchdb_environment_methods=lambda: [method("paint_all")]),
        ],
        r"plug-ins '(green|red)' and '(red|green)' both add a method 'paintAll' to SyncEnvironment",
        id="one environment method in two spellings",
    ),
    *(
        pytest.param(
            [plugin("green", **{hook: lambda taken=taken: [method(taken)]})],
            rf"'green' adds a method '{shown}' that {owner} of the core has",
            id=f"{owner}.{taken}",
        )
        for hook, owner, taken, shown in [
            ("pouchdb_database_methods", "SyncPouchDB", "get", "get"),
            ("pouchdb_database_methods", "SyncPouchDB", "all_docs", "all_docs"),
            ("pouchdb_database_methods", "SyncPouchDB", "keys", "keys"),
            ("pouchdb_database_methods", "SyncPouchDB", "name", "name"),
            ("pouchdb_database_methods", "SyncPouchDB", "plugins", "plugins"),
            ("pouchdb_environment_methods", "SyncEnvironment", "options", "options"),
            ("pouchdb_environment_methods", "SyncEnvironment", "destroy", "destroy"),
            ("pouchdb_environment_methods", "SyncEnvironment", "engine", "engine"),
        ]
    ),
    pytest.param(
        [plugin("green", pouchdb_database_methods=lambda: [print])],
        r"'green' adds <built-in function print> to SyncPouchDB: wrap it, operation\(function\)",
        id="a bare function",
    ),
    pytest.param(
        [plugin("green", pouchdb_database_methods=lambda: [operation(lambda db: None)])],
        r"'green' adds a method '<lambda>' to SyncPouchDB: not a public name",
        id="a method without a name",
    ),
    pytest.param(
        [SimpleNamespace(__name__="green", pouchdb_write=lambda database, request: None)],
        r"'green' has a function pouchdb_write that is not marked @hookimpl",
        id="a hook without its mark",
    ),
    pytest.param(["nope"], r"no plug-in 'nope' is installed; there are: .*all_dbs", id="a name nobody installed"),
]


@pytest.mark.parametrize(("plugins", "text"), REFUSALS)
def test_refusals_at_set_up(plugins: list[Any], text: str) -> None:
    with pytest.raises(PluginError, match=text):
        pouchdb.setup(":memory:", plugins=plugins)


def test_refusals_leave_no_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for refusal in REFUSALS:
        with pytest.raises(PluginError):
            pouchdb.setup(plugins=refusal.values[0])
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_that_is_given_twice_is_refused() -> None:
    import pouchdb_all_dbs

    with pytest.raises(PluginError, match=r"'pouchdb_all_dbs' cannot be registered: it is there already, as 'all_dbs'"):
        pouchdb.setup(":memory:", plugins=["all_dbs", pouchdb_all_dbs])


def test_a_name_instead_of_a_list_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"plugins must be a list: \['all_dbs'\]"):
        pouchdb.setup(":memory:", plugins="all_dbs")


def test_a_hook_that_collects_cannot_be_wrapped() -> None:
    class Wraps:
        @hookimpl(wrapper=True)
        def pouchdb_adapters(self) -> Iterator[None]:
            return (yield)

    with pytest.raises(PluginError, match=r"'Wraps-[0-9a-f]+' wraps pouchdb_adapters, which only collects"):
        pouchdb.setup(":memory:", plugins=[Wraps()])


def test_a_hook_that_is_specified_twice_is_refused() -> None:
    class Specs:
        @hookspec
        def pouchdb_greeting(self) -> None: ...

    hosts = [
        plugin("one", pouchdb_addhooks=lambda manager: manager.add_hookspecs(Specs)),
        plugin("two", pouchdb_addhooks=lambda manager: manager.add_hookspecs(Specs)),
    ]
    with pytest.raises(PluginError, match="'two' cannot be registered: Hook 'pouchdb_greeting' is already registered"):
        pouchdb.setup(":memory:", plugins=hosts)


def test_a_specification_that_a_plugin_imports_is_no_implementation() -> None:
    from pouchdb_core.hookspecs import pouchdb_write

    module: Any = ModuleType("imports")
    module.pouchdb_write = pouchdb_write
    assert pouchdb.setup(":memory:", plugins=[module])["notes"].put({"_id": "a"}).ok


# -- entry points ----------------------------------------------------------------------------------


def test_plugins_that_are_installed_are_loaded(install: Any) -> None:
    install(
        "third-party",
        "colours",
        "colours_plugin",
        "from pouchdb_core import hookimpl, operation\n"
        "def colours(db):\n    return ['green']\n"
        "@hookimpl\ndef pouchdb_database_methods():\n    return [operation(colours)]\n",
    )
    everything: Any = pouchdb.setup(":memory:")["notes"]
    assert everything.colours() == ["green"]
    chosen: Any = pouchdb.setup(":memory:", plugins=["colours"])["notes"]
    assert chosen.colours() == ["green"]
    assert not hasattr(pouchdb.setup(":memory:", plugins=[])["notes"], "colours")


def test_a_plugin_that_cannot_be_imported_names_its_distribution(install: Any) -> None:
    install("third-party", "colours", "colours_broken", "import paint_that_nobody_has\n")
    for plugins in (None, ["colours"]):
        with pytest.raises(PluginError, match=r"'colours' of third-party \(colours_broken\).*paint_that_nobody_has"):
            pouchdb.setup(":memory:", plugins=plugins)
    assert pouchdb.setup(":memory:", plugins=[])["notes"].put({"_id": "a"}).ok


def test_two_distributions_with_one_name_are_refused(install: Any) -> None:
    install("first-party", "colours", "colours_one")
    install("third-party", "colours", "colours_two")
    for plugins in (None, ["colours"]):
        with pytest.raises(PluginError, match=r"first-party \(colours_one\) and third-party \(colours_two\) both"):
            pouchdb.setup(":memory:", plugins=plugins)


def test_nothing_installed(install: Any) -> None:
    with pytest.raises(PluginError, match="no plug-in 'all_dbs' is installed; there are: none"):
        pouchdb.setup(":memory:", plugins=["all_dbs"])
    assert not hasattr(pouchdb.setup(":memory:"), "all_dbs")


# -- several engines -------------------------------------------------------------------------------


def test_engines_with_different_plugins_do_not_see_each_other(tmp_path: Path) -> None:
    def green(db: SyncPouchDB) -> str:
        return "green"

    told: list[str] = []
    colourful = plugin(
        "colourful",
        pouchdb_database_methods=lambda: [operation(green)],
        pouchdb_database_opened=lambda database: told.append(database.name),
    )
    with pouchdb.setup(tmp_path, plugins=[colourful]) as one, pouchdb.setup(tmp_path, plugins=[]) as two:
        first: Any = one["first"]
        assert first.green() == "green"
        second: Any = two["second"]
        assert not hasattr(second, "green")
        assert not hasattr(type(second), "green")
        assert told == ["first"]
        # One directory, all the same: what one wrote the other reads.
        first.put({"_id": "a"})
        assert two["first"]["a"]._id == "a"


def test_the_core_enters_by_the_hooks() -> None:
    plugins = Plugins(CORE_PLUGINS)
    assert list(plugins.names) == [name for name, _ in CORE_PLUGINS]
    assert {"memory", "sqlite"} <= set(plugins.adapters())
    with pytest.raises(PluginError, match="pouchdb_read"):
        Plugins(()).read(None, None)  # type: ignore[arg-type]  # nobody answers, whatever is asked


def test_a_plugin_may_be_a_class_instance_a_module_or_any_object() -> None:
    class Instance:
        @hookimpl
        def pouchdb_database_opened(self, database: SyncPouchDB) -> None:
            told.append("instance")

    told: list[str] = []
    namespace = SimpleNamespace(pouchdb_database_opened=hookimpl(lambda database: told.append("namespace")))
    module = plugin("module", pouchdb_database_opened=lambda: told.append("module"))
    env: SyncEnvironment = pouchdb.setup(":memory:", plugins=(each for each in (Instance(), namespace, module)))
    env["notes"]
    assert sorted(told) == ["instance", "module", "namespace"]
