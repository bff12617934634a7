"""Starting a replication with the rights of its owner, which may be lost while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.errors import DatabaseClosed, Forbidden, NotFound
from pouchdb_core.live import Replication
from pouchdb_core.live.background import replicate_in_background
from pouchdb_core.membership import is_member
from pouchdb_core.replication.replicate import Replicator
from pouchdb_core.requests import UserContext
from pouchdb_core.runner import Runner
from pouchdb_server.handlers.databases import check_name
from pouchdb_server.replicator.definition import Definition, filter_code
from pouchdb_server.replicator.endpoints import Endpoint
from pouchdb_server.roles import ADMIN
from pouchdb_server.security import security_of

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment, SyncPouchDB
    from pouchdb_core.interfaces import Database

__all__ = ["PeerNotFound", "identify", "launch", "open_peers"]


class PeerNotFound(NotFound):
    """A side of a replication does not exist."""

    name = "db_not_found"


def identify(environment: SyncEnvironment, definition: Definition, rights: UserContext) -> str:
    """Return the id of a replication; reads the filter from the source, if there is one. Raises PouchDBError."""
    code = None
    if definition.filter is not None and not definition.filter.startswith("_"):
        view = environment.as_user(rights)
        with ExitStack() as opened:
            source = _open(view, definition, definition.source, opened)
            _check_member(source, rights)
            code = filter_code(source, definition.filter)
    return definition.id(environment.uuid, code)


def launch(
    environment: SyncEnvironment,
    definition: Definition,
    rights: Callable[[], UserContext],
    runner: Runner,
    complete: Callable[..., None],
) -> Replication:
    """Start a replication; ``complete(error, result)`` is called at its end. Raises PouchDBError.

    ``rights()`` is called again while it runs: they may be reduced.
    """
    mine = rights()
    view = environment.as_user(mine)
    with ExitStack() as opened:
        source, target = open_peers(view, definition, mine, opened)
        handle = replicate_in_background(
            view,
            source,
            target,
            runner=runner,
            check=lambda replicator: _check_rights(replicator, rights()),
            complete=complete,
            **definition.options(),
        )
        handle.on_done(opened.pop_all().close)
    return handle


def open_peers(
    view: SyncEnvironment, definition: Definition, rights: UserContext, opened: ExitStack
) -> tuple[SyncPouchDB, SyncPouchDB]:
    """Return source and target, which ``opened`` closes. Raises NotFound, Forbidden, IllegalName."""
    source = _open(view, definition, definition.source, opened)
    if not definition.target.remote and definition.target.name not in view.names():
        if definition.create_target:
            _check_creation(definition.target.name, rights)
        _check_member(source, rights)
        if not definition.create_target:
            raise _missing(definition.target.name)
        return source, _opened(view, definition.target.name, opened)
    target = _open(view, definition, definition.target, opened)
    _check_member(source, rights)
    _check_member(target, rights)
    return source, target


def _open(view: SyncEnvironment, definition: Definition, side: Endpoint, opened: ExitStack) -> SyncPouchDB:
    if side.remote:
        return _opened(view, side.name, opened, **definition.peer_options(side))
    if side.name not in view.names():
        raise _missing(side.name)
    return _opened(view, side.name, opened)


def _opened(view: SyncEnvironment, name: str, opened: ExitStack, **options: Any) -> SyncPouchDB:
    database = view.PouchDB(name, **options)
    opened.callback(_closed, database)
    return database


def _closed(database: SyncPouchDB) -> None:
    # It may have been destroyed meanwhile.
    with contextlib.suppress(DatabaseClosed):
        database.as_user(None).close()


def _missing(name: str) -> NotFound:
    return PeerNotFound(f"could not open {name}: Database does not exist.")


def _check_creation(name: str, rights: UserContext) -> None:
    if ADMIN not in rights.roles:
        raise Forbidden(f"could not create {name}: only administrators may, and the replication's owner is none")
    check_name(name)


def _check_rights(replicator: Replicator, owner: UserContext) -> None:
    for side in (replicator.source, replicator.target):
        _check_member(side, owner)


def _check_member(database: Database, owner: UserContext) -> None:
    """Refuse an owner without rights to a database of this server: another server checks by itself."""
    if ADMIN in owner.roles or database.remote:
        return
    here = cast("SyncPouchDB", database)
    if not is_member(security_of(here), owner):
        raise Forbidden(f"{owner.name or 'nobody'} is not authorized to access {here.short_name}")
