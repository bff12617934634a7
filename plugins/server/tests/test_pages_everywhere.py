"""Every page: on a phone, with names for who does not see it, readable in light and dark, hostile contents as texts."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

PHONE = (375, 740)
HOSTILE = "<img src=x onerror=owned()>"
LONG = "a-very-long-name-" * 9
CONTROLS = {
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "radio",
    "spinbutton",
    "region",
    "progressbar",
}

LEGIBLE = Path(__file__).with_name("legible.js").read_text("utf-8")


@pytest.fixture(scope="module")
def hostile(shared):
    """A database in which everything is called as an attack would be, or very long."""
    here, there = shared.environment["hostile"], shared.environment["hostile-elsewhere"]
    design = {"language": "javascript", "views": {HOSTILE: {"map": "function (doc) { emit(doc.x, doc); }"}}}
    here.put({"_id": f"_design/{HOSTILE}", **design})
    here.put({"_id": LONG, "x": LONG * 4, HOSTILE: HOSTILE})
    files = {
        name: {"content_type": "text/plain", "data": base64.b64encode(HOSTILE.encode())} for name in (HOSTILE, LONG)
    }
    here.put({"_id": HOSTILE, "x": HOSTILE, "_attachments": files})
    here.replicate_to("hostile-elsewhere")
    for each, value in ((here, 1), (there, HOSTILE)):
        each.put({**each[HOSTILE], HOSTILE: value, LONG: LONG * 3 * len(each.name)})
    there.replicate_to("hostile")
    return here


def names(browser):
    """Controls that assistive technology has no name for."""
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    shown = [node for node in tree if not node["ignored"] and node["role"]["value"] in CONTROLS]
    return [node["role"] for node in shown if not node.get("name", {}).get("value", "").strip()]


def scheme(browser, name):
    feature = {"name": "prefers-color-scheme", "value": name}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def click(css, text=""):
    return lambda browser: browser.click(css, text)


PAGES = {
    "databases": ((), None, "tbody tr"),
    "replications": (("replications",), None, ".empty"),
    "documents": (("db", "hostile"), None, "tbody .badge"),
    "document": (("db", "hostile", "doc", HOSTILE), click("button", "Merge field by field"), "fieldset.choice"),
    "attachments": (("db", "hostile", "doc", HOSTILE), click(".files button", "Show"), ".files pre"),
    "new": (("db", "hostile", "new"), None, "textarea"),
    "query": (("db", "hostile", "query"), click("button", "Run"), ".results td"),
    "indexes": (("db", "hostile", "indexes"), None, "tbody .badge"),
    "changes": (("db", "hostile", "changes"), None, ".badge.ok"),
    "exchange": (("db", "hostile", "exchange"), click("button", "Export"), ".summary"),
    "security": (("db", "hostile", "security"), None, "textarea"),
    "mango": (("db", "hostile", "plugin", "mango"), click("button", "Run"), ".results td"),
    "gql": (("db", "hostile", "plugin", "gql"), click("button", "Run"), ".results td"),
    "search": (("db", "hostile", "plugin", "search"), None, ".empty"),
    "users": (("plugin", "users"), None, "tbody .empty"),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page(show, shared, hostile, page):
    parts, act, shown = PAGES[page]
    browser = show(*parts, size=PHONE)
    if "plugin" in parts and browser.all("h1", "no such page"):
        pytest.skip(f"NO TEST of the page {page}: its plug-in is not installed")
    if act:
        act(browser)
    browser.find(shown)
    assert browser.run(LEGIBLE, "odd") == []
    assert names(browser) == []
    for each in ("light", "dark"):
        scheme(browser, each)
        assert browser.run(LEGIBLE, "faint") == [], each
    if page == "users":
        browser.errors()  # the browser reports the 404: nobody has made _users


def test_the_keyboard_runs_a_query_and_turns_pages(show, shared):
    from selenium.webdriver.common.keys import Keys

    shared.environment["keys"].bulk_docs([{"_id": f"{n:02}", "x": n} for n in range(60)])
    shared.environment["keys"].put({"_id": "_design/a", "views": {"b": {"map": "function (doc) { emit(doc.x); }"}}})
    browser = show("db", "keys", "query")
    focused = "return document.activeElement.textContent"
    for _ in range(40):
        browser.keys(Keys.TAB)
        if browser.run(focused) == "Run":
            break
    browser.keys(Keys.ENTER)
    browser.find(".results td", "24")
    for page in ("25", "50"):
        for _ in range(60):
            browser.keys(Keys.TAB)
            if browser.run(focused) == "Next page":
                break
        browser.keys(Keys.ENTER)
        # The focus stays among the rows, instead of beginning at the top of the page.
        browser.find(".results td", page)
        browser.until(lambda: browser.run("return !!document.activeElement.closest('.answer')"), "focus")
