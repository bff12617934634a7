"""Follows the documents as a newcomer does: a clean environment, what they tell to install, and their blocks.

    python tests/installed/documents.py [--share] [--python python3.10] [document...]

builds the wheels, makes an environment outside of the checkout for each set of packages that a document says to install
(lines ``pip install ...`` of its ``sh`` blocks; ``pouchdb`` alone where there is none), and runs the Python blocks of
each document there: as a program, and entered at the prompt. ``--share`` installs everything into one environment.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from distributions import ROOT, build
from environments import Environment
from run_document import blocks

RUNNER = Path(__file__).with_name("run_document.py")


def documents() -> list[str]:
    """Return the documents with blocks of Python, README first."""
    paths = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]
    return [str(each.relative_to(ROOT)) for each in paths if any(kind == "python" for kind, _, _ in blocks(each))]


def to_install(document: Path) -> list[str]:
    """Return what the ``pip install`` lines of a document name, sorted."""
    words: set[str] = set()
    for kind, _, text in blocks(document):
        for line in text.splitlines() if kind == "sh" else ():
            if line.startswith("pip install "):
                words |= set(shlex.split(line, comments=True)[2:])
    return sorted(words or {"pouchdb"})


def follow(names: list[str], wheels: Path, interpreter: str, share: bool) -> list[str]:
    """Run documents as installed; return those that failed. What is found is on the standard output."""
    sets = {name: to_install(ROOT / name) for name in names}
    if share:
        everything = sorted({word for words in sets.values() for word in words})
        sets = dict.fromkeys(names, everything)
    failed = []
    for words in sorted(set(map(tuple, sets.values()))):
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(f"pip install {shlex.join(words)}\n")
            sys.stdout.flush()
            environment = Environment(Path(folder) / "environment", wheels, interpreter)
            environment.install(words)
            for name in [each for each in names if sets[each] == list(words)]:
                failed += [name] if not _passes(environment, name, Path(folder)) else []
    return failed


def _passes(environment: Environment, name: str, folder: Path) -> bool:
    for mode in ([], ["--paste"]):
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            try:
                said = environment.run([str(RUNNER), *mode, str(ROOT / name)], Path(empty))
            except RuntimeError as error:
                sys.stdout.write(f"FAILED {name} {' '.join(mode)}\n{error}\n")
                return False
        sys.stdout.write(f"  {said}")
        sys.stdout.flush()
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", action="store_true")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("document", nargs="*")
    given = parser.parse_args()
    names = given.document or documents()
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), "--wheel")
        failed = follow(names, Path(folder), given.python, given.share)
    passed = len(names) - len(failed)
    sys.stdout.write(f"{passed} documents passed, {len(failed)} failed: {', '.join(failed) or 'none'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
