"""What goes wrong around an index in files: folders, processes, disks, functions."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pouchdb_search.analysis import ORIGINAL, analyzer_of, known_analyzers
from pouchdb_search.checksums import MAGIC, TAIL, damaged_file
from pouchdb_search.schema import opened

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.errors import FunctionError
from pouchdb_core.views import indexes

INDEX = {"analyzer": "standard", "index": "function (doc) { index('default', doc.text, {store: true}); }"}
PROGRAM = """
import random, sys
import pouchdb
source = random.Random(int(sys.argv[2]))

def texts(count):
    return [" ".join(f"{source.getrandbits(40):x}" for _ in range(60)) for _ in range(count)]
"""


def filled(directory: Path, count: int, **more: Any) -> None:
    with pouchdb.setup(directory, plugins=["search"]) as env:
        for start in range(0, count, 1000):
            env["texts"].bulk_docs(
                [{"_id": f"{n:06}", "text": f"word{n} common"} for n in range(start, min(start + 1000, count))]
            )
        env["texts"].put({"_id": "_design/d", "indexes": {"i": INDEX}, **more})


def program(body: str, *arguments: Any, **options: Any) -> subprocess.Popen[str]:
    code = PROGRAM + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, **options
    )


def total(directory: Path, q: str = "*:*") -> int:
    with pouchdb.setup(directory, plugins=["search"]) as env:
        found: int = env["texts"].search("d/i", q=q).total_rows
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    filled(tmp_path, 300)
    assert total(tmp_path) == 300
    (meta,) = tmp_path.rglob("meta.json")
    return meta.parent


def test_a_folder_that_is_deleted_while_the_database_is_open(tmp_path: Path) -> None:
    filled(tmp_path, 50)
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db: Any = env["texts"]
        assert db.search("d/i", q="common").total_rows == 50
        (meta,) = tmp_path.rglob("meta.json")
        shutil.rmtree(meta.parent)
        assert db.search("d/i", q="common").total_rows == 50, "built anew at once"
        db.put({"_id": "new", "text": "common"})
        assert db.search("d/i", q="common").total_rows == 51


def test_a_folder_from_a_backup_is_built_again(tmp_path: Path, folder: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        env["texts"].bulk_docs([{"_id": f"later{n}", "text": "later"} for n in range(20)])
        env["texts"].remove(env["texts"]["000001"])
        assert env["texts"].search("d/i", q="later").total_rows == 20
    shutil.rmtree(folder)
    shutil.copytree(old, folder)
    assert total(tmp_path, "later") == 20
    assert total(tmp_path, "word1") == 0
    assert total(tmp_path) == 319


@pytest.mark.parametrize("damage", ["segments", "meta", "cut", "managed"])
def test_a_folder_that_is_damaged_is_built_again(tmp_path: Path, folder: Path, damage: str) -> None:
    if damage == "segments":
        for file in folder.glob("*.store"):
            file.unlink()
    elif damage == "cut":
        for file in folder.glob("*.term"):
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        (folder / {"meta": "meta.json", "managed": ".managed.json"}[damage]).write_text('{"segments": [')
    assert total(tmp_path, "word7") == 1
    assert total(tmp_path) == 300


def test_who_only_reads_makes_no_files(tmp_path: Path) -> None:
    """Another process may just be making them: a query as it is finds nothing in an index that is not there."""
    filled(tmp_path, 50)
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db: Any = env["texts"]
        assert db.search("d/i", q="common", update=False).total_rows == 0
        assert list(tmp_path.rglob("meta.json")) == []
        assert db.search("d/i", q="common").total_rows == 50
    (meta,) = tmp_path.rglob("meta.json")
    for file in list(meta.parent.iterdir()):
        file.unlink()
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db = env["texts"]
        assert db.search("d/i", q="common", update=False).total_rows == 0
        assert list(tmp_path.rglob("meta.json")) == []
        assert db.search("d/i", q="common").total_rows == 50
        assert db.search("d/i", q="common", update=False).total_rows == 50


def test_a_reader_beside_a_process_that_builds_again_and_again(tmp_path: Path) -> None:
    """The folder is emptied and filled; the reader finds all, a part or nothing, never an error, and spoils nothing."""
    filled(tmp_path, 300)
    body = """
    import shutil
    from pathlib import Path
    with pouchdb.setup(sys.argv[1], plugins=["search"]) as env:
        db = env["texts"]
        for _ in range(40):
            assert db.search("d/i", q="common").total_rows == 300
            print(db.search("d/i", q="common", update=False).total_rows, flush=True)
            (next(Path(sys.argv[1]).rglob("meta.json"))).unlink()
    """
    builder = program(body, tmp_path, 1)
    assert builder.stdout is not None
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db: Any = env["texts"]
        builder.stdout.readline()
        found = set()
        while builder.poll() is None:
            found.add(db.search("d/i", q="common", update=False).total_rows)
        assert builder.returncode == 0
        assert found <= {0, 300}
        assert db.search("d/i", q="common").total_rows == 300
    builder.communicate()


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def zero(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : len(content) // 3 * 2] = bytes(len(content) // 3)
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [flip, zero])
def test_a_file_that_is_damaged_inside_is_built_again(
    tmp_path: Path, folder: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Its length is right and so is its end: only a query that reads what is damaged meets it."""
    for file in folder.glob("*.store"):
        damage(file)
    assert damaged_file(folder) is not None
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db: Any = env["texts"]
        for _ in range(2):
            found = db.search("d/i", q="*:*", limit=200)
            assert (found.total_rows, {row.fields.default[-7:] for row in found.rows}) == (300, {" common"})
    assert "built anew" in caplog.text
    assert damaged_file(folder) is None


@pytest.mark.parametrize("kind", [ValueError, OSError, KeyError])
def test_errors_of_others_say_nothing_about_an_index(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    class Listed:
        """A plug-in that fails when the documents of the hits are read."""

        fails = False

        @hookimpl(tryfirst=True)
        def pouchdb_list(self, database: Any, request: Any) -> None:
            if self.fails:
                raise kind("of the plug-in")

    plugin = Listed()
    filled(tmp_path, 50)
    with pouchdb.setup(tmp_path, plugins=["search", plugin]) as env:
        db: Any = env["texts"]
        assert db.search("d/i", q="common", include_docs=True).total_rows == 50
        (meta,) = tmp_path.rglob("meta.json")
        before = meta.stat().st_mtime_ns
        plugin.fails = True
        for _ in range(2):
            with pytest.raises(kind, match="of the plug-in"):
                db.search("d/i", q="common", include_docs=True)
        assert meta.stat().st_mtime_ns == before
    assert "damaged" not in caplog.text


def test_an_index_that_is_dropped_while_it_is_built(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its folder goes; the query is answered by the index that the design document has now, which is not given up."""
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db: Any = env["texts"]
        db.bulk_docs([{"_id": f"{n:04}", "text": f"common word{n}"} for n in range(3000)])
        index = {"analyzer": "standard", "index": "words"}
        db.put({"_id": "_design/d", "language": "python", "indexes": {"i": index}})
        asked: list[str] = []

        @env.register_function("words")
        def words(doc: Any) -> Any:
            asked.append(doc["_id"])
            if len(asked) == 1500:
                db.put({**db["_design/d"], "indexes": {"i": {**index, "analyzer": "whitespace"}}})
                db.view_cleanup()
            yield "default", doc["text"]

        assert db.search("d/i", q="common").total_rows == 3000
        assert len(asked) > 3000
    assert "is damaged" not in caplog.text


def test_a_file_that_is_damaged_is_met_by_a_build(tmp_path: Path, folder: Path) -> None:
    for file in folder.glob("*.store"):
        flip(file)
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db: Any = env["texts"]
        for n in range(20):
            db.put({**db[f"{n:06}"], "text": "changed common"})
            assert db.search("d/i", q="changed", limit=200).total_rows == n + 1
        assert len(db.search("d/i", q="*:*", limit=200).rows) == 200
    assert total(tmp_path, "common") == 300


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 7, b"\0" * 100, b"x" + TAIL.pack(2, MAGIC), b"{}" + TAIL.pack(2, MAGIC), b"[]" + TAIL.pack(9, MAGIC)],
)
def test_what_is_no_file_of_tantivy(tmp_path: Path, content: bytes) -> None:
    assert damaged_file(tmp_path) is None
    (tmp_path / "a.store").write_bytes(content)
    assert damaged_file(tmp_path) == tmp_path / "a.store"


def test_a_process_without_descriptors_builds_nothing_anew(tmp_path: Path, folder: Path) -> None:
    """Not to be able to read an index does not say that it is damaged."""
    pytest.importorskip("resource", reason="the platform limits no files")
    body = """
    import os, resource
    with pouchdb.setup(sys.argv[1], plugins=["search"]) as env:
        db = env["texts"]
        db.get("000001")
        files = []
        limit = len(os.listdir("/dev/fd")) - 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        try:
            db.search("d/i", q="common")
        except pouchdb.PouchDBError as error:
            print(error.name)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        print(db.search("d/i", q="common").total_rows)
    """
    before = (folder / "meta.json").stat()
    process = program(body, tmp_path, 1)
    assert process.communicate(timeout=60)[0].split() == ["too_many_open_files", "300"]
    after = (folder / "meta.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_no_thread_watches_the_folder(tmp_path: Path) -> None:
    """It would read it while another process removes it, and leave a lock file there."""
    filled(tmp_path, 300)
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        db: Any = env["texts"]
        db.search("d/i", q="common")
        follower = indexes(db).named(db, ("indexes",), "d", "i")
        assert follower is not None
        index: Any = follower.index
        searcher = index.index.searcher()
        writer = opened(index.place.directory, index.schema).writer(15_000_000, 1)
        writer.delete_documents_by_term("id", "000001")
        writer.commit()
        assert index.index.searcher().num_docs == searcher.num_docs, "only a query reads what is new"
        index.index.reload()
        assert index.index.searcher().num_docs == searcher.num_docs - 1


def test_two_processes_build_one_index(tmp_path: Path) -> None:
    filled(tmp_path, 4000)
    body = """
    with pouchdb.setup(sys.argv[1], plugins=["search"]) as env:
        db = env["texts"]
        for n in range(4):
            db.put({"_id": f"{sys.argv[2]}-{n}", "text": "extra"})
            print(db.search("d/i", q="extra common").total_rows, flush=True)
    """
    both = [program(body, tmp_path, number) for number in (1, 2)]
    outputs = [process.communicate(timeout=120)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for output in outputs:
        counts = list(map(int, output))
        assert len(counts) == 4
        assert counts == sorted(counts)
        assert 4001 <= counts[0] <= counts[-1] <= 4008
    assert total(tmp_path, "extra") == 8
    assert total(tmp_path) == 4008


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the platform cannot kill")
def test_a_builder_that_is_killed(tmp_path: Path) -> None:
    filled(tmp_path, 6000)
    body = """
    from pouchdb_search import text_index
    text_index.TextIndex.batch_documents = 1000
    with pouchdb.setup(sys.argv[1], plugins=["search"]) as env:
        db = env["texts"]
        db.on("indexing", lambda event: print(event["indexed_docs"], flush=True))
        db.search("d/i", q="x")
    """
    process = program(body, tmp_path, 1)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert 0 < int(first) < 6000, "in the middle of building"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert total(tmp_path) == 6000
    assert total(tmp_path, "word5999") == 1


@pytest.mark.parametrize(("limit", "count"), [(200_000, 3000), (600_000, 10_000)])
def test_a_disk_that_is_full_while_segments_are_written_or_merged(tmp_path: Path, limit: int, count: int) -> None:
    """A limit on the size of files stands for the disk: it is met by a segment, or only by merged ones."""
    pytest.importorskip("resource", reason="the platform limits no files")
    body = """
    import resource
    from pouchdb_core.errors import StorageError
    from pouchdb_search import text_index
    text_index.TextIndex.batch_documents = 1000
    with pouchdb.setup(sys.argv[1], plugins=["search"]) as env:
        for start in range(0, int(sys.argv[4]), 1000):
            env["texts"].bulk_docs([{"text": text} for text in texts(1000)])
        env["texts"].put({"_id": "_design/d", "indexes": {"i": INDEX}})
    with pouchdb.setup(sys.argv[1], plugins=["search"]) as env:
        db = env["texts"]
        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        limit(int(sys.argv[3]))
        for _ in range(2):
            try:
                print(db.search("d/i", q="*:*").total_rows)
            except StorageError as error:
                print("refused", error.status)
        limit(resource.RLIM_INFINITY)
        print(db.search("d/i", q="*:*").total_rows, flush=True)
    """
    process = program(f"INDEX = {INDEX!r}\n" + textwrap.dedent(body), tmp_path, 1, limit, count)
    output = process.communicate(timeout=300)[0].splitlines()
    assert process.returncode == 0
    # A thread of tantivy's that dies of it does not say so: then it is an error of storage.
    assert output[0] in ("refused 507", "refused 500")
    assert output[-1] == str(count), "nothing is lost, nothing comes twice"
    assert total(tmp_path) == count


@pytest.mark.parametrize(
    ("body", "endless"),
    [
        ("while (true) {}", True),
        ("var a = []; while (true) a.push(new Array(1e6).join('x'));", True),
        ("(function f() { f(); })();", False),
        ("for (;;) index('default', 'x');", True),
        ("throw {toString: function () { throw 1; }};", False),
        ("index('default', {});", False),
    ],
)
def test_hostile_functions_spoil_no_other_index(body: str, endless: bool) -> None:
    with pouchdb.setup(":memory:", plugins=["search"], js_limits={"seconds": 0.5}) as env:
        db: Any = env["texts"]
        db.bulk_docs([{"_id": "a", "text": "fox"}, {"_id": "b", "text": "fox", "bad": True}])
        source = f"function (doc) {{ index('default', doc.text); if (doc.bad) {{ {body} }} }}"
        db.put({"_id": "_design/bad", "indexes": {"i": {"analyzer": "standard", "index": source}}})
        db.put({"_id": "_design/good", "indexes": {"i": INDEX}})
        errors: list[Any] = []
        db.on("error", errors.append)
        if endless:
            # One that takes too long or too much is refused with all it would index.
            with pytest.raises(pouchdb.PouchDBError) as caught:
                db.search("bad/i", q="fox")
            assert caught.value.status >= 500
        else:
            assert [row.id for row in db.search("bad/i", q="fox").rows] == ["a"]
            assert len(errors) == 1
        assert [row.id for row in db.search("good/i", q="fox").rows] == ["a", "b"]


def test_a_build_that_fails_in_the_middle_leaves_nothing_of_its_documents(tmp_path: Path) -> None:
    """Documents are given to tantivy while others are mapped: without a commit they are dropped."""
    source = "function (doc) { if (doc.loop) for (;;) { [].sort(); } index('default', doc.text); }"
    with pouchdb.setup(tmp_path, plugins=["search"], js_limits={"seconds": 1.0}) as env:
        db: Any = env["texts"]
        db.put({"_id": "_design/d", "indexes": {"i": {"analyzer": "standard", "index": source}}})
        db.bulk_docs([{"_id": f"{n:04}", "text": f"word{n} common"} for n in range(400)])
        assert db.search("d/i", q="common").total_rows == 400
        db.bulk_docs([{"_id": f"{n:04}", "text": "common"} for n in range(400, 1400)])
        db.put({"_id": "9999", "text": "common", "loop": True})
        db.put({**db["0001"], "text": "common changed"})
        for _ in range(2):
            with pytest.raises(FunctionError):
                db.search("d/i", q="common")
            assert db.search("d/i", q="common", update=False).total_rows == 400
            assert db.search("d/i", q="word1", update=False).total_rows == 1
        db.remove(db["9999"])
        assert db.search("d/i", q="common").total_rows == 1400
        assert db.search("d/i", q="word1").total_rows == 0
        assert db.search("d/i", q="changed").total_rows == 1


LONE = "\ud800"


@pytest.mark.parametrize("kind", ["indexes", "nouveau"])
def test_lone_surrogates_spoil_no_index(kind: str) -> None:
    """They are legal in JSON, and have no UTF-8 form: one document with one of them made every search an error."""
    call = "index('default', doc.text, {store: true, facet: true})"
    if kind == "nouveau":
        call = "index('text', 'default', doc.text, {store: true}); index('string', 'whole', doc.text)"
    for_names = "for (var n in doc) if (n[0] != '_') index(" + ("'string', n" if kind == "nouveau" else "n") + ", 'x')"
    with pouchdb.setup(":memory:", plugins=["search"]) as env:
        db: Any = env["texts"]
        texts = [{"_id": "a", "text": f"fox {LONE}"}, {"_id": "b", "text": LONE}, {"_id": "c", LONE: 1, "text": "fox"}]
        db.bulk_docs(texts)
        entry = {"index": f"function (doc) {{ {call}; {for_names} }}"}
        db.put({"_id": "_design/d", kind: {"i": {**entry, "analyzer": "whitespace", "default_analyzer": "whitespace"}}})

        def rows(**options: Any) -> dict[str, Any]:
            answer = db.search("d/i", **options)
            return {row.id: row for row in answer["rows" if kind == "indexes" else "hits"]}

        found = rows(q="fox")
        # What is shown is what the document has.
        assert {id: row.fields["default"] for id, row in found.items()} == {"a": f"fox {LONE}", "c": "fox"}
        asked: list[dict[str, Any]] = [{"q": LONE}, {"q": f"{LONE}*"}, {"q": f"{LONE}~"}, {"q": f'"fox {LONE}"'}]
        if kind == "indexes":
            asked.append({"q": "*:*", "drilldown": [["default", LONE]]})
        for options in asked:
            assert {"a", "b"} & rows(**options).keys(), options
        assert rows(q=f"fox AND NOT {LONE}").keys() == {"c"}


def test_lone_surrogates_spoil_no_text_index_of_find() -> None:
    with pouchdb.setup(":memory:", plugins=["search", "find"]) as env:
        db: Any = env["texts"]
        db.bulk_docs([{"_id": "a", "text": LONE}, {"_id": "b", LONE: {LONE: "y"}}, {"_id": "c", "text": "fox"}])
        db.create_index({"index": {}, "type": "text", "ddoc": "t", "name": "t"})
        assert [doc._id for doc in db.find({"selector": {"$text": "fox"}}).docs] == ["c"]
        assert [doc._id for doc in db.find({"selector": {"text": LONE}}).docs] == ["a"]


@pytest.mark.parametrize(
    "q",
    [
        "/(a*)*b/ OR x",
        "/(a|aa)*b/ OR x",
        "/((a+)+)+b/ OR x",
        "x OR a*a*a*a*a*a*a*a*a*a*a*a*a*b",
        "x OR a?*?*?*?*?*?*?*b",
    ],
)
def test_patterns_that_engines_with_memory_never_finish_are_highlighted(q: str) -> None:
    """Ten thousand letters and none of them the last one of the pattern: Python's engine tries every way."""
    with pouchdb.setup(":memory:", plugins=["search"]) as env:
        db: Any = env["d"]
        db.put({"_id": "a", "text": f"x {'a' * 10_000}"})
        db.put({"_id": "_design/d", "indexes": {"i": INDEX}})
        (row,) = db.search("d/i", q=q, highlight_fields=["default"], highlight_size=5).rows
        assert row.highlights.default[0].startswith("<em>x</em>")


@pytest.mark.parametrize("analyzer", [None, *known_analyzers()])
@pytest.mark.parametrize(
    "text",
    [
        "a" + "!" * 100_000 + "a",
        "a." * 50_000,
        "a'" * 50_000,
        "a@" * 50_000,
        "_" * 100_000,
        "a\u0301" * 50_000,
        '\u05d0"' * 50_000,
    ],
    ids=["signs", "dots", "apostrophes", "addresses", "links", "accents", "quotes"],
)
def test_no_text_takes_time_by_the_square_of_its_length(analyzer: str | None, text: str) -> None:
    """Minutes each, where a run of characters is read again from each of them."""
    made = ORIGINAL if analyzer is None else analyzer_of(analyzer)
    assert made.words(text) == [term.text for term in made.terms(text)]
