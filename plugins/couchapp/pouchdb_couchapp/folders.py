"""A folder as a design document, as CouchApp and couchdb-push lay it out, both ways.

A file is a field named as the file without its last extension: its text, stripped of white space, or JSON where it is
called ``.json``. A folder is an object. ``_attachments`` holds files unchanged, ``_id`` the id (else ``_design/`` and
the folder's name). Names that begin with a dot, and those that match one of the regular expressions in
``.couchappignore`` (a JSON list), are left out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_core.jsontext import from_text

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["as_document", "as_files", "pulled", "pushed", "write"]

ATTACHMENTS = "_attachments"
DEFAULT_TYPE = "application/octet-stream"
_SAFE = re.compile(r"[A-Za-z0-9_!@%+=,()\[\] -][A-Za-z0-9_.!@%+=,()\[\] -]*\Z")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?\Z")


def as_document(folder: Path) -> dict[str, Any]:
    """Return the design document that a folder holds, attachments as bytes. Raises BadRequest with the file's name."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is not a folder")
    ignored = _ignored(folder)
    document = _object(folder, folder, ignored)
    id = document.get("_id", f"_design/{folder.resolve().name}")
    if not isinstance(id, str) or not id:
        raise BadRequest(f"{folder / '_id'} must hold the id of a document")
    document.pop("_rev", None)
    attachments = _attachments(folder / ATTACHMENTS, ignored, folder)
    return {"_id": id, **document, **({ATTACHMENTS: attachments} if attachments else {})}


def _ignored(folder: Path) -> list[re.Pattern[str]]:
    file = folder / ".couchappignore"
    if not file.is_file():
        return []
    text = "\n".join(line for line in file.read_text("utf-8").splitlines() if not line.lstrip().startswith("//"))
    patterns = from_text(text) if text.strip() else []
    if not isinstance(patterns, list) or not all(isinstance(each, str) for each in patterns):
        raise BadRequest(f"{file} must hold a JSON list of regular expressions")
    try:
        return [re.compile(each) for each in patterns]
    except re.error as error:
        raise BadRequest(f"{file}: {error}") from None


def _entries(folder: Path, ignored: list[re.Pattern[str]], root: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        name = path.relative_to(root).as_posix()
        if not path.name.startswith(".") and not any(each.search(name) for each in ignored):
            yield path


def _object(folder: Path, root: Path, ignored: list[re.Pattern[str]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path in _entries(folder, ignored, root):
        if folder == root and path.name == ATTACHMENTS:
            continue
        key = path.name if path.is_dir() else path.stem
        if key in made:
            raise BadRequest(f"{path}: there is another file or folder for the member {key!r}")
        made[key] = _object(path, root, ignored) if path.is_dir() else _member(path)
    return made


def _member(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"{path} is not UTF-8 text: files as they are belong in {ATTACHMENTS}") from None
    if path.suffix != ".json":
        return text.strip()
    try:
        return from_text(text)
    except BadRequest as error:
        raise BadRequest(f"{path}: {error.message}") from None


def _attachments(folder: Path, ignored: list[re.Pattern[str]], root: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if not folder.is_dir():
        return found
    waiting = [folder]
    while waiting:
        for path in _entries(waiting.pop(), ignored, root):
            if path.is_dir():
                waiting.append(path)
                continue
            type = mimetypes.guess_type(path.name)[0] or DEFAULT_TYPE
            found[path.relative_to(folder).as_posix()] = {"content_type": type, "data": path.read_bytes()}
    return found


def as_files(document: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the files that a design document is made of, without its attachments.

    ``as_document`` makes the same document of them: what cannot be a file name is in its object's ``.json`` file.
    Raises BadRequest for fields of the document itself that cannot be file names.
    """
    members = {name: value for name, value in document.items() if name not in ("_id", "_rev", ATTACHMENTS)}
    if not _are_names(members):
        raise BadRequest(f"{document['_id']} has members that cannot be files: {', '.join(map(repr, members))}")
    yield "_id", str(document["_id"]).encode()
    yield from _members("", members)


def _members(prefix: str, members: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name, value in members.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and _are_names(value):
            yield from _members(f"{path}/", value)
        elif isinstance(value, str) and value == value.strip() and "\r" not in value:
            yield f"{path}.{'js' if _is_source(path, value) else 'txt'}", value.encode("utf-8", "surrogatepass") + b"\n"
        else:
            yield f"{path}.json", json.dumps(value, indent=2).encode() + b"\n"


def _is_source(path: str, text: str) -> bool:
    return "function" in text or "=>" in text or "exports" in text or path.startswith(("views/", "lib/"))


def _are_names(members: Mapping[str, Any]) -> bool:
    """Return whether fields can be files, on every platform: no two that differ by case only, no reserved name."""
    names = [str(name) for name in members]
    if len({name.casefold() for name in names}) < len(names):
        return False
    return all(
        _SAFE.match(name) and not _RESERVED.match(name) and name == name.strip() and name[-1] != "." and len(name) < 100
        for name in names
    )


def pulled(database: SyncPouchDB, id: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a design document, attachments too. Raises NotFound."""
    document = database.get(id)
    yield from as_files(document)
    for name in document.get(ATTACHMENTS, {}):
        yield f"{ATTACHMENTS}/{name}", database.get_attachment(id, name)["data"]


def pushed(database: SyncPouchDB, folder: Path) -> tuple[str, str, bool]:
    """Store the design document that a folder holds; return (id, revision, whether it changed).

    An existing document with the same content is not written. Raises BadRequest and what ``put`` raises.
    """
    document = as_document(folder)
    id = document["_id"]
    try:
        known: Mapping[str, Any] | None = database.get(id)
    except NotFound:
        known = None
    if known is not None:
        if _equal(document, known):
            return id, known["_rev"], False
        document["_rev"] = known["_rev"]
    return id, database.put(document)["rev"], True


def _equal(document: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    own, there = dict(document), {name: value for name, value in known.items() if name != "_rev"}
    files, stubs = own.pop(ATTACHMENTS, {}), there.pop(ATTACHMENTS, {})
    return (
        own == there
        and files.keys() == stubs.keys()
        and all(
            (stubs[name].get("content_type"), stubs[name].get("digest"))
            == (each["content_type"], _digest(each["data"]))
            for name, each in files.items()
        )
    )


def _digest(data: bytes) -> str:
    return "md5-" + base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def write(folder: Path, files: Iterator[tuple[str, bytes]]) -> int:
    """Write files into a new folder; return how many. Raises BadRequest for a path that leads out of it."""
    count = 0
    root = folder.resolve()
    for name, content in files:
        path = (root / name).resolve()
        if root not in path.parents:
            raise BadRequest(f"{name!r} would be a file outside of {folder}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        count += 1
    return count
