"""``env.context``: helpers of the original that tests and small programs use (spec: plugins 9.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pouchdb_core.adapters.http.pool import HTTP
from pouchdb_core.errors import BadRequest, BaseError, NotFound
from pouchdb_core.events import Listener
from pouchdb_core.safe_repr import safe_repr

__all__ = ["JSON", "Context", "JSError", "functions_of"]


class JSError(BaseError):
    """The original raised this for uncaught JavaScript problems; kept so that ``except`` clauses work."""


class JSON(str):
    """JSON text, accepted wherever a document is."""

    __slots__ = ()


class Context:
    """Helpers that belong to an environment."""

    JSError = JSError

    def __init__(self, environment: Any) -> None:
        self._environment: Any = environment

    def wait_until_called(self, functions: Listener | Sequence[Listener], timeout: float | None = None) -> bool:
        """Wait until one of the callbacks was called; at once if it was since it was last waited for.

        Functions are compared by equality, so bound methods work. Returns False when ``timeout``
        seconds went by first. Raises BadRequest when there is nothing to wait for.
        """
        called: bool = self._environment._calls.wait(functions_of(functions), timeout)
        return called

    waitUntilCalled = wait_until_called

    def get_db_size(self, name: str) -> int:
        """Return the bytes a database takes. Raises KeyError for one that does not exist."""
        environment = self._environment.sync_view
        if name not in environment.names():
            raise KeyError(str(NotFound(f"no database {name!r}")))
        database = environment.PouchDB(name)
        try:
            size: int = database.info()["sizes"]["file"]
            return size
        finally:
            database.close()

    getDbSize = get_db_size

    def clear_cookies(self) -> None:
        """Forget the cookies of remote databases: users that were logged in have to log in again."""
        engine = self._environment.engine
        engine.place.slots.get(HTTP, engine.place).clear_cookies()

    clearCookies = clear_cookies

    def inspect(self, block: bool = True) -> None:
        """Do nothing: there is no longer a browser engine to inspect."""


def functions_of(functions: Listener | Sequence[Listener]) -> Sequence[Listener]:
    """Return the functions to wait for. Raises BadRequest when there are none, or something else."""
    wanted = [functions] if callable(functions) else functions
    if not isinstance(wanted, (list, tuple)) or not wanted or not all(map(callable, wanted)):
        raise BadRequest(f"wait_until_called() takes a function or a list of functions, not {safe_repr(functions)}")
    return wanted
