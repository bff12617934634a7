"""GET, PUT and DELETE /_node/{node}/_config: what Fauxton shows. Kept as long as the server runs."""

from __future__ import annotations

from typing import Any

from pouchdb_core.errors import BadRequest, Forbidden, NotFound
from pouchdb_core.jsontext import dump
from pouchdb_server.messages import Request, Response

__all__ = ["delete", "everything", "get", "node", "put", "restart", "section"]

FIXED = ("admins", "chttpd", "cors", "couch_httpd_auth")
"""Sections that are the server's settings: told, but changed only where it is started."""


def node(request: Request, database: None) -> dict[str, Any]:
    """GET /_node/{node}: what it is called."""
    _check_node(request)
    return {"name": "nonode@nohost"}


def restart(request: Request, database: None) -> Response:
    """POST /_node/{node}/_restart: refused, since whoever started the process restarts it."""
    _check_node(request)
    raise Forbidden("this server is restarted where it was started: end the process and start it again")


def everything(request: Request, database: None) -> dict[str, Any]:
    """GET …/_config."""
    _check_node(request)
    settings = request.server.settings
    return {
        "admins": dict.fromkeys(settings.admins, "-hidden-"),
        "chttpd": {
            "enable_cors": "true" if settings.cors else "false",
            "max_http_request_size": str(settings.max_body),
        },
        "cors": {"origins": "*" if settings.cors is True else ",".join(settings.cors or ())},
        "couch_httpd_auth": {"timeout": str(settings.session_timeout)},
        **request.server.configuration,
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
    """PUT …/_config/{section}/{key} with a JSON string; answers the value before."""
    name, key = _changeable(request)
    value = request.json(kind=str)
    if not isinstance(value, str):
        raise BadRequest("the value must be a JSON string")
    known = request.server.configuration.setdefault(name, {})
    before = known.get(key, "")
    known[key] = value
    return _text(before)


def delete(request: Request, database: None) -> Response:
    """DELETE …/_config/{section}/{key}; answers the value before."""
    name, key = _changeable(request)
    known = request.server.configuration.get(name, {})
    if key not in known:
        raise NotFound("unknown_config_value")
    return _text(known.pop(key))


def _changeable(request: Request) -> tuple[str, str]:
    _check_node(request)
    name, key = request.params["section"], request.params["key"]
    if name in FIXED:
        raise Forbidden(f"{name} is set where the server is started")
    return name, key


def _check_node(request: Request) -> None:
    if request.params["node"] not in ("_local", "nonode@nohost"):
        raise NotFound("no such node")


def _text(value: str) -> Response:
    return Response(dump(value) + b"\n", content_type="application/json")
