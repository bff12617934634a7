"""The classes of environments as programs name them.

At run time they are the core's, and ``setup()`` gives subclasses with the methods of the plug-ins that
are there. Type checkers and editors cannot know which are: they are told of all first-party ones here,
and where one is not installed its methods are of unknown type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pouchdb_core import aio, environment

__all__ = ["AsyncEnvironment", "SyncEnvironment"]

if TYPE_CHECKING:
    import pouchdb_all_dbs

    from pouchdb_core.methods import operation

    class _Environment:
        """The methods that first-party plug-ins add to environments."""

        all_dbs = allDbs = operation(pouchdb_all_dbs.all_dbs, reads=True)
        reset_all_dbs = resetAllDbs = operation(pouchdb_all_dbs.reset_all_dbs)

    class SyncEnvironment(_Environment, environment.SyncEnvironment):
        @property
        def sync_view(self) -> SyncEnvironment: ...
        @property
        def async_view(self) -> AsyncEnvironment: ...

    class AsyncEnvironment(_Environment, aio.AsyncEnvironment):
        @property
        def sync_view(self) -> SyncEnvironment: ...
        @property
        def async_view(self) -> AsyncEnvironment: ...

else:
    from pouchdb_core.aio import AsyncEnvironment
    from pouchdb_core.environment import SyncEnvironment
