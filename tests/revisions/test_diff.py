"""What a target answers to revisions it is offered."""

import pytest

from pouchdb_core.revisions import InvalidRev, Tree, missing, possible_ancestors


@pytest.fixture
def tree() -> Tree:
    """Two leaves over 2-b; the bodies of the ancestors never came."""
    tree = Tree()
    tree.merge(["3-c", "2-b", "1-a"], body=1)
    tree.merge(["4-e", "3-d", "2-b"], body=2)
    return tree


def test_all_is_missing_from_an_unknown_document() -> None:
    assert missing(None, ["2-b", "1-a", "2-b"]) == ["2-b", "1-a"]
    assert missing(Tree(), ["1-a"]) == ["1-a"]
    assert missing(None, []) == []


def test_missing_keeps_order_and_names_each_once(tree: Tree) -> None:
    assert missing(tree, ["9-z", "3-c", "1-x", "9-z", "4-e"]) == ["9-z", "1-x"]
    assert missing(tree, []) == []


def test_an_ancestor_without_body_is_known(tree: Tree) -> None:
    assert tree.body("2-b") is None
    assert missing(tree, ["1-a", "2-b", "3-d"]) == []


def test_a_leaf_without_body_is_missing(tree: Tree) -> None:
    tree.set_body("3-c", None)
    assert missing(tree, ["3-c", "4-e"]) == ["3-c"]


def test_a_pointer_of_zero_is_a_body() -> None:
    assert missing(Tree.single("1-a", body=0), ["1-a"]) == []


@pytest.mark.parametrize(
    ("offered", "ancestors"),
    [
        (["5-x"], ["3-c", "4-e"]),
        (["4-x"], ["3-c"]),
        (["3-x"], []),
        (["1-x", "4-x", "2-x"], ["3-c"]),
        ([], []),
    ],
    ids=repr,
)
def test_possible_ancestors_are_leaves_older_than_a_missing_revision(
    tree: Tree, offered: list[str], ancestors: list[str]
) -> None:
    assert possible_ancestors(tree, offered) == ancestors


def test_possible_ancestors_sort_by_number() -> None:
    tree = Tree.single("10-a")
    tree.merge(["9-b"])
    assert possible_ancestors(tree, ["11-x"]) == ["9-b", "10-a"]


def test_possible_ancestors_of_an_unknown_document() -> None:
    assert possible_ancestors(None, ["3-x"]) == []
    assert possible_ancestors(Tree(), ["3-x"]) == []


def test_possible_ancestors_refuses_what_is_no_revision(tree: Tree) -> None:
    with pytest.raises(InvalidRev):
        possible_ancestors(tree, ["x"])
