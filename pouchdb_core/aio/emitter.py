"""Listeners that are called where callbacks run: on the loop, or when the environment is spun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pouchdb_core.aio.original.delivery import Route, check_callback
from pouchdb_core.events import CallLog, EventEmitter, Listener

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self

    from pouchdb_core.aio.calls import Calls

__all__ = ["DeliveredEmitter"]


class _Delivered:
    """A wrapped listener; compares equal to the listener, so that it can be removed by it."""

    def __init__(self, listener: Listener, calls: Calls, route: Route) -> None:
        self._listener, self._calls, self._route = listener, calls, route

    def __call__(self, *args: Any) -> None:
        self._calls.delivery.post(self._route.again(), self._calls.logged(self._listener), *args)

    def __eq__(self, other: object) -> bool:
        return self is other or self._listener == other

    __hash__ = object.__hash__


class DeliveredEmitter(EventEmitter):
    """An emitter that shares the listeners of a synchronous one and calls those added here later."""

    def _share_listeners(self, emitter: EventEmitter, calls: Calls) -> None:
        # The registrations record in this log that the wrapper was called, which is never asked for.
        EventEmitter.__init__(self, CallLog(0))
        self._entries = emitter._entries
        self._emitter_lock = emitter._emitter_lock
        self._delivered_by = calls

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        check_callback(listener)
        return super()._add(event, _Delivered(listener, self._delivered_by, Route.here()), once=once)
