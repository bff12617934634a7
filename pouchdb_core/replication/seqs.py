"""Sequence numbers of any server, compared as far as they have numbers."""

from __future__ import annotations

from typing import Any

__all__ = ["reached", "seq_number", "went_back"]


def seq_number(seq: Any) -> int | None:
    """Return the number in a seq: CouchDB's are strings or lists that begin with one. None if there is no number."""
    if isinstance(seq, list):
        seq = seq[0] if seq else None
    if isinstance(seq, str):
        seq = seq.partition("-")[0]
        return int(seq) if seq.isdecimal() and len(seq) < 20 else None
    return seq if type(seq) is int else None


def went_back(before: Any, after: Any) -> bool:
    """Return whether the feed of a database seems to have gone backwards, as far as its seqs have numbers."""
    first, second = seq_number(before), seq_number(after)
    return first is not None and second is not None and second < first


def reached(seq: Any, end: Any) -> bool:
    """Return whether ``seq`` has reached ``end``; False for seqs that only their source understands."""
    return type(seq) is int and type(end) is int and seq >= end
