"""How large B-trees of SQLite are, from the first of their pages: all of a small one, an estimate for a large one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["PAGES", "Sizes", "btree_sizes"]

PAGES = 4096
"""Pages that are read of a B-tree, 16 MB: SQLite has to read a page to know its size."""


class Sizes(NamedTuple):
    """Bytes."""

    file: int = 0
    """Of the pages."""
    active: int = 0
    """Of the pages without what is free in them."""
    external: int = 0
    """Of the rows alone."""

    def plus(self, other: Sizes) -> Sizes:
        return Sizes(*(mine + others for mine, others in zip(self, other, strict=True)))


def btree_sizes(rows: Callable[[str, Sequence[Any]], Sequence[Any]], name: str, most: int = PAGES) -> Sizes:
    """Return the size of a table or index of SQLite; ``rows(sql, parameters)`` runs a query.

    Needs the virtual table ``dbstat`` (https://www.sqlite.org/dbstat.html). It lists the pages in the order of the
    tree, each with its path (``/000/1c2/``: the child 0x1c2 of the root's first child) and its number of cells, one
    less than its children. So the path of the last page that was read is the share of the tree that was read.
    """
    sql = "SELECT path, pagetype, ncell, pgsize, pgsize - unused, payload FROM dbstat WHERE name = ? LIMIT ?"
    found = rows(sql, (name, most))
    read = Sizes(*(sum(row[column] for row in found) for column in (3, 4, 5)))
    if len(found) < most:
        return read
    share = _share({row[0]: row[2] for row in found if row[1] == "internal"}, _last_leaf(found))
    return Sizes(*(round(size / share) for size in read))


def _last_leaf(found: Sequence[Any]) -> str:
    return next((row[0] for row in reversed(found) if row[1] == "leaf"), "/")


def _share(cells: dict[str, int], path: str) -> float:
    """Return which share of a tree ends with the leaf at ``path``, if all subtrees were of one size."""
    share, width, parent = 0.0, 1.0, "/"
    for child in path.strip("/").split("/") if path != "/" else ():
        width /= cells[parent] + 1
        share += int(child, 16) * width
        parent += f"{child}/"
    return share + width
