"""A folder with Fauxton, CouchDB's web interface, which is not included."""

from __future__ import annotations

import os
from pathlib import Path

from pouchdb_core.errors import BadRequest

__all__ = ["INDEX", "check_fauxton"]

INDEX = "index.html"


def check_fauxton(directory: str | os.PathLike[str]) -> None:
    """Refuse a folder that is not Fauxton. Raises BadRequest."""
    if not (Path(directory) / INDEX).is_file():
        raise BadRequest(f"fauxton is a folder with an {INDEX}, such as node_modules/fauxton/dist/release: {directory}")
