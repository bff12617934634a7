"""The access log: one line per request, on the logger ``pouchdb.server.access``."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pouchdb_server.replicator.endpoints import without_credentials

if TYPE_CHECKING:
    from pouchdb_server.messages import Request

__all__ = ["log"]

logger = logging.getLogger("pouchdb.server.access")

QUOTED = re.compile(r"(%3a%2f%2f)(?:(?!%2f|/).)*?%40", re.IGNORECASE)
MEMBER = re.compile(r"(?<![^&])([^=&]*=)[^&]*")
SECRET = re.compile(r"password|secret|token", re.IGNORECASE)
ODD = re.compile(r"[^ -!#-\[\]-~]")


def _shown(member: re.Match[str]) -> str:
    """Return a member of a query as it may be read by others."""
    return f"{member[1]}***" if SECRET.search(member[1]) else member[0]


def log(request: Request, status: int | None, sent: int, seconds: float) -> None:
    """Write the line, in the common log format and with the duration at its end.

    Neither headers nor bodies are written, and what looks like a password in the path or the query is left out.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    path = request.raw_path
    if request.raw_query:
        path += "?" + MEMBER.sub(_shown, request.raw_query)
    path = QUOTED.sub(r"\1", without_credentials(path))
    now = datetime.now(timezone.utc)
    fields = {
        "peer": request.peer or "-",
        "user": request.user.name,
        "method": request.method,
        "path": path,
        "status": status,
        "bytes": sent,
        "duration": seconds,
    }
    logger.info(
        '%s - %s [%s] "%s %s HTTP/1.1" %s %d %.1fms',
        request.peer or "-",
        _plain(request.user.name or "-").replace(" ", "%20"),
        now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        _plain(request.method),
        _plain(path),
        "-" if status is None else status,
        sent,
        seconds * 1000,
        extra={"access": fields},
    )


def _plain(text: str) -> str:
    """Return a string that cannot begin another line or field."""
    return ODD.sub(lambda found: "".join(f"%{byte:02X}" for byte in found.group().encode("utf-8", "replace")), text)
