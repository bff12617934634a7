"""Problems of a database, and why a document is not where it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pouchdb.cli.output import bytes_text, counted
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.dump import is_checkpoint
from pouchdb_core.errors import Damaged, FunctionError, NotFound, PouchDBError
from pouchdb_core.replication.checkpoint_document import refused_revisions
from pouchdb_core.replication.replication_id import replication_id
from pouchdb_core.replication.seqs import seq_number
from pouchdb_core.results import Record
from pouchdb_core.views.index_store import IndexEntry
from pouchdb_core.views.register import indexes

__all__ = ["Finding", "explained", "findings", "fine", "note", "problem"]

LOW = 20
"""A revs_limit below this makes spurious conflicts in practice."""
COUNTED = 1000
"""Conflicts that are counted: more than that is many."""
RESTORE = "restore it from a backup or a dump, or replicate it to a new one"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: ``ok``, a ``note``, or a ``problem``, with what to do."""

    level: str
    check: str
    text: str
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def fine(check: str, text: str) -> Finding:
    """Return a finding without a problem."""
    return Finding("ok", check, text)


def note(check: str, text: str, hint: str = "") -> Finding:
    """Return a finding for information."""
    return Finding("note", check, text, hint)


def problem(check: str, text: str, hint: str = "") -> Finding:
    """Return a finding that needs an action."""
    return Finding("problem", check, text, hint)


def findings(db: SyncPouchDB, name: str) -> Iterator[Finding]:
    """Check a database: what is stored, its indexes, its replications. ``name`` is its name in hints."""
    checks = [_conflicts(db, name), _checkpoints(db, name)]
    if db.remote:
        yield note("integrity", "it is on a server, which checks its files itself")
    else:
        checks = [_integrity(db), _journals(db), _indexes(db), _space(db, name), *checks]
    found: set[str] = set()
    for check in checks:
        try:
            for each in check:
                found.add(each.text)
                yield each
        except Damaged as error:
            # The rest of the check cannot be done; others may.
            if error.message not in found:
                found.add(error.message)
                yield problem("integrity", error.message, RESTORE)


def _integrity(db: SyncPouchDB) -> Iterator[Finding]:
    problems = db.integrity_check()
    for each in problems:
        yield problem("integrity", each, RESTORE)
    if not problems:
        yield fine("integrity", "all that is stored fits together")
    loading = db.adapter.loading()
    if loading is not None:
        yield problem(
            "dump",
            f"a dump is loaded in part only, up to seq {loading['seq']}",
            "load the whole dump into it again: it goes on from there",
        )
    limit = db.revs_limit()
    if limit < LOW:
        yield note(
            "revs_limit",
            f"only {limit} revisions of a branch are remembered",
            "replicas that diverge further than that make spurious conflicts",
        )


def _journals(db: SyncPouchDB) -> Iterator[Finding]:
    """Report journals without their database file: SQLite keeps the newest documents in them."""
    path = getattr(db.adapter, "path", None)
    if not isinstance(path, Path):
        return
    for journal in sorted(path.parent.glob("*.pouchdb-wal")):
        if not journal.with_name(journal.name.removesuffix("-wal")).exists():
            yield problem(
                "files",
                f"{journal.name} has no database beside it",
                "its file was moved or copied alone: put it back beside its journal before the name is opened "
                "again, and copy with `pouchdb backup`",
            )


def _indexes(db: SyncPouchDB) -> Iterator[Finding]:
    """Report indexes that are behind, unused, or unreadable here."""
    kinds = db.plugins.index_kinds()
    wanted: dict[tuple[str, str], str] = {}
    for ddoc in db.design_documents():
        for name, kind in kinds.items():
            try:
                signatures = kind.signatures(db, ddoc)
            except FunctionError as error:
                yield problem("design document", f"{ddoc['_id']}: {error.message}", "correct its functions")
                continue
            wanted.update({(name, signature): ddoc["_id"] for signature in signatures.values()})
    info = db.info()
    built: set[tuple[str, str]] = set()
    for row in indexes(db).store.entries():
        entry = IndexEntry(*row)
        key = (entry.kind, entry.signature)
        built.add(key)
        if entry.kind not in kinds:
            yield note("index", f"an index of the kind {entry.kind!r}, whose plug-in is not installed")
        elif key not in wanted:
            yield note(
                "index", f"an index ({entry.kind}) that no design document defines any more", "view_cleanup() drops it"
            )
        elif behind := db.adapter.pending(entry.seq):
            yield note(
                "index",
                f"{wanted[key]} ({entry.kind}) is {counted(behind, 'change')} behind",
                "the next query brings it up to date",
            )
        elif entry.purge_seq < info["purge_seq"]:
            yield note(
                "index",
                f"{wanted[key]} ({entry.kind}) has not seen the last purges",
                "the next query brings it up to date",
            )
        else:
            yield fine("index", f"{wanted[key]} ({entry.kind}) is up to date")
    for key, id in wanted.items():
        if key not in built:
            yield note("index", f"{id} ({key[0]}) is not built yet", "the first query builds it")


def _space(db: SyncPouchDB, name: str) -> Iterator[Finding]:
    sizes = db.info()["sizes"]
    free = sizes["file"] - sizes["active"]
    if free > 1_000_000 and free * 4 > sizes["file"]:
        yield note(
            "space", f"{bytes_text(free)} of {bytes_text(sizes['file'])} are not used", f"pouchdb compact {name}"
        )


def _conflicts(db: SyncPouchDB, name: str) -> Iterator[Finding]:
    count = sum(1 for _ in islice(db.conflicts(), COUNTED))
    if count:
        least = "at least " if count == COUNTED else ""
        yield note("conflicts", f"{least}{counted(count, 'document')} in conflict", f"pouchdb conflicts {name}")


def _checkpoints(db: SyncPouchDB, name: str) -> Iterator[Finding]:
    mine, end = db.id(), seq_number(db.info()["update_seq"])
    for checkpoint in _remembered(db):
        way = f"{checkpoint.get('source') or '?'} to {checkpoint.get('target') or '?'}"
        refused = refused_revisions(checkpoint.get("denied"))
        for id, revs in islice(refused.items(), 10):
            yield problem(
                "replication",
                f"{way}: the target refused {id} ({', '.join(revs)})",
                f"pouchdb doctor {name} --doc {id} --with OTHER; every run tries it again",
            )
        if len(refused) > 10:
            yield problem("replication", f"{way}: the target refused {len(refused) - 10:,} more documents")
        seq = seq_number(checkpoint.get("source_last_seq"))
        if checkpoint.get("source_id") == mine and seq is not None and end is not None and not db.remote:
            left = db.adapter.pending(seq)
            if seq > end:
                yield note(
                    "replication",
                    f"{way}: it ends at {end}, and was replicated up to {seq}: it was restored from something older",
                    "the next run starts over",
                )
            elif left:
                yield note("replication", f"{way}: {counted(left, 'change')} not replicated yet", "run it again")
            else:
                yield fine("replication", f"{way}: up to date")


def _remembered(db: SyncPouchDB) -> Iterator[Record]:
    for id in db.adapter.local_ids("_local/"):
        try:
            doc = db.get(id)
        except NotFound:
            # Removed since it was listed.
            continue
        if is_checkpoint(doc):
            yield doc


# -- one document ----------------------------------------------------------------------------------


def explained(id: str, mine: tuple[SyncPouchDB, str], theirs: tuple[SyncPouchDB, str] | None) -> Iterator[Finding]:
    """Report where a document is, and why it is not (the same) in the other database; both with their names."""
    if id.startswith("_local/"):
        yield note(id, "it is a local document: these are never replicated")
        return
    here = _Side(id, *mine)
    yield from here.told()
    if theirs is None:
        if here.leaves:
            for checkpoint in _remembered(here.db):
                yield from _refusal(checkpoint, id)
        return
    there = _Side(id, *theirs)
    yield from there.told()
    same = True
    for source, target in ((here, there), (there, here)):
        for rev in source.leaves:
            if target.lacks(rev):
                same = False
                yield from _why(source, target, id, rev)
    if not (here.leaves or there.leaves):
        return
    if same:
        if here.winner == there.winner:
            yield fine(id, f"both have the same revisions; {here.winner} is the winner")
        else:
            yield note(id, f"both have the same leaves, and show {here.winner} and {there.winner}")
        if len(here.living) > 1:
            yield note(
                id,
                f"it is in conflict: {', '.join(here.living[1:])} lost against {here.living[0]}",
                f"pouchdb conflicts {here.name} {id}",
            )


class _Side:
    """A document in one of the two databases."""

    def __init__(self, id: str, db: SyncPouchDB, name: str) -> None:
        self.db, self.id, self.name = db, id, name
        self.leaves: dict[str, bool] = {}
        """Leaves, and whether each is deleted; the winner first."""
        try:
            for each in db.open_revs(id):
                if "ok" in each:
                    self.leaves[each["ok"]["_rev"]] = bool(each["ok"].get("_deleted"))
        except NotFound:
            self.leaves = {}

    @property
    def winner(self) -> str | None:
        return next(iter(self.leaves), None)

    @property
    def living(self) -> list[str]:
        return [rev for rev, deleted in self.leaves.items() if not deleted]

    def lacks(self, rev: str) -> bool:
        """Return whether it never got this revision."""
        return rev not in self.leaves and self.id in self.db.revs_diff({self.id: [rev]})

    def purged(self) -> bool:
        """Return whether the document was purged here, as far as that is recorded."""
        return any(id == self.id for _, id, _ in self.db.adapter.purges(0))

    def seq(self) -> int | None:
        """Return where in the feed the document is."""
        for row in self.db.changes(doc_ids=[self.id])["results"]:
            return seq_number(row["seq"])
        return None

    def told(self) -> Iterator[Finding]:
        """Report what is here."""
        if not self.leaves:
            gone = ": it was purged" if self.purged() else ""
            yield note(self.id, f"{self.name} does not have it{gone}")
            return
        winner = self.winner
        state = "deleted" if self.leaves[str(winner)] else "there"
        losers = len(self.living) - 1
        lost = f", with {losers} in conflict" if losers > 0 else ""
        yield fine(self.id, f"{self.name} has it: {state}, {winner}{lost}")


def _refusal(checkpoint: Mapping[str, Any], id: str) -> Iterator[Finding]:
    revs = refused_revisions(checkpoint.get("denied")).get(id)
    if revs:
        yield problem(
            id,
            f"{checkpoint.get('target')} refused {' '.join(revs)} of {checkpoint.get('source')}",
            "its rules or rights do not allow it; every run tries it again",
        )


def _why(source: _Side, target: _Side, id: str, rev: str) -> Iterator[Finding]:
    """Report why a revision of one side is not on the other."""
    what = f"{rev} of {source.name} is not in {target.name}"
    again = f"pouchdb replicate {source.name} {target.name}"
    plain, known = _of_pair(source.db, target.db)
    if not known:
        yield problem(
            id, f"{what}: nothing was replicated from there to here yet" if target.db is not source.db else what, again
        )
        return
    seq = source.seq()
    if target.purged():
        yield problem(
            id,
            f"{what}: it was purged there, and what was brought once is not brought again",
            f"pouchdb checkpoints {target.name} --reset, then {again}",
        )
        return
    for checkpoint in known:
        refused = refused_revisions(checkpoint.get("denied")).get(id, [])
        last = seq_number(checkpoint.get("source_last_seq"))
        chosen = "" if checkpoint["_id"] == plain else " by a replication with a filter or other options"
        if rev in refused:
            yield problem(id, f"{what}: the target refused it{chosen}", _refusing(target, id))
        elif seq is not None and last is not None and seq > last:
            yield problem(id, f"{what}: it changed after the last run{chosen} (at {seq}, which got to {last})", again)
        elif chosen:
            yield problem(id, f"{what}: it was passed over{chosen}, which did not choose it", again)
        else:
            yield problem(
                id,
                f"{what}, though all up to seq {last} was replicated: it was removed there by other "
                "means, or comes from a backup",
                f"pouchdb checkpoints {target.name} --reset, then {again}",
            )


def _refusing(target: _Side, id: str) -> str:
    """Return what may refuse a document."""
    if id.startswith("_design/"):
        return "design documents need the rights of an administrator there"
    try:
        rules = [ddoc["_id"] for ddoc in target.db.design_documents() if "validate_doc_update" in ddoc]
    except PouchDBError:
        # A user that may not read them gets no message.
        rules = []
    by = f": it is judged by {', '.join(rules)}" if rules else ", or its _security"
    return f"change the document or the rules{by}; every run tries it again"


def _of_pair(source: SyncPouchDB, target: SyncPouchDB) -> tuple[str, list[Record]]:
    """Return the id of the plain replication of two databases, and the checkpoints of all that they know."""
    ids = source.id(), target.id()
    if ids[0] == ids[1]:
        ids = f"{ids[0]}:{source.info().get('epoch')}", f"{ids[1]}:{target.info().get('epoch')}"
    plain = replication_id(*ids)
    found: dict[str, Record] = {}
    for side in (target, source):
        for checkpoint in _remembered(side):
            if checkpoint["_id"] == plain or checkpoint.get("source_id") == source.id():
                found.setdefault(checkpoint["_id"], checkpoint)
    both = set(target.adapter.local_ids("_local/")) & set(source.adapter.local_ids("_local/"))
    known = [each for id, each in found.items() if id == plain or id in both]
    if plain not in found:
        # A server that does not list them returns the requested one.
        try:
            known.append(target.get(plain))
        except NotFound:
            return plain, known
    return plain, known
