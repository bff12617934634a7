"""The identity of a replication, so that it finds the checkpoint of its last run and of no other replication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.replication.background import Background
from pouchdb_core.replication.checkpoint import Checkpoints, in_turn
from pouchdb_core.replication.lives import Epoch, Side
from pouchdb_core.replication.replication_id import filter_source, replication_id
from pouchdb_core.replication.tools import Tools
from pouchdb_core.requests import Replicate

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["open_checkpoints"]


def open_checkpoints(
    source: Database,
    target: Database,
    request: Replicate,
    tools: Tools,
    infos: tuple[Mapping[str, Any], Mapping[str, Any]],
    lives: Mapping[str, Side],
    background: Background,
) -> tuple[str, Checkpoints]:
    """Return the id of a replication and its Checkpoints; ``infos`` are those of source and target."""
    epochs = Epoch(infos[0]), Epoch(infos[1])
    ids = source.id(), target.id()
    if ids[0] == ids[1]:
        # A database and its own backup: two lives of one database, and a replication back is a different one.
        ids = f"{ids[0]}:{epochs[0].now}", f"{ids[1]}:{epochs[1].now}"
    id = replication_id(
        *ids,
        filter=_filter(source, request),
        query_params={**request.query_params, "view": request.view} if request.view else request.query_params,
        selector=request.selector,
        doc_ids=request.doc_ids,
        winning_revs_only=request.winning_revs_only,
    )
    checkpoints = Checkpoints(
        id,
        source,
        target,
        tools.new_session(),
        epochs,
        tools.now,
        sides=request.checkpoint,
        lives=lives,
        described={"source": source.name, "source_id": source.id(), "target": target.name},
        # CouchDB from 2.0 on, and our server, say 0 here: acknowledged writes are on the disk.
        commit=None if infos[1].get("instance_start_time") == "0" else target.adapter.commit,
        # A local database answers at once.
        together=background.together if source.remote or target.remote else in_turn,
    )
    return id, checkpoints


def _filter(source: Database, request: Replicate) -> str | None:
    """Return what the filter does, as text; for a design document's function its revision, so that an edit counts."""
    text = filter_source(request.filter)
    name: Any = request.filter
    if name == "_view":
        name = request.view or request.query_params.get("view")
    elif isinstance(name, str) and name.startswith("_") and not name.startswith("_design/"):
        return text
    if source.remote or not isinstance(name, str):
        return text
    id = "_design/" + name.removeprefix("_design/").partition("/")[0]
    return f"{text} {next((ddoc['_rev'] for ddoc in source.design_documents() if ddoc['_id'] == id), None)}"
