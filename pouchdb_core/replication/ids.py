"""The id of a replication: the name under which both sides keep its checkpoints."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["PREFIX", "VERSION", "filter_source", "replication_id"]

VERSION = 1
"""Changing what is hashed starts every replication anew: then this goes up."""

PREFIX = "_local/py"
"""How the ids of checkpoints begin."""


def replication_id(
    source: str,
    target: str,
    *,
    filter: str | None = None,
    query_params: Mapping[str, Any] | None = None,
    doc_ids: Sequence[str] | None = None,
    selector: Mapping[str, Any] | None = None,
    winning_revs_only: bool = False,
) -> str:
    """Return the id of the local document that holds the checkpoint, ``_local/...``.

    ``source`` and ``target`` are the databases' ids (uuids, not names: a database that is made
    again is another one). What chooses documents is part of it, in a canonical form, so that an
    edited filter starts over and a reordered selector does not (spec: replication 4.1).
    """
    identity = [
        VERSION,
        source,
        target,
        filter,
        query_params or None,
        None if doc_ids is None else sorted(set(doc_ids)),
        selector,
        winning_revs_only,
    ]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), default=repr)
    return f"{PREFIX}{VERSION}-{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"


def filter_source(wanted: Callable[..., Any] | str | None) -> str | None:
    """Return what a filter is, as text: its name, or the source of a Python function.

    The source is stable between runs of a program; an address in memory would not be. A function
    whose source cannot be had counts by its name.
    """
    if wanted is None or isinstance(wanted, str):
        return wanted
    try:
        return inspect.getsource(wanted)
    except (OSError, TypeError):
        return f"{getattr(wanted, '__module__', '')}.{getattr(wanted, '__qualname__', type(wanted).__qualname__)}"
