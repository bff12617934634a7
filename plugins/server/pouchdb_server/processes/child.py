"""One of several processes that serve the same place."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from os import PathLike
from typing import Any, NoReturn

import pouchdb
from pouchdb_server.app import create_app
from pouchdb_server.processes.shares import Share
from pouchdb_server.processes.siblings import READY, SIBLINGS
from pouchdb_server.serve import Running, configured, inner, only_serving

__all__ = ["Plan", "work"]


LINGER = 1.0
"""Seconds for which a process that ends waits for a request on connections that are idle."""


@dataclass(frozen=True)
class Plan:
    """What each process serves, and how; it is pickled."""

    place: str | PathLike[str]
    """Where the databases are, as ``pouchdb.setup`` takes it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Its options."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those of ``create_app``."""
    serving: Mapping[str, Any] = field(default_factory=dict)
    """Those of uvicorn, such as ``ssl_certfile``."""


def work(plan: Plan, listening: socket.socket, share: Share | None, connection: Connection) -> None:
    """Serve until the parent sends stop or is gone, or SIGTERM: requests under way are completed, nothing is lost."""

    def end(number: int, frame: object) -> NoReturn:
        sys.exit(0)

    # Ctrl-C goes to all processes of a terminal; the parent stops its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # uvicorn raises the signal again when it has ended: then the databases are to be closed.
    signal.signal(signal.SIGTERM, end)
    with contextlib.suppress(KeyboardInterrupt), pouchdb.setup(plan.place, **plan.options) as environment:
        siblings = environment.state(SIBLINGS)
        running: list[Running] = []
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True
            for each in running:
                each.should_exit = True

        siblings.join(connection, stop)
        app = create_app(environment, **plan.settings)
        server = inner(app)
        server.lingers = True
        stopping = server.service.is_stopping
        config = configured(
            app, server.settings, "", 0, linger=LINGER, is_stopping=stopping, share=share, **plan.serving
        )
        running.append(Running(config, server, lambda port: siblings.report(READY), share))
        if not stopped:
            with only_serving():
                running[0].run([listening])
