"""What every database object is, below its methods: a name, a store, a user, a life."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pouchdb_core.engine import Engine, Opened
from pouchdb_core.errors import BadRequest, DatabaseClosed
from pouchdb_core.events import CallLog, EventEmitter
from pouchdb_core.plugins import Plugins
from pouchdb_core.requests import Purpose, UserContext
from pouchdb_core.results import Record
from pouchdb_core.state import Slot, Slots

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.adapters.base import Adapter
    from pouchdb_core.environment import AbstractEnvironment

__all__ = ["Handle", "Life", "user_context"]

S = TypeVar("S")


def user_context(user: UserContext | Mapping[str, Any] | None) -> UserContext | None:
    """Return a user context from one or from CouchDB's form ``{"name", "roles"}``. Raises BadRequest."""
    if user is None or isinstance(user, UserContext):
        return user
    if not isinstance(user, Mapping):
        raise BadRequest(f"a user is {{'name': ..., 'roles': [...]}} or a UserContext, not {user!r}")
    return UserContext(user.get("name"), tuple(user.get("roles") or ()))


class Life:
    """What the views of one database object share."""

    def __init__(self, opened: Opened, calls: CallLog) -> None:
        self.opened = opened
        self.ended: str | None = None
        """Why the object cannot be used any more."""
        self.slots = Slots()
        self.events = EventEmitter(calls)


class Handle(EventEmitter):
    """A database object. Subclasses add the methods; plug-ins and the core use what is here.

    ``name`` is the database's; ``environment`` the one that opened it; ``remote`` tells whether
    it is on a server; ``user`` on whose behalf requests are made (None: the program itself, with
    all rights); ``purpose`` why.
    """

    def __init__(self, environment: AbstractEnvironment, opened: Opened, name: str, options: Mapping[str, Any]) -> None:
        super().__init__(environment._calls)
        self.environment = environment
        self.name = name
        self.options = options
        self.user: UserContext | None = environment.user
        self.purpose: Purpose = "api"
        self._engine: Engine = environment.engine
        self._life = Life(opened, environment._calls)
        self.plugins: Plugins = self._engine.plugins
        opened.handles.add(self)

    @property
    def adapter(self) -> Adapter:
        """The open adapter. Raises DatabaseClosed after ``close()`` and ``destroy()``."""
        life = self._life
        if life.ended is not None:
            raise DatabaseClosed(life.ended)
        return life.opened.adapter

    @property
    def remote(self) -> bool:
        """Whether the database is on a server."""
        return self._life.opened.adapter.remote

    @property
    def closed(self) -> bool:
        """Whether the object can no longer be used."""
        return self._life.ended is not None

    def as_user(self, user: UserContext | Mapping[str, Any] | None) -> Self:
        """Return a light view of the same object whose requests are made on behalf of ``user``.

        ``user`` is a UserContext or ``{"name": str, "roles": [str]}``; None is the program itself.
        """
        view = copy.copy(self)
        view.user = user_context(user)
        return view

    def with_purpose(self, purpose: Purpose) -> Self:
        """Return a light view whose requests say they are made for ``purpose``."""
        view = copy.copy(self)
        view.purpose = purpose
        return view

    def state(self, slot: Slot[S]) -> S:
        """Return a plug-in's state of this database object."""
        return self._life.slots.get(slot, self)

    def store_state(self, slot: Slot[S]) -> S:
        """Return a plug-in's state that all objects of this database share in one engine."""
        return self._life.opened.slots.get(slot, self)

    def design_documents(self) -> Sequence[Record]:
        """Return the design documents in id order; read again only when one was written or purged."""
        return self.adapter.design_documents()

    def directory(self, plugin: str) -> Path:
        """Return (making it) a folder for files of a plug-in that belong to this database.

        It is removed when the database is destroyed and copied by a backup.
        """
        return self.adapter.directory(plugin)

    def _end(self, reason: str) -> bool:
        """Make the object unusable; False if it was already."""
        life = self._life
        if life.ended is not None:
            return False
        life.ended = reason
        life.slots.close()
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<pouchdb.{type(self).__name__} object at 0x{id(self):x}>"
