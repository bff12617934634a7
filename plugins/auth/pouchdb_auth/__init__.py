"""auth: users, logins and rights.

``signup``, ``login``, ``logout``, ``get_session`` and ``get_user`` of PouchDB's authentication plug-in, for a
CouchDB or for the environment's own ``_users``; ``_security`` enforced for users on local databases; accounts,
tokens and proxies for the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_auth import http_hooks
from pouchdb_auth.access import authorise, design_guard
from pouchdb_auth.auth_errors import AuthenticationError, TooManyAttempts
from pouchdb_auth.auth_settings import AuthSettings, auth_settings, settings_of
from pouchdb_auth.local_admins import admins_of
from pouchdb_auth.peruser import follow, provide_for_all
from pouchdb_auth.user_documents import USERS, is_users
from pouchdb_auth.user_methods import (
    change_password,
    change_username,
    delete_admin,
    delete_user,
    get_membership,
    get_session,
    get_user,
    get_users_database_url,
    login,
    logout,
    multi_user_log_in,
    multi_user_session,
    put_user,
    sign_up_admin,
    signup,
)
from pouchdb_auth.user_rules import Users, add_design_document, rules
from pouchdb_core import Record, SyncEnvironment, SyncPouchDB, Transform, hookimpl, operation
from pouchdb_core.methods import Operation
from pouchdb_core.requests import NEVER, Never

if TYPE_CHECKING:
    import click
    from pouchdb_server import Account, Request

    from pouchdb_core.requests import AnyRequest, Guard, UserContext, Write

__all__ = [
    "AuthSettings",
    "AuthenticationError",
    "TooManyAttempts",
    "auth_settings",
    "change_password",
    "change_username",
    "delete_admin",
    "delete_user",
    "get_membership",
    "get_session",
    "get_user",
    "get_users_database_url",
    "login",
    "logout",
    "multi_user_log_in",
    "multi_user_session",
    "put_user",
    "sign_up_admin",
    "signup",
]


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [
        operation(signup),
        operation(signup, name="sign_up"),
        operation(login),
        operation(login, name="log_in"),
        operation(logout),
        operation(logout, name="log_out"),
        operation(get_session, reads=True),
        operation(get_user, reads=True),
        operation(put_user),
        operation(delete_user),
        operation(change_password),
        operation(change_username),
        operation(sign_up_admin),
        operation(delete_admin),
        operation(get_membership, reads=True),
        operation(get_users_database_url, reads=True),
        operation(multi_user_log_in),
        operation(multi_user_session, reads=True),
    ]


@hookimpl
def pouchdb_environment_methods() -> Iterable[Operation[..., Any]]:
    return [operation(auth_settings)]


@hookimpl
def pouchdb_environment_opened(environment: SyncEnvironment) -> None:
    own = environment.as_user(None)
    if "server" in environment.engine.plugins.names:
        # Administrators made before the server's plug-in was installed become the server's.
        admins_of(own)
    if settings_of(own).peruser:
        provide_for_all(own)


@hookimpl
def pouchdb_authorise(environment: SyncEnvironment, database: SyncPouchDB | None, request: AnyRequest) -> None:
    authorise(environment, database, request)


@hookimpl
def pouchdb_transforms(database: SyncPouchDB) -> Transform | None:
    return Users(database.environment.sync_view) if is_users(database) else None


@hookimpl
def pouchdb_write_guards(database: SyncPouchDB, request: Write) -> Guard | Never | None:
    if database.name.endswith(USERS) and is_users(database):
        guard = rules(database, request)
        design = design_guard(database, request.user)
        return guard if design is None else _both(design, guard)
    # The program itself may do everything.
    return NEVER if request.user is None else design_guard(database, request.user)


def _both(first: Guard, second: Guard) -> Guard:
    def guard(proposed: Sequence[Any]) -> list[Any]:
        answers = zip(first(proposed) or (), second(proposed) or (), strict=True)
        return [one if one is not None else other for one, other in answers]

    return guard


@hookimpl
def pouchdb_database_created(database: SyncPouchDB) -> None:
    if is_users(database):
        add_design_document(database.as_user(None))


@hookimpl
def pouchdb_documents_written(database: SyncPouchDB, results: Sequence[Record]) -> Never | None:
    if not (database.name.endswith(USERS) and is_users(database)):
        return NEVER
    follow(database.environment.sync_view, [each["id"] for each in results])
    return None


@hookimpl
def pouchdb_commands(group: click.Group) -> None:
    # Imported by the command line only: nothing else needs click.
    from pouchdb_auth.commands import security, user

    group.add_command(user)
    group.add_command(security)


@hookimpl(optionalhook=True)
def pouchdb_http_authenticate(request: Request) -> UserContext | None:
    return http_hooks.authenticate(request)


@hookimpl(optionalhook=True)
def pouchdb_http_account(environment: SyncEnvironment, name: str) -> Account | None:
    return http_hooks.account(environment, name)


@hookimpl(optionalhook=True)
def pouchdb_http_session_info(request: Request) -> Mapping[str, Any] | None:
    return http_hooks.session_info(request)


@hookimpl(optionalhook=True)
def pouchdb_http_pages(environment: SyncEnvironment) -> Iterable[Any]:
    from importlib import resources

    from pouchdb_server import Page

    return [Page("users", "Users", resources.files("pouchdb_auth") / "pages", "server")]
