"""What must be true: of one replica, of all of them together, and of what was ever written."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import NotFound
from pouchdb_core.replication.replication_id import PREFIX
from pouchdb_core.revisions import generation

__all__ = ["Broken", "Oracle", "check_replica", "snapshot"]

Leaves = dict[str, tuple[str, tuple[str, ...]]]
"""By revision, winner first: the body as JSON with attachments as digests, and its ancestors."""


class Broken(AssertionError):
    """A promise was broken."""


def demand(holds: object, text: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(text)


def canonical(doc: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in doc.items() if key != "_revisions"}, sort_keys=True)


def leaves(db: SyncPouchDB, id: str) -> Leaves:
    """Return every leaf of a document, with its body; {} when there is none."""
    try:
        answers = db.open_revs(id, "all", revs=True)
    except NotFound:
        return {}
    found: Leaves = {}
    for each in answers:
        demand("ok" in each, f"{db.name}: a leaf of {id!r} has no body: {each}")
        doc = each["ok"]
        start = doc["_revisions"]["start"]
        path = tuple(f"{start - place}-{hash}" for place, hash in enumerate(doc["_revisions"]["ids"]))
        found[doc["_rev"]] = (canonical(doc), path)
    return found


def snapshot(db: SyncPouchDB) -> dict[str, Leaves]:
    """Return every document."""
    return {row["id"]: leaves(db, row["id"]) for row in db.changes(style="all_docs")["results"]}


def check_replica(db: SyncPouchDB, local: dict[str, Any]) -> dict[str, Leaves]:
    """Check that a replica agrees with itself; return its snapshot."""
    problems = db.integrity_check()
    demand(not problems, f"{db.name}: integrity_check: {problems}")
    rows = db.changes(style="all_docs")["results"]
    seqs = [row["seq"] for row in rows]
    demand(seqs == sorted(set(seqs)), f"{db.name}: seqs of the feed do not grow: {seqs}")
    whole = snapshot(db)
    live = []
    for row in rows:
        id, revs = row["id"], [change["rev"] for change in row["changes"]]
        demand(revs == list(whole[id]), f"{db.name}: the feed says {revs} of {id!r}, open_revs {list(whole[id])}")
        docs = [json.loads(body) for body, _ in whole[id].values()]
        order = [("_deleted" not in doc, generation(doc["_rev"]), doc["_rev"].partition("-")[2]) for doc in docs]
        demand(order == sorted(order, reverse=True), f"{db.name}: the leaves of {id!r} are out of order: {revs}")
        _check_winner(db, id, docs, row)
        for doc in docs:
            _check_attachments(db, doc)
        if "_deleted" not in docs[0]:
            live.append(id)
    _check_counters(db, live, len(rows), seqs)
    kept = {id: db.get(id) for id in db.adapter.local_ids("_local/") if not id.startswith(PREFIX)}
    mine = {id: {key: value for key, value in doc.items() if key != "_rev"} for id, doc in kept.items()}
    demand(mine == local, f"{db.name}: local documents are {mine}, not {local}")
    return whole


def _check_winner(db: SyncPouchDB, id: str, docs: list[dict[str, Any]], row: Any) -> None:
    try:
        winner = db.get(id, conflicts=True)
    except NotFound:
        demand("_deleted" in docs[0] and row.get("deleted"), f"{db.name}: {id!r} is not found, but has a live leaf")
        return
    conflicts = [doc["_rev"] for doc in docs[1:] if "_deleted" not in doc]
    demand(winner.pop("_conflicts", []) == conflicts, f"{db.name}: conflicts of {id!r} are not {conflicts}")
    demand(canonical(winner) == canonical(docs[0]), f"{db.name}: get({id!r}) is {winner}, not {docs[0]}")


def _check_attachments(db: SyncPouchDB, doc: dict[str, Any]) -> None:
    for name, entry in doc.get("_attachments", {}).items():
        what = f"{db.name}: attachment {name!r} of {doc['_id']!r} {doc['_rev']}"
        try:
            data = db.get_attachment(doc["_id"], name, doc["_rev"])["data"]
        except NotFound:
            raise Broken(f"{what} is missing") from None
        digest = "md5-" + base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        demand(digest == entry["digest"] and len(data) == entry["length"], f"{what} has other bytes than it says")


def _check_counters(db: SyncPouchDB, live: list[str], total: int, seqs: list[int]) -> None:
    info, rows = db.info(), db.all_docs()
    counted = (info["doc_count"], info["doc_del_count"])
    demand(counted == (len(live), total - len(live)), f"{db.name}: counts {counted}, has {len(live)} of {total} live")
    demand([row["id"] for row in rows["rows"]] == sorted(live), f"{db.name}: all_docs is {rows}, not {sorted(live)}")
    demand(rows["total_rows"] == len(live), f"{db.name}: total_rows is {rows['total_rows']}, not {len(live)}")
    last = seqs[-1] if seqs else 0
    demand(info["update_seq"] >= last, f"{db.name}: update_seq {info['update_seq']} is below {last}")


class Oracle:
    """Knows every revision that was ever written anywhere: what all replicas together must have in the end."""

    def __init__(self) -> None:
        self._parents: dict[str, dict[str, set[str]]] = {}
        self._bodies: dict[tuple[str, str], str] = {}
        self._depths: dict[tuple[str, str], int] = {}
        self.purged: set[str] = set()
        """Documents of which a revision was purged somewhere."""
        self.lost = False
        """Whether a replica was restored, so that some of what was written may be gone."""

    def observe(self, db: SyncPouchDB, ids: Iterable[str]) -> None:
        """Take note of documents that were written to."""
        for id in ids:
            known = self._parents.setdefault(id, {})
            for rev, (body, path) in leaves(db, id).items():
                before = self._bodies.setdefault((id, rev), body)
                demand(before == body, f"{db.name}: the body of {id!r} {rev} was {before} and is {body}")
                depth = 0
                for older, younger in reversed(list(zip((*path[1:], None), path, strict=True))):
                    parents = known.setdefault(younger, set())
                    if older is not None:
                        parents.add(older)
                    depth = self._depths.setdefault((id, younger), depth + 1)

    def depth(self, id: str, rev: str) -> int:
        """Return how many generations were added since the last healing, down to this revision."""
        return self._depths.get((id, rev), 0)

    def forget_depths(self) -> None:
        """All replicas are equal: they begin to diverge from here."""
        self._depths = dict.fromkeys(self._depths, 0)

    def leaves(self, id: str) -> set[str]:
        known = self._parents[id]
        return set(known).difference(*known.values())

    def check(self, replicas: dict[str, dict[str, Leaves]], *, ancestors: bool) -> None:
        """Check that all replicas are equal, and that nothing was lost nor came from nowhere."""
        names = list(replicas)
        first = replicas[names[0]]
        for name in names[1:]:
            _same(names[0], first, name, replicas[name], ancestors=ancestors)
        for id, found in first.items():
            for rev, (body, _) in found.items():
                demand(
                    self._bodies.get((id, rev)) == body, f"{id!r} {rev} is {body}, not {self._bodies.get((id, rev))}"
                )
        if self.lost:
            return
        for id in self._parents:
            if id not in self.purged:
                has, wanted = set(first.get(id, ())), self.leaves(id)
                demand(has == wanted, f"{id!r} has the leaves {sorted(has)} everywhere, not {sorted(wanted)}")


def _same(left: str, mine: dict[str, Leaves], right: str, theirs: dict[str, Leaves], *, ancestors: bool) -> None:
    if mine.keys() != theirs.keys():
        raise Broken(
            f"only {left} has {sorted(mine.keys() - theirs.keys())}, only {right} {sorted(theirs.keys() - mine.keys())}"
        )
    for id in mine:
        if list(mine[id]) != list(theirs[id]):
            raise Broken(f"{id!r} has the leaves {list(mine[id])} on {left} and {list(theirs[id])} on {right}")
        for rev, (body, path) in mine[id].items():
            other, other_path = theirs[id][rev]
            demand(body == other, f"{id!r} {rev} is {body} on {left} and {other} on {right}")
            if ancestors:
                demand(path == other_path, f"{id!r} {rev} descends from {path} on {left} and {other_path} on {right}")
