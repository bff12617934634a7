"""``setup()``: the way in. The only place with opinions: which plug-ins, which directory."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pouchdb_core.defaults import CORE_PLUGINS
from pouchdb_core.engine import Engine
from pouchdb_core.environment import SyncEnvironment, sync_environment
from pouchdb_core.errors import BadRequest, EnvironmentError, NotSupported, PluginError

__all__ = ["MEMORY", "PluginLike", "setup"]

GROUP = "pouchdb"
MEMORY = ":memory:"

PluginLike = str | ModuleType | object
"""A plug-in: the name it was installed under, a module, or an object with hook implementations."""

# The one state of the module: the same arguments give the same environment (spec: plugins 9.5).
_environments: weakref.WeakValueDictionary[tuple[Any, ...], SyncEnvironment] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def setup(
    storage_dir: str | os.PathLike[str] | None = None,
    async_: bool = False,
    base_url: str = "file:///",
    *,
    plugins: Iterable[PluginLike] | None = None,
    **options: Any,
) -> SyncEnvironment:
    """Return the environment of a storage directory: ``setup("data")["notes"]`` is a database.

    ``storage_dir`` is made if it is missing (``~`` and variables are expanded); None is a new
    temporary directory, removed with the environment; ``":memory:"`` keeps everything in memory.
    ``plugins`` are names, modules or objects; None takes all that are installed, ``[]`` none.
    ``options`` are defaults of database options, such as ``durability="normal"``. The same
    arguments give the same environment as long as it is in use. The original's spellings
    ``storageDir`` and ``baseUrl`` are accepted.

    Raises EnvironmentError for a directory that cannot be used, PluginError for plug-ins that
    cannot be loaded or clash, BadRequest for an unknown option.
    """
    storage_dir = options.pop("storageDir", storage_dir)
    base_url = options.pop("baseUrl", base_url)
    if options.pop("async", async_):
        raise NotSupported("the asynchronous interface is not there yet")
    chosen = _chosen(plugins)
    if storage_dir is None:
        return _made(_temporary(), chosen, options, temporary=True, origin=(plugins, None, base_url))
    directory = None if storage_dir == MEMORY else _directory(storage_dir)
    if directory is None:
        return _made(None, chosen, options, temporary=False, origin=(plugins, MEMORY, base_url))
    key = (directory, base_url, tuple((name, id(plugin)) for name, plugin in chosen), repr(sorted(options.items())))
    with _lock:
        environment = _environments.get(key)
        if environment is None or environment.closed:
            origin = (plugins, str(directory), base_url)
            environment = _made(directory, chosen, options, temporary=False, origin=origin)
            _environments[key] = environment
        return environment


def _made(
    directory: Path | None,
    plugins: list[tuple[str, object]],
    options: Mapping[str, Any],
    *,
    temporary: bool,
    origin: tuple[Any, str | None, str],
) -> SyncEnvironment:
    given, where, base_url = origin
    # A temporary directory is found again by its path; memory cannot be.
    where = str(directory) if directory is not None else where
    names = None if given is None else [_portable(plugin) for plugin in given]
    engine = Engine(
        directory,
        [*CORE_PLUGINS, *plugins],
        options=options,
        temporary=temporary,
        origin=(_again, (where, base_url, names, dict(options))),
    )
    return sync_environment(engine)


def _again(where: str, base_url: str, plugins: list[PluginLike] | None, options: dict[str, Any]) -> SyncEnvironment:
    """Set up the same environment in another process, from a pickle."""
    return setup(where, False, base_url, plugins=plugins, **options)


def _portable(plugin: PluginLike) -> PluginLike:
    return _ModuleName(plugin.__name__) if isinstance(plugin, ModuleType) else plugin


class _ModuleName(str):
    """The name of a module that is a plug-in: modules do not pickle."""

    __slots__ = ()


def _chosen(plugins: Iterable[PluginLike] | None) -> list[tuple[str, object]]:
    if plugins is None:
        return [(point.name, _loaded(point)) for point in sorted(entry_points(group=GROUP))]
    installed: dict[str, EntryPoint] = {}
    chosen: list[tuple[str, object]] = []
    for plugin in plugins:
        if isinstance(plugin, _ModuleName):
            import importlib

            plugin = importlib.import_module(plugin)
        if isinstance(plugin, str):
            installed = installed or {point.name: point for point in entry_points(group=GROUP)}
            if plugin not in installed:
                known = ", ".join(sorted(installed)) or "none"
                raise PluginError(f"no plug-in {plugin!r} is installed; there are: {known}")
            chosen.append((plugin, _loaded(installed[plugin])))
        else:
            chosen.append((_name(plugin), plugin))
    return chosen


def _name(plugin: object) -> str:
    name = getattr(plugin, "__name__", None)
    return name if isinstance(name, str) else f"{type(plugin).__name__}-{id(plugin):x}"


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        distribution = point.dist.name if point.dist is not None else "an unknown distribution"
        raise PluginError(f"plug-in {point.name!r} of {distribution} cannot be loaded: {error!r}") from error


def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="pouchdb-"))


def _directory(given: str | os.PathLike[str]) -> Path:
    if not isinstance(given, (str, os.PathLike)):
        raise BadRequest(f"storageDir must be a path, not {given!r}")
    path = Path(os.path.expandvars(os.path.expanduser(os.fspath(given)))).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentError(f"storageDir {path} cannot be used: {error.strerror}") from error
    return path
