"""The gate: every request passes it before its body is read.

It sees the head only: which user is it, may they use this route of this database, does a plug-in object?
Routes of plug-ins and paths without a route pass it like all others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pouchdb_core.requests import UserContext
from pouchdb_server.replicator.access import only_own
from pouchdb_server.security import authorise
from pouchdb_server.users import needs_of

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_server.accounts import Accounts
    from pouchdb_server.databases import Databases
    from pouchdb_server.messages import Request
    from pouchdb_server.routes import Route

__all__ = ["Gate"]


class Gate:
    """Lets requests in, or raises."""

    def __init__(self, hook: Any, accounts: Accounts, databases: Databases) -> None:
        self._hook, self._accounts, self._databases = hook, accounts, databases
        # Where no other plug-in implements it, the server's own function is called without the hook: two
        # calls of it take a twentieth of a get.
        self._recognises = _in_order(hook.pouchdb_http_authenticate)
        self._recognises_alone = _is_alone(hook.pouchdb_http_authenticate)
        self._authorises_alone = _is_alone(hook.pouchdb_http_authorise)
        self._alone = self._recognises_alone and self._authorises_alone and _is_alone(hook.pouchdb_http_middleware)

    def is_open_to(self, request: Request) -> bool:
        """Return whether there is nothing to wait for at the gate: no credentials, and no plug-in to call."""
        return self._alone and "authorization" not in request.headers and "cookie" not in request.headers

    def recognise(self, request: Request) -> UserContext | None:
        """Return the user of a request, according to plug-ins and accounts. Raises Unauthorized, TooManyRequests."""
        if self._recognises is None:
            user: UserContext | None = self._hook.pouchdb_http_authenticate(request=request)
            return user
        for function in self._recognises:
            user = function(request)
            if user is not None:
                return user
        return None

    def admit(
        self, request: Request, route: Route | None, hold: Callable[[Callable[[], None]], None]
    ) -> SyncPouchDB | None:
        """Let a request in: return the database on behalf of its user, open until what ``hold`` is given is called.

        A request without a ``route`` has no endpoint, which only users of the database may learn. Sets
        ``request.user``, unless it is an inner request, which has its user already. Raises Unauthorized,
        Forbidden, NotFound, TooManyRequests, and what plug-ins raise.
        """
        if request.depth == 0:
            request.user = self._user(request)
        database: SyncPouchDB | None = None
        name = request.database_name
        if name is not None and (route is None or route.opens):
            held = self._databases.take(name)
            hold(partial(self._databases.give_back, held))
            database = held.database.as_user(request.user)
        if route is not None:
            authorise(needs_of(route, database), request.user, database)
        elif database is not None:
            authorise("member", request.user, database)
        if self._authorises_alone:
            only_own(request, database)
        else:
            self._hook.pouchdb_http_authorise(request=request, route=route, database=database)
        return database

    def _user(self, request: Request) -> UserContext:
        user = self.recognise(request)
        if user is None:
            user = self._accounts.stranger(request)
            if user.roles:
                request.authenticated = "party"
        return user


def _in_order(hook: Any) -> list[Callable[[Request], UserContext | None]] | None:
    """Return the implementations of a hook that takes a request, in the order of calls; None if one is wrapped."""
    implementations = hook.get_hookimpls()
    if any(each.wrapper or each.hookwrapper or tuple(each.argnames) != ("request",) for each in implementations):
        return None
    # As pluggy does, the last registered first.
    return [each.function for each in reversed(implementations)]


def _is_alone(hook: Any) -> bool:
    """Return whether the server is the only one that implements a hook."""
    return all(each.plugin_name == "server" for each in hook.get_hookimpls())
