"""Whether the files of an outside index are those that the database's register describes.

Both have the mark of the last commit, ``"seq:build"``. While an index is built, the register's has the name of that
build behind a comma: its files may be ahead of the register, by what was committed before the process ended.
"""

from __future__ import annotations

from pouchdb_core.views.index_store import IndexEntry

__all__ = ["are_known", "marks_of"]


def marks_of(entry: IndexEntry) -> tuple[str, str]:
    """Return the mark of the last commit, ``"seq:build"``, and the name of a build that has not come to its end."""
    committed, _, build = (entry.mark or "").partition(",")
    return committed, build


def are_known(entry: IndexEntry, found: str | None) -> bool:
    """Return whether files are those of an entry, given their mark.

    They may be ahead of it by what its last build has committed there and not here. Those of another build are of
    another life of the database, which had other documents: it is a copy that was put in its place.
    """
    committed, unfinished = marks_of(entry)
    if not found or found == committed:
        return bool(found)
    seq, _, build = found.partition(":")
    return build == unfinished and seq.isdigit() and int(seq) >= entry.seq
