"""Exit statuses, and messages for errors: what happened, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pouchdb_core.errors import (
    BadRequest,
    BaseError,
    Conflict,
    ContentMismatch,
    Damaged,
    DatabaseBusy,
    DiskFull,
    FileExists,
    Forbidden,
    MissingStub,
    NewerSchema,
    NotACouchDB,
    NotADatabase,
    NotFound,
    NotSupported,
    PouchDBError,
    ReadOnlyStorage,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)

__all__ = ["Failure", "Status", "redacted", "told", "told_entry"]


class Status(IntEnum):
    """The exit status of the command; scripts may rely on it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    DENIED = 5
    UNREACHABLE = 6
    PARTLY = 7
    """It was done, but not for all documents; or a check found problems."""
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class Failure(BaseError):
    """Ends the command with a text, a hint and a status."""

    def __init__(self, message: str, hint: str = "", exit: Status = Status.FAILED, **details: Any) -> None:
        super().__init__(message)
        self.message, self.hint, self.exit, self.details = message, hint, exit, details


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: type[BaseError]
    exit: Status
    hint: str = ""


# The first that fits counts, so subclasses come before their base classes.
_RULES = (
    _Rule(
        Unauthorized,
        Status.DENIED,
        "put the user before the host in the URL (USER@HOST) and the password into the variable POUCHDB_PASSWORD",
    ),
    _Rule(Forbidden, Status.DENIED, "the database does not allow this to you, or its rules refuse the document"),
    _Rule(NotFound, Status.NOT_FOUND),
    _Rule(
        Conflict,
        Status.CONFLICT,
        "the document was changed since: `pouchdb get` it, make your change there, and write it with its _rev",
    ),
    _Rule(FileExists, Status.CONFLICT),
    _Rule(MissingStub, Status.FAILED, "the attachment's content is not in this database: give it as data"),
    _Rule(Unreachable, Status.UNREACHABLE, "is the server running, and are host and port right?"),
    _Rule(TimedOut, Status.UNREACHABLE, "try again later; `replicate --retry` does that by itself"),
    _Rule(TooManyRequests, Status.UNREACHABLE, "try again later; `replicate --retry` does that by itself"),
    _Rule(
        DatabaseBusy, Status.UNREACHABLE, "another process has been writing for a long time; try again when it is done"
    ),
    _Rule(NotACouchDB, Status.FAILED, "check the URL: http://HOST:PORT/DATABASE"),
    _Rule(NewerSchema, Status.FAILED, "install a newer version: pip install --upgrade pouchdb"),
    _Rule(
        Damaged, Status.FAILED, "`pouchdb doctor` lists what is damaged; restore it from a backup, a dump or a replica"
    ),
    _Rule(ContentMismatch, Status.FAILED, "the content was changed on its way; try again"),
    _Rule(NotADatabase, Status.FAILED, "restore it from a backup or a dump, or choose another directory"),
    _Rule(ReadOnlyStorage, Status.FAILED, "check who owns the directory and whether you may write there"),
    _Rule(DiskFull, Status.FAILED, "free some space; `pouchdb compact` gives back what old revisions take"),
    _Rule(NotSupported, Status.FAILED),
    _Rule(BadRequest, Status.FAILED),
)

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")


def redacted(text: str) -> str:
    """Return text without the names and passwords of the URLs in it."""
    return _CREDENTIALS.sub("", text)


def told(error: BaseException) -> Failure:
    """Return what an error means for the user of the command line."""
    if isinstance(error, Failure):
        return error
    for rule in _RULES:
        if isinstance(error, rule.kind):
            return Failure(_text(error), rule.hint, rule.exit, **_details(error))
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        return Failure(f"{what}{error.strerror or error}")
    return Failure(_text(error), **_details(error))


def told_entry(entry: Mapping[str, Any]) -> Failure:
    """Return what an entry of ``bulk_docs`` means, which is an error as plain data."""
    kinds: dict[int, type[PouchDBError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict}
    details = {key: entry[key] for key in ("id", "rev") if key in entry}
    error = kinds.get(entry.get("status", 500), PouchDBError)(entry.get("message"), **details)
    error.status, error.name = entry.get("status", 500), str(entry.get("name", error.name))
    return told(error)


def _text(error: BaseException) -> str:
    if not isinstance(error, PouchDBError):
        return str(error) or type(error).__name__
    id = error.details.get("id")
    words = error.name.replace("_", " ")
    text = error.message if error.message not in ("missing", "deleted") else f"it is {error.message}"
    return f"{id or repr(id)}: {words}: {text}" if isinstance(id, str) else f"{words}: {text}"


def _details(error: BaseException) -> dict[str, Any]:
    if not isinstance(error, PouchDBError):
        return {}
    return {"error": error.name, "status": error.status, "reason": error.message}
