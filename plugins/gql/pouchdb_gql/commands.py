"""``pouchdb gql``."""

from __future__ import annotations

import json
from typing import Any

import click

from pouchdb.cli.arguments import text_of
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status
from pouchdb_gql.errors import GqlError

__all__ = ["gql"]


@click.command(
    cls=Command,
    examples=['pouchdb gql people "select dept, avg(age) group by dept"', "pouchdb gql people @report.gql --explain"],
)
@click.argument("db")
@click.argument("query")
@click.option("--descending", is_flag=True, help="Reverse the order of the rows.")
@click.option("--explain", is_flag=True, help="Explain how the query would be executed, instead.")
@click.pass_obj
def gql(session: Session, db: str, query: str, descending: bool, explain: bool) -> None:
    """Query with Google's query language.

    QUERY is text, @FILE, or - for the standard input.
    """
    database: Any = session.database(db)
    try:
        answer = database.gql(text_of(query), descending=descending, explain=explain)
    except GqlError as error:
        raise Failure(
            f"{error.name.replace('_', ' ')}: {error.message}",
            error.details.get("caret", ""),
            Status.USAGE,
            error=error.name,
        ) from error
    output = session.output
    if explain:
        if output.json:
            output.data(answer)
        for step in () if output.json else answer["steps"]:
            output.line(step)
        return
    if output.json:
        for row in answer["rows"]:
            output.data(row)
        return
    names = list(dict.fromkeys(name for row in answer["rows"] for name in row))
    output.table(names, [[_cell(row.get(name)) for name in names] for row in answer["rows"]])
    if output.terminal:
        output.note(f"{len(answer['rows']):,} rows")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
