"""The engine: what all views of one storage directory share.

It owns the plug-ins, the open stores, tasks, identity and clean-up. ``SyncEnvironment`` and
``AsyncEnvironment`` are views on it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pouchdb_core.adapters.base import Adapter, Place
from pouchdb_core.changes.notify import Watcher
from pouchdb_core.daemons import end_silently
from pouchdb_core.errors import BadRequest, DatabaseClosed, EnvironmentError, NotFound
from pouchdb_core.forks import Origin
from pouchdb_core.plugins import Plugins
from pouchdb_core.replication.replicate import Replicator, Tools
from pouchdb_core.runner import Runner
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.state import Slots
from pouchdb_core.tasks import Tasks
from pouchdb_core.urls import mistyped_url, scheme_of
from pouchdb_core.uuids import UuidSource
from pouchdb_core.whole_files import draft, sweep

if TYPE_CHECKING:
    from pouchdb_core.adapters.base import Shared
    from pouchdb_core.interfaces import Database
    from pouchdb_core.live import LiveHandle, Replication
    from pouchdb_core.requests import UserContext
    from pouchdb_core.transforms import Transforms

__all__ = ["DESTROYED", "Engine", "Opened"]

DESTROYED = "database is destroyed"
KEPT = "database was closed to be destroyed, which failed: open it again"
"""The reason given for objects whose database was destroyed."""

H = TypeVar("H", bound="Database")

Brought = Callable[[Literal["database", "environment"], str], "str | None"]
UUID = "core/uuid"
SETTINGS = ("collation", "default", "js_engine", "js_limits")
"""The order of strings in keys of views (``views.collation``); a function called for values that are not JSON, as
by ``json.dumps``; the JavaScript engine to use, by name, and its limits (``javascript.Limits``)."""


class Opened:
    """An adapter and the objects that use it: what all database objects of one name share."""

    def __init__(self, key: tuple[str, str], adapter: Adapter, options: Mapping[str, Any]) -> None:
        self.key, self.adapter = key, adapter
        self.slots = Slots()
        self.transforms: Transforms | Literal[False] | None = False
        """What changes documents on their way in and out; False until plug-ins were asked."""
        self.uninterested: dict[tuple[str, bool], frozenset[str]] = {}
        """Plug-ins that are never concerned with writes here, by hook and by whether a user makes them."""
        self._asking = False
        self._lock = threading.RLock()
        self.handles: weakref.WeakSet[Database] = weakref.WeakSet()
        self._options = dict(options)

    def ask_for_transforms(self, ask: Callable[[], Transforms | None]) -> Transforms | None:
        """Ask plug-ins once; while one of them answers, it sees documents as they are stored."""
        with self._lock:
            if self._asking:
                return None
            if self.transforms is False:
                self._asking = True
                try:
                    self.transforms = ask()
                finally:
                    self._asking = False
            return self.transforms

    def configure(self, options: Mapping[str, Any]) -> None:
        """Take the options of one more object. Raises BadRequest for those that can no longer be changed."""
        changed = {name: value for name, value in options.items() if self._options.get(name, self) != value}
        if changed:
            self.adapter.configure(changed)
            self._options.update(changed)


class Engine:
    """One storage directory (or memory) with one set of plug-ins.

    ``directory`` None keeps databases in memory; ``temporary`` removes the directory when the
    engine is closed or collected, in the process that made it. ``url`` is where databases are kept instead of in a
    directory. ``origin`` is how to get the same
    engine again in another process: a callable and its arguments.
    """

    def __init__(
        self,
        directory: Path | None,
        plugins: Iterable[tuple[str, object]],
        *,
        options: Mapping[str, Any] | None = None,
        temporary: bool = False,
        origin: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
        new_id: Callable[[], str] | None = None,
        tools: Tools | None = None,
        url: str | None = None,
        brought: Brought | None = None,
    ) -> None:
        self.directory = directory
        self.brought = brought
        """Returns which plug-in adds a missing method: the core knows none by name."""
        self.origin = origin
        self.tasks = Tasks()
        self.slots = Slots()
        self.closed = False
        self._closing = False
        self._given, self._inside, self._left_blocks = 1, 0, 0
        """How many ``setup()`` calls returned it, how many ``with`` blocks use it, and how many of those have ended."""
        self.plugins = Plugins(plugins)
        self.storage = None if url is None else self.plugins.storage(url)
        """Where the databases are if not in a directory."""
        if self.storage is not None:
            self.directory = directory = self.storage.directory
        self.watcher = Watcher()
        self.dispatcher = Runner("pouchdb-events", threads=1)
        """Runs listeners, and steps live feeds: one thread, so that no two callbacks run at once."""
        self.workers = Runner("pouchdb-worker", threads=8)
        """Steps replications in the background, and feeds for asyncio."""
        self.remote_workers = Runner("pouchdb-remote-worker", threads=16)
        """Steps those with a server: one that does not respond holds a thread for as long as its time-out."""
        self.live: set[Replication] = set()
        """The replications that run in the background."""
        self.going: set[LiveHandle] = set()
        """Everything that runs in the background, even without a kept handle: feeds with a listener, replications."""
        self.unheard: weakref.WeakSet[LiveHandle] = weakref.WeakSet()
        """Feeds without a listener: the code that iterates them keeps them, perhaps in a thread without an end."""
        self.replicators: set[Replicator] = set()
        """Those that are running, whether or not something waits for them."""
        self.tools = tools or Tools()
        """Where replications get the time and random numbers from."""
        databases = dict(options or {})
        self.settings = {name: databases.pop(name) for name in SETTINGS if name in databases}
        """Options of the engine itself; all others are defaults of database options."""
        if not (self.settings.get("default") is None or callable(self.settings["default"])):
            wrong = safe_repr(self.settings["default"])
            raise BadRequest(f"default must be a function, as json.dumps() takes it, not {wrong}")
        self._scratch = _Scratch(directory if temporary else None)
        self.place = Place(
            directory=directory,
            new_id=new_id or UuidSource(),
            tasks=self.tasks,
            watch=self.watcher.watch,
            side_directory=self._scratch.folder,
            options=databases,
            url=url,
            announce_session=_weakly(self.plugins),
        )
        make = None if self.storage is None else self.storage.shared
        self.shared: Shared | None = None if make is None else make(self.place)
        """What the processes of all hosts share at a URL."""
        self.adapters: Mapping[str, type[Adapter]] = self.plugins.adapters()
        """The adapter classes by name."""
        self._opened: dict[tuple[str, str], Opened] = {}
        self._left: weakref.WeakSet[Opened] = weakref.WeakSet()
        """Stores whose database another process destroyed or replaced while open; they belong to their objects."""
        # For the finalizer: not with the slots, whose states may know the engine and would keep it alive.
        self._stores: dict[tuple[str, str], Adapter] = {}
        self._lock = threading.RLock()
        self._uuid: str | None = None
        self.current: UserContext | Callable[[], UserContext | None] | None = None
        """The user that is logged in, or a function that returns it."""
        self._runners = ((self.remote_workers, 5.0), (self.workers, 5.0), (self.dispatcher, 1.0))
        # The finalizer is known to the interpreter, and background work knows the engine: as long as there is any,
        # both stay, even without references, until it is cancelled, its environment is closed, or the program ends.
        handles = (self.going, self.unheard)
        self._finalizer = weakref.finalize(self, _clean, handles, self._runners, self._stores, self._scratch)
        end_silently()
        self.check_options(self.place.options)
        if directory is not None:
            # Of processes that were killed while they made a database.
            sweep(directory)

    @property
    def current_user(self) -> UserContext | None:
        """The user on whose behalf requests are made that are not made for a particular user."""
        current = self.current
        return current() if callable(current) else current

    # -- identity --------------------------------------------------------------------------------

    @property
    def uuid(self) -> str:
        """The engine's identity (32 hex digits): kept in its directory or by its storage, else as long as it lives."""
        with self._lock:
            if self._uuid is None:
                if self.shared is not None:
                    # A place that can only be read has one already, or gets none.
                    known = self.shared.text(UUID)
                    self._uuid = known or self.shared.change(UUID, lambda known: known or uuid.uuid4().hex)
                else:
                    self._uuid = uuid.uuid4().hex if self.directory is None else _kept_uuid(self.directory / ".uuid")
            return self._uuid

    def folder(self, plugin: str) -> Path:
        """Return (making it) a folder for files of a plug-in that belong to the whole environment."""
        if self.directory is None:
            return self._scratch.folder(plugin, "plugin")
        folder = self.directory / ".plugins" / plugin
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentError(
                f"the storage directory {self.directory} cannot be written: {error.strerror}"
            ) from error
        return folder

    # -- adapters --------------------------------------------------------------------------------

    def check_options(self, options: Mapping[str, Any], adapter: type[Adapter] | None = None) -> None:
        """Refuse options that no adapter (or not this one) understands. Raises BadRequest."""
        adapters = [adapter] if adapter else list(self.adapters.values())
        known = frozenset[str]().union(*(each.options for each in adapters))
        for option in options:
            if option not in known:
                raise BadRequest(f"unknown option {safe_repr(option)}; there are: {', '.join(sorted(known))}")

    def adapter_class(self, name: str, wanted: str | None, choose: Callable[[], str | None]) -> type[Adapter]:
        """Return the class that opens ``name``: the wanted one, the URL scheme's, or ``choose()``.

        Raises NotFound("Adapter is missing ...").
        """
        scheme = scheme_of(name) if wanted is None else None
        if scheme is not None:
            for adapter in self.adapters.values():
                if scheme in adapter.schemes:
                    return adapter
            raise NotFound(f"Adapter is missing: no plug-in opens {scheme}:// databases")
        wanted = wanted or choose()
        found = self.adapters.get(wanted or "")
        if found is None or not found.available():
            raise NotFound(f"Adapter is missing: {safe_repr(wanted)}; there are: {', '.join(sorted(self.adapters))}")
        return found

    def check_meant(self, name: str) -> None:
        """Refuse a name that looks like a mistyped URL, unless there is such a database. Raises BadRequest."""
        meant = mistyped_url(name)
        if meant is not None and not any(self.holds(each, name) for each in self.adapters):
            raise BadRequest(
                f"the name looks like a mistyped URL: was {safe_repr(meant)} meant? A new local database gets such a "
                "name with the option adapter"
            )

    def names(self) -> list[str]:
        """Return the names of the local databases, in code point order."""
        with self._lock:
            # For databases on disk the storage is right: another process may have destroyed what is open here.
            open_here = [each for each in self._opened.values() if not (each.adapter.remote or each.adapter.lasting)]
        found = {each.key[1] for each in open_here}
        for adapter in self.adapters.values():
            found.update(adapter.names(self.place))
        return sorted(found)

    def holds(self, adapter: str, name: str) -> bool:
        """Return whether an adapter has a local database of this name."""
        with self._lock:
            opened = self._opened.get((adapter, name))
        if opened is not None and (opened.adapter.remote or not opened.adapter.lasting):
            return not opened.adapter.remote
        return name in self.adapters[adapter].names(self.place)

    def acquire(
        self, adapter: type[Adapter], name: str, options: Mapping[str, Any], make: Callable[[Opened], H]
    ) -> tuple[H, bool]:
        """Make an object of the store of a name, opening it if needed; also return whether the database is new.

        Objects of one store share its options: the latest apply to all. Raises BadRequest for one
        that cannot be changed while the store is open. Objects of a database that another process has destroyed or
        replaced keep its store, which refuses everything, and new ones get the database that is there now.
        """
        self.check_options(options, adapter)
        key = (adapter.name, name)
        if adapter.remote:
            # Shared only by callers with the same options: credentials are options.
            key = (adapter.name, f"{name}\n{sorted(options.items())!r}")
        # The object is made under the lock: the store must not be released as unused before it is known.
        with self._lock:
            self.check_open()
            opened = self._opened.get(key)
            if opened is not None and not opened.adapter.same():
                del self._opened[key], self._stores[key]
                self._left.add(opened)
                opened = None
            if opened is not None:
                opened.configure(options)
                return make(opened), False
            usable = {key: value for key, value in self.place.options.items() if key in adapter.options}
            made = adapter.open(self.place, name, {**usable, **options})
            self._stores[key] = made
            opened = self._opened[key] = Opened(key, made, options)
            return make(opened), made.created

    def check_open(self) -> None:
        """Raise DatabaseClosed after ``close()``."""
        if self.closed:
            raise DatabaseClosed("the environment is closed")

    def release(self, opened: Opened) -> None:
        """Close a store that no database object uses; what lives in memory stays."""
        with self._lock:
            used = any(not handle.closed for handle in opened.handles)
            if not used and opened.adapter.lasting and (opened in self._left or self._opened.get(opened.key) is opened):
                self._forget(opened)

    def remove(self, adapter: type[Adapter], name: str, options: Mapping[str, Any] | None = None) -> list[Database]:
        """Destroy a database; return the objects that had it open, which are ended."""
        if adapter.remote:
            return self._remove_remote(adapter, name, options or {})
        with self._lock:
            self.check_open()
            opened = self._opened.get((adapter.name, name))
            ended: list[Database] = []
            if opened is not None:
                ended = [handle for handle in opened.handles if handle._end(DESTROYED)]
                self._forget(opened)
            try:
                adapter.destroy(self.place, name)
            except BaseException:
                for handle in ended:
                    handle._life.ended = KEPT
                raise
            if not adapter.lasting:
                self._scratch.discard(name)
        return ended

    def _remove_remote(self, adapter: type[Adapter], name: str, options: Mapping[str, Any]) -> list[Database]:
        self.check_open()
        # A server may be slow: others may open databases meanwhile.
        adapter.destroy(replace(self.place, options={**self.place.options, **options}), name)
        ended: list[Database] = []
        with self._lock:
            for opened in list(self._opened.values()):
                if opened.key[0] == adapter.name and opened.key[1].partition("\n")[0] == name:
                    ended += [handle for handle in opened.handles if handle._end(DESTROYED)]
                    self._forget(opened)
        return ended

    def _forget(self, opened: Opened) -> None:
        if opened in self._left:
            self._left.discard(opened)
        else:
            del self._opened[opened.key]
            # At the interpreter's end they may have been closed already.
            self._stores.pop(opened.key, None)
        with contextlib.closing(opened.adapter):
            opened.slots.close()

    def workers_of(self, *databases: Database) -> Runner:
        """Return what steps long-lived work on these databases."""
        return self.remote_workers if any(each.remote for each in databases) else self.workers

    def give(self) -> bool:
        """Count one more call of ``setup()`` that gets it; False if it is being closed."""
        with self._lock:
            self._given += not self._closing
            return not self._closing

    def enter(self) -> None:
        """Count a ``with`` block that uses it."""
        with self._lock:
            self._inside += 1

    def leave(self) -> bool:
        """Count a block's end; return True for the last one, which closes: nothing else uses it, in a block or without.

        A caller that got it by ``setup()`` and has not ended a block yet still uses it.
        """
        with self._lock:
            self._inside -= 1
            self._left_blocks += 1
            last = not self._inside and self._left_blocks >= self._given
            first, self._closing = not self._closing and last, self._closing or last
        return first

    def start_closing(self) -> bool:
        """Return True to the one caller that shall announce the end and call ``close()``."""
        with self._lock:
            first, self._closing = not self._closing, True
        return first

    def close(self) -> None:
        """Close every database object and store, and remove what is temporary. Further calls do nothing."""
        with self._lock:
            if self.closed:
                return
            self.closed = self._closing = True
            stores = [*self._opened.values(), *self._left]
        # Everything is closed even if something raises, in reverse order: objects, stores, environment, files.
        with contextlib.ExitStack() as closing:
            closing.callback(self._opened.clear)
            closing.callback(self._finalizer)
            for opened in list(self._left):
                closing.callback(opened.adapter.close)
            closing.callback(self.watcher.close)
            # Their current work ends before the files are removed, unless it takes too long.
            for runner, patience in reversed(self._runners):
                closing.callback(runner.close, patience)
            closing.callback(self.place.slots.close)
            closing.callback(self.slots.close)
            for opened in stores:
                closing.callback(opened.slots.close)
            for opened in stores:
                for handle in list(opened.handles):
                    closing.callback(handle._close)


class _Scratch:
    """Temporary folders; removed only by the process that made them."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._mine = directory is not None
        self._origin = Origin()
        self._names: dict[tuple[str, str], Path] = {}
        self._lock = threading.RLock()

    def folder(self, name: str, kind: str = "database") -> Path:
        """Return a folder by name, making it if needed."""
        with self._lock:
            if self._directory is None:
                self._directory, self._mine, self._origin = Path(tempfile.mkdtemp(prefix="pouchdb-")), True, Origin()
            if (kind, name) not in self._names:
                self._names[kind, name] = Path(tempfile.mkdtemp(dir=self._directory))
            return self._names[kind, name]

    def discard(self, name: str, kind: str = "database") -> None:
        """Remove a folder with its files."""
        with self._lock:
            folder = self._names.pop((kind, name), None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self) -> None:
        if self._mine and self._directory is not None and self._origin.here():
            shutil.rmtree(self._directory, ignore_errors=True)


def _weakly(plugins: Plugins) -> Callable[[str, Any], None]:
    """Return how adapters report their sessions: a plug-in may know the engine, which they must not keep alive."""
    known = weakref.ref(plugins)

    def announce(url: str, session: Any) -> None:
        found = known()
        if found is not None:
            found.http_session(url, session)

    return announce


def _clean(
    live: tuple[Iterable[LiveHandle], Iterable[LiveHandle]],
    runners: Iterable[tuple[Runner, float]],
    stores: dict[tuple[str, str], Adapter],
    scratch: _Scratch,
) -> None:
    """End an engine at close, collection or the program's end; must not refer to it except by its background work."""
    with contextlib.ExitStack() as closing:
        closing.callback(scratch.remove)
        for each in list(stores.values()):
            closing.callback(each.close)
        stores.clear()
        handles = [handle for each in live for handle in list(each)]
        if handles:
            # The program ends without closing it: background work ends while its databases are open.
            for runner, patience in reversed(tuple(runners)):
                closing.callback(runner.close, patience)
            for handle in handles:
                closing.callback(handle.cancel)


def _kept_uuid(path: Path) -> str:
    """Read the uuid of a directory, making it once: also if several processes start at the same time."""
    try:
        if not path.exists():
            _make_uuid(path)
        kept = path.read_bytes()
    except OSError as error:
        raise EnvironmentError(f"the storage directory {path.parent} cannot be used: {error.strerror}") from error
    if not re.fullmatch(rb"[0-9a-f]{32}", kept):
        raise EnvironmentError(
            f"the storage directory {path.parent} has a damaged file {path.name}; remove it to get a new uuid"
        )
    return kept.decode()


def _make_uuid(path: Path) -> None:
    with draft(path.parent) as new:
        with new.open("xb") as file:
            file.write(uuid.uuid4().hex.encode())
            file.flush()
            # On disk before it has its name: a power cut must not leave it empty.
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            (os.rename if os.name == "nt" else os.link)(new, path)
