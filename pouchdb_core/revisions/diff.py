"""What a replication target answers: which offered revisions it lacks, and from which of its own they may descend."""

from collections.abc import Sequence

from .ids import generation, rev_order
from .tree import Tree


def missing(tree: Tree | None, revs: Sequence[str]) -> list[str]:
    """Return which of `revs` should be sent, in the order given and each once; None is a document not known here.

    As in CouchDB an ancestor is known even if its body was compacted away (PouchDB would ask for it, in vain, at every
    replication). A leaf without its body is not: nobody could read the document.
    """
    wanted = dict.fromkeys(revs)
    if tree is None:
        return list(wanted)
    return [rev for rev in wanted if rev not in tree or (tree.is_leaf(rev) and tree.body(rev) is None)]


def possible_ancestors(tree: Tree | None, missing_revs: Sequence[str]) -> list[str]:
    """Return the leaves that one of `missing_revs` may descend from, in revision order.

    A sender leaves out attachments that such a leaf already has. Raises InvalidRev if a missing one is no revision.
    """
    if tree is None or not missing_revs:
        return []
    newest = max(map(generation, missing_revs))
    return sorted((leaf for leaf in tree.leaves() if generation(leaf) < newest), key=rev_order)
