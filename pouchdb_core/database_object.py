"""What every database object is, below its methods: a name, a store, a user, a life."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from pouchdb_core.engine import Engine, Opened
from pouchdb_core.errors import BadRequest, DatabaseClosed
from pouchdb_core.events import EventEmitter
from pouchdb_core.live import LiveHandle, Starter
from pouchdb_core.methods import no_attribute
from pouchdb_core.plugins import Plugins
from pouchdb_core.requests import NOTHING, Administer, Purpose, UserContext
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.state import Slot, Slots

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.adapters.base import Adapter, Response
    from pouchdb_core.interfaces import Database, Environment
    from pouchdb_core.transforms import Transforms

__all__ = ["Handle", "Life", "user_context"]

S = TypeVar("S")


def user_context(user: UserContext | Mapping[str, Any] | None) -> UserContext | None:
    """Return a user context from one or from CouchDB's form ``{"name", "roles"}``. Raises BadRequest."""
    if user is None or isinstance(user, UserContext):
        return user
    if not isinstance(user, Mapping):
        raise BadRequest(f"a user is {{'name': ..., 'roles': [...]}} or a UserContext, not {safe_repr(user)}")
    name, roles = user.get("name"), user.get("roles", ())
    if not (name is None or isinstance(name, str)):
        raise BadRequest(f"a user's name is text or None, not {safe_repr(name)}")
    # A string would be split into roles of one letter each.
    if not isinstance(roles, (list, tuple)) or not all(isinstance(role, str) for role in roles):
        raise BadRequest(f"a user's roles are a list of texts, not {safe_repr(roles)}")
    return UserContext(name, tuple(roles))


class _Following(Enum):
    FOLLOWING = "the current user of the environment"


FOLLOWING = _Following.FOLLOWING
"""Requests are made on behalf of the environment's current user at that time."""


class Life:
    """What the views of one database object share."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.ended: str | None = None
        """Why the object can no longer be used."""
        self.slots = Slots()
        self.lock = threading.RLock()
        self.live: set[LiveHandle] = set()
        """Background work on behalf of the object; it ends with the object."""
        self.unstarted: weakref.WeakSet[LiveHandle] = weakref.WeakSet()
        """Feeds without a listener yet: they are collected with their last reference."""


class Handle(EventEmitter):
    """A database object. Subclasses add the methods; plug-ins and the core use what is here.

    ``name`` is the database's; ``environment`` the one that opened it; ``remote`` says whether
    it is on a server; ``user`` is the user on whose behalf requests are made (None: the program itself, with
    all rights); ``purpose`` why.
    """

    # Declared, so that a plug-in's method with one of these names is refused.
    environment: Environment
    name: str
    options: Mapping[str, Any]
    plugins: Plugins
    purpose: Purpose
    request_context: Mapping[str, Any]
    starter: Starter

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if len(args) < 2:
            raise TypeError(f"{cls.__name__} is not made by its class: call pouchdb.setup()[name]")
        return super().__new__(cls)

    def __init__(self, environment: Environment, opened: Opened, name: str, options: Mapping[str, Any]) -> None:
        super().__init__(environment._calls)
        self.environment = environment
        self.name = name
        self.options = options
        self._user: UserContext | Literal[_Following.FOLLOWING] | None = environment._user
        self.purpose = "api"
        self.request_context = NOTHING
        self.starter = environment.starter
        self._engine: Engine = cast("Engine", environment.engine)
        self._life = Life(opened)
        self._origin: Self | None = None
        self.plugins = self._engine.plugins
        opened.handles.add(cast("Database", self))

    @property
    def adapter(self) -> Adapter:
        """The open adapter. Raises DatabaseClosed after ``close()`` and ``destroy()``."""
        life = self._life
        if life.ended is not None:
            raise DatabaseClosed(life.ended)
        return life.opened.adapter

    @property
    def short_name(self) -> str:
        """The name as the environment's view knows it: without the ``prefix`` that ``defaults(prefix=...)`` put before.

        What decides by a database's name (``_users``, ``_replicator``) compares this one.
        """
        environment = self.environment
        if "prefix" not in environment.options:
            return self.name
        short = environment.short_name(self.name)
        return self.name if short is None else short

    @property
    def remote(self) -> bool:
        """Whether the database is on a server."""
        return self._life.opened.adapter.remote

    def is_there(self) -> bool:
        """Return whether the storage still has the database that was opened.

        Another process may have destroyed it, or made another one with the same name: then open it again. True for
        databases in memory, and on servers without asking them. Costs about as much as asking for a file's status.
        Raises DatabaseClosed.
        """
        return self.adapter.same()

    @property
    def closed(self) -> bool:
        """Whether the object can no longer be used."""
        return self._life.ended is not None

    @property
    def user(self) -> UserContext | None:
        """The user on whose behalf requests are made: ``as_user``'s, else the environment's current one."""
        user = self._user
        if user is FOLLOWING:
            engine = self._engine
            # Mostly there is none, and every request asks.
            return None if engine.current is None else engine.current_user
        return user

    def as_user(self, user: UserContext | Mapping[str, Any] | None) -> Self:
        """Return a light view of the same object whose requests are made on behalf of ``user``.

        ``user`` is a UserContext or ``{"name": str, "roles": [str]}``; None is the program itself.
        """
        # Every request to a server makes several: directly, not by copy.copy().
        view = self.__copy__()
        view._user = user_context(user)
        # Databases that the view opens by name are opened on behalf of the same user.
        view.environment = self.environment.as_user(view._user)
        return view

    def with_purpose(self, purpose: Purpose) -> Self:
        """Return a light view whose requests say they are made for ``purpose``."""
        view = copy.copy(self)
        view.purpose = purpose
        return view

    def with_context(self, context: Mapping[str, Any]) -> Self:
        """Return a light view whose writes carry ``context`` in ``Write.context``, over that of this view.

        So a method of a plug-in hands what it was given to the plug-in's own guard or transform, and the
        write itself stays the database's: ``db.with_context({"acme": options}).put(doc)``. Name its keys after
        the plug-in.
        """
        view = copy.copy(self)
        view.request_context = MappingProxyType({**self.request_context, **context})
        return view

    def __copy__(self) -> Self:
        # Not by __reduce__: that would open it again.
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        # The store knows the object, not its views: it must live as long as they do.
        view._origin = self if self._origin is None else self._origin
        return view

    def _own(self) -> Self:
        """Return the object on behalf of the program itself, for state that outlives one request."""
        if self._user is None and self.purpose == "api" and self.request_context is NOTHING:
            return self
        own = self.as_user(None).with_purpose("api")
        own.request_context = NOTHING
        return own

    def state(self, slot: Slot[S]) -> S:
        """Return a plug-in's state of this database object."""
        return self._life.slots.of(slot, self._own)

    def store_state(self, slot: Slot[S]) -> S:
        """Return a plug-in's state that all objects of this database share in one engine.

        It may outlive this object: what it keeps of its owner may be closed earlier.
        """
        return self._life.opened.slots.of(slot, self._own)

    def ask_guards_again(self) -> None:
        """Ask plug-ins that returned ``NEVER`` for this database about writes again."""
        self._life.opened.uninterested.clear()

    @property
    def transforms(self) -> Transforms | None:
        """What changes documents on their way in and out; plug-ins are asked once while the database is open."""
        opened = self._life.opened
        if opened.transforms is False:
            return opened.ask_for_transforms(lambda: self.plugins.transforms(self._own()))  # type: ignore[arg-type]  # see AsyncPouchDB
        return opened.transforms

    @property
    def reads_plainly(self) -> bool:
        """Whether what is read is what is stored: then stored JSON may be passed on without being parsed."""
        return self.plugins.reads_plainly and ((transforms := self.transforms) is None or not transforms.reads)

    @property
    def lists_plainly(self) -> bool:
        """Whether a listing has what is stored: then ``Listing.raw`` may be requested."""
        return self.plugins.lists_plainly and ((transforms := self.transforms) is None or not transforms.reads)

    @property
    def feeds_plainly(self) -> bool:
        """Whether the changes feed has what is stored: then ``Changes.raw`` may be requested."""
        return self.plugins.feeds_plainly and ((transforms := self.transforms) is None or not transforms.reads)

    @property
    def writes_plainly(self) -> bool:
        """Whether what is written is stored unchanged, except what guards refuse."""
        return self.plugins.writes_plainly and ((transforms := self.transforms) is None or not transforms.writes)

    def announce_task(self, name: str) -> Callable[[], None]:
        """List long work that is about to begin on another thread, such as ``"database_compaction"``.

        ``active_tasks()`` shows it from now on, so that a caller who knows that it started finds it. Returns a function
        to be called when the work is over, also when it never began.
        """
        return self._engine.tasks.announce(name, self.name)

    def design_documents(self) -> Sequence[Record]:
        """Return the design documents in id order; read again only when one was written or purged."""
        request = Administer("design_documents", user=self.user, purpose=self.purpose)
        found: Sequence[Record] = self.plugins.administer(self, request)  # type: ignore[arg-type]  # see AsyncPouchDB
        return found

    def directory(self, plugin: str) -> Path:
        """Return (making it) a folder for files of a plug-in that belong to this database.

        It is removed when the database is destroyed and copied by a backup.
        """
        return self.adapter.directory(plugin)

    def fetch(
        self,
        path: str = "",
        method: str = "GET",
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = ...,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        check: bool = True,
        credentials: bool = True,
    ) -> Response:
        """Send a request to the server of a remote database, with its credentials, retries and errors.

        ``path`` is below the database, or below the server when it begins with a slash; special characters are
        already quoted. ``query`` values that are not strings are sent as JSON, None is left out; ``json`` is a body.
        The response has ``status``, ``headers``, ``data``, ``text``, ``json()`` and ``chunks()``; with ``stream`` its
        body is read as it comes. With ``credentials=False`` the cookies of the environment identify the user, as
        a login left them, not the database's credentials. Raises the server's error unless ``check`` is False: then
        responses of any status are returned, redirects too, and ``response.error()`` is the error that would have been
        raised. Raises NotSupported for a local database.
        """
        options: dict[str, Any] = {} if json is ... else {"json": json}
        return self.adapter.fetch(
            path,
            method,
            query=query,
            body=body,
            headers=headers,
            stream=stream,
            check=check,
            credentials=credentials,
            **options,
        )

    def _end(self, reason: str) -> bool:
        """Make the object unusable; False if it was already."""
        life = self._life
        # What waits ends while the store can still be used, so that it remembers how far it got.
        self._cancel_live()
        with life.lock:
            if life.ended is not None:
                return False
            life.ended = reason
        self._cancel_live()
        life.slots.close()
        return True

    def _cancel_live(self) -> None:
        for each in (*self._life.live, *self._life.unstarted):
            each.cancel()

    def _close(self) -> None:
        """End the object and release its store; does nothing if it ended before."""
        raise NotImplementedError

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, "database", name)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        # Begins as the original's, which documents and doctests show. Nothing is read: it must neither block nor raise.
        user = "" if self.user is None else f", as user {self.user.name!r}"
        closed = ", closed" if self.closed else ""
        adapter = self._life.opened.adapter.name
        return f"<pouchdb.{type(self).__name__} object at 0x{id(self):x} {self.name!r}, {adapter}{user}{closed}>"
