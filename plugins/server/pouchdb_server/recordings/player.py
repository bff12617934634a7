"""Plays the scenarios of a recording against a running server."""

from __future__ import annotations

import http.client
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pouchdb_server.recordings.comparison import differences
from pouchdb_server.recordings.differences import ON_PURPOSE
from pouchdb_server.recordings.masks import Masks, without

__all__ = ["Difference", "Recording"]

SEEN = (
    "content-type location allow www-authenticate etag set-cookie content-encoding content-md5 content-disposition "
    "x-couch-id x-couch-update-newrev accept-ranges content-range cache-control vary access-control-allow-origin x-foo "
    "x-bar"
).split()
PATIENCE = 30


@dataclass(frozen=True)
class Difference:
    """An exchange whose answer differs from the recorded one: ``where``, the request, expected and actual answer."""

    recording: str
    scenario: str
    step: int
    method: str
    path: str
    where: list[str] = field(compare=False)

    def __str__(self) -> str:
        return "\n    ".join([f"{self.scenario} {self.step} {self.method} {self.path}", *self.where])


class Recording:
    """Scenarios by name, and what another server answered.

    ``exchanges`` are the recorded ones by scenario and step. ``load`` reads a recording from its two files.
    """

    def __init__(self, name: str, scenarios: list[dict[str, Any]], exchanges: list[dict[str, Any]]) -> None:
        self.name = name
        self.scenarios: dict[str, dict[str, Any]] = {each["scenario"]: each for each in scenarios}
        self.exchanges = {(each["scenario"], each["step"]): each for each in exchanges}

    @classmethod
    def load(cls, folder: Path, name: str) -> Recording:
        """Read ``scenarios_NAME.json`` and ``NAME.jsonl``. Raises OSError."""
        scenarios = json.loads((folder / f"scenarios_{name}.json").read_text("utf-8"))
        lines = (folder / f"{name}.jsonl").read_text("utf-8").splitlines()
        return cls(name, scenarios, [json.loads(line) for line in lines])

    def play(
        self, name: str, url: str, credentials: tuple[str, str] | None, *, words: bool = False
    ) -> list[Difference]:
        """Play one scenario against a server, and return the exchanges that differ.

        ``url`` is the server's, ``credentials`` are an administrator's, which make the scenario's database (and make
        ``_users`` again where the scenario says so), None where every client is one. ``words`` compares the
        reasons of errors too. Raises OSError, RuntimeError when the database cannot be made.
        """
        scenario = self.scenarios[name]
        options = scenario.get("options") or {}
        player = _Player(url, credentials)
        for fresh in options.get("fresh", ()):
            player.call("DELETE", f"/{fresh}")
            player.make(fresh)
        if options.get("db", True):
            player.make(player.db)
        found: list[Difference] = []
        number = 0
        for step in scenario["steps"]:
            answer = player.step(step)
            if step["options"].get("quiet"):
                continue
            number += 1
            wanted = self.exchanges.get((name, number))
            if wanted is not None and (where := differences(wanted, answer, words=words)):
                request = wanted["request"]
                found.append(Difference(self.name, name, number, request["method"], request["path"], where))
        return found

    def unexpected(self, name: str, found: list[Difference]) -> list[str]:
        """Return the errors of a scenario that was played: unexpected differences, or expected ones that are gone."""
        meant = {step for each in ON_PURPOSE for step in each.where.get((self.name, name), ())}
        known = {each.step for each in found}
        gone = [f"{name} {step} does not differ any more" for step in sorted(meant - known)]
        return [str(each) for each in found if each.step not in meant] + gone


class _Player:
    """The client of one scenario."""

    def __init__(self, url: str, credentials: tuple[str, str] | None) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._run = "".join("bcdfghjklmnpqrst"[int(digit, 16)] for digit in uuid.uuid4().hex[:8])
        self.db = f"rec{uuid.uuid4().hex[:9]}"
        self._masks = Masks(self.db, self._run, f"http://{self._address[0]}:{self._address[1]}")
        self._administrator = credentials and self._masks.header("authorization", "Basic of " + ":".join(credentials))

    def make(self, name: str) -> None:
        """Make a database. Raises RuntimeError."""
        status, _, data = self.call("PUT", f"/{name}?q=1", body=b"")
        if status >= 300:
            raise RuntimeError(f"{name} could not be made: {data.decode('utf-8', 'replace')}")

    def call(
        self, method: str, path: str, headers: Mapping[str, str | None] | None = None, body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request, as the administrator unless the headers have credentials; return status, headers and body."""
        given = headers or {}
        connection = http.client.HTTPConnection(*self._address, timeout=PATIENCE)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            if self._administrator and not {"authorization", "cookie"} & {name.lower() for name in given}:
                connection.putheader("Authorization", self._administrator)
            for name, value in given.items():
                # Authorization without a value: no user is logged in.
                if value:
                    connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            with connection.getresponse() as response:
                known: dict[str, str] = {}
                for name, value in response.getheaders():
                    known.setdefault(name.lower(), value)
                try:
                    return response.status, known, response.read()
                except http.client.IncompleteRead as error:
                    return response.status, {**known, "<cut>": "yes"}, error.partial
        finally:
            connection.close()

    def step(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request of a scenario; return the answer, masked."""
        masks, options = self._masks, step["options"]
        headers: dict[str, str | None] = {
            name: masks.header(name, value) if isinstance(value, str) else value
            for name, value in (step["headers"] or {}).items()
        }
        path, body = masks.fill(step["path"]), step["body"]
        sent: bytes | None = None
        if isinstance(body, str):
            sent = masks.fill(body).encode()
        elif body is not None:
            sent = masks.fill(json.dumps(body)).encode()
            headers.setdefault("Content-Type", "application/json")
        masks.sent(path + (sent or b"").decode("utf-8", "replace"))
        status, known, data = self.call(step["method"], path, headers, sent)
        self._keep_cookie(known, sent)
        kind = known.get("content-type", "")
        answer = masks.body(data, kind, unordered=bool(options.get("unordered")), hidden=options.get("hide", ()))
        if answer and options.get("drop"):
            answer = without(answer, options["drop"])
        if answer and options.get("only") and isinstance(answer.get("json"), dict) and "error" not in answer["json"]:
            answer["json"] = {name: answer["json"][name] for name in options["only"] if name in answer["json"]}
        if "<cut>" in known:
            answer = {"cut off": True}
        masks.etag = known.get("etag", masks.etag)
        seen = {name: masks.text(known[name]) for name in SEEN if name in known}
        if "etag" in seen and not re.search(r"\d+-#?", seen["etag"]):
            seen["etag"] = "<etag>"
        return {"status": status, "headers": seen, "body": answer}

    def _keep_cookie(self, headers: dict[str, str], sent: bytes | None) -> None:
        """Remember the cookie of the user that logged in, by name."""
        cookie = headers.get("set-cookie", "")
        if not cookie.startswith("AuthSession="):
            return
        text = (sent or b"").decode("utf-8", "replace")
        name = re.search(r'"name": "([^"]*)"|(?:^|&)name=([^&]*)', text)
        token = cookie.split(";")[0]
        if name is not None and token != "AuthSession=":
            self._masks.cookies[name[1] or name[2]] = token
        headers["set-cookie"] = re.sub(r"AuthSession=[^;]+", "AuthSession=<token>", cookie)
