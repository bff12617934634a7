"""Google's query language over documents: the worked examples of the specification (plugins 2.10), and each rule."""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pouchdb_gql import GqlError
from pouchdb_gql.nodes import SCALARS, text_of
from pouchdb_gql.parser import parse
from pouchdb_gql.scalars import SCALAR_FUNCTIONS

import pouchdb

STAFF: list[dict[str, Any]] = [
    {"_id": "a", "name": "John", "dept": "Eng", "salary": 1000, "age": 35, "senior": True},
    {"_id": "b", "name": "Dave", "dept": "Eng", "salary": 500, "age": 27},
    {"_id": "c", "name": "Ben", "dept": "Sales", "salary": 400, "age": 32, "senior": False},
    {"_id": "d", "name": "Dana", "dept": "Sales", "salary": 0, "age": 25, "note": None},
    {"_id": "e", "name": "Mike", "dept": "Marketing", "age": 24, "hireDate": "2005-01-10"},
]


@pytest.fixture
def env() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["gql"]) as environment:
        yield environment


@pytest.fixture
def db(env: Any) -> Any:
    database = env["staff"]
    database.bulk_docs(STAFF)
    return database


def names(answer: Any) -> list[str]:
    return [row["name"] for row in answer.rows]


# What a decision of the design changes against the original is said beside the example.
EXAMPLES: list[tuple[Any, dict[str, Any], Any]] = [
    ({"select": "name,salary", "where": "salary is null"}, {}, [{"name": "Mike", "salary": None}]),
    ({"select": "name,salary", "where": "salary = null"}, {}, [{"name": "Mike", "salary": None}]),
    ({"select": "name", "where": "salary is not null and not (age < 30)"}, {}, ["John", "Ben"]),
    # `and` binds stronger than `or`, as Google's (the original: John, Dave).
    ({"select": "name", "where": 'age < 30 or age > 30 and dept = "Eng"'}, {}, ["John", "Dave", "Dana", "Mike"]),
    ({"select": "name", "where": "senior"}, {}, ["John"]),
    ({"select": "name", "where": "senior != true"}, {}, ["Dave", "Ben", "Dana", "Mike"]),
    # Null is not less than anything, as Google's (the original: Mike, too).
    ({"select": "name", "where": "salary < 1"}, {}, ["Dana"]),
    (
        {"select": "max(salary), min(salary), average(salary), count(salary), sum(salary)"},
        {},
        # Zero counts, as Google's (the original: 400, 633.3, 3).
        [{"max(salary)": 1000, "min(salary)": 0, "average(salary)": 475, "count(salary)": 4, "sum(salary)": 1900}],
    ),
    ({"select": "avg(salary)"}, {}, [{"avg(salary)": 475}]),
    (
        {"select": "dept, sum(salary)", "groupBy": "dept"},
        {},
        # The sum of nothing is null (the original: 0).
        [
            {"dept": "Eng", "sum(salary)": 1500},
            {"dept": "Marketing", "sum(salary)": None},
            {"dept": "Sales", "sum(salary)": 400},
        ],
    ),
    (
        {"select": "dept", "group_by": "dept"},
        {"descending": True},
        [{"dept": "Sales"}, {"dept": "Marketing"}, {"dept": "Eng"}],
    ),
    (
        {"select": "sum(salary)", "pivot": "dept"},
        {},
        [{"Eng sum(salary)": 1500, "Sales sum(salary)": 400, "Marketing sum(salary)": None}],
    ),
    (
        {"select": "dept, sum(salary)", "groupBy": "dept", "pivot": "senior"},
        {},
        # Cells that no document has are there, and null.
        [
            {"dept": "Eng", "true sum(salary)": 1000, " sum(salary)": 500, "false sum(salary)": None},
            {"dept": "Marketing", " sum(salary)": None, "true sum(salary)": None, "false sum(salary)": None},
            {"dept": "Sales", "false sum(salary)": 400, " sum(salary)": 0, "true sum(salary)": None},
        ],
    ),
    (
        {"select": "sum(salary)", "pivot": "dept, senior"},
        {},
        [
            {
                "Eng, true sum(salary)": 1000,
                "Eng,  sum(salary)": 500,
                "Sales, false sum(salary)": 400,
                "Sales,  sum(salary)": 0,
                "Marketing,  sum(salary)": None,
            }
        ],
    ),
    # Rows of one group are one row, as Google's (the original sorted only).
    ({"select": "dept", "groupBy": "dept"}, {}, [{"dept": "Eng"}, {"dept": "Marketing"}, {"dept": "Sales"}]),
    ({"select": "sum(age) + 1"}, {}, [{"sum(age) + 1": 144}]),
    ({"select": "count(age)", "where": "age > 100"}, {}, []),
    ("select name where age > 30 order by name", {}, ["Ben", "John"]),
    ("SELECT name ORDER BY age DESC LIMIT 2 OFFSET 1", {}, ["Ben", "Dave"]),
    ("select name order by salary, name", {}, ["Mike", "Dana", "Ben", "Dave", "John"]),
    ("select name order by dept desc, name desc", {}, ["Dana", "Ben", "Mike", "John", "Dave"]),
    ("select name skipping 0 limit 2", {}, ["John", "Dave"]),
    ({"select": "name", "skipping": 0, "limit": 1}, {}, ["John"]),
    ("select name skipping 1 limit 2", {}, ["John", "Dave"]),
    ("select name order by age skipping 2 limit 2", {}, ["Mike", "Dave"]),
    ("select name skipping 2", {}, ["John", "Ben", "Mike"]),
    ("select name limit 0", {}, []),
    ("select name offset 99", {}, []),
    ("select name where name contains 'an' or name starts with 'J'", {}, ["John", "Dana"]),
    ("select name where name ends with 'e'", {}, ["Dave", "Mike"]),
    ("select name where name matches '.a.*'", {}, ["Dave", "Dana"]),
    ("select name where name matches 'a'", {}, []),
    ("select name where name matches '('", {}, []),
    ("select name where name like 'D%' and not name like '%a'", {}, ["Dave"]),
    ("select name where name like 'D_na'", {}, ["Dana"]),
    ("select name where `hireDate` < date '2005-02-01'", {}, ["Mike"]),
    ("select name where toDate(hireDate) = date '2005-01-10'", {}, ["Mike"]),
    (
        "select dept, count(name) group by dept order by count(name) desc, dept limit 1",
        {},
        [{"dept": "Eng", "count(name)": 2}],
    ),
    ("select upper(dept), count(name) group by upper(dept) limit 1", {}, [{"upper(dept)": "ENG", "count(name)": 2}]),
    (
        "select dept, max(age) group by dept limit 1 label dept 'Department', max(age) 'Oldest'",
        {},
        [{"Department": "Eng", "Oldest": 35}],
    ),
    (
        "select salary, hireDate, senior order by salary desc limit 1 format salary '#,##0.00', senior 'yes:no'",
        {},
        [{"salary": "1,000.00", "hireDate": None, "senior": "yes"}],
    ),
    ("select hireDate where hireDate is not null format hireDate 'd MMM yyyy'", {}, [{"hireDate": "10 Jan 2005"}]),
    ("select salary limit 1 format salary '#' options no_format", {}, [{"salary": 1000}]),
]


@pytest.mark.parametrize(("query", "options", "rows"), EXAMPLES, ids=[str(query)[:70] for query, _, _ in EXAMPLES])
def test_examples(db: Any, query: Any, options: dict[str, Any], rows: Any) -> None:
    answer = db.gql(query, **options)
    if rows and isinstance(rows[0], str):
        assert names(answer) == rows
    else:
        assert answer == {"rows": rows}


@pytest.mark.parametrize("query", [{}, {"select": "*"}, {"select": ""}, {"select": " * "}, "select *", ""])
def test_whole_documents_in_update_order(db: Any, query: Any) -> None:
    db.put({"_id": "_design/x", "views": {}})
    rows = db.gql(query).rows
    assert [row._id for row in rows] == ["a", "b", "c", "d", "e"]
    assert rows[0] == db["a"]
    assert len(db.gql(query, design_docs=True).rows) == 6


FIRST: list[tuple[str, dict[str, Any]]] = [
    ("name, age*2-1, -age, (age+1)*2", {"name": "John", "age * 2 - 1": 69, "- age": -35, "(age + 1) * 2": 72}),
    ("upper(name), lower(dept)", {"upper(name)": "JOHN", "lower(dept)": "eng"}),
    ("name + age", {"name + age": "John35"}),
    ("MAX(age)", {"max(age)": 35}),
    (
        "age / 0, age % 4, missing + 1, salary / 3",
        {"age / 0": None, "age % 4": 3, "missing + 1": None, "salary / 3": 1000 / 3},
    ),
    ("'x', 5, true, 1e3", {"x": "x", "5": 5, "true": True, "1000": 1000}),
    ("not senior, age > 30 and senior", {"not senior": False, "age > 30 and senior": True}),
    ("`name`, `hireDate`", {"name": "John", "hireDate": None}),
    ("hireDate", {"hireDate": None}),
    ("order, date, year, contains", {"order": None, "date": None, "year": None, "contains": None}),
]


@pytest.mark.parametrize(("select", "row"), FIRST, ids=[select for select, _ in FIRST])
def test_columns_of_the_first_row(db: Any, select: str, row: dict[str, Any]) -> None:
    assert db.gql({"select": select}).rows[0] == row


def test_labels(db: Any) -> None:
    assert db.gql({"select": "upper(name), age+1", "label": "upper(name) 'N', age + 1 'Next'"}).rows[0] == {
        "N": "JOHN",
        "Next": 36,
    }
    query = {"select": "dept, sum(salary)", "groupBy": "dept", "pivot": "senior", "label": "sum(salary) 'T', dept 'D'"}
    row = db.gql(query).rows[0]
    assert (row["D"], row["true T"], row[" T"]) == ("Eng", 1000, 500)


def test_five_groups_of_two_columns(db: Any) -> None:
    rows = db.gql({"select": "dept, senior, count(name)", "groupBy": "dept, senior"}).rows
    assert [(row.dept, row.senior) for row in rows] == [
        ("Eng", None),
        ("Eng", True),
        ("Marketing", None),
        ("Sales", None),
        ("Sales", False),
    ]


def test_names_without_quotes_are_folded_where_no_field_has_them(db: Any) -> None:
    assert names(db.gql("select name where NAME = 'Ben'")) == ["Ben"]
    assert names(db.gql("select name where hireDate is not null")) == ["Mike"]
    assert names(db.gql("select name where `NAME` = 'Ben'")) == []


def test_double_pivot(env: Any) -> None:
    db = env["pokemon"]
    db.bulk_docs(
        [
            {"charizard": 50, "charmeleon": "hello", "abra": 2},
            {"charizard": 40, "charmeleon": "hello", "abra": 3},
            {"charizard": 99, "charmeleon": "hello", "abra": 3},
            {"charizard": 7, "charmeleon": "world", "abra": 3},
        ]
    )
    assert db.gql({"select": "max(charizard)", "pivot": "charmeleon, abra"}).rows == [
        {"hello, 2 max(charizard)": 50, "hello, 3 max(charizard)": 99, "world, 3 max(charizard)": 7}
    ]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("year(d)", 2020),
        ("month(d)", 1),
        ("day(d)", 29),
        ("quarter(d)", 1),
        ("dayOfWeek(d)", 7),
        ("hour(m)", 13),
        ("minute(m)", 5),
        ("second(t)", 7),
        ("millisecond(t)", 250),
        ("hour(d)", None),
        ("year(t)", None),
        ("year(nothing)", None),
        ("year(text)", None),
        ("toDate(m)", "2020-03-01"),
        ("toDate(0)", "1970-01-01"),
        ("dateDiff(m, d)", 1),
        ("dateDiff(d, date '2021-03-01')", -366),
        ("m > datetime '2020-03-01 13:00:00'", True),
        ("m = date '2020-03-01'", True),
        ("d < m", True),
        ("t >= timeofday '12:00:00'", True),
        ("t = d", False),
        ("text < d", True),
        ("upper(year(d))", None),
    ],
)
def test_dates_and_scalars(env: Any, expression: str, value: Any) -> None:
    db = env["moments"]
    db.put({"d": "2020-02-29", "m": "2020-03-01T13:05:00Z", "t": "13:05:07.250", "text": "1 May", "_id": "x"})
    assert list(db.gql({"select": expression}).rows[0].values()) == [value]


def test_now_and_every_function_is_known(env: Any) -> None:
    db = env["one"]
    db.put({"_id": "x"})
    assert abs(db.gql("select year(now())").rows[0]["year(now())"] - datetime.datetime.now().year) <= 1  # noqa: DTZ005
    assert SCALAR_FUNCTIONS.keys() == SCALARS


ERRORS: list[tuple[Any, str, str | None]] = [
    ("invalid", "not_recognized", "Format of input query is not valid"),
    (5, "not_recognized", "Format of input query is not valid"),
    (None, "not_recognized", "Format of input query is not valid"),
    ([], "not_recognized", "Format of input query is not valid"),
    ({"bogus": "x"}, "not_recognized", None),
    ({"select": 5}, "not_recognized", None),
    ({"groupBy": "a", "group_by": "a"}, "not_recognized", None),
    ({"select": "`a"}, "tokenizing_error", "identifier needs a closing ` on character 2."),
    ({"where": "'x"}, "tokenizing_error", "string needs a closing ' on character 2."),
    ({"where": 'a = "x'}, "tokenizing_error", 'string needs a closing " on character 6.'),
    ({"where": "a ! b"}, "tokenizing_error", "'!' not followed by '=' on character 3."),
    ({"select": "a,"}, "parsing_error", "Unexpected token: (end)"),
    ({"where": "(a"}, "parsing_error", "Expected closing parenthesis ')'"),
    ({"where": "((a) "}, "parsing_error", "Expected closing parenthesis ')'"),
    ({"where": "not ('(' = a"}, "parsing_error", "Expected closing parenthesis ')'"),
    ({"select": "max(age"}, "parsing_error", "Expected closing parenthesis for function max"),
    ({"select": "(1 + UPPER(name) + lower(a"}, "parsing_error", "Expected closing parenthesis for function lower"),
    ("select dateDiff(a, b", "parsing_error", "Expected closing parenthesis for function dateDiff"),
    ({"select": "foo(a)"}, "parsing_error", "Unrecognized function: foo"),
    ({"select": "account(x)"}, "parsing_error", "Unrecognized function: account"),
    ({"where": "a b"}, "parsing_error", "Unexpected token: b"),
    ({"where": "age between 1 and 3"}, "parsing_error", "Unexpected token: between"),
    ({"where": "a = date 'x'"}, "parsing_error", None),
    ({"where": "a = date '2021-02-30'"}, "parsing_error", None),
    ({"select": "sum(a + 1)"}, "parsing_error", None),
    ({"limit": -1}, "parsing_error", None),
    ({"limit": 1.5}, "parsing_error", None),
    ({"skipping": -1}, "parsing_error", None),
    ({"skipping": "1.5"}, "parsing_error", None),
    ("select a limit b", "parsing_error", None),
    ("select a select b", "parsing_error", None),
    ("select " + "(" * 1000 + "a" + ")" * 1000, "parsing_error", None),
    (
        {"select": "*", "groupBy": "a"},
        "select_error",
        "If a pivot or group by is present, select columns must be specified explicitly.",
    ),
    (
        {"select": "name, sum(age)"},
        "select_error",
        (
            "If an aggregation function is used in the select clause, all identifiers in the select clause must be "
            "wrapped by an aggregation function or appear in the group-by clause."
        ),
    ),
    ({"select": "sum(name)"}, "select_error", "All values being summed must be numbers, but John is not."),
    ({"select": "average(name)"}, "select_error", "All values being averaged must be numbers, but John is not."),
    ({"select": "a, a"}, "select_error", None),
    (
        {"select": "dept, sum(age)", "groupBy": "dept", "pivot": "dept"},
        "pivot_error",
        "Columns that appear in the pivot clause may not appear in the group by or select clauses.",
    ),
    ({"select": "sum(age)", "groupBy": "sum(age)"}, "group_error", None),
    ({"where": "sum(age) > 1"}, "group_error", None),
    ({"select": "name", "orderBy": "sum(age)"}, "order_error", None),
    ({"select": "name", "label": "age 'x'"}, "label_error", None),
    ({"select": "upper(name, age)"}, "function_error", None),
    ({"select": "now(1)"}, "function_error", None),
]


@pytest.mark.parametrize(("query", "kind", "reason"), ERRORS, ids=[str(query)[:50] for query, _, _ in ERRORS])
def test_errors(db: Any, query: Any, kind: str, reason: str | None) -> None:
    with pytest.raises(pouchdb.PouchDBError) as caught:
        db.gql(query)
    error = caught.value
    assert (error.status, error["status"], error.name, error["error"]) == (400, 400, kind, kind)
    assert error.message == error.reason == error["reason"]
    assert reason is None or error.reason == reason
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.name, copy.message) == (error.name, error.message)


def test_errors_point_at_the_place(db: Any) -> None:
    with pytest.raises(GqlError) as caught:
        db.gql("select name\nwhere age ! 3")
    assert caught.value.details["caret"] == "where age ! 3\n          ^"
    assert caught.value.details["position"] == 22


@pytest.mark.parametrize("values", [[None], [0], [""], [False], [0, None, 5], [-1, 2.5], []])
def test_aggregates_skip_null_only(env: Any, values: list[Any]) -> None:
    db = env["values"]
    db.bulk_docs([{"x": value} for value in values] + [{"other": 1}])
    row = db.gql("select count(x), max(x), min(x)").rows[0]
    there = [value for value in values if value is not None]
    assert row["count(x)"] == len(there)
    if there:
        assert row["max(x)"] == max(there, key=float if all(type(v) in (int, float) for v in there) else str)
    else:
        assert (row["max(x)"], row["min(x)"]) == (None, None)


def test_groups_of_mixed_values_are_collated(env: Any) -> None:
    db = env["mixed"]
    db.bulk_docs([{"k": key} for key in ({"a": 1}, [1], "x", 2, True, False, None, 2.0)] + [{}])
    rows = db.gql("select k, count(_id) group by k").rows
    assert [row.k for row in rows] == [None, False, True, 2, "x", [1], {"a": 1}]
    assert [row["count(_id)"] for row in rows] == [2, 1, 1, 2, 1, 1, 1]


def test_the_callers_query_is_not_changed(db: Any) -> None:
    query = {"select": "sum(salary)", "groupBy": None, "pivot": "dept"}
    before = dict(query)
    db.gql(query)
    assert query == before


def test_callback_and_promise(env: Any) -> None:
    asynchronous: Any = env.async_view
    database = asynchronous["staff"]
    env["staff"].bulk_docs(STAFF)
    got: list[Any] = []

    def callback(err: Any, resp: Any = None) -> None:
        got.append((err and err["error"], resp and len(resp.rows)))

    database.gql({"select": "*", "where": "senior=true"}, callback)
    assert asynchronous.context.waitUntilCalled(callback, timeout=20)
    database.gql("invalid", callback)
    assert asynchronous.context.waitUntilCalled(callback, timeout=20)
    assert got == [(None, 1), ("not_recognized", None)]
    assert len(asynchronous.run(database.gql("select name")).rows) == 5


def test_an_answer_is_a_table(db: Any) -> None:
    answer = db.gql("select dept, avg(age), max(salary) group by dept")
    columns = {"dept": ["Eng", "Marketing", "Sales"], "avg(age)": [31, 24, 28.5], "max(salary)": [1000, None, 400]}
    assert answer.to_columns() == columns
    assert answer.to_csv().splitlines()[:2] == ["dept,avg(age),max(salary)", "Eng,31,1000"]
    assert answer.to_text().splitlines()[2].split() == ["Eng", "31", "1000"]
    assert "<td>Eng</td>" in answer._repr_html_()
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    frame = answer.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["avg(age)"]) == columns["avg(age)"]
    assert isinstance(answer.to_polars(), polars.DataFrame)
    assert (
        answer.to_polars()["max(salary)"].to_list() == answer.to_arrow()["max(salary)"].to_pylist() == [1000, None, 400]
    )


def test_conflicts(env: Any) -> None:
    db = env["conflicts"]
    db.bulk_docs([{"_id": "a", "_rev": "1-a"}, {"_id": "a", "_rev": "1-b"}], new_edits=False)
    assert db.gql("select *", conflicts=True).rows[0]["_conflicts"] == ["1-a"]


@given(st.text(max_size=40))
def test_any_text_is_a_query_or_an_error(text: str) -> None:
    try:
        query = parse({"where": text})
    except GqlError:
        return
    # What it is called is a query, too, unless it holds constants, which are shown without quotes.
    if query.where is not None and not {"'", '"', "`"} & set(text):
        assert text_of(parse({"where": text_of(query.where)}).where) == text_of(query.where)  # type: ignore[arg-type]


# -- pushdown --------------------------------------------------------------------------------------


@pytest.fixture
def indexed() -> Iterator[Any]:
    pytest.importorskip("pouchdb_find", reason="conditions use the indexes of pouchdb-find")
    with pouchdb.setup(":memory:", plugins=["gql", "find"]) as environment:
        db: Any = environment["staff"]
        db.bulk_docs(STAFF)
        db.create_index({"index": {"fields": ["age"]}, "ddoc": "by-age", "name": "age"})
        yield db


CONDITIONS = [
    "age = 32",
    "32 = age",
    "age > 25 and age <= 32",
    "30 < age",
    "age < 30",
    "age >= 24 and name starts with 'D'",
    "(age < 25 or age > 34)",
    "age is not null",
    "AGE > 30",
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_use_an_index_and_find_the_same(indexed: Any, db: Any, condition: str) -> None:
    query = f"select name where {condition}"
    assert sorted(names(indexed.gql(query))) == sorted(names(db.gql(query)))
    plan = indexed.gql(query, explain=True)
    if not condition.startswith("AGE"):
        assert plan.index["ddoc"] == "_design/by-age", plan
        assert plan.steps[0].startswith("read the index 'age'")
    assert db.gql(query, explain=True).index is None


@pytest.mark.parametrize(
    "condition", ["not age = 32", "age + 1 = 33", "upper(name) = 'BEN'", "age is null", "name like 'B%'"]
)
def test_other_conditions_read_all(indexed: Any, db: Any, condition: str) -> None:
    query = f"select name where {condition}"
    assert names(indexed.gql(query)) == names(db.gql(query))
    assert indexed.gql(query, explain=True).index is None
