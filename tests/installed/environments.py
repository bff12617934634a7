"""Virtual environments outside of the checkout, with what pip installs from a folder of built wheels."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# What is installed counts, not what a developer's shell says.
AWAY = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "POUCHDB_DIRECTORY", "POUCHDB_PASSWORD", "PYTHONWARNINGS")


class Environment:
    """An empty virtual environment in a folder. The pip of the running Python installs into it."""

    def __init__(self, folder: Path, wheels: Path, interpreter: str) -> None:
        self.folder, self.wheels = folder, wheels
        self._call([interpreter, "-m", "venv", "--without-pip", str(folder)])

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def install(self, words: Sequence[str]) -> None:
        """Install what a document tells: ours from the folder of wheels, the rest from the package index."""
        self._pip("install", "--quiet", "--no-compile", "--find-links", str(self.wheels), *words)

    def check(self) -> None:
        """Raise RuntimeError when what is installed does not fit together."""
        self._pip("check")

    def run(self, words: Sequence[str], folder: Path, *, warnings: bool = False) -> str:
        """Run Python with arguments in a folder; return what it prints. A warning is an error.

        Raises RuntimeError with the output when it fails.
        """
        strict = [] if warnings else ["-W", "error"]
        return self._call([self.python, "-X", "utf8", *strict, *words], folder)

    def _pip(self, *words: str) -> None:
        self._call([sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", *words])

    def _call(self, command: list[str], folder: Path | None = None) -> str:
        environ = {name: value for name, value in os.environ.items() if name not in AWAY}
        environ["PATH"] = f"{self.folder / 'bin'}{os.pathsep}{environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=folder or self.folder.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3600,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout}")
        return done.stdout
