"""``pouchdb search``."""

from __future__ import annotations

import json
from typing import Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.progress_bar import working

__all__ = ["complete", "search", "suggest"]


@click.command(
    cls=Command,
    examples=[
        "pouchdb search notes texts/all 'title:milk AND year:[2020 TO *]'",
        "pouchdb search notes texts/all milk --limit 5 --docs",
    ],
)
@click.argument("db")
@click.argument("index", metavar="DDOC/INDEX")
@click.argument("query", required=False)
@click.option("--like", metavar="ID", help="Documents like this one, instead of a query or together with it.")
@click.option("--limit", type=click.IntRange(0, 200), default=25, show_default=True, help="At most this many hits.")
@click.option("--sort", multiple=True, metavar="KEY", help="Such as '-year<number>'; may be repeated.")
@click.option("--counts", multiple=True, metavar="FIELD", help="Count the values of a facet; may be repeated.")
@click.option("--docs", is_flag=True, help="Print the documents too.")
@click.pass_obj
def search(
    session: Session,
    /,
    db: str,
    index: str,
    query: str | None,
    like: str | None,
    limit: int,
    sort: tuple[str, ...],
    counts: tuple[str, ...],
    docs: bool,
) -> None:
    """Search a text index of a design document.

    Prints a line for each hit; with --json and --counts, the last line is an object with the counts.
    """
    if query is None and like is None:
        raise click.UsageError("give a query, or --like with the id of a document")
    database: Any = session.database(db)
    with working(session.output, database):
        answer = database.search(
            index,
            q=query,
            more_like=like,
            limit=limit,
            sort=list(sort) or None,
            counts=list(counts) or None,
            include_docs=docs,
        )
    output = session.output
    rows = answer.get("rows", answer.get("hits", ()))
    for row in rows:
        if output.json or docs:
            output.document(row.get("doc") if docs else row)
        else:
            output.table((), [(row["id"], json.dumps(row["fields"], ensure_ascii=False))])
    if output.json and counts:
        output.data({"counts": answer["counts"]})
    for name, values in (answer.get("counts") or {}).items():
        output.note(f"{name}: {', '.join(f'{value} {count}' for value, count in values.items())}")
    output.note(f"{len(rows):,} of {answer.get('total_rows', answer.get('total_hits', 0)):,} hits")


@click.command(cls=Command, examples=["pouchdb complete notes texts/all mil"])
@click.argument("db")
@click.argument("index", metavar="DDOC/INDEX")
@click.argument("prefix")
@click.option("--field", default="default", show_default=True, help="The field that has the words.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="At most this many words.")
@click.pass_obj
def complete(session: Session, /, db: str, index: str, prefix: str, field: str, limit: int) -> None:
    """List the most frequent words of a text index that begin with PREFIX."""
    database: Any = session.database(db)
    with working(session.output, database):
        answer = database.search_completions(index, prefix, field=field, limit=limit)
    for each in answer["completions"]:
        _printed(session, each, each["text"], each["count"])


@click.command(cls=Command, examples=["pouchdb suggest notes texts/all 'mlik and bred'"])
@click.argument("db")
@click.argument("index", metavar="DDOC/INDEX")
@click.argument("text")
@click.option("--field", default="default", show_default=True, help="The field that has the words.")
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="At most this many per word.")
@click.pass_obj
def suggest(session: Session, /, db: str, index: str, text: str, field: str, limit: int) -> None:
    """Suggest corrections for misspelt words, from the words of a text index."""
    database: Any = session.database(db)
    with working(session.output, database):
        answer = database.search_suggestions(index, text, field=field, limit=limit)
    for each in answer["words"]:
        _printed(session, each, each["word"], ", ".join(found["text"] for found in each["suggestions"]))
    session.output.note(f"did you mean: {answer['text']}" if answer["text"] != text else "nothing to suggest")


def _printed(session: Session, row: Any, *columns: Any) -> None:
    if session.output.json:
        session.output.document(row)
    else:
        session.output.table((), [tuple(map(str, columns))])
