"""doctor: what may be wrong, and what to do."""

from __future__ import annotations

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.diagnosis import Finding, explained, findings
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status

__all__ = ["COMMANDS", "doctor"]

STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


@click.command(
    cls=Command,
    examples=[
        "pouchdb doctor notes",
        "pouchdb doctor notes --doc milk --with http://localhost:5984/notes",
    ],
)
@click.argument("db")
@click.option("--doc", "id", metavar="ID", help="Explain where this document is, and why it is not synchronised.")
@click.option("--with", "other", metavar="OTHER", help="The other database, by name, path or URL.")
@click.pass_obj
def doctor(session: Session, db: str, id: str | None, other: str | None) -> int:
    """Check a database, or explain why a document is not synchronised.

    Checks the integrity of what is stored, the indexes and the replications.

    Exits with 7 when there are problems.
    """
    if other is not None and id is None:
        raise Failure("--with needs the document: pouchdb doctor DB --doc ID --with OTHER", exit=Status.USAGE)
    database = session.database(db)
    if id is None:
        told = findings(database, session.shown(db))
    else:
        theirs = None if other is None else (session.database(other), session.shown(other))
        told = explained(id, (database, session.shown(db)), theirs)
    problems = 0
    for finding in told:
        problems += finding.level == "problem"
        _tell(session, finding)
    return Status.PARTLY if problems else Status.OK


def _tell(session: Session, finding: Finding) -> None:
    output = session.output
    if output.json:
        output.data(finding.as_dict())
    elif output.terminal:
        output.styled((finding.level.ljust(9), STYLES[finding.level]), f"{finding.check}: {finding.text}")
        if finding.hint:
            output.styled((f"{'':9}{finding.hint}", "dim"))
    else:
        output.table((), [(finding.level, finding.check, finding.text, finding.hint)])


COMMANDS = (doctor,)
