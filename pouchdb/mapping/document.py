"""The base class of mapped documents."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pouchdb.mapping.fields import Field, TextField
from pouchdb_core.errors import PouchDBError
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.database import SyncPouchDB

__all__ = ["Document"]


class Document:
    """A document whose fields are declared as attributes of a subclass.

    ``id`` (``_id``, a random UUID by default) and ``rev`` (``_rev``, None until stored) are always there.
    Raises TypeError for keywords that are not fields.
    """

    id = TextField(name="_id", default=lambda: str(uuid.uuid4()))
    rev = TextField(name="_rev")

    _fields: ClassVar[dict[str, Field]] = {"id": id, "rev": rev}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        fields: dict[str, Field] = {}
        for base in reversed(cls.__mro__):
            fields.update({name: each for name, each in vars(base).items() if isinstance(each, Field)})
        cls._fields = fields

    def __init__(self, **values: Any) -> None:
        self._values: dict[str, Any] = {}
        self._others: dict[str, Any] = {}
        """Fields of the stored document that the class does not declare; they are stored again as they are."""
        for name, field in self._fields.items():
            setattr(self, name, values.pop(name) if name in values else field.default())
        if values:
            raise TypeError(f"Got (an) unexpected keyword argument(s): {', '.join(map(repr, values))}.")

    @classmethod
    def _from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Return an instance of a stored document. Raises ValueError, TypeError when a field cannot be converted."""
        document = cls.__new__(cls)
        document._values = {}
        rest = dict(doc)
        for name, field in cls._fields.items():
            present = field.json_name in rest
            setattr(document, name, rest.pop(field.json_name) if present else field.default())
        document._others = rest
        return document

    @property
    def as_dict(self) -> dict[str, Any]:
        """The document as a dict by JSON names, with Python values; without ``_rev`` while there is none."""
        values = {**self._others, **self._values}
        if values["_rev"] is None:
            del values["_rev"]
        return values

    def _as_json(self) -> dict[str, Any]:
        doc = dict(self._others)
        for field in self._fields.values():
            value = self._values[field.json_name]
            doc[field.json_name] = None if value is None else field.to_json(value)
        if doc["_rev"] is None:
            del doc["_rev"]
        return doc

    def store(self, db: SyncPouchDB) -> Self:
        """Put it, set ``id`` and ``rev``, and return the instance. Raises Conflict and other errors of put."""
        response = db.put(self._as_json())
        self.id, self.rev = response["id"], response["rev"]
        return self

    @classmethod
    def load(cls, db: SyncPouchDB, id: str) -> Self:
        """Return the stored document of this id. Raises NotFound."""
        return cls._from_json(db.get(id))

    @classmethod
    def query(cls, db: SyncPouchDB, fun: Any, **options: Any) -> Record:
        """Query a view with ``include_docs`` and return its result with instances as rows.

        Each has the row's ``key`` and ``value`` as attributes. A row whose document is gone stays a plain row. A view
        that reduces has no documents: its plain result is returned.
        """
        try:
            answer: Record = db.query(fun, **{"include_docs": True, **options})
        except PouchDBError as error:
            if error.name != "query_parse_error" or options.get("include_docs"):
                raise
            return db.query(fun, **options)
        answer["rows"] = [cls._row(row) for row in answer["rows"]]
        return answer

    @classmethod
    def _row(cls, row: Record) -> Any:
        doc = row.get("doc")
        if doc is None:
            return row
        document: Any = cls._from_json(doc)
        document.key, document.value = row["key"], row["value"]
        return document

    def __repr__(self) -> str:
        shown = (
            f"{name}={_shown(self._values[field.json_name])}"
            for name, field in self._fields.items()
            if name not in ("id", "rev") and field.default() != self._values[field.json_name]
        )
        return f"{type(self).__name__}({', '.join(sorted(shown))})"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"'{name}': {member!r}" for name, member in value.items())) + "}"
    return f"'{value}'" if isinstance(value, str) else repr(value)
