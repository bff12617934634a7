"""Whoever takes part: a name, and a round that does every workload once in a new database."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from .documents import Document, batches
from .handwritten import HandWritten

BULK_WRITE, BULK_READ, CHANGES, CHANGES_DOCS = "bulk write", "bulk read", "changes", "changes with documents"
PUT, GET = "put", "get"
WORKLOADS = (BULK_WRITE, BULK_READ, CHANGES, CHANGES_DOCS, PUT, GET)
WRITES = (BULK_WRITE, PUT)

Times = dict[str, float]
"""Seconds for one document, by workload."""


@dataclass(frozen=True)
class Work:
    """What a round does: write `documents` in batches, read them, get `gets` and put `singles` one by one."""

    documents: list[Document]
    singles: list[Document]
    gets: list[str]

    def count(self, workload: str) -> int:
        return {PUT: len(self.singles), GET: len(self.gets)}.get(workload, len(self.documents))

    def per_document(self, seconds: Times) -> Times:
        return {workload: total / self.count(workload) for workload, total in seconds.items()}


class Contender(Protocol):
    name: str
    versions: str

    def round(self, work: Work) -> Times: ...

    def close(self) -> None: ...


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = perf_counter()
    result = work()
    return perf_counter() - start, result


def expect(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(f"unexpected answer of {what}")


def run_round(db: Any, work: Work, writes_only: bool = False) -> Times:
    """Every workload once, by the methods that our database and the hand-written one share."""
    total = len(work.documents)

    def write() -> list[Any]:
        return [result for batch in batches(work.documents) for result in db.bulk_docs(batch)]

    def put() -> None:
        for doc in work.singles:
            db.put(doc)

    def get() -> None:
        for id in work.gets:
            db.get(id)

    times: Times = {}
    times[BULK_WRITE], written = timed(write)
    expect(sum("rev" in result for result in written) == total, "bulk_docs")
    if not writes_only:
        times[BULK_READ], listing = timed(lambda: db.all_docs(include_docs=True))
        expect(len(listing["rows"]) == total and listing["rows"][-1]["doc"]["text"], "all_docs")
        del listing
        times[CHANGES], feed = timed(db.changes)
        expect(len(feed["results"]) == total, "changes")
        del feed
        times[CHANGES_DOCS], feed = timed(lambda: db.changes(include_docs=True))
        expect(len(feed["results"]) == total and feed["results"][-1]["doc"]["text"], "changes with documents")
        del feed
        times[GET], _ = timed(get)
    times[PUT], _ = timed(put)
    return work.per_document(times)


class Ours:
    """This project, through its public interface."""

    def __init__(self, directory: Path, durability: str) -> None:
        import pouchdb

        self.name = "ours" if durability == "normal" else f"ours, {durability}"
        self.versions = ""
        self.writes_only = durability != "normal"
        self.environment = pouchdb.setup(str(directory / f"ours-{durability}"), durability=durability)
        self.numbers = itertools.count()

    def round(self, work: Work) -> Times:
        name = f"round-{next(self.numbers)}"
        db = self.environment[name]
        db.info()  # opened
        times = run_round(db, work, self.writes_only)
        self.environment.destroy(name)
        return times

    def close(self) -> None:
        self.environment.close()


class Plain:
    """Hand-written sqlite3."""

    def __init__(self, directory: Path, durability: str) -> None:
        import platform
        import sqlite3

        self.name = "hand-written" if durability == "normal" else f"hand-written, {durability}"
        self.versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
        self.writes_only = durability != "normal"
        self.directory = directory
        self.synchronous = durability.upper()

    def round(self, work: Work) -> Times:
        directory = Path(tempfile.mkdtemp(dir=self.directory, prefix="plain-"))
        db = HandWritten(directory / "database.sqlite3", self.synchronous)
        times = run_round(db, work, self.writes_only)
        db.close()
        shutil.rmtree(directory)
        return times

    def close(self) -> None:
        pass
