"""Builds the wheels and sdists of the core and of every plug-in, from the files that git has: what is published.

    python tests/installed/distributions.py dist

A tree without git (an unpacked sdist) is copied as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "node_modules", "build", "dist", "__pycache__", "*.egg-info")


def members(tree: Path = ROOT) -> list[Path]:
    """Return the folders of all distributions, the core's first."""
    return [tree, *sorted(path.parent for path in tree.glob("plugins/*/pyproject.toml"))]


def clean_copy(to: Path) -> Path:
    """Copy what git has, with the changes that are not committed yet, into a new folder ``to``; return it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        return Path(shutil.copytree(ROOT, to, ignore=LEFT_OUT))
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            target = to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return to


def build(out: Path, *kinds: str) -> list[Path]:
    """Build every distribution into ``out``: ``"--wheel"``, ``"--sdist"``, or both, the wheel from the sdist.

    Raises CalledProcessError when a build fails; its output is on the standard output.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = clean_copy(Path(folder) / "tree")
        for member in members(tree):
            command = [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", str(out), str(member)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0:
                sys.stdout.write(done.stdout)
                done.check_returncode()
    return sorted(out.iterdir())


def main() -> int:
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    for built in build(out):
        sys.stdout.write(f"{built}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
