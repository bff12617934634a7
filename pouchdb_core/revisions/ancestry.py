"""What each revision was made from: a graph that grows only by whole paths, and shrinks by whole ends."""

from collections.abc import Iterator, Sequence
from enum import Enum

from .ids import rev_order


class UnknownRev(ValueError):
    """A revision was requested that the tree does not have."""


class Merge(Enum):
    """How a merged path relates to the tree."""

    NEW_LEAF = "new_leaf"
    """It extends a leaf: an edit."""
    NEW_BRANCH = "new_branch"
    """It leaves the tree at an inner revision: a conflict."""
    NEW_ROOT = "new_root"
    """It shares no revision with the tree: a first revision, or a history that was stemmed too far back."""
    KNOWN = "known"
    """Its newest revision was already there."""


class Ancestry:
    """The revisions of a document and the edges between them: the part of a `Tree` that does not know documents."""

    # Every parent named in _parents and _more is itself a key of _parents, and a generation lower than its child, so
    # there are no cycles. _more holds the parents besides the greatest one: nearly always empty.
    __slots__ = ("_leaves", "_more", "_parents")

    def __init__(self) -> None:
        self._parents: dict[str, str | None] = {}
        self._more: dict[str, set[str]] = {}
        self._leaves: set[str] = set()

    def __len__(self) -> int:
        return len(self._parents)

    def __contains__(self, rev: object) -> bool:
        return rev in self._parents

    def __iter__(self) -> Iterator[str]:
        return iter(self._parents)

    def is_leaf(self, rev: str) -> bool:
        """Return whether no known revision was made from this one."""
        self._check(rev)
        return rev in self._leaves

    def parent(self, rev: str) -> str | None:
        """Return the revision this one was made from; None for a root."""
        self._check(rev)
        return self._parents[rev]

    def path(self, rev: str) -> list[str]:
        """Return a revision and its ancestors, newest first, as far back as they are known."""
        self._check(rev)
        parents = self._parents
        path = [rev]
        older = parents[rev]
        while older is not None:
            path.append(older)
            older = parents[older]
        return path

    def _check(self, rev: str) -> None:
        if rev not in self._parents:
            raise UnknownRev(f"revision {rev} is not in the tree")

    def _add(self, path: Sequence[str]) -> Merge:
        """Add the missing revisions and edges of a path."""
        parents, leaves = self._parents, self._leaves
        child = path[0]
        outcome = None
        if child in parents:
            outcome = Merge.KNOWN
        else:
            parents[child] = None
            leaves.add(child)
        for older in path[1:]:
            if parents[child] != older:
                if older not in parents:
                    parents[older] = None
                elif outcome is None:
                    outcome = Merge.NEW_LEAF if older in leaves else Merge.NEW_BRANCH
                leaves.discard(older)
                self._link(child, older)
            child = older
        return outcome or Merge.NEW_ROOT

    def _link(self, child: str, parent: str) -> None:
        shown = self._parents[child]
        if shown is None:
            self._parents[child] = parent
            return
        others = self._more.setdefault(child, set())
        if parent > shown:  # one generation, so text order is revision order
            self._parents[child] = parent
            parent = shown
        others.add(parent)

    def _climb(self, leaf: str, limit: int, seen: set[str]) -> None:
        """Add a leaf and its ancestors of the next `limit` - 1 generations to `seen`; stop at what is there."""
        parents, more = self._parents, self._more
        waiting: list[tuple[str | None, int]] = [(leaf, limit)]
        while waiting:
            rev, room = waiting.pop()
            while room > 0 and rev is not None and rev not in seen:
                seen.add(rev)
                room -= 1
                if rev in more:
                    waiting.extend((other, room) for other in more[rev])
                rev = parents[rev]

    def _keep(self, kept: set[str]) -> list[str]:
        """Drop every revision that is not in `kept`, and the edges to it; return the dropped, newest first."""
        parents, more = self._parents, self._more
        gone = sorted((rev for rev in parents if rev not in kept), key=rev_order, reverse=True)
        for rev in gone:
            del parents[rev]
            more.pop(rev, None)
        for rev, shown in parents.items():
            if shown is None:
                continue
            if rev in more:
                known = (more.pop(rev) | {shown}) & kept
                parents[rev] = max(known, default=None)
                if len(known) > 1:
                    more[rev] = known - {max(known)}
            elif shown not in kept:
                parents[rev] = None
        self._leaves &= kept
        return gone
