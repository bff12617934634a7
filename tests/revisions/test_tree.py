"""The revision tree: what merging, stemming, compacting and purging do, and that the order of arrival never matters."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pouchdb_core.revisions import InvalidTree, Merge, Tree, UnknownRev, path_from_revisions, rev_order


def tree_of(*paths: Sequence[str], deleted: Sequence[str] = ()) -> Tree:
    tree = Tree()
    for body, path in enumerate(paths, 1):
        tree.merge(path, deleted=path[0] in deleted, body=body)
    return tree


def edges(tree: Tree) -> dict[str, list[str]]:
    return {rev: tree.path(rev) for rev in tree}


# -- merging


@pytest.mark.parametrize(
    ("known", "path", "outcome", "leaves"),
    [
        pytest.param([], ["1-a"], Merge.NEW_ROOT, ["1-a"], id="first revision"),
        pytest.param([], ["3-c", "2-b"], Merge.NEW_ROOT, ["3-c"], id="first path"),
        pytest.param([["1-a"]], ["2-b", "1-a"], Merge.NEW_LEAF, ["2-b"], id="edit"),
        pytest.param([["1-a"]], ["4-d", "3-c", "2-b", "1-a"], Merge.NEW_LEAF, ["4-d"], id="several edits"),
        pytest.param([["2-b", "1-a"]], ["2-c", "1-a"], Merge.NEW_BRANCH, ["2-c", "2-b"], id="conflict"),
        pytest.param(
            [["3-c", "2-b", "1-a"]], ["4-e", "3-d", "2-b"], Merge.NEW_BRANCH, ["4-e", "3-c"], id="long branch"
        ),
        pytest.param([["2-b", "1-a"]], ["1-z"], Merge.NEW_ROOT, ["2-b", "1-z"], id="second root"),
        pytest.param([["2-b", "1-a"]], ["5-e", "4-d"], Merge.NEW_ROOT, ["5-e", "2-b"], id="no common revision"),
        pytest.param([["2-b", "1-a"]], ["2-b", "1-a"], Merge.KNOWN, ["2-b"], id="again"),
        pytest.param([["2-b", "1-a"]], ["1-a"], Merge.KNOWN, ["2-b"], id="an ancestor"),
        pytest.param([["3-c"]], ["3-c", "2-b", "1-a"], Merge.KNOWN, ["3-c"], id="more of a stemmed history"),
        pytest.param([["3-c"]], ["2-b", "1-a"], Merge.NEW_ROOT, ["3-c", "2-b"], id="history not known to be that"),
        pytest.param([["3-c"]], ["4-d", "3-c", "2-b"], Merge.NEW_LEAF, ["4-d"], id="edit reaching behind the root"),
        pytest.param([["4-d", "3-c"]], ["4-e", "3-c", "2-b"], Merge.NEW_BRANCH, ["4-e", "4-d"], id="branch behind it"),
        pytest.param([["3-c", "2-b"]], ["3-d", "2-b", "1-a"], Merge.NEW_BRANCH, ["3-d", "3-c"], id="at the root"),
        pytest.param([["3-c", "2-b", "1-a"]], ["4-d", "3-c"], Merge.NEW_LEAF, ["4-d"], id="stemmed by the sender"),
        pytest.param([["3-c"], ["1-a"]], ["3-c", "2-b", "1-a"], Merge.KNOWN, ["3-c"], id="two parts join"),
        pytest.param(
            [["1-a"], ["3-c"]], ["4-d", "3-c", "2-b", "1-a"], Merge.NEW_LEAF, ["4-d"], id="two parts extended"
        ),
    ],
)
def test_merge(known: list[list[str]], path: list[str], outcome: Merge, leaves: list[str]) -> None:
    tree = tree_of(*known)
    assert tree.merge(path, body=9) is outcome
    assert tree.leaves() == leaves
    for child, parent in pairwise(path):
        assert tree.parent(child) == parent
        assert not tree.is_leaf(parent)
    assert (tree.body(path[0]) == 9) is (outcome is not Merge.KNOWN)


def test_merged_ancestors_have_no_body_and_live() -> None:
    tree = tree_of(["2-b", "1-a"], deleted=["2-b"])
    assert tree.is_deleted("2-b")
    assert tree.body("2-b") == 1
    assert not tree.is_deleted("1-a")
    assert tree.body("1-a") is None


def test_a_known_revision_keeps_its_flag_and_body() -> None:
    tree = Tree.single("1-a", body=5)
    assert tree.merge(["1-a"], deleted=True, body=6) is Merge.KNOWN
    assert tree == Tree.single("1-a", body=5)
    tree.merge(["2-b", "1-a"])
    assert tree.merge(["1-a"], deleted=True, body=7) is Merge.KNOWN
    assert tree.body("1-a") == 5
    assert not tree.is_deleted("1-a")


def test_two_parents_are_both_kept_and_the_greater_is_shown() -> None:
    one, other = tree_of(["2-c", "1-a"], ["2-c", "1-b"]), tree_of(["2-c", "1-b"], ["2-c", "1-a"])
    assert one.parent("2-c") == other.parent("2-c") == "1-b"
    assert one.path("2-c") == ["2-c", "1-b"]
    assert one.leaves() == ["2-c"]
    assert one == other
    assert one.dumps() == other.dumps()
    assert one != tree_of(["2-c", "1-b"], ["1-a"])
    assert one.latest("1-a") == "2-c"


def test_single() -> None:
    tree = Tree.single("1-a", deleted=True, body=3)
    assert (tree.winner(), tree.is_deleted("1-a"), tree.body("1-a"), tree.parent("1-a")) == ("1-a", True, 3, None)
    assert Tree.single("1-a").body("1-a") == 0
    assert Tree.single("1-a", body=None).body("1-a") is None


# -- questions


@pytest.mark.parametrize(
    ("paths", "deleted", "leaves"),
    [
        pytest.param([["1-a"], ["1-b"]], [], ["1-b", "1-a"], id="larger id"),
        pytest.param([["1-B"], ["1-a"]], [], ["1-a", "1-B"], id="byte order"),
        pytest.param([["1-ab"], ["1-a"]], [], ["1-ab", "1-a"], id="longer id"),
        pytest.param([["2-a", "1-x"], ["1-b"]], [], ["2-a", "1-b"], id="higher generation"),
        pytest.param([["10-a"], ["9-b"]], [], ["10-a", "9-b"], id="generations are numbers"),
        pytest.param([["9-z"], ["1-a"]], ["9-z"], ["1-a", "9-z"], id="living before deleted"),
        pytest.param([["1-a"], ["2-b"]], ["1-a", "2-b"], ["2-b", "1-a"], id="all deleted"),
        pytest.param([["2-b", "1-a"], ["3-c", "2-b"]], ["2-b"], ["3-c"], id="re-created"),
    ],
)
def test_winner(paths: list[list[str]], deleted: list[str], leaves: list[str]) -> None:
    tree = tree_of(*paths, deleted=deleted)
    assert tree.leaves() == leaves
    assert tree.winner() == leaves[0]
    assert tree.conflicts() == [rev for rev in leaves[1:] if rev not in deleted]
    assert tree.deleted_conflicts() == [rev for rev in leaves[1:] if rev in deleted]


def test_leaves_belong_to_the_caller() -> None:
    tree = tree_of(["1-a"])
    tree.leaves().clear()
    assert tree.leaves() == ["1-a"]


def test_latest_is_the_best_leaf_above() -> None:
    tree = tree_of(["3-c", "2-b", "1-a"], ["4-e", "3-d", "2-b"], ["2-z", "1-a"], ["9-y"], deleted=["4-e"])
    assert [tree.latest(rev) for rev in ("1-a", "2-b", "3-d", "2-z", "9-y")] == ["3-c", "3-c", "4-e", "2-z", "9-y"]


@pytest.mark.parametrize("question", ["is_leaf", "is_deleted", "body", "parent", "path", "latest"])
def test_an_unknown_revision_is_an_error(question: str) -> None:
    with pytest.raises(UnknownRev, match="2-b"):
        getattr(tree_of(["1-a"]), question)("2-b")
    with pytest.raises(UnknownRev):
        tree_of(["1-a"]).set_body("2-b", 1)


def test_the_empty_tree() -> None:
    tree = Tree()
    assert len(tree) == 0
    assert tree.leaves() == tree.conflicts() == tree.deleted_conflicts() == list(tree) == []
    assert tree.stem(1) == tree.compact() == tree.purge(["1-a"]) == []
    assert Tree.loads(tree.dumps()) == tree
    with pytest.raises(UnknownRev, match="empty"):
        tree.winner()


def test_trees_compare_by_content() -> None:
    tree = tree_of(["2-b", "1-a"])
    assert "1-a" in tree
    assert "1-b" not in tree
    assert sorted(tree) == ["1-a", "2-b"]
    assert tree != tree_of(["2-b", "1-a"], deleted=["2-b"])
    assert tree != tree_of(["2-b"], ["1-a"])
    assert tree != "2-b"
    changed = tree.copy()
    changed.set_body("1-a", 7)
    assert changed != tree
    changed.set_body("1-a", None)
    assert changed == tree
    assert "2-b" in repr(tree)
    with pytest.raises(TypeError):
        hash(tree)


def test_a_copy_is_independent() -> None:
    tree = tree_of(["2-c", "1-a"], ["2-c", "1-b"])
    copy = tree.copy()
    copy.merge(["2-c", "1-z"])
    copy.merge(["3-d", "2-c"], deleted=True)
    copy.set_body("2-c", 77)
    assert tree == tree_of(["2-c", "1-a"], ["2-c", "1-b"])
    assert tree.leaves() == ["2-c"]


# -- losing things


def test_stem() -> None:
    tree = tree_of(["4-d", "3-c", "2-b", "1-a"])
    tree.set_body("1-a", 8)
    assert tree.stem(4) == []
    assert tree.stem(2) == [("2-b", None), ("1-a", 8)]
    assert tree.path("4-d") == ["4-d", "3-c"]
    assert tree.stem(0) == [("3-c", None)]
    assert tree == tree_of(["4-d"])


@pytest.mark.parametrize(
    ("limit", "dropped", "paths"),
    [
        (1, ["5-e", "4-d", "3-c", "2-b", "1-a"], [["6-f"], ["3-x"]]),
        (2, ["4-d", "3-c", "1-a"], [["6-f", "5-e"], ["3-x", "2-b"]]),
        (3, ["3-c"], [["6-f", "5-e", "4-d"], ["3-x", "2-b", "1-a"]]),
        (5, [], [["6-f", "5-e", "4-d", "3-c", "2-b", "1-a"], ["3-x", "2-b", "1-a"]]),
    ],
)
def test_stem_counts_from_the_nearest_leaf(limit: int, dropped: list[str], paths: list[list[str]]) -> None:
    tree = tree_of(["6-f", "5-e", "4-d", "3-c", "2-b", "1-a"], ["3-x", "2-b"])
    assert tree.stem(limit) == [(rev, None) for rev in dropped]
    assert [tree.path(leaf) for leaf in tree.leaves()] == paths


def test_a_path_joins_again_what_was_stemmed() -> None:
    whole = ["5-e", "4-d", "3-c", "2-b", "1-a"]
    tree = tree_of(whole)
    tree.stem(2)
    assert tree.merge(["6-f", *whole], body=2) is Merge.NEW_LEAF
    assert tree.leaves() == ["6-f"]
    assert tree.path("6-f") == ["6-f", *whole]
    assert tree.merge(["5-x", *whole[1:]]) is Merge.NEW_BRANCH


def test_compact_forgets_all_but_leaf_bodies() -> None:
    tree = tree_of(["1-a"], ["2-b", "1-a"], ["10-z"], ["3-c", "2-b"], ["2-x", "1-a"])
    assert tree.compact() == [("2-b", 2), ("1-a", 1)]
    assert [tree.body(rev) for rev in tree.leaves()] == [3, 4, 5]
    assert tree.compact() == []


@pytest.mark.parametrize(
    ("revs", "removed", "left"),
    [
        pytest.param(["3-c"], [("3-c", 1)], ["3-d", "2-b", "1-a", "1-z"], id="up to the branch"),
        pytest.param(
            ["3-c", "3-d"], [("3-d", 2), ("3-c", 1), ("2-b", None), ("1-a", None)], ["1-z"], id="both branches"
        ),
        pytest.param(["1-z"], [("1-z", 3)], ["3-c", "3-d", "2-b", "1-a"], id="a root"),
        pytest.param(["2-b", "1-a", "9-q"], [], ["3-c", "3-d", "2-b", "1-a", "1-z"], id="no leaves"),
        pytest.param(
            ["3-c", "3-d", "1-z"],
            [("3-d", 2), ("3-c", 1), ("2-b", None), ("1-z", 3), ("1-a", None)],
            [],
            id="everything",
        ),
    ],
)
def test_purge(revs: list[str], removed: list[tuple[str, int | None]], left: list[str]) -> None:
    tree = tree_of(["3-c", "2-b", "1-a"], ["3-d", "2-b"], ["1-z"])
    assert tree.purge(iter(revs)) == removed
    assert sorted(tree) == sorted(left)
    assert len(tree) == len(left)


def test_purge_removes_every_parent_left_alone() -> None:
    tree = tree_of(["2-c", "1-a"], ["2-c", "1-b"], ["2-d", "1-a"])
    assert tree.purge(["2-c"]) == [("2-c", 1), ("1-b", None)]
    assert tree.path("2-d") == ["2-d", "1-a"]


# -- stored form


@pytest.mark.parametrize(
    ("tree", "data"),
    [
        (Tree(), b"[]"),
        (Tree.single("1-a"), b'[[["1-a"],[0],[]]]'),
        (tree_of(["3-c", "2-b", "1-a"]), b'[[["3-c","2-b","1-a"],[1],[]]]'),
        (
            tree_of(["1-a"], ["3-c", "2-b", "1-a"], ["3-d", "2-b"], deleted=["3-d", "1-a"]),
            b'[[["3-c","2-b","1-a"],[2,null,1],[2]],[["3-d","2-b"],[3],[0]]]',
        ),
        (
            tree_of(["3-c", "2-b"], ["3-c", "2-a", "1-x"]),
            b'[[["3-c","2-b"],[1],[]],[["2-a","1-x"],[],[]],[["3-c","2-a"],[],[]]]',
        ),
    ],
    ids=["empty", "single", "chain", "branches", "two parents"],
)
def test_stored_form(tree: Tree, data: bytes) -> None:
    assert tree.dumps() == data
    assert Tree.loads(data) == tree
    assert Tree.loads(data).leaves() == tree.leaves()


@pytest.mark.parametrize("length", [2, 1000, 1024, 1025, 1100])
def test_a_long_history_is_stored(length: int) -> None:
    tree = tree_of(path_from_revisions(length, [f"{n:x}" for n in range(length)]))
    assert Tree.loads(tree.dumps()) == tree
    tree.merge(["3-x", tree.path(tree.winner())[-2]])
    assert Tree.loads(tree.dumps()) == tree


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"1",
        b"{}x",
        b'{"a":1}',
        b'["1-a"]',
        b"[[]]",
        b"[[[],[],[]]]",
        b'[[["1-a"],[0]]]',
        b'[["1-a",[0],[]]]',
        b"[[[1],[0],[]]]",
        b'[[["1-a"],["0"],[]]]',
        b'[[["1-a"],[1.5],[]]]',
        b'[[["1-a"],[true],[]]]',
        b'[[["1-a"],[0,1],[]]]',
        b'[[["1-a"],[0],[1]]]',
        b'[[["1-a"],[0],[-1]]]',
        b'[[["1-a"],[0],[false]]]',
        b'[[["1-a"],[0],null]]',
        b'[[["a"],[0],[]]]',
        b'[[["0-a"],[0],[]]]',
        b'[[["01-a"],[0],[]]]',
        b'[[["-1-a"],[0],[]]]',
        b'[[["1-a","0-b"],[0],[]]]',
        b'[[["2-b","1-a","0-b"],[0],[]]]',
        b'[[["2-b","2-b"],[0],[]]]',
        b'[[["3-b","1-a"],[0],[]]]',
        b'[[["1-a","2-b"],[0],[]]]',
        b'[[["3-b",null,"1-a"],[0],[]]]',
        b'[[["20-b","2-a"],[0],[]]]',
        b'[[["99999-b","99997-a"],[0],[]]]',
        b'[[["3-b","2-a"],[0],[]],[["2-a","3-b"],[],[]]]',
        b"\xff",
    ],
)
def test_loads_refuses(data: bytes) -> None:
    with pytest.raises(InvalidTree):
        Tree.loads(data)


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["1-a", "2-b", "3-c", "1-", "x"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(st.tuples(json_values, json_values, json_values), max_size=3) | json_values)
def test_what_loads_is_a_tree(value: Any) -> None:
    try:
        tree = Tree.loads(orjson.dumps(value))
    except InvalidTree:
        return
    assert Tree.loads(tree.dumps()) == tree


# -- properties; few ids, so that paths meet, branch, and disagree about parents


@st.composite
def paths(draw: st.DrawFn, newest: int = 6, ids: str = "abc") -> list[str]:
    start = draw(st.integers(1, newest))
    return path_from_revisions(start, draw(st.lists(st.sampled_from(ids), min_size=1, max_size=start)))


many_paths = st.lists(paths(), min_size=1, max_size=8)


@settings(deadline=None)
@given(many_paths, st.data())
def test_the_order_of_arrival_does_not_matter(arriving: list[list[str]], data: st.DataObject) -> None:
    """Flags and bodies belong to revisions; of revisions that only ever arrived as ancestors there are none."""
    inner = {rev for path in arriving for rev in path[1:]}
    deleted = data.draw(st.sets(st.sampled_from([path[0] for path in arriving])))

    def arrive(tree: Tree, path: list[str]) -> Tree:
        leaf = path[0]
        alone = leaf not in inner
        tree.merge(path, deleted=alone and leaf in deleted, body=len(leaf) + ord(leaf[-1]) if alone else None)
        return tree

    first = Tree()
    for path in arriving:
        arrive(first, path)
    second = Tree()
    for path in data.draw(st.permutations(arriving)):
        arrive(second, path)
        if data.draw(st.booleans()):
            arrive(second, path)
            second = Tree.loads(second.dumps())
    assert first == second
    assert first.dumps() == second.dumps()
    assert first.leaves() == second.leaves()
    assert edges(first) == edges(second)


@settings(deadline=None)
@given(many_paths, st.data())
def test_the_winner_does_not_depend_on_the_order_even_where_ancestors_have_flags(
    arriving: list[list[str]], data: st.DataObject
) -> None:
    deleted = data.draw(st.sets(st.sampled_from([path[0] for path in arriving])))
    first, second = (
        tree_of(*order, deleted=list(deleted)) for order in (arriving, data.draw(st.permutations(arriving)))
    )
    assert first.leaves() == second.leaves()
    assert first.conflicts() == second.conflicts()
    assert first.deleted_conflicts() == second.deleted_conflicts()
    assert edges(first) == edges(second)


@settings(deadline=None)
@given(many_paths)
def test_merging_again_changes_nothing(arriving: list[list[str]]) -> None:
    tree = tree_of(*arriving)
    before = tree.copy()
    for path in arriving:
        assert tree.merge(path, deleted=True, body=99) is Merge.KNOWN
    assert tree == before


@settings(deadline=None)
@given(many_paths, st.integers(1, 6))
def test_what_was_stemmed_comes_back_with_its_paths(arriving: list[list[str]], limit: int) -> None:
    tree = tree_of(*arriving)
    before = edges(tree)
    leaves = tree.leaves()
    tree.stem(limit)
    assert tree.leaves() == leaves
    for path in arriving:
        if path[0] in leaves:  # the path of an ancestor may have lost all its revisions, and be a root of its own now
            tree.merge(path)
    assert tree.leaves() == leaves
    for path in arriving:
        tree.merge(path)
    if all(path[0] in leaves for path in arriving):
        assert edges(tree) == before


class AgainstTheDefinition(RuleBasedStateMachine):
    """A tree beside a set of edges, with every answer worked out from its definition."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = Tree()
        self.edges: set[tuple[str, str]] = set()
        self.nodes: dict[str, tuple[bool, int | None]] = {}

    def leaves(self) -> list[str]:
        parents = {parent for _, parent in self.edges}
        leaves = [rev for rev in self.nodes if rev not in parents]
        return sorted(leaves, key=lambda rev: (not self.nodes[rev][0], rev_order(rev)), reverse=True)

    def ancestors(self, rev: str) -> set[str]:
        found = {rev}
        for child, parent in self.edges:
            if child == rev:
                found |= self.ancestors(parent)
        return found

    def drop(self, revs: set[str]) -> list[tuple[str, int | None]]:
        self.edges = {edge for edge in self.edges if not revs.intersection(edge)}
        return [(rev, self.nodes.pop(rev)[1]) for rev in sorted(revs, key=rev_order, reverse=True)]

    @rule(path=paths(newest=5), deleted=st.booleans(), body=st.none() | st.integers(0, 9))
    def merge(self, path: list[str], deleted: bool, body: int | None) -> None:
        leaves = self.leaves()
        met = [rev for rev in path if rev in self.nodes]
        if path[0] in self.nodes:
            expected = Merge.KNOWN
        elif not met:
            expected = Merge.NEW_ROOT
        else:
            expected = Merge.NEW_LEAF if met[0] in leaves else Merge.NEW_BRANCH
        assert self.tree.merge(path, deleted=deleted, body=body) is expected
        self.nodes.setdefault(path[0], (deleted, body))
        for rev in path[1:]:
            self.nodes.setdefault(rev, (False, None))
        self.edges.update(pairwise(path))

    @rule(limit=st.integers(1, 5))
    def stem(self, limit: int) -> None:
        kept = set()
        for leaf in self.leaves():
            kept |= {rev for rev in self.ancestors(leaf) if rev_order(leaf)[0] - rev_order(rev)[0] < limit}
        assert self.tree.stem(limit) == self.drop(set(self.nodes) - kept)

    @rule()
    def compact(self) -> None:
        leaves = self.leaves()
        gone = [rev for rev in self.nodes if rev not in leaves and self.nodes[rev][1] is not None]
        expected = [(rev, self.nodes[rev][1]) for rev in sorted(gone, key=rev_order, reverse=True)]
        assert self.tree.compact() == expected
        for rev in gone:
            self.nodes[rev] = (self.nodes[rev][0], None)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        revs = data.draw(st.lists(st.sampled_from([*self.nodes, "9-unknown"]), max_size=2))
        going = {rev for rev in revs if rev in self.leaves()}
        while True:
            still_named = {parent for child, parent in self.edges if child not in going}
            childless = {parent for child, parent in self.edges if child in going} - still_named - going
            if not childless:
                break
            going |= childless
        assert self.tree.purge(revs) == self.drop(going)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), body=st.none() | st.integers(0, 9))
    def set_body(self, data: st.DataObject, body: int | None) -> None:
        rev = data.draw(st.sampled_from(list(self.nodes)))
        self.tree.set_body(rev, body)
        self.nodes[rev] = (self.nodes[rev][0], body)

    @rule()
    def store(self) -> None:
        stored = Tree.loads(self.tree.dumps())
        assert stored == self.tree
        assert stored.dumps() == self.tree.dumps()
        self.tree = stored

    @rule()
    def copy(self) -> None:
        self.tree = self.tree.copy()

    @invariant()
    def agree(self) -> None:
        tree, leaves = self.tree, self.leaves()
        assert set(tree) == set(self.nodes)
        assert tree.leaves() == leaves
        for rev, (deleted, body) in self.nodes.items():
            assert (tree.is_deleted(rev), tree.body(rev), tree.is_leaf(rev)) == (deleted, body, rev in leaves)
            assert tree.parent(rev) == max((parent for child, parent in self.edges if child == rev), default=None)
            assert tree.latest(rev) == next(leaf for leaf in leaves if rev in self.ancestors(leaf))


TestAgainstTheDefinition = AgainstTheDefinition.TestCase
TestAgainstTheDefinition.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
