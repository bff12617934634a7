"""Users and the security of databases on the page."""

from __future__ import annotations

import pytest
from pouchdb_server.testing import CouchServer

import pouchdb

pytest.importorskip("pouchdb_auth", reason="NO TEST of the page for users: pip install 'pouchdb[auth]'")

HOSTILE = "<img src=x onerror=owned()>"


@pytest.fixture(scope="module")
def guarded():
    """A server with an administrator."""
    with (
        pouchdb.setup(":memory:", plugins=["server", "all_dbs", "auth"]) as environment,
        CouchServer(environment, admins={"ada": "secret"}) as server,
    ):
        environment["birds"].put({"_id": "robin"})
        yield server


@pytest.fixture
def at(browser, guarded):
    """Show a part of the page as a user."""

    def shown(where, name="ada", password="secret"):
        browser.open(f"{guarded.url}/_utils/")
        browser.find("h1", "Log in")
        browser.fill("input[name=name]", name)
        browser.fill("input[name=password]", password)
        browser.click("form button")
        browser.find(".user", name)
        browser.run("location.hash = arguments[0]", where)
        browser.errors()  # the browser reports the 401
        return browser

    return shown


def test_users(at, guarded):
    browser = at("#/")
    browser.click("header a", "Users")
    browser.find(".empty", "no users yet")
    browser.errors()  # the browser reports the 404: nobody has made _users
    browser.fill("input[name=user]", "ann, the first")
    browser.fill("input[name=password]", "apple")
    browser.fill("textarea[name=roles]", "staff\n\nstaff\nbirds, all")
    browser.click("button", "Add the user")
    browser.find("tbody th", "ann, the first")
    users = guarded.environment["_users"]
    id = "org.couchdb.user:ann, the first"
    assert users[id].roles == ["staff", "birds, all"]
    assert "password" not in users[id]
    # The same name again.
    browser.fill("input[name=user]", "ann, the first")
    browser.fill("input[name=password]", "apple")
    browser.click("button", "Add the user")
    browser.find(".failure", "a user of that name")
    browser.click("button[aria-label='Roles of ann, the first']")
    browser.fill("dialog textarea", f"guests\n{HOSTILE}")
    browser.click("dialog button", "Save")
    browser.find("tbody .badge", HOSTILE)
    before = users[id].derived_key
    browser.click("button[aria-label='Password of ann, the first']")
    browser.fill("dialog input", "pear")
    browser.click("dialog button", "Change")
    browser.find(".notice", "is changed")
    assert users[id].derived_key != before
    assert users[id].roles == ["guests", HOSTILE]
    browser.click("button[aria-label='Delete the user ann, the first']")
    browser.click("dialog button", "Delete")
    browser.find(".empty", "no users yet")
    assert id not in users
    assert not browser.all("main img")
    assert all("status of 40" in each for each in browser.errors())


def test_what_a_dialog_refuses_is_said_in_it(at, guarded):
    users = guarded.environment["_users"]
    users.put({"_id": "org.couchdb.user:bob", "name": "bob", "type": "user", "roles": [], "password": "x"})
    browser = at("#/plugin/users")
    browser.click("button[aria-label='Roles of bob']")
    browser.fill("dialog textarea", "_admin_like")
    browser.click("dialog button", "Save")
    browser.find("dialog .failure", "role")
    browser.click("dialog button", "Cancel")
    browser.gone("dialog")
    assert users["org.couchdb.user:bob"].roles == []
    assert all("status of 40" in each for each in browser.errors())


def test_a_user_changes_the_own_password(at, guarded):
    users = guarded.environment["_users"]
    users.put({"_id": "org.couchdb.user:eve", "name": "eve", "type": "user", "roles": [], "password": "first"})
    # As CouchDB, only administrators may read _users, until somebody changes that.
    users.put_security({"admins": {"names": [], "roles": []}, "members": {"names": [], "roles": []}})
    before = users["org.couchdb.user:eve"].derived_key
    browser = at("#/plugin/users", "eve", "first")
    browser.click("button", "Change the password")
    browser.fill("dialog input", "second")
    browser.click("dialog button", "Change")
    browser.find(".notice", "is changed")
    assert users["org.couchdb.user:eve"].derived_key != before
    assert all("status of 40" in each for each in browser.errors())


def test_the_security_of_a_database(at, guarded):
    birds = guarded.environment["birds"]
    birds.put_security({"admins": {"names": ["ada"], "roles": []}, "members": {"names": [], "roles": []}, "more": 5})
    browser = at("#/db/birds/security")
    fields = browser.find("form.card") and browser.all("textarea")
    assert fields[0].get_attribute("value") == "ada"
    fields[2].send_keys("ann, the first\nbob")
    fields[3].send_keys("staff")
    # It is an edit like any other.
    browser.click("header nav a", "Databases")
    browser.click("dialog button", "Cancel")
    browser.gone("dialog")
    browser.click("button", "Save")
    browser.find(".notice", "Saved")
    assert birds.get_security() == {
        "admins": {"names": ["ada"], "roles": []},
        "members": {"names": ["ann, the first", "bob"], "roles": ["staff"]},
        "more": 5,
    }
    browser.click("header nav a", "Databases")
    browser.find("h1", "Databases")
    assert browser.errors() == []
