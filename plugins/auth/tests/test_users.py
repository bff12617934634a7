"""Users of the environment's own ``_users``: methods with all their names, errors, metadata, names, renaming."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import Conflict, Forbidden, NotFound, Unauthorized

USER = "org.couchdb.user:"
NAMES = ["ada", "fail/é", "Zoë Ann", "日本", "a%2Fb", "x" * 200, "o'neil", "?#&"]


def test_the_flow_of_the_original(db: Any) -> None:
    answer = db.signup("ada", "secret", metadata={"mail": "ada@example.org"})
    assert answer == {"ok": True, "id": USER + "ada", "rev": answer.rev}
    assert db.login("ada", "secret") == {"ok": True, "name": "ada", "roles": []}
    session = db.get_session()
    assert session.userCtx == {"name": "ada", "roles": []}
    assert session.info == {"authentication_handlers": ["api"], "authentication_db": "_users", "authenticated": "api"}
    assert db.get_user("ada").mail == "ada@example.org"
    assert db.logout() == {"ok": True}
    assert db.get_session().userCtx == {"name": None, "roles": ["_admin"]}
    assert db.logout() == {"ok": True}


@pytest.mark.parametrize(
    "names",
    [
        ("signup", "login", "get_session", "get_user", "logout"),
        ("signUp", "logIn", "getSession", "getUser", "logOut"),
        ("sign_up", "log_in", "get_session", "get_user", "log_out"),
    ],
)
def test_all_names_are_the_same(db: Any, names: tuple[str, ...]) -> None:
    signup, login, session, user, logout = (getattr(db, name) for name in names)
    assert signup("ada", "secret").ok
    assert login("ada", "secret").ok
    assert session().userCtx.name == "ada"
    assert user("ada").name == "ada"
    assert logout().ok


def test_every_other_method_has_both_spellings(db: Any) -> None:
    for name in ("putUser", "deleteUser", "changePassword", "changeUsername", "signUpAdmin", "deleteAdmin"):
        assert callable(getattr(db, name))
    for name in ("put_user", "delete_user", "change_password", "change_username", "sign_up_admin", "delete_admin"):
        assert callable(getattr(db, name))


@pytest.mark.parametrize("name", NAMES)
def test_names(db: Any, name: str) -> None:
    assert db.signup(name, "pässwörd 日").id == USER + name
    assert db.login(name, "pässwörd 日").name == name
    assert db.get_user(name).name == name
    db.logout()
    assert db.change_password(name, "other").ok
    with pytest.raises(Unauthorized):
        db.login(name, "pässwörd 日")
    assert db.login(name, "other").ok
    db.logout()
    assert db.delete_user(name).ok
    with pytest.raises(NotFound):
        db.get_user(name)


@pytest.mark.parametrize("method", ["signup", "login", "change_password"])
@pytest.mark.parametrize("name", [None, "", 5])
def test_a_name_is_needed(db: Any, refused: Callable[..., None], method: str, name: Any) -> None:
    refused(lambda: getattr(db, method)(name, "pw"), 400, "authentication_error", "you must provide a username")


@pytest.mark.parametrize("method", ["signup", "login", "change_password"])
@pytest.mark.parametrize("password", [None, "", 5])
def test_a_password_is_needed(db: Any, refused: Callable[..., None], method: str, password: Any) -> None:
    refused(lambda: getattr(db, method)("ada", password), 400, "authentication_error", "you must provide a password")
    refused(lambda: getattr(db, method)("ada"), 400, "authentication_error", "you must provide a password")


@pytest.mark.parametrize("method", ["get_user", "put_user", "delete_user", "delete_admin"])
def test_a_name_is_needed_by_the_others(db: Any, refused: Callable[..., None], method: str) -> None:
    refused(lambda: getattr(db, method)(), 400, "authentication_error", "you must provide a username")


RESERVED = ["_id", "_rev", "name", "type", "roles", "password", "password_scheme", "iterations", "derived_key", "salt"]


@pytest.mark.parametrize("key", [*RESERVED, "_attachments", "_x"])
def test_reserved_metadata(db: Any, env: Any, refused: Callable[..., None], key: str) -> None:
    message = f'cannot use reserved word in metadata: "{key}"'
    refused(lambda: db.signup("ada", "pw", metadata={key: "x"}), 400, "authentication_error", message)
    assert "_users" not in env, "nothing was sent"
    db.signup("ada", "pw")
    refused(lambda: db.put_user("ada", metadata={key: "x"}), 400, "authentication_error", message)


def test_metadata(db: Any) -> None:
    db.signup("ada", "pw", metadata={"metadata": {"deep": [1, {"x": 2}]}, "mail": "a"}, roles=["editor"])
    doc = db.get_user("ada")
    assert (doc.metadata, doc.mail, doc.roles) == ({"deep": [1, {"x": 2}]}, "a", ["editor"])
    db.put_user("ada", metadata={"mail": "b", "more": 1}, roles=["chief"])
    doc = db.get_user("ada")
    assert (doc.metadata, doc.mail, doc.more, doc.roles) == ({"deep": [1, {"x": 2}]}, "b", 1, ["chief"])
    assert db.login("ada", "pw").roles == ["chief"]


def test_a_name_that_is_taken(db: Any, refused: Callable[..., None]) -> None:
    db.signup("ada", "pw")
    with pytest.raises(Conflict):
        db.signup("ada", "other")
    assert db.login("ada", "pw").ok


@pytest.mark.parametrize("who", ["nobody", "ada"])
def test_wrong_passwords_and_unknown_names_are_told_alike(db: Any, refused: Callable[..., None], who: str) -> None:
    db.signup("ada", "pw")
    refused(lambda: db.login(who, "wrong"), 401, "unauthorized", "Name or password is incorrect.")
    assert db.user is None


BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "other"}, "doc.type must be user"),
    ({"type": None}, "doc.type must be user"),
    ({"name": ""}, "doc.name is required"),
    ({"name": None}, "doc.name is required"),
    ({"name": 5}, "Doc ID must be of the form org.couchdb.user:name"),
    ({"name": []}, "Doc ID must be of the form org.couchdb.user:name"),
    ({"name": False}, "doc.name is required"),
    ({"name": 0}, "doc.name is required"),
    ({"roles": None}, "doc.roles must exist"),
    ({"roles": {}}, "doc.roles must be an array"),
    ({"roles": ""}, "doc.roles must exist"),
    ({"roles": "no"}, "doc.roles must be an array"),
    ({"roles": [1]}, "doc.roles can only contain strings"),
    ({"name": "eve"}, "Doc ID must be of the form org.couchdb.user:name"),
    ({"_id": "ada"}, "Doc ID must be of the form org.couchdb.user:name"),
    ({"roles": ["_admin"]}, "No system roles (starting with underscore) in users db."),
    ({"_id": f"{USER}_ada", "name": "_ada"}, "Username may not start with underscore."),
    ({"_id": f"{USER}a:b", "name": "a:b"}, "Character `:` is not allowed in usernames."),
    ({"password": 5}, "Password value of '5' is invalid."),
    ({"password_scheme": "pbkdf2", "derived_key": "ab"}, "iterations must be a number."),
    ({"password_scheme": "pbkdf2", "iterations": 10}, "derived_key must be a string."),
    ({"password_scheme": "rot13"}, "Password scheme `rot13` not supported."),
    (
        {"password_sha": "ab"},
        "Users with password_sha must have a salt.See /_utils/script/couch.js for example code.",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_the_rules_hold_for_the_program_too(
    db: Any, env: Any, refused: Callable[..., None], change: dict[str, Any], message: str
) -> None:
    doc = {"_id": f"{USER}ada", "type": "user", "name": "ada", "roles": [], **change}
    doc = {name: value for name, value in doc.items() if value is not None}
    refused(lambda: env["_users"].put(doc), 403, "forbidden", message)


def test_rules_for_users(db: Any, env: Any, refused: Callable[..., None]) -> None:
    db.signup("ada", "pw", roles=["editor"])
    db.signup("bob", "pw")
    anyone, ada = db.as_user({}), db.as_user({"name": "ada", "roles": ["editor"]})
    refused(lambda: anyone.signup("eve", "pw", roles=["x"]), 403, "forbidden", "Only _admin may set roles")
    assert anyone.signup("eve", "pw").ok
    doc = env["_users"].get(f"{USER}ada")
    for roles in ([], ["editor", "chief"], ["chief"]):
        refused(lambda roles=roles: ada.put_user("ada", roles=roles), 403, "forbidden", "Only _admin may edit roles")
    assert ada.put_user("ada", metadata={"mail": "x"}).ok
    users = env.as_user({})["_users"]
    message = "You may only update your own user document."
    refused(lambda: users.put({**doc, "_rev": env["_users"].get(f"{USER}ada")._rev}), 403, "forbidden", message)
    # Of others nothing is told: their documents are not there.
    refused(lambda: ada.get_user("bob"), 404, "not_found", "missing")
    refused(lambda: ada.get_user("nobody"), 404, "not_found", "missing")
    refused(lambda: anyone.get_user("ada"), 404, "not_found", "missing")
    bob = env["_users"].get(f"{USER}bob")
    for write in (lambda: ada.environment["_users"].put({**bob, "mail": "x"}), lambda: ada.signup("new", "pw")):
        refused(write, 404, "not_found", "missing")
    refused(lambda: users.remove(bob), 403, "forbidden", "Only admins may delete other user docs.")
    assert ada.delete_user("ada").ok
    assert env["_users"].get(f"{USER}bob").name == "bob"


def test_renaming_by_a_document_is_refused(env: Any, db: Any, refused: Callable[..., None]) -> None:
    db.signup("ada", "pw")
    doc = env["_users"].get(f"{USER}ada")
    message = "Doc ID must be of the form org.couchdb.user:name"
    refused(lambda: env["_users"].put({**doc, "name": "eve"}), 403, "forbidden", message)


def test_change_username(db: Any, refused: Callable[..., None]) -> None:
    db.signup("ada", "pw", metadata={"mail": "x"}, roles=["editor"])
    db.signup("bob", "pw")
    error = "authentication_error"
    refused(lambda: db.change_username("ada", ""), 400, error, "You must provide a new username")
    refused(lambda: db.change_username("", "eve"), 400, error, "You must provide a username to rename")
    with pytest.raises(pouchdb.PouchDBError, match="user already exists") as caught:
        db.change_username("ada", "bob")
    assert (caught.value.status, caught.value.name, caught.value.taken) == (400, error, True)
    with pytest.raises(NotFound):
        db.change_username("nobody", "eve")
    answer = db.change_username("ada", "eve")
    assert (answer.ok, answer.id) == (True, f"{USER}ada")
    assert db.login("eve", "pw").roles == ["editor"]
    assert db.get_user("eve").mail == "x"
    with pytest.raises(Unauthorized):
        db.login("ada", "pw")


def test_passwords_are_hashed_however_they_come(env: Any) -> None:
    users = env["_users"]
    doc = {"type": "user", "roles": [], "password": "clear"}
    users.put({**doc, "_id": f"{USER}a", "name": "a"})
    users.bulk_docs([{**doc, "_id": f"{USER}b", "name": "b"}])
    users.bulk_docs([{**doc, "_id": f"{USER}c", "name": "c", "_rev": "1-abc"}], new_edits=False)
    env["plain"].put({**doc, "_id": f"{USER}d", "name": "d"})
    env["plain"].replicate_to(users)
    for name in "abcd":
        kept = users.get(USER + name)
        assert "password" not in kept
        assert kept.derived_key
        assert env["notes"].login(name, "clear").ok
        env["notes"].logout()
    # A null password changes nothing: of CouchDB's administrators there are such documents.
    users.put({**doc, "_id": f"{USER}e", "name": "e", "password": None})
    assert users.get(f"{USER}e").password is None


def test_the_design_document_is_there(env: Any) -> None:
    ddoc = env["_users"].get("_design/_auth")
    assert ddoc.validate_doc_update.startswith("function")


def test_concurrent_signups_of_one_name(db: Any) -> None:
    answers: list[Any] = []

    def sign(number: int) -> None:
        try:
            answers.append(db.signup("ada", f"pw{number}").ok)
        except Conflict:
            answers.append(None)

    threads = [threading.Thread(target=sign, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=str) == [None] * 7 + [True]


def test_a_conflicted_document_lets_nobody_in(db: Any, env: Any, refused: Callable[..., None]) -> None:
    db.signup("ada", "pw")
    doc = db.get_user("ada")
    other = {**doc, "_rev": "1-0", "mail": "x"}
    env["_users"].bulk_docs([other], new_edits=False)
    message = "User document conflicts must be resolved before the document is used for authentication purposes."
    refused(lambda: db.login("ada", "pw"), 401, "unauthorized", message)


def test_administrators(db: Any, env: Any) -> None:
    assert db.sign_up_admin("root", "secret") == ""
    assert db.get_session().userCtx == {"name": None, "roles": []}
    db.signup("root", "other", roles=["editor"])
    # The administrator's password counts; the roles of the document are there too.
    with pytest.raises(Unauthorized):
        db.login("root", "other")
    assert db.login("root", "secret").roles == ["_admin", "editor"]
    assert db.put_security({"members": {"names": ["ada"]}}).ok
    assert db.compact() is None
    db.logout()
    assert db.as_user({"name": "eve"}).get_session().userCtx.name == "eve"
    with pytest.raises(Unauthorized, match="server admin"):
        db.as_user({"name": "eve"}).sign_up_admin("eve", "x")
    assert db.delete_admin("root")
    with pytest.raises(NotFound):
        db.delete_admin("root")
    assert db.get_session().userCtx.roles == ["_admin"]


def test_a_changed_password_ends_the_session(db: Any, env: Any) -> None:
    db.signup("ada", "pw")
    db.put({"_id": "a"})
    db.put_security({"members": {"names": ["ada"]}})
    db.login("ada", "pw")
    other = env["notes"]
    assert other.get("a")._id == "a"
    assert db.change_password("ada", "new").ok
    assert db.get_session().userCtx == {"name": None, "roles": []}
    # Nobody's requests, not the program's: an ended session never has more rights.
    with pytest.raises(Unauthorized):
        other.get("a")
    assert db.login("ada", "new").ok
    assert other.get("a")._id == "a"


def test_a_deleted_user_and_new_roles_count_at_once(db: Any, env: Any) -> None:
    db.signup("ada", "pw")
    db.login("ada", "pw")
    own = env.as_user(None)
    own["notes"].put_user("ada", roles=["editor"])
    assert db.get_session().userCtx.roles == ["editor"]
    own["notes"].delete_user("ada")
    assert db.get_session().userCtx == {"name": None, "roles": []}


def test_sessions_by_id(db: Any, refused: Callable[..., None]) -> None:
    db.signup("ada", "pw", roles=["editor"])
    answer = db.multi_user_log_in("ada", "pw")
    assert (answer.ok, answer.name, answer.roles) == (True, "ada", ["editor"])
    assert db.user is None
    session = db.multi_user_session(answer.sessionID)
    assert session.userCtx == {"name": "ada", "roles": ["editor"]}
    assert session.info.authenticated == "api"
    assert db.multiUserSession(session.sessionID).userCtx.name == "ada"
    anonymous = {"name": None, "roles": []}
    assert db.multi_user_session().userCtx == anonymous
    assert db.multi_user_session(answer.sessionID, timeout=-1).userCtx == anonymous
    flipped = answer.sessionID[:-2] + ("A" if answer.sessionID[-2] != "A" else "B") + answer.sessionID[-1]
    assert db.multi_user_session(flipped).userCtx == anonymous
    malformed = "Malformed session ID. If you're using a browser, try clearing your cookies."
    for text in ("!", "abc", answer.sessionID[:5], "é", "YTpi"):
        refused(lambda text=text: db.multi_user_session(text), 400, "bad_request", malformed)
    assert db.multi_user_session(answer.sessionID[:-6]).userCtx == anonymous
    db.change_password("ada", "new")
    assert db.multi_user_session(answer.sessionID).userCtx == anonymous


def test_who_guesses_is_slowed_down_and_nobody_else(db: Any) -> None:
    db.signup("ada", "pw")
    db.signup("bob", "pw")
    for _ in range(10):
        with pytest.raises(Unauthorized):
            db.login("ada", "wrong")
    with pytest.raises(pouchdb.PouchDBError, match="too many wrong passwords") as caught:
        db.login("ada", "pw")
    assert caught.value.status == 429
    assert db.login("bob", "pw").ok


def test_users_outlive_the_process(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=["auth"]) as env:
        env.auth_settings(iterations=10)
        env["notes"].signup("ada", "pw")
        env["notes"].sign_up_admin("root", "pw")
        id = env["notes"].multi_user_log_in("ada", "pw").sessionID
    with pouchdb.setup(tmp_path, plugins=["auth"]) as env:
        assert env.auth_settings().iterations == 10
        assert env["notes"].login("ada", "pw").ok
        assert env["notes"].login("root", "pw").roles == ["_admin"]
        assert env["notes"].multi_user_session(id).userCtx.name == "ada"


def test_asynchronous_and_by_callback(tmp_path: Path) -> None:
    async def program() -> None:
        async with pouchdb.setup_async(tmp_path, plugins=["auth"]) as env:
            await env.auth_settings(iterations=10)
            db: Any = env["notes"]
            assert (await db.signup("ada", "pw", {"metadata": {"mail": "x"}})).ok
            assert (await db.logIn("ada", "pw")).name == "ada"
            assert (await db.getSession()).userCtx.name == "ada"
            # The synchronous objects of the same environment know, too.
            assert env.sync_view["notes"].user.name == "ada"
            told: list[Any] = []
            await db.getUser("ada", lambda error, doc: told.append((error, doc.mail)))
            await db.logout()
            assert told == [(None, "x")]
            with pytest.raises(Unauthorized):
                await db.login("ada", "wrong")

    asyncio.run(program())


def test_settings(env: Any, refused: Callable[..., None]) -> None:
    shown = env.auth_settings(jwt_keys={"hmac:_default": "c2VjcmV0"}, proxy_secret="x", peruser_prefix="own-")
    assert shown.jwt_keys == {"hmac:_default": "-hidden-"}
    assert (shown.proxy_secret, shown.peruser_prefix, shown.iterations) == ("-hidden-", "own-", 10)
    for wrong in ({"iterations": 0}, {"iterations": 10**9}, {"peruser": 1}, {"jwt_keys": []}, {"proxy_secret": ""}):
        with pytest.raises(pouchdb.PouchDBError) as caught:
            env.auth_settings(**wrong)
        assert caught.value.status == 400
    with pytest.raises(pouchdb.PouchDBError, match="has no 'colour'"):
        env.auth_settings(colour=1)
    assert env.auth_settings().peruser_prefix == "own-"
    with pytest.raises(Unauthorized):
        env.as_user({"name": "eve"}).auth_settings(iterations=5)


def test_peruser(db: Any, env: Any) -> None:
    db.signup("early", "pw")
    env.auth_settings(peruser=True)
    db.signup("ada", "pw")
    name = "userdb-616461"
    assert env[name].get_security() == {"admins": {"names": ["ada"]}, "members": {"names": ["ada"]}}
    assert env.as_user({"name": "ada"})[name].put({"_id": "mine"}).ok
    with pytest.raises(Unauthorized):
        env.as_user({"name": "eve"})[name].get("mine")
    db.put_user("ada", metadata={"mail": "x"})
    db.delete_user("ada")
    assert name in env
    env.auth_settings(peruser_delete=True)
    db.signup("ada", "pw")
    db.delete_user("ada")
    assert name not in env


def test_peruser_for_users_that_are_there(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=["auth"]) as env:
        env.auth_settings(iterations=10, peruser=True)
        env["notes"].signup("Zoë", "pw")
        del env["userdb-5a6fc3ab"]
    with pouchdb.setup(tmp_path, plugins=["auth"]) as env:
        assert "userdb-5a6fc3ab" in env


def test_forbidden_is_no_way_to_a_role(env: Any, db: Any) -> None:
    """A document that came in by another way gives no role of the system."""
    db.signup("ada", "pw")
    doc = {**db.get_user("ada"), "roles": ["_admin"]}
    with pytest.raises(Forbidden):
        env["_users"].put(doc)
    errors = env["_users"].bulk_docs([{**doc, "_rev": "9-abc"}], new_edits=False)
    assert [each.name for each in errors] == ["forbidden"]


def test_users_that_another_process_made_again(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=["auth"]) as env, pouchdb.setup(tmp_path, plugins=[]) as other:
        env.auth_settings(iterations=10)
        db = env["notes"]
        db.signup("ada", "secret")
        assert db.login("ada", "secret").ok
        db.logout()
        for _ in range(3):
            other.destroy("_users")
            with pytest.raises(Unauthorized):
                db.login("ada", "secret")
            db.signup("ada", "new secret")
            assert db.login("ada", "new secret").ok
            db.logout()
            assert [row["id"] for row in other["_users"].all_docs(startkey="org")["rows"]] == [USER + "ada"]
