"""Databases for the tests of validation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb


@pytest.fixture
def env() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["validation"]) as environment:
        yield environment


@pytest.fixture
def db(env: Any) -> Any:
    return env["test"]


FLAGS = """function (newDoc, oldDoc, userCtx, secObj) {
  if (newDoc.f !== undefined) throw({forbidden: newDoc.f});
  if (newDoc.u !== undefined) throw({unauthorized: newDoc.u});
  if (newDoc.both) throw({forbidden: 'f', unauthorized: 'u'});
  if (newDoc.string) throw('a string');
  if (newDoc.number) throw(3);
  if (newDoc.object) throw({other: 'x'});
  if (newDoc.nothing) throw(null);
  if (newDoc.error) throw(new TypeError('wrong type'));
  if (newDoc.variable) undefinedVariable.x;
  if (newDoc.show) throw({forbidden: toJSON({
    new: newDoc, old: oldDoc, user: userCtx, sec: secObj, self: this._id
  })});
}"""


@pytest.fixture
def source() -> str:
    """A validation function that rejects by flags in the document."""
    return FLAGS


@pytest.fixture
def flags(db: Any, source: str) -> Any:
    """A database with that function."""
    db.put({"_id": "_design/flags", "validate_doc_update": source})
    return db
