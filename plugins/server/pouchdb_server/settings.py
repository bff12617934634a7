"""The settings of a server: its administrators and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Literal

from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr
from pouchdb_server.pages.fauxton import check_fauxton

__all__ = ["Settings"]

MIB = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """The options of ``create_app``."""

    admins: Mapping[str, str] = field(default_factory=dict)
    """Names and passwords of the administrators; a password may be CouchDB's hash of one (``-pbkdf2-...``).
    Without any there is an admin party: every client may do everything."""
    admin_party: Literal["loopback", "everywhere"] = "loopback"
    """Where the party is: on this machine only, or for all clients that the application that mounts the
    server lets in."""
    cors: bool | Sequence[str] = False
    """True allows pages of every origin, a list those of these origins. Credentials are allowed with a list only."""
    hosts: Sequence[str] = ()
    """Host names by which clients of this machine may reach it during an admin party, in addition to localhost."""
    secret: str | None = None
    """The secret that signs cookies; one is made and stored if there is none."""
    session_timeout: int = 600
    """Seconds a cookie is valid after its last use."""
    max_body: int = 64 * MIB
    """Largest body that is read as a whole, in bytes."""
    max_attachment: int | None = None
    """Largest attachment, in bytes; it is never read as a whole. None: as much as the disk holds."""
    max_headers: int = 64 * 1024
    """Largest head of a request, in bytes; for ``serve`` only."""
    max_feeds: int = 5000
    """How many feeds may wait for changes at the same time."""
    max_heartbeat: int = 60_000
    """Milliseconds a feed may be silent."""
    min_heartbeat: int = 500
    """Milliseconds between two heartbeats at least, whatever a client requests."""
    max_databases: int = 200
    """How many databases stay open while they are not in use."""
    workers: int = 16
    """Threads for reads; writes, uploads and feeds have half as many each, passwords two."""
    slow_workers: int = 16
    """Threads for long work: building views, replications by ``_replicate``."""
    line: int = 1000
    """Requests of one kind that wait for a thread; more are answered 503 with ``Retry-After``."""
    patience: float = 60.0
    """Seconds to wait for a client that reads or sends nothing in the middle of a message."""
    slowest: int = 256
    """Bytes per second that a body must arrive with on average, over each time of ``patience``."""
    body_time: float = 600.0
    """Longest time for a body that is read as a whole, in seconds; attachments may take longer."""
    max_jobs: int = 100
    """Replications of ``_replicator`` documents that run at the same time; others wait for their turn."""
    fauxton: str | PathLike[str] | None = None
    """A folder with Fauxton (``dist/release`` of the npm package), to be served at /_utils/ instead of our page."""
    replication_interval: float = 60.0
    """Seconds a continuous replication keeps its place while others wait."""

    def __post_init__(self) -> None:
        if isinstance(self.cors, str):
            raise BadRequest(f"cors is True, False or a list of origins, not the text {safe_repr(self.cors)}")
        for name, password in self.admins.items():
            if not name or ":" in name or not password:
                raise BadRequest(f"an administrator has a name without a colon, and a password; not {safe_repr(name)}")
        if self.fauxton is not None:
            check_fauxton(self.fauxton)
        for name in ("workers", "slow_workers"):
            if getattr(self, name) < 1:
                raise BadRequest(f"{name} must be a number from 1 up, not {safe_repr(getattr(self, name))}")
        if self.max_jobs < 1:
            raise BadRequest(f"max_jobs must be a number from 1 up, not {safe_repr(self.max_jobs)}")
        if not self.replication_interval > 0:
            wrong = safe_repr(self.replication_interval)
            raise BadRequest(f"replication_interval must be a number of seconds, not {wrong}")
