"""docs/http-coverage.md and the routes of the server tell the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest
from pouchdb_server import Route, create_app
from pouchdb_server.app import Server
from pouchdb_server.table import ROUTES

import pouchdb

PAGE = Path(__file__).parents[3] / "docs" / "http-coverage.md"
ROW = re.compile(r"^\| ([A-Z, ]+) \| `([^`]+)` \| ([^|]+) \|", re.MULTILINE)
if not PAGE.exists():
    pytest.skip("docs/http-coverage.md is in the repository: NO TEST of it", allow_module_level=True)
LEVELS = {"server": "", "database": "/{db}", "document": "/{db}/{docid}"}


def told() -> dict[str, tuple[set[str], str]]:
    """Methods and state by path."""
    rows = ROW.findall(PAGE.read_text("utf-8"))
    paths = [path for _, path, _ in rows]
    assert len(paths) == len(set(paths)), "an endpoint is told twice"
    return {path: (set(methods.split(", ")), state.strip()) for methods, path, state in rows}


def answered(routes: Iterable[Route]) -> dict[str, set[str]]:
    """Methods by path."""
    found: dict[str, set[str]] = {}
    for route in routes:
        path = LEVELS[route.level] + (route.path if route.path != "/" or route.level == "server" else "")
        found.setdefault(path.replace("...}", "}"), set()).update(route.methods.split())
    return found


def test_every_route_of_the_server_is_told():
    page = told()
    assert {path: methods for path, (methods, state) in page.items() if state == "yes"} == answered(ROUTES)
    assert {state.split()[0] for _, state in page.values()} == {"yes", "plug-in", "no"}


def installed():
    """Return the plug-ins that the page names, less those that are planned."""
    named = sorted({state.split()[1] for _, state in told().values() if " " in state})
    return [name for name in named if find_spec(f"pouchdb_{name}") is not None]


@pytest.mark.parametrize("name", installed())
def test_plug_ins_bring_what_is_told_of_them(name):
    with pouchdb.setup(":memory:", plugins=["server", name]) as environment:
        app = create_app(environment)
        assert isinstance(app, Server)
        for path, (methods, state) in told().items():
            if state == f"plug-in {name}":
                parts = [part if not part.startswith("{") else "x" for part in path.strip("/").split("/")]
                assert methods <= set(app.service.table.find(tuple(parts)).routes), path


def test_what_is_not_there_is_not_found(client):
    for path, (methods, state) in told().items():
        if state == "no":
            for method in methods:
                url = path.replace("{db}", "db").replace("{partition}", "a")
                assert client.call(method, url, {}).status in (400, 404), (method, url)
