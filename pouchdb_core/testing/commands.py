"""Running the command ``pouchdb`` in the process of a test: the fixture ``run_command`` is this for one directory."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from pouchdb_core.errors import PluginError

__all__ = ["CommandResult", "run_command"]


@dataclass(frozen=True)
class CommandResult:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The lines of JSON that it printed, as with ``--json``: a list, or the value when there is one line."""
        values = [json.loads(line) for line in self.out.splitlines()]
        return values[0] if len(values) == 1 else values


def run_command(directory: Path, *words: str) -> CommandResult:
    """Run ``pouchdb`` with arguments on the databases of a directory, with the plug-ins that are installed.

    Raises PluginError when the extra ``cli`` is not installed. Not for several threads at once: it replaces the
    standard streams while it runs.
    """
    try:
        # By name, because the core does not import the facade.
        app = importlib.import_module("pouchdb.cli.app")
    except ModuleNotFoundError as error:
        raise PluginError(f"run_command() needs the command: pip install 'pouchdb[cli]' ({error})") from error
    out, err = io.StringIO(), io.StringIO()
    place = mock.patch.dict(os.environ, {"POUCHDB_DIRECTORY": str(directory)})
    with place, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = app.run(list(words))
    return CommandResult(int(status), out.getvalue(), err.getvalue())
