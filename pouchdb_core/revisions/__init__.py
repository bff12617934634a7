"""Revision ids and revision trees: pure code that imports nothing else from the project and opens no files."""

from .ancestry import Merge, UnknownRev
from .diff import missing, possible_ancestors
from .ids import (
    InvalidRev,
    Revisions,
    generation,
    js_json,
    parse_rev,
    path_from_revisions,
    plain_json,
    rev_id,
    rev_order,
    revisions_from_path,
)
from .stored import InvalidTree
from .tree import Tree

__all__ = [
    "InvalidRev",
    "InvalidTree",
    "Merge",
    "Revisions",
    "Tree",
    "UnknownRev",
    "generation",
    "js_json",
    "missing",
    "parse_rev",
    "path_from_revisions",
    "plain_json",
    "possible_ancestors",
    "rev_id",
    "rev_order",
    "revisions_from_path",
]
