"""``pouchdb serve``."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import pouchdb
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure

if TYPE_CHECKING:
    from pouchdb_server.processes.child import Plan

__all__ = ["command"]

PASSWORD = "POUCHDB_ADMIN_PASSWORD"


class _Directory(click.Path):
    """A directory, or the URL of where a plug-in keeps databases."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if isinstance(value, str) and "://" in value else super().convert(value, param, ctx)


@click.command(
    "serve",
    cls=Command,
    examples=[
        "pouchdb serve data",
        "POUCHDB_ADMIN_PASSWORD=secret pouchdb serve data --host 0.0.0.0 --admin root --workers 4",
    ],
)
@click.argument("place", metavar="[DIRECTORY]", required=False, type=_Directory(path_type=Path, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=5984, show_default=True, help="The port; 0 takes one that is free."
)
@click.option("--workers", "processes", type=click.IntRange(1, 256), default=1, show_default=True,
              help="Processes that answer requests; one for each core uses the whole machine.")  # fmt: skip
@click.option("--admin", metavar="NAME", help=f"The administrator, with the password of the variable {PASSWORD}.")
@click.option("--cors", is_flag=True, help="Allow requests from web pages of all origins (CORS).")
@click.option(
    "--cors-origin", "origins", multiple=True, metavar="ORIGIN", help="Allow only this origin; may be repeated."
)
@click.option("--in-memory", is_flag=True, help="Keep nothing on disk.")
@click.option("--durability", type=click.Choice(["full", "normal"]), default="full", show_default=True,
              help="normal: a power failure may lose the last writes.")  # fmt: skip
@click.option("--certfile", type=click.Path(exists=True, dir_okay=False), help="Serve HTTPS with this certificate.")
@click.option("--keyfile", type=click.Path(exists=True, dir_okay=False), help="The key of the certificate.")
@click.option("--fauxton", type=click.Path(exists=True, file_okay=False), metavar="DIR",
              help="Serve a copy of Fauxton at /_utils instead of the built-in pages.")  # fmt: skip
@click.pass_obj
def command(
    session: Session,
    place: Path | str | None,
    host: str,
    port: int,
    processes: int,
    admin: str | None,
    cors: bool,
    origins: tuple[str, ...],
    in_memory: bool,
    durability: str,
    certfile: str | None,
    keyfile: str | None,
    fauxton: str | None,
) -> None:
    """Serve the databases of a directory over HTTP, as CouchDB does.

    Without --admin, every user has all rights, and only this machine can connect.
    """
    # Every other command of pouchdb imports this module, too, without uvicorn and the server.
    from pouchdb_server.app import create_app
    from pouchdb_server.processes.child import Plan
    from pouchdb_server.serve import only_serving, serve

    admins = _admins(host, admin)
    settings: dict[str, Any] = {"admins": admins, "cors": list(origins) or cors}
    if fauxton is not None:
        settings["fauxton"] = fauxton
    tls = {"ssl_certfile": certfile, "ssl_keyfile": keyfile} if certfile else {}
    options: dict[str, Any] = {} if in_memory else {"durability": durability}

    def started(port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        url = f"http{'s' if tls else ''}://{shown}:{port}/"
        if session.output.json:
            session.output.data({"url": url})
        else:
            session.output.line(url)
        sys.stdout.flush()

    def end(number: int, frame: object) -> NoReturn:
        sys.exit(0)

    where = ":memory:" if in_memory else place or session.url or session.directory
    if processes > 1:
        if in_memory:
            raise click.UsageError("several --workers need a directory: what is in memory belongs to one process")
        _serve_with(Plan(where, options, settings, tls), host, port, processes, started)
        return
    # uvicorn raises the signal again when it has ended: then the databases are to be closed.
    signal.signal(signal.SIGTERM, end)
    with contextlib.suppress(KeyboardInterrupt), pouchdb.setup(where, **options) as environment:
        try:
            app = create_app(environment, **settings)
            with only_serving(), _caught() as errors:
                serve(app, host, port, started=started, **tls)
        except SystemExit as ended:
            # That is how uvicorn says that it could not listen; a signal ends it with 0.
            if not ended.code:
                raise
            raise _taken(host, port, errors[-1] if errors else None) from ended


def _serve_with(plan: Plan, host: str, port: int, processes: int, started: Callable[[int], None]) -> None:
    """Serve a place with several processes until SIGINT or SIGTERM. Raises Failure, PouchDBError."""
    from pouchdb_server.app import create_app
    from pouchdb_server.processes.parent import Parent, WorkerFailed
    from pouchdb_server.processes.sockets import listen

    # Errors in the place or the settings are found once, and what the processes share is made once.
    with pouchdb.setup(plan.place, **plan.options) as environment:
        if environment.directory is None and environment.shared is None:
            raise click.UsageError(
                "several --workers need a directory, or a storage whose processes share texts and locks: "
                "what is kept here otherwise belongs to one process"
            )
        create_app(environment, **plan.settings)
    try:
        sockets = listen(host, port, processes)
    except OSError as error:
        raise _taken(host, port, error) from error
    try:
        Parent(plan, sockets, lambda: started(sockets[0].getsockname()[1])).run()
    except WorkerFailed as error:
        raise Failure(str(error), "its own message is above") from error
    finally:
        for each in sockets:
            each.close()


@contextlib.contextmanager
def _caught() -> Iterator[list[OSError]]:
    """Collect the errors that uvicorn logs when it cannot listen: they are reported in a better place."""
    errors: list[OSError] = []

    def passes(record: logging.LogRecord) -> bool:
        if isinstance(record.msg, OSError):
            errors.append(record.msg)
        return not isinstance(record.msg, OSError)

    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(passes)
    try:
        yield errors
    finally:
        logger.removeFilter(passes)


def _taken(host: str, port: int, error: OSError | None) -> Failure:
    reason = "" if error is None or error.errno is None else f": {os.strerror(error.errno).lower()}"
    hint = "choose another --port (0 takes one that is free), or end the program that listens there"
    if error is not None and error.errno in (errno.EACCES, errno.EADDRNOTAVAIL, None):
        hint = "choose another --host or --port; ports below 1024 may need special rights"
    return Failure(f"cannot listen on {host}:{port}{reason}", hint)


def _admins(host: str, admin: str | None) -> dict[str, str]:
    password = os.environ.get(PASSWORD, "")
    if admin is None:
        if not _loopback(host):
            needed = f"--admin NAME, with the password in {PASSWORD}"
            raise click.UsageError(f"listening on {host} needs an administrator: {needed}")
        return {}
    if not password:
        raise click.UsageError(f"--admin needs a password, in the variable {PASSWORD}")
    return {admin: password}


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
