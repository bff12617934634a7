"""Loading a dump: into an empty database, which becomes the dumped one, or into any database as replication would."""

from __future__ import annotations

import base64
import binascii
import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from pouchdb_core.documents.parse import check_id
from pouchdb_core.documents.restore import Restore
from pouchdb_core.dump.lines import VERSION, LineReader, is_checkpoint
from pouchdb_core.errors import BadRequest, FileExists, IncompleteDump, NotFound, PouchDBError
from pouchdb_core.requests import Administer, Write
from pouchdb_core.results import Outcome, Record
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["load"]

DOCUMENTS = 500
"""Maximum number of documents in one transaction."""
BYTES = 4_000_000
"""Approximate bytes of lines in one transaction."""
FILES = 20
"""Maximum number of long attachments in one transaction: each is an open file."""
ERRORS = 100
"""Maximum number of refused documents listed in the result."""

Progress = Callable[[int, int], None]
_HEADER = {"uuid": str, "epoch": str, "former_epochs": list, "update_seq": int}


def load(
    db: Database,
    file: IO[bytes],
    *,
    merge: bool = False,
    identity: bool = True,
    on_progress: Progress | None = None,
) -> Record:
    """Load a dump from a binary file, gzipped or not; return what was loaded.

    An empty local database gets everything, and then is the database that was dumped: the same
    uuid and sequence numbers, so that its replications go on; with ``identity=False`` it is another
    one, without the checkpoints. A database that is not empty is refused with FileExists, unless
    ``merge``: then only documents are loaded, as replication writes them, judged by the database's rules. A
    server assigns its own numbers: there too it is another database. Files written by `pouchdb-dump` (PouchDB)
    and couchbackup are read as well.

    Returns ``{"documents", "revisions", "attachments", "local_documents", "checkpoints_left_out",
    "doc_write_failures", "errors", "complete"}``. Raises IncompleteDump where the dump breaks off: the
    documents before it are loaded (``error.result``), and loading the whole dump into the same
    database continues from them. Raises BadRequest for a file that is not a dump, or is damaged.
    """
    work = _Load(db, LineReader(file), merge, identity, on_progress or (lambda done, total: None))
    done: Record = db.plugins.administer(db, Administer("load", {"run": work.run}, db.user, db.purpose))
    return done


class _Load:
    def __init__(self, db: Database, lines: LineReader, merge: bool, identity: bool, progress: Progress) -> None:
        self._db, self._lines, self._merge, self._progress = db, lines, merge, progress
        self._identity = identity
        self._header: dict[str, Any] = {}
        self._restore: Restore | None = None
        self._docs: list[Any] = []
        self._seqs: dict[str, int] = {}
        self._size = 0
        self._files: list[IO[bytes]] = []
        self._content: dict[str, Path] = {}
        """Long attachments of the next document, by key."""
        self._locals: list[Mapping[str, Any]] = []
        self._purges: list[tuple[int, str, list[str]]] = []
        self._document: tuple[Any, Any] = (None, None)
        self._receiving: _Receiving | None = None
        self._done = Record(
            documents=0, revisions=0, attachments=0, local_documents=0, checkpoints_left_out=0, doc_write_failures=0,
            errors=[], complete=False,
        )  # fmt: skip
        self._ended = False

    def run(self) -> Record:
        try:
            with tempfile.TemporaryDirectory(prefix="pouchdb-load-") as directory:
                self._directory = Path(directory)
                try:
                    self._all()
                finally:
                    self._close_files()
                    if self._receiving is not None:
                        self._receiving.file.close()
        except PouchDBError as error:
            error.details.setdefault("result", self._done)
            raise
        return self._done

    def _all(self) -> None:
        first = self._lines.read()
        if first is None:
            raise IncompleteDump("the dump is empty")
        foreign = self._begin(first)
        try:
            while not self._ended and (line := self._next(foreign)) is not None:
                self._take(line)
        except BadRequest:
            # The lines before are loaded.
            self._flush()
            raise
        self._flush()
        if not self._ended and not foreign:
            raise IncompleteDump(
                f"the dump breaks off after line {self._lines.number}, without its last line: "
                f"{self._done['documents']:,} documents are loaded"
            )
        if self._ended and self._lines.read() is not None:
            raise BadRequest(f"there is more after the end of the dump, in line {self._lines.number}")
        self._finish()

    def _next(self, foreign: bool) -> Any:
        """Return the next line. A line that couchbackup left incomplete is skipped: it wrote it again when resumed."""
        try:
            return self._lines.read()
        except BadRequest:
            if not foreign:
                raise
            following = self._lines.read()
            if isinstance(following, list) or (isinstance(following, Mapping) and "marker" in following):
                return following
            raise

    # -- the first line ------------------------------------------------------------------------------

    def _begin(self, first: Any) -> bool:
        """Read the first line and prepare the database; return whether the dump is another program's."""
        db = self._db
        ours = isinstance(first, Mapping) and "pouchdb_dump" in first
        if ours:
            if first["pouchdb_dump"] != VERSION:
                raise BadRequest(
                    f"the dump is of version {safe_repr(first['pouchdb_dump'])}, this program "
                    f"reads {VERSION}: install a newer"
                )
            self._header = dict(first)
        elif not _foreign(first):
            raise BadRequest('this is not a dump: its first line should be {"pouchdb_dump": 1, ...}')
        # Where seqs are not numbers (a dump of a server), they cannot be kept.
        exact = all(type(self._header.get(key)) is kind for key, kind in _HEADER.items()) and all(
            isinstance(each, Mapping) and type(each.get("epoch")) is str and type(each.get("seq")) is int
            for each in self._header["former_epochs"]
        )
        self._identity = self._identity and exact and not self._merge and not db.remote
        if not self._merge:
            if exact and not db.remote:
                dump = str(self._header.get("dump"))
                self._restore = db.adapter.restore(dump)
                limit = self._header.get("revs_limit")
                if type(limit) is int and limit > 0:
                    db.adapter.revs_limit(limit)
            elif not _empty(db):
                raise FileExists("the database is not empty")
        if not ours:
            self._take(first)
        return not ours

    # -- lines ---------------------------------------------------------------------------------------

    def _take(self, line: Any) -> None:
        if isinstance(line, list):
            # The format of couchbackup.
            line = {"docs": line}
        if not isinstance(line, Mapping):
            raise self._wrong("it is not an object")
        if self._receiving is not None and not ("chunk" in line or "content" in line):
            raise self._wrong("the content of an attachment ends before its end")
        if "docs" in line:
            self._documents(line)
        elif "attachment" in line:
            self._receiving = _Receiving(self._directory)
        elif "chunk" in line:
            self._chunk(line["chunk"])
        elif "content" in line:
            self._content_is_whole(line["content"])
        elif "local" in line:
            self._local(line["local"])
        elif "purge" in line:
            self._purge(line["purge"])
        elif "security" in line:
            self._header["security"] = line["security"] if isinstance(line["security"], Mapping) else None
        elif "end" in line:
            self._end(line["end"])
        # Anything else is an addition of a later version, or the seqs that pouchdb-dump writes.

    def _wrong(self, what: str) -> BadRequest:
        return BadRequest(f"line {self._lines.number} of the dump is damaged: {what}")

    def _documents(self, line: Mapping[str, Any]) -> None:
        docs, seq = line["docs"], line.get("seq")
        if not isinstance(docs, list) or not all(isinstance(doc, Mapping) for doc in docs):
            raise self._wrong("docs must be a list of documents")
        id = docs[0].get("_id") if docs else None
        if self._restore is not None:
            if type(seq) is not int or seq < 1 or any(doc.get("_id") != id for doc in docs):
                raise self._wrong("it must have the seq of one document")
            before, its = self._document
            if before is not None and (seq < before or (seq == before and its != id)):
                raise self._wrong(f"its seq {seq} comes after {before}")
            if seq <= self._restore.reached and seq not in self._seqs.values():
                # Loaded before the dump broke off.
                self._document = (seq, id)
                self._count(id, len(docs), 0)
                self._content.clear()
                return
        # All lines of a document go into one transaction: a dump that breaks off between them goes on with it.
        if self._document != (seq, id) and self._full():
            self._flush()
        new = self._document != (seq, id)
        self._document = (seq, id)
        for doc in docs:
            self._docs.append(self._with_content(doc))
        if self._restore is not None and isinstance(id, str):
            self._seqs[id] = cast("int", seq)
        self._size += self._lines.length
        self._done["documents"] += len(docs) if "seq" not in line else int(new)
        self._done["revisions"] += len(docs)

    def _count(self, id: Any, revisions: int, attachments: int) -> None:
        self._done["documents"] += 1
        self._done["revisions"] += revisions

    def _full(self) -> bool:
        return len(self._docs) >= DOCUMENTS or self._size > BYTES or len(self._files) >= FILES

    def _with_content(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a document with the contents that came before it; inline attachments stay inline."""
        attachments = doc.get("_attachments")
        if not isinstance(attachments, Mapping):
            return doc
        filled: dict[str, Any] = {}
        for name, entry in attachments.items():
            filled[name] = entry
            if not isinstance(entry, Mapping):
                continue
            if "data" in entry:
                self._done["attachments"] += 1
                filled[name] = {**entry, "data": _plain(entry["data"])}
            elif (path := self._content.get(_key(entry))) is not None:
                file = _Content(path, str(entry["digest"]))
                self._files.append(file.file)
                filled[name] = {
                    **{key: value for key, value in entry.items() if key not in ("stub", "sha256")},
                    "data": file,
                }
        return {**doc, "_attachments": filled}

    def _chunk(self, text: Any) -> None:
        if self._receiving is None:
            raise self._wrong("there is a chunk without an attachment")
        try:
            self._receiving.take(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError, TypeError) as error:
            raise self._wrong(f"a chunk must be base64: {error}") from error
        self._progress(self._lines.position, 0)

    def _content_is_whole(self, about: Any) -> None:
        receiving, self._receiving = self._receiving, None
        if receiving is None or not isinstance(about, Mapping):
            raise self._wrong("there is the end of an attachment without its beginning")
        receiving.file.close()
        if about.get("length") != receiving.length or about.get("md5") != receiving.md5.hexdigest():
            raise self._wrong("the content of the attachment is not what was written")
        self._content[_key(about)] = receiving.path
        self._done["attachments"] += 1

    def _local(self, doc: Any) -> None:
        if self._merge:
            return
        try:
            if not isinstance(doc, Mapping) or not check_id(doc.get("_id")).startswith("_local/"):
                raise self._wrong("local must be a local document")
        except PouchDBError as error:
            raise self._wrong(error.message) from error
        self._flush()
        if is_checkpoint(doc) and not self._identity:
            # It refers to the seqs of another database.
            self._done["checkpoints_left_out"] += 1
            return
        self._locals.append(doc)
        if len(self._locals) >= DOCUMENTS:
            self._flush_locals()

    def _purge(self, purge: Any) -> None:
        if self._restore is None:
            return
        try:
            seq, id, revs = purge["seq"], check_id(purge["id"]), purge["revs"]
            if type(seq) is not int or not all(isinstance(rev, str) for rev in revs):
                raise ValueError("seq is a number, revs are strings")
        except (KeyError, TypeError, ValueError, PouchDBError) as error:
            raise self._wrong(f"purge must be {{seq, id, revs}}: {error}") from error
        self._purges.append((seq, id, list(revs)))
        if len(self._purges) >= DOCUMENTS:
            self._flush_purges()

    def _end(self, end: Any) -> None:
        if not isinstance(end, Mapping):
            raise self._wrong("end must be an object")
        self._flush()
        documents = end.get("documents")
        if type(documents) is int and documents != self._done["documents"] and self._header:
            raise self._wrong(
                f"there should be {documents:,} documents before it, and there are {self._done['documents']:,}"
            )
        self._header["end"] = end
        self._ended = True

    # -- writing -------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Write what has been read so far."""
        docs, seqs = self._docs, self._seqs
        self._docs, self._seqs, self._size = [], {}, 0
        try:
            if docs:
                outcomes: Sequence[Outcome]
                if self._restore is not None:
                    outcomes = self._restore.write(docs, seqs)
                    self._announce(outcomes)
                else:
                    request = Write(docs, new_edits=False, user=self._db.user, purpose="replication")
                    outcomes = self._db.plugins.write(self._db, request)
                self._failures(each for each in outcomes if isinstance(each, PouchDBError))
        finally:
            self._close_files()
        self._progress(self._lines.position, self._done["documents"])

    def _close_files(self) -> None:
        for file in self._files:
            file.close()
        self._files = []
        for path in self._content.values():
            path.unlink(missing_ok=True)
        self._content.clear()

    def _announce(self, outcomes: Sequence[Outcome]) -> None:
        """Notify plug-ins of what was written, as after any write."""
        plugins = self._db.plugins
        written = [each for each in outcomes if not isinstance(each, PouchDBError)]
        if plugins.listens and written:
            plugins.documents_written(self._db, written)

    def _failures(self, errors: Any) -> None:
        for error in errors:
            self._done["doc_write_failures"] += 1
            if len(self._done["errors"]) < ERRORS:
                self._done["errors"].append(Record(error.as_dict()))

    def _flush_locals(self) -> None:
        docs, self._locals = self._locals, []
        if self._restore is not None:
            failed: Sequence[PouchDBError] = self._restore.put_locals(docs)
        else:
            given = [{key: value for key, value in doc.items() if key != "_rev"} for doc in docs]
            request = Write(given, user=self._db.user)
            failed = [each for each in self._db.plugins.write(self._db, request) if isinstance(each, PouchDBError)]
        self._failures(failed)
        self._done["local_documents"] += len(docs) - len(failed)

    def _flush_purges(self) -> None:
        purges, self._purges = self._purges, []
        if self._restore is not None:
            self._restore.put_purges(purges, self._db.adapter.purged_infos_limit())

    def _finish(self) -> None:
        if self._locals:
            self._flush_locals()
        if self._restore is not None:
            if self._purges:
                self._flush_purges()
            end = self._header["end"]
            seqs = [end.get(key) for key in ("update_seq", "purge_seq")]
            numbers = [seq if type(seq) is int and seq >= 0 else 0 for seq in seqs]
            self._restore.finish(self._header, numbers[0], numbers[1], identity=self._identity)
        elif self._header.get("security") and not self._merge:
            self._db.adapter.put_security(self._header["security"])
        self._done["complete"] = True


class _Receiving:
    """A long attachment that is being read, in a file."""

    def __init__(self, directory: Path) -> None:
        with tempfile.NamedTemporaryFile(dir=directory, delete=False) as made:
            self.path = Path(made.name)
        self.file = self.path.open("wb")
        self.md5, self.length = hashlib.md5(usedforsecurity=False), 0

    def take(self, piece: bytes) -> None:
        self.file.write(piece)
        self.md5.update(piece)
        self.length += len(piece)


class _Content:
    """The content of an attachment as a file with a given digest: a server may have reported that of gzipped bytes."""

    def __init__(self, path: Path, digest: str) -> None:
        self.file = path.open("rb")
        self.known_as = (digest,)

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size)


def _key(about: Mapping[str, Any]) -> str:
    """Return the key that connects a content with the attachments that have it."""
    return str(about.get("sha256") or about.get("digest"))


def _plain(data: Any) -> Any:
    """Return content in our form: pouchdb-dump on node writes bytes as ``{"type": "Buffer", "data": [104, ...]}``."""
    if isinstance(data, Mapping) and data.get("type") == "Buffer" and isinstance(data.get("data"), list):
        try:
            return bytes(data["data"])
        except (TypeError, ValueError):
            # Not bytes: reading the document raises the error.
            return data
    return data


def _foreign(first: Any) -> bool:
    """Return whether a first line is one that pouchdb-dump or couchbackup writes."""
    if isinstance(first, list):
        return all(isinstance(doc, Mapping) and "_id" in doc for doc in first)
    if not isinstance(first, Mapping):
        return False
    return (
        "docs" in first or ("db_info" in first and "db_type" in first) or first.get("name") == "@cloudant/couchbackup"
    )


def _empty(db: Database) -> bool:
    try:
        info = db.adapter.info()
    except NotFound:
        # Created by the first write.
        return True
    return not info["doc_count"] and not info.get("doc_del_count")
