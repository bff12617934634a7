"""Types for type checkers of calls that may continue: with ``live=True`` they return a handle, else the result.

Asynchronous calls return a handle either way, so they need none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, overload

from pouchdb_core.methods import Calls

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pouchdb_core.api.replicating import Peer, ReplicateOptions, RestOfReplicate, RestOfSync, SyncOptions
    from pouchdb_core.live import Feed, Replication, Sync
    from pouchdb_core.requests import Style
    from pouchdb_core.results import Record

__all__ = [
    "CHANGES",
    "FROM",
    "REPLICATE",
    "SYNC_BOTH",
    "SYNC_WITH",
    "TO",
    "ChangesCall",
    "ChangesOptions",
    "FromCall",
    "ReplicateCall",
    "SyncBothCall",
    "SyncWithCall",
    "ToCall",
]


class ChangesOptions(TypedDict, total=False):
    """The options of ``changes`` but for ``live`` and ``continuous``."""

    since: int | str | None
    limit: int | None
    descending: bool
    style: Style
    include_docs: bool
    conflicts: bool
    attachments: bool
    binary: bool
    doc_ids: Sequence[str] | None
    filter: Callable[..., Any] | str | None
    query_params: Mapping[str, Any] | None
    view: str | None
    selector: Mapping[str, Any] | None
    seq_interval: int | None
    return_docs: bool
    batch_size: int | None
    timeout: float | bool | None
    heartbeat: float | bool | None
    on_change: Callable[[Record], Any] | None
    complete: Callable[..., Any] | None
    onChange: Callable[[Record], Any] | None


class ChangesCall(Protocol):
    """``db.changes``."""

    @overload
    def __call__(self, *, live: Literal[True], continuous: bool = ..., **options: Unpack[ChangesOptions]) -> Feed: ...
    @overload
    def __call__(self, *, continuous: Literal[True], live: bool = ..., **options: Unpack[ChangesOptions]) -> Feed: ...
    @overload
    def __call__(
        self, *, live: Literal[False] = ..., continuous: Literal[False] = ..., **options: Unpack[ChangesOptions]
    ) -> Record: ...
    @overload
    def __call__(
        self, *, live: bool = ..., continuous: bool = ..., **options: Unpack[ChangesOptions]
    ) -> Record | Feed: ...


class ReplicateCall(Protocol):
    """``env.replicate``."""

    @overload
    def __call__(
        self,
        source: Peer,
        target: Peer,
        *,
        live: Literal[True],
        continuous: bool = ...,
        **options: Unpack[RestOfReplicate],
    ) -> Replication: ...
    @overload
    def __call__(
        self,
        source: Peer,
        target: Peer,
        *,
        continuous: Literal[True],
        live: bool = ...,
        **options: Unpack[RestOfReplicate],
    ) -> Replication: ...
    @overload
    def __call__(
        self,
        source: Peer,
        target: Peer,
        *,
        live: Literal[False] = ...,
        continuous: Literal[False] = ...,
        **options: Unpack[RestOfReplicate],
    ) -> Record: ...
    @overload
    def __call__(self, source: Peer, target: Peer, **options: Unpack[ReplicateOptions]) -> Record | Replication: ...


class ToCall(Protocol):
    """``db.replicate_to``."""

    @overload
    def __call__(
        self, target: Peer, *, live: Literal[True], continuous: bool = ..., **options: Unpack[RestOfReplicate]
    ) -> Replication: ...
    @overload
    def __call__(
        self, target: Peer, *, continuous: Literal[True], live: bool = ..., **options: Unpack[RestOfReplicate]
    ) -> Replication: ...
    @overload
    def __call__(
        self,
        target: Peer,
        *,
        live: Literal[False] = ...,
        continuous: Literal[False] = ...,
        **options: Unpack[RestOfReplicate],
    ) -> Record: ...
    @overload
    def __call__(self, target: Peer, **options: Unpack[ReplicateOptions]) -> Record | Replication: ...


class FromCall(Protocol):
    """``db.replicate_from``."""

    @overload
    def __call__(
        self, source: Peer, *, live: Literal[True], continuous: bool = ..., **options: Unpack[RestOfReplicate]
    ) -> Replication: ...
    @overload
    def __call__(
        self, source: Peer, *, continuous: Literal[True], live: bool = ..., **options: Unpack[RestOfReplicate]
    ) -> Replication: ...
    @overload
    def __call__(
        self,
        source: Peer,
        *,
        live: Literal[False] = ...,
        continuous: Literal[False] = ...,
        **options: Unpack[RestOfReplicate],
    ) -> Record: ...
    @overload
    def __call__(self, source: Peer, **options: Unpack[ReplicateOptions]) -> Record | Replication: ...


class SyncBothCall(Protocol):
    """``env.sync``."""

    @overload
    def __call__(
        self, source: Peer, target: Peer, *, live: Literal[True], continuous: bool = ..., **options: Unpack[RestOfSync]
    ) -> Sync: ...
    @overload
    def __call__(
        self, source: Peer, target: Peer, *, continuous: Literal[True], live: bool = ..., **options: Unpack[RestOfSync]
    ) -> Sync: ...
    @overload
    def __call__(
        self,
        source: Peer,
        target: Peer,
        *,
        live: Literal[False] = ...,
        continuous: Literal[False] = ...,
        **options: Unpack[RestOfSync],
    ) -> Record: ...
    @overload
    def __call__(self, source: Peer, target: Peer, **options: Unpack[SyncOptions]) -> Record | Sync: ...


class SyncWithCall(Protocol):
    """``db.sync``."""

    @overload
    def __call__(
        self, other: Peer, *, live: Literal[True], continuous: bool = ..., **options: Unpack[RestOfSync]
    ) -> Sync: ...
    @overload
    def __call__(
        self, other: Peer, *, continuous: Literal[True], live: bool = ..., **options: Unpack[RestOfSync]
    ) -> Sync: ...
    @overload
    def __call__(
        self,
        other: Peer,
        *,
        live: Literal[False] = ...,
        continuous: Literal[False] = ...,
        **options: Unpack[RestOfSync],
    ) -> Record: ...
    @overload
    def __call__(self, other: Peer, **options: Unpack[SyncOptions]) -> Record | Sync: ...


CHANGES: Calls[ChangesCall] = Calls()
REPLICATE: Calls[ReplicateCall] = Calls()
TO: Calls[ToCall] = Calls()
FROM: Calls[FromCall] = Calls()
SYNC_BOTH: Calls[SyncBothCall] = Calls()
SYNC_WITH: Calls[SyncWithCall] = Calls()
