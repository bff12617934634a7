"""The request object that functions get as ``req``, made where no request came over HTTP."""

from __future__ import annotations

import locale
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import dump
from pouchdb_core.safe_repr import safe_repr
from pouchdb_couchapp.response import json_text

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["AGENT", "given_options", "merged", "normalized", "query_string", "request_object"]

AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Python-PouchDB Chrome/120.0 Safari/537.36"
)
ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
FORM = "application/x-www-form-urlencoded"
REQUESTED_PATH = "x-couchdb-requested-path"
_SPELLINGS = {"user_ctx": "userCtx", "sec_obj": "secObj", "with_validation": "withValidation"}


def given_options(options: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call under the original's names; None means not given. Raises BadRequest."""
    if not (options is None or isinstance(options, Mapping)):
        raise BadRequest(f"options must be a mapping, not {safe_repr(options)}")
    joined = {**(options or {}), **more}
    return {_SPELLINGS.get(name, name): value for name, value in joined.items() if value is not None}


def request_object(database: SyncPouchDB, path_end: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request object of a call: the defaults (spec: plugins, 4.2) with what was given.

    Objects are merged by key, lists replace; other fields are added. ``path_end`` is the path below the database.
    """
    info = dict(database.info())
    path = normalized([quote(str(info.get("db_name", database.name)), safe=_UNRESERVED), *path_end])
    defaults: dict[str, Any] = {
        "body": "undefined",
        "cookie": {},
        "form": {},
        "headers": _headers(database),
        "id": _id(path),
        "info": info,
        "method": "GET",
        "path": path,
        "peer": "127.0.0.1",
        "query": {},
        "raw_path": "/" + "/".join(path),
        "requested_path": list(path),
        "secObj": _security(database),
        "userCtx": _user(database, info),
        "uuid": uuid.uuid4().hex,
    }
    given = dict(given)
    headers = given.pop("headers", None)
    if isinstance(headers, Mapping):
        defaults["headers"].update({_header_name(str(name)): value for name, value in headers.items()})
    request: dict[str, Any] = merged(defaults, given)
    _derive(request)
    return request


def _derive(request: dict[str, Any]) -> None:
    """Make path, body and method agree with what was given."""
    query, form, headers = request["query"], request["form"], request["headers"]
    if isinstance(query, Mapping) and query:
        text = query_string(query)
        wanted = request["requested_path"]
        if isinstance(wanted, list) and wanted and "?" not in str(wanted[-1]):
            request["requested_path"] = [*wanted[:-1], f"{wanted[-1]}?{text}"]
        if isinstance(request["raw_path"], str) and "?" not in request["raw_path"]:
            request["raw_path"] += f"?{text}"
    if request["body"] == "undefined":
        if isinstance(form, Mapping) and form:
            request["body"] = query_string(form)
            headers["Content-Type"] = FORM
            headers["Content-Length"] = str(len(request["body"]))
    else:
        request["body"] = _body(request["body"])
        if not form and str(headers.get("Content-Type", "")).partition(";")[0].strip().lower() == FORM:
            request["form"] = dict(parse_qsl(request["body"], keep_blank_values=True))
    if request["body"] != "undefined" and request["method"] not in ("POST", "PUT", "PATCH"):
        request["method"] = "POST"


def _body(body: Any) -> str:
    if isinstance(body, str):
        return body
    data = body["data"] if isinstance(body, Mapping) and isinstance(body.get("data"), (bytes, bytearray)) else body
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data).decode("utf-8", "replace")
    return dump(body).decode()


def merged(default: Any, given: Any) -> Any:
    """Return a value with another one's fields: objects are merged, everything else replaces."""
    if isinstance(default, Mapping) and isinstance(given, Mapping):
        return {**default, **{name: merged(default.get(name), value) for name, value in given.items()}}
    return given


_UNRESERVED = "!~*'()-._"


def query_string(query: Mapping[str, Any]) -> str:
    """Return a query or form, encoded as JavaScript's ``encodeURIComponent`` does; a list repeats its name."""
    pairs = []
    for name, value in query.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs += [f"{quote(name, safe=_UNRESERVED)}={quote(_text(each), safe=_UNRESERVED)}" for each in values]
    return "&".join(pairs)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json_text(value) if isinstance(value, (bool, int, float)) else ""


def normalized(path: Sequence[str]) -> list[str]:
    """Return a path without ``.`` and ``..``; those that lead above the root stay at its beginning."""
    parts: list[str] = []
    for part in path:
        if part == "..":
            if parts and parts[-1] != "..":
                parts.pop()
            else:
                parts.append(part)
        elif part != ".":
            parts.append(part)
    return parts


def _id(path: Sequence[str]) -> str | None:
    if len(path) > 5 and path[1] == "_design" and path[3] in ("_show", "_update"):
        return "/".join(path[5:]) or None
    return None


def _headers(database: SyncPouchDB) -> dict[str, Any]:
    return {
        "Host": _host(database),
        "Accept": ACCEPT,
        "Accept-Language": _language(),
        "User-Agent": AGENT,
    }


def _host(database: SyncPouchDB) -> str:
    if not database.remote:
        return "localhost:5984"
    return str(database.name).partition("://")[2].partition("/")[0].rpartition("@")[2] or "localhost:5984"


def _language() -> str:
    name = (locale.getlocale()[0] or "en").replace("_", "-").lower()
    if name in ("c", "posix", "en", "en-us"):
        return "en-us,en;q=0.5"
    return f"{name},en-us;q=0.7,en;q=0.3"


def _header_name(name: str) -> str:
    if name.lower() == REQUESTED_PATH:
        return name.lower()
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def _user(database: SyncPouchDB, info: Mapping[str, Any]) -> dict[str, Any]:
    user = database.user
    return {
        "db": info.get("db_name", database.name),
        "name": None if user is None else user.name,
        "roles": ["_admin"] if user is None else list(user.roles),
    }


def _security(database: SyncPouchDB) -> dict[str, Any]:
    """The database's own rules in the complete form, which functions read."""
    skeleton: dict[str, Any] = {"admins": {"names": [], "roles": []}, "members": {"names": [], "roles": []}}
    known: dict[str, Any] = merged(skeleton, {} if database.remote else dict(database.get_security()))
    return known
