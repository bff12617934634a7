"""Names of databases on the command line: a name, a path or a URL."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pouchdb.cli.status import Failure, Status
from pouchdb_core.adapters.sqlite import files

__all__ = ["DIRECTORY", "PASSWORD", "Place", "place_of", "similar", "without_credentials"]

DIRECTORY = "POUCHDB_DIRECTORY"
PASSWORD = "POUCHDB_PASSWORD"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is: in a directory under a name, or (no directory) at a URL."""

    directory: Path | None
    name: str


def place_of(given: str, directory: Path) -> Place:
    """Return where ``given`` is.

    A URL contains ``://``. A path ends with ``.pouchdb``, begins with ``/``, ``.`` or ``~``, or
    has the name of an existing directory before its last slash, unless a database in ``directory`` is
    has that name: names may have slashes. Raises Failure.
    """
    if not given:
        raise Failure("the name of a database is empty", exit=Status.USAGE)
    if "://" in given:
        return Place(None, _with_password(given))
    path = Path(os.path.expanduser(given))
    if given.endswith(files.SUFFIX):
        return Place(path.parent, _name_of(path))
    parent, _, name = given.rpartition("/")
    is_path = given.startswith(("/", "./", "../", "~")) or (parent != "" and Path(parent).is_dir())
    if name and is_path and not files.file_path(directory, given).exists():
        return Place(path.parent, name)
    return Place(directory, given)


def _name_of(path: Path) -> str:
    """Return the name of the database in a file. Raises Failure."""
    if path.is_file():
        found = [name for name in files.names(path.parent) if files.filename(name) == path.name]
        if found:
            return found[0]
        raise Failure(
            f"{path}: no database would have a file of this name",
            "the name of a file is made from the database's: `pouchdb ls` shows those that are there",
        )
    # It may be made: for plain names the file has the same name.
    name = path.name[: -len(files.SUFFIX)]
    if name and files.filename(name) == path.name:
        return name
    raise Failure(f"{path}: there is no such file", exit=Status.NOT_FOUND)


def _with_password(url: str) -> str:
    """Return a URL that has a user but no password with the one of the variable."""
    try:
        parts = urlsplit(url)
        user, password, host = parts.username, parts.password, parts.netloc.rpartition("@")[2]
    except ValueError:
        # Opening the database reports what is wrong with it.
        return url
    given = os.environ.get(PASSWORD)
    if not user or password is not None or given is None:
        return url
    return parts._replace(netloc=f"{quote(unquote(user), safe='')}:{quote(given, safe='')}@{host}").geturl()


def without_credentials(url: str) -> str:
    """Return a URL in a form that may be shown, even if it is invalid."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else url


def similar(name: str, names: list[str]) -> str:
    """Return a hint: the names of the existing databases."""
    if not names:
        return "there is none; `pouchdb create NAME` makes one, and so do `load` and `replicate`"
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"there are: {', '.join(names[:8])}{rest}"
