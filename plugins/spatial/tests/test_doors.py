"""The endpoints `_spatial` and `_geo`, a database on a server, the command `pouchdb near`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import urllib3

import pouchdb

PLACES = {"ams": [4.9, 52.37], "par": [2.35, 48.86], "syd": [151.2, -33.87]}
DDOC = {
    "_id": "_design/g",
    "st_indexes": {"st": {"index": "function (doc) { if (doc.g) st_index(doc.g); }"}},
    "spatial": {"sp": "function (doc) { if (doc.g) emit(doc.g, doc._id); }"},
}


def fill(db: Any) -> None:
    db.bulk_docs([{"_id": id, "g": {"type": "Point", "coordinates": at}} for id, at in PLACES.items()])
    db.put(DDOC)


def test_the_server_answers_and_is_asked() -> None:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    http = urllib3.PoolManager()
    with pouchdb.setup(":memory:", plugins=["server", "spatial"]) as env, couch_server(env) as server:
        fill(env["places"])

        def get(path: str, **fields: str) -> Any:
            answer = http.request("GET", f"{server.url}/places/_design/g/{path}", fields=fields)
            return answer.status, json.loads(answer.data)

        status, answer = get("_spatial/sp", start_range="[0,45]", end_range="[10,55]")
        assert (status, sorted(row["id"] for row in answer["rows"])) == (200, ["ams", "par"])
        assert get("_spatial/sp", bbox="0,45,10,55", count="true") == (200, {"count": 2})
        status, answer = get("_geo/st", lat="50", lon="4", nearest="true", limit="2")
        assert [row["id"] for row in answer["rows"]] == ["par", "ams"]
        assert answer["bookmark"]
        status, answer = get("_geo/st", g="POLYGON((0 45, 10 45, 10 55, 0 55, 0 45))", format="geojson")
        assert (answer["type"], len(answer["features"])) == ("FeatureCollection", 2)
        assert get("_geo_info/st")[1]["geo_index"]["doc_count"] == 3
        assert get("_geo/sp")[0] == 404
        assert get("_spatial/sp", start_range="x")[0] == 400
        posted = http.request("POST", f"{server.url}/places/_design/g/_geo/st", json={"bbox": [0, 45, 10, 55]})
        assert len(json.loads(posted.data)["rows"]) == 2
        assert http.request("POST", f"{server.url}/places/_spatial_cleanup", json={}).status == 200

        remote: Any = env.PouchDB(f"{server.url}/places")
        assert {row.id for row in remote.spatial("g/sp", bbox=[0, 45, 10, 55]).rows} == {"ams", "par"}
        assert [row.id for row in remote.spatial("g/st", lat=-30, lon=150, radius=1_000_000).rows] == ["syd"]
        assert len(remote.spatial("g/sp", start_range=[None, 50], end_range=[None, None]).rows) == 1
    http.clear()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="the command needs the extra cli")
    from pouchdb.cli.app import run

    monkeypatch.chdir(tmp_path)
    with pouchdb.setup("data", plugins=[]) as env:
        fill(env["places"])
    assert run(["near", "places", "g/st", "--lat", "50", "--lon", "4", "--limit", "2"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["par", "ams"]
    assert run(["near", "places", "g/st", "--lat", "50", "--lon", "4", "--geojson", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "FeatureCollection"
    assert run(["near", "places", "g/none", "--lat", "50", "--lon", "4"]) == 3


def test_an_index_survives_reopening_and_is_dropped(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=["spatial"]) as env:
        fill(env["places"])
        places: Any = env["places"]
        assert len(places.spatial("g/sp").rows) == 3
    with pouchdb.setup(tmp_path, plugins=["spatial"]) as env:
        places = env["places"]
        assert len(places.spatial("g/sp", stale="ok").rows) == 3, "nothing is built again"
        # Editing one index leaves the other as it is.
        ddoc = places["_design/g"]
        ddoc["st_indexes"]["st"]["index"] += " "
        places.put(ddoc)
        assert len(places.spatial("g/sp", stale="ok").rows) == 3
        places.remove(places["_design/g"])
        assert places.view_cleanup().ok


def outcome(db: Any, name: str, options: dict[str, Any]) -> Any:
    try:
        return db.spatial(name, **options)
    except pouchdb.PouchDBError as error:
        return type(error), error.status, error.name, error.message


def test_a_database_on_a_server_answers_as_one_that_is_here() -> None:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    asked: list[dict[str, Any]] = [
        {},
        {"bbox": (0, 45, 10, 55)},
        {"bbox": "0,45"},
        {"bbox": "170,-60,-150,60", "plane_bounds": [-180, -90, 180, 90]},
        {"start_range": [None, 50]},
        {"start_range": "x"},
        {"end_range": ["a"]},
        {"g": {"type": "Point", "coordinates": [4.9, 52.37]}},
        {"g": "POLYGON((0 0,1 1"},
        {"g": 5},
        {"g": "{", "relation": "within"},
        {"g": "POINT(1 1)", "relation": "x"},
        {"lat": 50, "lon": 4, "nearest": True, "limit": 2},
        {"lat": "50", "lon": "4", "radius": "1e6"},
        {"lat": 50, "lon": 4, "radius": "x"},
        {"lat": 100, "lon": 4},
        {"lat": 50},
        {"nearest": "x"},
        {"limit": "x"},
        {"limit": 1.5},
        {"limit": -1},
        {"limit": 201},
        {"skip": "1"},
        {"count": True},
        {"count": "maybe"},
        {"stale": "ok"},
        {"stale": True},
        {"stale": "x"},
        {"update": False},
        {"update": "x"},
        {"format": "geojson", "include_docs": True},
        {"format": "x"},
        {"bookmark": "x"},
        {"unknown": 1},
    ]
    with pouchdb.setup(":memory:", plugins=["server", "spatial"]) as env, couch_server(env) as server:
        fill(env["places"])
        remote: Any = env.PouchDB(f"{server.url}/places")
        for options in asked:
            for name in ("g/sp", "g/st"):
                assert outcome(remote, name, options) == outcome(env["places"], name, options), (name, options)


INTERRUPTED = """
import signal, sys
import pouchdb
with pouchdb.setup(":memory:", plugins=["spatial"]) as env:
    db = env["places"]
    db.put({"_id": "a"})
    place = lambda doc: [({"type": "Point", "coordinates": [1, 2]}, None)]

    def interrupt(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
    try:
        db.spatial(place)
    except KeyboardInterrupt:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(len(db.spatial(place, g="POINT(1 2)").rows))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the platform has no timers")
@pytest.mark.parametrize("after", [0.001, 0.02, 0.04, 0.07, 0.1, 0.15])
def test_an_interrupt_while_it_is_imported_spoils_nothing(after: float) -> None:
    """Numpy cannot be imported a second time in a process: a Ctrl-C at the first query was its end there."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, str(after)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1\n", "")
