"""Merging a document's conflict on the page, field by field."""

from __future__ import annotations

import pytest

HOSTILE = "<img src=x onerror=owned()>"


@pytest.fixture
def robin(shared):
    """A document in conflict, one field of which is a number that JavaScript cannot keep."""
    here, there = shared.environment["robins"], shared.environment["robins-elsewhere"]
    here.put({"_id": "robin", "name": "Robin", "big": 9007199254740993, "colour": "red"})
    here.replicate_to("robins-elsewhere")
    for size in (1, 2):
        here.put({**here["robin"], "size": size, HOSTILE: HOSTILE})
    here.put_attachment("robin", "song.txt", b"here", "text/plain", rev=here["robin"]._rev)
    there.put({**there["robin"], "size": 9007199254740995, "seen": "in the garden", "colour": None})
    there.put_attachment("robin", "song.txt", b"there", "text/plain", rev=there["robin"]._rev)
    there.replicate_to("robins")
    yield here
    here.destroy()
    there.destroy()


def opened(show):
    browser = show("db", "robins", "doc", "robin")
    browser.click("button", "Merge field by field")
    return browser


def take(browser, field, text):
    """Press the radio button of a field beside a text."""
    fieldset = next(each for each in browser.all("fieldset.choice") if each.text.startswith(field))
    labels = fieldset.find_elements("css selector", "label")
    next(each for each in labels if text in each.text).find_element("css selector", "input").click()
    return fieldset


def test_a_value_of_each_leaf_and_one_that_is_written(show, robin):
    browser = opened(show)
    fields = browser.run("return [...document.querySelectorAll('.choice legend')].map((each) => each.textContent)")
    assert fields == ["colour", "size", HOSTILE, "seen", "song.txt"]
    take(browser, "size", "9007199254740995")
    take(browser, "seen", '"in the garden"')
    take(browser, HOSTILE, "not there")
    browser.run("document.querySelector('.merge').scrollIntoView()")
    browser.screenshot("page-merge")
    own = take(browser, "colour", "Something else").find_element("css selector", "textarea")
    own.clear()
    own.send_keys('["red", ')
    browser.click("button", "Write the merged document")
    browser.find(".failure", "colour:")
    own.send_keys('"brown"]')
    browser.click("button", "Write the merged document")
    browser.find(".notice", "merged")
    browser.gone(".side")
    doc = robin.get("robin", conflicts=True)
    assert "_conflicts" not in doc
    assert {name: value for name, value in doc.items() if not name.startswith("_")} == {
        "name": "Robin",
        "big": 9007199254740993,
        "colour": ["red", "brown"],
        "size": 9007199254740995,
        "seen": "in the garden",
    }
    assert robin.get_attachment("robin", "song.txt")["data"] == b"here"
    # What was merged is the child of the winner, so it wins everywhere.
    assert doc["_rev"].startswith("5-")
    assert browser.run("return !document.querySelector('main img')")


def test_an_attachment_of_the_other_leaf(show, robin):
    browser = opened(show)
    radios = browser.find("fieldset.choice:last-of-type").find_elements("css selector", "input")
    assert len(radios) == 2
    radios[1].click()
    browser.click("button", "Write the merged document")
    browser.find(".notice", "merged")
    browser.gone(".side")
    assert robin.get_attachment("robin", "song.txt")["data"] == b"there"
    assert robin["robin"].size == 2


def test_of_a_conflict_that_somebody_edits_meanwhile_nothing_is_written(show, robin):
    browser = opened(show)
    take(browser, "seen", '"in the garden"')
    robin.put({**robin["robin"], "size": 3})
    browser.click("button", "Write the merged document")
    browser.find(".failure", "changed it since")
    assert robin["robin"].size == 3
    assert len(robin.get("robin", conflicts=True)["_conflicts"]) == 1
    # What was chosen is an edit like any other.
    browser.click("header nav a", "Databases")
    browser.click("dialog button", "Cancel")
    assert browser.find("fieldset.choice")
    browser.errors()  # the browser reports the 409


def test_the_keyboard_is_enough(show, robin):
    browser = show("db", "robins", "doc", "robin")
    browser.run("document.querySelector('button[aria-expanded=\"false\"]').focus()")
    browser.keys("\ue007")  # Enter
    browser.find("fieldset.choice")
    browser.keys("\ue004")  # Tab: the first group, then its second button
    browser.keys("\ue015")  # Down
    assert browser.run("return document.activeElement.value") == "1"
    browser.run("document.querySelector('.merge .primary').focus()")
    browser.keys("\ue007")
    browser.find(".notice", "merged")
    browser.gone(".side")
    assert robin["robin"].colour is None
