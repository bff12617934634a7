"""What is served orders strings as CouchDB does, unless the environment says otherwise."""

from __future__ import annotations

import logging

import pytest
from pouchdb_server.testing import couch_server

import pouchdb
from pouchdb_core.views import collation

VIEW = {"views": {"v": {"map": "function (doc) { emit(doc.k); }"}}}


@pytest.mark.parametrize(("options", "wanted"), [({}, "aAbB"), ({"collation": "codepoint"}, "ABab")])
def test_the_default_of_what_is_served(call, options, wanted):
    with pouchdb.setup(":memory:", plugins=["server", "find"], **options) as environment:
        database = environment["db"]
        database.bulk_docs([{"_id": each, "k": each} for each in "bBaA"])
        with couch_server(environment) as server:
            client = call(server)
            client.put("/db/_design/d", VIEW)
            client.post("/db/_index", {"index": {"fields": ["k"]}})
            assert "".join(row["key"] for row in client.get("/db/_design/d/_view/v").json["rows"]) == wanted
            found = client.post("/db/_find", {"selector": {"k": {"$gt": "A"}}, "sort": ["k"]}).json["docs"]
            assert "".join(each["k"] for each in found) == wanted[wanted.index("A") + 1 :]
            # Ids are ordered by their bytes, in CouchDB too.
            ids = [row["id"] for row in client.get("/db/_all_docs").json["rows"]]
            assert ids == sorted(ids)


def test_without_icu_it_says_so(monkeypatch, caplog):
    monkeypatch.setattr(collation, "_icu", lambda: None)
    with pouchdb.setup(":memory:", plugins=["server"]) as environment:
        with caplog.at_level(logging.WARNING, "pouchdb.server"), couch_server(environment):
            pass
        assert "not as CouchDB" in caplog.text
