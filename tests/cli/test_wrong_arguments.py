"""What was forgotten, misspelt or unreadable on the command line: an exit status and a message, never a traceback."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest

from pouchdb.cli.app import build
from pouchdb_core import SyncEnvironment

Cli = Callable[..., Any]


def _commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *before, name)
        else:
            yield (*before, name)


ALL = sorted(_commands(build()[0]))


def _command(words: tuple[str, ...]) -> click.Command:
    found: click.Command = build()[0]
    for word in words:
        assert isinstance(found, click.Group)
        found = found.commands[word]
    return found


@pytest.fixture
def files(directory: Path, env: SyncEnvironment) -> Path:
    """Files that are not what a command needs, in the working directory, and a database `notes`."""
    env["notes"].put({"_id": "milk"})
    env["notes"].put({"_id": "_design/v", "views": {"n": {"map": "function (doc) { emit(doc._id); }"}}})
    here = directory.parent
    (here / "binary.bin").write_bytes(bytes(range(256)))
    (here / "empty").write_bytes(b"")
    (here / "text.txt").write_text("hello world\n")
    (here / "good.json").write_text('{"_id": "good"}')
    (here / "folder").mkdir()
    return here


def _type(monkeypatch: pytest.MonkeyPatch, given: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_options_that_do_not_exist_and_superfluous_arguments_are_wrong_usage(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    _type(monkeypatch, b"")
    done = cli(*words, "--no-such-option")
    assert done.status == 2
    assert "No such option '--no-such-option'" in done.err
    assert f"pouchdb {' '.join(words)} --help" in done.err
    arguments = [each for each in _command(words).params if isinstance(each, click.Argument)]
    if all(each.nargs == 1 for each in arguments):
        done = cli(*words, *["x"] * (len(arguments) + 1))
        assert done.status == 2, done


NEEDING = [
    words for words in ALL if any(isinstance(each, click.Argument) and each.required for each in _command(words).params)
]


@pytest.mark.parametrize("words", NEEDING, ids=" ".join)
def test_a_missing_argument_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    _type(monkeypatch, b"")
    done = cli(*words)
    assert done.status == 2
    assert done.err.startswith("pouchdb: Missing argument")
    assert "usage: pouchdb " + " ".join(words) in done.err
    assert "\\n" not in done.err, "a list of choices is on one line"


FORGOTTEN = [
    (["put", "@good.json"], "'@good.json' is not the name of a database: the database comes first"),
    (["put", '{"_id": "a"}'], "pouchdb put DB DOCUMENT"),
    (["put", '[{"_id": "a"}]', "--create"], "pouchdb put DB DOCUMENT"),
    (["put", "-"], "pouchdb put DB DOCUMENT"),
    (["import", "good.json"], "good.json is a file: the database comes first"),
    (["load", "good.json"], "pouchdb load DB FILE"),
    (["query", "v/n"], "after the database"),
]


@pytest.mark.parametrize(
    ("given", "text"), FORGOTTEN, ids=lambda each: " ".join(each) if isinstance(each, list) else ""
)
def test_a_database_that_was_forgotten_is_reported_before_anything_is_read(
    cli: Cli, files: Path, env: SyncEnvironment, monkeypatch: pytest.MonkeyPatch, given: list[str], text: str
) -> None:
    _type(monkeypatch, b'{"_id": "typed"}')
    done = cli(*given)
    assert done.status == 2
    assert text in done.err
    assert env.names() == ["notes"]


def test_a_database_with_such_a_name_can_be_used(
    cli: Cli, files: Path, env: SyncEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    env["@home"].close()
    _type(monkeypatch, b'{"_id": "typed"}')
    assert cli("put", "@home").status == 0
    assert "typed" in env["@home"]


WRONG = [
    (["put", "nots", "-"], b"", 3, "there is no database 'nots'"),
    (["put", "notes", "@missing"], b"", 3, "there is no file missing"),
    (["put", "notes", "@"], b"", 2, "after @ comes the name of a file"),
    (["put", "notes", "@folder"], b"", 1, "folder: Is a directory"),
    (["put", "notes", "@binary.bin"], b"", 1, "binary.bin is not UTF-8 text"),
    (["put", "notes", "@empty"], b"", 1, "empty is empty: a document in JSON is needed"),
    (["put", "notes", "@text.txt"], b"", 1, "text.txt is not JSON"),
    (["put", "notes"], b"", 1, "the standard input is empty"),
    (["put", "notes", "-"], b'{"_id": "a"}\n{"_id": "b"}\n', 1, "`pouchdb import` reads JSON lines"),
    (["put", "notes"], b"\xff\xfe", 1, "the standard input is not UTF-8 text"),
    (["put", "notes", "milk"], b"", 1, "a file as @FILE"),
    (["put", "notes", "{_id: milk}"], b"", 1, "JSON has double quotes"),
    (["put", "notes", '{"_id": NaN}'], b"", 1, "the document is not JSON"),
    (["put", "notes", "12"], b"", 2, "a document is a JSON object"),
    (["put", "notes", '{"_id": ""}'], b"", 1, "'': missing id"),
    (["get", "notes", "milk", "--rev", "1-a"], b"", 3, "milk has no revision 1-a"),
    (["get", "notes", "bread", "--rev", "1-a"], b"", 3, "bread: not found"),
    (["get", "notes", "milk", "--attachment", "a.txt"], b"", 3, "milk has no attachment 'a.txt'"),
    (["get", "notes", "bread", "--attachment", "a.txt"], b"", 3, "bread: not found"),
    (["query", "notes", "--map", "@binary.bin"], b"", 1, "binary.bin is not UTF-8 text"),
    (["query", "notes", "--find", "[]"], b"", 2, "is JSON, but not an object"),
    (["query", "notes", "v/n", "--keys", "{}"], b"", 2, "is JSON, but not a list"),
    (["import", "new", "text.txt"], b"", 1, "text.txt cannot be imported: line 1 is not JSON"),
    (["import", "new", "empty", "--csv"], b"", 1, "the CSV file is empty"),
    (
        ["import", "new", "text.txt", "--csv", "--delimiter", "ab"],
        b"",
        1,
        "one character, such as ; or a tab, not 'ab'",
    ),
    (["import", "new", "text.txt", "--csv", "--delimiter", '"'], b"", 1, "the delimiter of CSV is one character"),
    (["import", "new", "missing"], b"", 3, "there is no file missing"),
    (["load", "new", "text.txt"], b"", 1, "new: line 1 of the dump is not JSON"),
    (["load", "new", "empty"], b"", 1, "the dump is empty"),
    (["dump", "notes", "folder"], b"", 2, "folder is a directory"),
    (["export", "notes", "folder", "--force"], b"", 2, "folder is a directory"),
    (["export", "notes", "nowhere/x"], b"", 3, "there is no directory nowhere"),
    (["backup", "notes", "nowhere/x"], b"", 3, "there is no directory nowhere"),
    (["-d", "", "ls"], b"", 2, "the name of a directory is empty"),
    (["get", "http://ho st/x", "a"], b"", 1, "its host 'ho st' has the character ' '"),
    (["get", "postgresql://host/x", "a"], b"", 2, "is chosen by --directory"),
    (["new-plugin", "1x"], b"", 2, "'1x': it begins with a letter"),
    (["completion"], b"", 2, "bash"),
]


@pytest.mark.parametrize(
    ("given", "stdin", "status", "text"), WRONG, ids=[" ".join(each[0]).replace("/", "|") for each in WRONG]
)
def test_what_is_wrong_is_named(
    cli: Cli,
    files: Path,
    env: SyncEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    stdin: bytes,
    status: int,
    text: str,
) -> None:
    _type(monkeypatch, stdin)
    done = cli(*given)
    assert (done.status, text in done.err) == (status, True), done
    assert done.err.startswith("pouchdb: ")
    assert "bad_request" not in done.err
    assert env.names() == ["notes"], "nothing was made"


def test_a_byte_order_mark_is_no_part_of_a_document(
    cli: Cli, files: Path, env: SyncEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "bom.json").write_bytes(b'\xef\xbb\xbf{"_id": "a"}')
    assert cli("put", "notes", "@bom.json").status == 0
    _type(monkeypatch, b'\xef\xbb\xbf{"_id": "b"}')
    assert cli("put", "notes", "-").status == 0
    assert {"a", "b"} <= set(env["notes"])


def test_an_empty_list_writes_nothing_and_says_so(cli: Cli, files: Path) -> None:
    done = cli("put", "notes", "[]")
    assert (done.status, "nothing was written" in done.err) == (0, True)


class _Page(BaseHTTPRequestHandler):
    """Answers everything with a page of HTML."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "5")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"<p>hi")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The URL of a server that is not a CouchDB."""
    server = HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/notes"
    server.shutdown()
    thread.join()
    server.server_close()


VALUES = {"selector": "{}", "query": "select *", "index": "a/b", "view": "v/n", "document": '{"_id": "a"}'}
OPTIONS = {"near": ["--lat", "1", "--lon", "2"], "destroy": ["--yes"]}
OPTIONAL = {"db", "view", "document", "query"}
LOCAL = {"backup", "shell", "load", "import"}
"""Commands that do not begin with a request."""
REMOTE = [
    words
    for words in ALL
    if words[0] not in LOCAL and any(each.name == "db" for each in _command(words).params) and words[0] != "couchapp"
]


def _arguments(words: tuple[str, ...], url: str) -> list[str]:
    given = [*words]
    for each in _command(words).params:
        if isinstance(each, click.Argument) and each.name == "file":
            given.append("out")
        elif isinstance(each, click.Argument) and (each.required or each.name in OPTIONAL):
            given.append(url if each.name == "db" else VALUES.get(str(each.name), "a"))
    return [*given, *OPTIONS.get(words[0], ())]


@pytest.mark.parametrize("words", REMOTE, ids=" ".join)
def test_a_server_that_is_not_a_couchdb_is_reported(
    cli: Cli, files: Path, monkeypatch: pytest.MonkeyPatch, page: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("EDITOR", "true")
    done = cli(*_arguments(words, page))
    assert done.status == 1, done
    assert "answered text/html instead of JSON" in done.err
    assert not (files / "out").exists()


@pytest.mark.parametrize("words", REMOTE, ids=" ".join)
def test_a_server_that_cannot_be_reached_is_reported(
    cli: Cli, files: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("EDITOR", "true")
    monkeypatch.setattr("pouchdb_core.adapters.http.http_session.FIRST_DELAY", 0.0)
    with socket.socket() as unused:
        # Bound and not listening: connections are refused, and nobody else gets the port.
        unused.bind(("127.0.0.1", 0))
        done = cli(*_arguments(words, f"http://127.0.0.1:{unused.getsockname()[1]}/notes"))
    assert done.status == 6, done
    assert "is the server running" in done.err
    assert not (files / "out").exists()
