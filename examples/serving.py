"""The step about the server: an environment that others reach over HTTP."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.request import Request, urlopen

from tour import Tour

import pouchdb

__all__ = ["serve"]

PORT = "http://127.0.0.1:5984"
JSON = "-H 'Content-Type: application/json'"
COPY = '{"source": "notes", "target": "copy", "create_target": true}'
LINES = (
    f"curl -X PUT {PORT}/notes",
    f'curl -X PUT {PORT}/notes/mine {JSON} -d \'{{"text": "hello"}}\'',
    f"curl '{PORT}/notes/_changes?include_docs=true'",
    f"curl -X POST {PORT}/_replicate {JSON} -d '{COPY}'",
)


def serve(tour: Tour) -> None:
    """Serve them to others.
    Every environment is a CouchDB for whoever speaks HTTP: PouchDB in a browser, CouchDB itself, curl. Here a phone and
    a laptop, each an environment of its own, meet at the server without ever meeting each other.
    """
    from pouchdb_server.testing import couch_server

    env = tour.env
    with tour.code():
        server = couch_server(env).start()
        phone, laptop = pouchdb.setup(":memory:"), pouchdb.setup(":memory:")
        phone["visits"].put({"_id": "visit-1", "who": "Sigga", "km": 12})
        laptop["visits"].put({"_id": "visit-2", "who": "Jón", "km": 30})

        url = f"{server.url}/visits"
        for copy in (phone, laptop, phone):
            copy.sync("visits", url)
    ids = [sorted(each["visits"]) for each in (phone, laptop, env)]
    tour.say(f"Three syncs over HTTP took {tour.seconds:.2f} s; now all three have {' and '.join(ids[0])}.")
    tour.check(ids == [["visit-1", "visit-2"]] * 3, "phone, laptop and server have both visits")
    tour.check(laptop["visits"]["visit-1"] == phone["visits"]["visit-1"], "the documents are the same")
    tour.say('The same with curl, once "pouchdb serve data" runs in another window:')
    print()
    tour.list(LINES)
    print()
    answers = [_called(line, server.url) for line in LINES]
    tour.check(all(answers) and b'"text":"hello"' in answers[2], "the lines work as they are")
    tour.check(env["copy"]["mine"].text == "hello", "the server replicated")
    server.stop()
    for each in (phone, laptop):
        each.close()
    for name in ("visits", "notes", "copy"):
        env.destroy(name)


def _called(line: str, url: str) -> bytes:
    """Do what a line with curl does, at another server, and return the answer."""
    words = shlex.split(line.replace(PORT, url))
    options = {name: words[words.index(name) + 1] for name in ("-X", "-d") if name in words}
    [target] = [word for word in words if word.startswith("http")]
    headers = {"Content-Type": "application/json"} if "-H" in words else {}
    data: Any = options["-d"].encode() if "-d" in options else None
    with urlopen(Request(target, data, headers, method=options.get("-X")), timeout=30) as response:
        body: bytes = response.read()
    return body
