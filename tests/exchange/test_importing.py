"""Importing and exporting documents: forms, what becomes of taken ids, errors."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb.exchange import JsonDocuments, export_documents, import_documents
from pouchdb.exchange.csv_rows import csv_documents
from pouchdb_core.errors import BadRequest


@pytest.fixture
def env() -> Iterator[pouchdb.SyncEnvironment]:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        yield environment


def documents(text: str) -> JsonDocuments:
    return JsonDocuments(io.BytesIO(text.encode()))


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


A, B = {"_id": "a", "x": 1}, {"_id": "b", "x": 2}

FORMS = {
    "lines": lines(A, B),
    "array": json.dumps([A, B]),
    "docs": json.dumps({"docs": [A, B]}),
    "docs, new_edits": json.dumps({"new_edits": True, "docs": [A, B]}),
    "listing": json.dumps(
        {
            "total_rows": 2,
            "offset": 0,
            "rows": [
                {"id": "a", "key": "a", "value": {"rev": "1-x"}, "doc": A},
                {"id": "b", "key": "b", "value": {"rev": "1-x"}, "doc": B},
                {"id": "c", "key": "c", "value": {"rev": "2-x", "deleted": True}, "doc": None},
                {"key": "d", "error": "not_found"},
            ],
        }
    ),
    "changes": json.dumps({"results": [{"seq": 1, "id": "a", "changes": [], "doc": A}], "last_seq": 1, "pending": 0})
    + "\n"
    + json.dumps(B),
    "continuous changes": lines(
        {"seq": 1, "id": "a", "changes": [{"rev": "1-x"}], "doc": A},
        {"seq": 2, "id": "b", "changes": [{"rev": "1-x"}], "doc": B},
        {"last_seq": 2, "pending": 0},
    ),
    "pouchdb-dump": lines(
        {"version": "1.2.1", "db_type": "http", "start_time": "x", "db_info": {}},
        {"docs": [A]},
        {"seq": 1},
        {"docs": [B]},
    ),
    "couchdb-dump": '{"new_edits":false,"docs":[\n' + json.dumps(A) + ",\n" + json.dumps(B) + "\n]}\n",
    "couchbackup": lines({"name": "@cloudant/couchbackup", "version": "2.9", "mode": "full"}, [A], [B]),
    "couchbackup without a header": lines([A], [B]),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(env: pouchdb.SyncEnvironment, form: str) -> None:
    db = env["notes"]
    done = import_documents(db, documents(FORMS[form]))
    assert (done.read, done.written, done.refused) == (2, 2, 0)
    assert [(id, db[id].x) for id in db] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("mark", [True, False])
def test_a_backup_that_was_resumed(env: pouchdb.SyncEnvironment, mark: bool) -> None:
    text = lines([A]) + '[{"_id":"b","x":' + "\n" + (lines({"marker": "@cloudant/couchbackup:resume"}) if mark else "")
    source = documents(text + lines([B]))
    done = import_documents(env["notes"], source)
    assert (done.written, done.refused, source.broken_lines) == (2, 0, 1)


def test_a_broken_line_is_an_error_and_the_others_arrive(env: pouchdb.SyncEnvironment) -> None:
    done = import_documents(env["notes"], documents(lines(A) + "{broken\n" + lines(B)))
    assert (done.read, done.written, done.refused) == (3, 2, 1)
    assert done.errors[0]["place"] == "line 2"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("3", "a document is a JSON object"),
        ('"x"', "a document is a JSON object"),
        ("[3]", "not a JSON object"),
        ('[{"_id":"a"}]\n[3]\n', "line 2: a document is a JSON object"),
        (json.dumps({"rows": [{"id": "a", "key": "a", "value": {"rev": "1-x"}}]}), "include_docs"),
        (json.dumps({"pouchdb_dump": 1}), "pouchdb load"),
    ],
)
def test_what_is_no_file_of_documents(env: pouchdb.SyncEnvironment, text: str, match: str) -> None:
    with pytest.raises(BadRequest, match=match):
        import_documents(env["notes"], documents(text))


def test_revisions_are_kept_and_importing_again_changes_nothing(env: pouchdb.SyncEnvironment) -> None:
    db = env["notes"]
    db.put({"_id": "a"})
    db["a"] = {"x": 1}
    exported = io.BytesIO()
    assert export_documents(db, exported) == 1
    exported.seek(0)
    copy = env["copy"]
    first = import_documents(copy, JsonDocuments(exported))
    assert (first.written, first.unchanged) == (1, 0)
    assert copy["a"] == db["a"]
    exported.seek(0)
    again = import_documents(copy, JsonDocuments(exported))
    assert (again.written, again.unchanged, again.refused) == (0, 1, 0)


@pytest.mark.parametrize(
    ("existing", "counts", "x", "leaves"),
    [
        ("refuse", (1, 0, 1), "old", 1),
        ("replace", (2, 0, 0), "new", 1),
        ("skip", (1, 1, 0), "old", 1),
        ("conflict", (2, 0, 0), None, 2),
    ],
)
def test_taken_ids(
    env: pouchdb.SyncEnvironment, existing: Any, counts: tuple[int, int, int], x: str | None, leaves: int
) -> None:
    db = env["notes"]
    db.put({"_id": "a", "x": "old"})
    text = lines({"_id": "a", "x": "new"}, {"_id": "b"})
    done = import_documents(db, documents(text), existing=existing)
    assert (done.written, done.skipped, done.refused) == counts
    assert "b" in db
    assert len(db.open_revs("a")) == leaves
    if x is not None:
        assert db["a"].x == x
    if existing == "refuse":
        assert done.errors == [{"place": "line 1", "id": "a", "error": "conflict", "reason": done.errors[0]["reason"]}]
    again = import_documents(db, documents(text), existing=existing)
    assert len(db.open_revs("a")) == leaves, "the same document is the same conflict"
    assert again.read == 2


def test_the_last_of_an_id_replaces(env: pouchdb.SyncEnvironment) -> None:
    db = env["notes"]
    db.put({"_id": "a", "x": 0})
    import_documents(db, documents(lines({"_id": "a", "x": 1}, {"_id": "a", "x": 2})), existing="replace")
    assert db["a"].x == 2


def test_refused_documents_are_listed(env: pouchdb.SyncEnvironment) -> None:
    done = import_documents(
        env["notes"],
        documents(
            lines(
                {"_id": 3}, {"_id": "a", "_wrong": 1}, {"_id": "b", "_rev": "x"}, {"_id": "c", "_rev": 7}, {"_id": "d"}
            )
        ),
    )
    assert (done.written, done.refused) == (1, 4)
    assert list(env["notes"]) == ["d"]


def test_memory_holds_a_batch(env: pouchdb.SyncEnvironment) -> None:
    """Documents are asked for only when those before are written."""
    taken: list[int] = []
    seen: list[int] = []

    def source() -> Iterator[tuple[Any, str]]:
        for number in range(3000):
            taken.append(number)
            yield {"_id": f"{number:05}"}, f"line {number}"

    import_documents(env["notes"], source(), on_progress=lambda result: seen.append(len(taken) - result.written))
    assert max(seen) <= 1
    assert len(env["notes"]) == 3000


CSV = '﻿_id,name,age,ratio,ok,tags,zip,note\na,"Ada, ""L""",36,0.5,true,"[1,2]",007,"two\nlines"\nb,,,-1e3,false,{x},,\n'


def table(text: str, **options: Any) -> list[Any]:
    return [doc for doc, _ in csv_documents(io.BytesIO(text.encode()), **options)]


def test_csv_types_are_what_cells_look_like() -> None:
    assert table(CSV) == [
        {
            "_id": "a",
            "name": 'Ada, "L"',
            "age": 36,
            "ratio": 0.5,
            "ok": True,
            "tags": [1, 2],
            "zip": "007",
            "note": "two\nlines",
        },
        {"_id": "b", "ratio": -1000.0, "ok": False, "tags": "{x}"},
    ]


def test_csv_options() -> None:
    assert table("a;b\n1;2\n") == [{"a": 1, "b": 2}]
    assert table("a|b\n1|2\n", default="text", types={"b": "int"}) == [{"a": "1", "b": 2}]
    assert table("n,x\n7,1\n", id_column="n") == [{"_id": "7", "x": 1}]
    assert table("x\n1\n", types={"x": "text"}) == [{"x": "1"}]
    [wrong] = table("x\nabc\n", types={"x": "int"})
    assert isinstance(wrong, BadRequest)
    [wide] = table("x\n1,2\n", delimiter=",")
    assert "2 cells" in wide.message


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        ("", {}, "empty"),
        ("a,a\n1,2\n", {}, "more than one column"),
        ("a\n1\n", {"types": {"b": "int"}}, "no column 'b'"),
        ("a\n1\n", {"types": {"a": "date"}}, "no type 'date'"),
        ("a\n1\n", {"id_column": "key"}, "no column 'key'"),
        ('a\n"x\n', {}, "not CSV"),
    ],
)
def test_wrong_csv(text: str, options: dict[str, Any], match: str) -> None:
    with pytest.raises(BadRequest, match=match):
        table(text, **options)


def test_csv_that_is_no_utf8() -> None:
    with pytest.raises(BadRequest, match="UTF-8"):
        list(csv_documents(io.BytesIO(b"a\n\xff\n")))


@pytest.mark.parametrize("format", ["jsonl", "json", "docs", "csv"])
def test_what_is_exported_is_imported(env: pouchdb.SyncEnvironment, format: Any) -> None:
    db = env["notes"]
    db.bulk_docs(
        [
            {"_id": "a", "text": 'x,"\n', "n": 1, "list": [1, {"y": None}], "yes": True},
            {"_id": "b", "other": -0.5},
            {"_id": "_design/d", "views": {}},
        ]
    )
    file = io.BytesIO()
    assert export_documents(db, file, format) == 3
    file.seek(0)
    source: Any = csv_documents(file) if format == "csv" else JsonDocuments(file)
    done = import_documents(env["copy"], source)
    assert (done.written, done.refused) == (3, 0)
    assert {id: env["copy"][id] for id in env["copy"]} == {id: db[id] for id in db}


def test_export_options(env: pouchdb.SyncEnvironment) -> None:
    db = env["notes"]
    db.put({"_id": "a", "x": 1, "y": 2, "_attachments": {"t": {"data": b"x", "content_type": "text/plain"}}})
    db.put({"_id": "_design/d"})
    db.put({"_id": "b"})

    def exported(**options: Any) -> list[Any]:
        file = io.BytesIO()
        export_documents(db, file, **options)
        return [json.loads(line) for line in file.getvalue().splitlines()]

    assert exported(revs=False, design=False) == [{"_id": "a", "x": 1, "y": 2}, {"_id": "b"}]
    assert exported(fields=["y", "_id"], prefix="a") == [{"y": 2, "_id": "a"}]
    assert exported(attachments=True, prefix="a")[0]["_attachments"]["t"]["data"] == "eA=="
    with pytest.raises(BadRequest):
        exported(format="xml")
