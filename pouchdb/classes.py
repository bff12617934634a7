"""The classes of environments and databases as programs name them.

At run time they are the core's, and ``setup()`` gives subclasses with the methods of the plug-ins that
are there. Type checkers and editors cannot know which are: all first-party ones are declared here,
and where one is not installed its methods are of unknown type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pouchdb_core import aio, database, environment

__all__ = ["AsyncEnvironment", "AsyncPouchDB", "SyncEnvironment", "SyncPouchDB"]

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeVar

    import pouchdb_all_dbs
    import pouchdb_auth
    import pouchdb_collections
    import pouchdb_couchapp
    import pouchdb_find
    import pouchdb_gql
    import pouchdb_search
    import pouchdb_spatial
    import pouchdb_validation

    from pouchdb_core.methods import operation, registering

    M = TypeVar("M")

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
        gql = operation(pouchdb_gql.gql, reads=True)
        install_validation_methods = installValidationMethods = operation(pouchdb_validation.install_validation_methods)
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
        search = operation(pouchdb_search.search, reads=True)
        search_completions = searchCompletions = operation(pouchdb_search.search_completions, reads=True)
        search_suggestions = searchSuggestions = operation(pouchdb_search.search_suggestions, reads=True)
        show = operation(pouchdb_couchapp.show, reads=True)
        sign_up_admin = signUpAdmin = operation(pouchdb_auth.sign_up_admin)
        signup = sign_up = signUp = operation(pouchdb_auth.signup)
        spatial = operation(pouchdb_spatial.spatial, reads=True)
        spatial_list = spatialList = operation(pouchdb_spatial.spatial_list, reads=True)
        uninstall_validation_methods = uninstallValidationMethods = operation(
            pouchdb_validation.uninstall_validation_methods
        )
        update = operation(pouchdb_couchapp.update)
        validating_bulk_docs = validatingBulkDocs = operation(pouchdb_validation.validating_bulk_docs)
        validating_post = validatingPost = operation(pouchdb_validation.validating_post)
        validating_put = validatingPut = operation(pouchdb_validation.validating_put)
        validating_put_attachment = validatingPutAttachment = operation(pouchdb_validation.validating_put_attachment)
        validating_remove = validatingRemove = operation(pouchdb_validation.validating_remove)
        validating_remove_attachment = validatingRemoveAttachment = operation(
            pouchdb_validation.validating_remove_attachment
        )
        validator = registering(pouchdb_validation.validator)

    class SyncPouchDB(_Database, database.SyncPouchDB):
        def collection(
            self,
            model: type[M],
            *,
            id: str = "id",
            rev: str = "rev",
            kind: str | None = "",
            kind_member: str = "type",
            migrations: Sequence[pouchdb_collections.Migration] = (),
            version_member: str = "version",
        ) -> pouchdb_collections.Collection[M]: ...

    class AsyncPouchDB(_Database, aio.AsyncPouchDB):
        sync_view: SyncPouchDB

        def collection(
            self,
            model: type[M],
            *,
            id: str = "id",
            rev: str = "rev",
            kind: str | None = "",
            kind_member: str = "type",
            migrations: Sequence[pouchdb_collections.Migration] = (),
            version_member: str = "version",
        ) -> pouchdb_collections.AsyncCollection[M]: ...

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
