"""The methods of databases: create_index, get_indexes, delete_index, find and explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.results import Record
from pouchdb_core.tables import Table
from pouchdb_find import remote
from pouchdb_find.errors import FindError, shown
from pouchdb_find.execution import Results
from pouchdb_find.explaining import explained
from pouchdb_find.find_request import FindRequest
from pouchdb_find.managing import create, delete, listed

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["create_index", "delete_index", "explain", "find", "get_indexes"]


def find(
    db: SyncPouchDB,
    request: Mapping[str, Any] | None = None,
    *,
    selector: Mapping[str, Any] | None = None,
    fields: Sequence[str] | None = None,
    sort: Sequence[str | Mapping[str, str]] | None = None,
    limit: int | None = None,
    skip: int | None = None,
    bookmark: str | None = None,
    use_index: str | Sequence[str] | None = None,
    allow_fallback: bool | None = None,
    conflicts: bool | None = None,
    execution_stats: bool | None = None,
    update: bool | None = None,
    stable: bool | None = None,
    r: int | None = None,
) -> Table:
    """Find documents by a Mango selector: ``find({"selector": {"age": {"$gt": 30}}})``, or by keywords.

    Returns ``{"docs": [...], "bookmark": str, "warning"?: str, "execution_stats"?: {...}}``. Documents come in the
    order of the index that is used, or of their ids; at most 25 unless ``limit`` says otherwise. ``fields`` keeps only
    some (``"address.city"``), ``sort`` needs an index that begins with its fields, ``bookmark`` continues after an
    earlier result, ``use_index`` is ``"ddoc"`` or ``["ddoc", "name"]``; where that cannot be used another one is, with
    a warning, unless ``allow_fallback`` is False. ``conflicts`` adds ``_conflicts``, ``execution_stats`` its cost;
    ``update`` False reads the index as it is. ``stable`` and ``r`` are ignored here. The result is a
    Table (``to_pandas()``...).

    Raises FindError (400) under CouchDB's names, such as ``invalid_operator``, ``bad_arg`` and ``no_usable_index``.
    """
    given = _given(request, {name: value for name, value in locals().items() if name not in ("db", "request")})
    if db.remote:
        return Table(remote.post(db, "_find", given))
    results = Results(db, FindRequest.checked(given))
    docs = list(results)
    return Table(docs=docs, **results.closing())


def explain(
    db: SyncPouchDB,
    request: Mapping[str, Any] | None = None,
    *,
    selector: Mapping[str, Any] | None = None,
    fields: Sequence[str] | None = None,
    sort: Sequence[str | Mapping[str, str]] | None = None,
    limit: int | None = None,
    skip: int | None = None,
    bookmark: str | None = None,
    use_index: str | Sequence[str] | None = None,
    allow_fallback: bool | None = None,
    conflicts: bool | None = None,
    execution_stats: bool | None = None,
    update: bool | None = None,
    stable: bool | None = None,
    r: int | None = None,
) -> Record:
    """Return how ``find`` would run the same request, without reading a document.

    ``index`` is the one it would use, ``index_candidates`` the others with CouchDB's reasons. ``plan`` describes it in
    words: ``reads`` which index, ``ranges`` of it, ``filter`` the conditions that documents are tested by afterwards,
    and ``not_used`` why each other index is not. Raises what ``find`` raises, except for a sort without an index.
    """
    given = _given(request, {name: value for name, value in locals().items() if name not in ("db", "request")})
    if db.remote:
        return remote.post(db, "_explain", given)
    return explained(db, FindRequest.checked(given))


def create_index(
    db: SyncPouchDB,
    index: Mapping[str, Any],
    *,
    name: str | None = None,
    ddoc: str | None = None,
) -> Record:
    """Make an index of fields and build it: ``create_index({"index": {"fields": ["type", "age"]}})``.

    ``{"fields": [...]}`` alone will do; ``name`` and ``ddoc`` may be keywords or fields. A field is a name or
    ``{name: "asc"}``. ``partial_filter_selector`` next to the fields excludes other documents: such an index is only
    used where ``use_index`` names it. The default name is PouchDB's. Returns ``{"id", "name",
    "result"}``; ``result`` is "created", or "exists" if the same index exists.

    ``{"index": {}, "type": "text"}`` makes a text index, which ``$text`` needs, with the plug-in search: of all
    fields, or of ``"fields": [{"name": ..., "type": "string"}]``.

    Raises FindError (400), and the errors of writing a design document.
    """
    request = index
    if isinstance(request, Mapping):
        added = {key: value for key, value in (("name", name), ("ddoc", ddoc)) if value is not None}
        request = {**request, **added}
    if db.remote:
        return remote.create_index(db, request)
    return create(db, request)


def get_indexes(db: SyncPouchDB) -> Record:
    """List indexes: ``{"indexes": [{"ddoc", "name", "type", "def"}], "total_rows"}``, that of all documents first."""
    if db.remote:
        return remote.get(db, "_index")
    found = listed(db)
    return Record(indexes=found, total_rows=len(found))


def delete_index(
    db: SyncPouchDB,
    index: Mapping[str, Any] | None = None,
    *,
    ddoc: str | None = None,
    name: str | None = None,
    type: str | None = None,
) -> Record:
    """Delete an index, as ``get_indexes`` lists it or by ``ddoc`` and ``name``, with its rows.

    Returns ``{"ok": True}``. Raises NotFound.
    """
    if not (index is None or isinstance(index, Mapping)):
        raise FindError("bad_request", f"delete_index takes {{'ddoc': ..., 'name': ...}}, not {shown(index)}")
    given = {
        **(index or {}),
        **{key: value for key, value in (("ddoc", ddoc), ("name", name), ("type", type)) if value is not None},
    }
    for key in ("ddoc", "name"):
        if not isinstance(given.get(key), str) or not given[key]:
            raise BadRequest(f"delete_index needs the {key} of the index, as get_indexes() lists it")
    kind = given.get("type") or "json"
    if db.remote:
        return remote.delete_index(db, given["ddoc"], kind, given["name"])
    delete(db, given["ddoc"], given["name"], kind)
    return Record(ok=True)


def _given(request: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a mapping and keywords into one request. Raises FindError."""
    if request is None:
        request = {}
    if not isinstance(request, Mapping):
        raise FindError("bad_request", f"a query is {{'selector': {{...}}, ...}}, not {shown(request)}")
    return {**request, **{name: value for name, value in keywords.items() if value is not None}}
