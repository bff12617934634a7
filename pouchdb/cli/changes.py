"""changes: the feed, so far or forever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from pouchdb.cli.arguments import choosing, chosen
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.interrupt import interruptible
from pouchdb.cli.status import Status
from pouchdb_core.results import Record

__all__ = ["COMMANDS", "changes"]


@click.command(
    cls=Command,
    examples=[
        "pouchdb changes notes --limit 10 --descending",
        "pouchdb changes notes --since now --follow --docs",
    ],
)
@click.argument("db")
@click.option(
    "--since", default="0", metavar="SEQ", help="Only changes after this sequence number; `now` for none of the past."
)
@click.option("--limit", type=click.IntRange(0), help="At most this many.")
@click.option("-f", "--follow", is_flag=True, help="Wait for further changes, until Ctrl-C.")
@click.option("--docs", is_flag=True, help="Print the documents too.")
@click.option("--descending", is_flag=True, help="Newest first.")
@click.option("--all-leaves", is_flag=True, help="Show the revisions in conflict too.")
@choosing
@click.pass_obj
def changes(
    session: Session,
    /,
    db: str,
    since: str,
    limit: int | None,
    follow: bool,
    docs: bool,
    descending: bool,
    all_leaves: bool,
    **given: Any,
) -> int:
    """List the changed documents, in the order of their last change."""
    database = session.database(db)
    options: dict[str, Any] = {
        "since": since,
        "limit": limit,
        "include_docs": docs,
        "style": "all_docs" if all_leaves else "main_only",
        **chosen(**given),
    }

    def tell(row: Record) -> None:
        session.output.data(row) if session.output.json else _line(session, row)

    if not follow:
        # Printed as they come: a feed of any length takes the same memory.
        database.changes(descending=descending, return_docs=False, on_change=tell, **options)
        return Status.OK
    with interruptible():
        feed = database.live_changes(**options)
        try:
            for row in _rows(feed):
                tell(row)
        except KeyboardInterrupt:
            # Following ends this way.
            feed.cancel()
    return Status.OK


def _rows(feed: Any) -> Iterator[Record]:
    yield from feed


def _line(session: Session, row: Record) -> None:
    output = session.output
    revs = " ".join(change["rev"] for change in row["changes"])
    if not output.terminal:
        cells = [row["seq"], row["id"], revs, "deleted" if row.get("deleted") else ""]
        output.table((), [cells if "doc" not in row else [*cells, row["doc"]]])
        return
    output.styled(
        (f"{row['seq']}".rjust(7) + "  ", "dim"),
        (row["id"], "red strike" if row.get("deleted") else "bold"),
        (f"  {revs}", "dim"),
        ("  deleted", "red") if row.get("deleted") else "",
    )
    if row.get("doc") is not None:
        output.document(row["doc"])


COMMANDS = (changes,)
