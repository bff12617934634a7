"""What notebooks show."""

from __future__ import annotations

import asyncio
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest

import pouchdb
from pouchdb.notebook import revision_tree
from pouchdb_core.results import Record, record


@pytest.fixture
def db() -> Iterator[pouchdb.SyncPouchDB]:
    with pouchdb.setup(":memory:", plugins=[]) as env:
        yield env["notes"]


def test_documents_are_fields_and_answers_tables(db: pouchdb.SyncPouchDB) -> None:
    db.put({"_id": "<b>", "text": "<script>alert(1)</script>", "n": 1, "list": [1, {"a": None}], "none": None})
    shown = db["<b>"]._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<th>_id</th>" in shown
    listing = db.all_docs(include_docs=True)._repr_html_()
    assert listing.startswith("<table><thead><tr><th>id</th><th>key</th><th>value</th><th>doc</th>")
    assert "total_rows 1" in listing
    assert "<b>" not in listing


def test_only_so_much_is_shown() -> None:
    rows = [{"id": str(n), "value": "x" * 1000} for n in range(200)]
    shown = record({"rows": rows})._repr_html_()
    assert shown.count("<tr>") == 51
    assert "50 of 200 rows" in shown
    assert len(shown) < 20_000
    assert Record()._repr_html_() == "<table><tbody></tbody></table>"
    assert "rows" in Record(rows=[])._repr_html_()
    places = Record(type="FeatureCollection", features=[{"type": "Feature", "geometry": None, "properties": {"n": 1}}])
    assert "<th>geometry</th>" in places._repr_html_()


def test_databases_and_environments(db: pouchdb.SyncPouchDB) -> None:
    db.put({"_id": "a"})
    shown = db._repr_html_()
    assert "<th>documents</th><td>1</td>" in shown
    assert "notes" in db.environment._repr_html_()  # type: ignore[attr-defined]
    remote = db.environment.PouchDB("http://127.0.0.1:9/x")
    assert "http" in remote._repr_html_(), "nothing is asked"  # type: ignore[attr-defined]
    db.close()
    assert "closed" in db._repr_html_()


def test_handles_say_what_they_do(db: pouchdb.SyncPouchDB) -> None:
    feed = db.live_changes()
    assert repr(feed) == "<Feed of 'notes', at seq 0, live>"
    feed.cancel()
    assert repr(feed) == "<Feed of 'notes', at seq 0, cancelled>"
    sync = db.sync("copy", live=True)
    assert re.fullmatch(r"<Sync of 'notes' and 'copy', (pending|active|paused)>", repr(sync))
    sync.cancel()
    assert sync.wait(20).status == "cancelled"
    assert repr(sync) == "<Sync of 'notes' and 'copy', cancelled>"
    assert repr(sync.pull) == "<Replication of 'copy' to 'notes', cancelled>"
    remote = db.replicate_to("http://ada:secret@127.0.0.1:9/x", live=True, retry=True)
    remote.cancel()
    assert "127.0.0.1:9/x" in repr(remote)
    assert "secret" not in repr(remote)


def test_asynchronous_handles_say_what_they_do() -> None:
    async def main() -> None:
        async with pouchdb.setup(":memory:", async_=True) as env:
            copied = env["notes"].replicate_to("copy")
            assert repr(copied) == "<AsyncReplication pending>"
            await copied
            assert repr(copied) == "<AsyncReplication of 'notes' to 'copy', complete>"
            feed = env["notes"].live_changes()
            assert repr(feed).startswith("<AsyncFeed of 'notes', at seq ")
            feed.cancel()

    asyncio.run(main())


def test_a_revision_tree_is_drawn(db: pouchdb.SyncPouchDB) -> None:
    db.put({"_id": "a"})
    db["a"] = {"x": 1}
    db.bulk_docs(
        [{"_id": "a", "_rev": "2-conflict", "_revisions": {"start": 2, "ids": ["conflict", "other"]}}], new_edits=False
    )
    tree = revision_tree(db, "a")
    picture = ElementTree.fromstring(tree._repr_svg_())
    titles = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "a: 4 revisions"
    assert sorted(title.partition(", ")[2] for title in titles[1:] if title) == [
        "ancestor",
        "ancestor",
        "conflict",
        "winner",
    ]
    assert "2-conflict (conflict)" in repr(tree) or "2-conflict (winner)" in repr(tree)
    with pytest.raises(pouchdb.NotFound):
        revision_tree(db, "b")


def test_a_long_history_is_cut(db: pouchdb.SyncPouchDB) -> None:
    ids = [f"{n:032x}" for n in range(500, 0, -1)]
    db.bulk_docs([{"_id": "a", "_rev": f"500-{ids[0]}", "_revisions": {"start": 500, "ids": ids}}], new_edits=False)
    assert revision_tree(db, "a")._repr_svg_().count("<circle") == 60
