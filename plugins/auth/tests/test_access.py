"""``_security`` on local databases: who may do what, by every operation."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb_core.dump import dump, load
from pouchdb_core.errors import Forbidden, Unauthorized

MEMBER = "You are not authorized to access this db."
ADMIN = "You are not a db or server admin."
SERVER = "You are not a server admin."

READS: dict[str, Callable[[Any], Any]] = {
    "get": lambda db: db.get("a"),
    "in": lambda db: "a" in db,
    "open_revs": lambda db: db.open_revs("a"),
    "bulk_get": lambda db: db.bulk_get([{"id": "a"}]),
    "all_docs": lambda db: db.all_docs(),
    "iterate": lambda db: list(db),
    "changes": lambda db: db.changes(),
    "query": lambda db: db.query("d/v"),
    "get_attachment": lambda db: db.get_attachment("a", "x"),
    "info": lambda db: db.info(),
    "id": lambda db: db.id(),
    "get_security": lambda db: db.get_security(),
    "revs_diff": lambda db: db.revs_diff({"a": ["1-x"]}),
    "revs_limit": lambda db: db.revs_limit(),
    "conflicts": lambda db: list(db.conflicts()),
    "design_documents": lambda db: db.design_documents(),
    "put": lambda db: db.put({"_id": "new"}),
    "post": lambda db: db.post({}),
    "bulk_docs": lambda db: db.bulk_docs([{"_id": "bulk"}]),
    "put_attachment": lambda db: db.put_attachment("att", "x", b"x"),
    "local": lambda db: db.put({"_id": "_local/x"}),
    "replicate_from": lambda db: db.replicate_from("source"),
    "replicate_to": lambda db: db.replicate_to("target"),
}
ADMINISTERS: dict[str, Callable[[Any], Any]] = {
    "put_security": lambda db: db.put_security(db.as_user(None).get_security()),
    "compact": lambda db: db.compact(),
    "view_cleanup": lambda db: db.view_cleanup(),
    "set revs_limit": lambda db: db.revs_limit(10),
    "integrity_check": lambda db: db.integrity_check(),
    "backup": lambda db: db.backup(db.environment.plugin_directory("test") / "copy.db"),
    "dump": lambda db: dump(db, io.BytesIO()),
    "temporary view": lambda db: db.query(lambda doc: []),
}
OF_THE_SERVER: dict[str, Callable[[Any], Any]] = {
    "purge": lambda db: db.purge({"a": []}),
    "load": lambda db: load(db, io.BytesIO(b"")),
    "destroy": lambda db: db.destroy(),
    "env.destroy": lambda db: db.environment.destroy("notes"),
    "make a database": lambda db: db.environment["another"],
}


@pytest.fixture
def notes(env: Any) -> Any:
    db = env["notes"]
    db.put({"_id": "a", "_attachments": {"x": {"data": b"x"}}})
    db.put({"_id": "_design/d", "language": "python", "views": {"v": {"map": "all"}}})
    env.register_function("all", lambda doc: [(doc["_id"], None)])
    for name in ("source", "target"):
        env[name].put({"_id": "there"})
    db.put_security(
        {"admins": {"names": ["ann"], "roles": ["chief"]}, "members": {"names": ["mia"], "roles": ["staff"]}}
    )
    return db


OUTSIDERS = [{}, {"name": "eve"}, {"name": "eve", "roles": ["other"]}, {"name": "ann "}, {"roles": ["Staff"]}]
MEMBERS = [{"name": "mia"}, {"name": "eve", "roles": ["staff"]}]
ADMINS = [{"name": "ann"}, {"name": "eve", "roles": ["chief"]}]


@pytest.mark.parametrize("user", OUTSIDERS, ids=str)
@pytest.mark.parametrize("name", READS)
def test_outsiders_may_nothing(notes: Any, refused: Callable[..., None], name: str, user: Any) -> None:
    refused(lambda: READS[name](notes.as_user(user)), 401, "unauthorized", MEMBER)


@pytest.mark.parametrize("user", [*MEMBERS, *ADMINS, {"roles": ["_admin"]}], ids=str)
@pytest.mark.parametrize("name", READS)
def test_members_may_read_and_write(notes: Any, name: str, user: Any) -> None:
    READS[name](notes.as_user(user))


@pytest.mark.parametrize("user", MEMBERS, ids=str)
@pytest.mark.parametrize("name", ADMINISTERS)
def test_members_may_not_administer(notes: Any, refused: Callable[..., None], name: str, user: Any) -> None:
    refused(lambda: ADMINISTERS[name](notes.as_user(user)), 401, "unauthorized", ADMIN)


@pytest.mark.parametrize("user", [*ADMINS, {"roles": ["_admin"]}], ids=str)
@pytest.mark.parametrize("name", ADMINISTERS)
def test_administrators_may(notes: Any, name: str, user: Any) -> None:
    ADMINISTERS[name](notes.as_user(user))


@pytest.mark.parametrize("user", [*OUTSIDERS, *MEMBERS, *ADMINS], ids=str)
@pytest.mark.parametrize("name", OF_THE_SERVER)
def test_only_administrators_of_the_server(notes: Any, refused: Callable[..., None], name: str, user: Any) -> None:
    refused(lambda: OF_THE_SERVER[name](notes.as_user(user)), 401, "unauthorized", SERVER)


def test_design_documents_are_for_administrators(notes: Any, refused: Callable[..., None]) -> None:
    ddoc = {"_id": "_design/x"}
    refused(lambda: notes.as_user({"name": "mia"}).put(ddoc), 403, "forbidden", ADMIN)
    answers = notes.as_user({"name": "mia"}).bulk_docs([{"_id": "x"}, ddoc, {"_id": "y"}])
    assert [each.get("name", "ok") for each in answers] == ["ok", "forbidden", "ok"]
    assert notes.as_user({"name": "ann"}).put(ddoc).ok


def test_a_database_nobody_secured_is_open_to_all(env: Any, refused: Callable[..., None]) -> None:
    db = env["open"]
    eve, anyone = db.as_user({"name": "eve"}), db.as_user({})
    assert eve.put({"_id": "a"}).ok
    assert anyone.get("a")._id == "a"
    refused(lambda: eve.put({"_id": "_design/x"}), 403, "forbidden", ADMIN)
    refused(lambda: anyone.put({"_id": "_design/x"}), 401, "unauthorized", ADMIN)
    refused(lambda: eve.put_security({}), 401, "unauthorized", ADMIN)


def test_a_login_counts_for_all_objects_from_the_next_call(notes: Any, env: Any) -> None:
    for name in ("mia", "eve"):
        notes.signup(name, "pw")
    other = env["notes"]
    other.login("mia", "pw")
    assert notes.put({"_id": "by mia"}).ok
    with pytest.raises(Unauthorized):
        notes.compact()
    assert notes.as_user(None).compact() is None
    other.login("eve", "pw")
    for db in (notes, other, env["notes"]):
        with pytest.raises(Unauthorized):
            db.get("a")
    notes.logout()
    assert notes.get("a")._id == "a"


def test_views_are_built_whoever_asks_first(notes: Any) -> None:
    assert notes.as_user({"name": "mia"}).query("d/v").rows[0].key == "a"


def test_two_environments_have_their_own_users(tmp_path: Any) -> None:
    with pouchdb.setup(tmp_path / "a", plugins=["auth"]) as one, pouchdb.setup(tmp_path / "b", plugins=["auth"]) as two:
        one.auth_settings(iterations=10)
        one["notes"].signup("ada", "pw")
        one["notes"].login("ada", "pw")
        assert (one.user.name, two.user) == ("ada", None)


def test_the_database_of_the_users(env: Any, refused: Callable[..., None]) -> None:
    db = env["notes"]
    db.signup("ada", "pw")
    ada = env.as_user({"name": "ada"})["_users"]
    for call in (
        lambda: ada.all_docs(),
        lambda: ada.changes(),
        lambda: ada.query(lambda doc: []),
        lambda: list(ada.conflicts()),
    ):
        refused(call, 401, "unauthorized", SERVER)
    message = "Only administrators can view design docs in the users database."
    refused(lambda: ada.get("_design/_auth"), 403, "forbidden", message)
    assert ada.get("org.couchdb.user:ada").name == "ada"
    answer = ada.bulk_get([{"id": "org.couchdb.user:eve"}])
    assert answer.results[0].docs[0].error.error == "not_found"
    root = env.as_user({"roles": ["_admin"]})["_users"]
    message = "You can't edit the security object of the user database."
    refused(lambda: root.put_security({"members": {"names": [], "roles": []}}), 403, "forbidden", message)
    open_to_all = {"admins": {"names": [], "roles": ["_admin"]}, "members": {"names": [], "roles": []}}
    assert root.put_security(open_to_all).ok
    with pytest.raises(Forbidden):
        ada.put({"_id": "_design/x"})
