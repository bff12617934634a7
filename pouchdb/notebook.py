"""Revision trees as pictures in notebooks: ``pouchdb.notebook.revision_tree(db, id)``."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import NotFound
from pouchdb_core.revisions import Tree, path_from_revisions, rev_order

__all__ = ["RevisionTree", "revision_tree"]

STEP, LANE, RADIUS, EDGE = 120, 34, 8, 20
"""Pixels between generations, between branches, of a circle, and around the picture."""
GENERATIONS = 60
"""Generations that are drawn, the newest: a document may have a thousand."""
COLORS = {"winner": "#2e7d32", "conflict": "#e65100", "deleted": "#9e9e9e", "ancestor": "#90a4ae"}


def revision_tree(db: SyncPouchDB, id: str) -> RevisionTree:
    """Return the revision tree of a document, which notebooks show as a picture. Raises NotFound."""
    tree = Tree()
    for leaf in db.open_revs(id, "all", revs=True):
        doc = leaf.get("ok")
        if doc is not None:
            tree.merge(path_from_revisions(**doc["_revisions"]), deleted=bool(doc.get("_deleted")))
    if not tree:
        raise NotFound(id=id)
    return RevisionTree(id, tree)


class RevisionTree:
    """A picture of one document's revisions: generations from left to right, the winner's branch on top."""

    def __init__(self, id: str, tree: Tree) -> None:
        self.id, self.tree = id, tree

    def kind(self, rev: str) -> str:
        """Return ``winner``, ``conflict``, ``deleted`` (leaves) or ``ancestor``."""
        if rev not in set(self.tree.leaves()):
            return "ancestor"
        if self.tree.is_deleted(rev):
            return "deleted"
        return "winner" if rev == self.tree.winner() else "conflict"

    def _lanes(self) -> Mapping[str, int]:
        """Return the row of each revision: a branch keeps its row, the winner's is the first."""
        winner = self.tree.winner()
        others = sorted((leaf for leaf in self.tree.leaves() if leaf != winner), key=rev_order, reverse=True)
        lanes: dict[str, int] = {}
        for lane, leaf in enumerate([winner, *others]):
            rev: str | None = leaf
            while rev is not None and rev not in lanes:
                lanes[rev] = lane
                rev = self.tree.parent(rev)
        return lanes

    def _repr_svg_(self) -> str:
        lanes = self._lanes()
        last = max(rev_order(rev)[0] for rev in lanes)
        first = max(1, last - GENERATIONS + 1)
        shown = {rev: lane for rev, lane in lanes.items() if rev_order(rev)[0] >= first}

        def place(rev: str) -> tuple[int, int]:
            return EDGE + (rev_order(rev)[0] - first) * STEP, EDGE + lanes[rev] * LANE

        lines, circles = [], []
        for rev in shown:
            x, y = place(rev)
            parent = self.tree.parent(rev)
            if parent is not None and parent in shown:
                before, above = place(parent)
                lines.append(
                    f'<path d="M{before} {above} C{x} {above} {before} {y} {x} {y}" fill="none" stroke="#90a4ae"/>'
                )
            kind = self.kind(rev)
            title = f"<title>{escape(rev)}, {kind}</title>"
            circles.append(
                f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="{COLORS[kind]}">{title}</circle>'
                f'<text x="{x + RADIUS + 3}" y="{y - 6}" font-size="10">{escape(rev[:10])}</text>'
            )
        width = EDGE * 2 + (last - first) * STEP + STEP
        height = EDGE * 2 + (max(shown.values()) + 1) * LANE
        about = f"{self.id}: {len(lanes)} revisions" + (f", the last {GENERATIONS} generations" if first > 1 else "")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">'
            f"<title>{escape(about)}</title>{''.join(lines)}{''.join(circles)}</svg>"
        )

    def __repr__(self) -> str:
        leaves = ", ".join(
            f"{rev} ({self.kind(rev)})" for rev in sorted(self.tree.leaves(), key=rev_order, reverse=True)
        )
        return f"<RevisionTree of {self.id!r}: {leaves}>"
