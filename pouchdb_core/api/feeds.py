"""The changes feed: past and future changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.api.options import callbacks, count, document_options, flags, milliseconds, text_list
from pouchdb_core.errors import BadRequest
from pouchdb_core.live import Feed
from pouchdb_core.requests import Changes, Style
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["changes", "filter_of", "heartbeat_of", "live_changes"]


def changes(
    db: Database,
    *,
    since: int | str | None = 0,
    limit: int | None = None,
    descending: bool = False,
    style: Style = "main_only",
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    binary: bool = False,
    doc_ids: Sequence[str] | None = None,
    filter: Callable[..., Any] | str | None = None,
    query_params: Mapping[str, Any] | None = None,
    view: str | None = None,
    selector: Mapping[str, Any] | None = None,
    seq_interval: int | None = None,
    return_docs: bool = True,
    live: bool = False,
    continuous: bool = False,
    batch_size: int | None = None,
    timeout: float | bool | None = None,
    heartbeat: float | bool | None = None,
    on_change: Callable[[Record], Any] | None = None,
    complete: Callable[..., Any] | None = None,
    onChange: Callable[[Record], Any] | None = None,
) -> Record:
    """Return what changed after ``since``: ``{"results": [row], "last_seq"}``.

    A row is ``{"seq", "id", "changes": [{"rev"}], "deleted"?, "doc"?}``; there is one per document,
    in the order of their last changes. ``since`` is a seq or ``"now"``; ``last_seq`` is where to
    continue. ``style="all_docs"`` lists every leaf. ``filter`` is a Python function of ``(doc)`` or
    ``(doc, req)`` (``req.query`` holds ``query_params``), the name of a design document's
    (``"design/name"``), ``"_design"``, ``"_doc_ids"``, ``"_view"`` (with ``view="design/name"``) or
    one that a plug-in brings, such as ``"_selector"`` (with ``selector``). With
    ``return_docs=False`` ``results`` stays empty. ``heartbeat`` and ``seq_interval`` matter over
    HTTP only; ``batch_size`` and ``timeout`` are accepted because PouchDB accepts them, and change
    nothing: the adapter decides how much is read at once, and how long a server may be silent
    follows from ``heartbeat``.

    With ``live=True`` (or ``continuous=True``) the result is the Feed that ``live_changes()``
    returns. ``on_change(row)`` and ``complete(error, result)`` are called as the events of those
    names, also when the feed is not live. Raises BadRequest, NotSupported.
    """
    filter = filter_of(filter, view, selector)
    if style not in ("main_only", "all_docs"):
        raise BadRequest(f"style must be 'main_only' or 'all_docs', not {safe_repr(style)}")
    if query_params is not None and not isinstance(query_params, Mapping):
        raise BadRequest(f"query_params must be a mapping, not {safe_repr(query_params)}")
    flags(descending=descending, include_docs=include_docs, return_docs=return_docs, live=live, continuous=continuous)
    count("batch_size", batch_size)
    milliseconds("timeout", timeout)
    since = 0 if since is None else since
    live = live or continuous
    if since in ("now", "latest") and live:
        # "now" is the time of the call, not of the first step.
        since = db.info()["update_seq"]
    callbacks(on_change=on_change, onChange=onChange, complete=complete)
    request = Changes(
        since=since,
        live=live,
        limit=count("limit", limit),
        descending=descending,
        style=style,
        include_docs=include_docs,
        options=document_options(conflicts=conflicts, attachments=attachments, binary=binary),
        doc_ids=None if doc_ids is None else tuple(text_list("doc_ids", doc_ids)),
        filter=filter,
        query_params=query_params or {},
        selector=selector,
        view=view,
        seq_interval=count("seq_interval", seq_interval),
        heartbeat=heartbeat_of(heartbeat),
        user=db.user,
        purpose=db.purpose,
    )
    answer: Record = db.starter.feed(db, request, return_docs, on_change or onChange, complete)
    return answer


def filter_of(
    filter: Callable[..., Any] | str | None, view: str | None, selector: Mapping[str, Any] | None
) -> Callable[..., Any] | str | None:
    """Return the filter for ``view`` and ``selector``, if they are given. Raises BadRequest."""
    for option, given, implied in (("view", view, "_view"), ("selector", selector, "_selector")):
        if given is not None:
            if filter not in (None, implied):
                raise BadRequest(f"{option} is a filter of its own: it cannot be given together with {filter!r}")
            filter = implied
    if selector is not None and not isinstance(selector, Mapping):
        raise BadRequest(f"selector must be a mapping, not {safe_repr(selector)}")
    return filter


def heartbeat_of(heartbeat: float | bool | None) -> float | None:
    """Return the milliseconds of the option; None for the default. Raises BadRequest."""
    if heartbeat is None or isinstance(heartbeat, bool):
        return None
    if type(heartbeat) not in (int, float) or not 0 < heartbeat < 1e9:
        raise BadRequest(f"heartbeat must be a number of milliseconds above 0, not {safe_repr(heartbeat)}")
    return heartbeat


def live_changes(
    db: Database,
    *,
    since: int | str = "now",
    limit: int | None = None,
    style: Style = "main_only",
    include_docs: bool = False,
    conflicts: bool = False,
    attachments: bool = False,
    binary: bool = False,
    doc_ids: Sequence[str] | None = None,
    filter: Callable[..., Any] | str | None = None,
    query_params: Mapping[str, Any] | None = None,
    view: str | None = None,
    selector: Mapping[str, Any] | None = None,
) -> Feed:
    """Return a live feed: ``for row in db.live_changes(): ...`` or ``.on("change", f)``, ended by ``cancel()``.

    Rows and options are those of ``changes()``; ``since`` is from now on unless a seq is given. Writes of this
    process, of other threads and of other processes on the same file arrive in order. The feed
    ends after ``limit`` rows, and when the database object is closed. Raises BadRequest.
    """
    return cast(
        "Feed",
        changes(
            db,
            live=True,
            since=since,
            limit=limit,
            style=style,
            include_docs=include_docs,
            conflicts=conflicts,
            attachments=attachments,
            binary=binary,
            doc_ids=doc_ids,
            filter=filter,
            query_params=query_params,
            view=view,
            selector=selector,
        ),
    )
