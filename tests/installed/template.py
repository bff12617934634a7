"""Makes a plug-in with ``pouchdb new-plugin``, installs it beside built wheels and runs its tests and its document."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from distributions import build
from environments import Environment

RUNNER = Path(__file__).with_name("run_document.py")


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels = folder / "wheels"
        build(wheels, "--wheel")
        environment = Environment(folder / "environment", wheels, sys.executable)
        environment.install(["pouchdb[cli]"])
        environment.run(["-m", "pouchdb", "new-plugin", "recipes"], folder)
        made = folder / "pouchdb-recipes"
        # What its README says; the backend that builds it comes from the package index.
        environment.install(["-e", f"{made}[test]"])
        sys.stdout.write(environment.run(["-m", "pouchdb", "plugins"], folder))
        sys.stdout.write(environment.run([str(RUNNER), str(made / "README.md")], folder))
        sys.stdout.write(environment.run(["-W", "error", "-m", "pytest", "-q"], made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
