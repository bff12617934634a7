"""One way in for values: whichever way a document comes, it is stored alike or refused with the same words."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.dump import dump, load
from pouchdb_core.errors import PouchDBError
from pouchdb_core.jsontext import parse
from pouchdb_core.testing.server import couch_server as start_server

pytest.importorskip("pouchdb_server")

numbers = itertools.count()
Refused = tuple[int, str]


class Ways:
    """Writes a document, given as the text of its member ``x``, in every way; answers the stored value, or why not."""

    def __init__(self, environment: SyncEnvironment, server: Any, directory: Path) -> None:
        self.environment, self.server, self.directory = environment, server, directory

    def local(self) -> SyncPouchDB:
        return self.environment[f"local-{next(numbers)}"]

    def served(self) -> SyncPouchDB:
        return self.server.environment[f"served-{next(numbers)}"]

    def remote(self, db: SyncPouchDB) -> SyncPouchDB:
        return self.environment.PouchDB(f"{self.server.url}/{db.name}")

    def ask(self, method: str, path: str, body: bytes) -> Any:
        connection = HTTPConnection("127.0.0.1", self.server.port)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
        if isinstance(told, dict) and "error" in told:
            raise Failed(answer.status, told["reason"])
        if isinstance(told, list) and told and "error" in told[0]:
            raise Failed(400, told[0]["reason"])
        return told

    def put(self, text: str) -> SyncPouchDB:
        db = self.local()
        db.put(parse(f'{{"_id":"a","x":{text}}}'))
        return db

    def put_text(self, text: str) -> SyncPouchDB:
        db = self.local()
        db.put(f'{{"_id":"a","x":{text}}}')
        return db

    def put_bytes(self, text: str) -> SyncPouchDB:
        db = self.local()
        db.put(f'{{"_id":"a","x":{text}}}'.encode())
        return db

    def bulk_text(self, text: str) -> SyncPouchDB:
        db = self.local()
        written(db.bulk_docs(f'{{"docs":[{{"_id":"a","x":{text}}}]}}'))
        return db

    def replicated(self, text: str) -> SyncPouchDB:
        db = self.local()
        written(db.bulk_docs([parse(f'{{"_id":"a","_rev":"1-a","x":{text}}}')], new_edits=False))
        return db

    def local_document(self, text: str) -> SyncPouchDB:
        db = self.local()
        db.put(f'{{"_id":"_local/a","x":{text}}}')
        db.put({**db.get("_local/a"), "_id": "a", "_rev": None})
        return db

    def http_put(self, text: str) -> SyncPouchDB:
        db = self.served()
        self.ask("PUT", f"/{db.name}/a", f'{{"x":{text}}}'.encode())
        return db

    def http_bulk(self, text: str) -> SyncPouchDB:
        db = self.served()
        self.ask("POST", f"/{db.name}/_bulk_docs", f'{{"docs":[{{"_id":"a","x":{text}}}]}}'.encode())
        return db

    def http_replicated(self, text: str) -> SyncPouchDB:
        db = self.served()
        body = f'{{"new_edits":false,"docs":[{{"_id":"a","_rev":"1-a","x":{text}}}]}}'
        self.ask("POST", f"/{db.name}/_bulk_docs", body.encode())
        return db

    def remote_put(self, text: str) -> SyncPouchDB:
        db = self.served()
        self.remote(db).put(parse(f'{{"_id":"a","x":{text}}}'))
        return db

    def remote_bulk(self, text: str) -> SyncPouchDB:
        db = self.served()
        written(self.remote(db).bulk_docs([parse(f'{{"_id":"a","x":{text}}}')]))
        return db

    def remote_read(self, text: str) -> SyncPouchDB:
        db = self.served()
        db.put(f'{{"_id":"a","x":{text}}}')
        again = self.local()
        again.put({**self.remote(db).get("a"), "_rev": None})
        return again

    def pushed(self, text: str) -> SyncPouchDB:
        source, target = self.local(), self.served()
        source.put(f'{{"_id":"a","x":{text}}}')
        source.replicate_to(f"{self.server.url}/{target.name}")
        return target

    def pulled(self, text: str) -> SyncPouchDB:
        source, target = self.served(), self.local()
        source.put(f'{{"_id":"a","x":{text}}}')
        target.replicate_from(f"{self.server.url}/{source.name}")
        return target

    def copied(self, text: str) -> SyncPouchDB:
        source, target = self.local(), self.local()
        source.put(f'{{"_id":"a","x":{text}}}')
        source.replicate_to(target.name)
        return target

    def dumped(self, text: str) -> SyncPouchDB:
        source, target = self.local(), self.local()
        source.put(f'{{"_id":"a","x":{text}}}')
        file = io.BytesIO()
        dump(source, file)
        load(target, io.BytesIO(file.getvalue()))
        return target

    def command(self, text: str) -> SyncPouchDB:
        from pouchdb.cli.app import run

        name = f"command-{next(numbers)}"
        printed = io.StringIO()
        document = self.directory / f"{name}.json"
        document.write_text(f'{{"_id":"a","x":{text}}}', "utf-8")
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(io.StringIO()):
            status = run(["-d", str(self.directory), "--json", "put", "--create", name, f"@{document}"])
        if status:
            raise Failed(400, json.loads(printed.getvalue())["reason"])
        return pouchdb.setup(self.directory, plugins=[])[name]

    def query(self, text: str) -> SyncPouchDB:
        """Not a way in, but one out: as key and value of a view."""
        db, again = self.local(), self.local()
        db.put(f'{{"_id":"a","x":{text}}}')
        row = db.query(lambda doc: [(doc["x"], doc["x"])], key=db.get("a")["x"]).rows[0]
        assert same(row.key, row.value)
        again.put({"_id": "a", "x": row.value})
        return again


class Failed(Exception):
    """An error of the server or the command."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason


def written(answers: list[Any]) -> None:
    for each in answers:
        if "error" in each:
            raise Failed(each["status"], each["reason"])


WAYS = [name for name, way in vars(Ways).items() if callable(way) and name not in ("__init__", "local", "served")]
WAYS = [name for name in WAYS if name not in ("remote", "ask")]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    with pouchdb.setup(":memory:", plugins=[]) as environment, start_server() as server:
        yield Ways(environment, server, tmp_path_factory.mktemp("data"))


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are equal, with their types and the order of their members."""
    if type(a) is not type(b) and not (isinstance(a, dict) and isinstance(b, dict)):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def taken(way: Callable[[str], SyncPouchDB], text: str) -> Any:
    """Return the value that is stored, or the status and words of the error."""
    try:
        db = way(text)
    except (PouchDBError, Failed) as error:
        return error.status, error.reason.removeprefix("a: ")
    assert db.integrity_check() == []
    return db.get("a")["x"]


def nested(depth: int, pair: str = "[]") -> str:
    """The text of a value that is ``depth`` levels deep."""
    return ("[" * depth + "]" * depth) if pair == "[]" else '{"a":' * depth + "1" + "}" * depth


KEPT: dict[str, tuple[str, Any]] = {
    "64 bits": ("[9223372036854775807,18446744073709551615,-9223372036854775808]", [2**63 - 1, 2**64 - 1, -(2**63)]),
    "65 bits": ("18446744073709551616", 2**64),
    "64 bits and a sign": ("-9223372036854775809", -(2**63) - 1),
    "30 digits": ("123456789012345678901234567890", 123456789012345678901234567890),
    "30 digits, negative": ("-123456789012345678901234567890", -123456789012345678901234567890),
    "400 digits": ("9" * 400, 10**400 - 1),
    "5,000 digits": ("9" * 5000, 10**5000 - 1),
    "30 digits among others": (
        '{"a":[1,2.5,{"b":123456789012345678901234567890}],"c":"x"}',
        {"a": [1, 2.5, {"b": 123456789012345678901234567890}], "c": "x"},
    ),
    "30 digits after a space": ('{"a": \\n 123456789012345678901234567890 }'.replace("\\n", "\n"), None),
    "30 digits in a text": ('"123456789012345678901234567890"', "123456789012345678901234567890"),
    "beyond exact doubles": ("[9007199254740993,9007199254740992.0]", [2**53 + 1, 2.0**53]),
    "a double of 30 digits": ("123456789012345678901234567890.5", 123456789012345678901234567890.5),
    "a double with an exponent": ("1e30", 1e30),
    "a whole double": ("1.0", 1.0),
    "minus zero": ("-0.0", -0.0),
    "the smallest double": ("5e-324", 5e-324),
    "a lone surrogate": ('"\\ud800"', "\ud800"),
    "a name with a lone surrogate": ('{"\\udfff":1}', {"\udfff": 1}),
    "a lone surrogate and 30 digits": ('["\\ud800",123456789012345678901234567890]', None),
    "a pair of surrogates": ('"\\ud83d\\ude00"', "\U0001f600"),
    "NUL": ('"a\\u0000b"', "a\0b"),
    "astral": ('"\U0001f600\U0010ffff"', "\U0001f600\U0010ffff"),
    "1 MB": (json.dumps("é" * 500_000), "é" * 500_000),
    "199 levels": (nested(199), None),
    "199 levels of objects": (nested(199, "{}"), None),
    "names that look like numbers": ('{"b":1,"10":2,"9":3}', {"b": 1, "10": 2, "9": 3}),
}

REFUSED: dict[str, tuple[str, str]] = {
    "200 levels": (nested(200), "nested deeper than 200 levels"),
    "200 levels of objects": (nested(200, "{}"), "nested deeper than 200 levels"),
    "250 levels": (nested(250), "nested deeper than 200 levels"),
    "1,000 levels": (nested(1000), "nested deeper than 200 levels"),
    "1,030 levels": (nested(1030, "{}"), "nested deeper than 200 levels"),
    "100,000 levels": (nested(100_000), "nested deeper than 200 levels"),
    "100,000 levels of objects": (nested(100_000, "{}"), "nested deeper than 200 levels"),
    "a number beyond doubles": ("1e400", "x: inf is not JSON serializable"),
    "a number below doubles": ("[-1e400]", "x[0]: -inf is not JSON serializable"),
    "too many digits": ("9" * 20_001, "x: an integer has at most 20,000 digits, not 20,001"),
    "too many digits, deep": (
        '{"a":[1,' + "9" * 30_000 + "]}",
        "x.a[1]: an integer has at most 20,000 digits, not 30,000",
    ),
}

NOT_JSON = ["NaN", "Infinity", "-Infinity", "[1,]", "01", "'a'", "[" * 100_000, '"\n"', "1e", "+1", "--1", "\\u0031"]


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    """Let the test itself print long integers, when it fails and by the command."""
    if not hasattr(sys, "set_int_max_str_digits"):
        yield
        return
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(50_000)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("text", "value"), KEPT.values(), ids=KEPT)
def test_kept_exactly(ways: Ways, way: str, text: str, value: Any) -> None:
    value = json.loads(text) if value is None else value
    assert same(plain(taken(getattr(ways, way), text)), value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_with_the_same_words(ways: Ways, way: str, text: str, words: str) -> None:
    status, reason = taken(getattr(ways, way), text)
    assert status == 400
    assert words in reason
    assert reason == taken(ways.put, text)[1]


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("put", "replicated", "remote_put", "remote_bulk")])
@pytest.mark.parametrize("text", NOT_JSON, ids=lambda text: text[:12])
def test_what_is_no_json_is_refused(ways: Ways, way: str, text: str) -> None:
    status, reason = taken(getattr(ways, way), text)
    if way == "command":
        # It names the file.
        file, _, reason = reason.partition(" is not JSON: ")
        assert file
    # Over HTTP these are CouchDB's words.
    words = "invalid UTF-8 JSON" if way.startswith("http_") else "invalid JSON"
    assert (status, reason.partition(":")[0]) == (400, words)


def plain(value: Any) -> Any:
    """Return a value with Records as dicts."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


texts = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["\ud800", "a\udfff", "\0", "\t"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**60), 10**60)
    | st.integers(2**63 - 3, 2**63 + 3)
    | st.integers(2**64 - 3, 2**64 + 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(values, st.booleans())
def test_all_ways_agree(ways: Ways, value: Any, spaced: bool) -> None:
    text = json.dumps(value, indent=1 if spaced else None)
    for way in ("put", "bulk_text", "http_put", "http_bulk", "remote_put", "pulled", "pushed", "copied", "dumped"):
        assert same(plain(taken(getattr(ways, way), text)), value), way


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(values)
def test_one_revision_for_each_value(ways: Ways, value: Any) -> None:
    """The same document has the same revision, whichever way it came; and another one has another."""
    text = json.dumps(value)
    revs = {way: getattr(ways, way)(text).get("a")["_rev"] for way in ("put", "put_text", "http_bulk", "remote_put")}
    assert len(set(revs.values())) == 1, revs
    other = json.dumps([value, 10**25 + 1])
    assert ways.put(other).get("a")["_rev"] != ways.put(json.dumps([value, 10**25 + 2])).get("a")["_rev"]


def test_a_document_that_cannot_be_stored_stops_no_other(ways: Ways) -> None:
    docs = ",".join(
        [
            '{"_id":"first"}',
            f'{{"_id":"deep","x":{nested(100_000)}}}',
            f'{{"_id":"objects","x":{nested(50_000, "{}")}}}',
            '{"_id":"huge","x":1e999}',
            f'{{"_id":"digits","x":{"1" * 30_000}}}',
            '{"_id":"last","x":123456789012345678901234567890}',
        ]
    )
    db = ways.served()
    connection = HTTPConnection("127.0.0.1", ways.server.port)
    with contextlib.closing(connection):
        body = f'{{"docs":[{docs}]}}'.encode()
        connection.request("POST", f"/{db.name}/_bulk_docs", body, {"Content-Type": "application/json"})
        answers = json.loads(connection.getresponse().read())
    assert [(each["id"], each.get("error")) for each in answers] == [
        ("first", None),
        ("deep", "bad_request"),
        ("objects", "bad_request"),
        ("huge", "bad_request"),
        ("digits", "bad_request"),
        ("last", None),
    ]
    here = ways.local()
    answers = here.bulk_docs(f"[{docs}]")
    assert [each.get("status") for each in answers] == [None, 400, 400, 400, 400, None]
    assert here.get("last").x == db.get("last").x == 123456789012345678901234567890
