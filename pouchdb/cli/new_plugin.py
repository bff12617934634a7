"""new-plugin: the initial files of a plug-in."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status

__all__ = ["COMMANDS", "new_plugin", "rendered"]

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
TEMPLATE = Path(__file__).with_name("plugin_template")
SUFFIX = ".txt"
"""The suffix of every file of the template, so that it is not taken for code."""


def rendered(name: str) -> dict[str, str]:
    """Return the files of a plug-in called ``name``: their text by their path."""
    package = f"pouchdb_{name}"
    values = {"name": name, "package": package, "distribution": package.replace("_", "-")}
    values |= {"page": name.replace("_", "-"), "title": name.replace("_", " ").capitalize()}
    found = {}
    for file in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        path = file.relative_to(TEMPLATE).as_posix().removesuffix(SUFFIX).replace("package/", f"{package}/")
        found[path] = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], file.read_text("utf-8"))
    return found


@click.command("new-plugin", cls=Command, examples=["pouchdb new-plugin tags"])
@click.argument("name")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def new_plugin(session: Session, name: str, folder: Path | None) -> None:
    """Create the files of a new plug-in: code, tests, packaging.

    NAME is in lower case, such as 'tags'. FOLDER is created; the default is ./pouchdb-NAME. The plug-in works and
    passes its tests: change it to what you need.
    """
    if not NAME.fullmatch(name):
        rule = "it begins with a letter and has lower-case letters, digits and single underscores, such as 'my_tags'"
        raise click.BadParameter(f"{name!r}: {rule}", param_hint="NAME")
    if name in {point.name for point in entry_points(group="pouchdb")}:
        raise Failure(f"a plug-in of the name {name} is installed", "choose another name")
    target = folder or Path(f"pouchdb-{name.replace('_', '-')}")
    if target.exists():
        raise Failure(f"{target} exists", "choose another folder: pouchdb new-plugin NAME FOLDER", Status.CONFLICT)
    for path, text in rendered(name).items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        session.output.line(str(file))
    session.output.note(f"cd {target} && pip install -e '.[test]' && pytest")


COMMANDS = (new_plugin,)
