"""Adapters that fail: before or after what they were asked for took place, and that let others in between.

Only what a replication asks for fails. An error is what a full disk, a busy file or a lost
connection would be; ``Killed`` is the end of the process that replicates, with no chance to clean up.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import Any, TypeVar

from typing_extensions import Self

from pouchdb_core.adapters.base import Adapter
from pouchdb_core.errors import DatabaseBusy, ServerError, StorageError
from pouchdb_core.requests import Changes, Guard, Read, Write
from pouchdb_core.results import Outcome, Record

__all__ = ["Faults", "Killed", "faulty"]

T = TypeVar("T")

ERRORS = (StorageError, DatabaseBusy, ServerError)


class Killed(BaseException):
    """The process that replicates is no more."""


class Faults:
    """Decides what becomes of an operation; ``armed`` only while a replication is stepped."""

    def __init__(self, log: Callable[[str], None], intrude: Callable[[random.Random], None]) -> None:
        self._log, self._intrude = log, intrude
        self.armed = False
        self.dead: str | None = None
        """Where the process that replicates was killed: nothing of what it still tries takes place."""
        self.rate = 0.0
        self.chance = random.Random(0)
        self.on_changes: Callable[[Adapter, Changes], None] = lambda adapter, request: None
        self.on_written: Callable[[Adapter, Write, Sequence[Outcome]], None] = lambda adapter, request, outcomes: None

    def point(self, where: str) -> None:
        """Come by a place where something may happen."""
        if not self.armed:
            return
        if self.dead is not None:
            raise Killed(self.dead)
        if self.chance.random() >= self.rate:
            return
        fate = self.chance.choice(["error", "error", "kill", "intrude", "intrude", "intrude"])
        if fate == "intrude":
            self._log(f"meanwhile, {where}:")
            self.armed = False
            try:
                self._intrude(self.chance)
            finally:
                self.armed = True
        elif fate == "kill":
            self._log(f"killed {where}")
            self.dead = where
            raise Killed(where)
        else:
            error = self.chance.choice(ERRORS)
            self._log(f"{error.__name__} {where}")
            raise error(f"injected {where}")

    def around(self, adapter: Any, what: str, call: Callable[[], T]) -> T:
        """Do something, unless it fails before; it may fail afterwards too."""
        self.point(f"before {adapter.database_name}.{what}")
        answer = call()
        self.point(f"after {adapter.database_name}.{what}")
        return answer


class Reader:
    """An open attachment whose connection may break at any piece."""

    def __init__(self, file: Any, faults: Faults, what: str) -> None:
        self._file, self._faults, self._what = file, faults, what

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        self._faults.point(f"within {self._what}")
        data: bytes = self._file.read(min(size, 1000) if size > 0 else size)
        return data


def faulty(base: type[Any], faults: Faults) -> type[Adapter]:
    """Return an adapter that is ``base`` with faults; its name begins with ``faulty-``."""

    class Faulty(base):  # type: ignore[misc]  # it is one of the SQL adapters
        name = f"faulty-{base.name}"

        def write(self, request: Write, guards: Sequence[Guard]) -> list[Outcome]:
            first: Any = request.docs[0] if request.docs else {}
            local = isinstance(first, Mapping) and str(first.get("_id", "")).startswith("_local/")
            what = "checkpoint" if local else f"write({len(request.docs)})"

            def call() -> list[Outcome]:
                outcomes: list[Outcome] = super(Faulty, self).write(request, guards)
                faults.on_written(self, request, outcomes)
                return outcomes

            return faults.around(self, what, call)

        def read(self, request: Read) -> Any:
            what = "read"
            if request.id.startswith("_local/"):
                what = "read checkpoint"
            elif request.attachment is not None:
                what = f"attachment {request.attachment}"
            answer = faults.around(self, what, lambda: super(Faulty, self).read(request))
            if faults.armed and request.stream:
                return Reader(answer, faults, f"{self.database_name}.{what}")
            return answer

        def changes(self, request: Changes) -> Any:
            if faults.armed:
                faults.on_changes(self, request)
            faults.point(f"before {self.database_name}.changes")
            return self._rows(super().changes(request))

        def _rows(self, rows: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
            for count in range(10**9):
                try:
                    row = next(rows)
                except StopIteration as stop:
                    faults.point(f"after {self.database_name}.changes")
                    return stop.value
                if count < 3:
                    faults.point(f"within {self.database_name}.changes")
                yield row

        def info(self) -> Record:
            return faults.around(self, "info", super().info)

        def pending(self, since: Any) -> int:
            return faults.around(self, "pending", lambda: super(Faulty, self).pending(since))

        def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> Record:
            return faults.around(self, "revs_diff", lambda: super(Faulty, self).revs_diff(revs))

        def lacking(self, keys: Collection[bytes]) -> set[bytes]:
            return faults.around(self, "lacking", lambda: super(Faulty, self).lacking(keys))

    return Faulty
