"""A CouchDB for your tests: on a free port of this machine in milliseconds, with faults on demand.

    from pouchdb_core.testing.server import couch_server

    with couch_server() as server:
        my_program(server.url)                  # "http://127.0.0.1:41233"
        server.fail(503, "/_bulk_docs", times=2)
        my_program(server.url)

It needs the plug-in ``server`` (``pip install 'pouchdb[server]'``), not pytest. The pytest fixture of that name is in
``pouchdb_core.testing.fixtures``: put ``pytest_plugins = ["pouchdb_core.testing.fixtures"]`` into your ``conftest.py``.
"""

from __future__ import annotations

import importlib
from typing import Any

from pouchdb_core.errors import PluginError

__all__ = ["couch_server"]


def couch_server(environment: Any = None, **settings: Any) -> Any:
    """Return a server that is started by ``with``; see ``pouchdb_server.testing.CouchServer``.

    It serves ``environment``, or a new one in memory; ``settings`` are those of ``create_app``. Raises
    PluginError when the plug-in ``server`` is not installed.
    """
    try:
        # By name, because the core knows no plug-in.
        testing = importlib.import_module("pouchdb_server.testing")
    except ModuleNotFoundError as error:
        raise PluginError(
            f"couch_server() needs the plug-in 'server': pip install 'pouchdb[server]' ({error})"
        ) from error
    return testing.couch_server(environment, **settings)
