"""GET, POST and DELETE /_session: who is logged in, log in, log out."""

from __future__ import annotations

import base64
import re
from typing import Any

from pouchdb_core.errors import BadRequest, Unauthorized
from pouchdb_core.jsontext import encodes
from pouchdb_core.requests import UserContext
from pouchdb_server.messages import Request, Response

FORM = "application/x-www-form-urlencoded"

__all__ = ["get", "local_destination", "login", "logout"]

WRONG = "Name or password is incorrect."


def get(request: Request, database: None) -> dict[str, Any]:
    """GET /_session; with ``basic=true`` a browser prompts users who are not logged in."""
    if request.query.get("basic") == "true" and request.user.name is None:
        raise Unauthorized("Please login.", headers={"WWW-Authenticate": 'Basic realm="server"'})
    info = request.server.session_info(request)
    if request.authenticated not in (None, "party"):
        info["authenticated"] = request.authenticated
    user = request.user
    return {"ok": True, "userCtx": {"name": user.name, "roles": list(user.roles)}, "info": info}


def login(request: Request, database: None) -> Response:
    """POST /_session with name and password, as a form or JSON; ``next`` and ``fail`` are where a browser goes then."""
    is_form = request.content_type == FORM
    given = request.form if is_form else request.json(required=False)
    name, password = given.get("name") or given.get("username"), given.get("password", "")
    if not isinstance(name, str):
        raise BadRequest("request body must contain a username")
    if not isinstance(password, str):
        raise BadRequest("a password is a string")
    try:
        user = _checked(request, name, password)
    except Unauthorized as error:
        # A session that the client had ends.
        ended = request.server.accounts.cookie_header(request, "")
        destination = local_destination(request.query.get("fail", ""))
        if destination is not None:
            refused = {"error": error.name, "reason": error.message}
            return Response(refused, 302, {"location": destination}).add("set-cookie", ended)
        error.details.setdefault("headers", {})["Set-Cookie"] = ended
        raise
    answer = Response({"ok": True, "name": user.name, "roles": list(user.roles)})
    destination = local_destination(request.query.get("next", ""))
    if destination is not None:
        answer = Response(answer.body, 302, {"location": destination})
    accounts = request.server.accounts
    return answer.add("set-cookie", accounts.cookie_header(request, accounts.cookie(name)))


def local_destination(text: str) -> str | None:
    """Return a path of this server that a browser may be sent to, or None: another server would get its visitors.

    Cleaned first and checked then, as browsers do: they drop tabs and line breaks wherever they are, and read a
    backslash as a slash.
    """
    cleaned = re.sub(r"[\x00-\x20\x7f]", "", text)
    return cleaned if cleaned.startswith("/") and cleaned[1:2] not in ("/", "\\") else None


def _checked(request: Request, name: str, password: str) -> UserContext:
    """Authenticate these credentials in the way a request with them would be. Raises Unauthorized."""
    if not encodes(name + password):
        # No request could have them.
        raise Unauthorized(WRONG)
    kept, cookies = request.headers.get("authorization"), request.headers.pop("cookie", None)
    text = base64.b64encode(f"{name}:{password}".encode()).decode("ascii")
    request.headers["authorization"] = f"Basic {text}"
    try:
        user = request.server.recognise(request)
    except Unauthorized:
        # Without the header that makes browsers prompt by themselves: a page prompts here.
        user = None
    finally:
        request.headers.pop("authorization", None)
        if cookies is not None:
            request.headers["cookie"] = cookies
        if kept is not None:
            request.headers["authorization"] = kept
    if user is None or user.name != name:
        raise Unauthorized(WRONG)
    return user


def logout(request: Request, database: None) -> Response:
    """DELETE /_session."""
    return Response({"ok": True}).add("set-cookie", request.server.accounts.cookie_header(request, ""))
