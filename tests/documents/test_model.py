"""Random work on a few documents, compared after every step with a naive model of plain dictionaries.

Edits, removals, attachments, replicated revisions with histories of any depth, several of them in a batch, purges,
compaction, automatic compaction and low revision limits. After each step everything that can be read is: winners,
conflicts, leaves, bodies, counters, the list of documents, the feed, and the rows of the store against each other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import pouchdb
from pouchdb_core.errors import Conflict, NotFound

IDS = ["a", "b", "c"]
LETTERS = "xy"
ids = st.sampled_from(IDS)
numbers = st.integers(0, 5)
contents = st.sampled_from([b"", b"one", b"two"])
batches = st.lists(st.tuples(ids, numbers, st.sampled_from(LETTERS), st.integers(1, 4), st.booleans()), min_size=1)


def generation(rev: str) -> int:
    return int(rev.partition("-")[0])


class ModelDoc:
    """The revisions of a document that are known: parents, deletions, bodies, attachments."""

    def __init__(self) -> None:
        self.parents: dict[str, str | None] = {}
        self.deleted: set[str] = set()
        self.bodies: dict[str, dict[str, Any]] = {}
        self.attachments: dict[str, dict[str, bytes]] = {}

    def leaves(self) -> list[str]:
        """The winner first."""
        inner = set(self.parents.values())
        leaves = [rev for rev in self.parents if rev not in inner]
        return sorted(leaves, key=lambda rev: (rev not in self.deleted, generation(rev), rev), reverse=True)

    def winner(self) -> str:
        return self.leaves()[0]

    def path(self, rev: str) -> list[str]:
        path = [rev]
        while (older := self.parents[path[-1]]) is not None:
            path.append(older)
        return path

    def merge(self, path: list[str], deleted: bool, body: dict[str, Any], attachments: dict[str, bytes]) -> bool:
        before = dict(self.parents)
        if path[0] not in self.parents:
            self.bodies[path[0]], self.attachments[path[0]] = body, attachments
            if deleted:
                self.deleted.add(path[0])
        for rev, older in zip(path, [*path[1:], None], strict=True):
            self.parents.setdefault(rev, None)
            if older is not None:
                self.parents[rev] = older
        return self.parents != before

    def compact(self) -> None:
        leaves = self.leaves()
        self.bodies = {rev: body for rev, body in self.bodies.items() if rev in leaves}

    def stem(self, limit: int) -> None:
        kept = {rev for leaf in self.leaves() for rev in self.path(leaf)[:limit]}
        self._keep(kept)

    def purge(self, leaf: str) -> None:
        others = {rev for other in self.leaves() if other != leaf for rev in self.path(other)}
        self._keep(others)

    def _keep(self, kept: set[str]) -> None:
        self.parents = {rev: older if older in kept else None for rev, older in self.parents.items() if rev in kept}
        self.deleted &= kept
        self.bodies = {rev: body for rev, body in self.bodies.items() if rev in kept}


class Machine(RuleBasedStateMachine):
    """The database beside the model."""

    durable = False
    auto_compaction = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory() if self.durable else None
        where = ":memory:" if self.folder is None else self.folder.name
        options = {"durability": "normal"} if self.durable else {}
        self.environment = pouchdb.setup(where, plugins=[], **options)
        self.db = self.environment.PouchDB("db", auto_compaction=self.auto_compaction)
        self.docs: dict[str, ModelDoc] = {}
        self.feed: list[str] = []
        """Ids in the order of their last changes."""
        self.limit = 1000
        self.histories: dict[tuple[str, str], str | None] = {}
        """The parent of every revision there ever was."""
        self.purges = 0
        self.edits = 0

    def teardown(self) -> None:
        self.environment.close()
        if self.folder is not None:
            self.folder.cleanup()

    # -- what the model does -----------------------------------------------------------------------------------------

    def _merge(
        self,
        id: str,
        path: list[str],
        deleted: bool,
        body: dict[str, Any],
        attachments: dict[str, bytes],
        moved: set[str],
        *,
        batch: bool = False,
    ) -> None:
        for rev, older in zip(path, [*path[1:], None], strict=True):
            if older is not None or (id, rev) not in self.histories:
                self.histories[id, rev] = older
        doc = self.docs.setdefault(id, ModelDoc())
        if doc.merge(path, deleted, body, attachments):
            self._move(id, moved)
            if not batch:
                self._shrink(id)

    def _shrink(self, id: str) -> None:
        """Forget what is not kept: once for each document of a batch, as CouchDB."""
        doc = self.docs[id]
        if self.auto_compaction:
            doc.compact()
        if len(doc.parents) > self.limit:
            doc.stem(self.limit)

    def _move(self, id: str, moved: set[str]) -> None:
        # Within a batch a document takes its place in the feed once.
        if id not in moved:
            moved.add(id)
            if id in self.feed:
                self.feed.remove(id)
            self.feed.append(id)

    def _pick(self, id: str, number: int) -> str | None:
        """Some leaf of a document, or None."""
        doc = self.docs.get(id)
        leaves = doc.leaves() if doc else []
        return leaves[number % len(leaves)] if leaves else None

    # -- what is done to both ----------------------------------------------------------------------------------------

    @rule(id=ids, which=numbers, n=numbers, deleted=st.booleans())
    def edit_a_leaf(self, id: str, which: int, n: int, deleted: bool) -> None:
        rev = self._pick(id, which)
        # Of a leaf that was forgotten and came back, the same edit would be a revision that is there already.
        self.edits += 1
        n += 100 * self.edits
        given = {"_id": id, "n": n, **({"_rev": rev} if rev else {}), **({"_deleted": True} if deleted else {})}
        answer = self.db.put(given)
        self._merge(id, [answer.rev, *([rev] if rev else [])], deleted, {"n": n}, {}, set())

    @rule(id=ids, n=numbers)
    def put_without_a_rev(self, id: str, n: int) -> None:
        doc = self.docs.get(id)
        if doc is not None and doc.winner() not in doc.deleted:
            with pytest.raises(Conflict):
                self.db.put({"_id": id, "n": n})
            return
        rev = self.db.put({"_id": id, "n": n}).rev
        self._merge(id, [rev, *([doc.winner()] if doc else [])], False, {"n": n}, {}, set())

    @rule(id=ids, which=numbers)
    def remove_a_leaf(self, id: str, which: int) -> None:
        rev = self._pick(id, which)
        if rev is None or rev in self.docs[id].deleted:
            with pytest.raises(NotFound):
                self.db.remove(id, rev or "1-none")
            return
        gone = self.db.remove(id, rev).rev
        self._merge(id, [gone, rev], True, {}, {}, set())

    @rule(id=ids, which=numbers)
    def edit_what_is_no_leaf(self, id: str, which: int) -> None:
        doc = self.docs.get(id)
        inner = sorted(set(doc.parents) - set(doc.leaves())) if doc else []
        rev = inner[which % len(inner)] if inner and which else "2-unknown"
        with pytest.raises(Conflict):
            self.db.put({"_id": id, "_rev": rev, "lost": True})

    @rule(id=ids, which=numbers, name=st.sampled_from(["f", "g"]), content=contents)
    def attach(self, id: str, which: int, name: str, content: bytes) -> None:
        rev = self._pick(id, which)
        if rev is not None and rev in self.docs[id].deleted:
            return
        answer = self.db.put_attachment(id, name, content, "text/plain", rev)
        doc = self.docs.get(id)
        body = doc.bodies[rev] if doc and rev else {}
        attachments = doc.attachments[rev] if doc and rev else {}
        path = [answer.rev, *([rev] if rev else [])]
        self._merge(id, path, False, body, {**attachments, name: content}, set())

    @rule(id=ids, which=numbers, name=st.sampled_from(["f", "g"]))
    def detach(self, id: str, which: int, name: str) -> None:
        rev = self._pick(id, which)
        if rev is None or rev in self.docs[id].deleted:
            return
        doc = self.docs[id]
        answer = self.db.remove_attachment(id, name, rev)
        if name not in doc.attachments[rev]:
            assert answer.rev == rev
            return
        left = {key: value for key, value in doc.attachments[rev].items() if key != name}
        self._merge(id, [answer.rev, rev], False, doc.bodies[rev], left, set())

    @rule(batch=batches)
    def replicate(self, batch: list[tuple[str, int, str, int, bool]]) -> None:
        """Revisions as other replicas made them: each has one parent wherever it is seen, but any depth of history."""
        docs = []
        moved: set[str] = set()
        for id, which, letter, depth, deleted in batch:
            known = sorted(rev for each, rev in self.histories if each == id)
            parent = known[which % len(known)] if known and which else None
            rev = f"{generation(parent) + 1}-{parent.partition('-')[2]}{letter}" if parent else f"1-{letter}"
            path = [rev]
            if parent:
                self.histories[id, rev] = parent
            while len(path) < depth and (older := self.histories.get((id, path[-1]))) is not None:
                path.append(older)
            history = {"start": generation(rev), "ids": [each.partition("-")[2] for each in path]}
            docs.append({"_id": id, "n": rev, "_revisions": history, "_deleted": deleted})
            self._merge(id, path, deleted, {"n": rev}, {}, moved, batch=True)
        for id in moved:
            self._shrink(id)
        assert self.db.bulk_docs(docs, new_edits=False) == []

    @rule(id=ids, which=numbers)
    def purge(self, id: str, which: int) -> None:
        rev = self._pick(id, which)
        if rev is None:
            with pytest.raises(NotFound):
                self.db.purge(id, "1-x")
            return
        doc = self.docs[id]
        before = set(doc.parents)
        doc.purge(rev)
        self.purges += 1
        answer = self.db.purge(id, rev)
        assert set(answer.deletedRevs) == before - set(doc.parents)
        assert answer.documentWasRemovedCompletely == (not doc.parents)
        if doc.parents:
            self._move(id, set())
        else:
            del self.docs[id]
            self.feed.remove(id)

    @rule()
    def compact(self) -> None:
        self.db.compact()
        for doc in self.docs.values():
            # Only documents are read that have something beside their winner; of the others ids go with the next edit.
            has_more = set(doc.bodies) != {doc.winner()}
            doc.compact()
            if has_more:
                doc.stem(self.limit)

    @rule(limit=st.sampled_from([1, 2, 3, 1000]))
    def limit_revisions(self, limit: int) -> None:
        assert self.db.revs_limit(limit) == limit
        self.limit = limit

    # -- what is compared --------------------------------------------------------------------------------------------

    def _shown(self, id: str, rev: str) -> dict[str, Any]:
        doc = self.docs[id]
        return {**doc.bodies[rev], "_id": id, "_rev": rev, **({"_deleted": True} if rev in doc.deleted else {})}

    @invariant()
    def documents_agree(self) -> None:
        for id in IDS:
            doc = self.docs.get(id)
            if doc is None:
                with pytest.raises(NotFound, match="missing"):
                    self.db.get(id)
                continue
            winner, *losers = doc.leaves()
            if winner in doc.deleted:
                with pytest.raises(NotFound, match="deleted"):
                    self.db.get(id)
            else:
                assert without_attachments(self.db.get(id)) == self._shown(id, winner)
            assert [each.ok._rev for each in self.db.open_revs(id)] == [winner, *losers]
            full = self.db.get(id, rev=winner, conflicts=True, deleted_conflicts=True, revs=True)
            assert full.get("_conflicts", []) == [rev for rev in losers if rev not in doc.deleted]
            assert full.get("_deleted_conflicts", []) == [rev for rev in losers if rev in doc.deleted]
            assert full._revisions.ids == [rev.partition("-")[2] for rev in doc.path(winner)]
            for rev in doc.parents:
                if rev in doc.bodies:
                    stored = self.db.get(id, rev=rev, attachments=True, binary=True)
                    names = {name: entry.data for name, entry in stored.get("_attachments", {}).items()}
                    assert (without_attachments(stored), names) == (self._shown(id, rev), doc.attachments[rev])
                else:
                    assert self.db.open_revs(id, [rev]) == [{"missing": rev}]

    @invariant()
    def totals_agree(self) -> None:
        living = [id for id in sorted(self.docs) if self.docs[id].winner() not in self.docs[id].deleted]
        info = self.db.info()
        assert (info.doc_count, info.doc_del_count) == (len(living), len(self.docs) - len(living))
        assert info.purge_seq == self.purges
        conflicted = [id for id in living if len(set(self.docs[id].leaves()) - self.docs[id].deleted) > 1]
        assert [doc._id for doc in self.db.conflicts()] == conflicted
        assert [row.id for row in self.db.all_docs().rows] == living
        rows = self.db.changes(style="all_docs").results
        assert [row.id for row in rows] == self.feed
        assert [[each.rev for each in row.changes] for row in rows] == [self.docs[id].leaves() for id in self.feed]
        assert [row.get("deleted", False) for row in rows] == [
            self.docs[id].winner() in self.docs[id].deleted for id in self.feed
        ]

    @invariant()
    def rows_agree(self) -> None:
        assert self.db.integrity_check() == []

    @rule(limit=st.integers(1, 3), style=st.sampled_from(["main_only", "all_docs"]))
    def read_the_feed_in_parts(self, limit: int, style: Any) -> None:
        seen: list[str] = []
        since = 0
        while True:
            part = self.db.changes(since=since, limit=limit, style=style)
            seen.extend(row.id for row in part.results)
            since = part.last_seq
            if len(part.results) < limit:
                break
        assert seen == self.feed
        assert since == self.db.info().update_seq

    @rule(keys=st.lists(st.sampled_from([*IDS, "none"])), wanted=st.sets(ids))
    def read_some(self, keys: list[str], wanted: set[str]) -> None:
        rows = self.db.all_docs(keys=keys, include_docs=True).rows
        for key, row in zip(keys, rows, strict=True):
            doc = self.docs.get(key)
            if doc is None:
                assert row == {"key": key, "error": "not_found"}
            elif doc.winner() in doc.deleted:
                assert row == {"id": key, "key": key, "value": {"rev": doc.winner(), "deleted": True}, "doc": None}
            else:
                assert without_attachments(row.doc) == self._shown(key, doc.winner())
        expected = [id for id in self.feed if id in wanted]
        assert [row.id for row in self.db.changes(doc_ids=sorted(wanted)).results] == expected
        assert [row.id for row in self.db.changes(filter=lambda doc: doc._id in wanted).results] == expected

    @rule(asked=st.lists(st.tuples(ids, numbers)))
    def ask_what_is_missing(self, asked: Iterable[tuple[str, int]]) -> None:
        wanted: dict[str, list[str]] = {}
        for id, which in asked:
            known = sorted(rev for each, rev in self.histories if each == id)
            if known:
                wanted.setdefault(id, []).append(known[which % len(known)])
        lacking = {
            id: list(dict.fromkeys(rev for rev in revs if id not in self.docs or rev not in self.docs[id].parents))
            for id, revs in wanted.items()
        }
        answer = self.db.revs_diff(wanted)
        assert {id: each["missing"] for id, each in answer.items()} == {
            id: revs for id, revs in lacking.items() if revs
        }


def without_attachments(doc: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in doc.items() if key != "_attachments"}


@pytest.mark.parametrize("auto_compaction", [False, True], ids=["", "auto_compaction"])
@pytest.mark.parametrize("durable", [False, True], ids=["memory", "file"])
def test_the_model(durable: bool, auto_compaction: bool) -> None:
    class Chosen(Machine):
        pass

    Chosen.durable, Chosen.auto_compaction = durable, auto_compaction
    run_state_machine_as_test(
        Chosen,
        settings=settings(
            max_examples=15 if durable else 40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
