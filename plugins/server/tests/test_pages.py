"""The page at ``/_utils/``, in a real browser."""

from __future__ import annotations

import json
import re
import socket
from importlib import resources

import pytest
from pouchdb_server import create_app
from pouchdb_server.testing import CouchServer

from pouchdb_core.errors import BadRequest

STATIC = resources.files("pouchdb_server.pages").joinpath("static")
WIDE, PHONE = (1200, 800), (375, 740)

HOSTILE = [
    "<img src=x onerror=owned()>",
    '"><script>owned()</script>',
    "javascript:owned()",
    "'-owned()-'",
    "../../_session",
    "a/b?c=d&e#f %2F",
    '日本語 \u202e 🐦 "quoted"',
]


# -- files -------------------------------------------------------------------------------------------


def test_the_page_is_served(client):
    answer = client.get("/_utils/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/_utils").headers["Location"] == "_utils/"
    for name in re.findall(rb'(?:src|href)="([^"#]+)"', answer.body):
        found = client.get("/_utils/" + name.decode())
        assert found.status == 200
        assert client.get("/_utils/" + name.decode(), If_None_Match=found.headers["ETag"]).status == 304
    assert client.call("HEAD", "/_utils/").body == b""
    assert client.post("/_utils/", {}).status == 405


@pytest.mark.parametrize(
    "name",
    ["none.js", "..%2ffiles.py", "../files.py", "..%5cfiles.py", "%00", ".", "%2e%2e", "static/app.js", "a" * 5000],
)
def test_nothing_else_is_served(client, name):
    assert client.get(f"/_utils/{name}").status in (400, 404)


def test_it_needs_nothing_from_elsewhere():
    for file in STATIC.iterdir():
        text = file.read_text("utf-8")
        links = re.findall(r"https?://[^\s\"'<>)]+", text)
        assert set(links) <= {"http://www.w3.org/2000/svg", "https://user:password@host/database"}, file.name
        # What would make markup or code of a text.
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), (
            file.name
        )


def test_fauxton_instead(serve, call, tmp_path, environment):
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "release"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<title>Fauxton</title>")
    (folder / "js" / "app.js").write_text("1")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    client = call(serve(fauxton=folder))
    assert b"Fauxton" in client.get("/_utils/").body
    assert client.get("/_utils/js/app.js").headers["Content-Type"].startswith("text/javascript")
    for name in ("link", "../secret.txt", "%2e%2e/secret.txt", "js/..%2f..%2fsecret.txt", "js", "%00", "none"):
        assert client.get(f"/_utils/{name}").status in (400, 404), name
    with pytest.raises(BadRequest, match=r"index\.html"):
        create_app(environment, fauxton=tmp_path)


# -- in a browser ------------------------------------------------------------------------------------


@pytest.fixture
def page(browser, server):
    """Show a part of the page; afterwards the console must be silent."""

    def show(*parts: str, size=WIDE, dark: bool = False):
        from urllib.parse import quote

        browser.open(f"{server.url}/_utils/#/" + "/".join(quote(part, safe="") for part in parts), size, dark=dark)
        browser.find("h1")
        return browser

    yield show
    assert browser.errors() == []


@pytest.fixture
def robin(environment):
    """A database with a document in conflict."""
    here, there = environment["birds"], environment["elsewhere"]
    here.bulk_docs([{"_id": f"bird-{n:02}", "name": name} for n, name in enumerate(["Wren", "Dunnock", "Siskin"])])
    here.put({"_id": "robin", "name": "Robin", "colours": ["red", "brown"]})
    here.replicate_to("elsewhere")
    for size in range(13, 22):
        here.put({**here["robin"], "size": size})
    there.put({**there["robin"], "size": 12.5, "seen": "in the garden"})
    there.put({**there["robin"], "song": "a thin, high tsee"})
    there.replicate_to("birds")
    here.put_attachment("robin", "song.txt", b"tsee tsee", "text/plain", rev=here["robin"]._rev)
    return here


def test_a_database_and_a_document(page, environment):
    browser = page()
    browser.fill("input[name=name]", "notes")
    browser.click("button", "Create")
    browser.find("h1", "notes")
    assert "notes" in environment
    browser.click("a", "New document")
    browser.fill("textarea", '{"_id": "first", "x": 1}')
    browser.click("button", "Save")
    browser.find("h1.id", "first")
    assert environment["notes"]["first"].x == 1
    browser.fill("textarea", "{nonsense")
    browser.click("button", "Save")
    browser.find(".error", "no JSON")
    stale = environment["notes"]["first"]
    browser.fill("textarea", json.dumps({**stale, "x": 2}))
    browser.click("button", "Save")
    browser.until(lambda: environment["notes"]["first"].x == 2, "edit")
    browser.find("h2 code", "2-")
    # Somebody else was faster.
    environment["notes"].put({**environment["notes"]["first"], "x": 3})
    browser.fill("textarea", json.dumps({**environment["notes"].get("first", rev=stale._rev), "x": 4}))
    browser.click("button", "Save")
    browser.find(".error", "changed it since")
    assert environment["notes"]["first"].x == 3
    browser.errors()  # the browser reports the 409
    browser = page("db", "notes", "doc", "first")
    browser.click("button", "Delete")
    browser.click("dialog button", "Cancel")
    assert "first" in environment["notes"]
    browser.click("button", "Delete")
    browser.click("dialog button", "Delete")
    browser.find(".empty", "no documents")
    assert "first" not in environment["notes"]
    browser = page()
    browser.click("button[aria-label='Delete the database notes']")
    browser.click("dialog button", "Delete")
    browser.gone("tbody th", "notes")
    assert "notes" not in environment


def test_numbers_that_javascript_cannot_keep(page, environment):
    environment["big"].put({"_id": "n", "number": 9007199254740993})
    browser = page("db", "big", "doc", "n")
    assert "9007199254740993" in browser.find("textarea").get_attribute("value")
    browser.click("button", "Save")
    browser.find("h2 code", "2-")
    assert environment["big"]["n"].number == 9007199254740993


def test_the_revision_tree(page, robin):
    browser = page("db", "birds", "doc", "robin")
    nodes = browser.all(".tree .node")
    labels = [each.get_attribute("aria-label") for each in nodes]
    assert sum("winner" in label for label in labels) == 1
    assert sum("in conflict" in label for label in labels) == 1
    assert browser.find(".tree .gap").text.startswith("+")
    leaf = next(each for each in nodes if "in conflict" in each.get_attribute("aria-label"))
    rev = leaf.get_attribute("data-rev")
    leaf.click()
    browser.find("h2 code", rev)
    assert "tsee" in browser.find("textarea").get_attribute("value")
    browser.screenshot("page-document")
    # One that was compacted is only a place in the tree.
    robin.compact()
    browser = page("db", "birds", "doc", "robin", f"1-{labels[0].split(',')[0].partition('-')[2]}")
    browser.find(".empty", "not kept any more")
    browser.errors()  # the browser reports the 404


def test_conflicts_side_by_side(page, robin):
    winner, loser = (each["ok"] for each in robin.open_revs("robin"))
    browser = page("db", "birds")
    browser.find(".badge", "1 conflict")
    browser = page("db", "birds", "doc", "robin", size=(1200, 1330))
    browser.screenshot("page-conflicts")
    assert [row.find_element("css selector", "th").text for row in browser.all(".side tr.differs")] == [
        "_attachments", "seen", "size", "song"
    ]  # fmt: skip
    browser.click(f"button[aria-label='Keep {loser._rev}']")
    browser.click("dialog button", "Keep this one")
    browser.gone(".side")
    assert robin["robin"]._rev == loser._rev
    assert robin.get("robin", conflicts=True).get("_conflicts", []) == []
    assert [each["ok"].get("_deleted", False) for each in robin.open_revs("robin")] == [False, True]
    assert winner._rev != loser._rev


def test_changes_come_by_themselves(page, robin):
    browser = page("db", "birds", "changes")
    browser.find(".badge", "live")
    before = len(browser.all("tbody tr"))
    robin.put({"_id": "wagtail"})
    browser.find("tbody th", "wagtail")
    assert len(browser.all("tbody tr")) == before + 1
    browser.click("button", "Pause")
    robin.remove(robin["wagtail"])
    browser.find("button", "Go on (1)")
    browser.click("button", "Go on")
    browser.find("tbody .badge", "deleted")
    browser.screenshot("page-changes")


@pytest.fixture
def nobody():
    """An address that nothing listens at, and that nobody can take meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_replications(page, robin, environment, nobody):
    browser = page("replications")
    browser.find(".empty", "Nothing is replicated")
    browser.fill("input[name=source]", "birds")
    browser.fill("input[name=target]", "copy")
    browser.click("button", "Replicate")
    browser.find("tbody .badge", "running")
    browser.find("tbody", "up to date")
    assert environment["copy"]["robin"].size == 21
    browser.errors()  # the browser reports the 404 of the database that was made
    environment["_replicator"].put({"_id": "weekly", "source": "birds", "target": "backup", "create_target": True})
    environment["_replicator"].put({"_id": "office", "source": f"http://ada:secret@{nobody}/birds", "target": "copy"})
    browser.find("tbody .badge", "completed")
    browser.find("tbody .error", "cannot be reached")
    assert "secret" not in browser.run("return document.documentElement.outerHTML")
    browser.screenshot("page-replications")
    browser.click("button[aria-label='Remove the replication office']")
    browser.click("dialog button", "Remove")
    browser.gone("tbody .error")


def test_the_progress_of_a_replication(page, environment):
    with CouchServer() as far:
        far.environment["far"].bulk_docs([{"_id": f"doc{n}"} for n in range(1500)])
        # All of them: the batches overlap, and either may ask first.
        held = far.hold("/_bulk_get", times=None)
        job = {"source": f"{far.url}/far", "target": "near", "create_target": True, "continuous": True}
        environment["_replicator"].put({"_id": "pull", **job})
        assert held.hit.wait(60)
        browser = page("replications")
        browser.find("tbody", "1,500 changes to come")
        bar = browser.find("progress")
        assert float(bar.get_attribute("value")) < float(bar.get_attribute("max"))
        held.end()
        browser.find("tbody", "1,500 documents written, up to date")
        # It is the same row, and the same button for who is just about to press it.
        assert len(browser.all("tbody tr")) == 1


def test_hostile_names_and_contents_are_texts(page, environment):
    here, there = environment["hostile"], environment["peer"]
    for id in HOSTILE:
        here.put({"_id": id, id: id, "_attachments": {id: {"content_type": id, "data": ""}}})
    here.replicate_to("peer")
    for each in (here, there):
        each.bulk_docs([{**each[id], "by": f"{each.name} {id}"} for id in HOSTILE])
    there.replicate_to("hostile")
    here.put_security({"admins": {"names": [], "roles": ["_admin"]}, "members": {"names": HOSTILE, "roles": HOSTILE}})
    for id in HOSTILE:
        environment["_replicator"].put({"_id": id, "source": id, "target": "copy"})
    browser = page("db", "hostile")
    command = {"source": "window.owned = () => { window.wasOwned = true; }"}
    script = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", command)
    try:
        for id in HOSTILE:
            page("db", "hostile", "doc", id)
            assert browser.run("return document.querySelector('h1').textContent") == id
            assert browser.run("return document.title").startswith(id.strip()[:5])
            for part in (".side", ".tree", ".files a"):
                assert browser.find(part)
            assert browser.run("return window.owned && !window.wasOwned")
        for parts in (("db", "hostile"), ("db", "hostile", "changes"), ("replications",)):
            page(*parts)
            shown = browser.run("return document.querySelector('main').textContent")
            assert [id for id in HOSTILE if id not in shown] == []
            assert browser.run("return !window.wasOwned && !document.querySelector('main img, main script')")
        for parts in (("db", "hostile", "security"), (HOSTILE[0],), ("db", HOSTILE[1])):
            page(*parts)
            assert browser.run("return window.owned && !window.wasOwned")
        # The browser tells of the 404 and 400 of the last one.
        assert all("status of 40" in each for each in browser.errors())
        page("db", "hostile")
        browser.click("tbody th a", HOSTILE[0])
        browser.find("h1.id", HOSTILE[0])
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_an_attachment_cannot_act_as_the_page(browser, server, environment):
    """A hostile page that was attached runs nothing, also when somebody opens it."""
    script = b"<script>document.title = 'owned'</script><p>attached</p>"
    environment["files"].put_attachment("a", "x.html", script, "text/html")
    browser.open(f"{server.url}/files/a/x.html")
    browser.find("p", "attached")
    assert browser.run("return document.title") != "owned"
    browser.errors()


def test_login(browser, serve, environment):
    environment["birds"].put({"_id": "robin"})
    server = serve(admins={"ada": "right"})
    browser.open(f"{server.url}/_utils/#/db/birds")
    browser.find("h1", "Log in")
    browser.fill("input[name=name]", "ada")
    browser.fill("input[name=password]", "wrong")
    browser.click("form button")
    browser.find(".error")
    assert browser.find("input[name=password]").get_attribute("value") == ""
    browser.fill("input[name=password]", "right")
    browser.click("form button")
    browser.find("tbody th", "robin")
    browser.find(".user", "ada")
    environment["birds"].put({"_id": "wren"})
    browser.open(f"{server.url}/_utils/#/db/birds/changes")
    browser.find(".badge", "live")
    browser.open(f"{server.url}/_utils/#/replications")
    browser.fill("input[name=source]", "birds")
    browser.fill("input[name=target]", "copy")
    browser.click("button", "Replicate")
    browser.find("tbody .badge", "running")
    browser.click("button", "Log out")
    browser.find("h1", "Log in")
    assert "birds" not in browser.text()
    # What the browser tells by itself of 401 and 404 is all there is.
    assert all("status of 40" in each for each in browser.errors())


def test_the_keyboard_is_enough(page, robin):
    from selenium.webdriver.common.keys import Keys

    browser = page("db", "birds", "doc", "robin")
    browser.run("document.activeElement.blur()")
    browser.keys(Keys.TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    browser.keys(Keys.ENTER)
    seen = []
    for _ in range(60):
        browser.keys(Keys.TAB)
        seen.append(
            browser.run(
                "return document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
            )
        )
        if "in conflict" in (seen[-1] or ""):
            break
    assert any("the winner" in (each or "") for each in seen)
    browser.keys(Keys.ENTER)
    browser.find("h2 code", "3-")
    browser.click("button", "Delete")
    browser.find("dialog")
    assert browser.run("return document.activeElement.textContent") == "Cancel"
    browser.keys(Keys.ESCAPE)
    browser.gone("dialog")
    assert "robin" in robin


@pytest.mark.parametrize(
    "parts",
    [(), ("db", "birds"), ("db", "birds", "doc", "robin"), ("db", "birds", "changes"), ("replications",)],
    ids=lambda parts: parts[-1] if parts else "databases",
)
def test_on_a_phone(page, robin, environment, nobody, parts):
    robin.put({"_id": "a-very-long-id-" * 12, "text": "x" * 500})
    environment["_replicator"].put({"_id": "long" * 30, "source": f"http://{nobody}/" + "path" * 40, "target": "copy"})
    browser = page(*parts, size=PHONE)
    assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0]
    if not parts or parts[-1] == "birds":
        browser.screenshot(f"page-phone-{parts[-1] if parts else 'databases'}")


def test_many_databases_and_documents(page, environment):
    for n in range(55):
        environment[f"db{n:02}"]
    environment["db00"].bulk_docs([{"_id": f"doc{n:03}"} for n in range(120)])
    browser = page()
    assert len(browser.all("tbody tr")) == 50
    browser.click("button", "More")
    browser.find("tbody th", "db54")
    browser.gone(".more button")
    browser = page("db", "db00")
    browser.click("button", "More")
    browser.find("tbody th", "doc099")
    browser.fill("input[type=search]", "doc11")
    browser.until(lambda: len(browser.all("tbody tr")) == 10, "ten rows")


@pytest.mark.parametrize(
    ("parts", "title"),
    [
        (("nonsense",), "no such page"),
        (("db", "none"), "did not work"),
        (("db", "birds", "doc", "none"), "did not work"),
        (("db", "birds", "doc", "robin", "9-none"), "robin"),
        (("db", "birds", "odd"), "no such page"),
    ],
)
def test_addresses_that_lead_nowhere(page, robin, parts, title):
    browser = page(*parts)
    browser.find("h1", title)
    browser.errors()


def test_in_the_dark(page, robin):
    browser = page("db", "birds", "doc", "robin", size=(1200, 1330), dark=True)
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(15, 21, 29)"
    browser.screenshot("page-conflicts-dark")
