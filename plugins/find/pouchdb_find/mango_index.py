"""The index of a design document's fields: a table for each of its definitions, a column for each field.

Columns hold keys as bytes in CouchDB's order, so that a condition on any field is a condition of SQL, and
``ORDER BY`` the columns is CouchDB's order of rows. A document is in an index if it has all of its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.views.collation import Encode, order_of
from pouchdb_core.views.index import Batch, IndexKind, IndexPlace, InsideIndex
from pouchdb_find.definitions import Definition, defined
from pouchdb_find.fields import Absent, getter
from pouchdb_find.matching import Test, compiled

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["KIND", "MangoIndex", "MangoKind", "columns", "encode_of", "table"]

KIND = "mango"

Rows = list[tuple[Any, ...]]


def table(number: int) -> str:
    """Return the name of a definition's table, quoted for SQL."""
    return f"{{rows{number}}}"


def columns(definition: Definition) -> list[str]:
    """Return the columns of a definition's table by which its rows are sorted."""
    return [*(f"k{number}" for number in range(len(definition.fields))), "id"]


def encode_of(database: Database) -> Encode:
    """Return the function that encodes values of a database as bytes, by how its strings sort."""
    return order_of(database)[0]


class MangoKind(IndexKind):
    """JSON indexes of design documents whose language is "query"."""

    name = KIND

    def definition(self, database: Database, ddoc: Mapping[str, Any]) -> Any:
        found = defined(ddoc)
        version = order_of(database)[1]
        order = [] if version is None else ["icu", version]
        return [[each.name, each.fields, each.partial, *order] for each in found] or None

    def open(self, database: Database, place: IndexPlace) -> MangoIndex:
        return MangoIndex(place, encode_of(database))


class MangoIndex(InsideIndex):
    """The JSON indexes of one design document; tables are numbered as ``definitions`` are."""

    def __init__(self, place: IndexPlace, encode: Encode) -> None:
        super().__init__(place)
        self.encode = encode
        self.definitions = defined(place.ddoc)
        self._readers = [_reader(definition, encode) for definition in self.definitions]

    def number(self, name: str) -> int:
        """Return the number of a definition."""
        return next(number for number, each in enumerate(self.definitions) if each.name == name)

    def create(self) -> None:
        for number, definition in enumerate(self.definitions):
            rows, names = table(number), columns(definition)
            keys = "".join(f"{name} BLOB NOT NULL, " for name in names[:-1])
            self.place.tables.run(
                f"CREATE TABLE {rows} ({keys}id TEXT NOT NULL, PRIMARY KEY ({', '.join(names)})) WITHOUT ROWID"
            )
            if len(names) > 1:
                self.place.tables.run(f"CREATE INDEX {{rows{number}_by_document}} ON {rows} (id)")

    def prepare(self, batch: Batch) -> tuple[list[Rows], int]:
        found: list[Rows] = [[] for _ in self.definitions]
        for change in batch.living:
            doc = change.document()
            for rows, read in zip(found, self._readers, strict=True):
                try:
                    row = read(doc)
                except ValueError as error:
                    batch.report(change.id, error)
                    continue
                if row is not None:
                    rows.append((*row, change.id))
        return found, len(batch.changes)

    def apply(self, batch: Batch, work: list[Rows]) -> None:
        tables = self.place.tables
        replaced = [(id,) for id in batch.replaced]
        for number, (definition, rows) in enumerate(zip(self.definitions, work, strict=True)):
            if replaced:
                tables.many(f"DELETE FROM {table(number)} WHERE id = ?", replaced)
            if rows:
                names = columns(definition)
                marks = ", ".join("?" * len(names))
                # Within a table rows in order are written in half the time.
                rows.sort()
                tables.many(f"INSERT INTO {table(number)} ({', '.join(names)}) VALUES ({marks})", rows)


def _reader(definition: Definition, encode: Encode) -> Callable[[Any], tuple[bytes, ...] | None]:
    """Return a function that returns a document's keys, or None if it is not in the index."""
    readers = [getter(field) for field in definition.fields]
    passes: Test | None = compiled(definition.partial, encode) if definition.partial else None

    def read(doc: Any) -> tuple[bytes, ...] | None:
        if passes is not None and not passes(doc):
            return None
        keys = []
        for reader in readers:
            value = reader(doc)
            if type(value) is Absent:
                return None
            keys.append(encode(value))
        return tuple(keys)

    return read
