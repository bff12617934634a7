"""Errors that only a server has."""

from __future__ import annotations

from pouchdb_core.errors import PouchDBError

__all__ = ["ClientGone", "MissingRevision", "RequestTimeout", "RequestTooLarge", "Unavailable", "UnsupportedMediaType"]


class ClientGone(Exception):
    """The client disconnected before the end."""


class MissingRevision(PouchDBError):
    """The revision whose attachment is to be changed is not there: CouchDB's words for this conflict."""

    status, name, default_message = 409, "not_found", "missing_rev"


class RequestTooLarge(PouchDBError):
    status, name, default_message = 413, "too_large", "the request entity is too large"


class RequestTimeout(PouchDBError):
    status, name, default_message = 408, "timeout", "the body of the request takes too long"


class Unavailable(PouchDBError):
    status, name, default_message = 503, "service_unavailable", "there is too much to do just now"


class UnsupportedMediaType(PouchDBError):
    status, name, default_message = 415, "bad_content_type", "Content-Type must be application/json"
