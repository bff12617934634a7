"""The contract of an adapter: whole operations on one database, local or remote.

An embedded store implements the row primitives of ``documents.store`` and gets this from the SQL
adapter's shape; a remote database does whole operations itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pouchdb_core.errors import BadRequest, NotFound, NotSupported, StorageError
from pouchdb_core.requests import Changes, Guard, Listing, Query, Read, Write
from pouchdb_core.results import Outcome, Record
from pouchdb_core.state import Slots
from pouchdb_core.tasks import Tasks

if TYPE_CHECKING:
    from pouchdb_core.documents.restore import Restore
    from pouchdb_core.errors import PouchDBError
    from pouchdb_core.views.index_store import IndexStore

__all__ = ["Adapter", "Place", "Response", "Shared", "SharedLock", "Storage"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how an engine keeps its databases: what an adapter is opened with."""

    directory: Path | None
    """The storage directory; None keeps everything in memory, or at ``url``."""
    new_id: Callable[[], str]
    tasks: Tasks
    watch: Callable[[Any, bool], None]
    """Start or stop looking for writes that other processes make to a store."""
    side_directory: Callable[[str], Path]
    """Make a temporary folder, by database name, for side files of a database without a file."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The environment's defaults of the database options."""
    slots: Slots = field(default_factory=Slots)
    """State that the databases of an engine share; ``slots.get(SLOT, place)``."""
    url: str | None = None
    """The URL of the databases instead, with its credentials: the one ``setup()`` was given."""
    announce_session: Callable[[str, Any], None] = lambda url, session: None
    """Report a new session with a server to the plug-ins: the hook ``pouchdb_http_session``."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where an environment keeps its databases when that is not a directory: see ``pouchdb_storages``."""

    adapter: str
    """The name of the adapter that opens them, and finds the URL in ``Place.url``."""
    directory: Path | None = None
    """A local folder for files of plug-ins that belong to the environment; None: a temporary one."""
    shared: Callable[[Place], Shared] | None = None
    """What the processes of all hosts share there; called once. None: each process is by itself."""


class SharedLock(Protocol):
    """A lock that one process of all hosts has at a time, until it releases it, ends, or loses its connection."""

    def acquire(self) -> bool:
        """Take it if nobody else has it, without waiting; tell whether it is ours, which may be over by now.

        Raises StorageError where that cannot be found out.
        """

    def release(self) -> None:
        """Give it back."""


class Shared(Protocol):
    """What the processes that use one place share beside databases: short texts by name, and locks.

    Names begin with the plug-in's and a slash. Every method but ``lock`` raises StorageError.
    """

    def text(self, name: str) -> str | None:
        """Return a text, None if there is none."""

    def change(self, name: str, change: Callable[[str | None], str]) -> str:
        """Store what ``change`` makes of a text, in one transaction; return it.

        One process at a time changes texts. ``change`` may be called again where the connection broke; what it
        raises is raised, and nothing is changed.
        """

    def lock(self, name: str) -> SharedLock:
        """Return a lock, which nobody has yet."""


class Response(Protocol):
    """A server's response to ``fetch``."""

    status: int
    headers: Mapping[str, str]

    @property
    def data(self) -> bytes:
        """The whole body."""

    @property
    def text(self) -> str:
        """The whole body as text."""

    def json(self) -> Any:
        """Return the body parsed, objects as Records."""

    def error(self) -> PouchDBError | None:
        """Return the error that the response stands for, None below status 400."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes; with ``stream=True`` it is not held in memory."""

    def close(self) -> None:
        """Release the connection; needed if a streamed body is not read to its end."""


class Adapter(ABC):
    """One open database.

    May be used from any thread. Every method raises only PouchDBError and its subclasses.
    """

    name: ClassVar[str]
    """The name in ``info()["adapter"]`` and in the option ``adapter=``."""
    schemes: ClassVar[tuple[str, ...]] = ()
    """URL schemes whose databases it opens, such as ``("http", "https")``."""
    remote: ClassVar[bool] = False
    packs: ClassVar[bool] = False
    """Whether it reads and writes revisions as ``documents.packed`` has them: stored JSON, not parsed."""
    takes_packed: ClassVar[bool] = False
    """Whether it writes them, at least, when they are replicated."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Names of the options ``open`` understands; others are refused."""

    created: bool = False
    """Whether opening made the database."""
    makes_missing: bool = True
    """Whether writing to a database that does not exist makes it."""
    lasting: bool = True
    """Whether the database outlives ``close()``."""

    @classmethod
    def available(cls) -> bool:
        """Return whether this machine has what the adapter needs."""
        return True

    @classmethod
    @abstractmethod
    def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> Adapter:
        """Open a database, making it if it is missing."""

    def configure(self, options: Mapping[str, Any]) -> None:
        """Take options that are given for the first time, or again, while the database is open.

        Raises BadRequest for what cannot be changed now. Adapters that are ``remote`` are not asked:
        there each set of options has a separate adapter.
        """
        raise BadRequest(f"the database is open already: close it first, to open it with {', '.join(options)}")

    @classmethod
    def resolve(cls, name: str, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Return name and options as they are stored; secrets in a name become options."""
        return name, options

    @classmethod
    def names(cls, place: Place) -> Iterable[str]:
        """Return the names of the persistent local databases at a place."""
        return ()

    @classmethod
    @abstractmethod
    def destroy(cls, place: Place, name: str) -> None:
        """Remove a closed database; a missing one is not an error."""

    @abstractmethod
    def id(self) -> str:
        """Return what identifies the database permanently: its uuid."""

    @abstractmethod
    def write(self, request: Write, guards: Sequence[Guard]) -> list[Outcome]:
        """Write documents; one outcome each, in input order."""

    @abstractmethod
    def read(self, request: Read) -> Any:
        """Read a document, its open revisions, an attachment, or many documents."""

    @abstractmethod
    def listing(self, request: Listing) -> Record:
        """List documents by id."""

    @abstractmethod
    def changes(self, request: Changes) -> Iterator[Any]:
        """Yield the rows of the changes feed, and ``Idle`` if it is live; the generator returns the last seq."""

    @abstractmethod
    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` when something was written, until the returned function is called."""

    @abstractmethod
    def pending(self, since: Any) -> int:
        """Count the changes after ``since``."""

    @abstractmethod
    def lacking(self, keys: Collection[bytes]) -> set[bytes]:
        """Return those SHA-256 digests of content that the database does not have."""

    @abstractmethod
    def local_ids(self, prefix: str) -> Sequence[str]:
        """Return the ids of local documents that start with ``prefix``."""

    @abstractmethod
    def conflicts(self) -> Iterator[Record]:
        """Yield the documents that have live conflicts, with ``_conflicts``."""

    @abstractmethod
    def ddocs_seq(self) -> int:
        """Return a number that changes when a design document is written or purged."""

    @abstractmethod
    def design_documents(self) -> Sequence[Record]:
        """Return the design documents, in id order."""

    @abstractmethod
    def info(self) -> Record:
        """Return ``doc_count``, ``update_seq`` and the like."""

    @abstractmethod
    def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> Record:
        """Return the revisions that the database lacks."""

    @abstractmethod
    def compact(self, interval: float | None = None) -> None:
        """Drop what only old revisions need.

        ``interval`` is for servers that do it in the background: milliseconds between polls.
        """

    @abstractmethod
    def purge(self, revs: Mapping[str, Sequence[str]]) -> tuple[int, dict[str, list[str]], set[str]]:
        """Purge leaf revisions; return purge_seq, the purged revisions by id, and ids that were removed completely."""

    @abstractmethod
    def revs_limit(self, limit: int | None = None) -> int:
        """Return, and set when given, how many revisions of a branch are kept."""

    @abstractmethod
    def security(self) -> Record:
        """Return the security object."""

    @abstractmethod
    def put_security(self, security: Mapping[str, Any]) -> None:
        """Replace the security object."""

    @abstractmethod
    def directory(self, plugin: str) -> Path:
        """Return (making it) a folder for files of a plug-in that belong to this database."""

    def existing_directory(self, plugin: str) -> Path | None:
        """Return the folder that ``directory`` makes, if it exists."""
        return None

    def file_error(self, error: OSError, what: str) -> StorageError:
        """Return the error for a file that cannot be used."""
        return StorageError(f"{what}: {error.strerror or error}")

    @abstractmethod
    def backup(self, target: Path) -> None:
        """Copy the database to ``target`` while others read and write."""

    @abstractmethod
    def problems(self, deep: bool = True) -> Sequence[str]:
        """Check the integrity of everything stored; ``deep`` reads bodies and content too."""

    def purges(self, after: int) -> Iterator[tuple[int, str, Sequence[str]]]:
        """Yield (purge_seq, id, revs) of the recorded purges; nothing is known about a server's."""
        return iter(())

    def restore(self, dump: str) -> Restore:
        """Return an object that fills the empty database with a dump of this id, or continues it. Raises FileExists.

        Raises NotSupported where sequence numbers cannot be chosen: then documents are written as usual.
        """
        raise NotSupported(f"{self.name}: the numbers of its feed cannot be chosen")

    def loading(self) -> Mapping[str, Any] | None:
        """Return ``{"dump", "seq"}`` of a dump that is loaded in part only, else None."""
        return None

    def indexes(self) -> IndexStore:
        """Return the store of the database's indexes. Raises NotSupported where a server has them."""
        raise NotSupported(f"{self.name}: indexes of this database are not kept here")

    def scratch(self) -> IndexStore:
        """Return an empty store of indexes for one query; the caller closes it."""
        raise NotSupported(f"{self.name}: indexes of this database are not kept here")

    def fetch(self, path: str, method: str = "GET", **options: Any) -> Response:
        """Send a request to the server of a remote database; see ``Handle.fetch``."""
        raise NotSupported(f"{self.name}: there is no server to send requests to")

    def commit(self) -> None:
        """Make sure that what was written survives a power cut. Local databases do so as their durability says."""
        return

    def check(self) -> None:
        """Raise the error that forbids further use of the database, such as when another process destroyed its file.

        Costs about as much as asking for a file's status. Sends no request to a server.
        """
        return

    def same(self) -> bool:
        """Return whether the database is still the one that was opened; asked when it is used again.

        Another process may have destroyed it, or made another one with the same name. Costs about as much as
        ``check()``. Sends no request to a server.
        """
        try:
            self.check()
        except NotFound:
            return False
        return True

    def identify_again(self) -> None:
        """Forget the id that a server returned: another server may be at its address now."""
        return

    def holds(self, id: str) -> bool:
        """Return whether there is a document, without reading it; only used for remote databases."""
        raise NotSupported(f"{self.name}: reading a document costs as little")

    def create(self) -> None:
        """Make the database if it is missing. Local databases exist since they were opened."""
        return

    def purged_infos_limit(self, limit: int | None = None) -> int:
        """Return, and set when given, how many purges are recorded. Raises NotSupported where a server has them."""
        raise NotSupported(f"{self.name}: what was purged from this database is not kept here")

    def query(self, request: Query) -> Record:
        """Answer a view query; only used for remote databases."""
        raise NotSupported(f"{self.name}: views of this database cannot be queried")

    def view_cleanup(self) -> None:
        """Drop indexes that no design document names; only used for remote databases."""
        raise NotSupported(f"{self.name}: views of this database cannot be cleaned up")

    @abstractmethod
    def close(self) -> None:
        """Close the database."""
