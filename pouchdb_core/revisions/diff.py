"""A replication target's answer: the offered revisions that it lacks, and its leaves that they may descend from."""

from collections.abc import Sequence

from .ids import generation, rev_order
from .tree import Tree


def missing(tree: Tree | None, revs: Sequence[str]) -> list[str]:
    """Return which of `revs` should be sent, in the given order and each once; None is an unknown document.

    As in CouchDB an ancestor is known even if its body was compacted away (PouchDB would request it, in vain, at every
    replication). A leaf without its body is not: the document could not be read.
    """
    wanted = dict.fromkeys(revs)
    if tree is None:
        return list(wanted)
    return [rev for rev in wanted if rev not in tree or (tree.is_leaf(rev) and tree.body(rev) is None)]


def possible_ancestors(tree: Tree | None, missing_revs: Sequence[str]) -> list[str]:
    """Return the leaves that one of `missing_revs` may descend from, in revision order.

    A sender leaves out attachments that such a leaf already has. Raises InvalidRev if a missing one is not a revision.
    """
    if tree is None or not missing_revs:
        return []
    newest = max(map(generation, missing_revs))
    return sorted((leaf for leaf in tree.leaves() if generation(leaf) < newest), key=rev_order)
