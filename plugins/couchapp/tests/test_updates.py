"""Update functions here (spec: plugins, 4.8, 10.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pouchdb_couchapp import DesignError
from pouchdb_couchapp.errors import MethodNotAllowed

import pouchdb
from pouchdb_core.errors import Conflict, Forbidden, MissingId, NotFound, NotSupported

Put = Callable[..., Any]


def updated(db: Any, design: Put, body: str, path: str = "t/u", /, **options: Any) -> Any:
    design(updates={"u": f"function (doc, req) {{ {body} }}"})
    return db.update(path, **options)


def test_made_and_changed(db: Any, design: Put) -> None:
    response = updated(db, design, "return [{_id: req.id, n: 1}, 'new'];", "t/u/a/b")
    assert (response.code, response.body, response.headers["X-Couch-Id"]) == (201, "new", "a/b")
    response = updated(
        db, design, "doc.n += 1; return [doc, {headers: {'X-A': 'b'}, code: 418, body: 'upd'}];", "t/u/a/b"
    )
    assert (response.code, response.body, response.headers["X-A"]) == (418, "upd", "b")
    stored = db.get("a/b")
    assert (stored.n, response.headers["X-Couch-Update-NewRev"]) == (2, stored["_rev"])


def test_uuid_and_dates(db: Any, design: Put) -> None:
    response = updated(db, design, "return [{_id: req.uuid, at: new Date(0)}, 'x'];")
    assert db.get(response.headers["X-Couch-Id"])["at"] == "1970-01-01T00:00:00.000Z"


def test_nothing_to_store(db: Any, design: Put) -> None:
    response = updated(db, design, "return [null, {json: {a: 1}}];")
    assert (response.code, response.body, "X-Couch-Id" in response.headers) == (200, '{"a":1}', False)
    assert updated(db, design, "return [null];").body == ""


def test_deleting(db: Any, design: Put) -> None:
    assert updated(db, design, "doc._deleted = true; return [doc, 'gone'];", "t/u/d1").code == 201
    with pytest.raises(NotFound):
        db.get("d1")


def test_what_functions_see(db: Any, design: Put) -> None:
    request = updated(db, design, "return [null, {json: req}];", "t/u/d9", withValidation=True).json
    assert (request["method"], request["id"]) == ("POST", "d9")
    assert request["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert "withValidation" not in request
    assert request["path"] == ["rw0", "_design", "t", "_update", "u", "d9"]


@pytest.mark.parametrize(
    ("body", "path", "error"),
    [
        ("return [{a: 1}, 'x'];", "t/u", MissingId),
        ("return [{_id: 'd1'}, 'x'];", "t/u", Conflict),
        ("abc();", "t/u", DesignError),
        ("return 'x';", "t/u", DesignError),
        ("return false;", "t/u", DesignError),
        ("", "t/u", DesignError),
        ("return [{_id: 'new'}, {foo: 1}];", "t/u", DesignError),
        ("provides('html', function () {});", "t/u", DesignError),
        ("", "t/no", NotFound),
        ("", "none/u", NotFound),
    ],
)
def test_errors(db: Any, design: Put, body: str, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        updated(db, design, body, path)
    assert "new" not in db  # the response is checked before anything is stored


def test_names_of_errors(db: Any, design: Put) -> None:
    for body, name in {"abc();": "ReferenceError", "return 5;": "render_error"}.items():
        with pytest.raises(DesignError) as caught:
            updated(db, design, body)
        assert (caught.value.status, caught.value.name) == (500, name)
    with pytest.raises(NotFound, match="missing update function no on design doc _design/t"):
        updated(db, design, "", "t/no")
    with pytest.raises(MethodNotAllowed) as refused:
        updated(db, design, "return [null, 'x'];", method="GET")
    assert refused.value.status == 405


FORBIDS = "function (doc) { if (doc.forbid) { throw {forbidden: 'not this'}; } }"


def test_validation(db: Any, design: Put) -> None:
    db.put({"_id": "_design/v", "validate_doc_update": FORBIDS})
    body = "return [JSON.parse(req.body), 'x'];"
    with pytest.raises(Forbidden, match="not this"):
        updated(db, design, body, body='{"_id": "fv", "forbid": 1}', withValidation=True)
    assert updated(db, design, body, body='{"_id": "fv", "forbid": 1}').code == 201
    assert updated(db, design, body, body='{"_id": "ok"}', with_validation=True).code == 201


def test_validation_without_its_plug_in() -> None:
    with pouchdb.setup(":memory:", plugins=["couchapp"]) as environment:
        db: Any = environment["a"]
        db.put({"_id": "_design/t", "updates": {"u": "function () { return [{_id: 'x'}, 'y']; }"}})
        with pytest.raises(NotSupported, match="pip install pouchdb-validation"):
            db.update("t/u", withValidation=True)
        assert db.update("t/u").code == 201
