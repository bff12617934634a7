"""The power fails: what was acknowledged is there, whatever became of what had not been synced.

A cut is a copy of the files at some moment, in which everything that was written to the journal after an acknowledged
call is lost or torn: cut off, zeroed or garbled by sectors, as a disk may leave what it was not asked to keep. That the
journal is synced when a call returns is taken from SQLite (``synchronous=FULL``).
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB

CUTS = int(os.environ.get("POUCHDB_CUTS", "12"))
SECTOR = 512


def torn(path: Path, kept: int, chance: random.Random) -> None:
    """Tear what is in a file beyond what was synced."""
    data = bytearray(path.read_bytes())
    if chance.random() < 0.4:
        del data[chance.randrange(kept, len(data) + 1) :]
    for start in range(kept, len(data), SECTOR):
        fate = chance.random()
        if fate < 0.3:
            data[start : start + SECTOR] = bytes(len(data[start : start + SECTOR]))
        elif fate < 0.4:
            data[start : start + SECTOR] = chance.randbytes(len(data[start : start + SECTOR]))
    path.write_bytes(data)


def write_some(database: SyncPouchDB, chance: random.Random, known: dict[str, str]) -> dict[str, str]:
    """Make one call; return the revisions it wrote."""
    kind = chance.random()
    if kind < 0.3 and known:
        id = chance.choice(sorted(known))
        answer = database.put({**database.get(id), "n": chance.random()})
        return {id: answer["rev"]}
    if kind < 0.5:
        content: Any = chance.randbytes(chance.choice([10, 5_000, 400_000]))
        id = f"{len(known):06}a"
        return {id: database.put_attachment(id, "file", content, "text/plain")["rev"]}
    docs = [{"_id": f"{len(known):06}-{n}", "text": "x" * 500} for n in range(chance.choice([1, 1, 20, 300]))]
    return {row["id"]: row["rev"] for row in database.bulk_docs(docs)}


@pytest.mark.parametrize("cut", range(CUTS))
def test_nothing_acknowledged_is_lost(tmp_path: Path, cut: int) -> None:
    seed = int(os.environ.get("POUCHDB_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"POUCHDB_TEST_SEED={seed}")
    chance = random.Random(seed)
    known: dict[str, str] = {}
    with pouchdb.setup(tmp_path / "before", plugins=[]) as environment:
        database = environment["test"]
        path = tmp_path / "before" / "test.pouchdb"
        journal = path.with_name(f"{path.name}-wal")
        for _ in range(chance.randrange(1, 25)):
            known.update(write_some(database, chance, known))
            if chance.random() < 0.1:
                database.compact()
        synced = journal.stat().st_size
        after: list[dict[str, str]] = []
        overlay = dict(known)
        for _ in range(chance.randrange(0, 4)):
            after.append(write_some(database, chance, overlay))
            overlay.update(after[-1])
        (tmp_path / "cut").mkdir()
        for each in (path, journal):
            shutil.copy(each, tmp_path / "cut" / each.name)
    copy = tmp_path / "cut" / journal.name
    if copy.stat().st_size > synced:
        torn(copy, synced, chance)
    with pouchdb.setup(tmp_path / "cut", plugins=[]) as environment:
        database = environment["test"]
        assert database.integrity_check() == []
        found = {row["id"]: row["value"]["rev"] for row in database.all_docs()["rows"]}
        states = [known]
        for each in after:
            states.append({**states[-1], **each})
        # All that was acknowledged before the cut, and of what came after a beginning, each call whole.
        assert found in states
        print(f"{len(known)} revisions acknowledged before the cut, 0 lost")
        assert database.put({"_id": "after"})["ok"]
