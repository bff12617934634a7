"""The validation functions of a database: compiled once, run for many documents at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pouchdb_core.errors import FunctionError, PouchDBError
from pouchdb_core.jsontext import dump
from pouchdb_core.results import record
from pouchdb_core.signatures import positionals
from pouchdb_core.state import Slot
from pouchdb_core.views.servers import Functions, functions_of
from pouchdb_validation.errors import compilation_error, rejection

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["NO_RULES", "Case", "PythonRule", "Rules", "Validator", "compiled", "rules_of"]

Validator = Callable[..., Any]
"""A Python validator: takes (new, old, user_ctx, security) or fewer, and raises to reject."""

IDENTIFIER = "validate_doc_update"
logger = logging.getLogger("pouchdb.validation")


Members = Mapping[str, Any]


class Case(NamedTuple):
    """A document to be validated: the new one, and the one it replaces (or None)."""

    id: str
    text: bytes
    """Both as JSON, in a list: the arguments of functions of design documents."""
    members: Callable[[], tuple[Members, Members | None]]
    """Both as mappings, of which Python validators get copies."""

    @classmethod
    def of(cls, id: str, new: Members, old: Members | None) -> Case:
        """Make a case from documents in memory."""
        return cls(id, dump([new, old]), lambda: (new, old))


@dataclass(frozen=True, slots=True)
class _Stored:
    """The function of a design document."""

    ddoc: str
    functions: Functions

    def judge(self, cases: Sequence[Case], user: Any, security: Any) -> Sequence[Any]:
        return self.functions.call_each(IDENTIFIER, [case.text for case in cases], (user, security))


@dataclass(frozen=True, slots=True)
class PythonRule:
    """A validator of this program."""

    function: Validator

    def judge(self, cases: Sequence[Case], user: Any, security: Any) -> Sequence[Any]:
        return [self._one(case, user, security) for case in cases]

    def _one(self, case: Case, user: Any, security: Any) -> Any:
        # Copies: changes of a validator are not written, and no other one sees them.
        new, old = case.members()
        given = (_copy(new), _copy(old), _copy(user), _copy(security))
        try:
            self.function(*given[: positionals(self.function)])
        except Exception as error:
            return error
        return None


def _copy(value: Any) -> Any:
    return record(_plain(value)) if isinstance(value, Mapping) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list) else value


def _of_document(error: PouchDBError, id: str) -> PouchDBError:
    """Return an error of all documents as that of one: each has details of its own."""
    own = copy(error)
    own.details = {**error.details, "id": id}
    return own


class Rules:
    """All validators of one state of a database's design documents, in design document id order."""

    def __init__(self, stored: Sequence[_Stored], broken: PouchDBError | None) -> None:
        self._stored, self._broken = stored, broken

    def judge(
        self,
        cases: Sequence[Case],
        user: Mapping[str, Any],
        security: Mapping[str, Any],
        *,
        more: Sequence[PythonRule] = (),
        original: bool,
    ) -> list[PouchDBError | None]:
        """Return an error or None for each case; the first function that rejects a document decides.

        Design documents are not validated. A function that does not compile rejects every document, whatever
        earlier functions return. An error that ends a function (a time limit, no engine) is that of all documents
        that it was called for.
        """
        errors: list[PouchDBError | None] = [None] * len(cases)
        left = [place for place, case in enumerate(cases) if not case.id.startswith("_design/")]
        if self._broken is not None:
            for place in left:
                errors[place] = _of_document(self._broken, cases[place].id)
            return errors
        rules: tuple[_Stored | PythonRule, ...] = (*self._stored, *more)
        for rule in rules:
            if not left:
                break
            asked = [cases[place] for place in left]
            try:
                answers = rule.judge(asked, user, security)
            except PouchDBError as error:
                answers = [error] * len(asked)
            for place, answer in zip(left, answers, strict=True):
                if isinstance(answer, Exception):
                    errors[place] = rejection(answer, cases[place].id, original=original)
            left = [place for place in left if errors[place] is None]
        return errors

    @property
    def empty(self) -> bool:
        """Whether no stored function validates documents."""
        return not self._stored and self._broken is None


NO_RULES = Rules((), None)


def compiled(database: SyncPouchDB, ddocs: Sequence[Mapping[str, Any]]) -> Rules:
    """Compile all functions: an invalid one is found before any runs."""
    stored: list[_Stored] = []
    for ddoc in ddocs:
        source = ddoc.get(IDENTIFIER)
        if source is None:
            continue
        id = ddoc["_id"]
        if not isinstance(source, str):
            return Rules(stored, compilation_error(source, id))
        try:
            functions = functions_of(database, ddoc)
            functions.compile(IDENTIFIER, "validate", source)
        except FunctionError as error:
            if error.name == "compilation_error" and ddoc.get("language", "javascript") == "javascript":
                error = compilation_error(source, id, error)  # type: ignore[assignment]  # an error of ours, too
            # Fails closed: rules that cannot be run must not accept everything.
            logger.warning("%s of %s: %s", id, database.name, error.message)
            return Rules(stored, error)
        stored.append(_Stored(id, functions))
    return Rules(stored, None)


_RULES: Slot[list[tuple[int, Rules]]] = Slot("validation rules", lambda database: [])


def rules_of(database: SyncPouchDB, ddocs_seq: int) -> Rules:
    """Return the rules of a database, compiled once for each state of its design documents.

    ``ddocs_seq`` is the state that was read before; the rules are of this one, or of a later one.
    """
    known = database.store_state(_RULES)
    if known and known[0][0] == ddocs_seq:
        return known[0][1]
    rules = compiled(database, database.design_documents())
    # One whose compilation met the time limit is tried again.
    is_final = rules._broken is None or rules._broken.name == "compilation_error"
    if is_final and database.adapter.ddocs_seq() == ddocs_seq:
        known[:] = [(ddocs_seq, rules)]
    return rules
