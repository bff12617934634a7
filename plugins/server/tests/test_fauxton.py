"""Fauxton, CouchDB's web interface, as somebody uses it on our server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

EDITOR = "const editor = document.querySelector('.ace_editor')?.env?.editor; "
RELEASE = Path(__file__).parents[3] / "tests" / "interop" / "fauxton" / "package" / "dist" / "release"


@pytest.fixture
def fauxton(browser, serve, environment):
    """Show a part of Fauxton; afterwards the console must be silent."""
    if not (RELEASE / "index.html").is_file():
        pytest.skip("call `make peers` (npm pack fauxton): NO TEST with Fauxton was made")
    server = serve(fauxton=RELEASE)
    for name in ("_replicator", "_users"):
        environment[name]
    birds = environment["birds"]
    birds.bulk_docs([{"_id": f"bird{n}", "name": name} for n, name in enumerate(["Wren", "Dunnock", "Siskin", "Wren"])])
    views = {"by_name": {"map": "function (doc) { emit(doc.name, 1); }", "reduce": "_count"}}
    birds.put({"_id": "_design/d", "language": "javascript", "views": views})

    def show(path: str):
        browser.open(f"{server.url}/_utils/#/{path}")
        return browser

    yield show
    assert browser.errors() == []
    failed = [each for each in browser.text().splitlines() if "error" in each.lower()]
    assert failed == []


def test_databases(fauxton, environment):
    browser = fauxton("_all_dbs")
    browser.find("td", "birds")
    browser.screenshot("fauxton-databases")
    browser.click("button, a", "Create Database")
    browser.fill("#js-new-database-name", "notes")
    browser.click("#js-create-database")
    browser.until(lambda: "notes" in environment, "database")


def test_a_document_is_edited(fauxton, environment):
    browser = fauxton("database/birds/_all_docs")
    browser.find("td", "bird1")
    browser = fauxton("database/birds/bird1")
    browser.find(".ace_editor")
    browser.until(lambda: "Dunnock" in browser.run(EDITOR + "return editor ? editor.getValue() : ''"), "document")
    edited = {**environment["birds"]["bird1"], "name": "Accentor"}
    browser.run(EDITOR + "editor.setValue(arguments[0], 1)", json.dumps(edited))
    browser.click("button", "Save Changes")
    browser.until(lambda: environment["birds"]["bird1"].name == "Accentor", "edit")


def test_changes(fauxton):
    browser = fauxton("database/birds/_changes")
    browser.find(".change-box", "bird3")


def test_a_view(fauxton):
    browser = fauxton("database/birds/_design/d/_view/by_name")
    browser.find("td", "Siskin")
    browser.screenshot("fauxton-view")
    browser = fauxton("database/birds/_design/d/_info")
    browser.find("body", "by_name")
    browser.find("body", "Language")


def test_a_replication(fauxton, environment):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    browser = fauxton("replication/_create")
    Select(browser.find("select#replication-source")).select_by_visible_text("Local database")
    Select(browser.find("select#replication-target")).select_by_visible_text("New local database")
    browser.click(".Select-control")
    ActionChains(browser.driver).send_keys("birds").perform()
    browser.find(".Select-option, .Select-menu", "birds")
    browser.keys(Keys.ENTER)
    browser.fill(".replication__new-input", "copy")
    browser.until(lambda: browser.find("#replicate").is_enabled(), "button")
    browser.click("#replicate")
    browser.until(lambda: "copy" in environment and len(environment["copy"]) == 5, "copy")
    browser = fauxton("replication")
    browser.find("td", "Completed")
    browser.screenshot("fauxton-replications")


def test_login(browser, serve, environment):
    if not (RELEASE / "index.html").is_file():
        pytest.skip("call `make peers` (npm pack fauxton): NO TEST with Fauxton was made")
    environment["birds"]
    server = serve(fauxton=RELEASE, admins={"ada": "right"})
    browser.open(f"{server.url}/_utils/")
    browser.fill("#username", "ada")
    browser.fill("#password", "right")
    browser.click("#submit, button[type=submit]")
    browser.find("td", "birds")
    # The browser tells of what was refused before.
    assert all("status of 40" in each for each in browser.errors())


def test_other_pages(fauxton):
    for path, text in [
        ("database/birds/permissions", "Database members"),
        ("activetasks", "Active Tasks"),
        ("_config/nonode@nohost", "chttpd"),
        ("database/birds/new_view", "Map function"),
        ("verifyinstall", "Verify"),
    ]:
        fauxton(path).find("body", text)
