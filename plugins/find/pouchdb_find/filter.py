"""``filter="_selector"`` of changes and replications: only documents that match a selector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pouchdb_core.changes.filters import ChangesFilter, Judge
from pouchdb_core.errors import BadRequest
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record
from pouchdb_find.mango_index import encode_of
from pouchdb_find.matching import compiled
from pouchdb_find.selectors import normalize

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["SelectorFilter"]


class SelectorFilter(ChangesFilter):
    """``changes(selector={...})``; deleted documents are tested as tombstones."""

    name = "_selector"

    def open(self, database: Database, request: Changes) -> Judge:
        selector = request.selector if request.selector is not None else request.query_params.get("selector")
        if selector is None:
            raise BadRequest("filter '_selector' needs a selector")
        test = compiled(normalize(selector), encode_of(database))

        def judge(docs: Sequence[Record]) -> list[bool]:
            return [test(doc) for doc in docs]

        return judge
