"""What CouchDB would not save as a design document: refused by the server, reported here."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, PouchDBError
from pouchdb_core.views.design_check import check_design

MAP = "function (doc) { emit(doc._id); }"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"filters": []}, "`filters` field must have object type"),
        ({"filters": {"f": 1}}, "`filters.f` field must have object or string type"),
        ({"language": 1}, "`language` field must have string type"),
        ({"lists": "x"}, "`lists` field must have object type"),
        ({"lists": {"l": None}}, "`lists.l` field must have object or string type"),
        ({"options": True}, "`options` field must have object type"),
        ({"options": {"include_design": 1}}, "`options.include_design` field must have boolean type"),
        ({"options": {"local_seq": "true"}}, "`options.local_seq` field must have boolean type"),
        ({"rewrites": {}}, "`rewrites` field must have string or array type"),
        ({"shows": 1}, "`shows` field must have object type"),
        ({"shows": {"s": 1.5}}, "`shows.s` field must have object or string type"),
        ({"updates": {"u": []}}, "`updates.u` field must have object or string type"),
        ({"validate_doc_update": {}}, "`validate_doc_update` field must have string type"),
        ({"views": []}, "`views` field must have object type"),
        ({"views": None}, "`views` field must have object type"),
        ({"views": {"v": "x"}}, "`views.v` field must have object type"),
        ({"views": {"lib": "x"}}, "`views.lib` field must have object type"),
        ({"views": {"v": {"map": 5}}}, "`views.v.map` field must have string type"),
        ({"views": {"v": {"map": None}}}, "`views.v.map` field must have string type"),
        ({"views": {"v": {"map": MAP, "reduce": {}}}}, "`views.v.reduce` field must have string type"),
        ({"views": {"v": {}}}, "View `v` must contain map function"),
        ({"views": {"v": {"reduce": "_sum"}}}, "View `v` must contain map function"),
        ({"views": {"v": {"map": MAP, "reduce": "_nope"}}}, "`_nope` is not a supported reduce function."),
        ({"language": "query", "views": {"v": {"map": MAP}}}, "`views.v.map` field must have object type"),
    ],
)
def test_members_that_cannot_be(database: SyncPouchDB, members: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_design(database, {"_id": "_design/d", **members})
    assert (caught.value.status, caught.value.name, caught.value.reason) == (400, "invalid_design_doc", reason)


@pytest.mark.parametrize("source", ["function (", "not a function", "", "5", "function (doc) { emit(doc._id } }"])
@pytest.mark.parametrize("kind", ["map", "reduce"])
def test_functions_that_do_not_compile(database: SyncPouchDB, kind: str, source: str) -> None:
    view = {"map": MAP, "reduce": "_count", kind: source}
    with pytest.raises(BadRequest) as caught:
        check_design(database, {"_id": "_design/d", "views": {"v": view}})
    assert (caught.value.status, caught.value.name) == (400, "compilation_error")
    assert caught.value.reason.startswith(f"Compilation of the {kind} function in the 'v' view failed: ")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"anything": 1, "views": {}},
        {"views": {"lib": {"m": "exports.f = 1"}, "v": {"map": "function (doc) { require('views/lib/m'); }"}}},
        {"views": {"lib": {"map": MAP}}},
        {"views": {name: {"map": MAP, "reduce": name} for name in ("_sum", "_count", "_stats", "_first", "_top_3")}},
        {"views": {"v": {"map": MAP, "reduce": "_approx_count_distinct"}}},
        {"views": {"v": {"map": MAP, "reduce": "function (keys, values, rereduce) { return sum(values); }"}}},
        {"language": "cobol", "views": {"v": {"map": "x", "reduce": "y"}}},
        {"language": "query", "views": {"v": {"map": {"fields": {"a": "asc"}}, "reduce": "_count"}}},
        {"filters": {"f": "function ("}, "validate_doc_update": "function (", "rewrites": []},
        {"options": {"include_design": True, "local_seq": False, "collation": "raw"}},
    ],
)
def test_what_can_be(database: SyncPouchDB, members: dict[str, Any]) -> None:
    check_design(database, {"_id": "_design/d", **members})


def test_a_program_may_store_it_and_hears_of_it(database: SyncPouchDB, caplog: pytest.LogCaptureFixture) -> None:
    told: list[PouchDBError] = []
    database.on("warning", told.append)
    wrong = {"_id": "_design/a", "views": {"v": {"map": "function ("}}}
    with caplog.at_level(logging.WARNING, "pouchdb.views"):
        rev = database.put(wrong).rev
    assert [(each.name, each["id"]) for each in told] == [("compilation_error", "_design/a")]
    assert "Compilation of the map function" in caplog.text
    database.bulk_docs([{"_id": "x"}, {"_id": "_design/b", "views": 1}, {"_id": "_design/c", "views": {}}])
    assert [(each.name, each["id"]) for each in told[1:]] == [("invalid_design_doc", "_design/b")]
    # What is replicated or deleted is nobody's mistake here.
    database.put({**wrong, "_id": "_design/r", "_rev": "1-a"}, new_edits=False)
    database.put({"_id": "_design/a", "_rev": rev, "_deleted": True, "views": 1})
    assert len(told) == 2


def test_a_view_may_be_called_lib(database: SyncPouchDB) -> None:
    database.put({"_id": "_design/d", "views": {"lib": {"map": MAP}}})
    database.put({"_id": "a"})
    assert [row.id for row in database.query("d/lib").rows] == ["a"]
