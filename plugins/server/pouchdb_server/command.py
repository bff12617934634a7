"""``python -m pouchdb serve``."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import sys
from collections.abc import Sequence

import pouchdb
from pouchdb_server.app import create_app
from pouchdb_server.serve import serve

__all__ = ["main"]

PASSWORD = "POUCHDB_ADMIN_PASSWORD"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a directory of databases; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pouchdb serve",
        description="Serve the databases of a directory over HTTP, as CouchDB does.",
        epilog=f"The administrator's password is read from the variable {PASSWORD}.",
    )
    parser.add_argument("directory", nargs="?", default="data", help="where the databases are (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5984, help="the port, 0 for any (default: %(default)s)")
    parser.add_argument("--admin", metavar="NAME", help="the administrator; without one everybody on this machine is")
    parser.add_argument("--cors", nargs="*", metavar="ORIGIN", help="let in pages of these origins, or of all")
    parser.add_argument("--in-memory", action="store_true", help="keep nothing on disk")
    parser.add_argument("--durability", choices=["full", "normal"], default="full", help="(default: %(default)s)")
    parser.add_argument("--certfile", help="serve HTTPS with this certificate")
    parser.add_argument("--keyfile", help="its key")
    chosen = parser.parse_args(arguments)

    password = os.environ.get(PASSWORD, "")
    admins = {}
    if chosen.admin is not None:
        if not password:
            parser.error(f"--admin needs a password, in the variable {PASSWORD}")
        admins[chosen.admin] = password
    elif not _loopback(chosen.host):
        parser.error(f"to listen on {chosen.host} it needs an administrator: --admin NAME, and {PASSWORD}")
    cors = False if chosen.cors is None else (chosen.cors or True)
    tls = {"ssl_certfile": chosen.certfile, "ssl_keyfile": chosen.keyfile} if chosen.certfile else {}

    def started(port: int) -> None:
        host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
        sys.stdout.write(f"http{'s' if tls else ''}://{host}:{port}/\n")
        sys.stdout.flush()

    options = {} if chosen.in_memory else {"durability": chosen.durability}
    # uvicorn hands the signal on when it has ended: then the databases are to be closed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    place = ":memory:" if chosen.in_memory else chosen.directory
    with contextlib.suppress(KeyboardInterrupt), pouchdb.setup(place, **options) as environment:
        serve(create_app(environment, admins=admins, cors=cors), chosen.host, chosen.port, started=started, **tls)
    return 0


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
