"""The hook of this plug-in for others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_core import hookspec

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_validation.rules import Validator

__all__ = ["pouchdb_validators"]


@hookspec
def pouchdb_validators(database: SyncPouchDB) -> Iterable[Validator] | None:
    """Return Python validators of a database, called whenever its design documents' functions are.

    Called for each validated write, so it should only look something up. A validator takes ``(new, old, user_ctx,
    security)`` or the first of them and raises a PouchDBError to reject. Implement it with
    ``@hookimpl(optionalhook=True)``: this plug-in may not be installed.
    """
