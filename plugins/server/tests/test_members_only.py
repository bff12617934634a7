"""PouchDB in a browser, with pouchdb-authentication: it signs up, logs in and syncs a database for members."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import pouchdb

pytest.importorskip("pouchdb_auth", reason="pouchdb-auth is not installed: NO TEST of logins in a browser was made")
from pouchdb_server.testing import CouchServer

INTEROP = Path(__file__).parents[3] / "tests" / "interop"
POUCHDB = INTEROP / "node" / "node_modules" / "pouchdb" / "dist" / "pouchdb.js"
AUTHENTICATION = INTEROP / "authentication" / "package" / "dist" / "pouchdb.authentication.js"
OPEN = {"admins": {"names": [], "roles": ["_admin"]}, "members": {"names": [], "roles": []}}
"""Of the database of the users: everybody may sign up."""
SECURITY = {"admins": {"names": ["ada"], "roles": []}, "members": {"names": ["zoë"], "roles": []}}

# What a page of an application does; an answer or an error becomes the result.
STEP = """
const done = arguments[arguments.length - 1];
window.remote ??= new PouchDB(arguments[0] + '/club', {skip_setup: true});
window.local ??= new PouchDB('club');
const steps = {
  signUp: () => remote.signUp('zoë', 'sécret', {metadata: {likes: 'birds'}}),
  logIn: (password) => remote.logIn('zoë', password),
  logOut: () => remote.logOut(),
  session: async () => (await remote.getSession()).userCtx,
  user: async () => (await remote.getUser('zoë')).likes,
  write: (id) => local.put({_id: id}),
  sync: async () => { const told = await local.sync(remote); return [told.push.docs_written, told.pull.docs_written]; },
  ids: async () => (await local.allDocs()).rows.map((row) => row.id),
};
steps[arguments[1]](arguments[2]).then((ok) => done({ok}),
  (error) => done({name: error.name, status: error.status}));
"""


@pytest.fixture
def environment() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["server", "auth"]) as environment:
        yield environment


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """The URL of a page of another origin that has both libraries."""
    for library in (POUCHDB, AUTHENTICATION):
        if not library.is_file():
            pytest.skip(f"call `make peers` ({library.name}): NO TEST of logins in a browser was made")
        (tmp_path / library.name).write_bytes(library.read_bytes())
    scripts = "".join(f'<script src="{library.name}"></script>' for library in (POUCHDB, AUTHENTICATION))
    icon = '<link rel="icon" href="data:,">'
    (tmp_path / "index.html").write_text(f"<!doctype html><title>Club</title>{icon}{scripts}", "utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_new_member_syncs(browser: Any, environment: Any, serve: Callable[..., CouchServer], page: str) -> None:
    club = environment["club"]
    club.put({"_id": "rules"})
    club.put_security(SECURITY)
    environment["_users"].put_security(OPEN)
    server = serve(admins={"ada": "right"}, cors=[page])
    browser.open(page)

    def step(name: str, argument: Any = None) -> Any:
        browser.driver.set_script_timeout(browser.patience)
        answer = browser.driver.execute_async_script(STEP, server.url, name, argument)
        return answer.get("ok", answer)

    assert step("write", "from the browser")["ok"]
    assert step("sync")["status"] == 401, "nobody is logged in"
    assert step("session") == {"name": None, "roles": []}
    assert step("signUp")["ok"]
    assert step("signUp") == {"name": "conflict", "status": 409}
    assert step("logIn", "wrong") == {"name": "unauthorized", "status": 401}
    assert step("logIn", "sécret") == {"ok": True, "name": "zoë", "roles": []}
    assert step("session")["name"] == "zoë"
    assert step("user") == "birds"
    assert step("sync") == [1, 1]
    assert step("ids") == ["from the browser", "rules"]
    assert club["from the browser"]["_id"] in club

    # The cookie is the login: it outlives the page, and ends with the logout.
    browser.open(page)
    assert step("session")["name"] == "zoë"
    assert step("logOut")["ok"]
    assert step("sync")["status"] == 401
