"""Every hook of the core, in the order in which they are called in a database's life.

Plug-in authors should read this first. A plug-in is a module or an object with functions of these
names, marked ``@hookimpl``; each takes the arguments it needs. Registration hooks return
objects that carry their own names. Operations are called once per call of the user, never per row;
wrap one with ``@hookimpl(wrapper=True)`` to guard, log or change its result. The core's own
behaviour is implemented by the same hooks (``pouchdb_core.defaults``), last.

An operation must return something other than None: None means "not mine".

A ``Database`` is a SyncPouchDB and an ``Environment`` a SyncEnvironment: annotate hooks with those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from pouchdb_core.adapters.base import Adapter, Storage
    from pouchdb_core.adapters.http.http_session import HttpSession
    from pouchdb_core.changes.filters import ChangesFilter
    from pouchdb_core.interfaces import Database, Environment
    from pouchdb_core.javascript import Engine
    from pouchdb_core.methods import Operation
    from pouchdb_core.replication.replicate import Replicator
    from pouchdb_core.requests import (
        Administer,
        AnyRequest,
        Changes,
        Destroy,
        Guard,
        Listing,
        Never,
        Open,
        Query,
        Read,
        Replicate,
        Write,
    )
    from pouchdb_core.results import Outcome, Record
    from pouchdb_core.transforms import Transform
    from pouchdb_core.views.index import IndexKind
    from pouchdb_core.views.reduce import ReduceFunction
    from pouchdb_core.views.servers import ViewServer

PROJECT = "pouchdb"

__all__ = [
    "PROJECT",
    "hookimpl",
    "hookspec",
    "pouchdb_adapters",
    "pouchdb_addhooks",
    "pouchdb_administer",
    "pouchdb_authorise",
    "pouchdb_changes",
    "pouchdb_changes_filters",
    "pouchdb_choose_adapter",
    "pouchdb_commands",
    "pouchdb_database_closed",
    "pouchdb_database_created",
    "pouchdb_database_destroyed",
    "pouchdb_database_methods",
    "pouchdb_database_opened",
    "pouchdb_destroy",
    "pouchdb_documents_written",
    "pouchdb_environment_closing",
    "pouchdb_environment_methods",
    "pouchdb_environment_opened",
    "pouchdb_http_session",
    "pouchdb_index_kinds",
    "pouchdb_javascript_engines",
    "pouchdb_list",
    "pouchdb_open",
    "pouchdb_read",
    "pouchdb_reduce_functions",
    "pouchdb_replicate",
    "pouchdb_storages",
    "pouchdb_transforms",
    "pouchdb_view_servers",
    "pouchdb_write",
    "pouchdb_write_guards",
]

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# -- set-up --------------------------------------------------------------------------------------


@hookspec(historic=True)
def pouchdb_addhooks(manager: pluggy.PluginManager) -> None:
    """Add your own hook specs, if your plug-in has plug-ins itself: ``manager.add_hookspecs(...)``.

    Called as soon as your plug-in is registered. Plug-ins that implement your hooks mark them
    ``@hookimpl(optionalhook=True)``; they may be registered before you.
    """


@hookspec
def pouchdb_adapters() -> Iterable[type[Adapter]]:  # type: ignore[empty-body]
    """Return adapter classes. Two with one name are an error that names both plug-ins.

    Like the other hooks that collect, it cannot be wrapped.
    """


@hookspec(firstresult=True)
def pouchdb_storages(url: str) -> Storage | None:
    """Return how an environment keeps its databases at a URL (``setup("postgresql://...")``), or None for "not mine".

    The storage names an adapter of ``pouchdb_adapters``, whose ``open``, ``names`` and ``destroy`` get the URL in
    ``place.url``. Cannot be wrapped.
    """


@hookspec(firstresult=True)
def pouchdb_choose_adapter(environment: Environment, name: str, options: Mapping[str, Any]) -> str | None:
    """Return the name of the adapter to open ``name`` with, or None to leave it to the next plug-in."""


@hookspec
def pouchdb_javascript_engines() -> Iterable[Engine]:  # type: ignore[empty-body]
    """Return JavaScript engines; the installed one of the highest priority runs design functions.

    ``setup(js_engine=name)`` chooses another one. See pouchdb_core/javascript/engine_interface.py for the contract.
    """


@hookspec
def pouchdb_view_servers() -> Iterable[ViewServer]:  # type: ignore[empty-body]
    """Return servers, each of which runs the functions of design documents with its ``language``."""


@hookspec
def pouchdb_reduce_functions() -> Iterable[ReduceFunction]:  # type: ignore[empty-body]
    """Return reduce functions that views name instead of giving source: ``"reduce": "_sum"``."""


@hookspec
def pouchdb_changes_filters() -> Iterable[ChangesFilter]:  # type: ignore[empty-body]
    """Return filters that ``changes(filter=name)`` and replications call by name, such as ``_view``."""


@hookspec
def pouchdb_index_kinds() -> Iterable[IndexKind]:  # type: ignore[empty-body]
    """Return kinds of indexes that design documents define: views, search, spatial.

    The index follows the changes feed by itself; see pouchdb_core/views/index.py for the contract.
    """


@hookspec
def pouchdb_environment_methods() -> Iterable[Operation[..., Any]]:  # type: ignore[empty-body]
    """Return ``operation(function)`` objects; ``function(environment, ...)`` becomes a method of environments.

    It gets a camelCase spelling too. An existing name is an error that names both owners.
    """


@hookspec
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:  # type: ignore[empty-body]
    """Return ``operation(function)`` objects; ``function(database, ...)`` becomes a method of databases."""


@hookspec
def pouchdb_environment_opened(environment: Environment) -> None:
    """The environment is ready to be used. Called once per engine, at the end of set-up.

    What it raises stops the set-up.
    """


@hookspec
def pouchdb_http_session(url: str, session: HttpSession) -> None:
    """A remote database is about to be opened: set headers, credentials, cookies or a proxy of its session.

    ``url`` has no credentials; ``session`` makes all requests of that database object
    (``headers``, ``set_auth()``, ``proxy``, ``timeout``, ``retries``, ``http.cookies``). Called once per session.
    """


@hookspec
def pouchdb_commands(group: click.Group) -> None:
    """Add commands to ``pouchdb``: ``group.add_command(command)``, or ``@group.command()`` in the function.

    Called once per run of the command, before there is an environment. A command with ``@click.pass_obj``
    gets the Session of pouchdb/cli/command_session.py, which opens databases by name, path or URL and prints for
    people or for scripts; the options ``--directory`` and ``--json`` are always there. A name that
    exists already is an error that names both owners. Like the other hooks that collect, it cannot be wrapped.
    """


# -- opening -------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def pouchdb_open(environment: Environment, request: Open) -> Database | None:
    """Open a database, making it if it is missing. An operation."""


@hookspec
def pouchdb_database_created(database: Database) -> None:
    """Called after opening made a new database; it is empty."""


@hookspec
def pouchdb_database_opened(database: Database) -> None:
    """Called after a database object was made; if that made the database, it was announced as created before."""


# -- operations ----------------------------------------------------------------------------------


@hookspec
def pouchdb_transforms(database: Database) -> Transform | None:
    """Return an object that changes this database's documents when they are written and read, or None.

    Asked once while the database is open, at its first use, on behalf of the program itself; see
    ``pouchdb_core.transforms.Transform``. Cannot be wrapped.
    """


@hookspec
def pouchdb_authorise(environment: Environment, database: Database | None, request: AnyRequest) -> None:
    """Refuse a request by raising, before anything is read; the caller gets that error.

    Called for every operation that is made on behalf of a user (``request.user`` is not None): ``as_user``,
    the environment's current user, a server's clients. It is not called for the program's own requests, which
    it costs nothing. ``database`` is None for Open, Destroy and Replicate, which are the environment's. Work that
    one request causes (a view's documents, both sides of a replication) is checked too.
    """


@hookspec(firstresult=True)
def pouchdb_administer(database: Database, request: Administer) -> Any:
    """Read or change something of a whole database: ``request.action`` names the method. An operation.

    Returns what the method needs, never None; the core's implementations are in ``pouchdb_core.defaults``.
    """


@hookspec(firstresult=True)
def pouchdb_write(database: Database, request: Write) -> Sequence[Outcome] | None:
    """Write documents: put, post, remove, bulk_docs and the attachment calls all arrive here.

    Returns one outcome per document, in input order: a Record ``{"ok", "id", "rev"}`` or a
    PouchDBError. An atomic request raises instead.
    """


@hookspec
def pouchdb_write_guards(database: Database, request: Write) -> Guard | Never | None:
    """Return ``guard(proposed) -> list of PouchDBError or None``, or None to let everything pass.

    Asked once per write; the guard is called once per batch, after parsing and before revisions are
    checked, also for ``new_edits=False`` and replicated writes. An error becomes that document's
    result; the others continue. Guards run before the write lock is taken and are asked again about
    documents that changed, or all if a design document did, before it was. A plug-in that returns ``NEVER``
    (pouchdb_core.requests) is not asked again for writes of this database: of users, or plain ones of the program,
    whichever this is. A guard whose method ``passes_all(ddocs_seq)`` returns True is not called while the design
    documents are those of that seq. Local documents are not judged, unless the guard is marked with
    ``judges_local``. Guards are not called for remote databases: their server judges.
    """


@hookspec
def pouchdb_documents_written(database: Database, results: Sequence[Record]) -> Never | None:
    """Documents were written and committed; ``results`` are the successes of one call, in input order.

    Not called if there are none, nor again after ``NEVER`` was returned. An error it raises reaches the
    caller, but the documents stay written.
    """


@hookspec(firstresult=True)
def pouchdb_read(database: Database, request: Read) -> Any:
    """Read a document, its open revisions, one attachment, or many documents. An operation."""


@hookspec(firstresult=True)
def pouchdb_list(database: Database, request: Listing | Query) -> Record | None:
    """List documents by id (Listing), or rows of a view (Query). An operation."""


@hookspec(firstresult=True)
def pouchdb_changes(database: Database, request: Changes) -> Iterator[Record] | None:
    """Return an iterator over the changes feed. An operation.

    A wrapper that wants to see rows returns a new iterator around the one it gets; the core's is a
    generator whose return value is the seq to continue from.
    """


@hookspec(firstresult=True)
def pouchdb_replicate(environment: Environment, request: Replicate) -> Replicator | None:
    """Return a replication that is ready to run: ``run()`` is a generator of events. An operation.

    Nothing is read before this returns; a wrapper may refuse the request, or wrap what it gets.
    """


# -- the end -------------------------------------------------------------------------------------


@hookspec
def pouchdb_database_closed(database: Database) -> None:
    """Called after a database object or its environment was closed; others may still have the database open."""


@hookspec(firstresult=True)
def pouchdb_destroy(environment: Environment, request: Destroy) -> bool | None:
    """Remove a database with all its files; return True when done. An operation."""


@hookspec
def pouchdb_database_destroyed(environment: Environment, name: str) -> None:
    """Called after a database was removed."""


@hookspec
def pouchdb_environment_closing(environment: Environment) -> None:
    """Called before the environment closes its databases; they can still be used."""
