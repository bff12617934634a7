"""What `pouchdb new-plugin` makes is a plug-in that passes its own tests; examples/plugin-template shows one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "examples" / "plugin-template"


def test_the_template_passes_its_own_tests(tmp_path: Path) -> None:
    # What pip would write: the metadata, from the project's own file.
    project = (TEMPLATE / "pyproject.toml").read_text("utf-8")
    name, version = (re.search(rf'^{key} = "(.*)"$', project, re.MULTILINE) for key in ("name", "version"))
    points = re.search(r"^\[project\.entry-points\.pouchdb\]\n(\w+) = \"(\w+)\"$", project, re.MULTILINE)
    assert name
    assert version
    assert points
    info = tmp_path / f"{name[1].replace('-', '_')}-{version[1]}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name[1]}\nVersion: {version[1]}\n")
    (info / "entry_points.txt").write_text(f"[pouchdb]\n{points[1]} = {points[2]}\n")

    path = os.pathsep.join(map(str, (tmp_path, TEMPLATE, ROOT)))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "-c",
        os.devnull,
    ]
    done = subprocess.run(
        [*command, str(TEMPLATE / "tests")],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_template_is_short() -> None:
    lines = (TEMPLATE / "pouchdb_tags" / "__init__.py").read_text("utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 70


def test_the_example_is_what_the_command_makes() -> None:
    """``pouchdb new-plugin tags examples/plugin-template`` writes it again."""
    pytest.importorskip("rich", reason="the command needs the extra cli")
    from pouchdb.cli.new_plugin import rendered

    made = rendered("tags")
    assert set(made) >= {"README.md", "pyproject.toml", "pouchdb_tags/__init__.py", "tests/test_plugin.py"}
    for path, text in made.items():
        assert (TEMPLATE / path).read_text("utf-8") == text, path


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["Tags"], 2, "lower-case letters"),
        (["9"], 2, "lower-case letters"),
        (["my-tags"], 2, "lower-case letters"),
        (["all_dbs"], 1, "a plug-in of the name all_dbs is installed"),
        (["recipes", "there"], 4, "there exists"),
    ],
)
def test_what_the_command_refuses(
    words: list[str], status: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    pytest.importorskip("pouchdb_all_dbs")
    from pouchdb_core.testing.commands import run_command

    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    done = run_command(tmp_path, "new-plugin", *words)
    assert done.status == status
    assert reason in done.err
    assert sorted(tmp_path.iterdir()) == [tmp_path / "there"]


def test_the_command_makes_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    from pouchdb_core.testing.commands import run_command

    monkeypatch.chdir(tmp_path)
    assert run_command(tmp_path, "new-plugin", "my_recipes").status == 0
    project = (tmp_path / "pouchdb-my-recipes" / "pyproject.toml").read_text("utf-8")
    assert 'name = "pouchdb-my-recipes"' in project
    assert 'my_recipes = "pouchdb_my_recipes"' in project
    assert (tmp_path / "pouchdb-my-recipes" / "pouchdb_my_recipes" / "py.typed").exists()
    assert "{{" not in project
