"""Writing: edits, replicated revisions and local documents, many at once.

The life of a batch: every document is parsed, guards are asked (before the write lock is taken,
so that a slow guard never holds up other writers), then one transaction applies all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast

from pouchdb_core.documents import local
from pouchdb_core.documents.attachments import close_all
from pouchdb_core.documents.edit import Batch
from pouchdb_core.documents.guards import Judge, rounds
from pouchdb_core.documents.parse import LOCAL, Parsed, mapping, parse_edit, parse_replicated
from pouchdb_core.documents.store import Store
from pouchdb_core.errors import PouchDBError
from pouchdb_core.requests import Guard, Write
from pouchdb_core.results import Outcome
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


def write(store: Store, request: Write, rules: Rules, guards: Sequence[Guard] = ()) -> list[Outcome]:
    """Write the documents of ``request``; one outcome each, in input order.

    A document that cannot be written does not stop the others, unless the request is atomic: then
    its error is raised and nothing is written. The documents that are written become visible
    together; with full durability they are on disk when this returns. Documents of one id are
    applied in input order. Raises StorageError when the store fails; nothing is written then.
    """
    outcomes: list[Outcome | None] = [None] * len(request.docs)
    batch: list[Parsed] = []
    locals_: list[tuple[int, DocumentInput]] = []
    new_edits = request.new_edits
    try:
        for index, given in enumerate(request.docs):
            try:
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
                _fail(request, outcomes, index, error)
        with store.write() if request.atomic else nullcontext():
            for part in rounds(batch) if guards else [batch]:
                _write_part(store, request, rules, guards, part, outcomes)
            if locals_:
                _write_locals(store, request, locals_, outcomes)
    finally:
        for parsed in batch:
            if parsed.attachments:
                close_all(parsed.attachments)
    return cast("list[Outcome]", outcomes)


def _fail(request: Write, outcomes: list[Outcome | None], index: int, error: PouchDBError) -> None:
    if request.atomic:
        raise error
    outcomes[index] = error


def _write_part(
    store: Store,
    request: Write,
    rules: Rules,
    guards: Sequence[Guard],
    part: list[Parsed],
    outcomes: list[Outcome | None],
) -> None:
    if not part:
        return
    ids = [parsed.id for parsed in part]
    unique = len(set(ids)) == len(ids)
    judge = Judge(store, guards, new_edits=request.new_edits) if guards else None
    stale = part
    for attempt in range(TRIES):
        if judge is not None:
            judge.ask(stale)
        with store.write() as counters:
            heads = store.heads(ids)
            if judge is not None:
                stale = judge.stale(part, heads, counters)
                if stale and attempt < TRIES - 1:
                    # Another writer was faster. Ask again without the lock.
                    continue
                judge.ask(stale)
            batch = Batch(store, counters, heads, rules.auto_compaction, unique=unique)
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
        return


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
