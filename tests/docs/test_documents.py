"""The code in the documents a newcomer reads runs, and prints what they say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXECUTED = (
    "README.md",
    "docs/collections.md",
    "docs/coming-from-couchdb-python.md",
    "docs/coming-from-python-pouchdb.md",
    "docs/coming-from-tinydb.md",
    "docs/conflicts.md",
    "docs/pouchdb-options.md",
    "docs/storage.md",
    "docs/tour.md",
    "docs/tutorial.md",
    "docs/with-other-libraries.md",
    "docs/working-with-a-database.md",
)
DOCUMENTS = (
    *EXECUTED,
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/glossary.md",
    "docs/production.md",
    "docs/security.md",
    "docs/why.md",
    "examples/README.md",
)


@pytest.mark.parametrize("path", EXECUTED)
def test_the_code_blocks_run(path: str, run_document: Callable[[str], int]) -> None:
    for needed in ("pouchdb_all_dbs", "pouchdb_collections", "pouchdb_find", "pouchdb_server"):
        pytest.importorskip(needed)
    if path == "docs/with-other-libraries.md":
        for needed in ("django", "fastapi", "flask", "httpx2", "pandas"):
            pytest.importorskip(needed, reason=f"NO TEST of the document about other libraries: {needed} is missing")
    assert run_document(path) > 0


@pytest.mark.checkout
@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_somewhere(path: str) -> None:
    document = ROOT / path
    text = document.read_text("utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        file, _, heading = target.partition("#")
        linked = document.parent / file if file else document
        assert linked.exists(), f"{path} links {target}"
        if heading:
            headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE)
            assert heading in {_anchor(each) for each in headings}, f"{path} links {target}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.checkout
def test_the_tree_names_what_there_is() -> None:
    shown = re.search(r"```text\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text("utf-8"), re.DOTALL)
    assert shown is not None
    folder = Path()
    for indent, name in re.findall(r"^( *)(\S+)", shown[1], re.MULTILINE):
        folder = Path(*folder.parts[: len(indent) // 2])
        # A module that grew becomes a folder of the same name.
        kinds = (ROOT / folder / name, ROOT / folder / f"{name.rstrip('/')}.py")
        assert any(each.exists() for each in kinds), f"ARCHITECTURE.md names {folder / name}"
        folder /= name
