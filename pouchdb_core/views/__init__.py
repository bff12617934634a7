"""Indexes that follow the changes feed, and map/reduce on top of them.

The names that plug-in authors need are here; see ``index`` for how to write an index.
"""

from pouchdb_core.views import collate
from pouchdb_core.views.collation import Encode, order_of
from pouchdb_core.views.follow import Follower
from pouchdb_core.views.index import Batch, IndexKind, IndexPlace, InsideIndex, OutsideIndex
from pouchdb_core.views.index_store import Tables, ViewRows
from pouchdb_core.views.register import indexes

__all__ = [
    "Batch",
    "Encode",
    "Follower",
    "IndexKind",
    "IndexPlace",
    "InsideIndex",
    "OutsideIndex",
    "Tables",
    "ViewRows",
    "collate",
    "indexes",
    "order_of",
]
