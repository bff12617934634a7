"""``pouchdb search``."""

from __future__ import annotations

import json
from typing import Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.progress_bar import working

__all__ = ["search"]


@click.command(cls=Command)
@click.argument("db")
@click.argument("index", metavar="DDOC/INDEX")
@click.argument("query")
@click.option("--limit", type=click.IntRange(0, 200), default=25, show_default=True, help="At most so many hits.")
@click.option("--sort", multiple=True, metavar="KEY", help="Such as '-year<number>'; may be repeated.")
@click.option("--counts", multiple=True, metavar="FIELD", help="Count the values of a facet; may be repeated.")
@click.option("--docs", is_flag=True, help="Print the documents too.")
@click.pass_obj
def search(
    session: Session,
    /,
    db: str,
    index: str,
    query: str,
    limit: int,
    sort: tuple[str, ...],
    counts: tuple[str, ...],
    docs: bool,
) -> None:
    """Search a text index of a design document."""
    database: Any = session.database(db)
    with working(session.output, database):
        answer = database.search(
            index, q=query, limit=limit, sort=list(sort) or None, counts=list(counts) or None, include_docs=docs
        )
    output = session.output
    rows = answer.get("rows", answer.get("hits", ()))
    for row in rows:
        if output.json or docs:
            output.document(row.get("doc") if docs else row)
        else:
            output.table((), [(row["id"], json.dumps(row["fields"], ensure_ascii=False))])
    for name, values in (answer.get("counts") or {}).items():
        output.note(f"{name}: {', '.join(f'{value} {count}' for value, count in values.items())}")
    output.note(f"{len(rows):,} of {answer.get('total_rows', answer.get('total_hits', 0)):,} hits")
