"""Errors thrown by a validation function, as the error of the document it validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pouchdb_core.errors import Forbidden, PouchDBError, Unauthorized
from pouchdb_core.javascript import ThrownError

__all__ = ["AlreadyInstalled", "NotInstalled", "ValidationError", "compilation_error", "rejection"]


class ValidationError(PouchDBError):
    """A validation function failed instead of accepting or rejecting the document; ``name`` is the error's."""

    status, name, default_message = 500, "unknown_error", "the validation function failed"


class AlreadyInstalled(PouchDBError):
    status, name = 500, "already_installed"
    default_message = "Validation methods are already installed on this database."


class NotInstalled(PouchDBError):
    status, name = 500, "already_not_installed"
    default_message = "Validation methods are already not installed on this database."


def rejection(error: Exception, id: str, *, original: bool) -> PouchDBError:
    """Return why a document is rejected.

    ``{"unauthorized": message}`` and ``{"forbidden": message}`` are rejections; anything else is a failure with
    status 500. ``original`` gives failures the messages of the original plug-in (spec: plugins 3.5), else CouchDB's.
    A Python validator raises the error it chooses (Forbidden, Unauthorized...).
    """
    if isinstance(error, ThrownError):
        return _thrown(error, id, original)
    if isinstance(error, PouchDBError):
        error.details.setdefault("id", id)
        return error
    return _failure(str(error), type(error).__name__, id)


def _thrown(error: ThrownError, id: str, original: bool) -> PouchDBError:
    thrown = error.thrown
    if error.name is None and isinstance(thrown, Mapping):
        # Both: unauthorized wins.
        for key, kind in (("unauthorized", Unauthorized), ("forbidden", Forbidden)):
            if key in thrown:
                return _with_message(kind(id=id), thrown[key])
    if error.name is not None:
        text = error.text or f"{error.name}: {error.message}"
        failure = _failure(f"{text}\n\n{error.stack or ''}" if original else error.message or text, error.name, id)
    elif original:
        failure = _failure(f"{error.text}\n\nundefined", None, id)
    else:
        failure = _failure(_first(thrown, error.text), None, id)
    failure.details["thrown"] = thrown
    return failure


def _first(thrown: Any, text: str | None) -> str:
    """Return CouchDB's reason: the value itself, or the value of an object's only field."""
    if isinstance(thrown, Mapping) and len(thrown) == 1:
        (value,) = thrown.values()
        return value if isinstance(value, str) else str(text)
    return text or "null"


def _failure(message: str, name: str | None, id: str) -> ValidationError:
    failure = ValidationError(message, id=id)
    if name is not None:
        failure.name = name
    return failure


def _with_message(error: PouchDBError, message: Any) -> PouchDBError:
    # The function's value is passed through, also if it is not a string.
    error.message = message
    error.args = (message,)
    return error


def compilation_error(source: Any, ddoc: str, cause: Exception | None = None) -> PouchDBError:
    """Return the error for a value that is not a function, with the message of CouchDB and the original."""
    shown = source if isinstance(source, str) else repr(source)
    shown = shown.rstrip()
    shown = shown[:-1].rstrip() if shown.endswith(";") else shown
    error = ValidationError(f"Expression does not eval to a function. {shown}", design_document=ddoc)
    error.name = "compilation_error"
    if isinstance(cause, PouchDBError):
        error.details.update({name: value for name, value in cause.details.items() if name != "id"})
    return error
