"""tree and conflicts: the revisions of a document, and which one to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import NotFound
from pouchdb_core.revisions import Tree, path_from_revisions, rev_order

__all__ = ["COMMANDS", "Leaf", "conflicts", "drawn", "tree"]

LONG = 8
"""Revisions in a row that are drawn; if there are more, the middle is left out."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of a document: its revision and its state."""

    rev: str
    path: Sequence[str]
    deleted: bool
    doc: Mapping[str, Any] = field(default_factory=dict)


def _leaves(db: SyncPouchDB, id: str) -> list[Leaf]:
    """Return the leaves of a document, the winner first. Raises NotFound."""
    found = []
    for each in db.open_revs(id, "all", revs=True):
        doc = each.get("ok")
        if doc is not None:
            path = path_from_revisions(**doc["_revisions"])
            found.append(Leaf(doc["_rev"], path, bool(doc.get("_deleted")), doc))
    if not found:
        raise NotFound(id=id)
    return found


@click.command(cls=Command, examples=["pouchdb tree notes milk"])
@click.argument("db")
@click.argument("id")
@click.option("--all", "whole", is_flag=True, help="Draw every revision instead of shortening long runs.")
@click.pass_obj
def tree(session: Session, db: str, id: str, whole: bool) -> None:
    """Draw the revision tree of a document."""
    database = session.database(db)
    leaves = _leaves(database, id)
    output = session.output
    known = _merged(leaves)
    here = _bodies(database, id, leaves)
    if output.json:
        output.data(
            {
                "id": id,
                "winner": known.winner(),
                "leaves": [{"rev": leaf.rev, "deleted": leaf.deleted} for leaf in leaves],
                "revisions": [
                    {"rev": rev, "parent": known.parent(rev), "body": here.get(rev, False)}
                    for rev in sorted(known, key=rev_order)
                ],
            }
        )
        return
    output.line(id, "bold")
    for line in drawn(known, here, whole=whole, unicode=output.can_draw("├└│┆")):
        output.styled(*line)


def _merged(leaves: Sequence[Leaf]) -> Tree:
    whole = Tree()
    for leaf in leaves:
        whole.merge(leaf.path, deleted=leaf.deleted)
    return whole


def _bodies(db: SyncPouchDB, id: str, leaves: Sequence[Leaf]) -> dict[str, bool]:
    """Return which revisions still have their bodies, as far as the database reports it."""
    here = {leaf.rev: True for leaf in leaves}
    try:
        told = db.get(id, leaves[0].rev, revs_info=True).get("_revs_info", ())
    except NotFound:
        return here
    here.update((each["rev"], each["status"] != "missing") for each in told)
    return here


Line = tuple["str | tuple[str, str]", ...]


def drawn(known: Tree, here: Mapping[str, bool], *, whole: bool = False, unicode: bool = True) -> Iterator[Line]:
    """Yield the lines of a tree, roots first: what follows a revision is below it, branches are indented."""
    fork, last, bar, gap = ("├─ ", "└─ ", "│  ", "┆") if unicode else ("|- ", "`- ", "|  ", ":")
    children: dict[str | None, list[str]] = {}
    for rev in known:
        children.setdefault(known.parent(rev), []).append(rev)
    winner, leaves = known.winner(), set(known.leaves())

    def best(rev: str) -> tuple[bool, int, str]:
        return (known.latest(rev) == winner, *rev_order(rev))

    def label(rev: str) -> Line:
        if rev == winner:
            state = "deleted, the winner" if known.is_deleted(rev) else "the winner"
            return ((rev, "bold green"), (f"  {state}", "green"))
        if rev in leaves:
            deleted = known.is_deleted(rev)
            return ((rev, "dim" if deleted else "yellow"), ("  deleted" if deleted else "  conflict", "dim"))
        return ((rev, "" if here.get(rev) else "dim"),)

    # A stack, not recursion: a document may have a thousand revisions.
    waiting = [
        (root, (fork if not end else last) if several else "", (bar if not end else "   ") if several else "")
        for roots in [sorted(children.get(None, ()), key=best, reverse=True)]
        for several in [len(roots) > 1]
        for place, root in enumerate(roots)
        for end in [place == len(roots) - 1]
    ][::-1]
    while waiting:
        rev, lead, indent = waiting.pop()
        chain = [rev]
        while len(below := children.get(chain[-1], [])) == 1:
            chain.append(below[0])
        shown: list[str | None] = list(chain)
        if len(chain) > LONG and not whole:
            shown = [*chain[:3], None, *chain[-3:]]
        for place, each in enumerate(shown):
            before = lead if place == 0 else indent
            if each is None:
                yield (before, (f"{gap} {len(chain) - 6:,} more", "dim"))
            else:
                yield (before, *label(each))
        branches = sorted(children.get(chain[-1], ()), key=best, reverse=True)
        for place, branch in reversed(list(enumerate(branches))):
            end = place == len(branches) - 1
            waiting.append((branch, indent + (last if end else fork), indent + ("   " if end else bar)))


@click.command(
    cls=Command,
    examples=[
        "pouchdb conflicts notes",
        "pouchdb conflicts notes milk --keep 2-bcf1",
    ],
)
@click.argument("db")
@click.argument("id", required=False)
@click.option("--keep", metavar="REV", help="Resolve: keep this leaf, delete all others.")
@click.option(
    "--keep-winners", is_flag=True, help="Resolve all conflicts of the database: keep the winner of each document."
)
@click.pass_obj
def conflicts(session: Session, db: str, id: str | None, keep: str | None, keep_winners: bool) -> int:
    """List the documents with conflicts, show the leaves of one, or resolve it.

    Without ID the documents with conflicts are listed; with ID the leaves of that document.
    """
    if keep is not None and id is None:
        raise Failure("--keep needs the document: pouchdb conflicts DB ID --keep REV", exit=Status.USAGE)
    if keep_winners and id is not None:
        raise Failure("--keep-winners is for the whole database; for one document: --keep REV", exit=Status.USAGE)
    database = session.database(db)
    output = session.output
    if id is None:
        count = 0
        for doc in database.conflicts():
            count += 1
            if keep_winners:
                done = database.resolve(doc["_id"], doc["_rev"])
                output.pairs({"id": done["id"], "rev": done["rev"], "removed": len(doc["_conflicts"])})
            elif output.json:
                output.data({"id": doc["_id"], "winner": doc["_rev"], "conflicts": doc["_conflicts"]})
            elif output.terminal:
                output.styled(
                    (doc["_id"], "bold"), (f"  {doc['_rev']}  ", "green"), (" ".join(doc["_conflicts"]), "yellow")
                )
            else:
                output.table((), [(doc["_id"], doc["_rev"], " ".join(doc["_conflicts"]))])
        if count == 0:
            output.note("no conflicts")
        elif not keep_winners:
            output.note(f"resolve one with: pouchdb conflicts {db if '://' not in db else 'DB'} ID --keep REV")
        return Status.OK
    if keep is not None:
        # The beginning is enough if it is unique.
        meant = [leaf.rev for leaf in _leaves(database, id) if leaf.rev.startswith(keep) and not leaf.deleted]
        if len(meant) != 1:
            raise Failure(
                f"{keep} is not a living leaf of {id}" if not meant else f"{keep} may be {' or '.join(meant)}",
                f"`pouchdb conflicts {database.name} {id}` shows those that are",
                Status.NOT_FOUND,
            )
        output.pairs(database.resolve(id, meant[0]))
        return Status.OK
    living = [leaf for leaf in _leaves(database, id) if not leaf.deleted]
    for place, leaf in enumerate(living):
        body = {key: value for key, value in leaf.doc.items() if key not in ("_revisions", "_id")}
        if output.json:
            output.data({"rev": leaf.rev, "winner": place == 0, "doc": {"_id": id, **body}})
        else:
            output.styled((leaf.rev, "bold green" if place == 0 else "yellow"), "  the winner" if place == 0 else "")
            output.document({key: value for key, value in body.items() if key != "_rev"})
    return Status.OK


COMMANDS = (tree, conflicts)
