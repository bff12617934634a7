"""List functions over spatial indexes: the plug-in couchapp runs them."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
import urllib3

import pouchdb

DDOC = {
    "_id": "_design/g",
    "spatial": {"sp": "function (doc) { if (doc.g) emit(doc.g, doc._id); }"},
    "st_indexes": {"st": {"index": "function (doc) { if (doc.g) st_index(doc.g); }"}},
    "lists": {
        "text": """function (head, req) {
          start({headers: {'Content-Type': 'text/plain'}});
          send((req.query.title || 'places') + ':');
          var row; while (row = getRow()) send(' ' + row.id + '@' + row.geometry.coordinates.join(','));
          return head.bookmark ? ' more' : '.';
        }""",
        "throws": "function () { throw new Error('oh'); }",
    },
}
PLACES = {"ams": [4.9, 52.37], "par": [2.35, 48.86], "syd": [151.2, -33.87]}


def fill(db: Any) -> None:
    db.bulk_docs([{"_id": id, "g": {"type": "Point", "coordinates": at}} for id, at in PLACES.items()])
    db.put(DDOC)
    db.put({"_id": "_design/other", "spatial": DDOC["spatial"]})


def test_rows_of_an_index_as_text() -> None:
    pytest.importorskip("pouchdb_couchapp", reason="it runs list functions")
    with pouchdb.setup(":memory:", plugins=["spatial"]) as env:
        db: Any = env["places"]
        fill(db)
        answer = db.spatial_list("g/text/sp", query={"bbox": "0,45,10,55", "title": "Europe"})
        assert answer.body == "Europe: ams@4.9,52.37 par@2.35,48.86."
        assert answer.headers["Content-Type"] == "text/plain"
        assert db.spatialList(
            "g/text/st", {"query": {"lat": "50", "lon": "4", "nearest": "true", "limit": "1"}}
        ).body == ("places: par@2.35,48.86 more")
        assert (
            db.spatial_list("g/text/other/sp", query={"start_range": [100, None]}).body == "places: syd@151.2,-33.87."
        )
        for path, status in (("g/none/sp", 404), ("g/text/none", 404), ("none/text/sp", 404), ("g/text", 400)):
            with pytest.raises(pouchdb.PouchDBError) as caught:
                db.spatial_list(path)
            assert caught.value.status == status, path
        with pytest.raises(pouchdb.PouchDBError, match="oh"):
            db.spatial_list("g/throws/sp")
        with pytest.raises(pouchdb.BadRequest, match="bbox"):
            db.spatial_list("g/text/sp", query={"bbox": "1,2"})


def test_the_server_sends_them() -> None:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    pytest.importorskip("pouchdb_couchapp", reason="it runs list functions")
    from pouchdb_server.testing import couch_server

    http = urllib3.PoolManager()
    with pouchdb.setup(":memory:", plugins=["server", "spatial"]) as env, couch_server(env) as server:
        fill(env["places"])
        base = f"{server.url}/places/_design/g/_spatial/_list"
        answer = http.request("GET", f"{base}/text/sp", fields={"bbox": "0,45,10,55", "title": "A & B"})
        assert (answer.status, answer.data) == (200, b"A & B: ams@4.9,52.37 par@2.35,48.86.")
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert http.request("GET", f"{base}/text/other/sp", fields={"limit": "1"}).data == b"places: ams@4.9,52.37."
        posted = http.request("POST", f"{base}/text/sp", json={"bbox": [100, -50, 160, 0]})
        assert posted.data == b"places: syd@151.2,-33.87."
        assert http.request("GET", f"{base}/text/nothing").status == 404
        assert http.request("GET", f"{base}/text").status == 404
        assert http.request("GET", f"{base}/text/sp", fields={"bbox": "1"}).status == 400
        remote: Any = env.PouchDB(f"{server.url}/places")
        assert remote.spatial_list("g/text/sp", query={"limit": 1}).body == "places: ams@4.9,52.37."
        rows = http.request("GET", f"{server.url}/places/_design/g/_spatial/sp", fields={"limit": "1"})
        assert json.loads(rows.data)["rows"][0]["id"] == "ams"
        for option in ({"update": "lazy"}, {"update": "false"}, {"stale": "update_after"}, {"stale": "ok"}):
            for path in ("_spatial/sp", "_geo/st"):
                answer = http.request("GET", f"{server.url}/places/_design/g/{path}", fields=option)
                assert answer.status == 200, option
            assert len(remote.spatial("g/sp", **option).rows) == 3
        assert remote.spatial("g/sp", update=False).rows == remote.spatial("g/sp").rows
        assert http.request("GET", f"{server.url}/places/_design/g/_geo/st", fields={"update": "now"}).status == 400
    http.clear()


def test_without_couchapp_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *args: Any) -> Any:
        raise ImportError(name)

    with pouchdb.setup(":memory:", plugins=["spatial"]) as env:
        db: Any = env["places"]
        fill(db)
        monkeypatch.setattr(importlib, "import_module", missing)
        with pytest.raises(pouchdb.PouchDBError, match=r"pip install 'pouchdb\[couchapp\]'") as caught:
            db.spatial_list("g/text/sp")
    assert caught.value.status == 501


def test_options_and_a_box_by_position() -> None:
    with pouchdb.setup(":memory:", plugins=["spatial"]) as env:
        db: Any = env["places"]
        fill(db)
        assert [row.id for row in db.spatial("g/sp", [0, 45, 10, 55]).rows] == ["ams", "par"]
        assert [row.id for row in db.spatial("g/sp", [0, 45, 10, 55], limit=1).rows] == ["ams"]
        assert [row.id for row in db.spatial("g/sp", {"start_range": [100, None]}).rows] == ["syd"]
