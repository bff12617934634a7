"""The options of a remote database, checked before anything is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pouchdb_core.adapters.http.credentials import are_headers
from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.urls import is_http

__all__ = ["OPTIONS", "check_options"]

OPTIONS = frozenset({"ajax", "auth", "ca_certs", "client_cert", "headers", "proxy", "retries", "skip_setup", "timeout"})


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse values that cannot be used. Raises BadRequest."""
    timeout, retries = options.get("timeout", 60.0), options.get("retries", 3)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < 1e6:
        raise BadRequest(f"timeout must be a number of seconds above 0, not {safe_repr(timeout)}")
    if type(retries) is not int or retries < 0:
        raise BadRequest(f"retries must be a number from 0 up, not {safe_repr(retries)}")
    if type(options.get("skip_setup", False)) is not bool:
        raise BadRequest(f"skip_setup must be true or false, not {safe_repr(options['skip_setup'])}")
    ajax = options.get("ajax")
    if ajax is not None and not isinstance(ajax, Mapping):
        raise BadRequest(f"ajax must be a mapping with headers, not {safe_repr(ajax)}")
    for headers in (options.get("headers"), (ajax or {}).get("headers")):
        if headers is not None and not are_headers(headers):
            raise BadRequest("headers must be a mapping of texts without line breaks")
    proxy = options.get("proxy")
    if proxy is not None and not is_http(proxy):
        # Not shown: it may hold a password.
        raise BadRequest("proxy must be a URL such as http://host:3128")
    for name in ("ca_certs", "client_cert"):
        file = options.get(name)
        if file is not None and not os.path.isfile(file):
            raise BadRequest(f"{name} must be the path of a file with certificates, not {safe_repr(file)}")
