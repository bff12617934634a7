"""The simulation finds what is broken: each mistake here is one that a replicator could have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from replicas.seeds import play

from pouchdb_core.live import Replication
from pouchdb_core.replication import lives, replicate
from pouchdb_core.replication.batch import Transfer
from pouchdb_core.replication.checkpoint import Checkpoints
from pouchdb_core.replication.lives import Side
from pouchdb_core.replication.replicate import Replicator
from pouchdb_core.replication.replication_progress import Refused
from pouchdb_core.replication.watch import Watch

SEEDS = 40
"""How many are played until one finds it."""

Patch = pytest.MonkeyPatch


def checkpoint_before_write(patch: Patch) -> None:
    """What was not written yet is remembered as done."""
    written = Replicator._batch

    def batch(self: Any, transfer: Any, rows: Any, last_seq: Any, *, ask: bool) -> Iterator[Any]:
        self.last_seq, before = last_seq, self.last_seq
        self._save()
        self.last_seq = before
        yield from written(self, transfer, rows, last_seq, ask=ask)

    patch.setattr(Replicator, "_batch", batch)


def losing_leaf(patch: Patch) -> None:
    """Of a conflict only the winner travels."""
    missing = Transfer.missing
    patch.setattr(Transfer, "missing", lambda self, revs: missing(self, {id: each[:1] for id, each in revs.items()}))


def tombstones(patch: Patch) -> None:
    """What was deleted is not told."""
    read = replicate.Ahead.changes

    def changes(self: Any, *args: Any, **options: Any) -> Any:
        rows, last_seq = read(self, *args, **options)
        return [row for row in rows if "deleted" not in row], last_seq

    patch.setattr(replicate.Ahead, "changes", changes)


def refusals(patch: Patch) -> None:
    """What the target refused is never tried again."""
    patch.setattr(Refused, "add", lambda self, revision, since: None)


def one_too_far(patch: Patch) -> None:
    """The seq after a batch is one too high."""
    read = replicate.Ahead.changes

    def changes(self: Any, *args: Any, **options: Any) -> Any:
        rows, last_seq = read(self, *args, **options)
        return rows, last_seq + 1 if rows else last_seq

    patch.setattr(replicate.Ahead, "changes", changes)


def attachments(patch: Patch) -> None:
    """Content of attachments is taken from the winner."""
    opened = Transfer._open_all

    def open_all(self: Any, document: Any) -> Any:
        rev = self.source.get(document["_id"])["_rev"]
        return opened(self, type(document)({**document, "_rev": rev}))

    patch.setattr(Transfer, "_open_all", open_all)


def deaf(patch: Patch) -> None:
    """A live replication does not hear of writes."""
    begin = Replication._begin
    patch.setattr(Replication, "_begin", lambda self, it, _, *rest: begin(self, it, lambda wake: lambda: None, *rest))


def learnt_at_the_start(patch: Patch) -> None:
    """What was seen of the two sides at the beginning is never looked at again: A2 of version 0.1.0."""
    patch.setattr(Side, "check", lambda self: None)
    patch.setattr(Checkpoints, "_compare", lambda self, side, known, document: None)


def only_checkpoints(patch: Patch) -> None:
    """A side that still has its checkpoint is believed to have what was written since."""
    patch.setattr(Side, "check", lambda self: None)


def says_nothing(patch: Patch) -> None:
    """No database says who it is, as CouchDB's do not: no mistake by itself, but it hides none of the others."""
    patch.setattr(lives, "_identity", lambda info: {})


def one_witness(patch: Patch) -> None:
    """Of a batch only its last document is asked for."""
    says_nothing(patch)
    witness = Watch.witness
    patch.setattr(Watch, "witness", lambda self, rows, absent, refused: witness(self, rows[-1:], absent, refused))


def sleeps(patch: Patch) -> None:
    """What waits never looks whether both sides still are who they were."""
    says_nothing(patch)

    def look_idly(self: Any, look: Any, **options: Any) -> None:
        self.look_at = self._clock() + 60.0

    patch.setattr(Watch, "look_idly", look_idly)


@pytest.mark.parametrize(
    "mistake",
    [
        checkpoint_before_write,
        losing_leaf,
        tombstones,
        refusals,
        one_too_far,
        attachments,
        deaf,
        learnt_at_the_start,
        only_checkpoints,
        one_witness,
        sleeps,
    ],
    ids=lambda mistake: mistake.__name__,
)
def test_a_mistake_is_found(mistake: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mistake(monkeypatch)
    failure = next((found for seed in range(SEEDS) if (found := play(seed)) is not None), None)
    assert failure is not None, f"{SEEDS} seeds, and nobody noticed"
    assert failure.where.startswith("Broken"), f"it was not noticed by what must be true: {failure}"
