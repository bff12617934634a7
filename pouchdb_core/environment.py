"""Environments: what ``setup()`` returns; they open, list and destroy databases."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast

from pouchdb_core.api import live_calls, replicating
from pouchdb_core.context import Context
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.database_object import FOLLOWING, _Following, user_context
from pouchdb_core.engine import Engine, Opened
from pouchdb_core.errors import BadRequest
from pouchdb_core.events import CallLog, EventEmitter
from pouchdb_core.live import Starter
from pouchdb_core.methods import REPLICATION, SYNC, composed, making, no_attribute, starting
from pouchdb_core.notebook import fields_html
from pouchdb_core.requests import Destroy, Open, UserContext
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.state import Slot
from pouchdb_core.urls import shown_url
from pouchdb_core.views.python import register_function

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.adapters.base import Shared
    from pouchdb_core.aio.async_environment import AsyncEnvironment
    from pouchdb_core.plugins import Plugins
    from pouchdb_core.replication.replicate import Replicator

__all__ = ["AbstractEnvironment", "SyncEnvironment", "sync_environment"]

S = TypeVar("S")


class AbstractEnvironment(EventEmitter):
    """What sync and async environments share.

    Emits ``created`` (name) when a database object is made and ``destroyed`` (name), also
    called ``destroy``, when a database is destroyed.
    """

    POUCHDB_VERSION: ClassVar[str] = "9.0.0"
    """The PouchDB whose API this is."""

    # Declared, so that a plug-in's method with one of these names is refused.
    engine: Engine
    options: Mapping[str, Any]

    def __init__(self, engine: Engine, database_class: type[SyncPouchDB]) -> None:
        super().__init__(CallLog())
        self.engine = engine
        self.starter = Starter()
        """How calls are run that may continue in the background."""
        self.options = {}
        self._user: UserContext | Literal[_Following.FOLLOWING] | None = FOLLOWING
        self._database_class = database_class
        self._origin: Self | None = None

    @property
    def sync_view(self) -> SyncEnvironment:
        """The synchronous view of the same engine: what hooks and plug-in methods receive."""
        raise NotImplementedError

    @property
    def async_view(self) -> AsyncEnvironment:
        """The asynchronous view of the same engine: its databases return promises. Raises PluginError."""
        # By name, because the asynchronous interface is built upon this module.
        aio = importlib.import_module("pouchdb_core.aio")
        view: AsyncEnvironment = aio.make_async_environment(self.sync_view)
        return view

    @property
    def plugins(self) -> Plugins:
        """The plug-ins of the environment, one method a hook; ``plugins.names`` are their names."""
        return self.engine.plugins

    def new_id(self) -> str:
        """Return an id as ``post`` makes them: time-ordered, greater than every one before."""
        return self.engine.place.new_id()

    def replicators(self) -> list[Replicator]:
        """Return the replications that are running between databases of this view, however they were started."""
        found = tuple(self.engine.replicators)
        if not self.prefix:
            return list(found)
        names = [(each, (each.source, each.target)) for each in found]
        shown = lambda side: side.remote or self.short_name(side.name) is not None  # noqa: E731
        return [each for each, sides in names if all(map(shown, sides))]

    @property
    def context(self) -> Context:
        """Helpers of the original: ``wait_until_called``, ``get_db_size`` and the like."""
        # Not kept: in a cycle, an unused environment would stay until the garbage collector runs.
        return Context(self)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if not args:
            raise TypeError(f"{cls.__name__} is not made by its class: call pouchdb.setup() or pouchdb.setup_async()")
        return super().__new__(cls)

    def __repr__(self) -> str:
        # Begins as the original's, which documents and doctests show.
        url = self.engine.place.url
        where = "in memory" if self.directory is None else f"in {str(self.directory)!r}"
        where = where if url is None else f"at {shown_url(url)!r}"
        user = "" if self.user is None else f", as user {self.user.name!r}"
        closed = ", closed" if self.closed else ""
        return f"<pouchdb.{type(self).__name__} object at 0x{id(self):x} {where}{user}{closed}>"

    @property
    def uuid(self) -> str:
        """The environment's identity (32 hex digits), kept in its storage directory, or by its storage at a URL."""
        return self.engine.uuid

    @property
    def directory(self) -> Path | None:
        """The storage directory, or None in memory."""
        return self.engine.directory

    @property
    def shared(self) -> Shared | None:
        """Texts and locks that the processes of all hosts share at a URL; None where a directory has files for that."""
        return self.engine.shared

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self.engine.closed

    @property
    def prefix(self) -> str:
        """What this view puts before every name; ``""`` unless ``defaults(prefix=...)`` said it."""
        prefix: str = self.options.get("prefix", "")
        return prefix

    def short_name(self, name: str) -> str | None:
        """Return a database's full name without this view's prefix; None for one that the view does not show."""
        prefix = self.prefix
        return name[len(prefix) :] if name.startswith(prefix) and name != prefix else None

    @property
    def user(self) -> UserContext | None:
        """The user on whose behalf requests are made: the one given to ``as_user``, else the current user."""
        user = self._user
        return self.engine.current_user if user is FOLLOWING else user

    @property
    def current_user(self) -> UserContext | None:
        """The user that is logged in; None is the program itself, with all rights."""
        return self.engine.current_user

    def set_current_user(self, user: UserContext | Mapping[str, Any] | Callable[[], UserContext | None] | None) -> None:
        """Set the user on whose behalf this environment and its databases make requests, from the next request on.

        That is what a ``login`` does. It applies to existing objects, too, synchronous and
        asynchronous, but not to views that ``as_user`` made. ``user`` is a UserContext, ``{"name", "roles"}``,
        None for the program itself, or a function that is called for every request and returns the user: a
        session that has ended returns ``UserContext()``, which is anonymous and has no rights.
        """
        self.engine.current = user if callable(user) else user_context(user)

    setCurrentUser = set_current_user

    def as_user(self, user: UserContext | Mapping[str, Any] | None) -> Self:
        """Return a light view whose databases make requests on behalf of ``user``."""
        # Every request to a server makes several: directly, not by copy.copy().
        view = self.__copy__()
        view._user = user_context(user)
        return view

    asUser = as_user

    def defaults(self, **options: Any) -> Self:
        """Return a light view with these defaults of database options, over those of this view.

        ``prefix`` goes before every name, and the view sees only databases that have it. An option
        that the adapter of a database does not know is not meant for that one. Raises BadRequest
        for an option that no adapter knows.
        """
        self.engine.check_options({key: value for key, value in options.items() if key not in ("prefix", "adapter")})
        _prefix(options.get("prefix", ""))
        view = copy.copy(self)
        view.options = {**self.options, **options}
        return view

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, "environment", name)

    def __copy__(self) -> Self:
        # Not by __reduce__: that would open it again.
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        # setup() knows the first object, not its views: it must live as long as they do.
        view._origin = self if self._origin is None else self._origin
        return view

    def state(self, slot: Slot[S]) -> S:
        """Return a plug-in's state of this environment, shared by its views."""
        owner = self if self._origin is None else self._origin
        # On behalf of the program itself, whichever user is logged in.
        return self.engine.slots.of(slot, lambda: owner.sync_view.as_user(None))

    def plugin_directory(self, plugin: str) -> Path:
        """Return (making it) a folder for files of a plug-in that belong to the whole environment."""
        return self.engine.folder(plugin)

    def active_tasks(self) -> list[Record]:
        """Return the long-running tasks: ``[{"id", "name", "created_at", "completed_items", ...}]``.

        A view with a prefix shows what is done to its databases, by their names without it.
        """
        if not self.prefix:
            return self.engine.tasks.list()
        shown = self.engine.tasks.list(lambda task: self.short_name(task.database or "") is not None)
        for task in shown:
            task["database"] = self.short_name(task["database"])
        return shown

    activeTasks = active_tasks

    register_function = registerFunction = register_function

    def names(self) -> list[str]:
        """Return the names of all local databases in code point order, also those that were not opened yet."""
        names = self.engine.names()
        if not self.prefix:
            return names
        return [short for name in names if (short := self.short_name(name)) is not None]

    def _request(self, name: Any, options: Mapping[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
        """Return name, adapter and options of a database, with the view's defaults. Raises BadRequest."""
        merged = {**self.options, **options}
        name = merged.pop("name", None) if name is None else name
        prefix = _prefix(merged.pop("prefix", ""))
        adapter = merged.pop("adapter", None)
        if not isinstance(name, str) or not name:
            raise BadRequest(f"Missing/invalid DB name: {safe_repr(name)}")
        name = prefix + name
        try:
            name.encode()
        except UnicodeEncodeError:
            raise BadRequest("Missing/invalid DB name: it holds a lone surrogate") from None
        return name, adapter, merged

    def __reduce__(self) -> Any:
        if self.engine.directory is None and self.engine.storage is None:
            raise TypeError("an environment in memory cannot be pickled: only this process has its databases")
        if self.engine.origin is None:
            raise TypeError("this environment was not made by setup(): it cannot be pickled")
        function, arguments = self.engine.origin
        return (_remade, (function, arguments, dict(self.options), self._user))


def _prefix(prefix: Any) -> str:
    if not isinstance(prefix, str):
        raise BadRequest(f"prefix must be a string, not {safe_repr(prefix)}")
    return prefix


def _remade(function: Any, arguments: tuple[Any, ...], options: dict[str, Any], user: Any) -> Any:
    environment = function(*arguments)
    if options:
        environment = environment.defaults(**options)
    return environment if user is FOLLOWING else environment.as_user(user)


class SyncEnvironment(AbstractEnvironment, Mapping[str, SyncPouchDB]):
    """An environment whose databases block; also a mapping of names to databases.

    ``env[name]`` opens (and makes) a database, each time as a new object; ``name in env`` never
    makes one; ``del env[name]`` destroys. Also a context manager that closes when its last user leaves.
    """

    @property
    def sync_view(self) -> SyncEnvironment:
        return self

    @making("_database_class")
    def PouchDB(self, name: str | None = None, **options: Any) -> SyncPouchDB:
        """Open a database, making it if it is missing; each call returns a new object.

        Options: ``adapter`` (``"sqlite"``, ``"memory"``), ``durability`` (``"full"``: on disk when a
        call returns, ``"normal"``: the last moments may be lost with the power), ``auto_compaction``,
        ``revs_limit``, ``deterministic_revs``, ``purged_infos_limit``, ``prefix``, ``name``. All
        objects of a database share them, the latest apply; ``durability`` can be changed only
        while it is closed. Raises BadRequest for an unknown option or a bad name, NotFound when the
        adapter is missing, StorageError.
        """
        name, adapter, rest = self._request(name, options)
        return cast("SyncPouchDB", self.engine.plugins.open(self, Open(name, adapter, rest, self.user)))

    def open_database(self, request: Open) -> SyncPouchDB:
        """Open a database for the ``pouchdb_open`` hook: the core's way."""
        engine = self.engine
        if request.adapter is None:
            engine.check_meant(request.name)
        kind = engine.adapter_class(
            request.name,
            request.adapter,
            lambda: engine.plugins.choose_adapter(self, request.name, request.options),
        )
        # Credentials in a URL become options here: a name is shown, logged and stored.
        name, options = kind.resolve(request.name, request.options)
        own = {key: value for key, value in options.items() if key in kind.options or key not in self.options}
        # How to open it again with this view: by the full name.
        again = {**own, "prefix": "", "adapter": kind.name}

        def make(opened: Opened) -> SyncPouchDB:
            return self._database_class(self, opened, name, again)

        database, created = engine.acquire(kind, name, own, make)
        if created:
            engine.plugins.database_created(database)
        engine.plugins.database_opened(database)
        self.emit("created", name)
        return database

    def destroy(self, name_: str | None = None, **options: Any) -> None:
        """Remove a database with everything it has on disk; a database that does not exist is not an error.

        ``destroy(name="...")`` works too. Raises BadRequest without a name or for an unknown option.
        """
        name, adapter, rest = self._request(name_, options)
        self.engine.check_options(rest)
        self.engine.plugins.destroy(self, Destroy(name, adapter, rest, self.user))

    def destroy_database(self, request: Destroy) -> None:
        """Destroy a database for the ``pouchdb_destroy`` hook: the core's way."""
        engine = self.engine
        kind = engine.adapter_class(
            request.name, request.adapter, lambda: engine.plugins.choose_adapter(self, request.name, {})
        )
        name, options = kind.resolve(request.name, request.options)
        for handle in engine.remove(kind, name, {key: options[key] for key in options if key in kind.options}):
            handle.emit("destroyed")
        engine.plugins.database_destroyed(self, name)
        self.emit("destroyed", name)
        self.emit("destroy", name)

    def close(self) -> None:
        """Close every database, even one in use; a temporary storage directory is removed. Further calls do nothing.

        A ``with`` block closes it only if nothing else uses it: no other block, and no caller that got the same
        environment from its own ``setup()`` call and has not ended a block.
        """
        if self.engine.start_closing():
            self._close()

    def _close(self) -> None:
        try:
            self.engine.plugins.environment_closing(self if self._origin is None else self._origin)
        finally:
            self.engine.close()

    replicate = starting(replicating.replicate, REPLICATION, live_calls.REPLICATE)
    sync = starting(replicating.sync, SYNC, live_calls.SYNC_BOTH)

    def __enter__(self) -> Self:
        self.engine.enter()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.engine.leave():
            self._close()

    def __getitem__(self, name: str) -> SyncPouchDB:
        return self.PouchDB(name)

    def __delitem__(self, name: str) -> None:
        self.destroy(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def _repr_html_(self) -> str:
        """Return what a notebook shows: where it is, and its databases."""
        facts: dict[str, Any] = {"environment": "closed" if self.closed else str(self.directory or "in memory")}
        return fields_html(facts if self.closed else {**facts, "databases": ", ".join(self.names()) or "none"})

    def get(self, name: str, default: Any = None) -> Any:
        """Return the database if it exists, else ``default``; never makes one."""
        if name not in self:
            return default
        return self[name]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def sync_environment(engine: Engine) -> SyncEnvironment:
    """Make the synchronous view of an engine, with the methods its plug-ins add. Raises PluginError."""
    plugins = engine.plugins
    database_class = composed(SyncPouchDB, list(plugins.database_methods()))
    environment = composed(SyncEnvironment, list(plugins.environment_methods()))(engine, database_class)
    try:
        plugins.environment_opened(environment)
    except BaseException:
        engine.close()
        raise
    return environment
