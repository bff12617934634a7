"""The normal form of selectors, what is refused, and what each operator matches."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pouchdb_find import FindError, matches
from pouchdb_find.selectors import normalize


@pytest.mark.parametrize(
    ("selector", "normal"),
    [
        ({}, {}),
        ({"a": 1}, {"a": {"$eq": 1}}),
        ({"a": {"b": 1}}, {"a.b": {"$eq": 1}}),
        ({"a": {"b": {"$gt": 1}, "c": 2}}, {"$and": [{"a.b": {"$gt": 1}}, {"a.c": {"$eq": 2}}]}),
        ({"a": {"$gt": 1, "$lt": 5}}, {"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 5}}]}),
        ({"a": {}}, {"a": {"$eq": {}}}),
        ({"a": [1]}, {"a": {"$eq": [1]}}),
        ({"a": {"$and": [{"$gt": 5}, {"$lt": 10}]}}, {"$and": [{"a": {"$gt": 5}}, {"a": {"$lt": 10}}]}),
        ({"$not": {"a": 1}}, {"a": {"$ne": 1}}),
        ({"a": {"$not": {"$gt": 26}}}, {"a": {"$lte": 26}}),
        ({"$nor": [{"a": 1}, {"b": {"$in": [1]}}]}, {"$and": [{"a": {"$ne": 1}}, {"b": {"$nin": [1]}}]}),
        ({"$not": {"$and": [{"a": {"$gt": 1}}, {"b": 2}]}}, {"$or": [{"a": {"$lte": 1}}, {"b": {"$ne": 2}}]}),
        ({"$not": {"a": {"$regex": "x"}}}, {"a": {"$not": {"$regex": "x"}}}),
        ({"$not": {"a": {"$exists": True}}}, {"a": {"$exists": False}}),
        ({"$not": {"$nor": [{"a": 1}]}}, {"$or": [{"a": {"$eq": 1}}]}),
        (
            {"a": {"$elemMatch": {"$gte": 1, "$lt": 2}}},
            {"a": {"$elemMatch": {"$and": [{"": {"$gte": 1}}, {"": {"$lt": 2}}]}}},
        ),
        ({"a": {"$elemMatch": {"b": 1}}}, {"a": {"$elemMatch": {"b": {"$eq": 1}}}}),
        ({"$text": "x"}, {"$default": {"$text": "x"}}),
        ({"a": {"$regex": re.compile("x", re.IGNORECASE)}}, {"a": {"$regex": "(?i)x"}}),
        ({"a": (1, 2)}, {"a": {"$eq": [1, 2]}}),
    ],
)
def test_normal_form(selector: Any, normal: Any) -> None:
    assert normalize(selector) == normal
    assert normalize(normal) == normal


def deep(levels: int) -> dict:
    selector: dict = {"a": 1}
    for _ in range(levels):
        selector = {"$and": [selector]}
    return selector


def wide(levels: int) -> dict:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return {"a": {"$eq": value}}


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("x", "invalid_selector_json"),
        ([], "invalid_selector_json"),
        (None, "invalid_selector_json"),
        ({"$odd": 1}, "invalid_operator"),
        ({"a": {"$odd": 1}}, "invalid_operator"),
        ({"a": {"$elemMatch": {"$odd": 1}}}, "invalid_operator"),
        ({"a": {"$regex": 5}}, "invalid_operator"),
        ({"a": {"$beginsWith": 5}}, "invalid_operator"),
        ({"a": {"$where": "1"}}, "not_supported"),
        ({"a": {"$near": [1]}}, "not_supported"),
        ({"$and": {}}, "bad_arg"),
        ({"$or": {"a": 1}}, "bad_arg"),
        ({"$nor": "x"}, "bad_arg"),
        ({"$not": [1]}, "bad_arg"),
        ({"a": {"$in": 1}}, "bad_arg"),
        ({"a": {"$nin": {}}}, "bad_arg"),
        ({"a": {"$all": "x"}}, "bad_arg"),
        ({"a": {"$exists": 1}}, "bad_arg"),
        ({"a": {"$exists": "true"}}, "bad_arg"),
        ({"a": {"$type": 1}}, "bad_arg"),
        ({"a": {"$size": -1}}, "bad_arg"),
        ({"a": {"$size": 1.5}}, "bad_arg"),
        ({"a": {"$size": True}}, "bad_arg"),
        ({"a": {"$mod": "x"}}, "bad_arg"),
        ({"a": {"$mod": [1]}}, "bad_arg"),
        ({"a": {"$mod": [0, 1]}}, "bad_arg"),
        ({"a": {"$mod": [2.5, 1]}}, "bad_arg"),
        ({"a": {"$elemMatch": 1}}, "bad_arg"),
        ({"a": {"$allMatch": []}}, "bad_arg"),
        ({"a": {"$keyMapMatch": "x"}}, "bad_arg"),
        ({"a": {"$regex": "["}}, "bad_arg"),
        ({"a": {"$regex": "(?<n"}}, "bad_arg"),
        ({"a": {"$regex": "a{3,1}"}}, "bad_arg"),
        ({"$text": None}, "bad_arg"),
        ({"a": {"$text": "x"}}, "bad_field"),
        ({"$not": {"$text": "x"}}, "bad_arg"),
        ({"$not": {}}, "invalid_selector"),
        ({"$gt": 1}, "invalid_selector"),
        ({1: 2}, "invalid_selector"),
        ({"a": object()}, "bad_arg"),
        ({"a": {"$eq": float("nan")}}, "bad_arg"),
        ({"a": {"$in": [{1, 2}]}}, "bad_arg"),
        (deep(1000), "invalid_selector"),
        (deep(100_000), "invalid_selector"),
        (wide(1000), "invalid_selector"),
    ],
)
def test_refused(selector: Any, name: str) -> None:
    with pytest.raises(FindError) as caught:
        normalize(selector)
    assert (caught.value.status, caught.value.name) == (400, name)
    assert len(caught.value.message) > 20


@pytest.mark.parametrize("field", ["a..b", ".a", "a.", "."])
def test_names_of_fields_have_no_empty_part(field: str) -> None:
    with pytest.raises(FindError, match=re.escape(repr(field))) as caught:
        matches({field: 1}, {})
    assert caught.value.name == "invalid_field_name"


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        ({"$eq": 1}, [1, 1.0], [True, "1", None, [1]]),
        ({"$eq": None}, [None], [False, 0, ""]),
        ({"$eq": {"x": 1, "y": 2}}, [{"x": 1, "y": 2}], [{"y": 2, "x": 1}, {"x": 1}]),
        ({"$gt": 1}, [2, 1.5, "", [], {}], [1, 0, None, True, False]),
        ({"$gt": None}, [False, 0, "", [], {}], [None]),
        ({"$lt": []}, [None, True, 5, "z"], [[], [0], {}]),
        ({"$gte": "b"}, ["b", "c", [], {}], ["a", 5, None]),
        ({"$lt": {"a": 1}}, [{}, {"a": 0}, [9], "z"], [{"a": 1}, {"b": 0}]),
        ({"$gt": 2**53}, [2**53 + 1, 2**60], [2**53, 5]),
        ({"$ne": 1}, [2, None, "1"], [1, 1.0]),
        ({"$in": [1, "a"]}, [1, "a", [5, "a"], 1.0], [True, [], [[1]], None]),
        ({"$in": [[1]]}, [[[1]], [0, [1]]], [[1]]),
        ({"$nin": [1, "a"]}, [2, [], [2, 3], [[1]]], [1, "a", [2, 1]]),
        ({"$in": []}, [], [1, None, []]),
        ({"$nin": []}, [1, None, []], []),
        ({"$all": [1, 2]}, [[2, 1], [1, 2, 3]], [[1], 1, "12"]),
        ({"$all": [[1, 2]]}, [[1, 2], [[1, 2], 5]], [[1], [2, 1]]),
        ({"$all": []}, [], [[], [1]]),
        ({"$size": 2}, [[1, 2]], [[1], "ab", {"a": 1, "b": 2}]),
        ({"$mod": [10, 5]}, [25, 5, 15], [10, 25.0, "25", True, -25]),
        ({"$mod": [3, -1]}, [-4, -1], [2, 5]),
        ({"$exists": True}, [None, 0, [], {}], []),
        ({"$exists": False}, [], [None, 0]),
        ({"$type": "number"}, [1, 1.5], [True, "1", None]),
        ({"$type": "boolean"}, [True, False], [0, None]),
        ({"$type": "object"}, [{}], [[]]),
        ({"$type": "odd"}, [], [1]),
        ({"$regex": "^[RB]"}, ["Rome", "Bern"], ["bern", 5, None, ["Rome"]]),
        ({"$regex": "a.c"}, ["abc", "xaécx"], ["a\nc"]),
        ({"$regex": "c$"}, ["abc", "abc\n"], ["abcd", "c\n\n"]),
        ({"$regex": "(?i)ABC"}, ["xabcx"], ["ab"]),
        ({"$regex": "^(?!ab)"}, ["ba", ""], ["abc"]),
        ({"$regex": r"(.)\1"}, ["aa", "xyyx"], ["abab"]),
        ({"$regex": r"^\d+$"}, ["12"], ["١٢", "1a"]),
        ({"$beginsWith": "A"}, ["A", "Ann"], ["Bob", "ann", 5, ["A"]]),
        ({"$beginsWith": ""}, ["", "a"], [5]),
        ({"$elemMatch": {"$gt": 1}}, [[0, 2]], [[0, 1], [], 2, {"a": 2}]),
        ({"$elemMatch": {"x": 1}}, [[{"x": 1}], [5, {"x": 1}]], [[{"y": 1}], {"x": 1}]),
        ({"$elemMatch": {"$not": {"x": 1}}}, [[{"x": 2}], [{}]], [[{"x": 1}], []]),
        ({"$elemMatch": {"$nor": [{"x": 1}, {"x": 2}]}}, [[{"x": 3}]], [[{"x": 1}]]),
        ({"$allMatch": {"$gt": 1}}, [[2, 3], [2]], [[], [1, 2], 5]),
        ({"$keyMapMatch": {"$eq": "x"}}, [{"x": 1, "y": 2}], [{"y": 1}, {}, ["x"]]),
        ({"$not": {"$regex": "a"}}, ["b", 5, None], ["a"]),
        ({"$or": [{"$lt": 0}, {"$gt": 5}]}, [-1, 6], [0, 5]),
    ],
)
def test_what_operators_match(condition: Any, yes: list[Any], no: list[Any]) -> None:
    for value in yes:
        assert matches({"a": condition}, {"a": value}), value
    for value in no:
        assert not matches({"a": condition}, {"a": value}), value


MISSING = [
    {"$eq": None},
    {"$ne": 1},
    {"$nin": [1]},
    {"$not": {"$eq": 1}},
    {"$not": {"$regex": "a"}},
    {"$exists": True},
    {"$lt": 9},
]


@pytest.mark.parametrize("condition", MISSING)
def test_a_missing_field_matches_nothing(condition: Any) -> None:
    assert not matches({"a": condition}, {})
    assert not matches({"a.b": condition}, {"a": {}})
    assert not matches({"$not": {"a": {"$eq": 1}}}, {})


def test_a_missing_field_does_not_exist() -> None:
    assert matches({"a": {"$exists": False}}, {})
    assert matches({"a.b": {"$exists": False}}, {"a": {}})
    assert matches({"$not": {"a": {"$exists": True}}}, {})
    # As in CouchDB: there is no object in which it could be missing.
    assert not matches({"a.b": {"$exists": False}}, {"a": "text"})
    assert not matches({"a.5": {"$exists": False}}, {"a": []})


@pytest.mark.parametrize(
    ("selector", "doc"),
    [
        ({"a.b": 1}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a.1.b": 1}, {"a": [0, {"b": 1}]}),
        ({"a\\.b": 1}, {"a.b": 1}),
        ({"a\\.b.c": 1}, {"a.b": {"c": 1}}),
        ({"\\$a": 1}, {"$a": 1}),
        ({"a.0": 5}, {"a": {"0": 5}}),
        ({"": {"a": 1}}, {"a": 1}),
        ({"_id": {"$gt": None}}, {"_id": "x"}),
        ({"_id": {"$gt": {}}}, {"_id": "x"}),
        ({"$or": []}, {}),
        ({"$and": []}, {}),
        ({}, {}),
    ],
)
def test_fields(selector: Any, doc: Any) -> None:
    assert matches(selector, doc)


def test_zero_is_no_object() -> None:
    """PouchDB stops at a falsy value on the way."""
    assert not matches({"a.b": 0}, {"a": 0})
    assert not matches({"_id": {"$lt": {}}}, {"_id": "x"})


@pytest.mark.parametrize(
    ("selector", "normal", "matching", "others"),
    [
        ({}, {}, [{}, {"a": 1}], []),
        ({"a": {}}, {"a": {"$eq": {}}}, [{"a": {}}], [{}, {"a": 1}, {"a": {"b": 1}}]),
        (
            {"$and": [{"a": 1}, {}]},
            {"$and": [{"a": {"$eq": 1}}, {"": {"$eq": {}}}]},
            [],
            [{"a": 1}, {"a": 2}, {"_id": "x"}],
        ),
        ({"$or": [{"a": 1}, {}]}, {"$or": [{"a": {"$eq": 1}}, {"": {"$eq": {}}}]}, [{"a": 1}], [{"a": 2}]),
        ({"$nor": [{"a": 1}, {}]}, {"$and": [{"a": {"$ne": 1}}, {"": {"$ne": {}}}]}, [{"a": 2}], [{"a": 1}, {"b": 1}]),
        ({"a": {"$not": {}}}, {"a": {"$ne": {}}}, [{"a": 1}], [{"a": {}}, {}]),
        ({"a": {"$and": [{}]}}, {"$and": [{"a": {"$eq": {}}}]}, [{"a": {}}], [{"a": 1}, {}]),
        (
            {"a": {"$elemMatch": {}}},
            {"a": {"$elemMatch": {"": {"$eq": {}}}}},
            [{"a": [1, {}]}],
            [{"a": [1]}, {"a": {}}],
        ),
        ({"a": {"$allMatch": {}}}, {"a": {"$allMatch": {"": {"$eq": {}}}}}, [{"a": [{}, {}]}], [{"a": [1, {}]}]),
    ],
)
def test_an_empty_object_is_a_selector_at_the_top_only(
    selector: Any, normal: Any, matching: list[Any], others: list[Any]
) -> None:
    """CouchDB's norm_ops makes ``{"$eq": {}}`` of every other one: it compares, and no document is ``{}``."""
    assert normalize(selector) == normal
    assert [matches(selector, doc) for doc in (*matching, *others)] == [True] * len(matching) + [False] * len(others)
