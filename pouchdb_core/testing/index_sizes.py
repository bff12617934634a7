"""The sizes of an index while it grows, for authors of stores."""

from __future__ import annotations

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.views.state import index_sizes

__all__ = ["grown_index"]


def grown_index(database: SyncPouchDB) -> list[int]:
    """Return the size of the file of the view ``d/by``, before it is built and after each 1,000 of 3,000 rows.

    Asserts that an index that is not built has no size, and that its sizes are consistent with each other.
    """
    database.put({"_id": "_design/d", "views": {"by": {"map": "function (doc) { emit(doc.n, doc.text); }"}}})
    assert index_sizes(database, "d") == {"file": 0, "active": 0, "external": 0}, "it is not built"
    seen = [0]
    for start in range(0, 3000, 1000):
        database.bulk_docs([{"_id": f"{n:05}", "n": n, "text": "x" * 50} for n in range(start, start + 1000)])
        database.query("d/by", limit=0)
        sizes = index_sizes(database, "d")
        assert 0 < sizes["external"] <= sizes["active"] <= sizes["file"]
        seen.append(sizes["file"])
    assert seen[-1] > 3000 * 50
    return seen
