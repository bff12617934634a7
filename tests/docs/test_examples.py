"""The example plug-ins: timestamps, and a database that is unreadable on a server."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import BadRequest, Forbidden

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    imported = []

    def load(name: str) -> ModuleType:
        imported.append(name)
        return importlib.import_module(name)

    yield load
    for name in imported:
        sys.modules.pop(name, None)


def test_timestamps(example: Any, tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[example("timestamps").Timestamps("notes")]) as env:
        db = env["notes"]
        rev = db.put({"_id": "a", "text": "one"}).rev
        first = db.get("a")
        assert datetime.fromisoformat(first.created_at) == datetime.fromisoformat(first.updated_at)
        db.put({**first, "_rev": rev, "text": "two"})
        second = db.get("a")
        assert second.created_at == first.created_at <= second.updated_at
        env["plain"].put({"_id": "a"})
        assert set(env["plain"].get("a")) == {"_id", "_rev"}
        db.replicate_to("copy")
        assert env["copy"].get("a") == second
        db.put({"_id": "_design/code"})
        assert set(db.get("_design/code")) == {"_id", "_rev"}


def test_an_encrypted_database_is_unreadable_on_a_server(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="the example needs it")
    pytest.importorskip("pouchdb_server")
    from pouchdb_core.testing.server import couch_server

    encrypted = example("encrypted").Encrypted
    key = encrypted.new_key()
    with couch_server() as server, pouchdb.setup(tmp_path / "one", plugins=[encrypted(key, "diary")]) as env:
        db = env["diary"]
        db.put({"_id": "a", "text": "rain in Zürich"})
        db.put({"_id": "a", "_rev": db.get("a")._rev, "text": "sunshine", "list": [{"x": 1.5}]})
        gone = db.put({"_id": "b", "text": "a lie"})
        db.remove("b", gone.rev)
        assert {key: value for key, value in db.get("a").items() if key != "_rev"} == {
            "_id": "a",
            "text": "sunshine",
            "list": [{"x": 1.5}],
        }
        assert [row.key for row in db.query(lambda doc: [(doc["text"], None)]).rows] == ["sunshine"]
        db.replicate_to(f"{server.url}/diary")
        there = server.environment["diary"]
        assert set(there.get("a")) == {"_id", "_rev", "sealed"}
        assert "b" not in there
        with pouchdb.setup(tmp_path / "two", plugins=[encrypted(key, "diary")]) as other:
            other["diary"].replicate_from(f"{server.url}/diary")
            assert other["diary"].get("a") == db.get("a")
            other["diary"].put({**other["diary"].get("a"), "text": "snow"})
            other["diary"].replicate_to(f"{server.url}/diary")
        db.replicate_from(f"{server.url}/diary")
        assert db.get("a").text == "snow"
        with pouchdb.setup(tmp_path / "three", plugins=[encrypted(encrypted.new_key(), "diary")]) as stranger:
            stranger["diary"].replicate_from(f"{server.url}/diary")
            with pytest.raises(Forbidden, match="another key"):
                stranger["diary"].get("a")
        # A sealed document under another id is worth nothing.
        there.put({"_id": "c", "sealed": there.get("a").sealed})
        db.replicate_from(f"{server.url}/diary")
        with pytest.raises(Forbidden, match="was changed"):
            db.get("c")
        with pytest.raises(BadRequest, match="attachments"):
            db.put_attachment("d", "x", b"x")


def test_a_map_of_what_is_within_a_polygon(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("shapely", reason="the plug-in spatial brings it")
    airport_map = example("airport_map")
    with pouchdb.setup(":memory:", plugins=["spatial"]) as env:
        db: Any = env["airports"]
        places = {"in": [9.0, 47.5], "out": [0.0, 0.0], "<i>": [9.2, 47.6]}
        db.bulk_docs(
            [{"_id": id, "icao": id, "name": f"{id} & co", "lon": x, "lat": y} for id, (x, y) in places.items()]
        )
        found = db.spatial(
            lambda doc: [({"type": "Point", "coordinates": [doc["lon"], doc["lat"]]}, None)],
            g=airport_map.POLYGON,
            format="geojson",
        )
    page = tmp_path / "map.html"
    airport_map.save_page(found, airport_map.POLYGON, page)
    text = page.read_text("utf-8")
    assert text.count("<circle") == text.count('class="code"') == 2
    assert "in &amp; co" in text
    assert "&lt;i&gt;" in text
    assert "<i>" not in text
    assert "http" not in text.replace("http-equiv", ""), "nothing is loaded from a network"


def test_a_picture_of_what_is_within_a_polygon(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install -r examples/requirements.txt brings it")
    pytest.importorskip("shapely", reason="the plug-in spatial brings it")
    airport_map = example("airport_map")
    point = {"type": "Point", "coordinates": [9.0, 47.5]}
    features = {"features": [{"geometry": point, "properties": {"icao": "LSZV", "name": "Sitterdorf"}}]}
    picture = tmp_path / "map.png"
    airport_map.save_picture(features, airport_map.POLYGON, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
