"""``pouchdb find`` and ``pouchdb index``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from pouchdb.cli.arguments import OBJECT
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status
from pouchdb_core.errors import NotFound

__all__ = ["find", "index"]

WIDEST = 8
"""Columns of a table where no fields were requested."""


@click.command(
    cls=Command,
    examples=[
        """pouchdb find people '{"age": {"$gt": 30}}' --fields _id,age --sort age""",
    ],
)
@click.argument("db")
@click.argument("selector", type=OBJECT)
@click.option("--fields", metavar="NAMES", help="Only these fields, separated by commas.")
@click.option("--sort", metavar="NAMES", help="Sort by these fields, separated by commas; needs an index of them.")
@click.option("--descending", is_flag=True, help="Sort in descending order.")
@click.option("--limit", type=click.IntRange(0), default=25, show_default=True, help="At most this many documents.")
@click.option("--skip", type=click.IntRange(0), default=0, help="Skip this many documents.")
@click.option("--bookmark", help="Continue after an earlier page.")
@click.option("--use-index", metavar="DDOC[/NAME]", help="Use this index, if it fits.")
@click.option("--explain", is_flag=True, help="Explain how the query would be executed, instead.")
@click.option("--docs", is_flag=True, help="Print whole documents, not a table.")
@click.pass_obj
def find(
    session: Session,
    /,
    db: str,
    selector: dict[str, Any],
    fields: str | None,
    sort: str | None,
    descending: bool,
    explain: bool,
    docs: bool,
    **options: Any,
) -> None:
    """Find documents by a Mango selector."""
    database: Any = session.database(db)
    request = {"selector": selector, **{name: value for name, value in options.items() if value is not None}}
    names = [] if fields is None else fields.split(",")
    if names:
        request["fields"] = names
    if sort is not None or descending:
        request["sort"] = [{name: "desc" if descending else "asc"} for name in (sort or "_id").split(",")]
    output = session.output
    if explain:
        _explain(session, database.explain(request))
        return
    answer = database.find(request)
    if output.json:
        for doc in answer["docs"]:
            output.data(doc)
    elif docs:
        for doc in answer["docs"]:
            output.document(doc)
    else:
        columns = names or _columns(answer["docs"])
        output.table(columns, [[_cell(doc, name) for name in columns] for doc in answer["docs"]])
    for line in answer.get("warning", "").splitlines():
        output.note(line)
    if "No matching index found" in answer.get("warning", ""):
        output.note(f"`pouchdb index {db} FIELD` makes one")
    if len(answer["docs"]) == options["limit"] and answer.get("bookmark"):
        output.note(f"there may be more: --bookmark {answer['bookmark']}")


def _explain(session: Session, answer: Mapping[str, Any]) -> None:
    output = session.output
    if output.json:
        output.data(answer)
        return
    # CouchDB explains it in its own form only.
    plan = answer.get("plan") or {
        "reads": answer["index"],
        "ranges": [answer.get("mrargs")],
        "filter": [],
        "not_used": {},
    }
    rows = [("reads", plan["reads"])]
    rows += [("range", each) for each in plan["ranges"]]
    rows += [("then filters by", _text(each)) for each in plan["filter"]]
    rows += [(f"not {name}", why) for name, why in plan["not_used"].items()]
    output.table(("", ""), rows)


def _columns(docs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns of a table: the fields that documents have, in their order."""
    found = {"_id": None}
    for doc in docs:
        found.update(dict.fromkeys(name for name in doc if name[:1] != "_"))
    return list(found)[:WIDEST]


def _cell(doc: Mapping[str, Any], name: str) -> str:
    value: Any = doc
    # A name with a dot is looked up as a whole first.
    for part in [name] if name in doc else name.replace("\\.", "\0").split("."):
        key = part.replace("\0", ".")
        if not isinstance(value, Mapping) or key not in value:
            return ""
        value = value[key]
    return _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@click.command(
    cls=Command,
    examples=[
        "pouchdb index people",
        "pouchdb index people city age",
    ],
)
@click.argument("db")
@click.argument("fields", metavar="[FIELD]...", nargs=-1)
@click.option("--partial", type=OBJECT, help="Only documents that match this selector.")
@click.option("--ddoc", help="Store the index in this design document.")
@click.option("--name", help="The name of the index.")
@click.option("--delete", metavar="DDOC/NAME", help="Delete this index.")
@click.pass_obj
def index(
    session: Session,
    /,
    db: str,
    fields: tuple[str, ...],
    partial: dict[str, Any] | None,
    ddoc: str | None,
    name: str | None,
    delete: str | None,
) -> None:
    """List the indexes of a database, or make or delete one."""
    if delete is not None and fields:
        raise Failure("an index is made of fields or deleted, one at a time", exit=Status.USAGE)
    database: Any = session.database(db)
    output = session.output
    if delete is not None:
        holder, slash, called = delete.removeprefix("_design/").partition("/")
        if not slash:
            raise Failure("--delete needs DDOC/NAME, as the list shows them", exit=Status.USAGE)
        try:
            database.delete_index(ddoc=f"_design/{holder}", name=called)
        except NotFound as error:
            raise Failure(
                f"there is no index {delete}", f"`pouchdb index {session.shown(db)}` lists them", Status.NOT_FOUND
            ) from error
        output.pairs({"deleted": delete})
        return
    if fields:
        definition: dict[str, Any] = {"fields": list(fields)}
        if partial is not None:
            definition["partial_filter_selector"] = partial
        names = {key: value for key, value in (("ddoc", ddoc), ("name", name)) if value is not None}
        output.pairs(dict(database.create_index({"index": definition, **names})))
        return
    found = database.get_indexes()["indexes"]
    if output.json:
        for each in found:
            output.data(each)
        return
    output.table(
        ("index", "fields", "only documents that match"),
        [
            (
                each["name"] if each["ddoc"] is None else f"{each['ddoc'].removeprefix('_design/')}/{each['name']}",
                ", ".join(name for field in each["def"]["fields"] for name in field),
                _text(each["def"].get("partial_filter_selector") or ""),
            )
            for each in found
        ],
    )
