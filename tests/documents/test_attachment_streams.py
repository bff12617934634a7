"""Attachments as files: in from any binary file and out as one, in constant memory."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.documents.attachments import CHUNK
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest, MissingStub, NotFound

CONTENT = random.Random(7).randbytes(2 * CHUNK + 1000)


class Pieces(io.RawIOBase):
    """A stream that gives what it likes: each read another number of bytes, at the end an error if there is one."""

    def __init__(self, content: bytes, sizes: list[int], error: Exception | None = None) -> None:
        super().__init__()
        self._source, self._sizes, self._error, self._turn = io.BytesIO(content), sizes, error, 0

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(min(size, self._sizes[self._turn % len(self._sizes)]))
        self._turn += 1
        if not piece and self._error is not None:
            raise self._error
        return piece


@pytest.mark.parametrize("sizes", [[1_000_000], [CHUNK], [1, 100_000], [CHUNK + 1, 7], [4096]], ids=str)
def test_pieces_of_any_size(database: SyncPouchDB, sizes: list[int]) -> None:
    database.put_attachment("a", "x", Pieces(CONTENT, sizes), "text/x")
    assert database.get_attachment("a", "x") == {"type": "text/x", "data": CONTENT}
    assert database.get("a")._attachments.x.length == len(CONTENT)


def test_a_file_on_disk_is_read_to_its_end_and_left_open(database: SyncPouchDB, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        file.seek(10)
        database.put({"_id": "a", "_attachments": {"x": {"data": file}, "y": {"data": b"small"}}})
        assert not file.closed
    assert database.get_attachment("a", "x").data == CONTENT[10:]
    assert database.get_attachment("a", "y").data == b"small"


@pytest.mark.parametrize("name", ["_bad", "\ud800"], ids=ascii)
def test_content_with_a_bad_name_is_not_taken_in(database: SyncPouchDB, name: str) -> None:
    """A temporary file that was made for it would be closed by nobody."""
    source = io.BytesIO(CONTENT)
    with pytest.raises(BadRequest):
        database.put({"_id": "a", "_attachments": {"x": {"data": io.BytesIO(CONTENT)}, name: {"data": source}}})
    assert source.tell() == 0


def test_the_same_content_twice_in_a_batch(database: SyncPouchDB) -> None:
    docs = [{"_id": id, "_attachments": {"x": {"data": io.BytesIO(CONTENT)}}} for id in "ab"]
    assert all(answer.ok for answer in database.bulk_docs(docs))
    assert database.get_attachment("b", "x").data == CONTENT


def test_a_stream_that_fails_in_the_middle_loses_nothing(database: SyncPouchDB) -> None:
    rev = database.put_attachment("a", "x", b"before").rev
    broken = Pieces(CONTENT, [1000], OSError("the line went dead"))
    with pytest.raises(OSError, match="the line went dead"):
        database.put_attachment("a", "x", broken, rev=rev)
    with pytest.raises(OSError, match="the line went dead"):
        database.bulk_docs(
            [
                {"_id": "b"},
                {"_id": "c", "_attachments": {"x": {"data": Pieces(b"", [1], OSError("the line went dead"))}}},
            ]
        )
    assert database.get_attachment("a", "x").data == b"before"
    assert database.info().update_seq == 1


def test_a_document_that_is_refused_leaves_no_temporary_file(
    database: SyncPouchDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    original = tempfile.SpooledTemporaryFile

    def spool(*args: Any, **kwargs: Any) -> Any:
        made.append(original(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", spool)
    data = {"x": {"data": io.BytesIO(CONTENT)}}
    bad: list[Any] = [
        {"_id": "a", "n": float("nan"), "_attachments": data},
        {"_id": "a", "_unknown": 1, "_attachments": data},
        {"_id": "a", "_rev": "1-a", "_attachments": data},
        {"_id": "a", "_attachments": {**data, "_y": {"data": b""}}},
        {"_id": "a", "_attachments": {**data, "y": {"stub": True}}},
    ]
    assert [answer.ok if "ok" in answer else answer.status for answer in database.bulk_docs(bad)] == [
        400,
        500,
        409,
        400,
        412,
    ]
    replicated = [{**bad[0], "_rev": "1-a"}, {**bad[1], "_rev": "1-a"}]
    assert len(database.bulk_docs(replicated, new_edits=False)) == 2
    with pytest.raises(MissingStub):
        database.bulk_docs([{"_id": "b", "_attachments": data}, bad[4]], atomic=True)
    # What is no JSON is refused before its attachments are taken in.
    assert len(made) >= 6
    assert all(each.closed for each in made)


def test_text_files_are_refused(database: SyncPouchDB) -> None:
    with pytest.raises(BadRequest, match="binary mode"):
        database.put_attachment("a", "x", io.StringIO("text"))


# -- reading -----------------------------------------------------------------------------------------------------------

moves = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 3 * CHUNK)),
        st.tuples(st.just("readinto"), st.integers(0, CHUNK + 5)),
        st.tuples(st.just("start"), st.integers(0, 3 * CHUNK)),
        st.tuples(st.just("here"), st.integers(-1000, CHUNK)),
        st.tuples(st.just("end"), st.integers(-2 * CHUNK, 10)),
        st.tuples(st.just("tell"), st.just(0)),
    ),
    max_size=12,
)


@given(moves=moves)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_reader_is_a_file(database: SyncPouchDB, moves: list[tuple[str, int]]) -> None:
    if "a" not in database:
        database.put_attachment("a", "x", CONTENT, "text/x")
    ours, theirs = database.open_attachment("a", "x"), io.BytesIO(CONTENT)
    for move, number in moves:
        if move == "read":
            assert ours.read(number) == theirs.read(number)
        elif move == "readinto":
            mine, other = bytearray(number), bytearray(number)
            assert ours.readinto(mine) == theirs.readinto(other)
            assert mine == other
        elif move == "start":
            assert ours.seek(number) == theirs.seek(number)
        elif move == "here" and theirs.tell() + number >= 0:
            assert ours.seek(number, io.SEEK_CUR) == theirs.seek(number, io.SEEK_CUR)
        elif move == "end" and len(CONTENT) + number >= 0:
            assert ours.seek(number, io.SEEK_END) == theirs.seek(number, io.SEEK_END)
        assert ours.tell() == theirs.tell()


def test_what_a_reader_says_of_itself(database: SyncPouchDB) -> None:
    database.put_attachment("a", "x", CONTENT, "text/x")
    with database.openAttachment("a", "x") as reader:
        assert (reader.content_type, reader.length) == ("text/x", len(CONTENT))
        assert reader.digest == database.get("a")._attachments.x.digest
        assert (reader.readable(), reader.seekable(), reader.writable()) == (True, True, False)
        assert reader.read() == CONTENT
        assert reader.read() == reader.read(5) == b""
        with pytest.raises(ValueError, match="before the start"):
            reader.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            reader.seek(0, 7)
    for call in (reader.read, reader.tell, lambda: reader.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_readers_of_an_empty_one(database: SyncPouchDB) -> None:
    database.put_attachment("a", "x", io.BytesIO())
    reader = database.open_attachment("a", "x")
    assert (reader.read(), reader.read(1), reader.length) == (b"", b"", 0)


def test_python_reads_through_it(database: SyncPouchDB, tmp_path: Path) -> None:
    """zipfile seeks to the end and expects every read in full, also across chunks."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one", CONTENT)
        archive.writestr("two", b"2")
    database.put_attachment("a", "zip", packed.getvalue())
    with zipfile.ZipFile(database.open_attachment("a", "zip")) as archive:
        assert archive.read("one") == CONTENT
        assert archive.testzip() is None
    with (tmp_path / "copy").open("wb") as copy:
        shutil.copyfileobj(database.open_attachment("a", "zip"), copy)
    assert (tmp_path / "copy").read_bytes() == packed.getvalue()
    lines = io.BufferedReader(database.open_attachment("a", "zip"))
    assert b"".join(lines) == packed.getvalue()


def test_a_reader_is_content_for_another_document(environment: SyncEnvironment) -> None:
    one, two = environment["one"], environment["two"]
    one.put_attachment("a", "x", CONTENT, "text/x")
    two.put_attachment("b", "x", one.open_attachment("a", "x"))
    one.put_attachment("c", "x", one.open_attachment("a", "x"))
    assert two.get_attachment("b", "x").data == one.get_attachment("c", "x").data == CONTENT


def test_removal_of_the_last_use_while_reading(database: SyncPouchDB) -> None:
    rev = database.put_attachment("a", "x", CONTENT).rev
    reader = database.open_attachment("a", "x")
    assert reader.read(10) == CONTENT[:10]
    database.purge("a", rev)
    # The chunk it holds may still be read, never anything else.
    assert reader.read(10) == CONTENT[10:20]
    database.put_attachment("b", "x", b"y" * len(CONTENT))
    with pytest.raises(NotFound, match="removed while it was being read"):
        reader.read()


def test_a_use_that_stays_keeps_a_reader_going(database: SyncPouchDB) -> None:
    rev = database.put_attachment("a", "x", CONTENT).rev
    database.put_attachment("b", "x", CONTENT)
    reader = database.open_attachment("a", "x")
    database.purge("a", rev)
    assert reader.read() == CONTENT


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
def test_more_than_there_is_memory_for(tmp_path: Path) -> None:
    """200 MiB go in and come out of a process that may take 100 MiB more than it starts with."""
    program = """
        import hashlib, resource, sys
        import pouchdb

        MIB = 1 << 20
        env = pouchdb.setup(sys.argv[1], plugins=[], durability="normal")
        db = env["big"]
        db.put_attachment("warm", "up", b"x")
        db.get_attachment("warm", "up")

        class Source:
            left = 200
            md5 = hashlib.md5()

            def read(self, size):
                if not self.left:
                    return b""
                self.left -= 1
                piece = bytes([self.left]) * MIB
                self.md5.update(piece)
                return piece

        # Private memory: the database file that is mapped into the address space does not count.
        status = dict(line.split(":") for line in open("/proc/self/status"))
        used = int(status["VmData"].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (used + 100 * MIB, -1))
        source = Source()
        db.put_attachment("a", "x", source)
        md5 = hashlib.md5()
        reader = db.open_attachment("a", "x")
        while piece := reader.read(300_000):
            md5.update(piece)
        assert reader.length == 200 * MIB
        assert md5.digest() == source.md5.digest()
        env.close()
        print("done")
    """
    arguments = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "databases")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
