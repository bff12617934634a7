"""Peers outside Python: they time themselves, in a process of their own that lives as long as the comparison."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from .contenders import Times, Work
from .documents import BATCH

FOLDER = Path(__file__).parent / "node"


class Unavailable(Exception):
    """The peer cannot run here; the text says why and what to do."""


class PouchDBNode:
    """PouchDB on LevelDB, the adapter it has on node; LevelDB does not sync each write to the disk.

    LevelDB works in threads beside node's own, so that every call crosses threads. Where waking another core is
    slow, as in virtual machines, node kept on one core is several times faster at single calls: both take part,
    and the targets are against the better of the two.
    """

    def __init__(self, directory: Path, work: Work, one_core: bool = False) -> None:
        self.name = "PouchDB, one core" if one_core else "PouchDB"
        node = shutil.which("node")
        if node is None or shutil.which("npm") is None:
            raise Unavailable("node and npm are not installed")
        if not (FOLDER / "node_modules" / "pouchdb").is_dir():
            raise Unavailable("PouchDB is not installed: call `make bench`, or `npm ci` in bench/node")
        if one_core and not hasattr(os, "sched_setaffinity"):
            raise Unavailable("this system does not keep a process on one core")
        directory = directory / ("node-one-core" if one_core else "node")
        directory.mkdir()
        data = directory / "documents.json"
        content = {"documents": work.documents, "singles": work.singles, "gets": work.gets, "batch": BATCH}
        data.write_text(json.dumps(content), "utf-8")
        self.process = subprocess.Popen(
            [node, str(FOLDER / "bench.js"), str(data), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=partial(os.sched_setaffinity, 0, {max(os.sched_getaffinity(0))}) if one_core else None,
        )
        versions = self._answer()
        self.versions = f"PouchDB {versions['pouchdb']}, node {versions['node'].removeprefix('v')}"

    def round(self, work: Work) -> Times:
        assert self.process.stdin is not None
        self.process.stdin.write("round\n")
        self.process.stdin.flush()
        return work.per_document({workload: nanoseconds / 1e9 for workload, nanoseconds in self._answer().items()})

    def close(self) -> None:
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable(f"node ended with status {self.process.wait()}; its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer
