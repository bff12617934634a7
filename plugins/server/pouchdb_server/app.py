"""``create_app``: an environment as an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.errors import BadRequest
from pouchdb_server.collation import order_as_couchdb
from pouchdb_server.server import ASGIApp, Server
from pouchdb_server.settings import Settings

if TYPE_CHECKING:
    from pouchdb_core import AbstractEnvironment

__all__ = ["ASGIApp", "Server", "create_app"]

METHODS = ["DELETE", "GET", "HEAD", "POST", "PUT", "COPY"]
EXPOSED = (
    "Accept-Ranges Content-Range ETag Location Server X-Couch-Request-ID X-Couch-Update-NewRev X-CouchDB-Body-Time"
).split()


def create_app(environment: AbstractEnvironment, **settings: Any) -> ASGIApp:
    """Return an ASGI application that serves the databases of an environment as CouchDB does.

    ``environment`` is either view of one that was set up with the plug-in ``server``; ``settings``
    are those of ``Settings``. Run it with ``pouchdb_server.serve``, or mount it in another
    application. Unless the environment was set up with a ``collation``, its views order strings as CouchDB's do from
    now on, where ICU is available. Raises PluginError, BadRequest.
    """
    chosen = Settings(**settings)
    order_as_couchdb(environment.sync_view.engine)
    server = Server(environment.sync_view, chosen)
    if not chosen.cors:
        return server
    if chosen.cors is True and server.service.accounts.is_party:
        raise BadRequest(
            "cors=True lets pages of every site in, and without administrators all of them may do everything: "
            "set admins, or name the origins of your own pages, as in cors=['https://app.example']"
        )
    # Imported when it is needed: Starlette takes a tenth of a second.
    from starlette.middleware.cors import CORSMiddleware

    return cast(
        "ASGIApp",
        CORSMiddleware(
            server,
            allow_origins=["*"] if chosen.cors is True else list(chosen.cors),
            # With credentials for named origins only: otherwise any page could use its visitor's rights.
            allow_credentials=chosen.cors is not True,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED,
        ),
    )
