"""Answers are dicts whose keys read as attributes, at every level."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.results import Record

DOC: dict[str, Any] = {"_id": "a", "world": 1, "deep": {"list": [[{"x": 1}], {"y": {"z": None}}]}, "items": {"n": 1}}


@pytest.fixture
def doc(database: SyncPouchDB) -> Any:
    database.put(DOC)
    return database.get("a")


def test_attributes_at_every_level(doc: Any) -> None:
    assert doc.world == 1
    assert doc._id == "a"
    assert doc.deep.list[0][0].x == 1
    assert doc.deep.list[1].y.z is None
    assert doc["items"].n == 1
    with pytest.raises(AttributeError, match="nope"):
        _ = doc.nope


def test_answers_of_every_call(database: SyncPouchDB) -> None:
    assert database.put(DOC).ok
    assert database.bulk_docs([{"_id": "b", "o": {"p": [{"q": 1}]}}])[0].id == "b"
    assert database.bulk_docs([{"_id": "b"}])[0].status == 409
    row = database.all_docs(include_docs=True).rows[1]
    assert (row.id, row.key, row.value.rev, row.doc.o.p[0].q) == ("b", "b", row.doc._rev, 1)
    change = database.changes(include_docs=True).results[1]
    assert (change.changes[0].rev, change.doc.o.p[0].q) == (row.value.rev, 1)
    assert database.get("b", revs_info=True)._revs_info[0].status == "available"
    assert database.get("b", revs=True)._revisions.start == 1
    assert database.open_revs("b")[0].ok.o.p[0].q == 1
    assert database.bulk_get([{"id": "b"}, {"id": "c"}]).results[1].docs[0].error.reason == "missing"
    assert database.revs_diff({"c": ["1-a"]}).c.missing == ["1-a"]
    assert database.info().sizes.active > 0
    database.put_attachment("b", "x", b"x", "text/x", row.value.rev)
    assert database.get("b")._attachments.x.stub is True
    assert database.get("b", attachments=True)._attachments.x.data == "eA=="
    assert database.get_attachment("b", "x").type == "text/x"
    assert database.purge({"a": []}).purged.a == []
    database.put_security({"admins": {"names": ["bob"]}})
    assert database.get_security().admins.names == ["bob"]


def test_methods_win_over_keys(doc: Any) -> None:
    assert callable(doc.items)
    assert doc["items"] == {"n": 1}
    assert set(doc.keys()) == {*DOC, "_rev"}
    assert doc.get("none", 5) == 5
    assert doc.pop("world") == 1


def test_it_is_a_dict(doc: Any) -> None:
    assert isinstance(doc, dict)
    assert doc == {**DOC, "_rev": doc._rev}
    assert {**DOC, "_rev": doc._rev} == doc
    assert json.loads(json.dumps(doc)) == doc
    doc["new"] = 1
    doc["deep"]["list"][1]["y"]["z"] = 2
    assert (doc.new, doc.deep.list[1].y.z) == (1, 2)
    with pytest.raises(AttributeError, match=r"set by item: record\['other'\] = "):
        doc.other = 1
    with pytest.raises(AttributeError, match=r"removed by item: del record\['new'\]"):
        del doc.new
    assert "other" not in doc
    assert doc.new == 1


def test_copies(doc: Any) -> None:
    for made in (doc.copy(), copy.copy(doc), copy.deepcopy(doc), pickle.loads(pickle.dumps(doc))):
        assert made == doc
        assert made is not doc
        assert type(made) is Record
    assert copy.deepcopy(doc).deep is not doc.deep
    assert type(pickle.loads(pickle.dumps(doc)).deep) is Record


def test_keys_that_python_looks_for(database: SyncPouchDB) -> None:
    """A document, which may come from anywhere, must not change what Python does with it."""
    members = {"__deepcopy__": 1, "__copy__": 2, "__reduce_ex__": 3, "__array__": 4, "__getstate__": 5}
    database.put({"_id": "a", "x": members})
    value = database.get("a")["x"]
    assert value == members
    assert value["__deepcopy__"] == 1
    assert copy.deepcopy(value) == copy.copy(value) == pickle.loads(pickle.dumps(value)) == members
    assert not hasattr(value, "__array__")
