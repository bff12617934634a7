"""Errors of converting a document to an object of a class."""

from __future__ import annotations

from pouchdb_core.errors import BadRequest

__all__ = ["ModelError", "NewerVersion", "OtherKind"]


class ModelError(BadRequest):
    """A document does not fit its model; the message says which field and why, ``id`` which document."""

    name, default_message = "model_error", "the document does not fit its model"


class OtherKind(ModelError):
    """The document belongs to another model."""

    name, default_message = "other_kind", "the document is of another kind"


class NewerVersion(ModelError):
    """The document was written by a newer version of the program: it is not read, so that nothing of it is lost."""

    name, default_message = "newer_version", "the document was written by a newer version of its model"
