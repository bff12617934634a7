"""The values in a message that differ by server, and their placeholders in a recording."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Container, Mapping
from typing import Any

__all__ = ["Masks", "without"]

REV = re.compile(r"\b(\d+)-([0-9a-f]{32})\b")
HEX = re.compile(r"\b[0-9a-f]{32}\b")
SHA1 = re.compile(r"\b[0-9a-f]{40}\b")
UUID = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
SEQUENCES = frozenset(
    "seq last_seq update_seq purge_seq recorded_seq start_last_seq end_last_seq source_last_seq "
    "committed_update_seq".split()
)
OWN = frozenset(
    "sizes cluster instance_start_time disk_format_version props updates_pending execution_time_ms start_time end_time "
    "session_id replication_id_version signature data_size disk_size other total_keys_examined total_docs_examined "
    "uuid stack ref pid started_on updated_on replication_id changes_pending checkpoint_interval "
    "checkpointed_source_seq partitioned_indexes collator_versions _replication_id _replication_state_time "
    "last_updated timestamp node derived_key salt iterations password_scheme pbkdf2_prf password_sha".split()
)
"""Fields whose values differ from server to server."""
NONE = "1-00000000000000000000000000000000"


class Masks:
    """Fills placeholders into the requests of a scenario, and masks its answers.

    ``db`` is the scenario's database, ``run`` is a suffix of user names. Knows the revisions, sequence numbers,
    bookmarks, ETags and cookies of the answers.
    """

    def __init__(self, db: str, run: str, base: str) -> None:
        self._db, self._run, self._base = db, run, base
        self._host = base.partition("://")[2]
        self._revs: dict[str, list[str]] = {}
        self._made: set[str] = set()
        self._given: set[str] = set()
        self._seqs: list[Any] = []
        self._last_seq: Any = "0"
        self._bookmark, self.etag = "", '"none"'
        self.cookies: dict[str, str] = {}
        self.last: Any = None
        """The last answer that was JSON."""

    # -- requests --------------------------------------------------------------------------------

    def fill(self, text: str) -> str:
        """Return a string of a request with its placeholders filled in."""
        text = text.replace("{db}", self._db).replace("{run}", self._run).replace("{base}", self._base)
        text = re.sub(r"\$rev\(([^)]*)\)", self._rev, text)
        text = re.sub(r"\$seq\((-?\d+)\)", lambda found: str(self._seqs[int(found[1])]), text)
        for placeholder, value in (("$last", self._last_seq), ("$bookmark", self._bookmark), ("$etag", self.etag)):
            text = text.replace(placeholder, str(value))
        return text

    def header(self, name: str, value: str) -> str:
        """Return a header's value: credentials and cookies of users are made here."""
        filled = self.fill(value)
        if name.lower() == "cookie" and filled.startswith("$cookie"):
            return self.cookies.get(filled[8:-1], "AuthSession=none")
        if filled.startswith("Basic of "):
            return "Basic " + base64.b64encode(filled.removeprefix("Basic of ").encode()).decode()
        return filled

    def sent(self, text: str) -> None:
        """Remember the values in a request: they are not masked."""
        self._given |= set(HEX.findall(text)) - self._made

    def _rev(self, found: re.Match[str]) -> str:
        id, _, place = found[1].partition("@")
        return self._revs.get(id, [NONE])[int(place) if place else -1]

    # -- answers ---------------------------------------------------------------------------------

    def received(self, text: str) -> None:
        """Remember the values in an answer that are the server's."""
        self._made |= set(HEX.findall(text)) - self._given

    def learn(self, value: Any) -> None:
        """Remember the revisions, sequence numbers and bookmarks in an answer."""
        if isinstance(value, list):
            for each in value:
                self.learn(each)
        elif isinstance(value, dict):
            if isinstance(value.get("results"), list) and "last_seq" in value:
                self._seqs = [each.get("seq") for each in value["results"]]
            self._last_seq = value.get("last_seq", self._last_seq)
            if isinstance(value.get("bookmark"), str):
                self._bookmark = value["bookmark"]
            id, rev = value.get("id", value.get("_id")), value.get("rev", value.get("_rev"))
            if isinstance(id, str) and isinstance(rev, str) and re.match(r"\d+-", rev):
                known = self._revs.setdefault(id, [])
                if rev not in known:
                    known.append(rev)
            for each in value.values():
                self.learn(each)

    def text(self, text: str) -> str:
        """Return a string of an answer, masked."""
        text = REV.sub(lambda found: found[0] if found[2] in self._given else f"{found[1]}-#", text)
        for own, mask in ((self._db, "{db}"), (self._run, "{run}"), (self._base, "<base>"), (self._host, "<host>")):
            text = text.replace(own, mask)
        return UUID.sub(lambda found: found[0] if found[0] in self._given else "<uuid>", SHA1.sub("<hash>", text))

    def value(self, value: Any, hidden: Container[str] = ()) -> Any:
        """Return a JSON value of an answer, masked; fields that are ``hidden`` are masked as well."""
        if isinstance(value, dict):
            return {self.text(name): self._member(name, each, hidden) for name, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, hidden) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def _member(self, name: str, value: Any, hidden: Container[str]) -> Any:
        if name in OWN or name in hidden:
            return f"<{name}>"
        if name in SEQUENCES and not isinstance(value, (dict, list)):
            return "<seq>"
        if name == "_local_id" and isinstance(value, str):
            return re.sub(r"^[^+]+", "<id>", value)
        if name == "bookmark" and isinstance(value, str) and value != "nil":
            return "<bookmark>"
        return self.value(value, hidden)

    def body(self, data: bytes, kind: str, *, unordered: bool = False, hidden: Container[str] = ()) -> Any:
        """Return a body for comparing: an object whose only field names the kind, ``json``, ``lines``..."""
        if not data:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(data).decode()}
        self.received(text)
        try:
            value = json.loads(text)
        except ValueError:
            pass
        else:
            self.learn(value)
            self.last = value
            masked = self.value(value, hidden)
            return {"json": _sorted(masked) if unordered else masked}
        if kind.startswith("text/event-stream"):
            events = [sorted(filter(None, event.split("\n"))) for event in text.split("\n\n") if event.strip()]
            events = [each for each in events if "event: heartbeat" not in each]
            return {"events": [[self._event(line) for line in each] for each in events]}
        try:
            values = [json.loads(line) for line in text.split("\n") if line.strip()]
        except ValueError:
            return {"text": self.text(text)}
        self.learn(values)
        masked = [self.value(each, hidden) for each in values]
        return {"lines": _sorted(masked) if unordered else masked}

    def _event(self, line: str) -> str:
        return re.sub(r"^id: .*", "id: <seq>", re.sub(r'"seq":("[^"]*"|\d+)', '"seq":"<seq>"', self.text(line)))


def without(value: Any, names: Container[str]) -> Any:
    """Return the same value without some fields, wherever they are."""
    if isinstance(value, Mapping):
        return {name: without(each, names) for name, each in value.items() if name not in names}
    return [without(each, names) for each in value] if isinstance(value, list) else value


def _sorted(value: Any) -> Any:
    """Return the same value with every list sorted, for answers whose order is not defined; that of _revisions is."""
    if isinstance(value, dict):
        return {name: each if name == "ids" else _sorted(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
