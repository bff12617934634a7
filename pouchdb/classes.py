"""The classes of environments and databases as programs name them.

At run time they are the core's, and ``setup()`` gives subclasses with the methods of the plug-ins that
are there. Type checkers and editors cannot know which are: they are told of all first-party ones here,
and where one is not installed its methods are of unknown type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pouchdb_core import aio, database, environment

__all__ = ["AsyncEnvironment", "AsyncPouchDB", "SyncEnvironment", "SyncPouchDB"]

if TYPE_CHECKING:
    from typing import Any

    import pouchdb_all_dbs
    import pouchdb_auth
    import pouchdb_couchapp
    import pouchdb_find

    from pouchdb_core.methods import operation

    class _Environment:
        """The methods that first-party plug-ins add to environments."""

        all_dbs = allDbs = operation(pouchdb_all_dbs.all_dbs, reads=True)
        auth_settings = authSettings = operation(pouchdb_auth.auth_settings)
        reset_all_dbs = resetAllDbs = operation(pouchdb_all_dbs.reset_all_dbs)

    class _Database:
        """The methods that first-party plug-ins add to databases."""

        change_password = changePassword = operation(pouchdb_auth.change_password)
        change_username = changeUsername = operation(pouchdb_auth.change_username)
        create_index = createIndex = operation(pouchdb_find.create_index)
        delete_admin = deleteAdmin = operation(pouchdb_auth.delete_admin)
        delete_index = deleteIndex = operation(pouchdb_find.delete_index)
        delete_user = deleteUser = operation(pouchdb_auth.delete_user)
        explain = operation(pouchdb_find.explain, reads=True)
        find = operation(pouchdb_find.find, reads=True)
        get_indexes = getIndexes = operation(pouchdb_find.get_indexes, reads=True)
        get_membership = getMembership = operation(pouchdb_auth.get_membership, reads=True)
        get_session = getSession = operation(pouchdb_auth.get_session, reads=True)
        get_user = getUser = operation(pouchdb_auth.get_user, reads=True)
        get_users_database_url = getUsersDatabaseUrl = operation(pouchdb_auth.get_users_database_url, reads=True)
        list = operation(pouchdb_couchapp.list_, reads=True)
        login = log_in = logIn = operation(pouchdb_auth.login)
        logout = log_out = logOut = operation(pouchdb_auth.logout)
        multi_user_log_in = multiUserLogIn = operation(pouchdb_auth.multi_user_log_in)
        multi_user_session = multiUserSession = operation(pouchdb_auth.multi_user_session, reads=True)
        put_user = putUser = operation(pouchdb_auth.put_user)
        rewrite = operation(pouchdb_couchapp.rewrite)
        rewrite_result_request_object = rewriteResultRequestObject = operation(
            pouchdb_couchapp.rewrite_result_request_object, reads=True
        )
        show = operation(pouchdb_couchapp.show, reads=True)
        sign_up_admin = signUpAdmin = operation(pouchdb_auth.sign_up_admin)
        signup = sign_up = signUp = operation(pouchdb_auth.signup)
        update = operation(pouchdb_couchapp.update)

    class SyncPouchDB(_Database, database.SyncPouchDB): ...

    class AsyncPouchDB(_Database, aio.AsyncPouchDB):
        sync_view: SyncPouchDB

    class SyncEnvironment(_Environment, environment.SyncEnvironment):
        @property
        def sync_view(self) -> SyncEnvironment: ...
        @property
        def async_view(self) -> AsyncEnvironment: ...
        def PouchDB(self, name: str | None = None, **options: Any) -> SyncPouchDB: ...
        def __getitem__(self, name: str) -> SyncPouchDB: ...

    class AsyncEnvironment(_Environment, aio.AsyncEnvironment):
        @property
        def sync_view(self) -> SyncEnvironment: ...
        @property
        def async_view(self) -> AsyncEnvironment: ...
        def PouchDB(self, name: str | None = None, **options: Any) -> AsyncPouchDB: ...
        def __getitem__(self, name: str) -> AsyncPouchDB: ...

else:
    from pouchdb_core.aio import AsyncEnvironment, AsyncPouchDB
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.environment import SyncEnvironment
