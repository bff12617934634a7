"""GET /_active_tasks while there is something to tell."""

from __future__ import annotations


def test_an_index_that_is_being_built(client, environment):
    database = environment["db"]
    database.put({"_id": "_design/app", "views": {"all": {"map": "function (doc) { emit(doc._id); }"}}})
    database.bulk_docs([{"_id": f"{n}"} for n in range(9)])
    told = []
    database.on("indexing", lambda event: told.append(client.get("/_active_tasks").json))
    database.query("app/all")
    [[task]] = told
    assert (task["type"], task["database"], task["design_document"]) == ("indexer", "db", "_design/app")
    assert (task["changes_done"], task["total_changes"], task["progress"]) == (10, 10, 100)
    assert client.get("/_active_tasks").json == []
