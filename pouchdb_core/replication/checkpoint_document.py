"""What a checkpoint document says, whichever program wrote it; what is invalid in it is ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pouchdb_core.replication.seqs import went_back
from pouchdb_core.results import Record

__all__ = [
    "Entry",
    "agree",
    "common_ancestor",
    "own_document",
    "recorded_seq",
    "refused_revisions",
    "sessions",
    "shared_sessions",
    "witnesses",
]


def common_ancestor(source: Mapping[str, Any] | None, target: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the newest history entry that both checkpoints have, or None: start at the beginning.

    The algorithm of CouchDB and PouchDB: equal sessions agree at once; else walk both histories.
    Where the two sides have different seqs for one session, the lower one is believed: the source may
    be a checkpoint behind the target, and a target that was restored may be behind the source.
    Invalid parts of a document, whichever program wrote it, are ignored.
    """
    left, right = _parsed(source), _parsed(target)
    if left is None or right is None:
        return None
    if left[0] is not None and right[0] is not None and left[0]["session_id"] == right[0]["session_id"]:
        return _lower(left[0], right[0])
    mine, theirs = left[1], right[1]
    while mine and theirs:
        for entry in theirs:
            if entry["session_id"] == mine[0]["session_id"]:
                return _lower(mine[0], entry)
        for entry in mine[1:]:
            if entry["session_id"] == theirs[0]["session_id"]:
                return _lower(entry, theirs[0])
        mine, theirs = mine[1:], theirs[1:]
    return None


Entry = Mapping[str, Any]
"""A session, as a checkpoint's history or its newest member has it."""


def _parsed(document: Any) -> tuple[Entry | None, list[Entry]] | None:
    """Return the newest session and the history of a checkpoint, as far as they are valid."""
    if not isinstance(document, Mapping):
        return None
    history = document.get("history")
    newest = _entry(document, "source_last_seq", "source_epoch")
    entries = [_entry(each, "recorded_seq", "epoch") for each in (history if isinstance(history, list) else ())]
    return newest, [entry for entry in entries if entry is not None]


def _entry(given: Any, seq: str, epoch: str) -> Entry | None:
    if not isinstance(given, Mapping):
        return None
    session, recorded = given.get("session_id"), given.get(seq, given.get("last_seq"))
    if not (isinstance(session, str) and session) or not _is_seq(recorded):
        return None
    return {
        **given,
        "session_id": session,
        "recorded_seq": recorded,
        "epoch": given.get(epoch),
        "target_epoch": given.get("target_epoch"),
    }


def _is_seq(value: Any) -> bool:
    # Numbers here; strings in CouchDB, and lists in its clustered ancestors.
    if isinstance(value, list):
        return bool(value) and type(value[0]) is int
    return (type(value) is int and value >= 0) or (isinstance(value, str) and bool(value))


def _lower(mine: Entry, theirs: Entry) -> Entry:
    return theirs if went_back(recorded_seq(mine), recorded_seq(theirs)) else mine


def refused_revisions(value: Any) -> dict[str, list[str]]:
    """Return the ``denied`` field of a checkpoint, as far as it is valid."""
    if not isinstance(value, dict):
        return {}
    found = {
        id: [rev for rev in revs if isinstance(rev, str)]
        for id, revs in value.items()
        if isinstance(id, str) and isinstance(revs, list)
    }
    return {id: revs for id, revs in found.items() if revs}


def witnesses(value: Any) -> list[tuple[str, str]]:
    """Return the ``witnesses`` field of a checkpoint, as far as it is valid."""
    pairs = value if isinstance(value, list) else []
    pairs = [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2]
    return [(id, rev) for id, rev in pairs if isinstance(id, str) and isinstance(rev, str)]


def own_document(side: str, document: Record | None) -> Record | None:
    """Return a side's document; None if it was written as the other side's: the two have changed places since."""
    return document if document is None or document.get("side", side) == side else None


def shared_sessions(
    source: Mapping[str, Any] | None, target: Mapping[str, Any] | None, newest: str
) -> dict[str, Entry]:
    """Return the sessions from ``newest`` on that both sides know, each with the lower seq of the two."""
    mine = {each["session_id"]: each for each in sessions(source)}
    shared: dict[str, Entry] = {}
    for each in sessions(target):
        session = each["session_id"]
        if session in mine and (shared or session == newest):
            shared[session] = _lower(each, mine[session])
    return shared


def recorded_seq(entry: Entry) -> Any:
    return entry.get("recorded_seq", entry.get("last_seq"))


def sessions(document: Mapping[str, Any] | None) -> list[Entry]:
    """Return the valid entries of a checkpoint, unchanged."""
    found = _parsed(document)
    if document is None or found is None:
        return []
    raw: Iterable[Any] = document.get("history") if isinstance(document.get("history"), list) else ()  # type: ignore[assignment]
    return [each for each in raw if _entry(each, "recorded_seq", "epoch") is not None]


def agree(source: Mapping[str, Any] | None, target: Mapping[str, Any] | None) -> bool:
    """Return whether both sides say the same, so that nothing is written until there is something new."""
    members = ("session_id", "source_last_seq", "source_epoch", "target_epoch")
    return source is not None and target is not None and all(source.get(m) == target.get(m) for m in members)
