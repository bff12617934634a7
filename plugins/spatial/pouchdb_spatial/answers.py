"""The rows of a result, as GeoCouch, Cloudant Geo and GeoJSON have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pouchdb_core.jsontext import dump, load
from pouchdb_core.results import Record, record
from pouchdb_core.tables import Table
from pouchdb_spatial.spatial_index import Row

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["FORMATS", "FeatureCollection", "Shown"]

FORMATS = ("view", "geojson", "legacy", "application/vnd.geo+json")


class FeatureCollection(Table):
    """A result in GeoJSON. ``save`` writes it to a file that any map viewer opens."""

    __slots__ = ()

    def to_columns(self, *, docs: bool | None = None) -> dict[str, list[Any]]:
        """Return {name: values} for tables and CSV: the ids, the properties, the geometries."""
        rows = [
            Record({"_id": each["_id"], **each["properties"], "geometry": each["geometry"]} if "type" in each else each)
            for each in self["features"]
        ]
        if docs:
            rows = [each.get("doc") or Record() for each in self["features"]]
        return Table(rows=rows).to_columns(docs=False)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the collection to a file, without the bookmark."""
        content = {name: value for name, value in self.items() if name != "bookmark"}
        Path(path).write_bytes(dump(content))


class Shown:
    """What a query wants to see of its rows; ``st``: those of Cloudant Geo."""

    def __init__(self, db: SyncPouchDB, *, st: bool, docs: bool, conflicts: bool, format: str) -> None:
        self._db, self._st, self._docs, self._conflicts, self._format = db, st, docs, conflicts, format

    @property
    def plain(self) -> bool:
        """Whether rows have an id and a geometry, and nothing else."""
        return self._st and not self._docs and self._format == "view"

    @staticmethod
    def plain_rows(page: Sequence[tuple[str, bytes | None]]) -> list[Record]:
        """Return rows of (id, JSON of the geometry)."""
        if not page:
            return []
        # Together, as parsing each takes twice as long.
        geometries = load(b"[%b]" % b",".join([text or b"null" for _, text in page]))
        return [
            Record(id=id, geometry=geometry if text is None else _record(text, geometry))
            for (id, text), geometry in zip(page, geometries, strict=True)
        ]

    def rows(self, page: list[Row]) -> list[Record]:
        """Return rows, or features, with their documents if these are wanted."""
        docs = self._documents(page) if self._docs or self._format != "view" else {}
        if self._format == "legacy":
            return [Record(id=row.id) for row in page]
        if self._format != "view":
            return [self._feature(row, docs) for row in page]
        if self.plain:
            return self.plain_rows([(row.id, row.geometry_text) for row in page])
        return [self._row(row, docs) for row in page]

    def _row(self, row: Row, docs: Mapping[str, Any]) -> Record:
        if self._st:
            shown = Record(id=row.id, geometry=row.geometry)
        else:
            key = [list(interval) for interval in row.box]
            shown = Record(id=row.id, key=key, geometry=row.geometry, value=row.value, bbox=_flat(row))
        if self._docs:
            doc = docs.get(self._linked(row))
            if doc is not None:
                shown["doc"] = doc
        return shown

    def _linked(self, row: Row) -> str:
        """Return the id of the document of a row: the one its value names, or its own."""
        value = None if self._st else row.value
        linked = value.get("_id") if isinstance(value, Mapping) else None
        return linked if isinstance(linked, str) else row.id

    def _documents(self, page: list[Row]) -> dict[str, Any]:
        ids = list(dict.fromkeys(self._linked(row) for row in page))
        if not ids:
            return {}
        listing = self._db.all_docs(keys=ids, include_docs=True, conflicts=self._conflicts)
        return {row["key"]: row["doc"] for row in listing["rows"] if row.get("doc")}

    def _feature(self, row: Row, docs: Mapping[str, Any]) -> Record:
        geometry = row.geometry
        # One that is no geometry (a line of one point) is kept from viewers: many open none of the file for it.
        feature = Record(_id=row.id, type="Feature", geometry=None if row.shape is None else geometry)
        doc = docs.get(self._linked(row)) or {}
        properties = doc.get("properties")
        if not isinstance(properties, Mapping):
            members = {name: value for name, value in doc.items() if not name.startswith("_") and value != geometry}
            properties = Record(members)
        feature["properties"] = properties
        if self._docs:
            feature["doc"] = doc
        return feature


def _record(text: bytes, geometry: Any) -> Record:
    """Return a parsed geometry as Records; few have objects in them, by which its text is known."""
    return Record(geometry) if text.count(b"{") == 1 else record(geometry)


def _flat(row: Row) -> list[float]:
    box = row.box[:2]
    return [*(low for low, _ in box), *(high for _, high in box)]
