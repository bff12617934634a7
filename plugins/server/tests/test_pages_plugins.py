"""Pages that plug-ins add."""

from __future__ import annotations

import json
import re

import pytest
from pouchdb_server import Page, service
from pouchdb_server.testing import CouchServer

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.errors import PluginError

MODULE = """
import { el, replace } from "../../dom.js";
import { words } from "./words.js";
export default async function page(place, ...rest) {
  replace(place, el("h1", {}, words + rest.join(" and ")));
  return () => { document.title = "left"; };
}
"""


def policy(answer):
    return dict(answer.headers)["content-security-policy"]


class Pages:
    """A plug-in with pages."""

    def __init__(self, *pages):
        self.pages = pages

    @hookimpl(optionalhook=True)
    def pouchdb_http_pages(self, environment):
        return self.pages


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "pages"
    (folder / "below").mkdir(parents=True)
    (folder / "page.js").write_text(MODULE)
    (folder / "words.js").write_text('export const words = "Shown: ";')
    return folder


def test_hook_http_pages(browser, folder):
    plugin = Pages(Page("one", "One <b>", folder), Page("two", "Two", folder, "server"))
    with pouchdb.setup(":memory:", plugins=["server", plugin]) as environment, CouchServer(environment) as server:
        environment["notes"].put({"_id": "a"})
        browser.open(f"{server.url}/_utils/#/db/notes")
        browser.click(".tabs a", "One <b>")
        browser.find("h1", "Shown: notes")
        browser.open(f"{server.url}/_utils/#/db/notes/plugin/one/more/%3Ci%3E")
        browser.find("h1", "Shown: notes and more and <i>")
        browser.click("header a", "Two")
        browser.until(lambda: browser.run("return document.querySelector('h1').textContent") == "Shown: ", "page")
        assert browser.find("header a[aria-current]").text == "Two"
        browser.open(f"{server.url}/_utils/#/db/notes/plugin/none")
        browser.find("h1", "no such page")
    assert browser.errors() == []


def test_only_files_of_the_folder_are_served(folder):
    with pouchdb.setup(":memory:", plugins=["server", Pages(Page("one", "One", folder))]) as environment:
        answers = service(environment)

        def get(path):
            return answers.answer(answers.request("GET", f"/_utils/{path}"))

        assert json.loads(get("pages.json").body)[0]["module"] == "plugins/one/page.js"
        answer = get("plugins/one/words.js")
        assert policy(answer) == policy(get(""))
        assert answer.body == b'export const words = "Shown: ";'
        for name in ("", "/", "/below", "/none.js", "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt"):
            assert get("plugins/one" + name).status == 404, name
        assert get("plugins/none/page.js").status == 404


@pytest.mark.parametrize("name", ["", "One", "a b", "../x", "-a", "a/b", "ä"])
def test_names_that_no_page_can_have(folder, name):
    with pytest.raises(PluginError, match=re.escape(repr(name))):
        Page(name, "Title", folder)


def test_two_pages_of_one_name_are_refused(folder):
    page = Page("one", "One", folder)
    with (
        pouchdb.setup(":memory:", plugins=["server", Pages(page), Pages(page)]) as environment,
        pytest.raises(PluginError, match="both have a page 'one'"),
    ):
        service(environment)


def test_a_level_that_there_is_not(folder):
    with pytest.raises(PluginError, match="level 'everywhere'"):
        Page("one", "One", folder, "everywhere")


def test_pages_of_installed_plugins_need_nothing_from_elsewhere(shared):
    answers = service(shared.environment)
    for page in answers.pages.values():
        for file in page.files.iterdir():
            text = file.read_text("utf-8")
            assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), file
