"""Responses of functions: the fields they may have, and those that are added."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pouchdb_core.javascript import Answer
from pouchdb_core.jsontext import dump
from pouchdb_core.results import Record, record
from pouchdb_core.revisions.ids import js_json
from pouchdb_couchapp.errors import DesignError

__all__ = ["answered", "as_response", "checked", "completed", "has_header", "json_text", "wire"]

MEMBERS = ("code", "json", "body", "base64", "headers", "stop")
HTML = "text/html; charset=utf-8"


def as_response(value: Any) -> dict[str, Any]:
    """Return a function's result as a response: text is its body, and anything but an object is an empty one."""
    if isinstance(value, str):
        return {"body": value}
    return dict(value) if isinstance(value, Mapping) else {}


def answered(answer: Answer) -> dict[str, Any]:
    """Return a function's result as a response; a Date is not text, though it is a string in JSON."""
    return {} if isinstance(answer.value, str) and answer.type != "string" else as_response(answer.value)


def checked(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse fields that a response does not have. Raises DesignError ``external_response_error``."""
    for name, value in response.items():
        if name not in MEMBERS:
            raise _invalid(name, value)
    code, headers = response.get("code"), response.get("headers")
    if not (code is None or _is_code(code)):
        raise _invalid("code", code)
    if headers is not None and not isinstance(headers, Mapping):
        raise _invalid("headers", headers)
    return response


def _is_code(code: Any) -> bool:
    if isinstance(code, str):
        # Unchanged, as in the original.
        return code.isascii() and code.isdigit()
    return isinstance(code, (int, float)) and not isinstance(code, bool) and code == int(code)


def _invalid(name: str, value: Any) -> DesignError:
    shown = f"{{<<{json_text(name)}>>,<<{json_text(value)}>>}}"
    return DesignError("external_response_error", f"Invalid data from external server: {shown}")


def completed(response: Mapping[str, Any], content_type: str | None) -> Record:
    """Return a response with everything a client needs, as the original completed it.

    ``code`` 200, ``headers`` with ``Vary`` and the content type (the response's, the negotiated one, or by what
    it holds), and ``body`` unless it is ``base64``. Raises DesignError ``external_response_error``.
    """
    made = dict(checked(response))
    headers = {name: value for name, value in (made.get("headers") or {}).items() if name.lower() != "etag"}
    made["code"] = made.get("code") or 200
    if not has_header(headers, "Vary"):
        headers["Vary"] = "Accept"
    type = content_type
    if "json" in made:
        made["body"] = json_text(made["json"])
        type = type or "application/json"
    elif "base64" in made:
        type = type or "application/binary"
    if not has_header(headers, "Content-Type"):
        headers["Content-Type"] = type or HTML
    made["headers"] = headers
    if "body" not in made and "base64" not in made:
        made["body"] = ""
    return record(made)


def wire(response: Mapping[str, Any], content_type: str | None) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body as CouchDB sends a response. Raises DesignError."""
    checked(response)
    code = int(response.get("code") or 200)
    if not 100 <= code <= 599:
        raise _invalid("code", response["code"])
    headers = {str(name): _header(value) for name, value in (response.get("headers") or {}).items()}
    body, type = b"", "application/json"
    if "json" in response:
        body = json_text(response["json"]).encode("utf-8", "replace")
    elif "base64" in response:
        try:
            body = base64.b64decode(str(response["base64"]), validate=True)
        except (binascii.Error, ValueError):
            raise _invalid("base64", response["base64"]) from None
        type = "application/binary"
    elif "body" in response:
        text = response["body"]
        body = (text if isinstance(text, str) else json_text(text)).encode("utf-8", "replace")
        type = HTML
    if not has_header(headers, "Content-Type"):
        headers["Content-Type"] = content_type or type
    return code, headers, body


def _header(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def has_header(headers: Mapping[str, Any], name: str) -> bool:
    """Return whether a header is present, in any case."""
    return any(each.lower() == name.lower() for each in headers)


def json_text(value: Any) -> str:
    """Return JSON text as JavaScript writes it."""
    try:
        return js_json(value).decode("utf-8", "replace")
    except (TypeError, ValueError):
        return dump(value).decode("utf-8", "replace")
