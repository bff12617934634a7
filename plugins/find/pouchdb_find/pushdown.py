"""For other plug-ins: the documents that match a selector, one by one, by the best existing index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.results import Record
from pouchdb_find import remote
from pouchdb_find.execution import Results
from pouchdb_find.explaining import explained
from pouchdb_find.find_request import FindRequest

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Selection", "select"]

PAGE = 1000
"""Documents requested from a server at a time."""


class Selection:
    """The documents that match a selector. Iterate over it; each iteration runs the query again.

    Documents are Records, made on demand: memory does not grow with their number. Documents written
    meanwhile may be seen or not.
    """

    def __init__(self, database: SyncPouchDB, given: Mapping[str, Any]) -> None:
        self._database = database
        self._given = dict(given)
        # Errors in the request are raised now.
        self._request = FindRequest.checked(self._given)

    def __iter__(self) -> Iterator[Record]:
        if not self._database.remote:
            return iter(Results(self._database, self._request.unlimited()))
        return self._of_server()

    def _of_server(self) -> Iterator[Record]:
        bookmark = None
        while True:
            answer = remote.post(self._database, "_find", {**self._given, "limit": PAGE, "bookmark": bookmark})
            yield from answer["docs"]
            if len(answer["docs"]) < PAGE or not answer.get("bookmark"):
                return
            bookmark = answer["bookmark"]

    def explain(self) -> Record:
        """Return the result of ``explain``: ``index`` is the one that is used, ``plan`` describes it in words."""
        if self._database.remote:
            return remote.post(self._database, "_explain", self._given)
        return explained(self._database, self._request)


def select(
    database: SyncPouchDB,
    selector: Mapping[str, Any],
    *,
    sort: Sequence[str | Mapping[str, str]] = (),
    fields: Sequence[str] = (),
    use_index: str | Sequence[str] | None = None,
) -> Selection:
    """Return all documents that match a selector, streamed, on behalf of the database object's user.

    Design documents never match. Rows come in the order of the index that is used; with ``sort`` in its order, which
    needs an index that begins with those fields. Works with local and remote databases. Raises FindError at once
    for errors in the request, ``no_usable_index`` when the iteration begins.
    """
    options = {"sort": sort, "fields": fields, "use_index": use_index}
    return Selection(database, {"selector": selector, **{name: value for name, value in options.items() if value}})
