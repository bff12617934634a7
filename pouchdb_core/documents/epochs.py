"""Lives (epochs) of a database: sequence numbers of two lives are the same up to the seq at which the second began."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pouchdb_core.documents.store import Store

__all__ = ["begin_epoch", "renew_epoch"]

LIVES = 50
"""Former epochs that are kept: a replication whose checkpoint is of an older one starts over."""


def begin_epoch(store: Store, former: Sequence[Mapping[str, Any]], epoch: str, seq: int) -> None:
    """Make the database another life of the one with this epoch and those ``former`` ones, the same up to ``seq``.

    Inside ``store.write()`` only.
    """
    store.set_metadata("former_epochs", [*former, {"epoch": epoch, "seq": seq}][-LIVES:])
    renew_epoch(store)


def renew_epoch(store: Store) -> None:
    """Give the life of a database that nobody knows yet an epoch of its own; inside ``store.write()`` only."""
    store.set_metadata("epoch", uuid.uuid4().hex)
