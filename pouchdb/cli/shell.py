"""shell: a Python prompt with the environment open."""

from __future__ import annotations

import code
import importlib
import json
import sys
from typing import Any

import click

import pouchdb
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.info import __version__

__all__ = ["COMMANDS", "shell"]


@click.command(
    cls=Command,
    examples=[
        "pouchdb shell notes",
        "echo 'print(len(db))' | pouchdb shell notes",
    ],
)
@click.argument("db", required=False)
@click.option("--plain", is_flag=True, help="Use Python's own prompt even if IPython is installed.")
@click.pass_obj
def shell(session: Session, db: str | None, plain: bool) -> None:
    """Open a Python prompt with `env`, the environment, and with `db` if a database is named.

    IPython is used where it is installed. Python code from the standard input is run, too.
    """
    names: dict[str, Any] = {"pouchdb": pouchdb, "env": session.environment(make=True), "json": json}
    known = "env"
    if db is not None:
        names["db"] = session.database(db)
        known = "env and db"
    banner = f"pouchdb {__version__} in {session.where}: {known} are open; Ctrl-D ends."
    if db is None:
        banner = banner.replace("are open", "is open")
    if not sys.stdin.isatty():
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), names)
        return
    if not plain:
        try:
            ipython = importlib.import_module("IPython")
        except ImportError:
            pass  # Python's own prompt, below
        else:
            session.output.note(banner)
            ipython.start_ipython(argv=["--no-banner"], user_ns=names)
            return
    code.interact(banner, local=names, exitmsg="")


COMMANDS = (shell,)
