"""The revision tree of one document: every revision known here, and what each was made from.

A tree is the union of paths. Merging only ever adds revisions and edges, so replicas that have seen the same paths, in
whatever order and however often, have the same tree and agree on the winner without communication.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from .ancestry import Ancestry, Merge, UnknownRev
from .ids import generation, parse_rev, rev_order
from .stored import Branch, read_branches, write_branches


class Tree(Ancestry):
    """A document's revisions with, for each, its parents, whether it is a deletion and where its body is.

    A body is None (not here) or a number that only the store interprets. `Tree()` is the empty tree. A revision whose
    parent is not known is a root; there may be many. If peers name different parents for one revision, both are
    kept and the greater one is shown. Asking about a revision that is not in the tree raises UnknownRev.

    Not safe for threads that change one tree at the same time.
    """

    __slots__ = ("_bodies", "_children", "_deleted", "_order", "_winner")

    def __init__(self) -> None:
        super().__init__()
        self._deleted: set[str] = set()
        self._bodies: dict[str, int] = {}
        self._order: list[str] | None = None
        self._winner: str | None = None
        self._children: dict[str, list[str]] | None = None

    @classmethod
    def single(cls, rev: str, *, deleted: bool = False, body: int | None = 0) -> "Tree":
        """Make the tree of a document that has one revision."""
        tree = cls()
        tree.merge((rev,), deleted=deleted, body=body)
        return tree

    # -- stored form

    @classmethod
    def loads(cls, data: bytes) -> "Tree":
        """Read what `dumps` wrote; raises InvalidTree for anything else."""
        tree = cls()
        known = tree._bodies
        for path, bodies, deleted in read_branches(data):
            if tree._parents:
                tree.merge(path, body=None)
            else:
                tree._parents = dict(pairwise(path))
                tree._parents[path[-1]] = None
                tree._leaves.add(path[0])
            for place, body in enumerate(bodies):
                if body is not None:
                    known[path[place]] = body
            for place in deleted:
                tree._deleted.add(path[place])
        return tree

    def dumps(self) -> bytes:
        """Return the tree as bytes, the same for equal trees."""
        leaves = self._ordered()
        if len(leaves) == 1 and not self._more:
            return write_branches([self._branch(self.path(leaves[0]))])
        placed: set[str] = set()
        branches = [self._branch_above(leaf, placed) for leaf in leaves]
        # A second parent may not be on a path of shown parents; then it has a separate branch.
        for rev in sorted(self._more):
            for parent in sorted(self._more[rev]):
                if parent not in placed:
                    branches.append(self._branch_above(parent, placed))
                branches.append(([rev, parent], [], []))
        return write_branches(branches)

    def _branch_above(self, top: str, placed: set[str]) -> Branch:
        """Return the branch from `top` down to the first revision that is already placed, which gives it its place."""
        path: list[str] = []
        rev: str | None = top
        while rev is not None and rev not in placed:
            path.append(rev)
            rev = self._parents[rev]
        placed.update(path)
        branch = self._branch(path)
        if rev is not None:
            path.append(rev)
        return branch

    def _branch(self, path: list[str]) -> Branch:
        bodies: list[int | None] = []
        unseen = len(self._bodies)
        for rev in path:
            if not unseen:  # after compaction only the leaf has one, of a thousand revisions
                break
            body = self._bodies.get(rev)
            bodies.append(body)
            if body is not None:
                unseen -= 1
        while bodies and bodies[-1] is None:
            bodies.pop()
        deleted = [place for place, rev in enumerate(path) if rev in self._deleted] if self._deleted else []
        return path, bodies, deleted

    # -- questions

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tree):
            return NotImplemented
        mine: tuple[Any, ...] = (self._parents, self._more, self._deleted, self._bodies)
        return mine == (other._parents, other._more, other._deleted, other._bodies)

    def __repr__(self) -> str:
        return f"<Tree of {len(self)} revisions, leaves {', '.join(self.leaves()) or 'none'}>"

    def copy(self) -> "Tree":
        """Return an independent tree with the same content."""
        tree = Tree()
        tree._parents = self._parents.copy()
        tree._more = {rev: others.copy() for rev, others in self._more.items()}
        tree._leaves = self._leaves.copy()
        tree._deleted = self._deleted.copy()
        tree._bodies = self._bodies.copy()
        return tree

    def is_deleted(self, rev: str) -> bool:
        """Return whether this revision is a deletion."""
        self._check(rev)
        return rev in self._deleted

    def body(self, rev: str) -> int | None:
        """Return the store's pointer to the body; None: the body is not here."""
        self._check(rev)
        return self._bodies.get(rev)

    def leaves(self) -> list[str]:
        """Return all leaves, the winner first: living before deleted, then the higher generation, then the id."""
        return self._ordered().copy()

    def _ordered(self) -> list[str]:
        order = self._order
        if order is None:
            order = self._order = list(self._leaves)
            if len(order) > 1:
                order.sort(key=self._rank, reverse=True)
        return order

    def _rank(self, rev: str) -> tuple[bool, int, str]:
        return (rev not in self._deleted, *parse_rev(rev))

    def winner(self) -> str:
        """Return the revision that every replica returns as the document; raises UnknownRev for the empty tree."""
        if not self._parents:
            raise UnknownRev("the tree is empty")
        if self._winner is None:
            self._winner = self._order[0] if self._order else max(self._leaves, key=self._rank)
        return self._winner

    def conflicts(self) -> list[str]:
        """Return the living leaves that lost, best first."""
        return [leaf for leaf in self._ordered()[1:] if leaf not in self._deleted]

    def deleted_conflicts(self) -> list[str]:
        """Return the deleted leaves that lost, best first."""
        return [leaf for leaf in self._ordered()[1:] if leaf in self._deleted]

    def latest(self, rev: str) -> str:
        """Return the best leaf among a revision and its descendants."""
        return self.leaves_of(rev)[0]

    def leaves_of(self, rev: str) -> list[str]:
        """Return the leaves among a revision and its descendants, best first: for a leaf only itself."""
        self._check(rev)
        if rev in self._leaves:
            return [rev]
        if self._children is None:
            self._children = {}
            for child, parent in self._parents.items():
                if parent is not None:
                    self._children.setdefault(parent, []).append(child)
            for child, others in self._more.items():
                for parent in others:
                    self._children.setdefault(parent, []).append(child)
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [rev]
        while waiting:
            each = waiting.pop()
            if each in seen:
                continue
            seen.add(each)
            if each in self._leaves:
                found.add(each)
            waiting += self._children.get(each, ())
        return sorted(found, key=self._rank, reverse=True)

    def holds(self, path: Sequence[str]) -> bool:
        """Return whether merging this path, newest first, would add nothing."""
        parents, more = self._parents, self._more
        if path[0] not in parents:
            return False
        return all(parents.get(child) == older or older in more.get(child, ()) for child, older in pairwise(path))

    # -- changes

    def set_body(self, rev: str, body: int | None) -> None:
        """Record where the body of a known revision is now."""
        self._check(rev)
        if body is None:
            self._bodies.pop(rev, None)
        else:
            self._bodies[rev] = body

    def merge(self, path: Sequence[str], *, deleted: bool = False, body: int | None = 0) -> Merge:
        """Add a path of revisions, newest first and of consecutive generations, and return how it relates to the tree.

        `deleted` and `body` belong to the newest one and count only if it is new. Missing ancestors are added without
        body, missing edges always, so that a path that reaches further back than a stemmed root grows the tree there.
        """
        outcome = self._add(path)
        if outcome is not Merge.KNOWN:
            if deleted:
                self._deleted.add(path[0])
            if body is not None:
                self._bodies[path[0]] = body
        self._order = self._children = None
        self._winner = self._winner_after(path, outcome)
        return outcome

    def _winner_after(self, path: Sequence[str], outcome: Merge) -> str | None:
        """Return the winner after a path was merged, None where all leaves have to be compared."""
        before, new = self._winner, path[0]
        if before is None or outcome is Merge.KNOWN:
            return None
        if before in self._leaves:
            return max(before, new, key=self._rank)
        # What was made from the winner wins, unless it is a deletion.
        return new if before in path and self._rank(new) > self._rank(before) else None

    def stem(self, limit: int) -> list[tuple[str, int | None]]:
        """Drop what is not within `limit` generations of a leaf, itself counted; return it, newest first, with bodies.

        Leaves stay, whatever the limit.
        """
        if len(self) <= limit:
            return []
        kept: set[str] = set()
        # The leaf of the lowest generation reaches furthest among its ancestors, so the climb of a later
        # leaf may stop where it meets an earlier one's: every revision is visited once.
        for leaf in sorted(self._leaves, key=generation):
            self._climb(leaf, max(limit, 1), kept)
        return self._forget(kept)

    def compact(self) -> list[tuple[str, int]]:
        """Drop the bodies of all but the leaves; return them, newest first."""
        gone = sorted((rev for rev in self._bodies if rev not in self._leaves), key=rev_order, reverse=True)
        return [(rev, self._bodies.pop(rev)) for rev in gone]

    def purge(self, revs: Iterable[str]) -> list[tuple[str, int | None]]:
        """Remove leaves, and ancestors that have no other descendants; return all removed, newest first, with bodies.

        As in CouchDB, what is not a leaf is ignored. The tree may become empty.
        """
        going = self._leaves.intersection(revs)
        if not going:
            return []
        kept: set[str] = set()
        for leaf in self._leaves - going:
            self._climb(leaf, len(self), kept)
        return self._forget(kept)

    def _forget(self, kept: set[str]) -> list[tuple[str, int | None]]:
        gone = self._keep(kept)
        self._deleted &= kept
        self._order = self._winner = self._children = None
        return [(rev, self._bodies.pop(rev, None)) for rev in gone]
