"""List functions here (spec: plugins, 4.7, 10.1)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from pouchdb_couchapp import DesignError

from pouchdb_core.errors import BadRequest, FunctionError, NotFound

Put = Callable[..., Any]
ROWS = "var row, rows = []; while ((row = getRow())) { rows.push(row); } return toJSON(rows);"
KEYS = "var row, keys = []; while ((row = getRow())) { keys.push(row.key); } return {json: [head, keys]};"


def listed(db: Any, design: Put, body: str, path: str = "t/l/v", /, **options: Any) -> Any:
    views = {"r": {"map": "function (doc) { if (doc.k) { emit(doc.k, 1); } }", "reduce": "_sum"}}
    design(lists={"l": f"function (head, req) {{ {body} }}"}, views=views)
    return db.list(path, **options)


def test_rows(db: Any, design: Put) -> None:
    response = listed(db, design, ROWS)
    assert response.body == (
        '[{"id":"d1","key":1,"value":null},{"id":"d3","key":"str","value":null},{"id":"d2","key":[2,"x"],"value":null}]'
    )
    assert response.headers["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize(
    ("body", "code", "text", "headers"),
    [
        (
            "start({code: 500, headers: {A: 'b'}}); send(getRow().id); send('\\n'); send('test'); return 'tail';",
            500,
            "d1\ntesttail",
            {"A": "b", "Transfer-Encoding": "chunked"},
        ),
        ("send('a'); start({code: 404}); return 'z';", 200, "az", None),
        ("start({code: 201}); start({code: 202}); return 'x';", 201, "x", None),
        ("start({code: 201, body: 'q'}); return 'y';", 201, "q", None),
        ("start({body: 'q'}); send('x'); return 'y';", 200, "xq", None),
        ("getRow(); start({code: 404}); return 'z';", 200, "z", None),
        ("send('x'); return {json: {a: 1}};", 200, 'x{"a":1}', None),
        ("send({}); send(5); send(); send(null); return null;", 200, "[object Object]5", None),
        ("return 'never read';", 200, "never read", None),
        ("while (getRow()) {} return String(getRow()) + getRow();", 200, "nullnull", None),
    ],
)
def test_responses(db: Any, design: Put, body: str, code: int, text: str, headers: Any) -> None:
    response = listed(db, design, body)
    assert (response.code, response.body) == (code, text)
    if headers is not None:
        assert response.headers == headers
    if "json" in body:
        assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "query", "head", "keys"),
    [
        ("t/l/v", {}, {"total_rows": 3, "offset": 0}, [1, "str", [2, "x"]]),
        ("t/l/v", {"limit": 1, "skip": 1}, {"total_rows": 3, "offset": 1}, ["str"]),
        ("t/l/v", {"descending": True, "skip": 1, "limit": 2}, {"total_rows": 3, "offset": 1}, ["str", 1]),
        ("t/l/v", {"startkey": 2, "endkey": "z"}, {"total_rows": 3, "offset": 0}, ["str"]),
        ("t/l/v", {"keys": ["str", 1]}, {"total_rows": 3, "offset": 0}, ["str", 1]),
        ("t/l/v", {"key": 1, "format": "x", "own": [1]}, {"total_rows": 3, "offset": 0}, [1]),
        ("t/l/v", {"limit": "x"}, {"total_rows": 3, "offset": 0}, [1, "str", [2, "x"]]),
        ("t/l/r", {}, {}, [None]),
        ("t/l/r", {"group": True}, {}, [1, "str", [2, "x"]]),
        ("t/l/r", {"reduce": False}, {"total_rows": 3, "offset": 0}, [1, "str", [2, "x"]]),
        ("t/l/_all_docs", {}, {"total_rows": 4, "offset": 0}, ["_design/t", "d1", "d2", "d3"]),
        ("t/l/_all_docs", {"startkey": "d1", "limit": 2}, {"total_rows": 4, "offset": 1}, ["d1", "d2"]),
        ("t/l/_all_docs", {"keys": ["d2", "no"]}, {"total_rows": 4, "offset": 0}, ["d2", "no"]),
        ("t/l/_all_docs", {"descending": True, "limit": 1}, {"total_rows": 4, "offset": 0}, ["d3"]),
        ("t/l/other/o", {}, {"total_rows": 3, "offset": 0}, ["d1", "d2", "d3"]),
    ],
)
def test_views(db: Any, design: Put, path: str, query: Any, head: Any, keys: Any) -> None:
    db.put({"_id": "_design/other", "views": {"o": {"map": "function (doc) { if (doc.k) { emit(doc._id); } }"}}})
    if "other" not in path:
        db.remove(db.get("_design/other"))
    found = listed(db, design, KEYS, path, query=query).json
    if path == "t/l/_all_docs":
        found[0]["offset"] = head["offset"]
    assert found == [head, keys]


def test_all_docs_by_pages(db: Any, design: Put) -> None:
    db.bulk_docs([{"_id": f"{n:05}"} for n in range(1300)])
    ids = [row.id for row in db.all_docs().rows] + ["_design/t"]
    body = "var row, ids = []; while ((row = getRow())) { ids.push(row.id); } return {json: ids};"
    assert listed(db, design, body, "t/l/_all_docs").json == sorted(ids)
    backwards = listed(db, design, body, "t/l/_all_docs", query={"descending": True, "limit": 1100}).json
    assert backwards == sorted(ids, reverse=True)[:1100]


def test_keys_of_a_body(db: Any, design: Put) -> None:
    for options in ({"body": '{"keys": [1]}', "method": "POST"}, {"json": {"keys": [1]}, "method": "POST"}):
        assert listed(db, design, KEYS, **options).json[1] == [1]


def test_include_docs_and_modules(db: Any, design: Put) -> None:
    body = "var row; while ((row = getRow())) { if (row.doc.k) { send(row.doc.k + ';'); } }"
    assert listed(db, design, body, query={"include_docs": True}).body == "1;str;2,x;"
    design(
        lists={"l": "function () { return sum([1, 2, 3]) + ' - ' + require('lib/thingy').data; }"},
        lib={"thingy": "exports.data = 'Hello World!';"},
    )
    assert db.list("t/l/v").body == "6 - Hello World!"


def test_negotiation(db: Any, design: Put) -> None:
    body = """provides('html', function () { return 'html'; });
        provides('csv', function () { var row; while ((row = getRow())) { send(row.id + ';'); } });"""
    response = listed(db, design, body, headers={"Accept": "text/csv"})
    assert response.body == "d1;d3;d2;"
    assert listed(db, design, body).body == "html"


def test_errors(db: Any, design: Put) -> None:
    for path, message in {
        "none/l/v": "missing",
        "t/no/v": "missing list function no on design doc _design/t",
        "t/l/no": "ddoc _design/t has no view named no",
        "t/no/no": "ddoc _design/t has no view named no",
        "t/l": "ddoc _design/t has no view named ",
        "t/l/none/v": "missing",
    }.items():
        with pytest.raises(NotFound) as caught:
            listed(db, design, ROWS, path)
        assert (caught.value.status, caught.value.name) == (404, "not_found")
        assert caught.value.message == message
    for body in ("send('x'); abc();", "getRow(); abc();", "provides('html', function () { abc(); });"):
        with pytest.raises(DesignError) as thrown:
            listed(db, design, body)
        assert (thrown.value.status, thrown.value.name) == (500, "ReferenceError")
    design(lists={"l": "function ("})
    with pytest.raises(FunctionError) as broken:
        db.list("t/l/v")
    assert broken.value.name == "compilation_error"


def test_a_body_of_another_type(db: Any, design: Put) -> None:
    with pytest.raises(BadRequest, match="invalid_json"):
        listed(db, design, ROWS, body="x", headers={"Content-Type": "text/plain"})
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=utf-8"}):
        listed(db, design, ROWS, headers=headers)
    listed(db, design, ROWS, body="{}", headers={"Content-Type": "application/json; charset=utf-8"})


def test_many_rows_take_little_memory(db: Any, design: Put) -> None:
    db.bulk_docs([{"_id": f"{n:06}", "k": n, "text": "x" * 100} for n in range(20_000)])
    listed(db, design, "return getRow().id;")  # builds the view
    tracemalloc.start()
    response = listed(
        db, design, "var n = 0; while (getRow()) { n += 1; } return String(n);", query={"include_docs": True}
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert response.body == "20003"
    assert peak < 16 * 2**20
