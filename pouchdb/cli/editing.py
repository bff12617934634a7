"""edit: change a document in the user's editor."""

from __future__ import annotations

import json
import tempfile
from typing import Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status
from pouchdb_core.errors import Conflict, NotFound, PouchDBError
from pouchdb_core.jsontext import from_text
from pouchdb_core.safe_repr import safe_repr

__all__ = ["COMMANDS", "edit"]

_FIXED = ("_id", "_rev")


@click.command(
    cls=Command,
    examples=[
        "pouchdb edit notes milk",
        "pouchdb edit notes bread --create --editor nano",
    ],
)
@click.argument("db")
@click.argument("id")
@click.option("--create", is_flag=True, help="Create the document if it does not exist.")
@click.option("--editor", help="Use this editor instead of that of the variables VISUAL and EDITOR.")
@click.pass_obj
def edit(session: Session, db: str, id: str, create: bool, editor: str | None) -> int:
    """Edit a document in your editor.

    Without a change nothing is written. If the document cannot be stored, the editor opens again with your text and
    the reason; save it without a change to give up.
    """
    database = session.database(db)
    try:
        doc: dict[str, Any] = dict(database.get(id))
    except NotFound:
        if not create:
            raise
        doc = {"_id": id}
    text = json.dumps(doc, ensure_ascii=False, indent=2) + "\n"
    before = text
    while True:
        edited = _edited(text, editor)
        if edited is None or edited == text:
            if text == before:
                session.output.note("not changed")
                return Status.OK
            raise Failure("the document was not stored", _saved_hint(text), Status.FAILED)
        text = edited
        try:
            changed = _document(text, doc)
            if changed == doc:
                session.output.note("not changed")
                return Status.OK
            done = database.put(changed)
        except Conflict as error:
            raise Failure(
                f"{id} was changed in the meantime: {error.message}", _saved_hint(text), Status.CONFLICT
            ) from error
        except PouchDBError as error:
            session.output.warn(f"{error.name.replace('_', ' ')}: {error.message}")
            if not session.output.terminal:
                raise Failure("the document was not stored", _saved_hint(text), Status.FAILED) from error
            click.pause("Press any key to edit it again.", err=True)
        else:
            session.output.pairs({"id": done["id"], "rev": done["rev"]})
            return Status.OK


def _edited(text: str, editor: str | None) -> str | None:
    try:
        return click.edit(text, editor=editor, extension=".json", require_save=False)
    except click.ClickException as error:
        raise Failure(error.format_message(), "set the variable EDITOR, or give --editor", Status.USAGE) from error


def _document(text: str, doc: dict[str, Any]) -> dict[str, Any]:
    changed = from_text(text)
    if not isinstance(changed, dict):
        raise Failure("a document is a JSON object: {...}", _saved_hint(text), Status.FAILED)
    for name in _FIXED:
        if changed.get(name, doc.get(name)) != doc.get(name):
            raise Failure(
                f"{name} was changed from {safe_repr(doc.get(name))} to {safe_repr(changed[name])}",
                f"{name} stays what it is here; `pouchdb put` writes another document\n{_saved_hint(text)}",
                Status.USAGE,
            )
    return {**{name: doc[name] for name in _FIXED if name in doc}, **changed}


def _saved_hint(text: str) -> str:
    """Keep the edited text in a file; return its path."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="pouchdb-edit-", suffix=".json", delete=False
    ) as draft:
        draft.write(text)
    return f"what you typed is in {draft.name}"


COMMANDS = (edit,)
