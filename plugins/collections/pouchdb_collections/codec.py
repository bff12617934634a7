"""From documents to objects and back: ids and revisions, kinds, versions. Pure, it reads and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from pouchdb_collections.model_errors import ModelError, NewerVersion, OtherKind
from pouchdb_collections.shapes import shape_of
from pouchdb_collections.typed_rows import Change, Row
from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import dump, load
from pouchdb_core.safe_repr import safe_repr

__all__ = ["Codec", "Migration", "Misfits"]

M = TypeVar("M")
T = TypeVar("T")

Migration = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Takes a document of one version, returns it in the next one."""
Misfits = Callable[[ModelError], object]
"""Takes the error of a document that is left out where many are read."""

OWN = ("_id", "_rev")
KEYS = ("key", "keys", "startkey", "start_key", "endkey", "end_key")
META = ("_conflicts", "_revisions", "_revs_info", "_deleted_conflicts", "_local_seq", "_deleted")
"""Fields of a result that are not the document's."""


class Codec(Generic[M]):
    """The rules of one collection.

    The field ``id`` of the model is the document's ``_id`` and ``rev`` its ``_rev``, or under other names where
    the options say so; a model without them works, but every call then needs the id. Documents hold their ``kind``
    in the field ``type`` and, once there are migrations, their version in ``version``.
    """

    def __init__(
        self,
        model: type[M],
        *,
        id: str,
        rev: str,
        kind: str | None,
        kind_member: str,
        migrations: Sequence[Migration],
        version_member: str,
        misfits: Misfits | None = None,
    ) -> None:
        if misfits is not None and not callable(misfits):
            raise BadRequest(f"misfits must be a function that takes a ModelError, not {safe_repr(misfits)}")
        self.model, self.kind, self._misfits = model, kind, misfits
        self._shape = shape_of(model)
        members = self._shape.members
        self._own = [(members[field], name) for field, name in ((id, "_id"), (rev, "_rev")) if field in members]
        self._has_rev = rev in members
        self._kind_member, self._version_member = kind_member, version_member
        self._migrations = tuple(migrations)
        self.version = len(self._migrations) + 1
        """The version that is written: one more than there are migrations."""
        known = set(members.values())
        taken = {kind_member} if kind is not None else set[str]()
        if self._migrations:
            taken.add(version_member)
        if clash := known & taken - {kind_member}:
            raise BadRequest(f"{model.__name__} has a field {', '.join(clash)}: choose another version_member")
        self._has_kind = kind_member in known
        self._managed = known | taken | {*OWN, *META}

    # -- from a document -------------------------------------------------------------------------

    def is_mine(self, doc: Mapping[str, Any]) -> bool:
        """Return whether a document is of the collection."""
        if self.kind is None:
            return not str(doc.get("_id", "")).startswith("_design/")
        return doc.get(self._kind_member) == self.kind

    def is_old(self, doc: Mapping[str, Any]) -> bool:
        """Return whether a document was written by an earlier version."""
        return self._version(doc) < self.version

    def load(self, doc: Mapping[str, Any]) -> M:
        """Return the object for a document. Raises OtherKind, NewerVersion, ModelError."""
        id = doc.get("_id")
        if not self.is_mine(doc):
            kind, shown = self.kind or self.model.__name__, safe_repr(doc.get(self._kind_member))
            wrong = f"the document {id!r} is not of the kind {kind!r}: its {self._kind_member} is {shown}"
            raise OtherKind(wrong, id=id)
        if self._version(doc) > self.version:
            wrong = f"the document {id!r} has version {self._version(doc)}; {self.version} is the newest known here"
            raise NewerVersion(wrong, id=id)
        migrated = self._migrated(doc)
        members = {name: value for name, value in migrated.items() if name not in (*OWN, *META)}
        if self._migrations:
            members.pop(self._version_member, None)
        if self.kind is not None and not self._has_kind:
            members.pop(self._kind_member, None)
        members.update({member: doc[name] for member, name in self._own if name in doc})
        try:
            return self._shape.from_json(dump(members))
        except ValueError as error:
            raise ModelError(f"the document {id!r} does not fit {self.model.__name__}: {error}", id=id) from error

    def load_all(self, docs: Iterable[Mapping[str, Any]]) -> list[M]:
        """Return the objects for documents. Raises as ``load``."""
        return [self.load(doc) for doc in docs]

    def fitting(self, read: Callable[[Any], T | None], found: Any) -> Iterator[T]:
        """Yield what ``read`` makes of one of many; nothing for None, and for a misfit if these are reported.

        Raises ModelError if they are not.
        """
        try:
            made = read(found)
        except ModelError as error:
            if self._misfits is None:
                raise
            self._misfits(error)
            return
        if made is not None:
            yield made

    def row(self, row: Mapping[str, Any]) -> Row[M]:
        """Return a row of a view with its document."""
        return Row(row["id"], row.get("key"), row.get("value"), self.load(row["doc"]))

    def change(self, row: Mapping[str, Any]) -> Change[M] | None:
        """Return a change; None for one of a document that is not of the collection."""
        deleted = bool(row.get("deleted"))
        doc = row.get("doc")
        if deleted or doc is None:
            return Change(row["id"], row["seq"], deleted, None) if deleted else None
        return Change(row["id"], row["seq"], False, self.load(doc)) if self.is_mine(doc) else None

    def selector(self, selector: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a selector of find that matches documents of the collection only; its values may be of the model."""
        selector = self.plain(selector)
        if self.kind is None:
            return selector
        mine = {self._kind_member: self.kind}
        # Combined in this way, an index of both serves it.
        return {"$and": [mine, dict(selector)]} if self._kind_member in selector else {**mine, **selector}

    def indexed(self, fields: Iterable[str]) -> list[str]:
        """Return the fields of an index that serves such selectors."""
        return [*([] if self.kind is None else [self._kind_member]), *fields]

    def plain(self, value: Any) -> Any:
        """Return a value of a query as it would be stored; one that cannot be, for the query to report it."""
        try:
            return self._shape.plain(value)
        except (TypeError, ValueError):
            return value

    def keys(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a query with its keys as they would be stored."""
        return {name: self.plain(value) if name in KEYS else value for name, value in options.items()}

    def id_of(self, value: M) -> Any:
        """Return the id of an object; None if it has none."""
        return self.dump(value).get("_id")

    # -- to a document ---------------------------------------------------------------------------

    def dump(self, value: M, id: str | None = None, rev: str | None = None) -> dict[str, Any]:
        """Return the document for an object. Raises BadRequest for an object of another class or a second id."""
        if not isinstance(value, self.model):
            raise BadRequest(f"the collection holds {self.model.__name__}, not {type(value).__name__}")
        doc: dict[str, Any] = dict(load(self._shape.to_json(value)))
        for member, name in self._own:
            found = doc.pop(member, None)
            if found is not None:
                doc[name] = found
        if id is not None and doc.setdefault("_id", id) != id:
            raise BadRequest(f"the object has the id {doc['_id']!r}, but the id {id!r} was given", id=id)
        if rev is not None:
            doc["_rev"] = rev
        if self.kind is not None:
            doc[self._kind_member] = self.kind
        if self._migrations:
            doc[self._version_member] = self.version
        return doc

    def keeping(self, doc: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        """Return a document with what its stored revision has beyond the model: attachments, other fields."""
        migrated = self._migrated(before)
        return {**{name: value for name, value in migrated.items() if name not in self._managed}, **doc}

    def stored(self, value: M, doc: Mapping[str, Any], result: Mapping[str, Any]) -> M:
        """Return the object as it was stored, with its id and revision."""
        if not self._own:
            return value
        return self.load({**doc, "_id": result["id"], "_rev": result["rev"]})

    def renewed(self, doc: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a document of an earlier version as one of this version; None for one of this. Raises ModelError."""
        if not self.is_old(doc):
            return None
        made = self.dump(self.load(doc), doc["_id"], doc["_rev"])
        return self.keeping(made, doc)

    def _version(self, doc: Mapping[str, Any]) -> int:
        found = doc.get(self._version_member, 1) if self._migrations else 1
        if type(found) is not int or found < 1:
            id = doc.get("_id")
            raise ModelError(f"the document {id!r} has an invalid version: {safe_repr(found)}", id=id)
        return found

    def _migrated(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        version = self._version(doc)
        migrated: Mapping[str, Any] = doc
        for migration in self._migrations[version - 1 :]:
            migrated = migration(dict(migrated))
        return migrated
