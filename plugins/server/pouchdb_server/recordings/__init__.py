"""What another server answered, played again: ``Recording.load(folder, "core").play(name, url)``.

A recording is two files: ``scenarios_NAME.json`` with the requests of each scenario, ``NAME.jsonl`` with the answers,
in which values that differ by server (revisions, sequence numbers, times) are masked.
"""

from __future__ import annotations

from pouchdb_server.recordings.differences import ON_PURPOSE, Purpose
from pouchdb_server.recordings.player import Difference, Recording

__all__ = ["ON_PURPOSE", "Difference", "Purpose", "Recording"]
