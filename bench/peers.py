"""Peers outside Python: they time themselves, in a process of their own that lives as long as the comparison."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .contenders import Times, Work
from .documents import BATCH

FOLDER = Path(__file__).parent / "node"


class Unavailable(Exception):
    """The peer cannot run here; the text says why and what to do."""


class NodeScript:
    """A script of ``bench/node`` with its data, which does a round each time it is asked."""

    def __init__(
        self,
        script: str,
        data: Mapping[str, Any],
        directory: Path,
        needs: Sequence[str] = ("pouchdb",),
        called: str = "PouchDB on node",
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """``needs`` are npm packages, ``called`` their name for readers; ``prepare`` runs in the new process."""
        node = shutil.which("node")
        if node is None or not all((FOLDER / "node_modules" / name).is_dir() for name in needs):
            raise Unavailable(f"{called}: not installed, call `make bench`, or `npm ci` in bench/node")
        file = directory / "documents.json"
        file.write_text(json.dumps(data), "utf-8")
        self._process = subprocess.Popen(
            [node, str(FOLDER / script), str(file), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
        )

    def nanoseconds(self) -> dict[str, int]:
        """Do a round; return how long each workload took."""
        assert self._process.stdin is not None
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next line of the script. Raises Unavailable if it ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(f"node ended with status {self._process.wait()}; its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._process.communicate()


class PouchDBNode:
    """PouchDB on LevelDB, the adapter it has on node; LevelDB does not sync each write to the disk.

    LevelDB works in threads beside node's own, so that every call crosses threads. Where waking another core is
    slow, as in virtual machines, node kept on one core is several times faster at single calls: both take part,
    and the targets are against the better of the two.
    """

    def __init__(self, directory: Path, work: Work, one_core: bool = False) -> None:
        self.name = "PouchDB, one core" if one_core else "PouchDB"
        if one_core and not hasattr(os, "sched_setaffinity"):
            raise Unavailable("this system does not keep a process on one core")
        directory = directory / ("node-one-core" if one_core else "node")
        directory.mkdir()
        data = {"documents": work.documents, "singles": work.singles, "gets": work.gets, "batch": BATCH}
        prepare = partial(os.sched_setaffinity, 0, {max(os.sched_getaffinity(0))}) if one_core else None
        self.script = NodeScript("bench.js", data, directory, prepare=prepare)
        versions = self.script.answer()
        self.versions = f"PouchDB {versions['pouchdb']}, node {versions['node'].removeprefix('v')}"

    def round(self, work: Work) -> Times:
        times = self.script.nanoseconds()
        return work.per_document({workload: nanoseconds / 1e9 for workload, nanoseconds in times.items()})

    def close(self) -> None:
        self.script.close()
