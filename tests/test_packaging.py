"""The distributions belong together: one version, one licence, extras for what exists. `make dist-check` tries them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pouchdb

tomllib = pytest.importorskip("tomllib", reason="NO TEST of the packaging: tomllib came with Python 3.11")

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
if not PLUGINS:
    pytest.skip("an unpacked sdist has no plug-ins", allow_module_level=True)
MEMBERS = [ROOT, *PLUGINS]
# What may be written for people to install: the names of ours, with their extras.
NAMED = re.compile(
    r"(?<![\w/-])(pouchdb(?:-[a-z-]+)?)\[([a-z0-9,-]+)\]|pip install[^\n`]*?(?<![\w/.])(pouchdb-[a-z-]+)"
)
VERSION = pouchdb.__version__


def project(member: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((member / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def label(member: Path) -> str:
    return member.name if member != ROOT else "core"


def ours(requirements: list[str]) -> list[str]:
    return [each for each in requirements if each.startswith("pouchdb")]


@pytest.mark.parametrize("member", MEMBERS, ids=label)
def test_versions_move_together(member: Path) -> None:
    """Before 1.0 any minor version may change what plug-ins build on, so each asks for its own."""
    about = project(member)
    assert about["version"] == VERSION
    extras = about.get("optional-dependencies", {})
    wanted = [*about["dependencies"], *(each for name, words in extras.items() if name != "dev" for each in words)]
    unpinned = [each for each in ours(wanted) if not each.endswith(f"~={VERSION}")]
    assert unpinned == [each for each in unpinned if each.startswith("pouchdb[") and member == ROOT]
    assert member == ROOT or any(re.match(r"pouchdb(\[cli(,icu)?\])?~=", each) for each in about["dependencies"])


@pytest.mark.parametrize("member", MEMBERS, ids=label)
def test_each_says_what_it_is(member: Path) -> None:
    about, core = project(member), project(ROOT)
    assert about["license"] == core["license"]
    assert (member / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (member / about["readme"]).read_text("utf-8").startswith("# ")
    assert about["requires-python"] == core["requires-python"]
    tested = [each for each in core["classifiers"] if each.startswith(("Programming Language", "Operating System"))]
    assert [each for each in about["classifiers"] if each in tested] == tested
    assert "graft tests" in (member / "MANIFEST.in").read_text("utf-8")
    packages = [path for path in member.glob("pouchdb*") if (path / "__init__.py").exists()]
    assert packages
    assert all((path / "py.typed").exists() for path in packages)


def test_there_is_an_extra_for_each_plug_in() -> None:
    extras = project(ROOT)["optional-dependencies"]
    names = {project(member)["name"] for member in PLUGINS}
    assert {f"pouchdb-{name}" for name, words in extras.items() if ours(words) and name not in ("all", "dev")} == names
    (everything,) = extras["all"]
    assert set(everything.removeprefix("pouchdb[").rstrip("]").split(",")) == {
        "cli",
        "icu",
        *(name.removeprefix("pouchdb-") for name in names),
    }


def test_what_is_advised_to_be_installed_exists() -> None:
    """In documents, docstrings and error messages."""
    extras = {about["name"]: set(about.get("optional-dependencies", {})) for about in map(project, MEMBERS)}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    wrong, found = [], 0
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if path.suffix not in (".md", ".py", ".toml") or not path.is_file() or "tests" in path.parts:
            continue
        for match in NAMED.finditer(path.read_text("utf-8")):
            found += 1
            distribution, wanted = (match[1], set(match[2].split(","))) if match[1] else (match[3], set())
            # The template is a third party's.
            if distribution not in (*extras, "pouchdb-tags") or not wanted <= extras.get(distribution, set()):
                wrong.append(f"{name}: {match[0]}")
    assert found > 20
    assert wrong == []


def test_imports_without_warnings_and_without_the_plug_ins() -> None:
    code = "import pouchdb, pouchdb_core.testing.server; pouchdb.setup(':memory:', plugins=[])['a'].put({'_id': 'b'})"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
