"""The Store contract, method by method, on a file and in memory; and how its statements are answered."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pouchdb_core.adapters.sqlite.blank_memory import blank_memory
from pouchdb_core.adapters.sqlite.memory import Memory
from pouchdb_core.adapters.sqlite.schema import initialise
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.adapters.sqlite.transactions import Connections
from pouchdb_core.documents.content import Digests
from pouchdb_core.documents.store import Content, Counters, RowChanges
from pouchdb_core.errors import DatabaseClosed, ReentrantWrite, StorageError

IDS = ["a", "b", "c", "d", "e", "f"]


def insert(store: SqliteStore, *ids: str, deleted: int = 0, conflicts: int = 0, tree: bytes | None = None) -> None:
    with store.write() as counters:
        rows = []
        for id in ids:
            body = f'{{"of":"{id}"}}'.encode()
            rows.append((counters.next_seq(), id, "1-" + "a" * 32, deleted, conflicts, tree, body))
            if deleted:
                counters.doc_del_count += 1
            else:
                counters.doc_count += 1
        store.save(RowChanges(inserted=rows))


def everything(store: SqliteStore) -> dict[str, list[Any]]:
    """Return every row of every table."""
    tables = store.connections.all("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {name: store.connections.all(f'SELECT * FROM "{name}" ORDER BY 1, 2') for (name,) in tables}


# -- counters and transactions -------------------------------------------------------------------


def test_counters_of_an_empty_store(store: SqliteStore) -> None:
    assert store.counters() == Counters()


def test_counters_are_saved_at_the_end_of_a_write(store: SqliteStore) -> None:
    with store.write() as counters:
        assert counters.next_seq() == 1
        assert counters.next_seq() == 2
        assert counters.next_pointer() == 1
        assert counters.next_attachment() == 1
        counters.doc_count, counters.doc_del_count, counters.purge_seq = 3, 4, 5
        counters.ddocs_seq, counters.revs_limit = 6, 7
    assert store.counters() == Counters(2, 3, 4, 5, 6, 1, 1, 7)
    with store.write() as counters:
        assert counters == Counters(2, 3, 4, 5, 6, 1, 1, 7)


def test_a_write_that_changes_no_counter_still_commits(store: SqliteStore) -> None:
    with store.write():
        store.put_local("_local/a", 1, b"{}")
    assert store.local("_local/a") == (1, b"{}")


def test_nested_writes_are_one(store: SqliteStore) -> None:
    with store.write() as outer:
        outer.next_seq()
        with store.write() as inner:
            assert inner is outer
            inner.next_seq()
            store.put_local("_local/a", 1, b"{}")
        outer.next_seq()
    assert store.counters().update_seq == 3
    assert store.local("_local/a") == (1, b"{}")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StorageError, GeneratorExit])
@pytest.mark.parametrize("nested", [False, True], ids=["outer", "nested"])
def test_an_exception_leaves_rows_and_counters_untouched(
    store: SqliteStore, error: type[BaseException], nested: bool
) -> None:
    insert(store, *IDS)
    before = everything(store)

    def fail() -> None:
        with store.write() as counters:
            counters.next_seq()
            insert(store, "new")
            store.put_local("_local/a", 1, b"{}")
            store.set_metadata("key", "value")
            store.add_content(Digests(b"abc"), [b"abc"])
            store.add_purge(1, "a", ["1-a"], 10)
            if nested:
                with store.write():
                    raise error("on purpose")
            raise error("on purpose")

    for _ in range(2):
        with pytest.raises(error, match="on purpose"):
            fail()
        assert everything(store) == before
        assert store.counters().update_seq == len(IDS)
    insert(store, "new")
    assert store.counters().update_seq == len(IDS) + 1


def test_what_an_inner_write_did_goes_with_the_outer_one(store: SqliteStore) -> None:
    def fail() -> None:
        with store.write():
            insert(store, "inner")
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert store.heads(["inner"]) == {}
    assert store.counters() == Counters()


def test_an_error_of_the_store_that_someone_caught_still_undoes_the_write(store: SqliteStore) -> None:
    insert(store, "a")
    before = everything(store)

    def write() -> None:
        with store.write():
            insert(store, "b")
            with pytest.raises(StorageError):
                store.save(RowChanges(inserted=[(99, "a", "1-a", 0, 0, None, b"{}")]))
            insert(store, "c")

    with pytest.raises(StorageError, match="UNIQUE"):
        write()
    assert everything(store) == before
    insert(store, "b")
    assert set(store.heads(["a", "b", "c"])) == {"a", "b"}


def test_rows_are_visible_to_their_writer_at_once(store: SqliteStore) -> None:
    with store.write():
        insert(store, "a")
        assert set(store.heads(["a"])) == {"a"}
        assert store.row("a") is not None


def test_a_write_inside_a_snapshot(store: SqliteStore) -> None:
    """As a signal handler does: on a file the snapshot stands still, in memory nobody writes meanwhile."""
    in_memory = isinstance(store.connections, Memory)
    with store.snapshot():
        assert store.counters().update_seq == 0
        if in_memory:
            with pytest.raises(ReentrantWrite):
                insert(store, "a")
        else:
            insert(store, "a")
        assert store.counters().update_seq == 0
    if in_memory:
        insert(store, "a")
    assert store.counters().update_seq == 1


# -- documents -----------------------------------------------------------------------------------


def test_one_row(store: SqliteStore) -> None:
    insert(store, "a", tree=b"tree")
    insert(store, "gone", deleted=1)
    assert store.row("a") == (1, "a", "1-" + "a" * 32, 0, b"tree", b'{"of":"a"}')
    assert store.row("gone") == (2, "gone", "1-" + "a" * 32, 1, None, b'{"of":"gone"}')
    assert store.row("missing") is None


def test_heads_and_rows_return_what_exists(store: SqliteStore) -> None:
    insert(store, *IDS)
    wanted = ["c", "missing", "a", "c", ""]
    assert store.heads(wanted) == {"a": (1, "1-" + "a" * 32, 0, None), "c": (3, "1-" + "a" * 32, 0, None)}
    assert store.rows(wanted) == {"a": store.row("a"), "c": store.row("c")}
    assert store.heads([]) == store.rows([]) == {}


def test_many_thousand_ids_at_once(store: SqliteStore) -> None:
    ids = [f"{n:06}" for n in range(40_000)]
    insert(store, *ids)
    assert len(store.heads(ids)) == len(store.rows(ids)) == len(ids)


STRANGE = [
    "\0",
    "a\0",
    "a\0b",
    "a\0c",
    "\0\0",
    "a",
    "a\\u0000",
    "a\\u0000b",
    "\\",
    '"',
    "'",
    "\n",
    "é",
    "e\u0301",
    "É",
    "日本",
    "\U0001f600",
    "\ufeff",
    "\ufffe",
    "\uffff",
    "\U0010ffff",
    "1",
    "01",
    "1.0",
    "1e3",
    "null",
    "true",
    "[]",
    "x" * 100_000,
    " ",
    "_design/a",
]


def test_ids_of_any_characters(store: SqliteStore) -> None:
    insert(store, *STRANGE)
    assert set(store.heads(STRANGE)) == set(STRANGE)
    for id, row in store.rows(STRANGE).items():
        assert store.row(id) == row
        assert row[1] == id
    for id in STRANGE:
        assert set(store.heads([id])) == {id}
        assert store.heads([id + "?"]) == {}
        assert store.count_before(id, inclusive=False, descending=False) == sorted(STRANGE).index(id)
    assert [row[1] for row in store.scan_ids(None, None, limit=100)] == sorted(STRANGE)


def test_a_blank_database_is_as_its_migrations_make_it() -> None:
    def schema(memory: Memory) -> list[object]:
        pragmas = [memory.one(f"PRAGMA {name}")[0] for name in ("application_id", "user_version", "auto_vacuum")]
        return [*pragmas, *memory.all("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")]

    pragmas = (("auto_vacuum", "INCREMENTAL"),)
    migrated = Memory("migrated", pragmas=pragmas)
    initialise(migrated, "a")
    one, other = blank_memory("one", "a", pragmas=pragmas), blank_memory("other", "b", pragmas=pragmas)
    try:
        assert schema(one) == schema(other) == schema(migrated)
        stores = [SqliteStore(each) for each in (one, other, migrated)]
        assert [store.metadata("name") for store in stores] == ["a", "b", "a"]
        for key in ("uuid", "epoch"):
            assert len({store.metadata(key) for store in stores}) == 3
        insert(stores[0], "x")
        assert stores[1].counters().update_seq == 0
    finally:
        for each in (one, other, migrated):
            each.close()


texts = st.text(st.characters(exclude_categories=["Cs"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.sets(texts, min_size=1, max_size=20), st.data())
def test_ids_are_found_and_ordered_by_code_point(ids: set[str], data: st.DataObject) -> None:
    memory = blank_memory("test", "test")
    store = SqliteStore(memory)
    try:
        insert(store, *ids)
        wanted = data.draw(st.lists(st.sampled_from(sorted(ids)) | texts))
        assert set(store.heads(wanted)) == set(store.rows(wanted)) == set(wanted) & ids
        start, end = data.draw(texts), data.draw(st.sampled_from(sorted(ids)))
        assert [row[1] for row in store.scan_ids(start, end, limit=100)] == sorted(i for i in ids if start <= i <= end)
    finally:
        memory.close()


def test_save_applies_its_parts_in_their_order(store: SqliteStore) -> None:
    insert(store, "stays", "updated", "touched", "purged")
    with store.write() as counters:
        counters.update_seq = 6
        store.save(
            RowChanges(
                moved=[(1, 2)],
                removed=[(2,), (4,)],
                touched=[(5, 1, b"tree", 3)],
                inserted=[(6, "updated", "2-" + "b" * 32, 1, 0, b"tree", b"new")],
                bodies=[(2, "touched", b"loser"), (3, "touched", b"dropped at once")],
                dropped=[(3,)],
            )
        )
    assert [row[:5] for row in store.scan_seqs(0, 100, limit=10)] == [
        (1, "stays", "1-" + "a" * 32, 0, None),
        (5, "touched", "1-" + "a" * 32, 0, b"tree"),
        (6, "updated", "2-" + "b" * 32, 1, b"tree"),
    ]
    assert store.body(1) == b'{"of":"updated"}'
    assert store.body(2) == b"loser"
    assert store.body(3) is None
    assert store.row("touched")[5] == b'{"of":"touched"}'  # type: ignore[index]
    assert store.conflicted("", 10) == ["touched"]
    assert store.bodies_after(0, 10) == [(1, "updated"), (2, "touched")]


SCANS: list[tuple[dict[str, Any], str]] = [
    ({}, "abde"),
    ({"descending": True}, "edba"),
    ({"start": "b"}, "bde"),
    ({"start": "b", "include_start": False}, "de"),
    ({"end": "d"}, "abd"),
    ({"end": "d", "include_end": False}, "ab"),
    ({"start": "b", "end": "d"}, "bd"),
    ({"start": "c", "end": "c"}, ""),  # deleted
    ({"start": "d", "end": "b"}, ""),
    ({"start": "d", "end": "b", "descending": True}, "db"),
    ({"start": "d", "end": "b", "descending": True, "include_start": False}, "b"),
    ({"start": "d", "end": "b", "descending": True, "include_end": False}, "d"),
    ({"start": "b", "end": "d", "descending": True}, ""),
    ({"limit": 2}, "ab"),
    ({"limit": 2, "skip": 1}, "bd"),
    ({"limit": 2, "skip": 3}, "e"),
    ({"skip": 10}, ""),
    ({"limit": 0}, ""),
    ({"start": "aa"}, "bde"),
    ({"start": "", "end": "\U0010ffff"}, "abde"),
]


@pytest.mark.parametrize(("options", "expected"), SCANS)
@pytest.mark.parametrize("bodies", [False, True])
def test_scan_ids(store: SqliteStore, options: dict[str, Any], expected: str, bodies: bool) -> None:
    insert(store, "d", "a")
    insert(store, "c", deleted=1)
    insert(store, "e", "b")
    wanted = {"start": None, "end": None, "limit": 100, **options}
    rows = store.scan_ids(wanted.pop("start"), wanted.pop("end"), bodies=bodies, **wanted)
    assert "".join(row[1] for row in rows) == expected
    assert all((row[5] is not None) is bodies for row in rows)
    assert [row[:5] for row in rows] == [store.row(row[1])[:5] for row in rows]  # type: ignore[index]


@pytest.mark.parametrize(
    ("id", "inclusive", "descending", "expected"),
    [
        ("a", False, False, 0),
        ("a", True, False, 1),
        ("c", False, False, 2),
        ("c", True, False, 2),  # deleted
        ("e", True, False, 4),
        ("e", False, True, 0),
        ("b", False, True, 2),
        ("b", True, True, 3),
        ("", True, False, 0),
        ("z", False, False, 4),
    ],
)
def test_count_before(store: SqliteStore, id: str, inclusive: bool, descending: bool, expected: int) -> None:
    insert(store, "d", "a")
    insert(store, "c", deleted=1)
    insert(store, "e", "b")
    assert store.count_before(id, inclusive=inclusive, descending=descending) == expected


@pytest.mark.parametrize(
    ("after", "before", "limit", "descending", "expected"),
    [
        (0, 100, 100, False, [1, 2, 3, 4, 5, 6]),
        (0, 100, 100, True, [6, 5, 4, 3, 2, 1]),
        (2, 5, 100, False, [3, 4]),
        (2, 5, 100, True, [4, 3]),
        (0, 100, 2, False, [1, 2]),
        (0, 100, 2, True, [6, 5]),
        (6, 100, 100, False, []),
        (0, 1, 100, False, []),
        (0, 2**63 - 1, 100, False, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_scan_seqs(
    store: SqliteStore, after: int, before: int, limit: int, descending: bool, expected: list[int]
) -> None:
    insert(store, "f", "e", "d")
    insert(store, "c", deleted=1)
    insert(store, "b", "a")
    for bodies in (False, True):
        rows = store.scan_seqs(after, before, limit=limit, descending=descending, bodies=bodies)
        assert [row[0] for row in rows] == expected
        assert all((row[5] is not None) is bodies for row in rows)


def test_paging_by_key_sees_every_row_once(store: SqliteStore) -> None:
    ids = [f"{n:03}" for n in range(257)]
    insert(store, *ids)
    seen: list[str] = []
    start: str | None = None
    while page := store.scan_ids(start, None, include_start=start is None, limit=50):
        seen += [row[1] for row in page]
        start = page[-1][1]
    assert seen == ids
    seqs: list[int] = []
    while found := store.scan_seqs(seqs[-1] if seqs else 0, 1000, limit=50):
        seqs += [row[0] for row in found]
    assert seqs == list(range(1, 258))


def test_conflicted_in_pages(store: SqliteStore) -> None:
    insert(store, "c", "a", "b", conflicts=1, tree=b"t")
    insert(store, "calm")
    insert(store, "d", conflicts=3, tree=b"t")
    assert store.conflicted("", 2) == ["a", "b"]
    assert store.conflicted("b", 2) == ["c", "d"]
    assert store.conflicted("d", 2) == []


def test_bodies_in_pages(store: SqliteStore) -> None:
    insert(store, "a")
    with store.write():
        store.save(RowChanges(bodies=[(3, "a", b"3"), (1, "a", b"1"), (2, "b", b"2")]))
    assert store.bodies_after(0, 2) == [(1, "a"), (2, "b")]
    assert store.bodies_after(2, 2) == [(3, "a")]
    assert store.bodies_after(3, 2) == []
    assert [store.body(pointer) for pointer in (1, 2, 3, 4)] == [b"1", b"2", b"3", None]


# -- attachments ---------------------------------------------------------------------------------


def add(store: SqliteStore, *pieces: bytes) -> Content:
    return store.add_content(Digests(b"".join(pieces)), iter(pieces))


def chunk(store: SqliteStore, content: Content, index: int = 0) -> bytes | None:
    found = store.attachment_chunk(content.number, index)
    assert found is None or found[1] == zlib.crc32(found[0])
    return None if found is None else found[0]


def test_attachments_in_pieces(store: SqliteStore) -> None:
    insert(store, "a")
    with store.write() as counters:
        content = add(store, b"abc", b"def")
        assert counters.last_attachment == content.number
        store.save(RowChanges(uses=[("a", "1-a", "name", content.number)]))
    assert content == (1, 6, Digests(b"abcdef").md5, Digests(b"abcdef").sha256)
    assert store.attachment("a", "1-a", "name") == store.content(content.sha256 or b"") == content
    assert store.attachments("a", "1-a") == {"name": content}
    assert store.attachment("a", "1-a", "other") is store.attachment("a", "1-b", "name") is store.content(b"x") is None
    assert (store.contents(content.md5), store.contents("md5-y")) == ([content], [])
    assert [chunk(store, content, index) for index in range(3)] == [b"abc", b"def", None]
    assert store.attachment_chunk(content.number + 1, 0) is None
    assert [store.has_content(content.number + number) for number in range(2)] == [True, False]
    assert store.content_after(0, 5) == [(content, "a", "name")]
    assert store.content_after(content.number, 5) == []


def test_an_empty_attachment(store: SqliteStore) -> None:
    with store.write():
        content = add(store)
    assert store.content(content.sha256 or b"") == content
    assert content.length == 0
    assert chunk(store, content) is None


def test_content_goes_with_its_last_use(store: SqliteStore) -> None:
    insert(store, "a", "b")
    with store.write():
        one, other = add(store, b"1"), add(store, b"2")
        uses = [("a", "1-a", "x", one), ("a", "1-a", "y", other), ("b", "1-b", "x", one), ("b", "1-b", "y", one)]
        store.save(RowChanges(uses=[(*use, content.number) for *use, content in uses]))  # type: ignore[misc]
    with store.write():
        store.save(RowChanges(unused=[("a", "1-a"), ("a", "1-unknown")]))
    assert chunk(store, one) == b"1"
    assert store.contents(other.md5) == []
    assert chunk(store, other) is None
    with store.write():
        # Moved from one revision to another in one write: kept.
        store.save(RowChanges(uses=[("b", "2-b", "x", one.number)], unused=[("b", "1-b")]))
    assert store.attachment("b", "2-b", "x") == one
    with store.write():
        store.save(RowChanges(unused=[("b", "2-b")]))
    assert store.contents(one.md5) == []
    with store.write():
        assert add(store, b"1").number == other.number + 1
    assert store.counters().last_attachment == other.number + 1


def test_two_contents_of_one_md5(store: SqliteStore) -> None:
    """The store does not look whether they are: it believes the digests it is given."""

    class Same(Digests):
        md5 = "md5-same"

    with store.write():
        contents = [store.add_content(Same(text), [text]) for text in (b"1", b"2")]
    assert store.contents("md5-same") == contents
    assert [chunk(store, content) for content in contents] == [b"1", b"2"]


def test_a_source_that_fails_leaves_no_content(store: SqliteStore) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"abc"
        raise OSError("unplugged")

    def fail() -> None:
        with store.write():
            store.add_content(Digests(b"abcdef"), pieces())

    with pytest.raises(OSError, match="unplugged"):
        fail()
    assert store.contents(Digests(b"abcdef").md5) == []
    assert store.counters().last_attachment == 0


# -- local documents, metadata, purges -----------------------------------------------------------


def test_local_documents(store: SqliteStore) -> None:
    with store.write():
        store.put_local("_local/a", 1, b"one")
        store.put_local("_local/a", 2, b"two")
        store.put_local("_local/b\0c", 1, b"b")
    assert store.local("_local/a") == (2, b"two")
    assert store.local("_local/b\0c") == (1, b"b")
    with store.write():
        store.remove_local("_local/a")
        store.remove_local("_local/missing")
    assert store.local("_local/a") is None
    assert store.counters() == Counters()


def test_metadata(store: SqliteStore) -> None:
    assert store.metadata("key") is None
    for value in ("text", 1, {"a": [None, True]}, None):
        with store.write():
            store.set_metadata("key", value)
        assert store.metadata("key") == value
    assert store.metadata("name") == "test"
    assert len(store.metadata("uuid")) == len(store.metadata("epoch")) == 32
    assert store.metadata("uuid") != store.metadata("epoch")


def test_purges_are_logged_and_forgotten(store: SqliteStore) -> None:
    with store.write():
        for purge_seq in range(1, 6):
            store.add_purge(purge_seq, f"id{purge_seq}", ["2-b", "1-a"], keep=3)
    assert store.purges(0, 10) == [(n, f"id{n}", ["2-b", "1-a"]) for n in (3, 4, 5)]
    assert store.purges(3, 1) == [(4, "id4", ["2-b", "1-a"])]
    assert store.purges(5, 10) == []


# -- isolation -----------------------------------------------------------------------------------


@contextmanager
def in_thread(function: Callable[[], Any]) -> Iterator[threading.Thread]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_a_snapshot_of_a_file_stands_still_while_another_thread_writes(open_store: Callable[..., SqliteStore]) -> None:
    store = open_store()
    insert(store, "a")
    with store.snapshot():
        # The state is that of the first read.
        assert store.counters().update_seq == 1
        with in_thread(lambda: insert(store, "b")):
            pass
        assert store.counters().update_seq == 1
        assert store.row("b") is None
        with store.snapshot():
            assert store.heads(["a", "b"]).keys() == {"a"}
        assert store.row("b") is None
    assert store.counters().update_seq == 2
    assert store.row("b") is not None


def test_a_snapshot_in_memory_holds_writers_back(store: SqliteStore) -> None:
    if not isinstance(store.connections, Memory):
        pytest.skip("about memory")
    insert(store, "a")
    written = threading.Event()

    def write() -> None:
        insert(store, "b")
        written.set()

    with store.snapshot():
        thread = threading.Thread(target=write)
        thread.start()
        assert not written.wait(0.05)
        assert store.row("b") is None
    assert written.wait(30)
    thread.join()
    assert store.row("b") is not None


def test_half_a_transaction_is_never_seen(store: SqliteStore) -> None:
    begun, seen, looked = threading.Event(), [], threading.Event()

    def look() -> None:
        begun.wait(30)
        with store.snapshot():
            seen.append((len(store.scan_ids(None, None, limit=1000)), store.counters().doc_count))
        looked.set()

    with in_thread(look), store.write():
        insert(store, *(f"{n:03}" for n in range(100)))
        begun.set()
        if not isinstance(store.connections, Memory):
            # A reader of a file is not held back by a writer.
            assert looked.wait(30)
        insert(store, *(f"{n:03}" for n in range(100, 200)))
    assert seen in ([(0, 0)], [(200, 200)])


def test_an_exception_ends_a_snapshot(store: SqliteStore) -> None:
    def fail() -> None:
        with store.snapshot():
            store.counters()
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    insert(store, "a")
    assert store.counters().update_seq == 1


# -- the end -------------------------------------------------------------------------------------


CALLS: dict[str, Callable[[SqliteStore], Any]] = {
    "counters": lambda store: store.counters(),
    "write": lambda store: insert(store, "z"),
    "snapshot": lambda store: store.snapshot().__enter__() or store.counters(),
    "row": lambda store: store.row("a"),
    "heads": lambda store: store.heads(["a"]),
    "scan_ids": lambda store: store.scan_ids(None, None, limit=1),
    "metadata": lambda store: store.metadata("uuid"),
    "sizes": lambda store: store.sizes(),
    "shrink": lambda store: store.shrink(),
    "problems": lambda store: store.problems(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_after_close_every_call_says_so(store: SqliteStore, call: Callable[[SqliteStore], Any]) -> None:
    insert(store, "a")
    store.close()
    store.close()
    with pytest.raises(DatabaseClosed) as caught:
        call(store)
    assert caught.value.status == 500


# -- query plans ---------------------------------------------------------------------------------


class Plans:
    """Stands in for connections, and notes how SQLite would answer each statement."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.plans: list[str] = []

    def explain(self, sql: str, params: Any) -> None:
        if sql.startswith(("SELECT", "DELETE", "UPDATE", "INSERT")):
            rows = self.connections.all("EXPLAIN QUERY PLAN " + sql, params)
            self.plans.append(" / ".join(detail for *_, detail in rows))

    def note(self, call: Callable[[SqliteStore], Any]) -> list[str]:
        store = SqliteStore(self.connections)

        def noted(function: Any, first: bool = False) -> Any:
            def run(sql: str, params: Any = ()) -> Any:
                params = list(params)
                if not first:
                    self.explain(sql, params)
                elif params:
                    self.explain(sql, params[0])
                return function(sql, params)

            return run

        store._one, store._all = noted(store._one), noted(store._all)
        store._run, store._many = noted(store._run), noted(store._many, first=True)
        call(store)
        return self.plans


def saved(changes: RowChanges) -> Callable[[SqliteStore], None]:
    def save(store: SqliteStore) -> None:
        with store.write():
            store.save(changes)

    return save


def removed_local(store: SqliteStore) -> None:
    with store.write():
        store.remove_local("a")


BY_ID = "USING INDEX documents_id"
BY_SEQ = "documents USING INTEGER PRIMARY KEY"
USES = "USING PRIMARY KEY (id=? AND rev=?"
OF_USE = "SEARCH a USING INTEGER PRIMARY KEY (rowid=?)"
CHUNKS = "attachment_chunks USING INDEX sqlite_autoindex_attachment_chunks_1"

PLANS: list[tuple[str, Callable[[SqliteStore], Any], str]] = [
    ("row", lambda s: s.row("a"), f"SEARCH documents {BY_ID} (id=?)"),
    ("one head", lambda s: s.heads(["a"]), f"SEARCH d {BY_ID} (id=?)"),
    ("heads", lambda s: s.heads(["a", "b"]), f"SCAN j VIRTUAL TABLE INDEX 1: / SEARCH d {BY_ID} (id=?)"),
    ("rows", lambda s: s.rows(["a", "b"]), f"SCAN j VIRTUAL TABLE INDEX 1: / SEARCH d {BY_ID} (id=?)"),
    ("body", lambda s: s.body(1), "SEARCH bodies USING INTEGER PRIMARY KEY (rowid=?)"),
    ("all ids", lambda s: s.scan_ids(None, None, limit=9), f"SCAN documents {BY_ID}"),
    ("ids down", lambda s: s.scan_ids(None, None, limit=9, descending=True), f"SCAN documents {BY_ID}"),
    ("ids from", lambda s: s.scan_ids("a", None, limit=9), f"SEARCH documents {BY_ID} (id>?)"),
    ("ids between", lambda s: s.scan_ids("a", "b", limit=9), f"SEARCH documents {BY_ID} (id>? AND id<?)"),
    (
        "ids between, down, with bodies",
        lambda s: s.scan_ids("b", "a", limit=9, descending=True, bodies=True),
        f"SEARCH documents {BY_ID} (id>? AND id<?)",
    ),
    (
        "count before",
        lambda s: s.count_before("a", inclusive=True, descending=False),
        f"SEARCH documents {BY_ID} (id<?)",
    ),
    ("seqs", lambda s: s.scan_seqs(0, 9, limit=9), f"SEARCH {BY_SEQ} (rowid>? AND rowid<?)"),
    (
        "seqs, down, with bodies",
        lambda s: s.scan_seqs(0, 9, limit=9, descending=True, bodies=True),
        f"SEARCH {BY_SEQ} (rowid>? AND rowid<?)",
    ),
    ("conflicted", lambda s: s.conflicted("", 9), "SEARCH documents USING INDEX documents_conflicted (id>?)"),
    ("bodies after", lambda s: s.bodies_after(0, 9), "SEARCH bodies USING INTEGER PRIMARY KEY (rowid>?)"),
    ("attachment", lambda s: s.attachment("a", "1-a", "x"), f"SEARCH u {USES} AND name=?) / {OF_USE}"),
    ("attachments", lambda s: s.attachments("a", "1-a"), f"SEARCH u {USES}) / {OF_USE}"),
    ("content", lambda s: s.content(b"x"), "SEARCH a USING INDEX sqlite_autoindex_attachments_1 (sha256=?)"),
    ("contents", lambda s: s.contents("x"), "SEARCH a USING INDEX attachments_digest (digest=?)"),
    ("chunk", lambda s: s.attachment_chunk(1, 0), f"SEARCH {CHUNKS} (attachment=? AND position=?)"),
    (
        "local",
        lambda s: s.local("a"),
        "SEARCH local_documents USING INDEX sqlite_autoindex_local_documents_1 (id=?)",
    ),
    ("metadata", lambda s: s.metadata("a"), "SEARCH metadata USING INDEX sqlite_autoindex_metadata_1 (key=?)"),
    ("purges", lambda s: s.purges(0, 9), "SEARCH purges USING INTEGER PRIMARY KEY (rowid>?)"),
]


@pytest.mark.parametrize(("call", "expected"), [case[1:] for case in PLANS], ids=[case[0] for case in PLANS])
def test_how_a_read_is_answered(store: SqliteStore, call: Callable[[SqliteStore], Any], expected: str) -> None:
    insert(store, *IDS)
    assert Plans(store.connections).note(call) == [expected]


def test_ids_with_nul_are_looked_up_one_by_one(store: SqliteStore) -> None:
    plans = Plans(store.connections).note(lambda store: store.heads(["\0", "a", "b", "\0\0"]))
    one, all = f"SEARCH d {BY_ID} (id=?)", f"SCAN j VIRTUAL TABLE INDEX 1: / SEARCH d {BY_ID} (id=?)"
    # In whatever order: those with a NUL alone, the others together.
    assert sorted(plans) == sorted([one, one, all])


WRITES: list[tuple[str, Callable[[SqliteStore], Any]]] = [
    ("moved", saved(RowChanges(moved=[(50, 1)]))),
    ("removed", saved(RowChanges(removed=[(1,)]))),
    ("touched", saved(RowChanges(touched=[(50, 0, None, 1)]))),
    ("dropped", saved(RowChanges(dropped=[(1,)]))),
    ("unused", saved(RowChanges(unused=[("a", "1-a")]))),
    ("remove local", removed_local),
]


@pytest.mark.parametrize("call", [case[1] for case in WRITES], ids=[case[0] for case in WRITES])
def test_no_write_scans_a_table(store: SqliteStore, call: Callable[[SqliteStore], Any]) -> None:
    insert(store, *IDS)
    with store.write():
        number = add(store, b"x").number
        store.save(RowChanges(uses=[("a", "1-a", "name", number)], bodies=[(1, "a", b"{}")]))
    plans = [plan for plan in Plans(store.connections).note(call) if "counters" not in plan]
    assert any(plans)
    for plan in plans:
        assert "SCAN" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan
