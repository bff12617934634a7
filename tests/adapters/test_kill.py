"""A writing process is killed at random moments, many times."""

from __future__ import annotations

import hashlib
import io
import os
import random
import select
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB

ROUNDS = int(os.environ.get("POUCHDB_KILLS", "40"))
LIVES = 5
"""How many processes in a row write one database."""

Expected = dict[str, "tuple[str, bool, str | None] | None"]
"""What is in the database: (rev, deleted, digest of the attachment) by id; None: nothing."""


def content(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


class Writer:
    """What the killed process does: it says what it is about to do, does it, and says what came out."""

    def __init__(self, database: SyncPouchDB, seed: int, send: Callable[[Any], None], known: Expected) -> None:
        self.database, self.random, self.send = database, random.Random(seed), send
        self.known = dict(known)
        self.number = len(known)

    def run(self, inserts_only: bool) -> None:
        kinds = [self.put, self.bulk] if inserts_only else [
            self.put, self.bulk, self.bulk, self.update, self.update_many, self.delete, self.attach, self.local,
        ]  # fmt: skip
        while True:
            self.random.choice(kinds)()

    def new_ids(self, count: int) -> list[str]:
        self.number += count
        return [f"{n:06}" for n in range(self.number - count, self.number)]

    def alive(self, count: int) -> list[str]:
        found = [id for id, state in self.known.items() if state and not state[1] and not id.startswith("_local/")]
        return self.random.sample(found, min(count, len(found)))

    def one(self) -> tuple[str, str, str | None] | None:
        """Choose a document that is not deleted: (id, rev, digest)."""
        for id in self.alive(1):
            rev, _, digest = self.known[id] or ("", False, None)
            return id, rev, digest
        return None

    def told(self, ids: list[str], call: Callable[[], list[tuple[str, bool, str | None]]]) -> None:
        if ids:
            self.send(("begin", ids))
            states = dict(zip(ids, call(), strict=True))
            self.known.update(states)
            self.send(("done", states))

    def put(self) -> None:
        [id] = self.new_ids(1)
        self.told([id], lambda: [(self.database.put({"_id": id, "text": "x" * 500})["rev"], False, None)])

    def bulk(self) -> None:
        ids = self.new_ids(self.random.choice([2, 10, 100, 1000]))
        docs = [{"_id": id, "text": "x" * 500} for id in ids]
        self.told(ids, lambda: [(row["rev"], False, None) for row in self.database.bulk_docs(docs)])

    def update(self) -> None:
        if chosen := self.one():
            id, rev, digest = chosen
            doc = self.database.get(id)
            assert doc["_rev"] == rev
            self.told([id], lambda: [(self.database.put({**doc, "n": self.number})["rev"], False, digest)])

    def update_many(self) -> None:
        ids = self.alive(self.random.choice([5, 50]))
        docs = [row["doc"] for row in self.database.all_docs(keys=ids, include_docs=True)["rows"]]
        states = [self.known[id] for id in ids]
        self.told(
            ids,
            lambda: [
                (row["rev"], False, state and state[2])
                for row, state in zip(
                    self.database.bulk_docs([{**doc, "n": self.number} for doc in docs]), states, strict=True
                )
            ],
        )

    def delete(self) -> None:
        if chosen := self.one():
            id, rev, _ = chosen
            self.told([id], lambda: [(self.database.remove(id, rev)["rev"], True, None)])

    def attach(self) -> None:
        if chosen := self.one():
            id, rev, _ = chosen
            data = content(self.random.randrange(10), self.random.choice([10, 300_000, 3_000_000]))
            digest = hashlib.sha256(data).hexdigest()

            def put() -> str:
                # A stream, so that content goes through a temporary file.
                answer = self.database.put_attachment(id, "file", io.BytesIO(data), "text/plain", rev=rev)
                return str(answer["rev"])

            self.told([id], lambda: [(put(), False, digest)])

    def local(self) -> None:
        id = f"_local/{self.random.randrange(3)}"
        state = self.known.get(id)
        doc = {"_id": id, **({"_rev": state[0]} if state else {})}
        self.told([id], lambda: [(self.database.put(doc)["rev"], False, None)])


def states(database: SyncPouchDB, ids: list[str]) -> Expected:
    """Return what the database has of the ids."""
    found: Expected = {}
    for id in ids:
        if id.startswith("_local/"):
            local = database.get_(id)
            found[id] = None if local is None else (local["_rev"], False, None)
    keys = [id for id in ids if not id.startswith("_local/")]
    for row in database.all_docs(keys=keys, include_docs=True)["rows"]:
        if "error" in row:
            found[row["key"]] = None
        elif row["value"].get("deleted"):
            found[row["key"]] = row["value"]["rev"], True, None
        else:
            digest = None
            if "_attachments" in row["doc"]:
                digest = hashlib.sha256(database.get_attachment(row["id"], "file")["data"]).hexdigest()
            found[row["key"]] = row["doc"]["_rev"], False, digest
    return found


def check(database: SyncPouchDB, path: Path, known: Expected, doubtful: list[str], inserts_only: bool) -> None:
    """Compare the database with what was acknowledged; settle what was under way when the process died."""
    assert database.integrity_check() == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = states(database, doubtful)
    certain = {id: expected for id, expected in known.items() if id not in found}
    assert states(database, list(certain)) == certain
    changed = [id for id in doubtful if found[id] != known.get(id)]
    assert changed in ([], doubtful), "half a batch"
    known.update(found)

    changes = database.changes()["results"]
    seqs = [row["seq"] for row in changes]
    assert seqs == sorted(set(seqs))
    documents = {id: each for id, each in known.items() if each and not id.startswith("_local/")}
    assert {row["id"] for row in changes} == set(documents)
    info = database.info()
    assert info["doc_count"] == sum(not each[1] for each in documents.values())
    assert info["doc_del_count"] == sum(each[1] for each in documents.values())
    assert info["update_seq"] >= max(seqs, default=0)
    if inserts_only:
        assert seqs == list(range(1, len(documents) + 1))
        assert info["update_seq"] == len(documents)
        assert [row["id"] for row in changes] == sorted(documents)
    # Content is stored once, whole, and only as long as it is used (integrity_check says so too).
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute("SELECT count(*) FROM attachments").fetchone()
        used = connection.execute("SELECT count(DISTINCT attachment) FROM attachment_uses").fetchone()
    assert stored == used


@pytest.mark.parametrize("inserts_only", [True, False], ids=["inserts", "everything"])
@pytest.mark.parametrize("durability", ["full", "normal"])
def test_a_killed_writer_loses_nothing(
    directory: Path, child: Callable[..., Any], inserts_only: bool, durability: str
) -> None:
    seed = int(os.environ.get("POUCHDB_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"POUCHDB_TEST_SEED={seed}")
    chance = random.Random(seed)
    acknowledged = least = 0
    for round in range(ROUNDS // 4):
        storage = directory / f"lives{round // LIVES}"
        path = storage / "test.pouchdb"
        if round % LIVES == 0:
            known: Expected = {}

        def run(send: Any, receive: Any, storage: Path = storage, round: int = round, known: Expected = known) -> None:
            environment = pouchdb.setup(storage, plugins=[], durability=durability)
            Writer(environment["test"], seed + round, send, known).run(inserts_only)

        writer = child(run)
        doubtful: list[str] = []
        # Some are killed while they open the database; the others not before they wrote something, however slow
        # the machine is.
        wanted = chance.choice([0, 1, 3, 10, 20])
        least += wanted
        deadline = time.monotonic() + chance.uniform(0.02, 0.1)
        while wanted or (left := deadline - time.monotonic()) > 0:
            # Everything that is in the pipe is read first: the reader is buffered.
            if not wanted and not writer.reader.peek(0) and not select.select([writer.reader], [], [], left)[0]:  # type: ignore[attr-defined]
                break
            kind, told = writer.receive()
            doubtful = list(told) if kind == "begin" else []
            if kind == "done":
                known.update(told)
                acknowledged += 1
                if wanted:
                    wanted -= 1
                    deadline = time.monotonic() + chance.uniform(0, 0.05)
        writer.kill()
        # What it said before it died counts.
        while True:
            try:
                kind, told = writer.receive()
            except Exception:
                break
            doubtful = list(told) if kind == "begin" else []
            if kind == "done":
                known.update(told)
                acknowledged += 1
        writer.end()

        with pouchdb.setup(storage, plugins=[], durability=durability) as environment:
            assert environment.names() == (["test"] if path.exists() else [])
            check(environment["test"], path, known, doubtful, inserts_only)
        assert {each.name for each in storage.iterdir() if ".new" not in each.name} == {path.name}
    print(f"{ROUNDS // 4} kills, {acknowledged} calls acknowledged, 0 lost")
    assert acknowledged >= least > 0


def test_a_killed_maker_and_destroyer_leaves_whole_databases(directory: Path, child: Callable[..., Any]) -> None:
    seed = int(os.environ.get("POUCHDB_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"POUCHDB_TEST_SEED={seed}")
    chance = random.Random(seed)

    def run(send: Any, receive: Any) -> None:
        environment = pouchdb.setup(directory, plugins=[], durability="normal")
        number = 0
        while True:
            number += 1
            database = environment[f"test{number % 3}"]
            (database.directory("plugin") / "index").write_text("x")
            database.post({"n": number})
            send(number)
            environment.destroy(f"test{(number + 1) % 3}")

    for _ in range(10):
        writer = child(run)
        for _ in range(chance.randrange(1, 8)):
            writer.receive()
        select.select([writer.reader], [], [], chance.uniform(0, 0.01))
        writer.kill()
        writer.end()
        with pouchdb.setup(directory, plugins=[]) as environment:
            for name in ["test0", "test1", "test2"]:
                existed = name in environment.names()
                database = environment[name]
                assert database.integrity_check() == []
                if not existed:
                    assert database.info()["doc_count"] == 0
                database.put({"_id": f"after{chance.random()}"})
            assert environment.names() == ["test0", "test1", "test2"]
