"""Fetching attachments from a server: those of the next batch are fetched while this one is written."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.documents.attachments import Incoming, parse_content
from pouchdb_core.errors import NotFound, PouchDBError
from pouchdb_core.replication.background import Background, Interrupted, Task
from pouchdb_core.replication.isolation import ends_all
from pouchdb_core.runner import Runner

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["AT_ONCE", "Fetch", "Key", "open_one"]

AT_ONCE = 6
"""Attachments fetched at the same time: more would only wait for each other in the server."""

Key = tuple[str, str, str]
"""(id, rev, name) of an attachment."""


def open_one(source: Database, key: Key) -> Any:
    """Return an open attachment, the error if it concerns that attachment alone, or None if it no longer exists.

    Raises errors that would end the reading of others too.
    """
    id, rev, name = key
    try:
        return source.open_attachment(id, name, rev)
    except NotFound:
        # Compacted or purged since the document was read: the target reports it, and it is tried again.
        return None
    except PouchDBError as error:
        if ends_all(error):
            raise
        return _of_attachment(error, name)


class Fetch:
    """The attachments of one batch. Begins at once; the caller must close it, which removes the fetched files."""

    def __init__(self, source: Database, background: Background, threads: Runner, wanted: Sequence[Key]) -> None:
        """``threads`` fetch, those of this batch and the next together."""
        self._source, self._background, self._threads, self._wanted = source, background, threads, wanted
        self._lock = threading.Lock()
        self._fetched: list[Incoming] = []
        self._closed = False
        self._task: Task[Mapping[Key, Incoming | PouchDBError]] | None = background.start(self._all) if wanted else None

    def result(self) -> Mapping[Key, Incoming | PouchDBError]:
        """Wait for all of them; return the content, or the error, of each attachment that exists.

        Raises Interrupted, and errors that concern more than one document.
        """
        return {} if self._task is None else self._task.result()

    def close(self) -> None:
        """Remove the temporary files; content that arrives later is not kept."""
        with self._lock:
            self._closed = True
            fetched, self._fetched = self._fetched, []
        for content in fetched:
            content.close()

    def _all(self) -> Mapping[Key, Incoming | PouchDBError]:
        answers: list[Incoming | PouchDBError | None] = self._threads.map(self._fetch, self._wanted)
        return {key: answer for key, answer in zip(self._wanted, answers, strict=True) if answer is not None}

    def _fetch(self, key: Key) -> Incoming | PouchDBError | None:
        if self._closed or self._background.interrupted:
            raise Interrupted()
        file = open_one(self._source, key)
        if file is None or isinstance(file, PouchDBError):
            return file
        try:
            with file:
                content = parse_content(key[2], file, {})
        except PouchDBError as error:
            if ends_all(error):
                # Is this attachment the reason, or does every request fail? In the latter case this raises.
                self._source.info()
            return _of_attachment(error, key[2])
        with self._lock:
            kept = not self._closed
            if kept:
                self._fetched.append(content)
        if not kept:
            content.close()
            raise Interrupted()
        return content


def _of_attachment(error: PouchDBError, name: str) -> PouchDBError:
    """Make an error say which attachment it is about."""
    if error.details.setdefault("attachment", name) == name and repr(name) not in error.message:
        error.message = f"attachment {name!r}: {error.message}"
    return error
