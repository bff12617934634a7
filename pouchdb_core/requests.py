"""One dataclass per operation, the argument of its hook; ``dataclasses.replace`` makes another with other values.

Adding an option never changes a hook's signature. Every request has the user on whose behalf it is made
(``user``; None is the program itself, with all rights) and why (``purpose``).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from pouchdb_core.errors import PouchDBError
from pouchdb_core.jsontext import dump
from pouchdb_core.results import Record

__all__ = [
    "MISSING",
    "NEVER",
    "NOTHING",
    "Action",
    "Administer",
    "AnyRequest",
    "Changes",
    "Destroy",
    "Guard",
    "Listing",
    "Never",
    "Open",
    "Proposed",
    "Purpose",
    "Query",
    "Read",
    "ReadOptions",
    "Replicate",
    "Style",
    "UserContext",
    "Wait",
    "Write",
    "judges_local",
]

Purpose = Literal["api", "replication", "index"]
Style = Literal["main_only", "all_docs"]

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class UserContext:
    """The user on whose behalf a request is made: CouchDB's ``userCtx``."""

    name: str | None = None
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a read adds to the document (spec: pouchdb-api 2.2, ``db.get``)."""

    revs: bool = False
    revs_info: bool = False
    conflicts: bool = False
    deleted_conflicts: bool = False
    local_seq: bool = False
    latest: bool = False
    attachments: bool = False
    binary: bool = False
    atts_since: tuple[str, ...] = ()


PLAIN = ReadOptions()


# Read and Write are made for every document: making a frozen dataclass takes eight times as long, a tenth of a get.
@dataclass(slots=True)
class Read:
    """Read one document, its open revisions, one attachment, or (``items``) many documents."""

    id: str
    rev: str | None = None
    options: ReadOptions = PLAIN
    open_revs: Literal["all"] | tuple[str, ...] | None = None
    attachment: str | None = None
    """Name of the attachment to read instead of the document."""
    stream: bool = False
    """Return an attachment as an open binary file instead of a blob."""
    items: tuple[tuple[str, str | None, tuple[str, ...]], ...] | None = None
    """For ``bulk_get``: (id, rev or None, atts_since) each; ``id`` is empty then."""
    size: int | None = None
    """With ``items``: return about as many as fit in this number of bytes, at least one, and leave the rest."""
    packed: bool = False
    """With ``items``: return a list of Packed, documents with stubs, errors and None, as ``Adapter.packs`` allows."""
    insist: bool = True
    """With ``items``: retry if the server fails; False where the failure itself is looked for."""
    user: UserContext | None = None
    purpose: Purpose = "api"


@dataclass(slots=True)
class Write:
    """Write documents: put, post, remove and bulk_docs all arrive here."""

    docs: Sequence[Any]
    """Mappings, JSON text, or Packed as replication passes them."""
    new_edits: bool = True
    """If False, store revisions as given, as replication does; if True, make a new one."""
    atomic: bool = False
    """All documents or none: the first error is raised and nothing is written."""
    user: UserContext | None = None
    purpose: Purpose = "api"
    context: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    """What a plug-in's method passes to its own guard or transform: see ``Handle.with_context``."""


class Proposed(ABC):
    """What a guard judges: copies, which the guard may change without effect.

    Each form of the document is made when it is first used.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def id(self) -> str:
        """The document's id."""

    @property
    @abstractmethod
    def new(self) -> Record:
        """The document as it will be stored, with ``_id``, ``_rev``, ``_revisions`` and attachments as stubs."""

    @property
    @abstractmethod
    def sent(self) -> Record:
        """The document as it was sent, which is what CouchDB's validation functions see.

        ``_rev`` and ``_revisions`` are those of the parent and absent without one; a replicated document
        (``new_edits=False``) has its own. Attachments are stubs.
        """

    @property
    def sent_json(self) -> bytes:
        """``sent`` as JSON text: for callers that pass it on as text, it is made without parsing the document."""
        return dump(self.sent)

    @property
    @abstractmethod
    def old(self) -> Record | None:
        """The winner it is written over, deleted or not, or None when the document is new."""

    @property
    @abstractmethod
    def parent(self) -> Record | None:
        """The revision it was made from, winner or not: the old document of CouchDB's validation functions.

        For a replicated document it is the newest ancestor whose content the database still has. None when
        there is none, and when a deleted document is made again.
        """

    @property
    @abstractmethod
    def ddocs_seq(self) -> int:
        """The state of the design documents that the judgement must be based on."""

    @abstractmethod
    def content(self, attachment: str) -> Iterator[bytes]:
        """Yield the content of a new attachment in pieces. Raises NotFound for a stub and for an unknown name.

        It can be read as often as needed, until the write returns.
        """

    def __repr__(self) -> str:
        return f"<Proposed {self.id!r}>"


Guard = Callable[[Sequence[Proposed]], "Sequence[PouchDBError | None] | None"]
_G = TypeVar("_G", bound="Callable[..., Any]")


def judges_local(guard: _G) -> _G:
    """Mark a guard that judges local documents too (a decorator).

    It is called once, before the write: of ``Proposed``, ``new`` is the document as given and ``old`` the
    existing local document. Other guards never see local documents.
    """
    guard.judges_local = True  # type: ignore[attr-defined]
    return guard


@dataclass(frozen=True, slots=True)
class Listing:
    """List documents by id."""

    startkey: str | None = None
    endkey: str | None = None
    inclusive_end: bool = True
    descending: bool = False
    limit: int | None = None
    skip: int = 0
    keys: tuple[Any, ...] | None = None
    include_docs: bool = False
    options: ReadOptions = PLAIN
    update_seq: bool = False
    offset: bool = False
    """Count the true offset in the index instead of returning ``skip``."""
    raw: bool = False
    """Return RawDocuments instead of rows: documents as JSON text, for plug-ins that judge many and return few.

    Only for local databases that list plainly (``database.lists_plainly``); keys without a living
    document are left out.
    """
    text: bool = False
    """Return rows as JSON text, for those who send them on: the same objects as bytes. ``last`` of the result is the id
    in the last row of a range, None if there is no row or if ``keys`` are given.

    Only for local databases that list plainly, and without ``options``.
    """
    inclusive_start: bool = True
    """False leaves ``startkey`` itself out: to continue after it. Only for local databases."""
    user: UserContext | None = None
    purpose: Purpose = "api"


class _Missing(Enum):
    MISSING = "missing"


MISSING = _Missing.MISSING
"""No key was given: None is a key, JSON's null."""


@dataclass(frozen=True, slots=True)
class Query:
    """Query a view: of a design document, or a temporary one."""

    view: tuple[str, str] | None
    """(id of the design document, name); None for a temporary view."""
    map: str | Callable[..., Any] | None = None
    """The map function of a temporary view: JavaScript source or a Python function."""
    map_reduce: str | Callable[..., Any] | None = None
    """Its reduce function, or one to use instead of the design document's: a built-in's name, source, a function."""
    reduce: bool | None = None
    """None reduces if the view has a reduce function."""
    startkey: Any = MISSING
    endkey: Any = MISSING
    startkey_docid: str | None = None
    endkey_docid: str | None = None
    inclusive_end: bool = True
    keys: tuple[Any, ...] | None = None
    descending: bool = False
    limit: int | None = None
    skip: int = 0
    group: bool = False
    group_level: int | None = None
    include_docs: bool = False
    options: ReadOptions = PLAIN
    update: Literal["true", "false", "lazy"] = "true"
    """"lazy" reads the index as it is and updates it afterwards."""
    update_seq: bool = False
    offset: bool = False
    """Count the true offset in the index instead of returning ``skip``."""
    stream: bool = False
    """Return ``rows`` as an iterator that can be read once: rows are read page by page, in constant memory.

    The first page is of the same moment as the counters, and each later one has its own moment.
    """
    user: UserContext | None = None
    purpose: Purpose = "api"


class Never(Enum):
    NEVER = "never"


NEVER = Never.NEVER
"""Returned by a plug-in that is not concerned with writes of a database: it is not asked again.

It holds while the database is open, for requests of users or for those of the program itself, whichever was
asked about; ``database.ask_guards_again()`` ends it.
"""


class Wait:
    """Lets another thread end a request that waits."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._end: Callable[[], None] | None = None
        self.stopped = False

    def ended_by(self, end: Callable[[], None]) -> None:
        """Set how to end it; called at once if it was ended already."""
        with self._lock:
            self._end = end
            stopped = self.stopped
        if stopped:
            end()

    def stop(self) -> None:
        """End it, from any thread."""
        with self._lock:
            self.stopped = True
            end = self._end
        if end is not None:
            end()


@dataclass(frozen=True, slots=True)
class Changes:
    """Read the changes feed: one row a document, in update order."""

    since: int | str = 0
    live: bool = False
    """Continue forever: the feed yields ``Idle`` when it has to wait for a write."""
    limit: int | None = None
    descending: bool = False
    style: Style = "main_only"
    include_docs: bool = False
    options: ReadOptions = PLAIN
    doc_ids: tuple[str, ...] | None = None
    filter: Callable[..., Any] | str | None = None
    query_params: Mapping[str, Any] = field(default_factory=dict)
    seq_interval: int | None = None
    selector: Mapping[str, Any] | None = None
    """A Mango selector that documents must match."""
    view: str | None = None
    """Only documents for which this view emits something: ``ddoc/view``."""
    heartbeat: float | None = None
    """Milliseconds after which a server shows that it is still there; None is the adapter's default."""
    wait: Wait | None = None
    """Not live, but wait for the first row: a server's long poll. Only for remote databases."""
    progress: bool = False
    """Yield ``Idle(0, seq)`` now and then while the filter lets nothing through; a live feed does it anyway."""
    raw: bool = False
    """Yield RawChange instead of Records: whole documents as JSON text, not filtered, for indexes."""
    user: UserContext | None = None
    purpose: Purpose = "api"


@dataclass(frozen=True, slots=True)
class Replicate:
    """Replicate from one database to another (spec: pouchdb-api 2.6)."""

    source: Any
    """The database that is read: an object, see ``interfaces.Database``."""
    target: Any
    """The database that is written to."""
    live: bool = False
    retry: bool = False
    filter: Callable[..., Any] | str | None = None
    query_params: Mapping[str, Any] = field(default_factory=dict)
    doc_ids: tuple[str, ...] | None = None
    selector: Mapping[str, Any] | None = None
    view: str | None = None
    heartbeat: float | None = None
    create_target: bool | None = None
    """Make a missing target: True does it even with ``skip_setup``, False never."""
    create_source: bool | None = False
    """The same for a source: it is the target of the other direction of a sync."""
    since: int | str | None = None
    """Start there instead of at the checkpoint."""
    winning_revs_only: bool = False
    batch_size: int = 1000
    checkpoint: bool | Literal["source", "target"] = True
    back_off_function: Callable[[float], float] | None = None
    user: UserContext | None = None
    """The user that requested the replication; source and target are read and written on behalf of their own users."""
    purpose: Purpose = "api"


Action = Literal[
    "backup",
    "close",
    "compact",
    "conflicts",
    "design_documents",
    "dump",
    "get_security",
    "id",
    "info",
    "integrity_check",
    "load",
    "purge",
    "purged_infos_limit",
    "put_security",
    "revs_diff",
    "revs_limit",
    "view_cleanup",
]
"""The action on a whole database, named as the method that does it."""


@dataclass(frozen=True, slots=True)
class Administer:
    """Read or change something of a whole database other than its documents or its feed."""

    action: Action
    arguments: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    """The arguments of the method, checked; for a dump and for loading one ``run``, which does it."""
    user: UserContext | None = None
    purpose: Purpose = "api"


@dataclass(frozen=True, slots=True)
class Open:
    """Open a database, creating it when it is missing."""

    name: str
    adapter: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    user: UserContext | None = None
    purpose: Purpose = "api"


@dataclass(frozen=True, slots=True)
class Destroy:
    """Remove a database with all its files."""

    name: str
    adapter: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the database, as far as they are needed: the credentials of a remote one."""
    user: UserContext | None = None
    purpose: Purpose = "api"


AnyRequest = Read | Write | Listing | Query | Changes | Administer | Replicate | Open | Destroy
"""A request of any operation."""
