"""The administrators of a server: those it was started with, and those made while it runs."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pouchdb_core import Slot
from pouchdb_core.errors import BadRequest, Forbidden
from pouchdb_core.jsontext import encodes
from pouchdb_server.passwords import hashed
from pouchdb_server.processes.siblings import SIBLINGS

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment
    from pouchdb_core.adapters.base import Shared

__all__ = ["Administrators", "administrators", "check_administrator"]

FILE = "admins.json"
SHARED = "server/administrators"
"""What it is called where the servers of all hosts share it."""
EVERY = 1.0
"""Seconds after which changes made by another process are seen."""


class Administrators:
    """Administrators made at run time, by name: stored as hashes in the environment's directory, or by its storage.

    All servers of an environment share them, also those of other processes and hosts.
    """

    def __init__(
        self,
        path: Path | None,
        tell: Callable[[dict[str, str]], None] = lambda known: None,
        shared: Shared | None = None,
    ) -> None:
        """``tell(names and hashes)`` is called after every change; see ``told``. ``shared`` keeps them without a file.

        Where it keeps them, every method raises StorageError.
        """
        self._path, self._tell, self._shared = path, tell, shared
        self._known: dict[str, str] = {}
        self._seen: tuple[int, int] | None = None
        self._looked = -math.inf
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, str]:
        """Return names and hashes."""
        # Not for every request: looking lets other threads have the interpreter.
        if self._path is not None and time.monotonic() - self._looked > EVERY:
            self._looked = time.monotonic()
            self._refresh(self._path)
        elif self._shared is not None and time.monotonic() - self._looked > EVERY:
            with self._lock:
                # Another thread may have asked meanwhile.
                if time.monotonic() - self._looked > EVERY:
                    self._known = _parsed(self._shared.text(SHARED))
                    # Only then: what could not be found out is asked for again.
                    self._looked = time.monotonic()
        return self._known

    def set(self, name: str, password: str) -> None:
        """Make an administrator, or change a password, which ends the sessions. Raises BadRequest.

        A password in CouchDB's form of a hash is stored as it is, any other is hashed. With the first
        administrator the admin party is over.
        """
        check_administrator(name, password)
        made = password if password.startswith("-pbkdf2") else hashed(password)
        with self._lock:
            self._change(lambda known: {**known, name: made})
            changed = dict(self._known)
        self._tell(changed)

    def remove(self, name: str, *, last: bool = False) -> bool:
        """Remove an administrator; False when there is none of that name.

        Raises Forbidden for the last one (``last`` means that there are no others elsewhere): every client would
        be an administrator of the server.
        """
        found = False

        def without(known: dict[str, str]) -> dict[str, str]:
            nonlocal found
            found = found or name in known
            left = {each: kept for each, kept in known.items() if each != name}
            if last and known and not left:
                raise Forbidden("the last administrator cannot be removed: everybody would be one")
            return left

        with self._lock:
            self._change(without)
            changed = dict(self._known)
        if found:
            self._tell(changed)
        return found

    def told(self, known: dict[str, str]) -> None:
        """Take over what another process of this server has changed, at once."""
        with self._lock:
            self._known, self._seen, self._looked = known, None, -math.inf

    def _refresh(self, path: Path) -> None:
        try:
            found = path.stat()
        except FileNotFoundError:
            return
        # Another process may have changed it.
        if (found.st_mtime_ns, found.st_ino) != self._seen:
            with self._lock:
                self._known = self._read()
                self._seen = (found.st_mtime_ns, found.st_ino)

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        if self._shared is not None:
            # In one transaction: two hosts may change them at the same time.
            text = self._shared.change(SHARED, lambda text: json.dumps(change(_parsed(text))))
            self._known = _parsed(text)
            return
        known = self._read()
        changed = change(known)
        if changed != known:
            self._keep(changed)

    def _read(self) -> dict[str, str]:
        if self._path is None:
            return dict(self._known)
        with contextlib.suppress(FileNotFoundError):
            return dict(json.loads(self._path.read_text("utf-8")))
        return {}

    def _keep(self, known: dict[str, str]) -> None:
        if self._path is not None:
            # In one step: a reader finds the old list or the new one.
            descriptor, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(known, file)
            os.replace(name, self._path)
        self._known = known


def _parsed(text: str | None) -> dict[str, str]:
    return {} if text is None else dict(json.loads(text))


def check_administrator(name: str, password: str) -> None:
    """Refuse an invalid name or password. Raises BadRequest."""
    if not name or ":" in name or not password or not encodes(name + password):
        raise BadRequest("an administrator has a name without a colon, and a password, both with a UTF-8 form")


def _made(environment: SyncEnvironment) -> Administrators:
    shared = environment.shared
    no_file = environment.directory is None or shared is not None
    siblings = environment.state(SIBLINGS)
    made = Administrators(
        None if no_file else environment.plugin_directory("server") / FILE,
        lambda known: siblings.tell("administrators", known),
        shared,
    )
    siblings.on("administrators", made.told)
    return made


_ADMINISTRATORS: Slot[Administrators] = Slot("administrators made at run time", _made)


def administrators(environment: SyncEnvironment) -> Administrators:
    """Return the administrators of an environment that were made at run time."""
    return environment.state(_ADMINISTRATORS)
