"""A native Python database that speaks CouchDB.

>>> import pouchdb
>>> env = pouchdb.setup(":memory:")
>>> db = env["notes"]
>>> db.put({"_id": "hello", "text": "world"}).ok
True
>>> db["hello"].text
'world'

The same methods exist as promises, for asyncio, ``then`` and callbacks:

>>> def callback(err, resp):
...     print("inside callback:", err, resp.id)
>>> env = pouchdb.setup(":memory:", async_=True)
>>> db = env.PouchDB("notes")
>>> promise = db.post({"_id": "hello"}, callback)
>>> env.context.waitUntilCalled(callback)
inside callback: None hello
True
>>> env.run(db.get("hello").then(lambda doc: doc._id))
'hello'
>>> env.run(env.destroy("notes"))
{'ok': True}
"""

from __future__ import annotations

from pouchdb import context, info, notebook, utils
from pouchdb.classes import AsyncEnvironment, AsyncPouchDB, SyncEnvironment, SyncPouchDB
from pouchdb.info import __author__, __copyright__, __version__, name
from pouchdb.setup import setup, setup_async
from pouchdb_core.aio import Promise
from pouchdb_core.database import AbstractPouchDB
from pouchdb_core.environment import AbstractEnvironment
from pouchdb_core.errors import (
    BadRequest,
    BaseError,
    Conflict,
    EnvironmentError,
    Forbidden,
    NotFound,
    PluginError,
    PouchDBError,
    StorageError,
    Unauthorized,
)
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.methods import operation

__all__ = [
    "AbstractEnvironment",
    "AbstractPouchDB",
    "AsyncEnvironment",
    "AsyncPouchDB",
    "BadRequest",
    "BaseError",
    "Conflict",
    "EnvironmentError",
    "Forbidden",
    "NotFound",
    "PluginError",
    "PouchDBError",
    "Promise",
    "StorageError",
    "SyncEnvironment",
    "SyncPouchDB",
    "Unauthorized",
    "__author__",
    "__copyright__",
    "__version__",
    "context",
    "hookimpl",
    "info",
    "name",
    "notebook",
    "operation",
    "setup",
    "setup_async",
    "utils",
]
