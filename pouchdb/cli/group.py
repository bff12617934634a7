"""The group of commands, and the options that each of them has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from pouchdb.cli.command_session import Session
from pouchdb.cli.names import DIRECTORY

__all__ = ["Command", "Database", "Group", "ReaderGone", "common"]


def _directory(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    session = ctx.find_object(Session)
    if value == "":
        # As of an unset variable in a script: the current directory would be a surprise.
        raise click.BadParameter("the name of a directory is empty", ctx, parameter)
    if value is not None and session is not None:
        session.choose(value)


def _ca_certs(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    session = ctx.find_object(Session)
    if value is not None and session is not None:
        session.ca_certs = value


def _json(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    session = ctx.find_object(Session)
    if value and session is not None:
        session.output.json = True


def common() -> list[click.Option]:
    """Return the options of every command."""
    return [
        click.Option(
            ["-d", "--directory"],
            type=click.Path(),
            help=f"The directory of databases; default: the variable {DIRECTORY}, else data.",
            callback=_directory,
            expose_value=False,
            is_eager=True,
        ),
        click.Option(
            ["--ca-certs"],
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="For https, trust the certificates in this file instead of the system's.",
            callback=_ca_certs,
            expose_value=False,
            is_eager=True,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            help="Print JSON instead of text, errors too.",
            callback=_json,
            expose_value=False,
            is_eager=True,
        ),
    ]


class Command(click.Command):
    """A command with the options of all. ``examples`` are command lines; ``--help`` shows them."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        own = {name for each in self.params for name in each.opts}
        self.params.extend(option for option in common() if not own.intersection(option.opts))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                # Unwrapped: what is wrapped cannot be copied.
                for each in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{each}\n")


class Database(click.types.StringParamType):
    """The type of a database's name; shells complete those of the chosen directory."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        session = ctx.find_object(Session)
        if session is None or not session.there:
            return []
        return [CompletionItem(name) for name in session.names() if name.startswith(incomplete)]


NAMES = frozenset(["db", "source", "target", "left", "right", "other"])
"""The names of arguments for databases."""


class ReaderGone(Exception):
    """The reader of the output has closed the pipe."""


class Group(click.Group):
    """The group ``pouchdb``; commands of plug-ins that are plain click commands get the options too."""

    command_class = Command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # click would end with the status of a failure.
            raise ReaderGone from error

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        if not isinstance(cmd, (Command, click.Group)):
            own = {each for parameter in cmd.params for each in parameter.opts}
            cmd.params.extend(option for option in common() if not own.intersection(option.opts))
        for parameter in cmd.params:
            if parameter.name in NAMES and type(parameter.type) is click.types.StringParamType:
                parameter.type = Database()
        super().add_command(cmd, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, names in self.sections():
            rows = [(name, self.commands[name].get_short_help_str(limit=200)) for name in names]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def sections(self) -> list[tuple[str, list[str]]]:
        """Return the commands under their headings, those of plug-ins last."""
        listed = [(heading, [name for name in names if name in self.commands]) for heading, names in SECTIONS]
        known = {name for _, names in listed for name in names}
        return [*listed, ("Commands of plug-ins", [name for name in self.list_commands_sorted() if name not in known])]

    def list_commands_sorted(self) -> list[str]:
        """Return the names of all commands."""
        return sorted(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args and args[0] == "serve":
                raise click.UsageError("serve comes with the server: pip install 'pouchdb[server]'", ctx) from error
            raise


SECTIONS: list[tuple[str, list[str]]] = [
    ("Documents", ["get", "put", "edit", "rm", "ls", "changes", "query", "tree", "conflicts"]),
    ("Databases", ["create", "destroy", "info", "compact", "views", "doctor"]),
    ("Files", ["import", "export", "dump", "load", "backup"]),
    ("Synchronisation", ["replicate", "sync", "checkpoints"]),
    ("Other", ["shell", "plugins", "new-plugin", "completion", "help"]),
]

Callback = Callable[..., Any]
