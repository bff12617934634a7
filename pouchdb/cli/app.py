"""Building the command with those of the plug-ins, running it, and ending with a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from pouchdb.cli import (
    changes,
    checkpoints,
    databases,
    doctor,
    documents,
    dumps,
    editing,
    exchanges,
    new_plugin,
    plugins,
    queries,
    replications,
    shell,
    trees,
    view_commands,
)
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command, Group, ReaderGone, common
from pouchdb.cli.output import Output
from pouchdb.cli.status import Failure, Status, told
from pouchdb.info import __version__
from pouchdb.setup import installed_plugins
from pouchdb_core.defaults import CORE_PLUGINS
from pouchdb_core.errors import BaseError
from pouchdb_core.plugins import Plugins
from pouchdb_core.revisions.numbers import MAX_DIGITS

__all__ = ["OWNER", "build", "help_", "run"]

OWNER = "pouchdb"
"""The name shown as owner of commands that do not come from a plug-in."""


@click.command("help", cls=Command, examples=["pouchdb help views build"])
@click.argument("command", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of a command."""
    found: click.Command = ctx.find_root().command
    within = click.Context(found, info_name="pouchdb")
    for name in command:
        if not isinstance(found, click.Group):
            raise click.UsageError(f"{within.command_path} has no commands", ctx)
        _, inner, _ = found.resolve_command(within, [name])
        assert inner is not None, "else it was raised"
        found, within = inner, click.Context(inner, info_name=name, parent=within)
    click.echo(found.get_help(within))


COMMANDS = (
    *changes.COMMANDS,
    *checkpoints.COMMANDS,
    *databases.COMMANDS,
    *doctor.COMMANDS,
    *documents.COMMANDS,
    *dumps.COMMANDS,
    *editing.COMMANDS,
    *exchanges.COMMANDS,
    *new_plugin.COMMANDS,
    *plugins.COMMANDS,
    *queries.COMMANDS,
    *replications.COMMANDS,
    *shell.COMMANDS,
    *trees.COMMANDS,
    *view_commands.COMMANDS,
    help_,
)

HELP = """Work with CouchDB-style databases: local ones, CouchDB, PouchDB Server.

DB is the name of a database in the chosen directory, a path (data/notes or data/notes.pouchdb), or a URL
(http://localhost:5984/notes). Credentials in URLs are never shown; for a user without a
password (http://ada@localhost:5984/notes) it is read from the variable POUCHDB_PASSWORD.

\b
Exit statuses: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict,
5 not allowed, 6 not reachable or busy (try again later),
7 done in part, or problems found, 130 interrupted.
"""


def build() -> tuple[Group, dict[str, str]]:
    """Return the command with those of all installed plug-ins, and the owner of each. Raises PluginError."""
    group = Group(
        "pouchdb",
        help=HELP,
        params=[
            *common(),
            click.Option(
                ["-V", "--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_version,
                help="Show the version and exit.",
            ),
        ],
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    for command in COMMANDS:
        group.add_command(command)
    owners = Plugins([*CORE_PLUGINS, *installed_plugins()]).commands(group, OWNER)
    return group, dict(owners)


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"pouchdb {__version__}")
        ctx.exit()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    output = Output()
    if arguments is None and hasattr(sys, "set_int_max_str_digits"):
        # Documents may have integers of more digits than Python prints by default.
        sys.set_int_max_str_digits(MAX_DIGITS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Before it is parsed, so that errors in the rest are reported in JSON too.
    output.json = "--json" in given
    try:
        status = _run(given, output)
        sys.stdout.flush()
        return status
    except (BrokenPipeError, ReaderGone):
        # Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.BROKEN_PIPE


def _run(given: list[str], output: Output) -> int:
    try:
        group, owners = build()
        with Session(output, owners) as session:
            answer = group.main(given, prog_name="pouchdb", standalone_mode=False, obj=session)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return Status.USAGE
    except click.UsageError as error:
        output.failed(_usage(error))
        return Status.USAGE
    except click.ClickException as error:
        output.failed(Failure(error.format_message()))
        return Status.FAILED
    except SystemExit as ended:
        # A signal came.
        return ended.code if isinstance(ended.code, int) else Status.OK
    except (click.Abort, KeyboardInterrupt):
        output.note("interrupted")
        return Status.INTERRUPTED
    except BrokenPipeError:
        raise
    except (BaseError, OSError) as error:
        failure = told(error)
        output.failed(failure)
        return failure.exit
    return answer if isinstance(answer, int) else Status.OK


def _usage(error: click.UsageError) -> Failure:
    ctx = error.ctx
    hint = "" if ctx is None else f"{ctx.get_usage()}\n`{ctx.command_path} --help` shows the options"
    message = " ".join(line.strip() for line in error.format_message().splitlines())
    return Failure(message, hint.replace("Usage: ", "usage: "), Status.USAGE, error="usage")
