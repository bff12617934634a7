"""Asking write guards about a batch, outside the write lock, and knowing when to ask again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pouchdb_core.documents.parse import Parsed, rehash
from pouchdb_core.documents.read import tree_of
from pouchdb_core.documents.store import Counters, Head, Row, Store
from pouchdb_core.errors import PluginError, PouchDBError
from pouchdb_core.jsontext import load
from pouchdb_core.requests import Guard, Proposed
from pouchdb_core.results import Record, record
from pouchdb_core.revisions import revisions_from_path

__all__ = ["Judge", "rounds"]


@dataclass(slots=True)
class _Verdict:
    """What the guards said of a document, over which winner and by which rules."""

    over: str | None
    ddocs_seq: int
    error: PouchDBError | None = None


class Judge:
    """The verdicts of the guards over a batch in which no id is twice."""

    def __init__(self, store: Store, guards: Sequence[Guard], new_edits: bool) -> None:
        self._store, self._guards, self._new_edits = store, guards, new_edits
        self._verdicts: dict[Parsed, _Verdict] = {}

    def ask(self, batch: Sequence[Parsed]) -> None:
        """Ask the guards about ``batch``, over the state as it is now."""
        if not batch:
            return
        with self._store.snapshot():
            rows = self._store.rows([parsed.id for parsed in batch])
            ddocs_seq = self._store.counters().ddocs_seq
        for parsed in batch:
            row = rows.get(parsed.id)
            self._verdicts[parsed] = _Verdict(row[2] if row else None, ddocs_seq)
        for guard in self._guards:
            # Each guard gets copies of its own.
            errors = guard([_proposed(parsed, rows.get(parsed.id), ddocs_seq, self._new_edits) for parsed in batch])
            for parsed, error in zip(batch, _checked(guard, errors, len(batch)), strict=True):
                verdict = self._verdicts[parsed]
                if verdict.error is None:
                    verdict.error = error

    def stale(self, batch: Sequence[Parsed], heads: dict[str, Head], counters: Counters) -> list[Parsed]:
        """Return those that were judged over another winner, or by other design documents, than there are now."""
        return [parsed for parsed in batch if not self._stands(parsed, heads.get(parsed.id), counters)]

    def error(self, parsed: Parsed) -> PouchDBError | None:
        """Return why a document must not be written."""
        return self._verdicts[parsed].error

    def _stands(self, parsed: Parsed, head: Head | None, counters: Counters) -> bool:
        verdict = self._verdicts[parsed]
        return verdict.over == (head[1] if head else None) and verdict.ddocs_seq == counters.ddocs_seq


def _checked(guard: Guard, errors: Any, count: int) -> Sequence[PouchDBError | None]:
    """Refuse an answer that does not judge every document: what was not judged must not pass."""
    if errors is None:
        return [None] * count
    if isinstance(errors, Sequence) and len(errors) == count:
        if all(each is None or isinstance(each, PouchDBError) for each in errors):
            return errors
        raise PluginError(f"write guard {guard!r} must answer with PouchDBErrors and None, not {errors!r}")
    raise PluginError(f"write guard {guard!r} must answer with one verdict per document ({count}), not {errors!r}")


def rounds(batch: list[Parsed]) -> list[list[Parsed]]:
    """Split a batch so that no round has an id twice: a guard must see the outcome of the edit before."""
    split: list[list[Parsed]] = []
    seen: Counter[str] = Counter()
    for parsed in batch:
        turn = seen[parsed.id]
        seen[parsed.id] += 1
        if turn == len(split):
            split.append([])
        split[turn].append(parsed)
    return split


def _proposed(parsed: Parsed, row: Row | None, ddocs_seq: int, new_edits: bool) -> Proposed:
    old = None
    path = list(parsed.path)
    if row is not None:
        rev, deleted = row[2], bool(row[3])
        tree = tree_of(row)
        old = _shown(parsed.id, rev, deleted, tree.path(rev), load(row[5] or b"{}"))
        if new_edits and parsed.parent is None and deleted and not parsed.deleted:
            # It comes back, as the child of its tombstone.
            parsed = rehash(parsed, rev)
        if parsed.parent is not None and parsed.parent in tree:
            path = [parsed.rev, *tree.path(parsed.parent)]
    new = _shown(parsed.id, parsed.rev, parsed.deleted, path, load(parsed.body))
    if parsed.attachments is not None:
        new["_attachments"] = record({name: incoming.described() for name, incoming in parsed.attachments.items()})
    return Proposed(new, old, ddocs_seq)


def _shown(id: str, rev: str, deleted: bool, path: list[str], members: dict[str, Any]) -> Record:
    shown = record(members)
    shown["_id"], shown["_rev"] = id, rev
    if deleted:
        shown["_deleted"] = True
    shown["_revisions"] = Record(revisions_from_path(path))
    return shown
