"""GET, PUT and DELETE /_node/{node}/_config: what Fauxton shows. Only administrators can be changed."""

from __future__ import annotations

import threading
import time
from typing import Any

from pouchdb_core.errors import Forbidden, NotFound
from pouchdb_core.jsontext import dump
from pouchdb_core.views.collation import has_icu, icu_version
from pouchdb_server.messages import Request, Response

__all__ = ["delete", "everything", "get", "node", "put", "reload", "restart", "section", "system", "versions"]

STARTED = time.monotonic()

HIDDEN = "-hidden-"
"""Shown instead of hashes of passwords."""


def node(request: Request, database: None) -> dict[str, Any]:
    """GET /_node/{node}: its name."""
    _check_node(request)
    return {"name": "nonode@nohost"}


def versions(request: Request, database: None) -> dict[str, Any]:
    """GET /_node/{node}/_versions: of the engines that run functions and sort strings."""
    _check_node(request)
    engines = request.environment.plugins.javascript_engines()
    name = request.environment.engine.settings.get("js_engine") or next(iter(engines), "")
    return {
        "javascript_engine": {"name": name},
        "collation_driver": {"name": "libicu" if has_icu() else "codepoint", "library_version": icu_version() or ""},
    }


def system(request: Request, database: None) -> dict[str, Any]:
    """GET /_node/{node}/_system: of this process, as far as Python knows."""
    _check_node(request)
    return {"uptime": int(time.monotonic() - STARTED), "memory": {}, "process_count": threading.active_count()}


def reload(request: Request, database: None) -> dict[str, Any]:
    """POST /_node/{node}/_config/_reload: there is no file to read again."""
    _check_node(request)
    request.check_json()
    return {"ok": True}


def restart(request: Request, database: None) -> Response:
    """POST /_node/{node}/_restart: refused, since the process is restarted by what started it."""
    _check_node(request)
    raise Forbidden("this server is restarted where it was started: end the process and start it again")


def everything(request: Request, database: None) -> dict[str, Any]:
    """GET …/_config."""
    _check_node(request)
    settings = request.server.settings
    return {
        "admins": dict.fromkeys(request.server.accounts.admins, HIDDEN),
        "chttpd": {
            "enable_cors": "true" if settings.cors else "false",
            "max_http_request_size": str(settings.max_body),
        },
        "cors": {"origins": "*" if settings.cors is True else ",".join(settings.cors or ())},
        "couch_httpd_auth": {"timeout": str(settings.session_timeout)},
    }


def section(request: Request, database: None) -> dict[str, Any]:
    """GET …/_config/{section}."""
    found: dict[str, Any] = everything(request, None).get(request.params["section"], {})
    return found


def get(request: Request, database: None) -> Response:
    """GET …/_config/{section}/{key}."""
    found = section(request, None)
    if request.params["key"] not in found:
        raise NotFound("unknown_config_value")
    return _text(found[request.params["key"]])


def put(request: Request, database: None) -> Response:
    """PUT …/_config/admins/{name} with the password as a JSON string: makes an administrator, or changes a password.

    Everything else is set where the server is started. Raises Forbidden.
    """
    name = _administrator(request)
    value = request.json(kind=str)
    accounts = request.server.accounts
    known = name in accounts.admins
    accounts.make_admin(name, value)
    return _text(HIDDEN if known else "")


def delete(request: Request, database: None) -> Response:
    """DELETE …/_config/admins/{name}: removes an administrator that was made while the server ran."""
    name = _administrator(request)
    if not request.server.accounts.remove_admin(name):
        raise NotFound("unknown_config_value")
    return _text(HIDDEN)


def _administrator(request: Request) -> str:
    """Return the name of the administrator to be changed. Raises Forbidden for everything that cannot be."""
    _check_node(request)
    section, key = request.params["section"], request.params["key"]
    if section != "admins":
        raise Forbidden(f"{section}/{key} cannot be changed while the server runs: set it where the server is started")
    if key in request.server.settings.admins:
        raise Forbidden(f"the password of {key} is set where the server is started: change it there")
    return key


def _check_node(request: Request) -> None:
    if request.params["node"] not in ("_local", "nonode@nohost"):
        raise NotFound("no such node")


def _text(value: str) -> Response:
    return Response(dump(value) + b"\n", content_type="application/json")
