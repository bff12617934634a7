"""The indexes of a database on the page: size, progress, and what can be done."""

from __future__ import annotations

import threading

import pytest

from pouchdb_core.views.register import indexes

MAP = {"map": "function (doc) { emit(doc._id); }"}


def states(browser):
    """The cell "State" of each index, by its first words."""
    script = """return [...document.querySelectorAll('.list tbody tr')].map(
        (row) => [row.querySelector('th a').textContent, row.querySelector("[data-label=State]").textContent])"""
    return dict(browser.run(script))


def test_an_index_is_brought_up_to_date(show, shared):
    database = shared.environment["behind"]
    database.put({"_id": "_design/app", "views": {"all": MAP, "lib": {}, "more": MAP}})
    database.bulk_docs([{"_id": f"{n}"} for n in range(4)])
    browser = show("db", "behind")
    browser.click(".tabs a", "Indexes")
    browser.find("tbody .badge", "5 changes to come")
    assert browser.find("tbody th .hint").text == "all, more"
    browser.click("button[aria-label^='Update app']")
    browser.find("tbody .badge", "up to date")
    browser.gone("button", "Update")
    # It is seen without asking.
    database.put({"_id": "5"})
    browser.find("tbody .badge", "1 change to come")


def test_the_progress_of_a_build(show, shared):
    database = shared.environment["slow"]
    database.put({"_id": "_design/app", "views": {"all": MAP}})
    database.bulk_docs([{"_id": f"{n}"} for n in range(9)])
    go_on = threading.Event()
    database.on("indexing", lambda event: go_on.wait(60))
    building = threading.Thread(target=database.query, args=("app/all",))
    building.start()
    try:
        browser = show("db", "slow", "indexes")
        browser.find("tbody progress[aria-label='indexer: 100 %']")
    finally:
        go_on.set()
        building.join()
    browser.find("tbody .badge", "up to date")
    browser.gone("progress")


def test_an_index_is_built_again(show, shared):
    database = shared.environment["again"]
    database.put({"_id": "_design/app", "views": {"all": MAP}})
    database.put({"_id": "a"})
    database.query("app/all")
    [before] = indexes(database).store.entries()
    browser = show("db", "again", "indexes")
    browser.click("button[aria-label='Rebuild app: all']")
    browser.click("dialog button", "Rebuild")
    browser.find(".notice", "up to date")
    [after] = indexes(database).store.entries()
    assert after[0] != before[0]
    assert [row.id for row in database.query("app/all").rows] == ["a"]


def test_indexes_of_plugins(show, shared):
    pytest.importorskip("pouchdb_search", reason="NO TEST of indexes for text: pip install 'pouchdb[search]'")
    pytest.importorskip("pouchdb_spatial", reason="NO TEST of indexes of places: pip install 'pouchdb[spatial]'")
    pytest.importorskip("pouchdb_find", reason="NO TEST of Mango's indexes: pip install 'pouchdb[find]'")
    database = shared.environment["kinds"]
    database.put({"_id": "a", "text": "a b", "geometry": {"type": "Point", "coordinates": [1, 2]}})
    database.put(
        {
            "_id": "_design/all",
            "indexes": {"words": {"index": "function (doc) { index('default', doc.text); }"}},
            "nouveau": {"newer": {"index": "function (doc) { index('text', 'default', doc.text); }"}},
            "st_indexes": {"places": {"index": "function (doc) { st_index(doc.geometry); }"}},
            "spatial": {"boxes": "function (doc) { emit(doc.geometry, null); }"},
        }
    )
    database.create_index({"index": {"fields": ["text"]}, "ddoc": "mango", "name": "by-text"})
    browser = show("db", "kinds", "indexes")
    script = "return [...document.querySelectorAll(\"[data-label='Kind']\")].map((each) => each.textContent)"
    assert browser.run(script) == ["Search", "Nouveau", "Places", "Spatial view", "Mango"]
    browser.find("tbody tr:first-child .badge", "up to date")
    for text in ("words", "newer", "places", "boxes", "by-text"):
        browser.click(f"button[aria-label='Rebuild all: {text}'], button[aria-label='Rebuild mango: {text}']")
        browser.click("dialog button", "Rebuild")
        browser.find(".notice", "up to date")
        browser.click(".notice button")
        browser.gone(".notice")
    sizes = browser.run('return [...document.querySelectorAll("tbody .number")].map((each) => each.textContent)')
    # The text indexes of a database in memory are in memory, too: nothing is on a disk.
    assert [size.split()[0] == "0" for size in sizes[:3]] == [True, True, False], sizes


def test_compact_and_clean_up(show, shared):
    database = shared.environment["old"]
    first = database.put({"_id": "a", "x": 1})
    database.put({"_id": "a", "x": 2, "_rev": first.rev})
    database.put({"_id": "_design/app", "views": {"all": MAP}})
    browser = show("db", "old", "indexes")
    browser.click("button", "Compact")
    browser.find(".notice", "Compact: begun")
    browser.until(lambda: "missing" in str(database.get("a", open_revs=[first.rev])), "compaction")
    browser.click("button", "Clean up indexes")
    browser.find(".notice", "Clean up indexes: begun")


def test_hostile_names_are_texts(show, shared):
    hostile = "<img src=x onerror=alert(1)>"
    shared.environment["odd"].put({"_id": f"_design/{hostile}", "views": {hostile: MAP}, "indexes": "none"})
    browser = show("db", "odd", "indexes")
    assert states(browser).keys() == {hostile}
    assert not browser.all("main img")
    browser = show("db", "odd", "query")
    browser.click("button", "Run")
    browser.find(".results", "no such rows")
    assert not browser.all("main img")
