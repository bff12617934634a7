"""A database for every user, as CouchDB's couch_peruser makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_auth.accounts import accounts_of
from pouchdb_auth.auth_settings import settings_of
from pouchdb_auth.user_documents import PREFIX, name_of

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment

__all__ = ["follow", "provide_for_all", "user_database"]


def user_database(environment: SyncEnvironment, name: str) -> str:
    """Return the name of a user's own database: the prefix and the user's name in hex."""
    return settings_of(environment).peruser_prefix + name.encode("utf-8", "surrogatepass").hex()


def follow(environment: SyncEnvironment, ids: Iterable[str]) -> None:
    """Make or remove the databases of the users whose documents were written."""
    settings = settings_of(environment)
    if not settings.peruser:
        return
    own = environment.as_user(None)
    for id in ids:
        name = name_of(id)
        if name is None:
            continue
        if accounts_of(own).document(name) is not None:
            _provide(own, name)
        elif settings.peruser_delete and (database := user_database(own, name)) in own:
            own.destroy(database)


def provide_for_all(environment: SyncEnvironment) -> None:
    """Make the databases of the existing users."""
    own = environment.as_user(None)
    users = accounts_of(own).existing()
    if users is None:
        return
    start = PREFIX
    while True:
        rows = users.all_docs(startkey=start, endkey=PREFIX + "\uffff", limit=1000).rows
        for row in rows:
            name = name_of(row.id)
            if name is not None:
                _provide(own, name)
        if len(rows) < 1000:
            return
        start = rows[-1].id + "\0"


def _provide(own: SyncEnvironment, name: str) -> None:
    database = own[user_database(own, name)]
    try:
        security = database.get_security()
        wanted = {
            group: {**security.get(group, {}), "names": _with(security.get(group, {}).get("names", []), name)}
            for group in ("admins", "members")
        }
        if any(security.get(group) != wanted[group] for group in wanted):
            database.put_security({**security, **wanted})
    finally:
        database.close()


def _with(names: Iterable[str], name: str) -> list[str]:
    kept = list(names)
    return kept if name in kept else [*kept, name]
