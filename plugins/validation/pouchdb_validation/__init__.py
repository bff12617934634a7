"""validation: documents are validated before they are written (spec: plugins, section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

from pouchdb_core import hookimpl, operation, registering
from pouchdb_core.methods import Operation
from pouchdb_validation import hookspecs
from pouchdb_validation.errors import AlreadyInstalled, NotInstalled, ValidationError
from pouchdb_validation.guard import guard_of
from pouchdb_validation.methods import (
    install_validation_methods,
    uninstall_validation_methods,
    validating_bulk_docs,
    validating_post,
    validating_put,
    validating_put_attachment,
    validating_remove,
    validating_remove_attachment,
    validator,
)
from pouchdb_validation.rules import Validator

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.requests import Guard, Never, Write

__all__ = [
    "AlreadyInstalled",
    "NotInstalled",
    "ValidationError",
    "Validator",
    "install_validation_methods",
    "uninstall_validation_methods",
    "validating_bulk_docs",
    "validating_post",
    "validating_put",
    "validating_put_attachment",
    "validating_remove",
    "validating_remove_attachment",
    "validator",
]

_ATTACHMENT = {"docId": "id", "attachmentId": "name", "doc": "data"}


@hookimpl
def pouchdb_addhooks(manager: pluggy.PluginManager) -> None:
    manager.add_hookspecs(hookspecs)


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [
        operation(validating_put),
        operation(validating_post),
        operation(validating_remove),
        operation(validating_bulk_docs),
        operation(validating_put_attachment, names=_ATTACHMENT),
        operation(validating_remove_attachment, names=_ATTACHMENT),
        operation(install_validation_methods),
        operation(uninstall_validation_methods),
        registering(validator),
    ]


@hookimpl
def pouchdb_write_guards(database: SyncPouchDB, request: Write) -> Guard | Never | None:
    return guard_of(database, request)
