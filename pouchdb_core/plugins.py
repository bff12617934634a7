"""The plug-in manager of one engine: one typed method per hook, around pluggy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from pouchdb_core import hookspecs
from pouchdb_core.adapters.base import Adapter, Storage
from pouchdb_core.errors import BadRequest, PluginError
from pouchdb_core.requests import NEVER
from pouchdb_core.transforms import Transform, Transforms
from pouchdb_core.urls import is_http, scheme_of

if TYPE_CHECKING:
    import click

    from pouchdb_core.adapters.http.http_session import HttpSession
    from pouchdb_core.changes.filters import ChangesFilter
    from pouchdb_core.interfaces import Database, Environment
    from pouchdb_core.javascript import Engine as JavaScriptEngine
    from pouchdb_core.methods import Operation
    from pouchdb_core.replication.replicate import Replicator
    from pouchdb_core.requests import (
        Administer,
        AnyRequest,
        Changes,
        Destroy,
        Guard,
        Listing,
        Open,
        Query,
        Read,
        Replicate,
        Write,
    )
    from pouchdb_core.results import Outcome, Record
    from pouchdb_core.views.index import IndexKind
    from pouchdb_core.views.reduce import ReduceFunction
    from pouchdb_core.views.servers import ViewServer

__all__ = ["Plugins"]

T = TypeVar("T")
Named = tuple[str, T]


class Plugins:
    """The plug-ins of one engine; two engines in one process may have different ones.

    ``plugins`` are (name, module or object) pairs, the core's own first. Raises PluginError for a
    name used twice, a hook that is not specified, a hook not marked ``@hookimpl``, or arguments a hook
    does not have.
    """

    def __init__(self, plugins: Iterable[Named[object]]) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._collected: dict[str, dict[str, Any]] = {}
        self.manager.add_hookspecs(hookspecs)
        # Historic: every plug-in registered from here on gets this call at once.
        self.manager.hook.pouchdb_addhooks.call_historic(kwargs={"manager": self.manager})
        for name, plugin in plugins:
            self._register(name, plugin)
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            owner = self.manager.get_name(error.plugin) or repr(error.plugin)
            raise PluginError(
                f"plug-in {owner!r} implements a hook that nobody specifies: {error}. "
                "Mark it @hookimpl(optionalhook=True) if its host may be absent."
            ) from error
        hook = self.manager.hook
        self.write = cast("Callable[[Database, Write], Sequence[Outcome]]", _operation(hook.pouchdb_write))
        self.read = cast("Callable[[Database, Read], Any]", _operation(hook.pouchdb_read))
        self.list = cast("Callable[[Database, Listing | Query], Record]", _operation(hook.pouchdb_list))
        self.changes = cast("Callable[[Database, Changes], Iterator[Record]]", _operation(hook.pouchdb_changes))
        self.replicate = cast("Callable[[Environment, Replicate], Replicator]", _operation(hook.pouchdb_replicate))
        self.open = cast("Callable[[Environment, Open], Database]", _operation(hook.pouchdb_open))
        self.destroy = cast("Callable[[Environment, Destroy], bool]", _operation(hook.pouchdb_destroy))
        self.administer = cast("Callable[[Database, Administer], Any]", _operation(hook.pouchdb_administer))
        self._authorise = _all_of(hook.pouchdb_authorise)
        if hook.pouchdb_authorise.get_hookimpls():
            for name in ("write", "read", "list", "changes", "administer"):
                setattr(self, name, self._authorised(getattr(self, name)))
            for name in ("replicate", "open", "destroy"):
                setattr(self, name, self._authorised_above(getattr(self, name)))
        # Two with one name are an error at set-up, not at the first query.
        self.javascript_engines()
        self.view_servers()
        self.reduce_functions()
        self.changes_filters()
        self.index_kinds()
        self.reads_plainly = len(hook.pouchdb_read.get_hookimpls()) == 1
        """Whether only the core reads: no plug-in sees or changes what is read."""
        # Documents and views: the core answers each in its own module.
        self.lists_plainly = len(hook.pouchdb_list.get_hookimpls()) <= 2
        """Whether only the core lists."""
        self.feeds_plainly = len(hook.pouchdb_changes.get_hookimpls()) == 1
        """Whether only the core reads the changes feed."""
        self.writes_plainly = len(hook.pouchdb_write.get_hookimpls()) == 1
        """Whether only the core writes, except for guards."""
        self.administers_plainly = len(hook.pouchdb_administer.get_hookimpls()) == 1
        """Whether only the core answers requests about whole databases, except that users may be refused."""
        self._guards = _asked_until_never(hook.pouchdb_write_guards)
        self._tell_of_written = _asked_until_never(hook.pouchdb_documents_written)
        self.transforming = bool(hook.pouchdb_transforms.get_hookimpls())
        """Whether any plug-in may change documents of some database."""
        self.judges = bool(hook.pouchdb_write_guards.get_hookimpls())
        """Whether any plug-in may guard writes."""
        self.listens = bool(hook.pouchdb_documents_written.get_hookimpls())
        """Whether any plug-in wants reports of written documents."""

    def _register(self, name: str, plugin: object) -> None:
        if self.manager.has_plugin(name):
            raise PluginError(f"two plug-ins are called {name!r}: {self.manager.get_plugin(name)!r} and {plugin!r}")
        for hook in hookspecs.__all__:
            function = getattr(plugin, hook, None)
            # A specification that a plug-in imports is not an implementation.
            if not hook.startswith("pouchdb_") or function is None or hasattr(function, "pouchdb_spec"):
                continue
            if self.manager.parse_hookimpl_opts(plugin, hook) is None:
                raise PluginError(f"plug-in {name!r} has a function {hook} that is not marked @hookimpl")
        try:
            self.manager.register(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            known = self.manager.get_name(plugin)
            twice = f"it is there already, as {known!r}" if known not in (None, name) else error
            raise PluginError(f"plug-in {name!r} cannot be registered: {twice}") from error

    @property
    def names(self) -> Sequence[str]:
        """The names of the plug-ins, in order of registration."""
        return [name for name, _ in self.manager.list_name_plugin()]

    # -- registration: results with the name of their plug-in ---------------------------

    def adapters(self) -> Mapping[str, type[Adapter]]:
        """Return the adapter classes by name. Raises PluginError for a name used twice."""
        found: dict[str, tuple[str, type[Adapter]]] = {}
        for owner, adapters in self._each(self.manager.hook.pouchdb_adapters):
            for adapter in adapters:
                if not (isinstance(adapter, type) and issubclass(adapter, Adapter)):
                    raise PluginError(f"plug-in {owner!r} brings {adapter!r}, which is not a subclass of Adapter")
                if adapter.name in found:
                    raise PluginError(
                        f"plug-ins {found[adapter.name][0]!r} and {owner!r} both bring an adapter {adapter.name!r}"
                    )
                found[adapter.name] = (owner, adapter)
        return {name: adapter for name, (_, adapter) in found.items()}

    def javascript_engines(self) -> Mapping[str, JavaScriptEngine]:
        """Return the JavaScript engines by name. Raises PluginError for a name used twice."""
        return self._by("name", self.manager.hook.pouchdb_javascript_engines)

    def view_servers(self) -> Mapping[str, ViewServer]:
        """Return the view servers by language. Raises PluginError for a language used twice."""
        return self._by("language", self.manager.hook.pouchdb_view_servers)

    def reduce_functions(self) -> Mapping[str, ReduceFunction]:
        """Return the reduce functions by name. Raises PluginError for a name used twice."""
        return self._by("name", self.manager.hook.pouchdb_reduce_functions)

    def changes_filters(self) -> Mapping[str, ChangesFilter]:
        """Return the filters of the changes feed by name. Raises PluginError for a name used twice."""
        return self._by("name", self.manager.hook.pouchdb_changes_filters)

    def index_kinds(self) -> Mapping[str, IndexKind]:
        """Return the kinds of indexes by name. Raises PluginError for a name used twice."""
        return self._by("name", self.manager.hook.pouchdb_index_kinds)

    def _by(self, member: str, hook: pluggy.HookCaller) -> Mapping[str, Any]:
        """Return what a hook collects by name; called once, since plug-ins do not change."""
        found = self._collected.get(hook.name)
        if found is None:
            owners: dict[str, str] = {}
            found = {}
            for owner, each in self._flat(hook):
                name = getattr(each, member, None)
                if not isinstance(name, str) or not name:
                    raise PluginError(f"plug-in {owner!r} answers {hook.name} with {each!r}, which has no {member}")
                if name in found:
                    raise PluginError(f"plug-ins {owners[name]!r} and {owner!r} both bring {name!r} by {hook.name}")
                owners[name], found[name] = owner, each
            self._collected[hook.name] = found
        return found

    def environment_methods(self) -> Iterator[Named[Operation[..., Any]]]:
        """Yield (plug-in, method) of every method for environments."""
        return self._flat(self.manager.hook.pouchdb_environment_methods)

    def database_methods(self) -> Iterator[Named[Operation[..., Any]]]:
        """Yield (plug-in, method) of every method for databases."""
        return self._flat(self.manager.hook.pouchdb_database_methods)

    def commands(self, group: click.Group, owner: str) -> Mapping[str, str]:
        """Make plug-ins add their commands to ``group``; return the owner of each, ``owner`` for those already there.

        Raises PluginError for a name used twice.
        """
        owners = dict.fromkeys(group.commands, owner)
        for implementation in self._plain(self.manager.hook.pouchdb_commands):
            before = dict(group.commands)
            implementation.function(group)
            for name, command in group.commands.items():
                if before.get(name) is command:
                    continue
                if name in before:
                    raise PluginError(
                        f"plug-ins {owners[name]!r} and {implementation.plugin_name!r} both bring a command {name!r}"
                    )
                owners[name] = implementation.plugin_name
        return owners

    def _plain(self, hook: pluggy.HookCaller) -> Iterator[pluggy.HookImpl]:
        for implementation in hook.get_hookimpls():
            if implementation.wrapper or implementation.hookwrapper:
                owner = implementation.plugin_name
                raise PluginError(f"plug-in {owner!r} wraps {hook.name}, which only collects: implement it plainly")
            yield implementation

    def _each(self, hook: pluggy.HookCaller) -> Iterator[Named[Iterable[Any]]]:
        for implementation in self._plain(hook):
            owner = implementation.plugin_name
            results = implementation.function()
            if not isinstance(results, Iterable):
                raise PluginError(f"plug-in {owner!r} answers {hook.name} with {results!r} instead of a list")
            yield owner, results

    def _flat(self, hook: pluggy.HookCaller) -> Iterator[Named[Any]]:
        for owner, results in self._each(hook):
            for result in results:
                yield owner, result

    # -- choices and announcements -------------------------------------------------------------------

    def choose_adapter(self, environment: Environment, name: str, options: Mapping[str, Any]) -> str | None:
        chosen: str | None = self.manager.hook.pouchdb_choose_adapter(
            environment=environment, name=name, options=options
        )
        return chosen

    def storage(self, url: str) -> Storage:
        """Return how databases are kept at a URL. Raises BadRequest if no plug-in supports it."""
        found = self.manager.hook.pouchdb_storages(url=url)
        if found is None:
            scheme = scheme_of(url)
            cure = "a database on a server is opened by its URL: setup()[url]" if is_http(url) else ""
            said = f"no plug-in keeps databases at {scheme}:// URLs; setup() takes a directory"
            raise BadRequest(said + (cure and f", and {cure}"))
        if not isinstance(found, Storage):
            raise PluginError(f"pouchdb_storages must be answered with a Storage or None, not {found!r}")
        return found

    def http_session(self, url: str, session: HttpSession) -> None:
        self.manager.hook.pouchdb_http_session(url=url, session=session)

    def authorise(self, environment: Environment, database: Database | None, request: AnyRequest) -> None:
        """Ask plug-ins to refuse what a user must not do. Raises what they raise."""
        if request.user is not None:
            self._authorise(environment, database, request)

    def _authorised(self, operation: Callable[[Database, Any], Any]) -> Callable[[Database, Any], Any]:
        def call(database: Database, request: Any) -> Any:
            if request.user is not None:
                self._authorise(database.environment.sync_view, database, request)
            return operation(database, request)

        return call

    def _authorised_above(
        self, operation: Callable[[Environment, Any], Any]
    ) -> Callable[[Environment, Any], Any]:
        def call(environment: Environment, request: Any) -> Any:
            self.authorise(environment, None, request)
            return operation(environment, request)

        return call

    def transforms(self, database: Database) -> Transforms | None:
        """Return the transforms of a database's documents. Raises PluginError."""
        found = [each for each in self.manager.hook.pouchdb_transforms(database=database) if each is not None]
        for each in found:
            if not isinstance(each, Transform):
                raise PluginError(f"pouchdb_transforms must be answered with a Transform or None, not {each!r}")
        return Transforms(found) if found else None

    def write_guards(self, database: Database, request: Write) -> list[Guard]:
        # A plug-in's method that passes something to its own guard is never skipped.
        return self._guards(database, request, request.user is None and not request.context)

    def environment_opened(self, environment: Environment) -> None:
        self.manager.hook.pouchdb_environment_opened(environment=environment)

    def environment_closing(self, environment: Environment) -> None:
        self.manager.hook.pouchdb_environment_closing(environment=environment)

    def database_created(self, database: Database) -> None:
        self.manager.hook.pouchdb_database_created(database=database)

    def database_opened(self, database: Database) -> None:
        self.manager.hook.pouchdb_database_opened(database=database)

    def database_closed(self, database: Database) -> None:
        self.manager.hook.pouchdb_database_closed(database=database)

    def database_destroyed(self, environment: Environment, name: str) -> None:
        self.manager.hook.pouchdb_database_destroyed(environment=environment, name=name)

    def documents_written(self, database: Database, results: Sequence[Record]) -> None:
        self._tell_of_written(database, results, True)


def _operation(hook: pluggy.HookCaller) -> Callable[..., Any]:
    """Return a callable of the hook's two arguments.

    With one implementation and no wrapper it is called directly: pluggy's machinery costs 2 us,
    half as much again as a whole get (spec: store, section 5).
    """
    spec = hook.spec
    assert spec is not None, "operations are specified in hookspecs"
    owner, request = spec.argnames
    implementations = hook.get_hookimpls()
    if len(implementations) == 1:
        only = implementations[0]
        if not (only.wrapper or only.hookwrapper) and tuple(only.argnames) == (owner, request):
            return cast("Callable[..., Any]", only.function)

    def call(subject: Any, asked: Any) -> Any:
        answer = hook(**{owner: subject, request: asked})
        if answer is None:
            # The core always returns something, so a wrapper has lost it.
            wrappers = ", ".join(repr(each.plugin_name) for each in hook.get_hookimpls() if each.wrapper)
            raise PluginError(f"{hook.name} has no result: a wrapper must return what its yield gives ({wrappers})")
        return answer

    call.__name__ = sys.intern(hook.name)
    return call


def _asked_until_never(hook: pluggy.HookCaller) -> Callable[[Any, Any, bool], list[Any]]:
    """Return a callable of a database, the hook's other argument and whether the program itself makes the request.

    It returns what is neither None nor NEVER, and skips plug-ins that returned NEVER for the database. Implementations
    that are not wrapped are called directly: every put calls two such hooks, and pluggy's machinery would be a
    twentieth of its time.
    """
    spec = hook.spec
    assert spec is not None, "hooks of the core are specified in hookspecs"
    first, second = spec.argnames
    implementations = hook.get_hookimpls()
    if any(each.wrapper or each.hookwrapper for each in implementations):
        return lambda database, told, own: [
            answer for answer in hook(**{first: database, second: told}) or () if answer not in (None, NEVER)
        ]
    # As pluggy does, the last registered first.
    functions = [(each.plugin_name, _taking(each, first, second)) for each in reversed(implementations)]

    def ask(database: Database, told: Any, own: bool) -> list[Any]:
        uninterested = database._life.opened.uninterested
        left_out = uninterested.get((hook.name, own), _NOBODY)
        if len(left_out) == len(functions):
            return []
        answers = []
        for name, function in functions:
            if name in left_out:
                continue
            answer = function(database, told)
            if answer is NEVER:
                uninterested[hook.name, own] = uninterested.get((hook.name, own), _NOBODY) | {name}
            elif answer is not None:
                answers.append(answer)
        return answers

    return ask


_NOBODY: frozenset[str] = frozenset()


def _all_of(hook: pluggy.HookCaller) -> Callable[..., Any]:
    """Return a callable of the hook's arguments, in order, that calls all implementations; of use where they raise.

    Those that are not wrapped are called directly: every operation of a user calls ``pouchdb_authorise``.
    """
    spec = hook.spec
    assert spec is not None, "hooks of the core are specified in hookspecs"
    argnames = tuple(spec.argnames)
    implementations = hook.get_hookimpls()
    if any(each.wrapper or each.hookwrapper for each in implementations):
        return lambda *given: hook(**dict(zip(argnames, given, strict=True)))
    functions = [_taking(each, *argnames) for each in reversed(implementations)]
    if len(functions) == 1:
        return functions[0]

    def call(*given: Any) -> None:
        for function in functions:
            function(*given)

    return call


def _taking(implementation: pluggy.HookImpl, *argnames: str) -> Callable[..., Any]:
    """Return an implementation as a function of all arguments of its hook, even if it takes fewer, in any order."""
    function, names = implementation.function, tuple(implementation.argnames)
    if names == argnames:
        return cast("Callable[..., Any]", function)
    places = [argnames.index(name) for name in names]
    return lambda *given: function(*(given[place] for place in places))
