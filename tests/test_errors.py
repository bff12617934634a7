"""Errors: one tree that speaks CouchDB."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re

import pytest

import pouchdb
from pouchdb_core import errors
from pouchdb_core.errors import BaseError, Conflict, NotFound, PouchDBError

KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, PouchDBError) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_reads_by_item_and_by_attribute(kind: type[PouchDBError]) -> None:
    error = kind("why", id="a", rev="1-a")
    assert isinstance(error, BaseError)
    assert error.as_dict() == {
        "status": kind.status,
        "name": kind.name,
        "message": "why",
        "reason": "why",
        "error": True,
        "id": "a",
        "rev": "1-a",
    }
    for key, value in error.as_dict().items():
        assert error[key] == value
        assert key in error
        assert getattr(error, key) == value
    assert "nothing" not in error
    with pytest.raises(KeyError):
        error["nothing"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = error.nothing


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_compact_json_as_text(kind: type[PouchDBError]) -> None:
    text = str(kind(id="a"))
    assert json.loads(text) == {"status": kind.status, "name": kind.name, "message": kind.default_message}
    assert list(json.loads(text)) == ["status", "name", "message"]
    assert text == json.dumps(json.loads(text), separators=(",", ":"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_every_error_can_be_copied_and_sent(kind: type[PouchDBError], again: object) -> None:
    assert callable(again)
    error = again(kind("because of 日本", id="a"))
    assert type(error) is kind
    assert (error.message, error.details, str(error)) == ("because of 日本", {"id": "a"}, str(kind("because of 日本")))


def test_what_was_set_on_one_error_travels_with_it() -> None:
    error = PouchDBError("I'm a teapot")
    error.status, error.name = 418, "teapot"
    again = pickle.loads(pickle.dumps(error))
    assert (again.status, again.name, PouchDBError.status) == (418, "teapot", 500)
    assert str(again) == '{"status":418,"name":"teapot","message":"I\'m a teapot"}'


def test_texts_of_the_original() -> None:
    assert str(NotFound()) == '{"status":404,"name":"not_found","message":"missing"}'
    assert str(Conflict()) == '{"status":409,"name":"conflict","message":"Document update conflict"}'


def test_the_tree_at_the_top_of_the_module_is_the_truth() -> None:
    """The indented list in the docstring names every class, below its parent, with its status and name."""
    assert errors.__doc__ is not None
    parents: list[type] = []
    drawn = []
    for line in errors.__doc__.split("::\n\n")[1].split("\n\n")[0].splitlines():
        match = re.fullmatch(r"    ( *)(\w+)( +(\d+) (\w+))?( .*)?", line)
        assert match, line
        depth, kind = len(match[1]) // 2, getattr(errors, match[2])
        del parents[depth:]
        if parents:
            assert kind.__bases__ == (parents[-1],), line
        if match[4]:
            assert (kind.status, kind.name) == (int(match[4]), match[5]), line
        parents.append(kind)
        drawn.append(match[2])
    assert sorted(drawn) == sorted(errors.__all__)


def test_the_mapping_api_turns_a_404_into_a_key_error_with_its_text() -> None:
    db = pouchdb.setup(":memory:", plugins=[])["notes"]
    with pytest.raises(KeyError) as caught:
        db["nobody"]
    assert caught.value.args == ('{"status":404,"name":"not_found","message":"missing"}',)
    db["a"] = {}
    del db["a"]
    with pytest.raises(KeyError) as caught:
        del db["a"]
    assert caught.value.args == ('{"status":404,"name":"not_found","message":"deleted"}',)
    assert isinstance(caught.value.__cause__, NotFound)
    with pytest.raises(Conflict):
        db["b"] = {"_rev": "1-abc"}


def test_the_facade_shows_the_roots() -> None:
    assert pouchdb.PouchDBError is PouchDBError
    assert issubclass(pouchdb.EnvironmentError, pouchdb.BaseError)
    assert issubclass(pouchdb.PluginError, pouchdb.BaseError)
    assert not issubclass(pouchdb.EnvironmentError, OSError)
