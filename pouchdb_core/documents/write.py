"""Writing: edits, replicated revisions and local documents, many at once.

The life of a batch: every document is parsed, guards are asked (before the write lock is taken,
so that a slow guard never holds up other writers), then one transaction applies all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from pouchdb_core.documents import local
from pouchdb_core.documents.attachments import close_all
from pouchdb_core.documents.edit import Batch
from pouchdb_core.documents.guards import Judge, LocalDocument, passes_all, rounds
from pouchdb_core.documents.packed import Packed
from pouchdb_core.documents.parse import LOCAL, Parsed, mapping, parse_edit, parse_replicated
from pouchdb_core.documents.store import Counters, Head, Store
from pouchdb_core.errors import PouchDBError
from pouchdb_core.requests import Guard, Write
from pouchdb_core.results import Outcome, Record
from pouchdb_core.typing import DocumentInput

__all__ = ["Rules", "Seen", "write"]

TRIES = 5
"""How often guards are asked again outside the lock before they are asked inside it."""


@dataclass(slots=True)
class Seen:
    """What an adapter remembers of a database from one write to the next, to guess what it will find."""

    ddocs_seq: int = -1
    """``ddocs_seq`` of the last write; others may have written design documents since."""


@dataclass(slots=True)
class Rules:
    """How a database writes."""

    new_id: Callable[[], str]
    deterministic_revs: bool = True
    """If False, revision ids are random instead of a hash of the document."""
    auto_compaction: bool = False
    seen: Seen = field(default_factory=Seen)


def write(store: Store, request: Write, rules: Rules, guards: Sequence[Guard] = ()) -> list[Outcome]:
    """Write the documents of ``request``; one outcome each, in input order.

    A document that cannot be written does not stop the others, unless the request is atomic: then
    its error is raised and nothing is written. The documents that are written become visible
    together; with full durability they are on disk when this returns. Documents of one id are
    applied in input order. Raises StorageError if the store fails, and what a guard raises;
    nothing is written then.
    """
    outcomes: list[Outcome | None] = [None] * len(request.docs)
    batch: list[Parsed] = []
    locals_: list[tuple[int, DocumentInput]] = []
    try:
        _parse(request, rules, outcomes, batch, locals_)
        if batch or locals_:
            _Transaction(store, request, rules, outcomes).write(batch, locals_, guards)
    finally:
        for parsed in batch:
            if parsed.attachments:
                close_all(parsed.attachments)
    return cast("list[Outcome]", outcomes)


def _parse(
    request: Write,
    rules: Rules,
    outcomes: list[Outcome | None],
    batch: list[Parsed],
    locals_: list[tuple[int, DocumentInput]],
) -> None:
    new_edits = request.new_edits
    for index, given in enumerate(request.docs):
        id = None
        try:
            if isinstance(given, Packed):
                parsed = given.parsed()
                parsed.index = index
                batch.append(parsed)
                continue
            doc = given if type(given) is dict else mapping(given)
            id = doc.get("_id")
            if type(id) is str and id[:7] == LOCAL:
                locals_.append((index, doc))
                continue
            if new_edits:
                parsed = parse_edit(doc, rules.new_id, rules.deterministic_revs)
            else:
                parsed = parse_replicated(doc)
            parsed.index = index
            batch.append(parsed)
        except PouchDBError as error:
            if isinstance(id, str):
                error.details.setdefault("id", id)
            _fail(request, outcomes, index, error)


def _fail(request: Write, outcomes: list[Outcome | None], index: int, error: PouchDBError) -> None:
    if request.atomic:
        raise error
    outcomes[index] = error


class _Transaction:
    """What one call writes, in one transaction."""

    def __init__(self, store: Store, request: Write, rules: Rules, outcomes: list[Outcome | None]) -> None:
        self._store, self._request, self._rules = store, request, rules
        self._outcomes = outcomes

    def write(self, batch: list[Parsed], locals_: list[tuple[int, DocumentInput]], guards: Sequence[Guard]) -> None:
        """Ask the guards without the lock, again while other writers are faster, then write."""
        if not guards:
            with self._store.write() as counters:
                self._apply(counters, batch, None)
                self._write_locals(locals_)
            return
        self._judge_locals(locals_, guards)
        seen = self._rules.seen
        # Another thread may change it meanwhile.
        ddocs_seq = seen.ddocs_seq
        # Where no guard has anything to judge by the design documents of the last write, they are only compared.
        if all(passes_all(guard, ddocs_seq) for guard in guards):
            with self._store.write() as counters:
                if counters.ddocs_seq == ddocs_seq:
                    self._apply(counters, batch, None)
                    self._write_locals(locals_)
                    seen.ddocs_seq = counters.ddocs_seq
                    return
        judge = Judge(self._store, guards, new_edits=self._request.new_edits)
        first, *rest = rounds(batch) or [[]]
        stale = first
        for attempt in range(TRIES):
            judge.ask(stale)
            with self._store.write() as counters:
                heads = self._heads(first)
                stale = judge.stale(first, heads, counters)
                if stale and attempt < TRIES - 1:
                    # Another writer was faster. Ask again without the lock.
                    continue
                judge.ask(stale)
                self._apply(counters, first, judge, heads)
                for part in rest:
                    # Only documents that come twice in the batch: a guard must see the previous edit.
                    judge.ask(part)
                    self._apply(counters, part, judge)
                self._write_locals(locals_)
                seen.ddocs_seq = counters.ddocs_seq
            return

    def _judge_locals(self, given: Sequence[tuple[int, DocumentInput]], guards: Sequence[Guard]) -> None:
        """Ask the guards that judge local documents; refused documents have their outcome."""
        asked = [guard for guard in guards if getattr(guard, "judges_local", False)]
        if not (asked and given):
            return
        for guard in asked:
            errors = guard([LocalDocument(self._store, Record(mapping(doc))) for _, doc in given])
            for (index, _), error in zip(given, errors or [None] * len(given), strict=True):
                if error is not None and self._outcomes[index] is None:
                    _fail(self._request, self._outcomes, index, error)

    def _heads(self, part: Sequence[Parsed]) -> dict[str, Head]:
        return self._store.heads([parsed.id for parsed in part])

    def _apply(
        self,
        counters: Counters,
        part: Sequence[Parsed],
        judge: Judge | None,
        heads: dict[str, Head] | None = None,
    ) -> None:
        if not part:
            return
        unique = len({parsed.id for parsed in part}) == len(part)
        heads = self._heads(part) if heads is None else heads
        batch = Batch(self._store, counters, heads, self._rules.auto_compaction, unique=unique)
        request, outcomes = self._request, self._outcomes
        apply = batch.edit if request.new_edits else batch.graft
        for parsed in part:
            try:
                if judge is not None and (refused := judge.error(parsed)) is not None:
                    raise refused
                outcomes[parsed.index] = apply(parsed)
            except PouchDBError as error:
                error.details.setdefault("id", parsed.id)
                _fail(request, outcomes, parsed.index, error)
        batch.flush()

    def _write_locals(self, given: Sequence[tuple[int, DocumentInput]]) -> None:
        for index, doc in given:
            if self._outcomes[index] is not None:
                # A guard refused it.
                continue
            try:
                self._outcomes[index] = local.write(self._store, doc)
            except PouchDBError as error:
                _fail(self._request, self._outcomes, index, error)
