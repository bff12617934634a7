"""A CouchDB for your tests: on a free port of this machine in milliseconds, with faults on demand.

    from pouchdb_core.testing.server import couch_server

    with couch_server() as server:
        my_program(server.url)                  # "http://127.0.0.1:41233"
        server.fail(503, "/_bulk_docs", times=2)
        my_program(server.url)

Or the pytest fixture of that name: put ``pytest_plugins = ["pouchdb_core.testing.server"]`` into your
``conftest.py``. It needs the plug-in ``server`` (``pip install pouchdb[server]``).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from pouchdb_core.errors import PluginError

__all__ = ["couch_server", "couch_server_fixture"]


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
            f"couch_server() needs the plug-in 'server': pip install pouchdb[server] ({error})"
        ) from error
    return testing.couch_server(environment, **settings)


@pytest.fixture(name="couch_server")
def couch_server_fixture() -> Iterator[Any]:
    """A running server with an empty environment in memory: ``couch_server.url``."""
    with couch_server() as server:
        yield server
