"""`make site`: the documents build without a warning, with a reference, and need no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="NO TEST of the site: the extra dev brings mkdocs-material")
    pytest.importorskip("mkdocstrings", reason="NO TEST of the site: the extra dev brings mkdocstrings")
    if not (ROOT / "website").is_dir():
        pytest.skip("an unpacked sdist has no site")
    folder = tmp_path_factory.mktemp("site")
    # mkdocs takes its folders relative to its file.
    (folder / "website").mkdir()
    shutil.copy(ROOT / "website" / "mkdocs.yml", folder / "website")
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    for command in (
        [str(ROOT / "website" / "assemble.py"), str(folder / "build" / "site" / "source")],
        ["-m", "mkdocs", "build", "--strict", "-f", str(folder / "website" / "mkdocs.yml")],
    ):
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "site" / "html"


def test_every_document_has_a_page(html: Path) -> None:
    pages = [path.relative_to(ROOT) for path in [*ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/README.md")]]
    made = {page: html / str(page).replace("README.md", "index.html").replace(".md", ".html") for page in pages}
    assert [page for page, file in made.items() if not file.exists()] == []


def test_the_reference_has_the_methods_with_their_docstrings(html: Path) -> None:
    database = (html / "docs" / "reference" / "database.html").read_text("utf-8")
    for method in ("put", "get", "bulk_docs", "changes", "sync", "query"):
        assert f"db.{method}" in database
    assert "Write a document" in database
    assert "pouchdb.setup.setup" in (html / "docs" / "reference" / "environment.html").read_text("utf-8")
    assert "db.find" in (html / "docs" / "reference" / "plugins-db.html").read_text("utf-8")


def test_nothing_is_fetched_from_elsewhere(html: Path) -> None:
    fetched = re.compile(r'<(?:script|img|link rel="(?:stylesheet|icon|preconnect)")[^>]*(?:src|href)="?(https?:)?//')
    assert [path.name for path in html.rglob("*.html") if fetched.search(path.read_text("utf-8"))] == []


def test_the_search_works_without_a_server(html: Path) -> None:
    index = json.loads((html / "search" / "search_index.json").read_text("utf-8"))
    assert len(index["docs"]) > 300
    # A page opened as a file may not fetch the JSON: it is there as a script, too.
    assert (html / "search" / "search_index.js").exists()
