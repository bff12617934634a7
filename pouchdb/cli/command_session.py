"""One run of the command: where databases are, how they are opened, where results are printed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pouchdb
from pouchdb.cli.names import DIRECTORY, PASSWORD, Place, place_of, similar, without_credentials
from pouchdb.cli.output import Output
from pouchdb.cli.status import Failure, Status
from pouchdb_core.adapters.sqlite.files import SUFFIX
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest
from pouchdb_core.urls import is_http, shown_url

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Session"]

DEFAULT = "data"


class Session:
    """The object a command gets by ``@click.pass_obj``; closed when the command ends."""

    def __init__(self, output: Output, owners: dict[str, str]) -> None:
        self.output = output
        self.owners = owners
        """The commands, and the plug-in that added each."""
        self.directory = Path(DEFAULT)
        self.url: str | None = None
        """The URL of the databases instead of a directory, with its credentials."""
        self.choose(os.environ.get(DIRECTORY) or DEFAULT)
        self.ca_certs: Path | None = None
        """The file of certificates to verify servers with; None for the system's."""
        self._environments: dict[Path | str | None, SyncEnvironment] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def choose(self, where: str) -> None:
        """Set where the databases are: a directory, or a URL that a plug-in keeps databases at."""
        if "://" in where:
            self.url = where
            self.output.secrets[where] = shown_url(where)
        else:
            self.directory, self.url = Path(where).expanduser(), None

    @property
    def there(self) -> bool:
        """Whether the place exists, as far as it can be known without a request."""
        return self.url is not None or self.directory.is_dir()

    @property
    def where(self) -> str:
        """The name of the place, without credentials."""
        return str(self.directory) if self.url is None else shown_url(self.url)

    def environment(self, directory: Path | None = None, *, make: bool = False) -> SyncEnvironment:
        """Return the environment of a directory, the chosen one unless given. Raises Failure if it is missing."""
        if self.url is not None and directory in (None, self.directory):
            return self._environment(self.url)
        where = self.directory if directory is None else directory
        if not make and not where.is_dir():
            raise Failure(
                f"there is no directory {where}" if not where.exists() else f"{where} is not a directory",
                f"choose where the databases are by --directory or the variable {DIRECTORY}",
                Status.NOT_FOUND,
            )
        return self._environment(where.absolute())

    def _environment(self, where: Path | str | None) -> SyncEnvironment:
        found = self._environments.get(where)
        if found is None:
            found = self._environments[where] = pouchdb.setup(":memory:" if where is None else where)
            self._open.callback(found.close)
        return found

    def place(self, given: str) -> Place:
        """Return where the database with this name on the command line is."""
        if self.url is not None and "://" not in given:
            return Place(self.directory, given)
        place = place_of(given, self.directory)
        if place.directory is None:
            shown = without_credentials(given)
            self.output.secrets.update({place.name: shown, given: shown})
        return place

    def database(self, given: str, *, make: bool = False, guess: bool = True, **options: Any) -> SyncPouchDB:
        """Open a database by name, path or URL; ``make`` makes a missing one.

        ``guess`` suggests names similar to a wrong one: not where a wrong guess does harm. Raises Failure,
        PouchDBError.
        """
        return self._opened(self.place(given), make, guess, options)

    def _opened(self, place: Place, make: bool, guess: bool, options: dict[str, Any]) -> SyncPouchDB:
        if place.directory is None:
            if not is_http(place.name):
                raise Failure(
                    f"{place.name}: databases on servers begin with http:// or https://",
                    "the place of databases that a plug-in keeps (as postgresql://...) is chosen by --directory",
                    Status.USAGE,
                    error="usage",
                )
            if self.ca_certs is not None:
                options["ca_certs"] = str(self.ca_certs)
            try:
                return self._environment(None).PouchDB(place.name, skip_setup=not make, **options)
            except BadRequest as error:
                if "@" not in place.name:
                    raise
                # The end of the password is not known, so nothing of it may be shown.
                raise Failure(
                    "this is not the URL of a database",
                    f"special characters of a password must be escaped in a URL (/ is %2F, @ is %40): "
                    f"or leave it out and set the variable {PASSWORD}",
                    Status.USAGE,
                ) from error
        if make:
            return self.environment(place.directory, make=True).PouchDB(place.name, **options)
        environment = self.environment(place.directory)
        names = environment.names()
        if place.name not in names:
            raise Failure(
                f"there is no database {place.name!r} in {self.where if self.url else place.directory}",
                similar(place.name, names) if guess else "`pouchdb ls` lists those that are there",
                Status.NOT_FOUND,
                error="not_found",
            )
        return environment.PouchDB(place.name, **options)

    def check_name(self, given: str, usage: str) -> None:
        """Raise Failure if ``given`` is a document or a file, so that the name of the database was forgotten."""
        is_file = Path(given).is_file() and not given.endswith(SUFFIX)
        if not (given == "-" or given[:1] in ("@", "{", "[") or is_file) or self.exists(given):
            return
        what = f"{given} is a file" if is_file else f"{given!r} is not the name of a database"
        raise Failure(f"{what}: the database comes first", f"usage: {usage}", Status.USAGE, error="usage")

    def shown(self, given: str) -> str:
        """Return the name of a database on the command line, without credentials."""
        return without_credentials(given)

    def exists(self, given: str) -> bool:
        """Return whether a local database exists; nothing is known about remote ones."""
        place = self.place(given)
        if place.directory is None:
            return True
        here = self.url is not None or place.directory.is_dir()
        return here and place.name in self.environment(place.directory).names()

    def names(self) -> Sequence[str]:
        """Return the names of the databases in the chosen directory."""
        return self.environment().names()
