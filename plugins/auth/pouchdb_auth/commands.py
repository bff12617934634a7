"""``pouchdb user`` and ``pouchdb security``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from pouchdb.cli.arguments import OBJECT
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status
from pouchdb_auth.user_documents import PREFIX, USERS
from pouchdb_core import Record
from pouchdb_core.errors import NotFound
from pouchdb_core.urls import is_http

__all__ = ["security", "user"]

_SERVER = click.option(
    "--server", metavar="URL", help="Users of this server, as http://admin@host:5984, not of the directory."
)
_ADMIN = click.option("--admin", is_flag=True, help="An administrator, not a user.")


@click.group()
def user() -> None:
    """Add, change, remove and list users."""


@user.command(
    "add",
    cls=Command,
    examples=["pouchdb user add ada --role staff", "pouchdb user add root --admin --server http://localhost:5984"],
)
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role of the user; may be given several times.")
@click.option("--metadata", type=OBJECT, default="{}", help="More fields of the user's document, as JSON.")
@_ADMIN
@_SERVER
@click.pass_obj
def _add(session: Session, /, name: str, roles: Sequence[str], metadata: Any, admin: bool, server: str | None) -> None:
    """Add a user. The password is asked for, or read from the standard input."""
    users = _users(session, server, make=True)
    password = _password()
    if admin:
        users.sign_up_admin(name, password)
        _told(session, f"{name} is an administrator", {"ok": True, "name": name})
        return
    answer = users.signup(name, password, roles=list(roles), metadata=metadata)
    _told(session, f"{name} is a user", answer)


@user.command("passwd", cls=Command, examples=["pouchdb user passwd ada"])
@click.argument("name")
@_ADMIN
@_SERVER
@click.pass_obj
def _passwd(session: Session, /, name: str, admin: bool, server: str | None) -> None:
    """Change the password of a user, which ends the user's sessions."""
    users = _users(session, server)
    password = _password()
    if admin:
        users.sign_up_admin(name, password)
        answer: Mapping[str, Any] = {"ok": True, "name": name}
    else:
        with _known(name):
            answer = users.change_password(name, password)
    _told(session, f"{name} has another password", answer)


@user.command("remove", cls=Command, examples=["pouchdb user remove ada"])
@click.argument("name")
@_ADMIN
@_SERVER
@click.pass_obj
def _remove(session: Session, /, name: str, admin: bool, server: str | None) -> None:
    """Remove a user."""
    users = _users(session, server)
    if admin:
        users.delete_admin(name)
        answer: Mapping[str, Any] = {"ok": True, "name": name}
    else:
        with _known(name):
            answer = users.delete_user(name)
    _told(session, f"{name} is removed", answer)


@user.command("list", cls=Command, examples=["pouchdb user list"])
@_SERVER
@click.pass_obj
def _show(session: Session, /, server: str | None) -> None:
    """List the users with their roles."""
    users = _users(session, server)
    rows: list[tuple[str, str]] = []
    start = PREFIX
    while True:
        page = users.all_docs(startkey=start, endkey=PREFIX + "\uffff", include_docs=True, limit=1000).rows
        for row in page:
            roles = row.doc.get("roles")
            rows.append((row.id[len(PREFIX) :], ", ".join(map(str, roles)) if isinstance(roles, list) else ""))
        if len(page) < 1000:
            break
        start = page[-1].id + "\0"
    if session.output.json:
        for name, roles in rows:
            session.output.data({"name": name, "roles": roles.split(", ") if roles else []})
    else:
        session.output.table(("name", "roles"), rows)


@click.command(
    cls=Command, examples=["pouchdb security notes", "pouchdb security notes --member ada --admin-role staff"]
)
@click.argument("db")
@click.option("--member", "members", metavar="NAME", multiple=True, help="Let a user read and write.")
@click.option(
    "--member-role", "member_roles", metavar="ROLE", multiple=True, help="Let users with this role read and write."
)
@click.option("--admin", "admins", metavar="NAME", multiple=True, help="Let a user administer the database.")
@click.option(
    "--admin-role",
    "admin_roles",
    metavar="ROLE",
    multiple=True,
    help="Let users with this role administer the database.",
)
@click.option("--remove", "removed", metavar="NAME", multiple=True, help="Remove this name or role everywhere.")
@click.option("--set", "given", type=OBJECT, help="Replace the whole object.")
@click.pass_obj
def security(
    session: Session,
    /,
    db: str,
    members: Sequence[str],
    member_roles: Sequence[str],
    admins: Sequence[str],
    admin_roles: Sequence[str],
    removed: Sequence[str],
    given: dict[str, Any] | None,
) -> None:
    """Show or change who may use a database."""
    database = session.database(db, guess=False)
    added = {
        ("members", "names"): members,
        ("members", "roles"): member_roles,
        ("admins", "names"): admins,
        ("admins", "roles"): admin_roles,
    }
    if given is not None or removed or any(added.values()):
        found = database.get_security() if given is None else given
        database.put_security(_changed(found, added, removed) if removed or any(added.values()) else found)
    shown = database.get_security()
    if session.output.json:
        session.output.data(shown)
        return
    rows = [(group, kind, ", ".join(map(str, shown.get(group, {}).get(kind, [])))) for group, kind in added]
    session.output.table(("who", "by", "which"), rows)


def _changed(
    security: Mapping[str, Any], added: Mapping[tuple[str, str], Sequence[str]], removed: Sequence[str]
) -> dict[str, Any]:
    changed: dict[str, Any] = dict(security)
    for (group, kind), names in added.items():
        people = changed.get(group)
        people = dict(people) if isinstance(people, Mapping) else {}
        kept = [name for name in people.get(kind, []) if name not in removed]
        people[kind] = [*kept, *(name for name in names if name not in kept)]
        changed[group] = people
    return changed


def _users(session: Session, server: str | None, *, make: bool = False) -> Any:
    given = USERS if server is None else f"{server.rstrip('/')}/{USERS}"
    if server is not None and not is_http(server):
        raise Failure(f"{server} is not the URL of a server", exit=Status.USAGE, error="usage")
    return session.database(given, make=make and server is None, guess=False)


@contextmanager
def _known(name: str) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise Failure(f"there is no user {name!r}", "`pouchdb user list` lists them", Status.NOT_FOUND) from error


def _password() -> str:
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    return sys.stdin.readline().rstrip("\r\n")


def _told(session: Session, text: str, answer: Mapping[str, Any]) -> None:
    if session.output.json:
        session.output.data(Record(answer))
    else:
        session.output.line(text)
