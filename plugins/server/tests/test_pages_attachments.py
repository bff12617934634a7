"""Attachments on the page: added by a button or by dropping, shown safely, deleted."""

from __future__ import annotations

import base64
import io
import wave

import pytest

# One red pixel.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>top.owned = 1</script></svg>'
PDF = (
    b"%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>"
)
NAMES = ["<img src=x onerror=owned()>.txt", "a/b?c#d %2F.txt", '"><script>owned=1</script>']


def sound():
    """Half a second of silence."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 4000)
    return content.getvalue()


@pytest.fixture
def files(shared):
    database = shared.environment["files"]
    yield database
    database.destroy()


def test_the_button_attaches_files(show, files, tmp_path):
    files.put({"_id": "a", "x": 1})
    (tmp_path / "one.txt").write_text("the first")
    (tmp_path / "two.png").write_bytes(PNG)
    browser = show("db", "files", "doc", "a")
    browser.run("document.querySelector('input[type=file]').classList.remove('hidden')")
    browser.find("input[type=file]").send_keys(f"{tmp_path / 'one.txt'}\n{tmp_path / 'two.png'}")
    browser.find(".notice", "2 files are attached")
    browser.find(".files a", "two.png")
    assert files.get_attachment("a", "one.txt")["data"] == b"the first"
    assert files["a"]._attachments["two.png"].content_type == "image/png"
    # One of the same name asks first.
    (tmp_path / "one.txt").write_text("the second")
    browser.run("document.querySelector('input[type=file]').classList.remove('hidden')")
    browser.find("input[type=file]").send_keys(str(tmp_path / "one.txt"))
    browser.click("dialog button", "Replace")
    browser.find(".notice", "“one.txt” is attached")
    browser.find("h2 code", "4-")
    assert files.get_attachment("a", "one.txt")["data"] == b"the second"


def test_files_are_dropped(show, files, tmp_path):
    files.put({"_id": "a"})
    (tmp_path / "dropped.txt").write_text("out of the sky")
    browser = show("db", "files", "doc", "a")
    zone = browser.find(".drop")
    browser.run("arguments[0].scrollIntoView()", zone)
    spot = zone.rect
    scrolled = browser.run("return scrollY")
    where = {"x": spot["x"] + spot["width"] / 2, "y": spot["y"] - scrolled + spot["height"] / 2}
    data = {"items": [], "files": [str(tmp_path / "dropped.txt")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.driver.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "data": data, **where})
    browser.find(".files a", "dropped.txt")
    assert files.get_attachment("a", "dropped.txt")["data"] == b"out of the sky"


def test_somebody_else_was_faster(show, files, tmp_path):
    rev = files.put({"_id": "a"}).rev
    (tmp_path / "one.txt").write_text("1")
    browser = show("db", "files", "doc", "a")
    files.put({"_id": "a", "_rev": rev})
    browser.run("document.querySelector('input[type=file]').classList.remove('hidden')")
    browser.find("input[type=file]").send_keys(str(tmp_path / "one.txt"))
    browser.find(".drop .error", "changed the document since")
    browser.errors()  # the browser reports the 409


def test_what_is_shown(show, files):
    contents = {
        "a.png": ("image/png", PNG),
        "b.svg": ("image/svg+xml", SVG),
        "c.html": ("text/html", b"<script>owned = 1</script>"),
        "d.txt": ("text/plain; charset=utf-8", "é".encode() * 50000),
        "e.pdf": ("application/pdf", PDF),
        "f.bin": ("application/octet-stream", b"\x00"),
        "g.wav": ("audio/wav", sound()),
    }
    attachments = {
        name: {"content_type": kind, "data": base64.b64encode(data).decode()} for name, (kind, data) in contents.items()
    }
    files.put({"_id": "a", "_attachments": attachments})
    browser = show("db", "files", "doc", "a")
    for name in ("a.png", "b.svg", "c.html", "d.txt", "e.pdf"):
        browser.click(f"button[aria-label='Show {name}']")
    for name in ("a.png", "b.svg"):
        browser.until(
            lambda name=name: browser.run(f"return document.querySelector('img[alt=\"{name}\"]').naturalWidth"), name
        )
    assert browser.find("pre[aria-label='c.html']").text == "<script>owned = 1</script>"
    browser.find(".hint", "The first 65.5 kB")
    assert browser.find("pre[aria-label='d.txt']").text[:3] == "ééé"
    assert browser.find("iframe[title='e.pdf']").get_attribute("src").startswith("blob:")
    browser.click("button[aria-label='Show g.wav']")
    browser.until(lambda: browser.run("return document.querySelector('audio').duration === 0.5"), "sound")
    assert browser.run("return window.owned === undefined")
    assert not browser.all("button[aria-label='Show f.bin']")
    browser.click("button[aria-label='Show c.html']")
    browser.gone("pre[aria-label='c.html']")
    assert browser.find("button[aria-label='Show c.html']").get_attribute("aria-expanded") == "false"


def test_one_is_deleted(show, files):
    files.put({"_id": "a", "_attachments": {name: {"content_type": "text/plain", "data": "YQ=="} for name in NAMES}})
    browser = show("db", "files", "doc", "a")
    for left in (2, 1, 0):
        browser.click(".files .danger")
        browser.click("dialog button", "Delete")
        browser.until(lambda left=left: len(browser.all(".files li")) == left, f"{left} attachments")
    assert "_attachments" not in files["a"]
    assert browser.run("return window.owned === undefined")


@pytest.mark.parametrize("name", ["..", "."])
def test_names_that_no_address_can_have(show, files, shared, name):
    """A browser would resolve them: deleting the attachment ``..`` would be deleting the database."""
    files.put({"_id": "a", "_attachments": {name: {"content_type": "text/plain", "data": "YQ=="}}})
    files.put({"_id": name})
    browser = show("db", "files", "doc", "a")
    browser.find(".files li", "cannot be part of an address")
    assert not browser.all(".files a, .files button")
    browser = show("db", "files", "doc", name)
    browser.find(".error", "cannot be part of an address")
    assert "files" in shared.environment
