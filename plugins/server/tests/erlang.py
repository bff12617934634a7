"""A client that does what Apache CouchDB's replicator does, request for request, and reads as strictly as it does.

Written after ``couch_replicator_api_wrap``, ``couch_replicator_worker``, ``couch_replicator_scheduler_job`` and
``couch_httpd:parse_multipart_request`` of CouchDB 3.5, where an answer that is slightly different is a crashed job.
Where the Erlang code matches a pattern, this one asserts.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

VERSION = 4
Missing = tuple[str, list[str], list[str]]
"""An id, the revisions of it that a target lacks, and those it has that may be their ancestors."""


class Crash(Exception):
    """What ends a job: Erlang's badmatch, function_clause or exit."""


def insist(holds: Any, *what: Any) -> None:
    if not holds:
        raise Crash(*what)


# -- couch_httpd:parse_multipart_request -----------------------------------------------------------


class Multipart:
    """The parser, over bytes that come in pieces; calls ``part(headers, body)`` for each part."""

    def __init__(self, content_type: tuple[str, dict[str, str]], read: Callable[[int], bytes]) -> None:
        insist("boundary" in content_type[1], "no boundary", content_type)
        self._boundary = content_type[1]["boundary"].encode()
        self._read, self._buffer = read, b""

    def run(self) -> Iterator[tuple[dict[str, str], bytes]]:
        # The first boundary is searched without a line break before it.
        self._until(b"--" + self._boundary)
        while True:
            head = self._until(b"\r\n\r\n")
            headers = {}
            for line in head.split(b"\r\n"):
                if line:
                    name, colon, value = line.decode().partition(": ")
                    insist(colon, "header without a colon", line)
                    headers[name.lower()] = value
            yield headers, self._until(b"\r\n--" + self._boundary)
            while len(self._buffer) < 2:
                self._more()
            if self._buffer.startswith(b"--"):
                return

    def rest(self) -> bytes:
        """What is left after the last boundary, all the way to the end."""
        while piece := self._read(4096):
            self._buffer += piece
        return self._buffer

    def _until(self, pattern: bytes) -> bytes:
        while pattern not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(pattern)
        return found

    def _more(self) -> None:
        piece = self._read(65_521)
        insist(piece, "the multipart stream ended")
        self._buffer += piece


def parse_header(value: str) -> tuple[str, dict[str, str]]:
    """mochiweb_util:parse_header."""
    kind, *parameters = value.split(";")
    pairs = (each.strip().partition("=") for each in parameters)
    return kind.strip().lower(), {name: text.strip('"') for name, _, text in pairs}


def parse_rev(rev: Any) -> str:
    """couch_doc:parse_rev."""
    insist(isinstance(rev, str), "not a rev", rev)
    number, dash, id = rev.partition("-")
    insist(dash and number.isdigit() and id, "not a rev", rev)
    return rev


class Doc:
    """#doc{}: a document with what its attachments that follow hold."""

    def __init__(self, json: dict[str, Any], contents: dict[str, bytes] | None = None) -> None:
        insist("_id" in json, "no _id", json)
        insist(set(json["_revisions"]) == {"start", "ids"}, "no _revisions", json)
        revisions = json["_revisions"]
        insist(f"{revisions['start']}-{revisions['ids'][0]}" == json["_rev"], "other _revisions", json)
        self.json, self.contents = json, contents or {}

    @property
    def id(self) -> str:
        return str(self.json["_id"])

    @property
    def attachments(self) -> dict[str, Any]:
        return self.json.get("_attachments") or {}


def doc_from_multi_part_stream(content_type: tuple[str, dict[str, str]], body: bytes) -> Doc:
    left = [body]

    def read(size: int) -> bytes:
        piece, left[0] = left[0][:size], left[0][size:]
        return piece

    parser = Multipart(content_type, read)
    parts = list(parser.run())
    insist(parser.rest() == b"--", "bytes after the last boundary", parser.rest())
    headers, text = parts.pop(0)
    insist(parse_header(headers["content-type"])[0] == "application/json", headers)
    json_ = json.loads(text)
    contents = {}
    for name, entry in json_["_attachments"].items():
        if entry.get("stub") is True:
            continue
        insist(entry.get("follows") is True, "neither stub nor follows", entry)
        # The parts are taken in the order of the document, and as many bytes as it says.
        insist(parts, "no part for", name)
        content = parts.pop(0)[1]
        insist(len(content) == entry.get("encoded_length", entry["length"]), "another length", name)
        insist(entry["digest"] == digest(content), "another digest", name)
        insist(type(entry["revpos"]) is int, entry)
        contents[name] = content
    insist(not parts, "parts that belong to nothing")
    return Doc(json_, contents)


def stored(id: str, contents: dict[str, tuple[str, bytes]], *path: str) -> Doc:
    """A document as couch_att stores it: compressible types packed with gzip, and their digest of the packed bytes."""
    entries: dict[str, Any] = {}
    sent: dict[str, bytes] = {}
    for name, (kind, plain) in contents.items():
        entries[name] = {"content_type": kind, "revpos": 1, "length": len(plain), "follows": True}
        if kind.startswith(("text/", "application/json", "application/javascript", "application/xml")):
            # zlib:deflateInit(Z, CompLevel, deflated, 16 + 15, 8, default)
            packer = zlib.compressobj(8, zlib.DEFLATED, 31)
            plain = packer.compress(plain) + packer.flush()
            entries[name] |= {"encoding": "gzip", "encoded_length": len(plain)}
        entries[name]["digest"] = digest(plain)
        sent[name] = plain
    revisions = {"start": len(path), "ids": list(path)}
    return Doc({"_id": id, "_rev": f"{len(path)}-{path[0]}", "_revisions": revisions, "_attachments": entries}, sent)


def digest(content: bytes) -> str:
    return "md5-" + base64.b64encode(hashlib.md5(content).digest()).decode()


# -- couch_replicator_api_wrap ---------------------------------------------------------------------


class HttpDb:
    """#httpdb{}: one database at a URL, over one connection that stays open."""

    def __init__(self, url: str, *, cookie: str | None = None, double_accept: bool = False) -> None:
        parts = urlsplit(url)
        self.path = parts.path.rstrip("/") + "/"
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        self.headers = {"Accept": "application/json", "User-Agent": "CouchDB-Replicator/3.5.0"}
        if cookie is not None:
            self.headers["Cookie"] = cookie
        self.double_accept = double_accept
        self.calls: list[str] = []
        """What was called, without the numbers in it."""

    def close(self) -> None:
        self.connection.close()

    def send(
        self, method: str, path: str = "", query: list[tuple[str, str]] | None = None, body: Any = None, **headers: str
    ) -> http.client.HTTPResponse:
        """couch_replicator_httpc:send_req."""
        url = self.path + path
        if query:
            url += "?" + "&".join(f"{name}={quote_plus(value, safe='.-~_')}" for name, value in query)
        self.calls.append(f"{method} {path}")
        self.connection.putrequest(method, url, skip_accept_encoding=True)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        both = [*sent.items(), *((name, value) for name, value in self.headers.items() if name not in sent)]
        if self.double_accept and "Accept" in sent:
            both.insert(0, ("Accept", self.headers["Accept"]))
        for name, value in both:
            self.connection.putheader(name, value)
        if "Content-Length" not in sent:
            self.connection.putheader("Content-Length", str(len(body or b"")))
        self.connection.endheaders(body)
        return self.connection.getresponse()

    def json(self, *call: Any, **headers: str) -> tuple[int, Any]:
        response = self.send(*call, **headers)
        body = response.read()
        return response.status, json.loads(body) if body else None

    # -- opening

    def open(self, *, create: bool = False) -> dict[str, Any]:
        if create:
            # Whatever it answers but 401 and 403 is not looked at.
            status, _ = self.json("PUT")
            insist(status not in (401, 403), "unauthorized", status)
        status, info = self.json("GET")
        insist(status == 200 and isinstance(info, dict), "db_not_found", status)
        insist(info.get("update_seq") is not None and info.get("instance_start_time") is not None, "db_not_found")
        return dict(info)

    def ensure_full_commit(self) -> str:
        status, answer = self.json("POST", "_ensure_full_commit", None, b"", Content_Type="application/json")
        insist(status == 201, answer)
        start = answer["instance_start_time"]
        insist(isinstance(start, str), "checkpoint_commit_failure", start)
        return str(start)

    def pending(self, seq: Any) -> int:
        """get_pending_count."""
        if isinstance(seq, (int, float)):
            return int(self.json("GET")[1]["update_seq"]) - int(seq)
        status, answer = self.json("GET", "_changes", [("since", json.dumps(seq)), ("limit", "0")])
        insist(status == 200 and answer["results"] == [], answer)
        return int(answer["pending"])

    # -- reading

    def changes(
        self, since: Any, *, continuous: bool = False, style: str = "all_docs", timeout: int = 10_000, **chosen: Any
    ) -> Iterator[Any]:
        """changes_since: yields rows, and at the end of a continuous feed its last line."""
        query = [("feed", "continuous" if continuous else "normal"), ("style", style)]
        query += [("since", json.dumps(since, separators=(",", ":"))), ("timeout", str(timeout))]
        if "selector" in chosen or "doc_ids" in chosen:
            name = "selector" if "selector" in chosen else "doc_ids"
            body = json.dumps({name: chosen[name]}).encode()
            query.insert(0, ("filter", f"_{name}"))
            response = self.send("POST", "_changes", query, body, Content_Type="application/json")
        else:
            if "filter" in chosen:
                query = [("filter", chosen["filter"]), *chosen.get("query_params", {}).items(), *query]
            response = self.send("GET", "_changes", query)
        insist(response.status == 200, response.status, response.read() if response.status != 200 else "")
        if not continuous:
            answer = json.loads(response.read())
            # A parser of events: the results come first, and rows are objects.
            insist(next(iter(answer)) == "results")
            for row in answer["results"]:
                yield self._row(row)
            return
        while line := response.readline():
            if line.strip():
                yield self._row(json.loads(line))

    def _row(self, row: dict[str, Any]) -> Any:
        if "changes" not in row:
            insist(row.get("last_seq") is not None, row)
            return row["last_seq"]
        insist(isinstance(row["id"], str) and "seq" in row, row)
        return row["seq"], row["id"], [parse_rev(each["rev"]) for each in row["changes"]]

    def missing_revs(self, wanted: dict[str, list[str]]) -> list[Missing]:
        status, answer = self.json(
            "POST", "_revs_diff", None, json.dumps(wanted).encode(), Content_Type="application/json"
        )
        insist(status == 200, answer)
        found = []
        for id, each in answer.items():
            missing = [parse_rev(rev) for rev in each["missing"]]
            found.append((id, missing, [parse_rev(rev) for rev in each.get("possible_ancestors", [])]))
        return found

    def bulk_get(self, wanted: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], Any]:
        """bulk_get: a document, or the error, by id and rev."""
        asked = sorted((id, rev, ancestors) for (id, rev), ancestors in wanted.items())
        docs = [{"id": id, "rev": rev, "atts_since": ancestors} for id, rev, ancestors in asked]
        body = json.dumps({"docs": docs, "latest": True, "revs": True, "attachments": False}).encode()
        query = [("latest", "true"), ("revs", "true"), ("attachments", "false")]
        status, answer = self.json(
            "POST", "_bulk_get", query, body, Content_Type="application/json", Accept="application/json"
        )
        insist(status == 200, "bulk_get_failed", status)
        insist(list(answer) == ["results"] and isinstance(answer["results"], list), "invalid_results", list(answer))
        insist(len(answer["results"]) == len(asked), "another number of results")
        found: dict[tuple[str, str], Any] = {}
        for (id, rev, _), result in zip(asked, answer["results"], strict=True):
            insist(result["id"] == id, "another order")
            [only] = result["docs"]
            [(kind, data)] = only.items()
            insist(kind in ("ok", "error"), kind)
            found[id, rev] = Doc(data) if kind == "ok" else data
        return found

    def open_doc_revs(self, id: str, revs: list[str], known: list[str]) -> Iterator[Doc]:
        """open_doc_revs: only multipart/mixed will do."""
        query = [("revs", "true"), ("open_revs", json.dumps(revs)), ("latest", "true")]
        if known:
            query.insert(0, ("atts_since", json.dumps(known)))
        response = self.send("GET", encode_doc_id(id), query, Accept="multipart/mixed")
        insist(response.status == 200, response.status, "request_uri_too_long" if response.status == 414 else "")
        content_type = parse_header(response.headers["Content-Type"])
        insist(content_type[0] == "multipart/mixed", content_type)
        parser = Multipart(content_type, response.read)
        for headers, body in parser.run():
            kind = parse_header(headers["content-type"])
            if kind[0] == "multipart/related":
                yield doc_from_multi_part_stream(kind, body)
            elif kind == ("application/json", {}):
                yield Doc(json.loads(body))
            else:
                insist(kind == ("application/json", {"error": "true"}), kind)
                raise Crash("missing_doc", parse_rev(json.loads(body)["missing"]))
        # {<<"--">>, _, _} = parse_multipart_request(...)
        insist(parser.rest() == b"--", "bytes after the last boundary")

    # -- writing

    def update_doc(self, doc: Doc) -> str:
        """update_doc with replicated_changes: JSON, or multipart/related with what follows."""
        follow = list(doc.contents)
        text = json.dumps(doc.json, separators=(",", ":")).encode()
        kind, body = "application/json", text
        if follow:
            boundary = hashlib.md5(text).hexdigest().encode()
            kind = f'multipart/related; boundary="{boundary.decode()}"'
            body = b"--" + boundary + b"\r\nContent-Type: application/json\r\n\r\n" + text + b"\r\n--" + boundary
            for name in follow:
                content, entry = doc.contents[name], doc.attachments[name]
                # Names are not escaped.
                body += b'\r\nContent-Disposition: attachment; filename="' + name.encode() + b'"'
                body += b"\r\nContent-Type: " + entry["content_type"].encode()
                body += b"\r\nContent-Length: " + str(len(content)).encode()
                if "encoding" in entry:
                    body += b"\r\nContent-Encoding: " + entry["encoding"].encode()
                body += b"\r\n\r\n" + content + b"\r\n--" + boundary
            body += b"--"
        query = [("new_edits", "false")]
        status, answer = self.json("PUT", encode_doc_id(doc.id), query, body, Content_Type=kind)
        insist(status in (200, 201, 202), status, answer)
        return parse_rev(answer["rev"])

    def update_docs(self, docs: list[Doc]) -> list[Any]:
        """update_docs: halves what is too large."""
        body = b'{"new_edits":false,"docs":[' + b",".join(json.dumps(doc.json).encode() for doc in docs) + b"]}"
        headers = {"Content_Length": str(len(body)), "Content_Type": "application/json", "X_Couch_Full_Commit": "false"}
        status, answer = self.json("POST", "_bulk_docs", None, body, **headers)
        if status == 413:
            insist(len(docs) > 1, "too large")
            half = len(docs) // 2
            return self.update_docs(docs[:half]) + self.update_docs(docs[half:])
        insist(status in (201, 417) and isinstance(answer, list), status, answer)
        return [(each["id"], each.get("rev"), each["error"], each["reason"]) for each in answer if "error" in each]

    # -- checkpoints

    def log(self, id: str) -> dict[str, Any]:
        """open_doc of the log, or the empty one."""
        status, answer = self.json("GET", f"_local/{id}")
        if status == 200:
            return dict(answer)
        insist(answer["error"] == "not_found", answer)
        return {}

    def update_log(self, id: str, rev: str | None, body: dict[str, Any]) -> str:
        """update_checkpoint: update_doc with interactive_edit, which writes _revisions too."""
        revs = {"_revisions": {"start": 0, "ids": [] if rev is None else [rev.removeprefix("0-")]}}
        doc = {"_id": f"_local/{id}", **({} if rev is None else {"_rev": rev}), **revs, **body}
        text = json.dumps(doc).encode()
        headers = {"X_Couch_Full_Commit": "false", "Content_Type": "application/json"}
        status, answer = self.json("PUT", f"_local/{id}", None, text, **headers)
        insist(status == 201, "checkpoint_commit_failure", answer)
        return parse_rev(answer["rev"])


def encode_doc_id(id: str) -> str:
    """couch_util:encode_doc_id."""
    for prefix in ("_design/", "_local/"):
        if id.startswith(prefix):
            return prefix + quote(id.removeprefix(prefix), safe="")
    return quote(id, safe="")


def session(url: str, name: str, password: str) -> str:
    """couch_replicator_auth_session: the cookie of a login, by a form."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    form = urlencode({"name": name, "password": password})
    try:
        connection.request("POST", "/_session", form, {"Content-Type": "application/x-www-form-urlencoded"})
        with connection.getresponse() as response:
            insist(response.status == 200, response.status)
            cookie = str(response.headers["Set-Cookie"])
    finally:
        connection.close()
    insist(cookie.lower().startswith("authsession="), cookie)
    return cookie.partition(";")[0]


# -- couch_replicator_worker and couch_replicator_scheduler_job ------------------------------------


def compare_logs(source: dict[str, Any], target: dict[str, Any]) -> tuple[Any, list[Any]]:
    """compare_replication_logs: where to go on, and the history."""
    if source.get("session_id") is not None and source.get("session_id") == target.get("session_id"):
        return source["source_last_seq"], source["history"]
    theirs = {each["session_id"] for each in target.get("history", [])}
    for each in source.get("history", []):
        if each["session_id"] in theirs:
            return each["recorded_seq"], source["history"]
    return 0, []


def replicate(
    source: HttpDb, target: HttpDb, id: str, session_id: str, *, create: bool = False, batch: int = 3, **chosen: Any
) -> dict[str, int]:
    """One job, from its beginning to the last checkpoint; returns the statistics of the history."""
    source.open()
    target.open(create=create)
    start_source, start_target = source.ensure_full_commit(), target.ensure_full_commit()
    logs = source.log(id), target.log(id)
    since, history = compare_logs(*logs)
    stats = dict.fromkeys(("missing_checked", "missing_found", "docs_read", "docs_written", "doc_write_failures"), 0)
    rows = [row for row in source.changes(since, **chosen) if isinstance(row, tuple)]
    through = rows[-1][0] if rows else since
    for start in range(0, len(rows), batch):
        wanted = {row[1]: row[2] for row in rows[start : start + batch]}
        stats["missing_checked"] += sum(map(len, wanted.values()))
        _batch(source, target, target.missing_revs(wanted), stats)
    if through != since:
        # Nothing is remembered that is not on the disks of both.
        insist(source.ensure_full_commit() == start_source, "source was restarted")
        insist(target.ensure_full_commit() == start_target, "target was restarted")
        entry = {"session_id": session_id, "start_last_seq": since, "end_last_seq": through, "recorded_seq": through}
        body = {
            "session_id": session_id,
            "source_last_seq": through,
            "replication_id_version": VERSION,
            "history": [{**entry, **stats}, *history][:50],
        }
        for side, log in zip((source, target), logs, strict=True):
            side.update_log(id, log.get("_rev"), body)
    return stats


def _batch(
    source: HttpDb, target: HttpDb, missing: list[tuple[str, list[str], list[str]]], stats: dict[str, int]
) -> None:
    stats["missing_found"] += sum(len(revs) for _, revs, _ in missing)
    ancestors = {(id, rev): known for id, revs, known in missing for rev in revs}
    in_bulk = {key: known for key, known in ancestors.items() if not key[0].startswith("_design/")}
    docs: list[Doc] = []
    alone = [key for key in ancestors if key not in in_bulk]
    for key, found in (source.bulk_get(in_bulk) if in_bulk else {}).items():
        # With attachments, or failed: once more, by itself.
        if isinstance(found, Doc) and not found.attachments:
            docs.append(found)
            stats["docs_read"] += 1
        else:
            alone.append(key)
    for id, rev in alone:
        for doc in source.open_doc_revs(id, [rev], ancestors[id, rev]):
            stats["docs_read"] += 1
            if not doc.attachments and not id.startswith("_design/"):
                docs.append(doc)
                continue
            target.update_doc(doc)
            stats["docs_written"] += 1
    if docs:
        errors = target.update_docs(docs)
        stats["docs_written"] += len(docs) - len(errors)
        stats["doc_write_failures"] += len(errors)
