"""Compaction, purging and revision differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pouchdb_core.documents.edit import Batch
from pouchdb_core.documents.read import tree_of
from pouchdb_core.documents.store import RowChanges, Store
from pouchdb_core.results import Record
from pouchdb_core.revisions import Tree, missing, possible_ancestors
from pouchdb_core.tasks import Task

__all__ = ["compact", "purge", "revs_diff"]

PAGE = 500


def compact(store: Store, task: Task) -> None:
    """Drop the bodies of revisions that are not leaves, ids beyond ``revs_limit``, unused attachments, and free space.

    Goes page by page, each in a separate transaction: writers get their turn in between, and a
    compaction that is killed loses nothing and is simply run again. It reads only documents that
    have something beside their winner: where others have too many ids, they go with the next edit.
    """
    after = 0
    while page := store.bodies_after(after, PAGE):
        with store.write() as counters:
            changes = RowChanges()
            for id, row in store.rows(list(dict.fromkeys(id for _, id in page))).items():
                tree = tree_of(row)
                dropped = tree.compact()
                stemmed = tree.stem(counters.revs_limit)
                if dropped or stemmed:
                    changes.dropped.extend((pointer,) for _, pointer in dropped)
                    changes.unused.extend((id, rev) for rev, _ in dropped)
                    # Same seq: nothing has changed for a reader of the feed.
                    changes.touched.append((row[0], _live_conflicts(tree, row[3]), tree.dumps(), row[0]))
            store.save(changes)
        task.progress(len(page))
        after = page[-1][0]
    store.shrink()


def _live_conflicts(tree: Tree, deleted: int) -> int:
    return 0 if deleted else len(tree.conflicts())


def purge(store: Store, wanted: Mapping[str, Sequence[str]], keep: int) -> tuple[int, dict[str, list[str]], set[str]]:
    """Purge leaf revisions, and ancestors that only they have, as if they had never existed.

    One transaction; revisions that are missing, or not leaves, are ignored. Returns the purge_seq, the
    purged revisions by id, and the ids of which nothing is left.
    """
    with store.write() as counters:
        heads = store.heads(list(wanted))
        batch = Batch(store, counters, heads)
        gone: dict[str, list[str]] = {}
        for id, revs in wanted.items():
            gone[id] = batch.prune(id, list(revs))
            if gone[id]:
                counters.purge_seq += 1
                store.add_purge(counters.purge_seq, id, gone[id], keep)
        batch.flush()
        left = store.heads(list(wanted))
        return counters.purge_seq, gone, {id for id in heads if id not in left}


def revs_diff(store: Store, wanted: Mapping[str, Sequence[str]]) -> Record:
    """Return the missing revisions: ``{id: {"missing": [...], "possible_ancestors"?: [...]}}``."""
    answer = Record()
    ids = list(wanted)
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        heads = store.heads(page)
        for id in page:
            head = heads.get(id)
            tree = None
            if head is not None:
                _, rev, deleted, packed = head
                if list(wanted[id]) == [rev]:
                    # The usual question about an existing revision: no tree has to be made to answer it.
                    continue
                tree = Tree.single(rev, deleted=bool(deleted)) if packed is None else Tree.loads(packed)
            lacking = missing(tree, wanted[id])
            if lacking:
                entry = Record(missing=lacking)
                if tree is not None and (ancestors := possible_ancestors(tree, lacking)):
                    entry["possible_ancestors"] = ancestors
                answer[id] = entry
    return answer
