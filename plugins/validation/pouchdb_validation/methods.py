"""The validating methods: the plain ones, after the validation functions have accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotFound, PouchDBError
from pouchdb_core.jsontext import from_text
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_validation.errors import AlreadyInstalled, NotInstalled
from pouchdb_validation.guard import (
    CONCERNED,
    CONTEXT,
    INSTALLED,
    VALIDATORS,
    Options,
    Registered,
    admin,
    python_rules,
    security,
)
from pouchdb_validation.rules import Case, Validator, compiled

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = [
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

_OPTIONS = (("userCtx", "user_ctx"), ("secObj", "sec_obj"), ("checkHttp", "check_http"))


class _Validation:
    """One call of a validating method: its options, and the database that the plain method is called on."""

    def __init__(self, db: SyncPouchDB, given: dict[str, Any]) -> None:
        user, secured, self._check_http = (
            next((value for value in (given.pop(name, None), given.pop(other, None)) if value is not None), None)
            for name, other in _OPTIONS
        )
        self._db = db
        self._user = _merged(admin(db), user, "userCtx")
        self._security = _merged(security(), secured, "secObj")
        if self._check_http not in (None, True, False):
            raise BadRequest(f"checkHttp must be True or False, not {safe_repr(self._check_http)}")

    def plain(self, shown: Mapping[str, Mapping[str, Any]] | None = None) -> SyncPouchDB:
        """Return the database whose plain methods validate; functions see ``shown`` documents as given."""
        options = Options(self._user, self._security, shown or {})
        return self._db.with_context({CONTEXT: options})

    @property
    def checks_here(self) -> bool:
        """Whether a remote database's documents are validated here, before they are sent."""
        return self._db.remote and bool(self._check_http)

    def judge(self, docs: Sequence[Mapping[str, Any]]) -> list[PouchDBError | None]:
        """Validate documents; for a remote database with a request for its functions and for each replaced one."""
        rules = compiled(self._db, self._db.design_documents())
        more = python_rules(self._db)
        if rules.empty and not more:
            return [None] * len(docs)
        cases = [self._case(doc) for doc in docs]
        return rules.judge(cases, self._user, self._security, more=more, original=True)

    def check(self, doc: Mapping[str, Any]) -> None:
        """Validate one document. Raises the error it is rejected with."""
        (error,) = self.judge([doc])
        if error is not None:
            raise error

    def _case(self, doc: Mapping[str, Any]) -> Case:
        id, old = doc.get("_id"), None
        if isinstance(id, str) and not id.startswith("_design/"):
            try:
                old = self._db.get(id, revs=True)
            except NotFound:
                old = None
        new = dict(doc)
        if old is not None:
            new["_revisions"] = old["_revisions"]
        return Case.of(id if isinstance(id, str) else "", new, old)


def _merged(default: dict[str, Any], given: Any, name: str) -> dict[str, Any]:
    """Return ``default`` with what was given, key by key; a given list replaces. (The original did not merge.)"""
    if given is None:
        return default
    if not isinstance(given, Mapping):
        raise BadRequest(f"{name} must be an object, not {safe_repr(given)}")
    merged = dict(default)
    for key, value in given.items():
        known = merged.get(key)
        merged[key] = _merged(known, value, name) if isinstance(known, dict) and isinstance(value, Mapping) else value
    return merged


def _document(given: Any) -> dict[str, Any]:
    doc = from_text(given) if isinstance(given, (str, bytes, bytearray)) else given
    if not isinstance(doc, Mapping):
        raise BadRequest("Document must be a JSON object")
    return dict(doc)


def validating_put(
    db: SyncPouchDB, /, doc: Mapping[str, Any] | str, id: str | None = None, rev: str | None = None, **options: Any
) -> Record:
    """Put a document if all validation functions accept it.

    Options: ``userCtx`` and ``secObj`` are passed to functions, merged by key into ``{"db": name, "name": None,
    "roles": ["_admin"]}`` and ``{"admins": {"names": [], "roles": []}, "members": {...}}``; ``checkHttp`` validates
    documents of a remote database here, before they are sent. The others are those of ``put``. Functions see copies:
    their changes are not stored. Raises Unauthorized or Forbidden as a function throws, ValidationError (status 500)
    for one that fails or does not compile, and what ``put`` raises; rejection comes before a conflict.
    """
    validation = _Validation(db, options)
    if validation.checks_here:
        given = _document(doc)
        given.update({name: value for name, value in (("_id", id), ("_rev", rev)) if value is not None})
        validation.check(given)
    elif not db.remote and id is None and isinstance(doc, Mapping) and doc.get("_id") is None:
        # A rejection comes before a missing id, too.
        validation.check(doc)
    return validation.plain().put(doc, id, rev, **options)


def validating_post(db: SyncPouchDB, /, doc: Mapping[str, Any] | str, **options: Any) -> Record:
    """Post a document if all validation functions accept it; they see the id it will have. See ``validating_put``."""
    validation = _Validation(db, options)
    if validation.checks_here:
        given = _document(doc)
        if given.get("_id") is None:
            given["_id"] = db.new_id()
        validation.check(given)
        doc = given
    return validation.plain().post(doc, **options)


def validating_remove(
    db: SyncPouchDB, /, doc: Mapping[str, Any] | str, rev: str | None = None, **options: Any
) -> Record:
    """Remove a document if all validation functions accept it; they see its fields and ``_deleted``.

    ``doc`` is the document, JSON text of it, or its id with ``rev``. See ``validating_put``.
    """
    validation = _Validation(db, options)
    if isinstance(doc, str) and (rev is not None or not doc.lstrip().startswith("{")):
        tombstone: dict[str, Any] = {"_id": doc, "_rev": rev}
    else:
        tombstone = _document(doc)
        if rev is not None:
            tombstone.setdefault("_rev", rev)
    tombstone["_deleted"] = True
    id = tombstone.get("_id")
    if validation.checks_here:
        validation.check(tombstone)
    shown = {id: tombstone} if isinstance(id, str) else {}
    return validation.plain(shown).remove(doc, rev, **options)


def validating_bulk_docs(
    db: SyncPouchDB, /, docs: Sequence[Any] | Mapping[str, Any] | str, **options: Any
) -> list[Record]:
    """Write the documents that all validation functions accept; return the result of each, in input order.

    A rejected document is ``{"id", "status", "name", "message", "error": True}`` in its place. ``new_edits`` is an
    option or a field of ``{"docs": [...]}``; without new edits only errors are returned. See ``validating_put``.
    """
    validation = _Validation(db, options)
    if not validation.checks_here:
        return validation.plain().bulk_docs(docs, **options)
    body = from_text(docs) if isinstance(docs, (str, bytes)) else docs
    listed = body.get("docs") if isinstance(body, Mapping) else body
    if not isinstance(listed, Sequence) or isinstance(listed, (str, bytes)):
        raise BadRequest("Missing JSON list of 'docs'")
    if isinstance(body, Mapping) and "new_edits" in body:
        options.setdefault("new_edits", body["new_edits"])
    given = [_document(doc) for doc in listed]
    for doc in given:
        if doc.get("_id") is None:
            doc["_id"] = db.new_id()
    errors = validation.judge(given)
    passed = [doc for doc, error in zip(given, errors, strict=True) if error is None]
    done = iter(db.bulk_docs(passed, **options) if passed else ())
    if options.get("new_edits") is False:
        return [*(_entry(doc, error) for doc, error in zip(given, errors, strict=True) if error is not None), *done]
    return [next(done) if error is None else _entry(doc, error) for doc, error in zip(given, errors, strict=True)]


def _entry(doc: Mapping[str, Any], error: PouchDBError) -> Record:
    return Record(**{**error.as_dict(), "id": doc["_id"]})


def validating_put_attachment(
    db: SyncPouchDB,
    /,
    id: str,
    name: str,
    data: Any,
    type: str = "application/octet-stream",
    rev: str | None = None,
    **options: Any,
) -> Record:
    """Put an attachment if all validation functions accept the document with it.

    They see it as ``{"content_type", "data"}`` in base64 (up to 8 MiB, else as a stub), the others as stubs. See
    ``validating_put``.
    """
    validation = _Validation(db, options)
    if validation.checks_here:
        doc = _with_rev(db, id, rev)
        doc["_attachments"] = {**doc.get("_attachments", {}), name: {"content_type": type, "stub": True}}
        validation.check(doc)
    return validation.plain().put_attachment(id, name, data, type, rev, **options)


def validating_remove_attachment(db: SyncPouchDB, /, id: str, name: str, rev: str, **options: Any) -> Record:
    """Remove an attachment if all validation functions accept the document without it. See ``validating_put``.

    Raises NotFound when the document or the revision is missing.
    """
    validation = _Validation(db, options)
    doc = dict(db.get(id, rev))
    if name in doc.get("_attachments", {}):
        doc["_attachments"] = {each: entry for each, entry in doc["_attachments"].items() if each != name}
    if validation.checks_here:
        validation.check(doc)
    return validation.plain({id: doc}).remove_attachment(id, name, rev, **options)


def _with_rev(db: SyncPouchDB, id: str, rev: str | None) -> dict[str, Any]:
    try:
        return dict(db.get(id, rev))
    except NotFound:
        return {"_id": id}


def install_validation_methods(db: SyncPouchDB) -> Record:
    """Make the plain methods of this database object validate: put, post, remove, bulk_docs and those of attachments.

    Documents replicated into the object are validated as well; rejected documents are ``denied``. Other objects of the
    same database are not affected. Raises AlreadyInstalled (status 500).
    """
    installed = db.state(INSTALLED)
    if installed:
        raise AlreadyInstalled
    installed.append(True)
    _judge_plain_writes(db)
    return Record(ok=True)


def uninstall_validation_methods(db: SyncPouchDB) -> Record:
    """Make the plain methods of this database object plain again. Raises NotInstalled (status 500)."""
    installed = db.state(INSTALLED)
    if not installed:
        raise NotInstalled
    installed.clear()
    return Record(ok=True)


def validator(db: SyncPouchDB, function: Validator | None = None, *, always: bool = False) -> Any:
    """Add a Python validator to the database, for all its objects in this environment; a decorator.

    It takes ``(new, old, user_ctx, security)`` or the first of them, as a ``validate_doc_update`` function does, and
    raises to reject: ``pouchdb.Forbidden("...")``, ``pouchdb.Unauthorized("...")``; any other exception is a failure
    (status 500). It is called after the functions of design documents, whenever those are; with ``always`` it also
    validates plain writes and replications. Returns the function.
    """
    if function is None:
        return lambda given: validator(db, given, always=always)
    if not callable(function):
        raise BadRequest(f"a validator must be a function (new, old, user_ctx, security), not {safe_repr(function)}")
    db.store_state(VALIDATORS).append(Registered(function, always))
    _judge_plain_writes(db)
    return function


def _judge_plain_writes(db: SyncPouchDB) -> None:
    db.store_state(CONCERNED).append(True)
    db.ask_guards_again()
