"""When documents are validated, and as which user: the write guard."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import NotFound, PouchDBError
from pouchdb_core.jsontext import dump
from pouchdb_core.requests import NEVER, Never, Proposed, Write
from pouchdb_core.state import Slot
from pouchdb_validation.rules import NO_RULES, Case, PythonRule, Validator, rules_of

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = [
    "CONCERNED",
    "CONTEXT",
    "INSTALLED",
    "VALIDATORS",
    "Options",
    "Registered",
    "admin",
    "guard_of",
    "python_rules",
    "security",
]

CONTEXT = "pouchdb_validation"
"""The key of ``Write.context`` in which validating methods pass their options to the guard."""

SHOWN = 8 * 1024 * 1024
"""Bytes of new attachments that a function sees as base64; longer ones it sees as a stub."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a validating method."""

    user: Mapping[str, Any]
    security: Mapping[str, Any]
    shown: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Documents that functions see instead of those written, by id: a removed one with its fields."""


@dataclass(slots=True)
class Registered:
    """A validator of this program; ``always`` ones validate plain writes and replications as well."""

    function: Validator
    always: bool


INSTALLED: Slot[list[bool]] = Slot("validation methods installed", lambda database: [])
CONCERNED: Slot[list[bool]] = Slot("validators of plain writes", lambda database: [])
"""Something, as soon as an object of the database validates its plain writes, or validators of the program do."""
VALIDATORS: Slot[list[Registered]] = Slot("python validators", lambda database: [])
_NONE_AT: Slot[list[int]] = Slot("design documents without validators", lambda database: [])
"""The ``ddocs_seq`` at which no design document had a validation function."""


def admin(database: SyncPouchDB) -> dict[str, Any]:
    """Return the user that validating methods act as by default: an administrator without a name."""
    return {"db": database.short_name, "name": None, "roles": ["_admin"]}


def security() -> dict[str, Any]:
    """Return the security object of validating methods by default (the original's)."""
    return {"admins": {"names": [], "roles": []}, "members": {"names": [], "roles": []}}


def python_rules(database: SyncPouchDB, *, only_always: bool = False) -> list[PythonRule]:
    """Return the Python validators: those of plug-ins, then those of the program in the order they were added."""
    rules: list[PythonRule] = []
    if not only_always:
        hook = database.plugins.manager.hook.pouchdb_validators
        # Every write of a user comes here, and calling a hook that nobody implements takes as long as reading a row.
        if hook.get_hookimpls():
            for functions in hook(database=database):
                rules.extend(PythonRule(function) for function in functions or ())
    registered = database.store_state(VALIDATORS)
    rules.extend(PythonRule(each.function) for each in registered if each.always or not only_always)
    return rules


class _Guard:
    def __init__(
        self, database: SyncPouchDB, options: Options | None, user: Mapping[str, Any], *, only_always: bool = False
    ) -> None:
        self._database, self._options, self._user = database, options, user
        self._only_always = only_always

    def __call__(self, proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
        # On its own behalf: a validator sees all of the database.
        database, options = self._database.as_user(None), self._options
        more = python_rules(database, only_always=self._only_always)
        rules = NO_RULES if self._only_always else rules_of(database, proposed[0].ddocs_seq)
        if not more and rules.empty:
            self._remember(proposed[0].ddocs_seq)
            return [None] * len(proposed)
        if options is None:
            # A database without a security object is shown with an empty one, so that functions can read its lists.
            guarded_by: Mapping[str, Any] = {**security(), **database.get_security()}
            cases = [_as_couchdb(each) for each in proposed]
        else:
            guarded_by = options.security
            cases = [_as_original(each, options) for each in proposed]
        return rules.judge(cases, self._user, guarded_by, more=more, original=options is not None)

    def passes_all(self, ddocs_seq: int) -> bool:
        """Return whether there are no validators while the design documents are those of ``ddocs_seq``."""
        known = self._database.store_state(_NONE_AT) == [ddocs_seq]
        return (known or self._only_always) and not python_rules(self._database, only_always=self._only_always)

    def _remember(self, ddocs_seq: int) -> None:
        # The rules were read after the documents: they are those of this seq if it is still the current one.
        if not self._only_always and self._database.adapter.ddocs_seq() == ddocs_seq:
            self._database.store_state(_NONE_AT)[:] = [ddocs_seq]


def _as_couchdb(proposed: Proposed) -> Case:
    parent = proposed.parent
    return Case(proposed.id, _text(proposed.sent_json, parent), lambda: (proposed.sent, parent))


def _text(new: bytes, old: Mapping[str, Any] | None) -> bytes:
    return b"[%b,%b]" % (new, b"null" if old is None else dump(old))


def _as_original(proposed: Proposed, options: Options) -> Case:
    """Return the documents that functions see: the winner as the old document, new content as base64."""
    old = proposed.old
    shown = options.shown.get(proposed.id)
    if old is None and shown is None:
        sent = proposed.sent_json
        if b'"_attachments"' not in sent and b'"_revisions"' not in sent:
            # The usual new document: it shows exactly what was sent.
            return Case(proposed.id, _text(sent, None), lambda: (proposed.sent, None))
    if old is not None and old.get("_deleted"):
        old = None
    new: dict[str, Any] = dict(proposed.sent)
    if shown is not None:
        new = {**shown, "_id": proposed.id}
    elif new.get("_attachments"):
        new["_attachments"] = _with_content(proposed, new["_attachments"])
    if old is not None and "_revisions" in old:
        new["_revisions"] = old["_revisions"]
    else:
        new.pop("_revisions", None)
    return Case.of(proposed.id, new, old)


def _with_content(proposed: Proposed, attachments: Mapping[str, Any]) -> dict[str, Any]:
    left = SHOWN
    filled: dict[str, Any] = {}
    for name, entry in attachments.items():
        filled[name] = entry
        length = entry.get("length", 0)
        try:
            content = proposed.content(name)
        except NotFound:
            # It is unchanged: the document has a stub.
            continue
        if length <= left:
            left -= length
            data = base64.b64encode(b"".join(content)).decode("ascii")
            filled[name] = {"content_type": entry.get("content_type"), "data": data}
    return filled


def guard_of(database: SyncPouchDB, request: Write) -> _Guard | Never | None:
    """Return the guard of a write, or None if nothing validates it; NEVER until something could.

    It validates the validating methods' writes, every write of a user (``as_user``, the environment's current user,
    a server's clients), and all writes of a database object on which the methods are installed. Validators that were
    registered with ``always`` validate every write.
    """
    options, user = request.context.get(CONTEXT), request.user
    if options is None and user is None and not request.context and not database.store_state(CONCERNED):
        return NEVER
    if options is not None:
        return _Guard(database, options, options.user)
    if user is not None:
        return _Guard(database, None, {"db": database.short_name, "name": user.name, "roles": list(user.roles)})
    if database.state(INSTALLED):
        return _Guard(database, Options(admin(database), security()), admin(database))
    if any(each.always for each in database.store_state(VALIDATORS)):
        return _Guard(database, Options(admin(database), security()), admin(database), only_always=True)
    return None
