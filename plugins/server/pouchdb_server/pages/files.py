"""GET /_utils/…: files of the page and of the pages that plug-ins add, or of a folder with Fauxton."""

from __future__ import annotations

import hashlib
import mimetypes
from importlib import resources
from pathlib import Path

from pouchdb_core.errors import NotFound
from pouchdb_core.jsontext import dump
from pouchdb_server.messages import Request, Response
from pouchdb_server.pages.fauxton import INDEX
from pouchdb_server.pages.page import described

__all__ = ["file", "index"]

OWN = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "media-src 'self'; frame-src blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""Only our own files, no inline script, no string that becomes markup. The frame is for a PDF, whose type we set."""
FAUXTON = (
    "default-src 'self'; child-src 'self' blob: data:; img-src 'self' data:; font-src 'self' data:; "
    "script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
"""What CouchDB allows Fauxton."""
PAGES = "pages.json"
"""The pages that plug-ins add."""
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def index(request: Request, database: None) -> Response:
    """GET /_utils/: relative addresses of the page need the slash at the end."""
    if not request.raw_path.endswith("/"):
        return Response(b"", 301, {"location": request.raw_path.rpartition("/")[2] + "/"})
    return _answer(request, INDEX)


def file(request: Request, database: None) -> Response:
    """GET /_utils/{file}. Raises NotFound."""
    return _answer(request, request.params["file"])


def _answer(request: Request, name: str) -> Response:
    directory = request.server.settings.fauxton
    if directory is not None:
        content = _within(Path(directory), name)
    elif name == PAGES:
        content = dump(described(request.server.pages))
    elif name.startswith("plugins/"):
        content = _of_plugin(request, name)
    else:
        content = _own(name)
    kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": OWN if directory is None else FAUXTON,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    if kind.startswith(("text/", "image/svg")):
        kind += "; charset=utf-8"
    etag = hashlib.blake2b(content, digest_size=12).hexdigest()
    return Response(content, headers=headers, content_type=kind, etag=etag)


def _own(name: str) -> bytes:
    for each in resources.files("pouchdb_server.pages").joinpath("static").iterdir():
        if each.name == name:
            return each.read_bytes()
    raise NotFound("missing")


def _of_plugin(request: Request, name: str) -> bytes:
    _, owner, file = [*name.split("/", 2), ""][:3]
    page = request.server.pages.get(owner)
    if page is None:
        raise NotFound("missing")
    return page.read(file)


def _within(directory: Path, name: str) -> bytes:
    root = directory.resolve()
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise NotFound("missing")
        return path.read_bytes()
    except (OSError, ValueError):
        # Names that no file can have.
        raise NotFound("missing") from None
