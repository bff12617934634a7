"""Types are a feature: these files must pass mypy --strict, or fail where they are marked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((Path(__file__).parent / "typing").glob("*.py"))
TEMPLATE = ROOT / "examples" / "plugin-template" / "pouchdb_tags" / "__init__.py"


@pytest.fixture(scope="module")
def findings() -> dict[str, set[tuple[int, str]]]:
    """What mypy finds, all files in one run: (line, code) by file."""
    api = pytest.importorskip("mypy.api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        arguments = ["--strict", "--no-error-summary", "--hide-error-context", "--show-absolute-path"]
        out, err, _ = api.run([*arguments, *map(str, FILES), str(TEMPLATE)])
    assert err == ""
    found: dict[str, set[tuple[int, str]]] = {}
    for line in out.splitlines():
        match = re.fullmatch(r"(.+?):(\d+)(?::\d+)?: (error|note): .*?(?:  \[([\w-]+)\])?", line)
        assert match, line
        if match[3] == "error":
            found.setdefault(Path(match[1]).name, set()).add((int(match[2]), match[4]))
    return found


@pytest.mark.parametrize("path", [*FILES, TEMPLATE], ids=lambda path: path.name)
def test_types(path: Path, findings: dict[str, set[tuple[int, str]]]) -> None:
    lines = path.read_text("utf-8").splitlines()
    marked = {
        (number, match[1]) for number, line in enumerate(lines, 1) if (match := re.search(r"# error: ([\w-]+)$", line))
    }
    assert findings.get(path.name, set()) == marked


def test_nothing_else_is_found(findings: dict[str, set[tuple[int, str]]]) -> None:
    assert set(findings) == {"fails.py"}


def test_pyright_agrees() -> None:
    """What passes mypy passes pyright; it finds something on every line where mypy must."""
    command = shutil.which("pyright", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if command is None:
        pytest.skip("pyright is not installed: NOT CHECKED with it")
    arguments = [command, "--outputjson", "--pythonpath", sys.executable, *map(str, FILES), str(TEMPLATE)]
    # It would ask the network for a newer version of itself.
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("{"), f"pyright does not run: {done.stdout[-500:]}{done.stderr[-500:]}"
    found: dict[str, set[int]] = {}
    for each in json.loads(done.stdout)["generalDiagnostics"]:
        if each["severity"] == "error":
            found.setdefault(Path(each["file"]).name, set()).add(each["range"]["start"]["line"] + 1)
    for path in (*FILES, TEMPLATE):
        lines = path.read_text("utf-8").splitlines()
        marked = {number for number, line in enumerate(lines, 1) if "# error: " in line}
        assert found.get(path.name, set()) == marked, path.name
