"""Queries on the page: views with their options, temporary functions, and what plug-ins can be asked."""

from __future__ import annotations

import json

import pytest

MAP = "function (doc) { if (doc.kind) emit(doc.kind, doc.size); }"


@pytest.fixture(scope="module")
def birds(shared):
    database = shared.environment["asking"]
    kinds = ["finch", "owl", "tit"]
    database.bulk_docs([{"_id": f"bird-{n:02}", "kind": kinds[n % 3], "size": n} for n in range(60)])
    views = {
        "by_kind": {"map": MAP, "reduce": "_sum"},
        "plain": {"map": MAP},
        "twice": {"map": "d => { emit(1); emit(1) }"},
    }
    views["bad"] = {"map": "function (doc) {"}
    indexes = {
        "kinds": {"index": "function (doc) { index('kind', doc.kind, {store: true}); }"},
        "bad": {"index": "function ("},
    }
    database.put({"_id": "_design/lists", "views": views, "indexes": indexes})
    return database


def cells(browser, column=None):
    """The texts of the results: rows, or one column of them."""
    script = """return [...document.querySelectorAll('.results tbody tr')].map(
        (row) => [...row.children].map((cell) => cell.textContent))"""
    rows = browser.run(script)
    return rows if column is None else [row[column] for row in rows]


def label(browser, text):
    """The field of a label."""
    return browser.find("label", text).find_element("css selector", "input, select")


def set_code(browser, label, text):
    field = browser.find(f"textarea[aria-label^='{label}']")
    field.clear()
    field.send_keys(text)


def test_a_view_with_its_options(show, birds):
    browser = show("db", "asking", "query", "lists", "plain")
    label(browser, "Key").send_keys('"owl"')
    browser.click("button", "Run")
    browser.find(".results a", "bird-01")
    assert set(cells(browser, 0)) == {'"owl"'}
    assert len(cells(browser)) == 20
    label(browser, "Key").clear()
    label(browser, "From key").send_keys('"owl"')
    label(browser, "To key").send_keys('"tit"')
    label(browser, "With the last key").click()
    label(browser, "With documents").click()
    label(browser, "Rows a page").clear()
    label(browser, "Rows a page").send_keys("3")
    browser.click("button", "Run")
    browser.until(lambda: cells(browser, 1) == ["bird-01", "bird-04", "bird-07"], "first page")
    assert json.loads(cells(browser, 3)[0])["size"] == 1
    browser.screenshot("page-query")
    browser.click("button", "Next page")
    browser.until(lambda: cells(browser, 1) == ["bird-10", "bird-13", "bird-16"], "second page")
    browser.click("button", "Previous page")
    browser.until(lambda: cells(browser, 1) == ["bird-01", "bird-04", "bird-07"], "first page")
    browser.click(".results a", "bird-04")
    browser.find("h1.id", "bird-04")


def test_groups(show, birds):
    browser = show("db", "asking", "query")  # the first view
    browser.click("button", "Run")
    browser.until(lambda: cells(browser) == [['"finch"', "570"], ['"owl"', "590"], ['"tit"', "610"]], "groups")
    label(browser, "Descending").click()
    label(browser, "Rows a page").clear()
    label(browser, "Rows a page").send_keys("2")
    browser.click("button", "Run")
    browser.until(lambda: cells(browser, 0) == ['"tit"', '"owl"'], "first groups")
    browser.click("button", "Next page")
    browser.until(lambda: cells(browser, 0) == ['"finch"'], "last group")
    label(browser, "Group by").send_keys("All rows")
    browser.click("button", "Run")
    browser.until(lambda: cells(browser) == [["null", "1770"]], "one row")


def test_pages_of_rows_that_look_alike(show, birds):
    browser = show("db", "asking", "query", "lists", "twice")
    label(browser, "Rows a page").clear()
    label(browser, "Rows a page").send_keys("3")
    browser.click("button", "Run")
    for first in (0, 3, 6):
        wanted = [f"bird-{n // 2:02}" for n in range(first, first + 3)]
        browser.until(lambda wanted=wanted: cells(browser, 1) == wanted, f"page {first}")
        browser.click("button", "Next page")


def test_a_temporary_function_and_its_errors(show, birds):
    browser = show("db", "asking", "query")
    label(browser, "View").send_keys("A temporary")
    set_code(browser, "Map", "doc => emit(doc.size % 2, 1)")
    set_code(browser, "Reduce", "_count")
    browser.click("button", "Run")
    browser.until(lambda: cells(browser) == [["0", "30"], ["1", "30"]], "groups")
    set_code(browser, "Reduce", " ")
    set_code(browser, "Map", "doc => { if (doc.size === 7) throw new Error('<b>seven</b>'); emit(doc.size); }")
    browser.click("button", "Run")
    assert "bird-07" in browser.find(".failure", "<b>seven</b>").text
    assert len(cells(browser)) == 25
    set_code(browser, "Map", "function (doc) {")
    browser.click("button", "Run")
    browser.find(".failure strong", "compilation error")
    label(browser, "Key").send_keys("no json")
    browser.click("button", "Run")
    browser.find(".failure", "Key must be JSON")
    browser.errors()  # the browser reports the 500


def test_a_stored_view_that_does_not_compile(show, birds):
    browser = show("db", "asking", "query", "lists", "bad")
    browser.click("button", "Run")
    browser.find(".failure strong", "compilation error")
    browser.errors()  # the browser reports the 500


def test_mango(show, birds):
    pytest.importorskip("pouchdb_find", reason="NO TEST of the page for Mango: pip install 'pouchdb[find]'")
    browser = show("db", "asking", "plugin", "mango")
    browser.fill("textarea", '{"selector": {"size": {"$gt": 56}}, "limit": 2, "fields": ["_id", "size"]}')
    browser.click("button", "Run")
    browser.until(lambda: cells(browser) == [["bird-57", "57"], ["bird-58", "58"]], "two")
    browser.find(".hint", "No matching index")
    browser.click("button", "Next page")
    browser.until(lambda: cells(browser) == [["bird-59", "59"]], "the rest")
    browser.fill("input[name=fields]", "size")
    browser.fill("input[name=index]", "by-size")
    browser.click("button", "Make index")
    browser.find(".files", "by-size")
    browser.click("button", "Explain")
    browser.find("pre", '"by-size"')
    browser.click("button[aria-label='Delete the index by-size']")
    browser.click("dialog button", "Delete")
    browser.gone(".files", "by-size")
    browser.fill("textarea", '{"selector": {"size": {"$what": 5}}}')
    browser.click("button", "Run")
    browser.find(".failure", "$what")
    browser.errors()  # the browser reports the 400


def test_gql(show, birds):
    pytest.importorskip("pouchdb_gql", reason="NO TEST of the page for GQL: pip install 'pouchdb[gql]'")
    browser = show("db", "asking", "plugin", "gql")
    browser.fill("textarea", "select kind, max(size) group by kind order by kind")
    browser.click("button", "Run")
    browser.until(lambda: cells(browser) == [["finch", "57"], ["owl", "58"], ["tit", "59"]], "rows")
    browser.click("button", "Explain")
    browser.find("pre", "group by kind")
    browser.fill("textarea", "selekt kind")
    browser.click("button", "Run")
    browser.find(".failure strong", "not recognized")
    browser.errors()  # the browser reports the 400


def test_gql_shows_the_first_rows_of_many(show, shared):
    pytest.importorskip("pouchdb_gql", reason="NO TEST of the page for GQL: pip install 'pouchdb[gql]'")
    shared.environment["many"].bulk_docs([{"_id": f"{n:05}", "text": "x" * 200} for n in range(1200)])
    browser = show("db", "many", "plugin", "gql")
    browser.fill("textarea", "select text")
    browser.click("button", "Run")
    browser.find(".hint", "The first 500 rows")
    assert len(cells(browser)) == 500


def test_search(show, birds):
    pytest.importorskip("pouchdb_search", reason="NO TEST of the page for search: pip install 'pouchdb[search]'")
    browser = show("db", "asking", "plugin", "search")
    browser.fill("input[name=q]", "kind:owl")
    browser.click("button", "Search")
    browser.find(".more", "20 documents match")
    assert set(cells(browser, 1)) == {"owl"}
    label(browser, "Index").send_keys("lists / bad")
    browser.click("button", "Search")
    browser.find(".failure strong", "compilation error")
    browser.errors()  # the browser reports the 500


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":[],"1":{},"__proto__":{"x":null}}',
        "[9007199254740993,1.0,-0,1e400,1E5,0.1,-12.50,true]",
        '"\\u2028 \\" \\\\ \\ud800"',
        ' { "a" : [ 1 , { "b" : "}{" } ] } ',
    ],
)
def test_json_without_loss(show, text):
    browser = show()
    both = "return import('./exact.js').then(({parse, write}) => write(parse(arguments[0]), arguments[1]))"
    exact = browser.run(both, text, 0)
    assert exact.replace(" ", "") == text.replace(" ", "").replace("\\u2028", "\u2028")
    assert browser.run(both, '{"a":[1,{}],"b":{}}', 2) == json.dumps({"a": [1, {}], "b": {}}, indent=2)
