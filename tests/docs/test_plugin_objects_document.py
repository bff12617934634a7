"""The page of the objects that plug-ins get names every field and public method of each."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pouchdb_core.changes.filters import ChangesFilter
from pouchdb_core.requests import Changes, Proposed, Write
from pouchdb_core.transforms import Transform

PAGE = Path(__file__).parents[2] / "docs" / "plugin-objects.md"
# Told once for all requests.
COMMON = {"user", "purpose"}


def named(heading: str) -> set[str]:
    """Return what the first columns of the tables below a heading name."""
    text = PAGE.read_text("utf-8")
    section = re.search(rf"^##+ {heading}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    cells = re.findall(r"^\| (`.*?) \|", section[1], re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)[^`]*`", cell)}


def public(cls: type) -> set[str]:
    """Return the public attributes of a class: fields, properties, methods, and what ``__init__`` sets."""
    fields = {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    body = {name for name in vars(cls) if not name.startswith("_")} | set(inspect.get_annotations(cls))
    source = "" if fields else inspect.getsource(cls)
    # Of tuples of targets, too.
    lines = [each.partition(":")[0] if "=" not in each else each.partition("=")[0] for each in source.splitlines()]
    assigned = {name for line in lines for name in re.findall(r"\bself\.([a-z]\w*)(?!\w*\()", line) if "(" not in line}
    return {name for name in fields | body | assigned if not name.startswith("_")}


@pytest.mark.parametrize("cls", [Write, Changes])
def test_requests(cls: type) -> None:
    assert named(cls.__name__) | COMMON == public(cls)


@pytest.mark.parametrize("cls", [Proposed, Transform, ChangesFilter])
def test_what_a_guard_a_transform_and_a_filter_are(cls: type) -> None:
    assert named(cls.__name__) == public(cls)


def test_every_class_of_requests_is_named() -> None:
    from pouchdb_core.requests import AnyRequest

    told: Any = AnyRequest
    assert {cls.__name__ for cls in told.__args__} - {"Write", "Changes"} == named("The others") & {
        cls.__name__ for cls in told.__args__
    }


def test_session_and_output() -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    from pouchdb.cli.command_session import Session
    from pouchdb.cli.output import Output

    known = public(Session) | public(Output)
    assert named("Session") <= known
    assert {"database", "environment", "names", "exists", "output", "table", "document"} <= named("Session")


def test_routes_and_requests_of_the_server() -> None:
    pytest.importorskip("pouchdb_server")
    from pouchdb_server import Request, Route

    assert named("Route") == public(Route) - {"streamed"}
    assert named("Request") == public(Request)


def test_the_code_blocks_run(run_document: Callable[[str], int]) -> None:
    pytest.importorskip("pouchdb_server")
    assert run_document("docs/plugin-objects.md") == 2
