"""Long-running tasks, for ``active_tasks()`` (PouchDB's ``activeTasks``)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from pouchdb_core.results import Record

__all__ = ["Task", "Tasks"]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Task:
    """One long-running task; ``progress()`` is cheap enough to call once per batch."""

    def __init__(
        self, name: str, database: str | None, total_items: int | None, design_document: str | None = None
    ) -> None:
        self.id = str(uuid.uuid4())
        self.name = name
        self.database = database
        self.design_document = design_document
        """The owner of the index, if it builds one."""
        self.created_at = _now()
        self.updated_at: str | None = None
        self.total_items = total_items
        self.completed_items = 0

    def progress(self, completed: int = 1) -> None:
        """Count ``completed`` more items."""
        self.completed_items += completed
        self.updated_at = _now()

    def as_record(self) -> Record:
        task: dict[str, Any] = {"id": self.id, "name": self.name, "created_at": self.created_at}
        if self.database is not None:
            task["database"] = self.database
        if self.design_document is not None:
            task["design_document"] = self.design_document
        if self.updated_at is not None:
            task["updated_at"] = self.updated_at
        if self.total_items is not None:
            task["total_items"] = self.total_items
        task["completed_items"] = self.completed_items
        return Record(task)


class Tasks:
    """The tasks of one engine: in memory, removed when they end."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._announced: dict[tuple[str, str | None], Task] = {}
        self._lock = threading.RLock()

    @contextmanager
    def running(
        self,
        name: str,
        database: str | None = None,
        total_items: int | None = None,
        design_document: str | None = None,
    ) -> Iterator[Task]:
        """List a task while the block runs."""
        with self._lock:
            task = self._announced.pop((name, database), None) or Task(name, database, total_items, design_document)
            self._tasks[task.id] = task
        try:
            yield task
        finally:
            with self._lock:
                del self._tasks[task.id]

    def announce(self, name: str, database: str | None = None) -> Callable[[], None]:
        """List a task that is about to begin elsewhere: the next one with this name and database takes it over.

        It is listed from now on. Returns a function that removes it, unless it was taken over.
        """
        task = Task(name, database, None)
        key = (name, database)
        with self._lock:
            # One that already waits counts for both.
            waiting = self._announced.setdefault(key, task)
            self._tasks[waiting.id] = waiting

        def withdraw() -> None:
            with self._lock:
                if self._announced.get(key) is waiting:
                    del self._announced[key]
                    self._tasks.pop(waiting.id, None)

        return withdraw

    def list(self, wanted: Callable[[Task], bool] = lambda task: True) -> list[Record]:
        """Return the running tasks, oldest first."""
        with self._lock:
            return [task.as_record() for task in self._tasks.values() if wanted(task)]
