"""Password hashes: CouchDB's own test vectors, and what other versions left."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_auth.auth_sessions import session_id
from pouchdb_auth.hashing import derived_key, hash_fields, matches
from pouchdb_auth.local_admins import hash_document, hashed_admin

from pouchdb_core.errors import Forbidden

SALT = "0123456789abcdef0123456789abcdef"
KEY = "062ea6e3545f313ca7aa0664f92a2683c7b2eb97"


def test_the_vector_of_pbkdf2() -> None:
    assert derived_key("thePassword", SALT, 10, "sha1", 20) == KEY


def test_the_vector_of_a_session() -> None:
    made = session_id("user", SALT, "secret", 1400000000, "sha1")
    assert made == "dXNlcjo1MzcyNEUwMDpUYgBbvP6DBw9KV2j4NXyvkRAM_A"


@pytest.mark.parametrize("prf", [None, "sha"], ids=["CouchDB before 3.4", "named"])
def test_sha1_is_accepted(prf: str | None) -> None:
    doc = {"password_scheme": "pbkdf2", "derived_key": KEY, "salt": SALT, "iterations": 10}
    if prf is not None:
        doc["pbkdf2_prf"] = prf
    assert matches(doc, "thePassword")
    assert matches({**doc, "derived_key": KEY.upper()}, "thePassword")
    assert not matches(doc, "thepassword")


def test_the_simple_scheme_is_accepted() -> None:
    doc = {"password_sha": hashlib.sha1(b"pwsalt").hexdigest(), "salt": "salt"}
    assert matches(doc, "pw")
    assert matches({**doc, "password_scheme": "simple"}, "pw")
    assert not matches(doc, "pwsalt")


@given(st.text(), st.text())
@settings(max_examples=50, deadline=None)
def test_a_password_matches_itself_only(password: str, other: str) -> None:
    fields = hash_fields(password, 2)
    assert set(fields) == {"password_scheme", "pbkdf2_prf", "iterations", "salt", "derived_key"}
    assert (len(fields["salt"]), len(fields["derived_key"])) == (32, 64)
    assert matches(fields, password)
    assert matches(fields, other) == (password == other)


@pytest.mark.parametrize(
    "change",
    [
        {"iterations": 0},
        {"iterations": "10"},
        {"iterations": 10**9},
        {"iterations": 10.0},
        {"derived_key": ""},
        {"derived_key": 5},
        {"derived_key": "ab" * 10_000},
        {"salt": 5},
        {"pbkdf2_prf": "md5"},
        {"pbkdf2_prf": 5},
        {"password_scheme": "bcrypt"},
        {"password_scheme": "simple"},
    ],
)
def test_damaged_hashes_match_nothing(change: dict[str, object]) -> None:
    assert not matches({**hash_fields("pw", 10), **change}, "pw")
    assert not matches({**hash_fields("", 10), **change}, "")


@pytest.mark.parametrize(("value", "shown"), [(5, "5"), (True, "true"), ([1], "[1]"), ({"a": 1}, '{"a": 1}')])
def test_a_password_is_text(value: object, shown: str) -> None:
    with pytest.raises(Forbidden) as caught:
        hash_fields(value, 10)
    assert caught.value.message == f"Password value of '{shown}' is invalid."


def test_hashes_of_administrators() -> None:
    text = hashed_admin("secret", 10)
    doc = hash_document(text)
    assert doc is not None
    assert matches(doc, "secret")
    # One that is a hash already stays as it is: CouchDB's, too.
    couch = f"-pbkdf2-{KEY},{SALT},10"
    assert hashed_admin(couch, 10) == couch
    old = hash_document(couch)
    assert old is not None
    assert matches(old, "thePassword")
    assert hash_document("-pbkdf2-broken") is None
