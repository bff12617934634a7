"""A server for each test, and a small client that shows what goes over the wire."""

from __future__ import annotations

import http.client
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from pouchdb_server.testing import CouchServer

import pouchdb
from pouchdb_core import SyncEnvironment

JSON = {"Content-Type": "application/json"}


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker where these tests run without the repository's configuration."""
    config.addinivalue_line("markers", "interop: needs a real peer (node with PouchDB)")


class Answer:
    """Status, headers (in any spelling) and body of an answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]


class Client:
    """Calls a server: ``client.get("/db")``; dicts and lists are sent as JSON."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 0)

    def open(self, method: str, path: str, body: Any = None, headers: Any = None) -> http.client.HTTPResponse:
        """Return the answer as it comes."""
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        # Then the connection is the answer's, and is closed with it.
        headers = {"Connection": "close", **(headers or {})}
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body), {**JSON, **headers}
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def call(self, method: str, path: str, body: Any = None, headers: Any = None) -> Answer:
        with self.open(method, path, body, headers) as response:
            return Answer(response)

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def put(self, path: str, body: Any = None, headers: Any = None) -> Answer:
        return self.call("PUT", path, body, headers)

    def post(self, path: str, body: Any = None, headers: Any = None) -> Answer:
        return self.call("POST", path, body, headers)

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)


@pytest.fixture
def environment() -> Iterator[SyncEnvironment]:
    with pouchdb.setup(":memory:", plugins=["server", "all_dbs"]) as environment:
        yield environment


@pytest.fixture
def serve(environment: SyncEnvironment) -> Iterator[Callable[..., CouchServer]]:
    """Start servers of the environment with settings; they stop with the test."""
    running: list[CouchServer] = []

    def start(**settings: Any) -> CouchServer:
        running.append(CouchServer(environment, **settings).start())
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def server(serve: Callable[..., CouchServer]) -> CouchServer:
    return serve()


@pytest.fixture
def client(server: CouchServer) -> Client:
    client = Client(server.url)
    assert client.put("/db").status == 201
    return client


@pytest.fixture
def call() -> Callable[[CouchServer], Client]:
    """Make a client of a server."""
    return lambda server: Client(server.url)


# -- a real browser ----------------------------------------------------------------------------------

SCREENSHOTS = "POUCHDB_SCREENSHOTS"
"""The variable with a folder that screenshots are written to; without it none are made."""
WIDE = (1200, 800)
VISIBLE = """return [...document.querySelectorAll(arguments[0])].filter(
    (each) => each.checkVisibility() && (each.innerText ?? each.textContent).includes(arguments[1]))"""


class Browser:
    """Debian's chromium without a window. Elements are named by CSS selectors; every wait has an end."""

    patience = 30

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, size: tuple[int, int] = WIDE, *, dark: bool = False) -> None:
        """Show a page, as if nothing had been shown before."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self.driver.get(url)

    def until(self, function: Callable[[], Any], what: str) -> Any:
        """Wait until ``function()`` is something; elements may go away, or not be there yet, while it looks."""
        from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        # A script that looks for an element that is not there fails at its property of null.
        passing = [StaleElementReferenceException, JavascriptException]
        wait = WebDriverWait(self.driver, self.patience, 0.05, ignored_exceptions=passing)
        return wait.until(lambda driver: function(), f"no {what} in:\n{self.text()}")

    def all(self, css: str, text: str = "") -> list[Any]:
        """Return the visible elements of a selector that hold a text, as they are now."""
        found: list[Any] = self.run(VISIBLE, css, text)
        return found

    def find(self, css: str, text: str = "") -> Any:
        """Wait for a visible element that holds a text."""
        return self.until(lambda: next(iter(self.all(css, text)), None), f"{css} {text!r}")

    def gone(self, css: str, text: str = "") -> None:
        """Wait until there is no such element."""
        self.until(lambda: not self.all(css, text), f"end of {css} {text!r}")

    def click(self, css: str, text: str = "") -> None:
        """Click at an element that holds a text."""
        self.find(css, text).click()

    def fill(self, css: str, text: str) -> None:
        """Replace what is in a field."""
        field = self.find(css)
        field.clear()
        field.send_keys(text)

    def keys(self, *keys: str) -> None:
        """Type, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def text(self) -> str:
        """Return the text of the page."""
        return str(self.driver.execute_script("return document.body ? document.body.innerText : ''"))

    def run(self, script: str, *args: Any) -> Any:
        """Run JavaScript on the page."""
        return self.driver.execute_script(script, *args)

    def errors(self) -> list[str]:
        """Return what was written to the console as a warning or error since it was last asked."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, name: str) -> None:
        """Write a picture for the documents, if somebody has asked for them."""
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            assert self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser's driver, started once."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("apt-get install chromium chromium-driver: NO TEST of the pages in a real browser was made")
    pytest.importorskip("selenium", reason="pip install selenium: NO TEST of the pages in a real browser was made")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # Its own sandbox needs what containers do not give, /dev/shm may be tiny there.
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options, Service(driver))
    yield running
    running.quit()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Browser]:
    """The browser, without cookies or messages of the test before."""
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser = Browser(chromium)
    browser.errors()
    yield browser
    chromium.get("about:blank")


@pytest.fixture(scope="module")
def shared() -> Iterator[CouchServer]:
    """One server for all tests of a module, with every installed plug-in; each test has databases of its own."""
    with pouchdb.setup(":memory:") as environment, CouchServer(environment) as server:
        yield server


@pytest.fixture
def show(browser: Browser, shared: CouchServer) -> Iterator[Callable[..., Browser]]:
    """Show a part of the page of the shared server; afterwards the console must be silent."""

    def shown(*parts: str, size: tuple[int, int] = WIDE, dark: bool = False) -> Browser:
        where = "/".join(quote(part, safe="") for part in parts)
        browser.open(f"{shared.url}/_utils/#/{where}", size, dark=dark)
        browser.find("h1")
        return browser

    yield shown
    assert browser.errors() == []
