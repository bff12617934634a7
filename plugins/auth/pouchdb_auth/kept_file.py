"""A small JSON file of the environment, or its content in memory: read again when another process changed it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["KeptFile"]


class KeptFile:
    """One JSON object. ``path`` None keeps it in memory. Only its owner may read the file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: Mapping[str, Any] = {}
        self._seen: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    def read(self) -> Mapping[str, Any]:
        """Return the object; not to be changed."""
        if self._path is not None:
            try:
                found = self._path.stat()
            except FileNotFoundError:
                return self._known
            state = (found.st_mtime_ns, found.st_ino, found.st_size)
            if state != self._seen:
                with self._lock:
                    self._known, self._seen = self._load(self._path), state
        return self._known

    def change(self, change: Callable[[dict[str, Any]], None]) -> Mapping[str, Any]:
        """Pass a copy to ``change`` and store it; if ``change`` raises, nothing is changed."""
        with self._lock:
            changed = dict(self._known if self._path is None else self._load(self._path))
            change(changed)
            if self._path is not None:
                _replace(self._path, changed)
            self._known, self._seen = changed, None
            return changed

    def _load(self, path: Path) -> Mapping[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
            return found
        return {}


def _replace(path: Path, value: Mapping[str, Any]) -> None:
    # In one step: a reader finds the old or the new one. mkstemp gives it to its owner alone.
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
