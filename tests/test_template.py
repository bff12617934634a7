"""The template for plug-ins is what it says: installed as a third party's, its own tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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
    assert sum(bool(line.strip()) for line in lines) <= 60
