"""Writing: edits, replicated revisions and local documents, many at once.

The life of a batch: every document is parsed, guards are asked (before the write lock is taken,
so that a slow guard never holds up other writers), then one transaction applies all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

from pouchdb_core.documents import local
from pouchdb_core.documents.attachments import close_all
from pouchdb_core.documents.edit import Batch
from pouchdb_core.documents.parse import LOCAL, Parsed, load, mapping, parse_edit, parse_replicated
from pouchdb_core.documents.store import Counters, Head, Row, Store
from pouchdb_core.errors import PouchDBError
from pouchdb_core.requests import Guard, Proposed, Write
from pouchdb_core.results import Outcome, Record, record
from pouchdb_core.revisions import Tree, revisions_from_path
from pouchdb_core.typing import DocumentInput

__all__ = ["Rules", "write"]

TRIES = 5
"""How often guards are asked again outside the lock before they are asked inside it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a database writes."""

    new_id: Callable[[], str]
    deterministic_revs: bool = True
    """False: revision ids are random instead of a hash of the document."""
    auto_compaction: bool = False


@dataclass(slots=True)
class _Item:
    """A document of the batch: its place in the input, and what the guards said of it over which winner."""

    index: int
    parsed: Parsed
    judged: bool = False
    verdict: PouchDBError | None = None
    over: str | None = None
    ddocs_seq: int = -1

    def stale(self, heads: dict[str, Head], counters: Counters) -> bool:
        """Tell whether the guards judged over another winner or by other rules than there are now."""
        head = heads.get(self.parsed.id)
        now = head[1] if head else None
        return not self.judged or self.over != now or self.ddocs_seq != counters.ddocs_seq


def write(store: Store, request: Write, rules: Rules, guards: Sequence[Guard] = ()) -> list[Outcome]:
    """Write the documents of ``request``; one outcome each, in input order.

    A document that cannot be written does not stop the others, unless the request is atomic: then
    its error is raised and nothing is written. The documents that are written become visible
    together; with full durability they are on disk when this returns. Documents of one id are
    applied in input order. Raises StorageError when the store fails; nothing is written then.
    """
    outcomes: list[Outcome | None] = [None] * len(request.docs)
    items: list[_Item] = []
    locals_: list[tuple[int, DocumentInput]] = []
    try:
        for index, given in enumerate(request.docs):
            try:
                doc = mapping(given)
                if str(doc.get("_id")).startswith(LOCAL):
                    locals_.append((index, doc))
                elif request.new_edits:
                    items.append(_Item(index, parse_edit(doc, rules.new_id, rules.deterministic_revs)))
                else:
                    items.append(_Item(index, parse_replicated(doc)))
            except PouchDBError as error:
                _fail(request, outcomes, index, error)
        with store.write() if request.atomic else nullcontext():
            for round in _rounds(items) if guards else [items]:
                _write_round(store, request, rules, guards, round, outcomes)
            if locals_:
                _write_locals(store, request, locals_, outcomes)
    finally:
        for item in items:
            if item.parsed.attachments:
                close_all(item.parsed.attachments)
    return cast("list[Outcome]", outcomes)


def _fail(request: Write, outcomes: list[Outcome | None], index: int, error: PouchDBError) -> None:
    if request.atomic:
        raise error
    outcomes[index] = error


def _rounds(items: list[_Item]) -> list[list[_Item]]:
    """Split the batch so that no round has an id twice: a guard must see the outcome of the edit before."""
    rounds: list[list[_Item]] = []
    seen: Counter[str] = Counter()
    for item in items:
        turn = seen[item.parsed.id]
        seen[item.parsed.id] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(item)
    return rounds


def _write_round(
    store: Store,
    request: Write,
    rules: Rules,
    guards: Sequence[Guard],
    items: list[_Item],
    outcomes: list[Outcome | None],
) -> None:
    if not items:
        return
    ids = [item.parsed.id for item in items]
    stale = items if guards else []
    for attempt in range(TRIES):
        _judge(store, guards, stale)
        with store.write() as counters:
            heads = store.heads(ids)
            stale = [item for item in items if item.stale(heads, counters)] if guards else []
            if stale:
                if attempt < TRIES - 1:
                    # Another writer was faster. Ask again without the lock.
                    continue
                _judge(store, guards, stale)
            batch = Batch(store, counters, heads, rules.auto_compaction)
            apply = batch.edit if request.new_edits else batch.graft
            for item in items:
                if item.verdict is not None:
                    _fail(request, outcomes, item.index, item.verdict)
                    continue
                try:
                    outcomes[item.index] = apply(item.parsed)
                except PouchDBError as error:
                    error.details.setdefault("id", item.parsed.id)
                    _fail(request, outcomes, item.index, error)
            batch.flush()
        return


def _judge(store: Store, guards: Sequence[Guard], items: Sequence[_Item]) -> None:
    """Ask the guards about ``items``, over the state as it is now."""
    if not items:
        return
    with store.snapshot():
        rows = store.rows([item.parsed.id for item in items])
        ddocs_seq = store.counters().ddocs_seq
    for item in items:
        row = rows.get(item.parsed.id)
        item.judged, item.verdict, item.over, item.ddocs_seq = True, None, row[2] if row else None, ddocs_seq
    for guard in guards:
        # Each guard gets copies of its own.
        verdicts = guard([_proposed(item.parsed, rows.get(item.parsed.id), ddocs_seq) for item in items])
        for item, verdict in zip(items, verdicts or (), strict=False):
            if item.verdict is None and verdict is not None:
                verdict.details.setdefault("id", item.parsed.id)
                item.verdict = verdict


def _proposed(parsed: Parsed, row: Row | None, ddocs_seq: int) -> Proposed:
    old = None
    path = list(parsed.path)
    if row is not None:
        _, id, rev, deleted, tree_bytes, body = row
        tree = Tree.loads(tree_bytes) if tree_bytes is not None else Tree.single(rev, deleted=bool(deleted))
        old = _shown(id, rev, bool(deleted), tree.path(rev), load(body or b"{}"))
        parent = parsed.parent
        if parent is None and len(path) == 1 and deleted:
            parent = rev
        if parent is not None and parent in tree:
            path = [parsed.rev, *tree.path(parent)]
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


def _write_locals(
    store: Store,
    request: Write,
    given: list[tuple[int, DocumentInput]],
    outcomes: list[Outcome | None],
) -> None:
    with store.write():
        for index, doc in given:
            try:
                outcomes[index] = local.write(store, doc)
            except PouchDBError as error:
                _fail(request, outcomes, index, error)
