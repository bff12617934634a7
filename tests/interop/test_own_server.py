"""Our client with our own server: whatever the names, whatever breaks, and without holding files in memory."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.testing.server import couch_server as start_server

pytest.importorskip("pouchdb_server")

Leaves = Callable[[SyncPouchDB], dict[str, Any]]
numbers = itertools.count()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Any]:
    with start_server() as server:
        yield server


@pytest.fixture
def own(env: SyncEnvironment, own_server: Any) -> SyncPouchDB:
    return env.PouchDB(f"{own_server.url}/own-{next(numbers)}")


@pytest.fixture
def own_proxy(own_server: Any, Proxy: Any) -> Iterator[Any]:
    proxy = Proxy(own_server.url)
    yield proxy
    proxy.close()


# -- names -----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
NASTY = st.sampled_from(
    [
        "a/b",
        "+",
        "%",
        "%2F",
        "é",
        "?",
        "#",
        "&=",
        ".",
        "..",
        "...",
        " ",
        "a b",
        "~",
        ":",
        "日本",
        "\U0001f40d",
        '"',
        "\\",
        "'",
        "/",
        "//",
        "/lead",
        "trail/",
        "a//b",
    ]
)
NAMES = (TEXT | NASTY | st.lists(NASTY, min_size=2, max_size=3).map("/".join)).filter(lambda name: name[0] != "_")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(id=NAMES, prefix=st.sampled_from(["", "", "_design/", "_local/"]))
def test_any_id_travels(own: SyncPouchDB, id: str, prefix: str) -> None:
    id = prefix + id
    rev = own.put({"_id": id, "n": 1})["rev"]
    assert own.get(id)["_id"] == id
    assert id in own
    rev = own.put({"_id": id, "_rev": rev, "n": 2})["rev"]
    if prefix != "_local/":
        assert own.all_docs(key=id)["rows"][0]["id"] == id
        assert own.all_docs(startkey=id, endkey=id)["rows"][0]["id"] == id
        assert own.open_revs(id, [rev])[0]["ok"]["n"] == 2
        assert own.bulk_get([{"id": id, "rev": rev}])["results"][0]["docs"][0]["ok"]["_id"] == id
        assert own.changes(doc_ids=[id])["results"][0]["id"] == id
    own.remove(id, rev)
    assert id not in own


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(id=NAMES, name=NAMES, big=st.booleans(), inline=st.booleans())
def test_any_attachment_travels(
    env: SyncEnvironment, own: SyncPouchDB, id: str, name: str, big: bool, inline: bool
) -> None:
    content = name.encode() * (20_000 if big else 1)
    if inline:
        rev = own.put({"_id": id, "_attachments": {name: {"content_type": "a/b", "data": content}}})["rev"]
    else:
        rev = own.put_attachment(id, name, content, "a/b")["rev"]
    assert list(own.get(id)["_attachments"]) == [name]
    assert own.get_attachment(id, name) == {"type": "a/b", "data": content}
    with own.open_attachment(id, name) as file:
        assert file.read() == content
    here = env["here"]
    assert here.replicate_from(own, doc_ids=[id])["ok"]
    assert here.get_attachment(id, name)["data"] == content
    own.remove_attachment(id, name, rev)
    own.remove(own.get(id))


# -- memory ----------------------------------------------------------------------------------------

SIZE = 24 * 1024 * 1024
MOST = 8 * 1024 * 1024
STREAMS = """
    import hashlib, io, sys, tracemalloc, pouchdb

    url, size, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]

    class Content(io.RawIOBase):
        '''So many bytes, made while they are read.'''
        left = size
        md5 = hashlib.md5()

        def readable(self):
            return True

        def readinto(self, buffer):
            count = min(len(buffer), self.left)
            self.left -= count
            piece = bytes([self.left // 65536 % 251]) * count
            buffer[:count] = piece
            self.md5.update(piece)
            return count

    def digest(db):
        md5 = hashlib.md5()
        with db.open_attachment("a", "big") as file:
            while piece := file.read(1 << 16):
                md5.update(piece)
        return md5.hexdigest()

    env = pouchdb.setup(folder, plugins=[])
    remote = env.PouchDB(url)
    remote.put({"_id": "warm", "_attachments": {"x": {"content_type": "a/b", "data": b"x" * 100_000}}})
    env["warm"].replicate_from(remote)
    tracemalloc.start()
    content = Content()
    remote.put_attachment("a", "big", content, "a/b")
    assert digest(remote) == content.md5.hexdigest()
    assert env["here"].replicate_from(remote)["docs_written"] == 2
    assert digest(env["here"]) == content.md5.hexdigest()
    assert env["here"].replicate_to(url + "-copy")["docs_written"] == 2
    assert digest(env.PouchDB(url + "-copy")) == content.md5.hexdigest()
    # Without SQLite's cache, which is as big as it is told to be.
    print(tracemalloc.get_traced_memory()[1])
"""


def test_files_bigger_than_memory_stream_both_ways(own: SyncPouchDB, tmp_path: Path) -> None:
    """Written as a file, read as a file, pulled, pushed: the client never holds more than pieces."""
    program = textwrap.dedent(STREAMS)
    done = subprocess.run(
        [sys.executable, "-c", program, own.name, str(SIZE), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST


REPLICATES = """
    import sys, tracemalloc, pouchdb

    url, folder = sys.argv[1], sys.argv[2]
    env = pouchdb.setup(folder, plugins=[], durability="normal")
    here, back = env["here"], env["back"]
    for start in range(0, 1500, 500):
        here.bulk_docs([{"_id": f"d{number:05}", "text": "x" * 8000} for number in range(start, start + 500)])
    tracemalloc.start()
    assert here.replicate_to(url, batch_size=25)["docs_written"] == 1500
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.reset_peak()
    assert back.replicate_from(url, batch_size=25)["docs_written"] == 1500
    print(tracemalloc.get_traced_memory()[1])
"""


def test_replicating_needs_memory_for_batches_only(own: SyncPouchDB, tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(REPLICATES), own.name, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    # The library that writes JSON reserves eight times what it needs.
    assert max(map(int, done.stdout.split())) < 10 * 1024 * 1024, done.stdout


# -- attachments that did not change ---------------------------------------------------------------


def test_an_unchanged_attachment_is_sent_neither_way(
    env: SyncEnvironment, own: SyncPouchDB, own_proxy: Any, leaves: Leaves
) -> None:
    content, small = random.Random(0).randbytes(200_000), random.Random(1).randbytes(30_000)
    here = env["here"]
    remote = env.PouchDB(f"{own_proxy.url}/{own.name.rpartition('/')[2]}")
    here.put_attachment("a", "big", content)
    here.replicate_to(remote)
    assert 200_000 < own_proxy.bytes_sent < 210_000
    # An edit, and another attachment: only that travels.
    own_proxy.bytes_sent = 0
    here.put({**here.get("a"), "edited": True})
    assert here.replicate_to(remote)["docs_written"] == 1
    assert own_proxy.bytes_sent < 10_000
    own_proxy.bytes_sent = 0
    here.put_attachment("a", "small", small, rev=here.get("a")["_rev"])
    here.replicate_to(remote)
    assert 30_000 < own_proxy.bytes_sent < 40_000
    assert leaves(here) == leaves(own)
    # The other way.
    own_proxy.bytes_received = 0
    own.put({**own.get("a"), "edited": "again"})
    assert here.replicate_from(remote)["docs_written"] == 1
    assert own_proxy.bytes_received < 10_000
    own.put_attachment("a", "third", small[::-1], rev=own.get("a")["_rev"])
    here.replicate_from(remote)
    assert 30_000 < own_proxy.bytes_received < 45_000
    assert leaves(here) == leaves(own)
    assert here.get_attachment("a", "big")["data"] == own.get_attachment("a", "big")["data"] == content


# -- faults ----------------------------------------------------------------------------------------


def mixed(db: SyncPouchDB, seed: int, count: int = 80) -> None:
    """Documents that are edited, deleted, in conflict, and that have attachments."""
    chance = random.Random(seed)
    db.bulk_docs([{"_id": f"{seed}-{number:03}", "text": "x" * chance.randrange(500)} for number in range(count)])
    for number in range(0, count, 7):
        db.put({**db.get(f"{seed}-{number:03}"), "edited": True})
    db.remove(db.get(f"{seed}-001"))
    for leaf in "bcd":
        db.bulk_docs([{"_id": f"conflict {seed}", "_revisions": {"start": 2, "ids": [leaf, "a"]}}], new_edits=False)
    for number in range(3):
        db.put_attachment(f"é+%/{seed} {number}", "big.bin", chance.randbytes(40_000 * number + 10))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_breaks_both_sides_end_equal(
    env: SyncEnvironment,
    own: SyncPouchDB,
    own_proxy: Any,
    leaves: Leaves,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pouchdb_core.adapters.http import http_session

    monkeypatch.setattr(http_session, "FIRST_DELAY", 0.001)
    here = env["here"]
    mixed(here, 1)
    mixed(own, 2)
    union = {**leaves(here), **leaves(own)}
    remote = env.PouchDB(f"{own_proxy.url}/{own.name.rpartition('/')[2]}", timeout=1, retries=2)
    own_proxy.schedule(seed, 0.35, (*own_proxy.FAULTS, "stall"))
    options: dict[str, Any] = {"batch_size": 20, "retry": True, "back_off_function": lambda delay: 1.0}
    pushed = here.replicate_to(remote, **options)
    pulled = here.replicate_from(remote, **options)
    assert pushed["status"] == pulled["status"] == "complete"
    assert sum(1 for _, _, fault in own_proxy.seen if fault) > 3
    own_proxy.fault = lambda method, path: None
    here.sync(remote, batch_size=20)
    again = here.sync(remote, batch_size=20)
    assert (again["push"]["docs_read"], again["pull"]["docs_read"]) == (0, 0)
    assert leaves(here) == leaves(own) == union
    for id, rev in union:
        for name in union[id, rev].get("_attachments", {}):
            assert here.get_attachment(id, name, rev) == own.get_attachment(id, name, rev)
    # No full restart.
    assert pulled["docs_read"] < 3 * len(union)


def test_a_document_that_is_too_large_is_recorded_and_does_not_block(env: SyncEnvironment) -> None:
    here = env["here"]
    here.bulk_docs([{"_id": f"d{number:02}", "text": "x" * 3000} for number in range(40)])
    here.put({"_id": "huge", "text": "x" * 50_000})
    with start_server(max_body=20_000) as server:
        result = here.replicate_to(f"{server.url}/small")
        assert (result["docs_written"], result["doc_write_failures"], result["ok"]) == (40, 1, False)
        assert [(each["id"], each["status"]) for each in result["errors"]] == [("huge", 413)]
        # It is remembered, tried at each run, and goes when it fits.
        again = here.replicate_to(f"{server.url}/small")
        assert (again["docs_written"], again["doc_write_failures"]) == (0, 1)
        here.put({"_id": "huge", "_rev": here.get("huge")["_rev"], "text": "short"})
        assert here.replicate_to(f"{server.url}/small")["docs_written"] == 1
        assert here.replicate_to(f"{server.url}/small")["docs_read"] == 0
        assert len(env.PouchDB(f"{server.url}/small")) == 41


def test_a_session_that_expires_is_renewed(env: SyncEnvironment) -> None:
    """The cookie is good for a second or two; nobody notices."""
    here = env["here"]
    with start_server(admins={"bob": "pä:ss"}, session_timeout=1) as server:
        auth = {"username": "bob", "password": "pä:ss", "session": True}
        remote = env.PouchDB(f"{server.url}/notes", auth=auth)
        direct = env.PouchDB(f"{server.url.replace('//', '//bob:p%C3%A4%3Ass@')}/notes")
        arrived = threading.Semaphore(0)
        feed = here.changes(live=True).on("change", lambda row: arrived.release())
        sync = here.sync(remote, live=True)
        failed: list[Any] = []
        sync.on("error", failed.append)
        for number in range(3):
            direct.put({"_id": f"d{number}"})
            assert arrived.acquire(timeout=60), (failed, server.requests[-5:])
            # Until the cookie is too old.
            threading.Event().wait(1.2)
        logins = [asked for asked in server.requests if "/_session" in str(asked)]
        sync.cancel()
        feed.cancel()
        assert failed == []
        assert len(logins) >= 2
        assert len(here) == 3
