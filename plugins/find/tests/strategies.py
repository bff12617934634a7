"""Random documents, indexes and selectors, small enough to meet each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

FIELDS = ["a", "b", "c", "a.x", "b.0", "d\\.e"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([0.5, -1.5, 2.0, 2**53, 2**53 + 1, -(2**60), 1e300]),
    st.sampled_from(["", "a", "ab", "b", "é", "\U0001f600", "a\x00", "a\x01b", "\ufffd"]),
)
values: Any = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["x", "y", "0"]), inner, max_size=2)
    ),
    max_leaves=4,
)
documents = st.dictionaries(st.sampled_from(["a", "b", "c", "d.e"]), values, max_size=4)
databases = st.dictionaries(
    st.sampled_from(["a", "b", "c", "k", "m", "x1", "x2", "é", "z\x00", "~"]), documents, min_size=1, max_size=8
)

comparisons = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]), values),
    st.tuples(st.sampled_from(["$in", "$nin", "$all"]), st.lists(values, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$type"), st.sampled_from(["null", "boolean", "number", "string", "array", "object", "odd"])),
    st.tuples(st.just("$size"), st.integers(0, 3)),
    st.tuples(st.just("$mod"), st.tuples(st.sampled_from([1, 2, -2, 3]), st.integers(-1, 2)).map(list)),
    st.tuples(st.just("$regex"), st.sampled_from(["^a", "b", "^ab?", "a|é", "^$", "^\\.", "."])),
    st.tuples(st.just("$beginsWith"), st.sampled_from(["", "a", "é"])),
).map(lambda pair: dict([pair]))

simple = st.one_of(comparisons, values.filter(lambda value: not isinstance(value, dict)))
nested = st.tuples(
    st.sampled_from(["$elemMatch", "$allMatch", "$keyMapMatch"]),
    st.one_of(comparisons, st.tuples(st.sampled_from(["x", "y"]), comparisons).map(lambda pair: dict([pair]))),
).map(lambda pair: dict([pair]))
conditions = st.one_of(
    simple,
    nested,
    st.tuples(comparisons, comparisons).map(lambda pair: {**pair[0], **pair[1]}),
    st.one_of(comparisons, nested).map(lambda each: {"$not": each}),
    st.lists(comparisons, min_size=1, max_size=2).map(lambda each: {"$or": each}),
)
ids = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne", "$lt", "$gte"]), st.one_of(st.sampled_from(["b", "k", "x", ""]), scalars)),
    st.tuples(st.just("$in"), st.lists(st.sampled_from(["a", "k", "x1", "nothere"]), max_size=3)),
    st.tuples(st.just("$beginsWith"), st.sampled_from(["x", ""])),
    st.tuples(st.just("$regex"), st.sampled_from(["^x", "1"])),
).map(lambda pair: dict([pair]))
leaves = st.one_of(
    st.tuples(st.sampled_from(FIELDS), conditions),
    st.tuples(st.sampled_from(FIELDS), conditions),
    st.tuples(st.just("_id"), ids),
).map(lambda pair: dict([pair]))
selectors: Any = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, max_size=3)).map(lambda pair: dict([pair])),
        inner.map(lambda each: {"$not": each}),
        st.tuples(inner, inner).map(lambda pair: {**pair[0], **pair[1]}),
    ),
    max_leaves=4,
)
indexes = st.lists(st.lists(st.sampled_from([*FIELDS, "_id"]), unique=True, max_size=3), max_size=4)
