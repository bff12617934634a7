"""The adapter of remote databases: each operation is a request to their server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pouchdb_core.adapters.base import Adapter, Place
from pouchdb_core.adapters.http.address import Address, document_path, parse_address, query_string
from pouchdb_core.adapters.http.credentials import are_headers
from pouchdb_core.adapters.http.http_options import OPTIONS, check_options
from pouchdb_core.adapters.http.http_session import HttpSession
from pouchdb_core.adapters.http.pool import HTTP
from pouchdb_core.adapters.http.remote_feed import LiveFeed, changes_query, pages
from pouchdb_core.adapters.http.remote_reads import Key, Reader, ask_rows, listing_query, view_query
from pouchdb_core.adapters.http.remote_writes import Writer
from pouchdb_core.adapters.http.response import Response
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.errors import (
    BadRequest,
    FileExists,
    Forbidden,
    NotACouchDB,
    NotFound,
    NotSupported,
    PouchDBError,
    Unauthorized,
)
from pouchdb_core.jsontext import jsonable
from pouchdb_core.requests import Changes, Guard, Listing, Query, Read, ReadOptions, Write
from pouchdb_core.results import Outcome, Record, record
from pouchdb_core.safe_repr import safe_repr

__all__ = ["HttpAdapter"]

PAGE = 200
INTERVAL = 0.2
"""Seconds between two requests for whether a compaction is over."""
CONFLICTS = ReadOptions(conflicts=True)


class HttpAdapter(Adapter):
    """A database of CouchDB, PouchDB Server, Cloudant or anything that speaks their API.

    Opening it sends nothing. The first write to a database that does not exist makes it, unless ``skip_setup``.
    """

    name: ClassVar[str] = "http"
    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    remote: ClassVar[bool] = True
    takes_packed: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = OPTIONS

    def __init__(self, place: Place, address: Address, options: Mapping[str, Any]) -> None:
        self.address = address
        self._place = place
        self.makes_missing = not options.get("skip_setup", False)
        self.session = _session(place, address, options)
        self.notifier = Notifier()
        self._id: str | None = None
        self._reader = Reader(self.session)
        self._writer = Writer(self.session, place.new_id, self._make)

    @classmethod
    def resolve(cls, name: str, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        address = parse_address(name)
        if address.username is None or options.get("auth") is not None:
            return address.url, options
        return address.url, {**options, "auth": {"username": address.username, "password": address.password or ""}}

    @classmethod
    def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> HttpAdapter:
        name, options = cls.resolve(name, options)
        check_options(options)
        return cls(place, parse_address(name), options)

    @classmethod
    def destroy(cls, place: Place, name: str) -> None:
        usable = {key: value for key, value in place.options.items() if key in cls.options}
        name, options = cls.resolve(name, usable)
        check_options(options)
        try:
            _session(place, parse_address(name), options).request("DELETE")
        except NotFound:
            return

    def configure(self, options: Mapping[str, Any]) -> None:
        """Do nothing: objects with other options have another adapter."""

    def id(self) -> str:
        """Return the server's uuid and the database's name; the URL where the server does not report its uuid."""
        if self._id is None:
            try:
                uuid = self.session.json("GET", "/").get("uuid")
            except (Unauthorized, Forbidden, NotFound, NotACouchDB, AttributeError):
                uuid = None
            self._id = f"{uuid}/{self.address.path}" if isinstance(uuid, str) and uuid else self.address.url
        return self._id

    def identify_again(self) -> None:
        self._id = None

    # -- documents -------------------------------------------------------------------------------

    def write(self, request: Write, guards: Sequence[Guard]) -> list[Outcome]:
        return self._writer.write(request)

    def read(self, request: Read) -> Any:
        return self._reader.read(request)

    def listing(self, request: Listing) -> Record:
        return ask_rows(self.session, "_all_docs", listing_query(request), request.options)

    def query(self, request: Query) -> Record:
        if request.view is None:
            if callable(request.map) or callable(request.map_reduce):
                raise NotSupported(
                    "a server cannot run a Python function: replicate the database, or use a design document"
                )
            body = {"map": request.map, "reduce": request.map_reduce}
            query = {key: value for key, value in view_query(request).items() if value is not None}
            text = {key: value if not isinstance(value, Key) else value.value for key, value in query.items()}
            answer: Record = self.session.json(
                "POST", "_temp_view", query=text, json={key: value for key, value in body.items() if value}
            )
            return answer
        ddoc, name = request.view
        if request.map_reduce is not None:
            self._check_reduce(ddoc, name, request.map_reduce)
        path = f"{document_path(ddoc)}/_view/{document_path(name)}"
        return ask_rows(self.session, path, view_query(request), request.options)

    def _check_reduce(self, ddoc: str, name: str, reduce: Any) -> None:
        """Raise NotSupported for a reduce function other than the view's own: a server knows only that."""
        views = self.session.json("GET", document_path(ddoc)).get("views")
        view = views.get(name) if isinstance(views, Mapping) else None
        if not isinstance(view, Mapping):
            # The server reports that itself.
            return
        own = view.get("reduce")
        if not isinstance(reduce, str) or own != reduce:
            wanted = repr(reduce) if isinstance(reduce, str) else "a function"
            raise NotSupported(
                f"a server reduces a view by its own function, which is {own!r}, not by {wanted}: "
                f"save a view with it, or query with reduce=False"
            )

    def view_cleanup(self) -> None:
        self.session.json("POST", "_view_cleanup", json={})

    def conflicts(self) -> Iterator[Record]:
        start: str | None = None
        while True:
            request = Listing(
                startkey=start, limit=PAGE, include_docs=True, options=CONFLICTS, skip=0 if start is None else 1
            )
            rows = self.listing(request)["rows"]
            for row in rows:
                if row.get("doc") and row["doc"].get("_conflicts"):
                    yield row["doc"]
            if len(rows) < PAGE:
                return
            start = rows[-1]["id"]

    def design_documents(self) -> Sequence[Record]:
        request = Listing(startkey="_design/", endkey="_design0", inclusive_end=False, include_docs=True)
        return tuple(row["doc"] for row in self.listing(request)["rows"] if row.get("doc"))

    def ddocs_seq(self) -> int:
        request = Listing(startkey="_design/", endkey="_design0", inclusive_end=False)
        text = "\n".join(f"{row['id']} {row['value']['rev']}" for row in self.listing(request)["rows"])
        return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:7], "big")

    def holds(self, id: str) -> bool:
        """Return whether there is a document, without fetching it."""
        try:
            self.session.request("HEAD", document_path(id))
        except NotFound:
            return False
        return True

    def commit(self) -> None:
        """Make the server write its data to disk: CouchDB before 3.0 delayed that."""
        # A server that does not know the request has nothing to do.
        self.session.request("POST", "_ensure_full_commit", json={}, again=True, check=False).close()

    def local_ids(self, prefix: str) -> Sequence[str]:
        try:
            answer = self.session.json(
                "GET", "_local_docs", query={"startkey": f'"{prefix}"', "endkey": f'"{prefix}\ufff0"'}
            )
            return [row["id"] for row in answer["rows"]]
        except (NotFound, BadRequest, NotSupported, KeyError, TypeError):
            # Servers before CouchDB 2.2 do not list them.
            return ()

    # -- changes ---------------------------------------------------------------------------------

    def changes(self, request: Changes) -> Iterator[Any]:
        if request.live:
            return LiveFeed(self.session, request, self.notifier).rows()
        return pages(self.session, request)

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        return self.notifier.subscribe(wake)

    def pending(self, since: Any) -> int:
        """Return how many changes there are after ``since``: the server's number, else an estimate."""
        query, _ = changes_query(Changes(since=since))
        answer = self.session.json("GET", "_changes", query={**query, "limit": 0})
        told = answer.get("pending")
        if type(told) is int:
            return told + len(answer["results"])
        end, start = _number(self.info()["update_seq"]), _number(since)
        return max(0, end - start)

    def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> Record:
        if not revs:
            return Record()
        answer = self.session.json("POST", "_revs_diff", json=dict(revs), again=True)
        if not isinstance(answer, Record) or not all(isinstance(each, Record) for each in answer.values()):
            raise NotACouchDB(f"{self.session.url}/_revs_diff answered something that is not a list of differences")
        return answer

    def lacking(self, keys: Collection[bytes]) -> set[bytes]:
        # A server does not list its content by digest.
        return set(keys)

    # -- the database ----------------------------------------------------------------------------

    def info(self) -> Record:
        told = self.session.json("GET")
        if not isinstance(told, Record) or "update_seq" not in told:
            raise NotACouchDB(f"{self.session.url} answers JSON, but is not a database of a CouchDB")
        told.setdefault("doc_count", 0)
        props = told.get("props")
        if isinstance(props, Record) and "epoch" in props:
            # Our own server says which life of the database its numbers belong to.
            told.update(epoch=props["epoch"], former_epochs=props.get("former_epochs") or [])
            if isinstance(props.get("server"), str):
                self._id = f"{props['server']}/{self.address.path}"
        told.update(adapter=self.name, host=self.session.url)
        return told

    def create(self) -> None:
        """Make the database if it is missing."""
        try:
            self.session.json("PUT", json={})
        except FileExists:
            return
        except PouchDBError as error:
            if error.status != 412:
                raise

    def _make(self) -> bool:
        """Make the database for the first write to it, unless options forbid it."""
        if not self.makes_missing:
            return False
        self.create()
        return True

    def compact(self, interval: float | None = None) -> None:
        self.session.json("POST", "_compact", json={})
        while self.session.json("GET").get("compact_running"):
            self.session.http.wait(INTERVAL if interval is None else interval / 1000)

    def purge(self, revs: Mapping[str, Sequence[str]]) -> tuple[int, dict[str, list[str]], set[str]]:
        answer = self.session.json("POST", "_purge", json=dict(revs))
        purged = answer.get("purged")
        if not isinstance(purged, Mapping):
            raise NotSupported(f"{self.session.server} cannot purge")
        gone = {id: list(purged.get(id) or ()) for id in revs}
        left = {row.get("id") for row in self.listing(Listing(keys=tuple(gone)))["rows"]} if gone else set()
        number = answer.get("purge_seq")
        return _number(number), gone, {id for id, gone_revs in gone.items() if gone_revs and id not in left}

    def revs_limit(self, limit: int | None = None) -> int:
        if limit is not None:
            if type(limit) is not int or limit < 1:
                raise BadRequest(f"revs_limit must be a number from 1 up, not {safe_repr(limit)}")
            self.session.json("PUT", "_revs_limit", json=limit)
            return limit
        told = self.session.json("GET", "_revs_limit")
        if type(told) is not int:
            raise NotSupported(f"{self.session.server} does not tell its revs_limit")
        return told

    def security(self) -> Record:
        told = self.session.json("GET", "_security")
        return told if isinstance(told, Record) else Record()

    def put_security(self, security: Mapping[str, Any]) -> None:
        self.session.json("PUT", "_security", json=record(dict(jsonable(dict(security)))))

    def fetch(self, path: str, method: str = "GET", **options: Any) -> Response:
        check = options.pop("check", True)
        for text in (path, method):
            if type(text) is not str:
                raise BadRequest(f"path and method of a request must be text, not {safe_repr(text)}")
        if not (method.isalpha() and method.isascii()):
            raise BadRequest(f"the method of a request must be a word such as GET, not {safe_repr(method)}")
        if options.get("headers") is not None and not are_headers(options["headers"]):
            raise BadRequest("headers must be a mapping of texts without line breaks")
        try:
            query_string(options.get("query"))
        except (TypeError, ValueError, AttributeError) as error:
            raise BadRequest(f"query must be a mapping with values for JSON: {error}") from None
        return self.session.request(method.upper(), path, check=check, **options)

    def directory(self, plugin: str) -> Path:
        raise NotSupported("a remote database has no folder here")

    def backup(self, target: Path) -> None:
        raise NotSupported("a remote database is copied by replicating it to a local one")

    def problems(self, deep: bool = True) -> Sequence[str]:
        raise NotSupported("the integrity of a remote database is checked where it is")

    def close(self) -> None:
        """Close it. The connections belong to the environment."""


def _session(place: Place, address: Address, options: Mapping[str, Any]) -> HttpSession:
    ajax = options.get("ajax") or {}
    session = HttpSession(
        place.slots.get(HTTP, place),
        address,
        auth=options.get("auth"),
        headers={**(ajax.get("headers") or {}), **(options.get("headers") or {})},
        timeout=float(options.get("timeout", 60.0)),
        retries=options.get("retries", 3),
        proxy=options.get("proxy"),
        ca_certs=None if options.get("ca_certs") is None else str(options["ca_certs"]),
        client_cert=None if options.get("client_cert") is None else str(options["client_cert"]),
    )
    place.announce_session(address.url, session)
    return session


def _number(seq: Any) -> int:
    """Return the number in a seq: CouchDB's are strings or lists that begin with one."""
    if isinstance(seq, (list, tuple)):
        seq = seq[0] if seq else 0
    if isinstance(seq, str):
        seq = seq.partition("-")[0]
        return int(seq) if seq.isdecimal() and len(seq) < 20 else 0
    return seq if type(seq) is int else 0
