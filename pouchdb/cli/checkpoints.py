"""checkpoints: how far replications got, and starting them over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.dump import is_checkpoint
from pouchdb_core.errors import NotFound
from pouchdb_core.results import Record

__all__ = ["COMMANDS", "checkpoints"]


@click.command(
    cls=Command,
    examples=[
        "pouchdb checkpoints notes",
        "pouchdb checkpoints notes --reset",
    ],
)
@click.argument("db")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--reset", is_flag=True, help="Delete the named checkpoints, or all: those replications start over.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def checkpoints(session: Session, db: str, ids: tuple[str, ...], reset: bool, yes: bool) -> None:
    """List the replication checkpoints of a database, or reset them.

    Starting over costs time and loses nothing: what the other side has is not sent again.
    """
    database = session.database(db)
    output = session.output
    found = list(_found(database, ids))
    if not reset:
        rows = [_about(each) for each in found]
        if output.json:
            for row in rows:
                output.data(row)
        else:
            output.table(
                ("checkpoint", "source", "target", "seq", "refused", "last run"), [list(row.values()) for row in rows]
            )
        if not rows:
            output.note("no checkpoints: it was never replicated, or its server does not list them")
        return
    if found and not yes:
        if output.json:
            raise Failure("--reset asks first, which a script cannot answer", "add --yes", Status.USAGE)
        click.confirm(f"Have {len(found)} replication(s) of {database.name} start over?", abort=True, err=True)
    for each in found:
        database.remove(each)
    output.pairs({"reset": [each["_id"] for each in found]} if output.json else {"reset": len(found)})


def _found(db: SyncPouchDB, ids: tuple[str, ...]) -> Iterator[Record]:
    """Yield the checkpoints, those that are named or all. Raises NotFound."""
    names = [each if each.startswith("_local/") else f"_local/{each}" for each in ids]
    for name in names or db.adapter.local_ids("_local/"):
        try:
            doc = db.get(name)
        except NotFound:
            if names:
                raise
            # Removed since it was listed.
            continue
        if is_checkpoint(doc):
            yield doc
        elif names:
            raise NotFound(f"{name} is a local document, but no checkpoint")


def _about(checkpoint: Record) -> dict[str, Any]:
    history = checkpoint.get("history") or [{}]
    newest = history[0] if isinstance(history, list) and isinstance(history[0], dict) else {}
    refused = checkpoint.get("denied")
    return {
        "id": checkpoint["_id"],
        "source": checkpoint.get("source") or "?",
        "target": checkpoint.get("target") or "?",
        "last_seq": checkpoint.get("source_last_seq", checkpoint.get("last_seq")),
        "refused": sum(map(len, refused.values())) if isinstance(refused, dict) else 0,
        "start_time": newest.get("start_time") or "",
    }


COMMANDS = (checkpoints,)
