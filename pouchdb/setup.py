"""``setup()``: the entry point, which chooses the plug-ins and the directory."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast, overload

from pouchdb.brought import brought
from pouchdb.classes import AsyncEnvironment, SyncEnvironment
from pouchdb_core.aio import make_async_environment
from pouchdb_core.defaults import CORE_PLUGINS
from pouchdb_core.engine import Engine
from pouchdb_core.environment import sync_environment
from pouchdb_core.errors import BadRequest, EnvironmentError, PluginError
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.urls import mistyped_url, scheme_of
from pouchdb_core.whole_files import make_directory

__all__ = ["MEMORY", "PluginLike", "installed_plugins", "setup", "setup_async"]

GROUP = "pouchdb"
MEMORY = ":memory:"

PluginLike = str | ModuleType | object
"""A plug-in: the name it was installed under, a module, or an object with hook implementations."""

# The only state of the module: the same arguments give the same environment (spec: plugins 9.5).
_environments: weakref.WeakValueDictionary[tuple[Any, ...], SyncEnvironment] = weakref.WeakValueDictionary()
# Re-entrant: a plug-in may set up another environment while one is set up.
_lock = threading.RLock()


@overload
def setup(
    storage_dir: str | os.PathLike[str] | None = ...,
    async_: Literal[False] = ...,
    base_url: str = ...,
    *,
    plugins: Iterable[PluginLike] | None = ...,
    **options: Any,
) -> SyncEnvironment: ...
@overload
def setup(
    storage_dir: str | os.PathLike[str] | None,
    async_: Literal[True],
    base_url: str = ...,
    *,
    plugins: Iterable[PluginLike] | None = ...,
    **options: Any,
) -> AsyncEnvironment: ...
@overload
def setup(
    storage_dir: str | os.PathLike[str] | None = ...,
    *,
    async_: Literal[True],
    base_url: str = ...,
    plugins: Iterable[PluginLike] | None = ...,
    **options: Any,
) -> AsyncEnvironment: ...
@overload
def setup(
    storage_dir: str | os.PathLike[str] | None = ...,
    async_: bool = ...,
    base_url: str = ...,
    *,
    plugins: Iterable[PluginLike] | None = ...,
    **options: Any,
) -> SyncEnvironment | AsyncEnvironment: ...
def setup(
    storage_dir: str | os.PathLike[str] | None = None,
    async_: bool = False,
    base_url: str = "file:///",
    *,
    plugins: Iterable[PluginLike] | None = None,
    **options: Any,
) -> SyncEnvironment | AsyncEnvironment:
    """Return the environment of a storage directory: ``setup("data")["notes"]`` is a database.

    ``storage_dir`` is made if it is missing (``~`` and variables are expanded); None is a new
    temporary directory, removed with the environment; ``":memory:"`` keeps everything in memory. A URL, such as
    ``"postgresql://..."``, is passed to the plug-in that keeps databases there.
    ``plugins`` are names, modules or objects; None takes all that are installed, ``[]`` none.
    ``options`` are defaults of database options, such as ``durability="normal"``; ``default=function`` is called for
    values of documents that JSON cannot represent, as ``json.dumps`` does. The same
    arguments give the same environment as long as it is in use. The original's spellings
    ``storageDir``, ``baseUrl`` and ``**{"async": True}`` are accepted. With ``async_=True`` it is the
    AsyncEnvironment that ``setup_async`` returns.

    Raises EnvironmentError for a directory that cannot be used, PluginError for plug-ins that
    cannot be loaded or conflict, BadRequest for an unknown option.
    """
    if _spelled("async", options, "async_", async_, False):
        return setup_async(storage_dir, base_url, plugins=plugins, **options)
    storage_dir = _spelled("storageDir", options, "storage_dir", storage_dir, None)
    base_url = _spelled("baseUrl", options, "base_url", base_url, "file:///")
    if isinstance(plugins, str):
        raise BadRequest(f"plugins must be a list: [{safe_repr(plugins)}]")
    if plugins is not None and not isinstance(plugins, Iterable):
        raise BadRequest(f"plugins must be a list of names, modules or objects, not {safe_repr(plugins)}")
    given = None if plugins is None else list(plugins)
    chosen = _chosen(given)
    origin = (base_url, None if given is None else [_portable(plugin) for plugin in given], options)
    if isinstance(storage_dir, str) and scheme_of(storage_dir) is not None:
        return _kept(storage_dir, chosen, origin)
    if storage_dir == MEMORY:
        return _made(None, chosen, origin)
    if storage_dir is None:
        directory = Path(tempfile.mkdtemp(prefix="pouchdb-"))
        try:
            environment = _made(directory, chosen, origin, temporary=True)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        # Unpickled in this process, it is the same object.
        with _lock:
            _environments[_key(directory, chosen, origin)] = environment
        return environment
    directory = _directory(storage_dir)
    return _kept(directory, chosen, origin)


def _kept(where: Path | str, chosen: list[tuple[str, object]], origin: Origin) -> SyncEnvironment:
    """Return the existing environment of a directory or URL, or make it."""
    key = _key(where, chosen, origin)
    with _lock:
        found = _environments.get(key)
        if found is None or not found.engine.give():
            if isinstance(where, Path):
                found = _made(where, chosen, origin)
            else:
                found = _made(None, chosen, origin, url=where)
            _environments[key] = found
        return found


def setup_async(
    storage_dir: str | os.PathLike[str] | None = None,
    base_url: str = "file:///",
    *,
    plugins: Iterable[PluginLike] | None = None,
    **options: Any,
) -> AsyncEnvironment:
    """Return the asynchronous environment of a storage directory: ``await setup_async("data")["notes"].info()``.

    Arguments and errors are those of ``setup``. It shares the engine, and so the databases, of the
    synchronous environment with the same arguments, which is its ``sync_view``.
    """
    sync_view = setup(storage_dir, False, base_url, plugins=plugins, **options)
    return cast("AsyncEnvironment", make_async_environment(sync_view))


def installed_plugins() -> list[tuple[str, object]]:
    """Return names and objects of all installed plug-ins. Raises PluginError for one that cannot be loaded."""
    return _chosen(None)


Origin = tuple[str, "list[PluginLike] | None", Mapping[str, Any]]
"""Base URL, plug-ins and options of a call: with the directory, they make the same environment again."""


def _spelled(original: str, options: dict[str, Any], name: str, value: Any, default: Any) -> Any:
    """Return an argument that may also be given under the original's name. Raises BadRequest for both."""
    if original not in options:
        return value
    if value != default:
        raise BadRequest(f"{name} and {original} are the same: give one of them")
    return options.pop(original)


def _key(where: Path | str, plugins: list[tuple[str, object]], origin: Origin) -> tuple[Any, ...]:
    base_url, _, options = origin
    # The plug-ins live as long as the environment, so that no other object gets their ids.
    chosen = tuple((name, id(plugin)) for name, plugin in plugins)
    return (where.resolve() if isinstance(where, Path) else where, base_url, chosen, repr(sorted(options.items())))


def _made(
    directory: Path | None,
    plugins: list[tuple[str, object]],
    origin: Origin,
    *,
    temporary: bool = False,
    url: str | None = None,
) -> SyncEnvironment:
    base_url, again, options = origin
    where = url if directory is None else str(directory)
    engine = Engine(
        directory,
        [*CORE_PLUGINS, *plugins],
        options=options,
        temporary=temporary,
        origin=None if where is None else (_again, (where, base_url, again, dict(options))),
        url=url,
        brought=brought,
    )
    return cast("SyncEnvironment", sync_environment(engine))


def _again(where: str, base_url: str, plugins: list[PluginLike] | None, options: dict[str, Any]) -> SyncEnvironment:
    """Set up the same environment from a pickle, in another process or in this one."""
    return setup(where, False, base_url, plugins=plugins, **options)


def _portable(plugin: PluginLike) -> PluginLike:
    return _ModuleName(plugin.__name__) if isinstance(plugin, ModuleType) else plugin


class _ModuleName(str):
    """The name of a module that is a plug-in: modules do not pickle."""

    __slots__ = ()


def _chosen(plugins: Iterable[PluginLike] | None) -> list[tuple[str, object]]:
    if plugins is None:
        return [(name, _loaded(point)) for name, point in _installed().items()]
    chosen: list[tuple[str, object]] = []
    for plugin in plugins:
        if isinstance(plugin, _ModuleName):
            plugin = importlib.import_module(plugin)
        if isinstance(plugin, str):
            installed = _installed()
            if plugin not in installed:
                known = ", ".join(sorted(installed)) or "none"
                raise PluginError(f"no plug-in {plugin!r} is installed; there are: {known}")
            chosen.append((plugin, _loaded(installed[plugin])))
        else:
            chosen.append((_name(plugin), plugin))
    return chosen


def _installed() -> dict[str, EntryPoint]:
    """Return the entry points of all installed plug-ins, sorted by name. Raises PluginError for two with one name."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP)):
        known = found.setdefault(point.name, point)
        if known != point:
            raise PluginError(f"{_source(known)} and {_source(point)} both install a plug-in {point.name!r}")
    return found


def _source(point: EntryPoint) -> str:
    return f"{point.dist.name if point.dist is not None else 'an unknown distribution'} ({point.value})"


def _name(plugin: object) -> str:
    name = getattr(plugin, "__name__", None)
    return name if isinstance(name, str) else f"{type(plugin).__name__}-{id(plugin):x}"


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        raise PluginError(f"plug-in {point.name!r} of {_source(point)} cannot be loaded: {error!r}") from error


def _directory(given: str | os.PathLike[str]) -> Path:
    if not isinstance(given, (str, os.PathLike)):
        raise BadRequest(f"storage_dir must be a path, not {safe_repr(given)}")
    text = os.path.expandvars(os.path.expanduser(os.fsdecode(given)))
    if not text:
        raise EnvironmentError("storage_dir is an empty text; '.' is the current directory")
    path = Path(text).absolute()
    meant = mistyped_url(text) if isinstance(given, str) else None
    if meant is not None and not path.is_dir():
        raise BadRequest(
            f"storage_dir looks like a mistyped URL: was {safe_repr(meant)} meant? A new directory gets such a name as "
            "a pathlib.Path"
        )
    try:
        make_directory(path)
    except (OSError, ValueError) as error:
        raise EnvironmentError(
            f"the storage directory {path} cannot be used: {getattr(error, 'strerror', error)}"
        ) from error
    return path
