"""What was edited on the page and is not saved: leaving it asks."""

from __future__ import annotations

import pytest


@pytest.fixture
def notes(shared):
    """A database with one document."""
    database = shared.environment["leaving"]
    database.put({"_id": "first", "x": 1})
    yield database
    database.destroy()


def edit(browser, text=" "):
    browser.find("textarea").send_keys(text)


def address(browser):
    return browser.run("return location.hash")


def test_a_link_asks_and_staying_keeps_what_was_typed(show, notes):
    browser = show("db", "leaving", "doc", "first")
    edit(browser, "typed")
    browser.click("nav a", "Replications")
    browser.find("dialog", "not saved")
    browser.click("dialog button", "Cancel")
    browser.gone("dialog")
    assert browser.find("textarea").get_attribute("value").endswith("typed")
    assert address(browser) == "#/db/leaving/doc/first"
    browser.click("nav a", "Replications")
    browser.click("dialog button", "Leave")
    browser.find("h1", "Replications")
    browser.click("nav a", "Databases")
    browser.find("h1", "Databases")


def test_the_button_back_asks(show, notes):
    browser = show("db", "leaving")
    browser.click("tbody th a", "first")
    browser.find("h1.id", "first")
    edit(browser)
    browser.driver.back()
    browser.click("dialog button", "Cancel")
    browser.gone("dialog")
    assert address(browser) == "#/db/leaving/doc/first"
    assert browser.find("h1.id", "first")


def test_what_was_not_changed_or_was_saved_asks_nothing(show, notes):
    browser = show("db", "leaving", "doc", "first")
    edit(browser)
    browser.keys("\ue003")  # backspace: as it was
    browser.click("nav a", "Databases")
    browser.find("h1", "Databases")
    browser = show("db", "leaving", "doc", "first")
    edit(browser)
    browser.click("button", "Save")
    browser.find("h2 code", "2-")
    browser.click("nav a", "Databases")
    browser.find("h1", "Databases")
    browser = show("db", "leaving", "new")
    browser.click("nav a", "Databases")
    browser.find("h1", "Databases")
    assert not browser.all("dialog")


def test_deleting_an_edited_document_asks_only_whether_to_delete(show, notes):
    browser = show("db", "leaving", "doc", "first")
    edit(browser)
    browser.click("button", "Delete")
    browser.click("dialog button", "Delete")
    browser.find(".empty", "no documents")


def test_closing_the_tab_asks(show, notes):
    browser = show("db", "leaving", "doc", "first")
    closing = "const event = new Event('beforeunload', {cancelable: true}); return !dispatchEvent(event)"
    assert not browser.run(closing)
    edit(browser)
    assert browser.run(closing)
    browser.click("button", "Save")
    browser.find("h2 code", "2-")
    assert not browser.run(closing)
