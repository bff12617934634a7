"""Checks built distributions: ``python tests/installed/check.py dist``.

Every wheel alone and all together in clean environments, imported with warnings as errors; ``pouchdb[all]`` with every
Python found (python3.10 to python3.14, or those of the variable PYTHONS); the tests of each sdist, the core's last,
which take longer than all others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from distributions import members
from environments import Environment

VERSIONS = [f"python3.{minor}" for minor in range(10, 15)]
MANY = 15
"""Modules of tests from which they are run in parallel: starting the workers takes a while."""
SMOKE = """
import importlib.metadata, sys, pouchdb
for point in importlib.metadata.entry_points(group="pouchdb"):
    point.load()
with pouchdb.setup("data") as env:
    env["a"].put({"_id": "b"})
    assert len(env["a"]) == 1
    ddoc = {"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(doc._id) }"}}}
    env["a"].put(ddoc)
    assert len(env["a"].query("v/v").rows) == 1
print(*sorted(point.name for point in importlib.metadata.entry_points(group="pouchdb")))
"""


def interpreters() -> list[str]:
    """Return the Pythons to check with: this one first, then every other version that runs."""
    found = {sys.version_info[:2]: sys.executable}
    for name in os.environ.get("PYTHONS", "").split() or VERSIONS:
        if (path := shutil.which(name)) is None:
            continue
        code = "import ensurepip, sys; print(*sys.version_info[:2])"
        said = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
        if said.returncode == 0:
            major, minor = said.stdout.split()
            found.setdefault((int(major), int(minor)), path)
    return list(found.values())


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    dist = Path(sys.argv[1]).resolve()
    names = ["pouchdb", *(f"pouchdb-{member.name.replace('_', '-')}" for member in members()[1:])]
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            environment = Environment(Path(folder) / "environment", dist, sys.executable)
            environment.install([name])
            say(f"alone     {name}: {environment.run(['-c', SMOKE], Path(folder)).strip() or 'no plug-ins'}")
    failed: list[str] = []
    for interpreter in interpreters():
        with tempfile.TemporaryDirectory() as folder:
            environment = Environment(Path(folder) / "environment", dist, interpreter)
            environment.install(["pouchdb[all]"])
            version = environment.run(["-V"], Path(folder)).strip()
            environment.check()
            say(f"together  {version}: {environment.run(['-c', SMOKE], Path(folder)).strip()}")
            environment.run(["-m", "pouchdb", "plugins"], Path(folder))
            if interpreter == sys.executable:
                failed = sdists(environment, dist, Path(folder))
    if failed:
        say(f"failed    {' '.join(failed)}")
    return bool(failed)


def sdists(environment: Environment, dist: Path, folder: Path) -> list[str]:
    """Run the tests of each sdist, with what is installed; return the names of those that failed."""
    failed = []
    environment.install(["hypothesis", "pytest", "pytest-xdist", "pyjwt[crypto]"])
    for archive in [*sorted(dist.glob("pouchdb_*.tar.gz")), *dist.glob("pouchdb-*.tar.gz")]:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        tree = folder / archive.name.removesuffix(".tar.gz")
        # What is installed is tested, not the source beside the tests.
        for package in [tree / "pouchdb", *tree.glob("pouchdb_*")]:
            shutil.rmtree(package, ignore_errors=True)
        many = len(list((tree / "tests").rglob("test_*.py"))) > MANY
        # One more than there are cores, as `make test`: a third of the time they wait.
        workers = [f"--numprocesses={(os.cpu_count() or 1) + 1}"] if many else []
        tests = ["-m", "pytest", "-q", "--import-mode=importlib", *workers, "tests"]
        try:
            said = environment.run(tests, tree, warnings=True)
        except RuntimeError as error:
            # The others are tested as well: all of them take a while.
            failed.append(archive.name)
            said = str(error)
            say(said)
        say(f"sdist     {archive.name}: {said.strip().splitlines()[-1]}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
