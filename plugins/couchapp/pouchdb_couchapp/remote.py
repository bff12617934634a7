"""Design functions of a remote database: the server runs them, with the database's own credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import from_text
from pouchdb_core.results import Record, record
from pouchdb_couchapp.request_object import query_string

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["asked"]

_OURS = ("host", "content-length", "user-agent")


def asked(database: SyncPouchDB, path: Sequence[str], request: Mapping[str, Any], body: Any) -> Record:
    """Send a request object to the server; return ``{code, headers, body}`` and ``json`` of a JSON response.

    ``path`` is below the database, ``body`` as it was given. Redirects are not followed. Raises the server's error.
    """
    target = "/".join(quote(part, safe="") if "%" not in part else part for part in path)
    query = request["query"]
    if query:
        target += f"?{query_string(query)}"
    headers = {name: str(value) for name, value in request["headers"].items() if name.lower() not in _OURS}
    data: bytes | None = None
    if isinstance(body, (bytes, bytearray)):
        data = bytes(body)
    elif request["body"] != "undefined":
        data = str(request["body"]).encode("utf-8", "replace")
    response = database.fetch(target, str(request["method"]), headers=headers, body=data, check=False)
    error = response.error()
    if error is not None:
        raise error
    answer: dict[str, Any] = {
        "code": response.status,
        "headers": {_title(name): value for name, value in response.headers.items()},
        "body": response.text,
    }
    if (response.headers.get("content-type") or "").partition(";")[0].strip().lower() == "application/json":
        try:
            answer["json"] = from_text(response.data)
        except BadRequest:
            # Its type is JSON, as CouchDB sends for every list without a type.
            answer.pop("json", None)
    return record(answer)


def _title(name: str) -> str:
    return "-".join(part[:1].upper() + part[1:] for part in name.split("-"))
