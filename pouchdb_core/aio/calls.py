"""Making calls asynchronous: promises and callbacks around the synchronous functions."""

from __future__ import annotations

import contextvars
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from pouchdb_core.aio.original.delivery import Delivery, check_callback
from pouchdb_core.aio.original.promise import Promise
from pouchdb_core.aio.queue import CallOrder, Start, Way
from pouchdb_core.aio.rows import AsyncRows
from pouchdb_core.errors import DatabaseClosed
from pouchdb_core.methods import Iterating, Operation
from pouchdb_core.runner import Runner
from pouchdb_core.state import Slot

__all__ = ["CALLS", "Calls", "taken_callback"]

THREADS = 8
"""Threads that run blocking calls of one engine; calls of remote databases and long calls have as many each."""

EXIT_SECONDS = 5.0
"""How long the interpreter's exit waits for calls that have not ended, in seconds."""

Callback = Callable[..., Any]


class Calls:
    """What all asynchronous objects of one engine share: threads, order, delivery, the log of callbacks."""

    def __init__(self) -> None:
        self.delivery = Delivery()
        self.log = self.delivery.log
        self.view: weakref.ref[Any] | None = None
        """The asynchronous view of the environment itself, kept so that it is made once."""
        # Daemon threads, none while there is nothing to do, and a new set after a fork. Three
        # sets: a server that does not answer, or eight big indexes, must not keep a `get` waiting.
        self._threads = Runner("pouchdb-call", threads=THREADS)
        self._remote = Runner("pouchdb-remote", threads=THREADS)
        self._long = Runner("pouchdb-long", threads=THREADS)
        self.order = CallOrder(self.delivery.notify)
        # At the interpreter's exit a call that was not awaited is still finished, unless it hangs.
        self._finalizer = weakref.finalize(self, self.order.wait, EXIT_SECONDS)

    def close(self) -> None:
        """Make no more calls; running calls are left to end."""
        self._finalizer.detach()
        self.order.close()
        for each in (self._threads, self._remote, self._long):
            each.close()

    def make(
        self,
        subject: Any,
        operation: Operation[..., Any],
        names: Iterable[str] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Promise[Any]:
        """Call an operation of a synchronous object when its turn comes; return the promise of its outcome."""
        args, kwargs, callback = taken_callback(operation, args, kwargs)
        promise: Promise[Any] = Promise(self.delivery, operation.name)
        # As asyncio.to_thread() does: the called function sees the caller's context variables.
        function = operation._call
        if isinstance(operation, Iterating):
            function = self._rows(subject, operation, names)
        call = partial(contextvars.copy_context().run, _settle, promise, function, subject, args, kwargs)
        if callback is not None:
            promise._call_back(self.logged(callback))
        refuse = promise._reject
        if operation.name == "close":
            # It is closed already.
            refuse = partial(_settle_unless, promise, DatabaseClosed)
        promise._on_cancel = self.order.submit(
            names, call, refuse, way=_way(operation), start=self.start_of(names, long=operation.long)
        )
        return promise

    def _rows(self, subject: Any, operation: Iterating[..., Any], names: Iterable[str] | None) -> Callback:
        """Return a function that wraps the rows of an iterating operation as asynchronous rows."""
        names = None if names is None else tuple(names)

        def page(read: Callable[[], list[Any]]) -> Promise[list[Any]]:
            return self.make(subject, Operation(lambda _: read(), reads=True, name=operation.name), names, (), {})

        def call(*args: Any, **kwargs: Any) -> AsyncRows[Any]:
            return AsyncRows(operation._call(*args, **kwargs), page)

        return call

    def start_of(self, names: Iterable[str] | None, *, long: bool = False) -> Start:
        """Return the function that starts calls on the databases of these names."""
        # A local database cannot have such a name: it would be a URL.
        if names is not None and any("://" in name for name in names):
            return self._remote.call
        return (self._long if long else self._threads).call

    def logged(self, callback: Callback) -> Callback:
        """Return a function that calls ``callback`` and records the call for ``waitUntilCalled``."""

        def call(*args: Any) -> None:
            try:
                callback(*args)
            finally:
                self.log.add(callback)

        return call


def _settle(
    promise: Promise[Any], function: Callback, subject: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    try:
        value = function(subject, *args, **kwargs)
    except BaseException as error:
        promise._reject(error)
    else:
        promise._settle(value, None)
    finally:
        # The error's traceback refers to this frame: an unreferenced promise must be collected at once, and log it.
        del promise


def _settle_unless(promise: Promise[Any], kind: type[BaseException], error: BaseException) -> None:
    promise._settle(None, None if isinstance(error, kind) else error)


def _way(operation: Operation[..., Any]) -> Way:
    if operation.reads:
        return Way.READS_LONG if operation.long else Way.READS
    return Way.ENDS if operation.name in ("close", "destroy") else Way.WRITES


CALLS: Slot[Calls] = Slot("asynchronous calls", lambda environment: Calls(), Calls.close)
"""One ``Calls`` for all asynchronous views of an engine, so that calls keep their order across them."""


def taken_callback(
    operation: Operation[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], Callback | None]:
    """Remove the callback and an object of options from the arguments (spec: plugins 9.3). Raises TypeError.

    The callback comes as ``callback=``, or as the last positional argument: after the documented ones, in the
    place of an optional one, or of one that was given by keyword. Where a parameter is required, or takes functions
    itself (``operation(..., functions=[...])``), a function is its argument. Options may come before the callback as
    in JavaScript, ``db.allDocs({"limit": 1}, callback)``: a mapping after the documented arguments or in the place of
    an optional one. The errors of a call reach its callback, so a callback after too many arguments is taken, too.
    """
    named = dict(kwargs)
    callback: Callback | None = named.pop("callback", None)
    if args and callback is None and (callable(args[-1]) or args[-1] is None):
        places = operation.positional
        place = len(args) - 1
        if place >= len(places) or (args[-1] is not None and _is_free(operation, place, named)):
            args, callback = args[:-1], args[-1]
    if callback is not None:
        check_callback(callback)
    if args and isinstance(args[-1], Mapping) and _is_free(operation, len(args) - 1, named):
        options = args[-1]
        if all(isinstance(name, str) for name in options) and named.keys().isdisjoint(options):
            args, named = args[:-1], operation.renamed({**options, **named})
    return args, named, callback


def _is_free(operation: Operation[..., Any], place: int, named: Mapping[str, Any]) -> bool:
    """Return whether no argument is expected at this place, or only an optional one that takes no function."""
    places = operation.positional
    if place >= len(places):
        return True
    parameter = places[place]
    optional = parameter.default is not parameter.empty or parameter.name in named
    return optional and parameter.name not in operation.functions
