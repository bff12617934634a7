"""Every error that a user can get, as one tree.

::

    BaseError
      EnvironmentError            set-up of an environment (storage directory)
      PluginError                 set-up of plug-ins: names both parties
      PouchDBError                an operation failed; speaks CouchDB: status, name, message
        BadRequest            400 bad_request
          InvalidRequest      400 invalid_request
          QueryParseError     400 query_parse_error
          IncompleteDump      400 incomplete_dump
          ContentMismatch     400 content_md5_mismatch
        Unauthorized          401 unauthorized
        Forbidden             403 forbidden
        NotFound              404 not_found
        Conflict              409 conflict
        FileExists            412 file_exists
        MissingId             412 missing_id
        MissingStub           412 missing_stub
        TooLarge              413 document_too_large
        NotSupported          501 not_implemented
        ServerError           500 unknown_error
          DocValidation       500 doc_validation
          FunctionError       500 function_error, or what went wrong: compilation_error, os_process_timeout ...
          DatabaseClosed      500 database_closed
          RemoteError         a server's own status and name, where no other class fits
            NotACouchDB       502 not_a_couchdb
            Unreachable       503 unreachable
            TimedOut          504 timeout
            TooManyRequests   429 too_many_requests
          Replaced            500 database_replaced
          StorageError        500 storage_error
            NotADatabase      500 not_a_database
            NewerSchema       500 newer_schema
            Damaged           500 damaged
            ReadOnlyStorage   500 read_only
            DatabaseBusy      503 busy
              ReentrantWrite  503 busy
            TooManyOpenFiles  500 too_many_open_files
            DiskFull          507 insufficient_storage

Names and statuses are PouchDB 9's fixed catalogue (spec: pouchdb-api, Conventions); the rest
adds what an embedded store and a client need. Raise the class, never ``PouchDBError(409, ...)``.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

__all__ = [
    "BadRequest",
    "BaseError",
    "Conflict",
    "ContentMismatch",
    "Damaged",
    "DatabaseBusy",
    "DatabaseClosed",
    "DiskFull",
    "DocValidation",
    "EnvironmentError",
    "FileExists",
    "Forbidden",
    "FunctionError",
    "IncompleteDump",
    "InvalidRequest",
    "MissingId",
    "MissingStub",
    "NewerSchema",
    "NotACouchDB",
    "NotADatabase",
    "NotFound",
    "NotSupported",
    "PluginError",
    "PouchDBError",
    "QueryParseError",
    "ReadOnlyStorage",
    "ReentrantWrite",
    "RemoteError",
    "Replaced",
    "ServerError",
    "StorageError",
    "TimedOut",
    "TooLarge",
    "TooManyOpenFiles",
    "TooManyRequests",
    "Unauthorized",
    "Unreachable",
]


class BaseError(Exception):
    """Root of everything this package raises on purpose."""


class EnvironmentError(BaseError):
    """A storage directory cannot be used; the message names it."""


class PluginError(BaseError):
    """A set of plug-ins is refused at set-up; the message names every one involved."""


class PouchDBError(BaseError):
    """An operation failed; says why, the way CouchDB does.

    ``status`` (int), ``name`` (str), ``message`` (str), ``reason`` (the same text) and ``error``
    (True) are readable by attribute and by item; ``details`` holds further fields such as ``id``.
    ``str()`` is compact JSON: ``{"status":404,"name":"not_found","message":"missing"}``.
    """

    status: int = 500
    name: str = "unknown_error"
    default_message: ClassVar[str] = "an unknown error occurred"
    error: bool = True

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message if message is not None else self.default_message
        self.details = details
        super().__init__(self.message)

    @property
    def reason(self) -> str:
        """The message, under CouchDB's name for it."""
        return self.message

    def as_dict(self) -> dict[str, Any]:
        """Return the error as plain data: the shape of a failed entry of ``bulk_docs``."""
        return {
            "status": self.status,
            "name": self.name,
            "message": self.message,
            "reason": self.message,
            "error": True,
            **self.details,
        }

    def __getitem__(self, key: str) -> Any:
        return self.as_dict()[key]

    def __contains__(self, key: object) -> bool:
        return key in self.as_dict()

    def __getattr__(self, key: str) -> Any:
        # Called only for what is not an attribute: the details, such as `id`.
        if not key.startswith("__") and "details" in self.__dict__ and key in self.details:
            return self.details[key]
        raise AttributeError(key)

    def __str__(self) -> str:
        known = {"status": self.status, "name": self.name, "message": self.message}
        return json.dumps(known, separators=(",", ":"), ensure_ascii=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # The rest was set on this instance, such as a server's own status.
        rest = {key: value for key, value in self.__dict__.items() if key not in ("message", "details")}
        return (_restore, (type(self), self.message, self.details), rest or None)


def _restore(kind: type[PouchDBError], message: str, details: dict[str, Any]) -> PouchDBError:
    return kind(message, **details)


class BadRequest(PouchDBError):
    """The caller's input cannot be used; the message says what to change."""

    status, name, default_message = 400, "bad_request", "Something wrong with the request"


class InvalidRequest(BadRequest):
    name, default_message = "invalid_request", "Request was invalid"


class QueryParseError(BadRequest):
    name, default_message = "query_parse_error", "Some query argument is invalid"


class IncompleteDump(BadRequest):
    """A dump ends before its end; ``result`` says what is loaded; loading the whole dump continues from there."""

    name, default_message = "incomplete_dump", "the dump breaks off"


class ContentMismatch(BadRequest):
    """The content of an attachment is not what its document says: its length or digest differs."""

    name, default_message = "content_md5_mismatch", "Possible message corruption."


class Unauthorized(PouchDBError):
    status, name, default_message = 401, "unauthorized", "Name or password is incorrect."


class Forbidden(PouchDBError):
    status, name, default_message = 403, "forbidden", "Forbidden by design doc validate_doc_update function"


class NotFound(PouchDBError):
    """The document, revision, attachment or database was not found (``missing`` or ``deleted``)."""

    status, name, default_message = 404, "not_found", "missing"


class Conflict(PouchDBError):
    """The parent revision is no longer a leaf: read the document again, then write."""

    status, name, default_message = 409, "conflict", "Document update conflict"


class FileExists(PouchDBError):
    status, name, default_message = 412, "file_exists", "The database could not be created, the file already exists."


class MissingId(PouchDBError):
    status, name, default_message = 412, "missing_id", "_id is required for puts"


class MissingStub(PouchDBError):
    """A stub names an attachment whose content this database does not have."""

    status, name = 412, "missing_stub"
    default_message = "A pre-existing attachment stub wasn't found"


class TooLarge(PouchDBError):
    status, name, default_message = 413, "document_too_large", "The document is too large"


class NotSupported(PouchDBError):
    status, name, default_message = 501, "not_implemented", "This adapter cannot do that"


class ServerError(PouchDBError):
    """Something failed that the caller's input did not cause."""


class DocValidation(ServerError):
    name, default_message = "doc_validation", "Bad special document member"


class FunctionError(ServerError):
    """A function of a design document, or one given in Python, failed; ``name`` says how."""

    name, default_message = "function_error", "a function failed"

    def __init__(self, message: str | None = None, *, name: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        if name is not None:
            self.name = name


class DatabaseClosed(ServerError):
    name, default_message = "database_closed", "database is closed"


class RemoteError(ServerError):
    """A server reported an error; ``status``, ``name`` and ``reason`` are the server's."""

    name, default_message = "remote_error", "the server failed"


class NotACouchDB(RemoteError):
    """The server at the URL does not speak CouchDB's protocol."""

    status, name, default_message = 502, "not_a_couchdb", "the server is not a CouchDB"


class Unreachable(RemoteError):
    """No connection to the server, or it broke; it is not known then whether the request was carried out."""

    status, name, default_message = 503, "unreachable", "the server cannot be reached"


class TimedOut(RemoteError):
    status, name, default_message = 504, "timeout", "the server did not answer in time"


class TooManyRequests(RemoteError):
    """The server wants fewer requests; ``retry_after`` is the number of seconds it said to wait, if it did."""

    status, name, default_message = 429, "too_many_requests", "the server wants to be asked less often"


class Replaced(ServerError):
    """A database that is replicated was deleted and made again, restored from a copy, or replaced by another one.

    A replication starts over by itself, from what both sides really have. It ends with this error only if that
    happens again and again, such as when two servers alternate at one address.
    """

    name, default_message = "database_replaced", "another database is in its place"


class StorageError(ServerError):
    """The storage failed; nothing of the operation was kept."""

    name, default_message = "storage_error", "the storage failed"


class NotADatabase(StorageError):
    name, default_message = "not_a_database", "the file is not a database of ours"


class NewerSchema(StorageError):
    name, default_message = "newer_schema", "the database was written by a newer version"


class Damaged(StorageError):
    """What is stored is not what was written: ``id`` names the document, ``attachment`` the attachment."""

    name, default_message = "damaged", "what is stored is damaged"


class ReadOnlyStorage(StorageError):
    name, default_message = "read_only", "the storage cannot be written"


class DatabaseBusy(StorageError):
    status, name, default_message = 503, "busy", "another process kept the database locked for too long"


class ReentrantWrite(DatabaseBusy):
    """A thread wrote to a database while it is in the middle of another write to it.

    A signal handler, a finalizer (``__del__``, a weakref's callback) or code of an index runs there. It could
    neither wait for the write it interrupts nor be a part of it. Nothing was written: try again later, or hand
    the work to another thread.
    """

    default_message = (
        "this thread is in the middle of writing it: a signal handler, a finalizer or an index cannot write meanwhile; "
        "try again later, or write in another thread"
    )


class TooManyOpenFiles(StorageError):
    status, name, default_message = 500, "too_many_open_files", "the process has no file descriptor left"


class DiskFull(StorageError):
    status, name, default_message = 507, "insufficient_storage", "the disk is full; nothing was written"
