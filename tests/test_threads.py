"""ARCHITECTURE.md names every thread and every pool: the table is compared with the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKERS = {"Thread", "Timer", "Runner", "Workers"}
REFUSED = {
    "ThreadPoolExecutor",
    "ProcessPoolExecutor",
    "ThreadPool",
    "multiprocessing.pool",
    "multiprocessing.dummy",
    "concurrent.futures.thread",
    "start_new_thread",
    "to_thread",
    "run_in_executor",
    "run_sync",
}


def sources() -> list[Path]:
    own = [*(ROOT / "pouchdb_core").rglob("*.py"), *(ROOT / "pouchdb").rglob("*.py")]
    return own + [path for folder in (ROOT / "plugins").glob("*/pouchdb_*") for path in folder.rglob("*.py")]


def called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def start(text: ast.expr | None) -> str | None:
    """Return the constant beginning of a name that is a literal or an f-string."""
    if isinstance(text, ast.JoinedStr):
        parts = [part.value for part in text.values[:1] if isinstance(part, ast.Constant)]
        return str(parts[0]).rstrip("-") if parts else None
    return str(text.value) if isinstance(text, ast.Constant) else None


def names_in(node: ast.Call) -> str | None:
    given = {each.arg: each.value for each in node.keywords}
    return start(given.get("name") or (node.args[0] if called(node) == "Runner" and node.args else None))


def made(path: Path) -> Iterator[tuple[str | None, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and called(node) in MAKERS:
            yield names_in(node), node


def rows() -> set[tuple[str, str]]:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    table = text.partition("| threads | made in |")[2].partition("\n\n")[0]
    return {(name, path) for name, path in re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", table, re.MULTILINE)}


# Their threads have the name of the pool, and the pool is in the table.
POOLS = {"pouchdb_core/runner.py", "plugins/server/pouchdb_server/workers.py"}


@pytest.mark.checkout
def test_every_thread_and_pool_is_in_the_table() -> None:
    found = set()
    unnamed = set()
    for path in sources():
        where = str(path.relative_to(ROOT))
        for name, node in made(path):
            if name is not None:
                found.add((name, where))
            elif called(node) != "Workers":
                unnamed.add(where)
    assert unnamed == POOLS, "a thread without a name that can be read here"
    workers = ROOT / "plugins/server/pouchdb_server/workers.py"
    assert '__init__(self, name: str = "pouchdb-server")' in workers.read_text("utf-8")
    found |= {(name, str(workers.relative_to(ROOT))) for name in ("pouchdb-server", "pouchdb-server-background")}
    assert found == rows()


@pytest.mark.checkout
def test_every_thread_is_a_daemon() -> None:
    threads = [node for path in sources() for _, node in made(path) if called(node) == "Thread"]
    assert len(threads) > 10
    for node in threads:
        given = {each.arg: ast.unparse(each.value) for each in node.keywords}
        assert given.get("daemon") == "True", ast.unparse(node)


def test_there_is_no_other_kind_of_pool() -> None:
    used = {
        (name, str(path.relative_to(ROOT)))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (getattr(node, each, None) for each in ("attr", "id", "name", "module"))
        if name in REFUSED
    }
    assert used == set()
