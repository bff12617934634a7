"""query: a view, a function of the command line, or a Mango selector."""

from __future__ import annotations

from typing import Any

import click

from pouchdb.cli.arguments import JSON, LIST, OBJECT, text_of
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.output import json_text, shown
from pouchdb.cli.progress_bar import working
from pouchdb.cli.status import Failure, Status

__all__ = ["COMMANDS", "query"]


@click.command(
    cls=Command,
    examples=[
        "pouchdb query notes by/day --start 2024-05 --end 2024-06",
        "pouchdb query notes by/day --group",
        "pouchdb query notes --map 'function (doc) { emit(doc.day); }' --limit 10",
    ],
)
@click.argument("db")
@click.argument("view", required=False)
@click.option(
    "--map", "map_", metavar="FUNCTION", help="A map function in JavaScript instead of a view, or @FILE with one."
)
@click.option("--find", "selector", type=OBJECT, help="A Mango selector instead of a view (needs the plug-in find).")
@click.option("--reduce", metavar="NAME", help="Reduce with _sum, _count or _stats.")
@click.option("--rows", is_flag=True, help="Print the rows even if the view has a reduce function.")
@click.option("--group", is_flag=True, help="Reduce the rows of each key.")
@click.option("--group-level", type=click.IntRange(0), help="Reduce by the first elements of keys that are lists.")
@click.option("--key", type=JSON, help="Only this key, in JSON.")
@click.option("--keys", type=LIST, help="Only these keys, a list in JSON.")
@click.option("--start", type=JSON, help="The first key, in JSON.")
@click.option("--end", type=JSON, help="The last key, in JSON.")
@click.option("--descending", is_flag=True, help="Last key first.")
@click.option("--limit", type=click.IntRange(0), help="At most this many rows.")
@click.option("--skip", type=click.IntRange(0), default=0, help="Skip this many rows.")
@click.option("--docs", is_flag=True, help="Print the documents too.")
@click.option("--no-update", is_flag=True, help="Do not update the index first.")
@click.pass_obj
def query(
    session: Session,
    /,
    db: str,
    view: str | None,
    map_: str | None,
    selector: dict[str, Any] | None,
    reduce: str | None,
    rows: bool,
    group: bool,
    no_update: bool,
    docs: bool,
    **options: Any,
) -> None:
    """Query a view (DDOC/NAME), a map function, or a Mango selector.

    A temporary map function reads the whole database at every call. If you need it more than once, store it in a
    design document.
    """
    if sum(each is not None for each in (view, map_, selector)) != 1:
        raise Failure(
            "after the database, query needs one of: a view (DDOC/NAME), --map, --find",
            "usage: pouchdb query [OPTIONS] DB [VIEW]",
            Status.USAGE,
            error="usage",
        )
    database = session.database(db)
    if selector is not None:
        _find(session, database, selector, options)
        return
    given = {{"start": "startkey", "end": "endkey"}.get(name, name): value for name, value in options.items()}
    given = {name: value for name, value in given.items() if value is not None}
    if rows or reduce is not None:
        given["reduce"] = False if rows else reduce
    if group:
        given["group"] = True
    if no_update:
        given["update"] = False
    fun: Any = view if map_ is None else {"map": text_of(map_)}
    with working(session.output, database):
        answer = database.query(fun, include_docs=docs, **given)
    output = session.output
    if output.json:
        for row in answer["rows"]:
            output.data(row)
        return
    reduced = not any("id" in row for row in answer["rows"])
    if reduced:
        output.table(("key", "value"), [(json_text(row["key"]), json_text(_value(row))) for row in answer["rows"]])
    elif docs:
        for row in answer["rows"]:
            output.document(row.get("doc"))
    else:
        output.table(
            ("key", "id", "value"),
            [(json_text(row["key"]), shown(row.get("id", "")), json_text(row.get("value"))) for row in answer["rows"]],
        )
    if "total_rows" in answer and output.terminal:
        output.note(f"{len(answer['rows']):,} of {answer['total_rows']:,} rows")


def _find(session: Session, database: Any, selector: dict[str, Any], options: dict[str, Any]) -> None:
    if not hasattr(database, "find"):
        raise Failure("selectors need the plug-in find", "install it: pip install 'pouchdb[find]'")
    given = {name: options[name] for name in ("limit", "skip") if options.get(name) is not None}
    answer = database.find({"selector": selector, **given})
    for doc in answer["docs"]:
        session.output.document(doc)
    for line in answer.get("warning", "").splitlines():
        session.output.note(line)


COMMANDS = (query,)


def _value(row: Any) -> Any:
    """Return the value of a reduced row; if its reduce function grew instead of shrinking, the message about it."""
    return row["value"] if "value" in row else {name: row[name] for name in ("error", "reason")}
