"""House rules that a machine can watch: hooks, public names, sizes, paths."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

from pouchdb_core import hookspecs

ROOT = Path(__file__).parents[1]
HOOKS = [name for name in vars(hookspecs) if name.startswith("pouchdb_")]
LONGEST = 600
# To be listed, or to get an underscore.
OWED = {
    "pouchdb_core/documents/attachments.py": {"check_name", "close_all"},
    "pouchdb_core/documents/parse.py": {"rehash"},
    "pouchdb_core/replication/checkpoint.py": {"Epoch", "Peer"},
    "pouchdb_core/replication/replicate.py": {"Progress"},
}


def committed(*patterns: str) -> list[Path]:
    """Return the files that git has or would take; in a tree without git, all of them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def modules() -> list[Path]:
    """Return the modules that users and authors of plug-ins may import."""
    own = [*(ROOT / "pouchdb_core").rglob("*.py"), *(ROOT / "pouchdb").rglob("*.py")]
    plugins = [path for folder in (ROOT / "plugins").glob("*/pouchdb_*") for path in folder.rglob("*.py")]
    return sorted(path for path in own + plugins if ".egg-info" not in str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


# -- hooks (style, rule 7) -------------------------------------------------------------------------


def test_every_hook_is_listed() -> None:
    assert sorted(HOOKS) == [name for name in hookspecs.__all__ if name.startswith("pouchdb_")]


def test_every_hook_has_a_test_named_after_it() -> None:
    tests = {function.name for path in (ROOT / "tests").rglob("test_*.py") for function in functions(path)}
    assert [hook for hook in HOOKS if f"test_hook_{hook.removeprefix('pouchdb_')}" not in tests] == []


def signatures(specs: ModuleType) -> list[str]:
    """Return the hooks of a module as authors read them; annotations are strings, which repr() quotes.

    The specifications name the interfaces, to know no module above them; a hook is called with the real objects.
    """
    hooks = [name for name in vars(specs) if name.startswith("pouchdb_") and name in specs.__all__]
    written = [f"{hook}{inspect.signature(getattr(specs, hook))}".replace("'", "") for hook in hooks]
    return [
        re.sub(r"\b(SyncE|E)nvironment\b", "SyncEnvironment", re.sub(r"\bDatabase\b", "SyncPouchDB", each))
        for each in written
    ]


def headings() -> list[str]:
    return re.findall(r"^### `(.*)`$", (ROOT / "docs" / "hooks.md").read_text("utf-8"), re.MULTILINE)


def test_every_hook_has_its_exact_signature_as_a_heading() -> None:
    # In the order of the specifications, which is the order in which a database lives through them.
    assert headings()[: len(HOOKS)] == signatures(hookspecs)


def test_every_hook_of_the_server_has_its_exact_signature_as_a_heading() -> None:
    specs = pytest.importorskip("pouchdb_server.hookspecs")
    assert sorted(headings()[len(HOOKS) :]) == sorted(signatures(specs))


def test_every_hook_has_a_docstring_and_typed_arguments() -> None:
    for hook in HOOKS:
        spec = getattr(hookspecs, hook)
        assert inspect.getdoc(spec), hook
        signature = inspect.signature(spec)
        empty = inspect.Signature.empty
        assert signature.return_annotation is not empty, hook
        assert all(each.annotation is not empty for each in signature.parameters.values()), hook


def test_every_hook_is_implemented_in_this_repository() -> None:
    implemented = set()
    for path in committed("*.py"):
        if path == Path(str(hookspecs.__file__)):
            continue
        for function in functions(path):
            marks = {ast.unparse(mark).partition("(")[0].rpartition(".")[2] for mark in function.decorator_list}
            if "hookimpl" in marks:
                implemented.add(function.name)
    assert [hook for hook in HOOKS if hook not in implemented] == []


# -- public names (style, rule 22) -----------------------------------------------------------------


def public(tree: ast.Module) -> tuple[list[str] | None, set[str]]:
    """Return ``__all__`` and the functions and classes a module defines that are not private."""
    listed: list[str] | None = None
    defined = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            # Implementations of hooks are found by their names, not imported.
            marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
            if not node.name.startswith("_") and "hookimpl" not in marks:
                defined.add(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            listed = ast.literal_eval(node.value)
    return listed, defined


def order(name: str) -> tuple[int, str]:
    """Constants, classes, the rest: as the linter sorts ``__all__``."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


def has_a_face(path: Path) -> bool:
    """Tell whether a package above says what is public, so that its modules are its own affair."""
    folder = path.parent if path.name != "__init__.py" else path.parent.parent
    init = folder / "__init__.py"
    return (
        init.exists()
        and folder.name not in ("pouchdb_core", "pouchdb")
        and public(ast.parse(init.read_text()))[0] is not None
    )


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_public_names_are_listed(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    listed, defined = public(tree)
    if listed is None:
        assert not defined or has_a_face(path), f"{name_of(path)} has no __all__"
        return
    assert listed == sorted(listed, key=order)
    assert len(set(listed)) == len(listed)
    assert defined - OWED.get(name_of(path), set()) <= set(listed), (
        "public, but not in __all__: list it, or begin it with an underscore"
    )
    bound = {
        name.id if isinstance(name, ast.Name) else (name.asname or name.name).partition(".")[0]
        for node in ast.walk(tree)
        for name in (node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else [node])
        if isinstance(name, (ast.Name, ast.alias))
    }
    assert set(listed) - defined <= bound, "in __all__, but not there"


# -- sizes and paths -------------------------------------------------------------------------------


PACKAGES = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pouchdb_*/__init__.py"))
CIRCLES = {
    # What knows the settings of auth decides who may change them.
    "pouchdb_auth": {"access", "accounts", "auth_settings", "local_admins"},
}
"""Circles of modules in plug-ins, annotations included. Those of the core are in pyproject.toml."""


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_of_a_plugin_know_each_other_in_one_direction(package: str) -> None:
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    known = {name: graph.find_modules_directly_imported_by(name) - {name} for name in graph.modules}
    circle = CIRCLES.get(package, set())
    for name in known.keys() & {f"{package}.{each}" for each in circle}:
        known[name] -= {f"{package}.{each}" for each in circle}
    # Raises CycleError, which names the modules.
    TopologicalSorter(known).prepare()


def test_no_module_is_too_long() -> None:
    sources = [path for path in committed("*.py") if "tests" not in path.relative_to(ROOT).parts]
    long = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in sources}
    assert {name: lines for name, lines in long.items() if lines > LONGEST} == {}


def test_no_file_names_a_machine() -> None:
    """Paths of somebody's machine help nobody else. Well-known ones (/tmp, /dev, /proc, /usr) are everywhere."""
    places = re.compile(rb"(?<![\w.~/-])(/(?:home|Users)/\w|/(?:root|work|mnt)/|[A-Z]:\\Users)")
    found = [
        f"{name_of(path)}:{number}"
        for path in committed()
        if path.suffix not in (".png", ".gz", ".zip", ".lock") and path != Path(__file__)
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if places.search(line)
    ]
    assert found == []


def test_no_tests_folder_is_a_package() -> None:
    """They would shadow each other: pytest imports test files by their path."""
    assert [name_of(path) for path in committed("*/tests/**/__init__.py", "tests/**/__init__.py")] == []
