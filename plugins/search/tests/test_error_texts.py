"""What an error says: the option, the value, and what would be right; of an index, its design document and name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb

NULL = "null, undefined, NaN or Infinity"
TEXT = "function (doc) { index('default', doc.text || '', {facet: true}); if (doc.n) { index('n', doc.n); } }"


@pytest.fixture
def db() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        notes = environment["notes"]
        notes.put({"_id": "_design/d", "indexes": {"i": {"analyzer": "standard", "index": TEXT}}})
        notes.bulk_docs([{"_id": "a", "text": "hello", "n": 3}, {"_id": "b", "text": "world", "n": "five"}])
        yield notes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Query must include a 'q' or 'query' argument"),
        ({"q": 5}, "Invalid value for q: 5; it must be a string"),
        ({"query": ["x"]}, "Invalid value for query: ['x']; it must be a string"),
        ({"q": "x", "limit": 201}, "Value for limit is too large, must not exceed 200"),
        ({"q": "x", "limit": "many"}, "Invalid value for limit: 'many' is not a whole number"),
        ({"q": "x", "bookmark": "z"}, "Invalid value for bookmark: 'z'; it must be the bookmark of an earlier result"),
        ({"q": "x", "sort": 5}, "Invalid value for sort: 5; it must be a string or a list of strings"),
        ({"q": "x", "sort": ["-"]}, "Invalid value for sort: '-'; it must be a key such as name<string>"),
        ({"q": "x", "sort": '["n'}, "Invalid value for sort: '[\"n'; it must be valid JSON"),
        ({"q": "x", "sort": "n<date>"}, "Invalid value for sort: 'n<date>'; it must be the name of a field, such as"),
        ({"q": "x", "sort": "<distance,a>"}, "'<distance,a>'; it must be <distance,lonField,latField,lon,lat,km>"),
        ({"q": "x", "group_field": "n<date>"}, "Invalid value for group_field: 'n<date>'; it must be the name"),
        ({"q": "x", "group_field": 5}, "Invalid value for group_field: 5; it must be the name of a field"),
        ({"q": "x", "group_field": "n", "group_sort": "-"}, "Invalid value for group_sort: '-'; it must be a key"),
        ({"q": "x", "group_field": "n", "group_limit": 0}, "group_limit must be greater than zero, not 0"),
        (
            {"q": "hello world", "sort": "n<number>"},
            "cannot sort by n<number>: the field 'n' of the document 'b' is a string; to sort by strings write n<str",
        ),
        ({"q": "x", "counts": [5]}, "Invalid value for counts: [5]; it must be a string or a list of strings"),
        ({"q": "x", "counts": ["n"]}, "The field 'n' was not indexed with facet: true"),
        ({"q": "x", "ranges": 5}, "Invalid value for ranges: 5; it must be an object of fields, such as"),
        ({"q": "x", "ranges": {"default": {}}}, "ranges: the field 'default' was not indexed as a number"),
        ({"q": "x", "ranges": {"n": 5}}, "Invalid value for ranges of 'n': 5; it must be an object of labels"),
        (
            {"q": "x", "ranges": {"n": {"low": "0 to 9"}}},
            "Invalid value for the range 'low' of 'n': '0 to 9'; it must be a range such as '[0 TO 10]'",
        ),
        ({"q": "x", "ranges": {"n": [5]}}, "Invalid value for a range of 'n': 5; it must be an object with a label"),
        (
            {"q": "x", "ranges": {"n": [{"label": "low", "min": "few"}]}},
            "Invalid value for min of the range 'low' of 'n': 'few'; it must be a number",
        ),
        *(
            ({"q": "x", "drilldown": given}, f"Invalid value for drilldown: {given!r}; it must be [")
            for given in (5, [], ["n"], {"n": "x"}, [5, "x"])
        ),
        ({"q": "x", "drilldown": [["n", "x"], ["n"]]}, "Invalid value for drilldown: ['n']; it must be ["),
        ({"q": "x", "highlight_number": 0}, "highlight_number must be greater than zero, not 0"),
        ({"q": "x", "highlight_fields": 5}, "Invalid value for highlight_fields: 5; it must be a string or a list"),
        ({"more_like": 5}, "Invalid value for more_like: 5; it must be a document id, or an object with either"),
        ({"more_like": {"id": 5}}, "Invalid value for id of more_like: 5; it must be a string"),
        ({"more_like": {"id": "a", "fields": "n"}}, "Invalid value for fields of more_like: 'n'; it must be a list"),
        ({"more_like": {"id": "a", "max_terms": 0}}, "Invalid value for max_terms of more_like: 0; it must be a numb"),
        ({"more_like": "none"}, "more_like: the document 'none' is missing"),
        ({"q": "x", "update": 5}, "update must be True, False or 'lazy', not 5"),
        ({"q": "a OR"}, "the query 'a OR' cannot be parsed at position 4: unexpected end"),
        ({"q": "n:[1 TO 2"}, "cannot be parsed at position 9: unexpected end of a range, which needs ] or }"),
        ({"q": "*a"}, "'*a': the wildcards * and ? cannot begin a word"),
        ({"q": "a~1.5"}, "a~1.5: the number of changes after ~ must be a whole number"),
        ({"q": "/a&b/"}, "/a&b/ cannot be used: the operator & is not supported; for the character itself write \\&"),
        ({"q": "/a{/"}, "the regular expression /a{/ is not valid at position 2: a number is missing"),
        ({"q": "/(a|b/"}, "the regular expression /(a|b/ is not valid at position 4: ) is missing"),
        ({"q": "/[z-a]/"}, "the regular expression /[z-a]/ is not valid at position 4: a comes before z"),
        ({"q": "/<1-9999>/"}, "the regular expression /<1-9999>/ cannot be used: <1-9999> has more than 100 numbers"),
        ({"q": r"/\d{9999}/"}, r"the pattern /\d{9999}/ is too complex to search for"),
    ],
)
def test_options(db: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises((pouchdb.BadRequest, pouchdb.NotFound)) as caught:
        db.search("d/i", **options)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("d/none", "none not found: _design/d has no search index of this name"),
        ("d", "d not found: a search index is named 'design/index'"),
        (None, "search() takes 'design/index' or a function (Python, JavaScript), not None"),
    ],
)
def test_the_name_of_an_index(db: Any, index: Any, said: str) -> None:
    with pytest.raises((pouchdb.BadRequest, pouchdb.NotFound)) as caught:
        db.search(index, q="x")
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"analyzer": "klingon", "index": TEXT}, "_design/e, indexes 'i': there is no analyzer 'klingon'; there are: "),
        ({"analyzer": 5, "index": TEXT}, "_design/e, indexes 'i': an analyzer must be a name, or an object with"),
        ({"analyzer": "standard"}, "the source of a function must be a string, not None"),
        (5, "the source of a function must be a string, not 5"),
    ],
)
def test_a_definition(db: Any, entry: Any, said: str) -> None:
    db.put({"_id": "_design/e", "indexes": {"i": entry}})
    with pytest.raises(pouchdb.PouchDBError) as caught:
        db.search("e/i", q="x")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (5, "a field of a text index must be {'name': ..., 'type': ...}, not 5"),
        ({"name": 5}, "the name of a field must be a string, not 5"),
        ({"name": "n", "type": "date"}, "the type of the field 'n' must be string, number or boolean, not 'date'"),
        ({"name": "n", "type": []}, "the type of the field 'n' must be string, number or boolean, not []"),
    ],
)
def test_a_definition_of_mango(db: Any, field: Any, said: str) -> None:
    db.put({"_id": "_design/e", "language": "query", "indexes": {"i": {"index": {"fields": [field]}}}})
    with pytest.raises(pouchdb.BadRequest) as caught:
        db.search("e/i", q="x")
    assert caught.value.message == f"_design/e, indexes 'i': {said}"


def test_a_function_that_does_not_compile_is_shown_as_it_was_written(db: Any) -> None:
    db.put({"_id": "_design/e", "indexes": {"i": {"analyzer": "standard", "index": "function (doc) { index("}}})
    with pytest.raises(pouchdb.PouchDBError) as caught:
        db.search("e/i", q="x")
    assert caught.value.message == "Expression does not eval to a function. function (doc) { index( (_design/e)"
    assert caught.value.source == "function (doc) { index("


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("index('n', {})", "index('n', value): the value must be a string, a number or a boolean, not {}"),
        (
            "index('n', 1/0)",
            "index('n', value): the value must be a string, a number or a boolean, not " + NULL,
        ),
        ("index(5, 'x')", "index(): the first argument must be the name of a field, not 5"),
        ("index('n', 'x', {boost: 0})", "index('n', ...): boost must be a number above 0, not 0"),
    ],
)
def test_a_call_of_index(db: Any, call: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Any] = []
    db.on("error", errors.append)
    db.put({"_id": "_design/e", "indexes": {"i": {"analyzer": "standard", "index": f"function (doc) {{ {call}; }}"}}})
    with caplog.at_level(logging.WARNING, "pouchdb.views"):
        assert db.search("e/i", q="x").rows == []
    assert [error.message for error in errors] == [f"search index 'i', document {id!r}: {said}" for id in "ab"]
    assert f"_design/e leaves out document 'a': search index 'i', document 'a': {said}" in caplog.text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            "index('date', 'n', 'x')",
            "index(): the first argument must be 'text', 'string', 'double' or 'stored', not 'date'",
        ),
        ("index('text', 'n', 5)", "index('text', 'n', value): the value must be a string, not 5"),
        ("index('double', 'n', 'x')", "index('double', 'n', value): the value must be a number, not 'x'"),
        ("index('text', 5, 'x')", "index(): the second argument must be the name of a field, not 5"),
    ],
)
def test_a_call_of_index_in_nouveau(db: Any, call: str, said: str) -> None:
    errors: list[Any] = []
    db.on("error", errors.append)
    db.put({"_id": "_design/e", "nouveau": {"i": {"index": f"function (doc) {{ {call}; }}"}}})
    assert db.search("e/i", q="x").hits == []
    assert [error.message for error in errors] == [f"search index 'i', document {id!r}: {said}" for id in "ab"]


def test_documents_that_a_given_function_fails_for_are_reported(db: Any, caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Any] = []
    db.on("error", errors.append)
    with caplog.at_level(logging.WARNING, "pouchdb.views"):
        found = db.search(lambda doc: [("default", doc["text"])] if doc["_id"] == "a" else doc["none"], q="hello")
    assert [row.id for row in found.rows] == ["a"]
    assert [error.message for error in errors] == ["the function, document 'b': KeyError: 'none'"]
    assert "a search with a function leaves out document 'b'" in caplog.text


def test_completions(db: Any) -> None:
    with pytest.raises(pouchdb.BadRequest, match="limit must be from 1 to 100, not 0"):
        db.search_completions("d/i", "he", limit=0)
    with pytest.raises(pouchdb.BadRequest, match="Invalid value for prefix: 5; it must be a string that is not empty"):
        db.search_completions("d/i", 5)
