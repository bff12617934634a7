"""How a process answers the others that serve the same place: with what is only in its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pouchdb_server.handlers import about, databases, replication
from pouchdb_server.metrics import told
from pouchdb_server.processes.siblings import SIBLINGS
from pouchdb_server.replicator import scheduler
from pouchdb_server.updates import UPDATES

if TYPE_CHECKING:
    from pouchdb_server.service import Service

__all__ = ["share"]

ANSWERS: Mapping[str, Callable[..., Any]] = {
    "tasks": about.tasks_here,
    "compacting": databases.compacting_here,
    "metrics": told.metrics_here,
    "replications": replication.running_here,
    "cancel": replication.cancelled_here,
    "jobs": scheduler.jobs_here,
    "docs": scheduler.docs_here,
    "doc": scheduler.doc_here,
}


def share(service: Service) -> list[Callable[[], None]]:
    """Answer the others for a server from now on; return functions that end it."""
    environment = service.environment

    def came_or_went(name: str, kind: str) -> None:
        short = environment.short_name(name)
        if kind == "deleted" and short is not None:
            service.databases.forget(short)

    # Made now, so that it gets the others' messages from the beginning.
    environment.state(UPDATES)
    return [
        environment.state(SIBLINGS).on("databases", came_or_went),
        *(service.others.on(name, partial(answer, service)) for name, answer in ANSWERS.items()),
    ]
