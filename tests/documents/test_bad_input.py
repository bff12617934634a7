"""Input that cannot be stored is refused with a status and what to change; the rest is kept as it is."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, DocValidation, MissingId, PouchDBError


class Colour(enum.Enum):
    RED = "red"


def nested(depth: int, kind: str) -> Any:
    """A document whose innermost container is ``depth`` levels deep; the document is level one."""
    value: Any = 1
    for _ in range(depth - 1):
        value = {"x": value} if kind == "object" else [value]
    return {"_id": "a", "x": value}


def cyclic() -> dict[str, Any]:
    doc: dict[str, Any] = {"_id": "a", "x": []}
    doc["x"].append(doc)
    return doc


REFUSED: dict[str, tuple[Any, int, str]] = {
    "None": (None, 400, "must be a JSON object"),
    "a number": (5, 400, "not int"),
    "a list": ([{"_id": "a"}], 400, "not list"),
    "a set": ({"_id"}, 400, "not set"),
    "text of a list": ("[]", 400, "JSON object"),
    "text of null": ("null", 400, "JSON object"),
    "no JSON": ("{'_id': 'a'}", 400, "invalid JSON"),
    "empty text": ("", 400, "invalid JSON"),
    "text after the object": ('{"_id":"a"} {}', 400, "invalid JSON"),
    "a trailing comma": ('{"_id":"a",}', 400, "invalid JSON"),
    "NaN in text": ('{"_id":"a","x":NaN}', 400, "invalid JSON"),
    "Infinity in text": ('{"_id":"a","x":-Infinity}', 400, "invalid JSON"),
    "a number beyond doubles in text": ('{"_id":"a","x":1e999}', 400, "x: inf is not JSON serializable"),
    "an integer of too many digits in text": (
        '{"_id":"a","x":[' + "9" * 20_001 + "]}",
        400,
        r"x\[0\]: an integer has at most 20,000 digits, not 20,001",
    ),
    "a control character in text": ('{"_id":"a","x":"\n"}', 400, "invalid JSON"),
    "broken UTF-8": (b'{"_id":"a","x":"\xff"}', 400, "invalid JSON"),
    "surrogates as UTF-8": (b'{"_id":"a","x":"\xed\xa0\x80"}', 400, "invalid JSON"),
    "UTF-16": ('{"_id":"a"}'.encode("utf-16"), 400, "invalid JSON"),
    "no _id": ({}, 412, "_id is required"),
    "empty _id": ({"_id": ""}, 412, "_id is required"),
    "_id None": ({"_id": None}, 400, "_id field must contain a string"),
    "_id is a number": ({"_id": 5}, 400, "_id field must contain a string"),
    "_id is bytes": ({"_id": b"a"}, 400, "_id field must contain a string"),
    "_id is a list": ({"_id": ["a"]}, 400, "_id field must contain a string"),
    "_id with an underscore": ({"_id": "_a"}, 400, "may start with underscore"),
    "_id is _design": ({"_id": "_design"}, 400, "may start with underscore"),
    "_id is _design/": ({"_id": "_design/"}, 400, "may start with underscore"),
    "_id with a lone surrogate": ({"_id": "a\ud800"}, 400, "lone surrogate"),
    "_id with a lone surrogate in text": ('{"_id":"a\\udfff"}', 400, "lone surrogate"),
    "_rev is a number": ({"_id": "a", "_rev": 1}, 400, "Invalid rev format"),
    "_rev is empty": ({"_id": "a", "_rev": ""}, 400, "Invalid rev format"),
    "_rev without a dash": ({"_id": "a", "_rev": "1"}, 400, "Invalid rev format"),
    "_rev without a number": ({"_id": "a", "_rev": "x-abc"}, 400, "Invalid rev format"),
    "_rev with a zero": ({"_id": "a", "_rev": "0-abc"}, 400, "Invalid rev format"),
    "_rev with a leading zero": ({"_id": "a", "_rev": "01-abc"}, 400, "Invalid rev format"),
    "_rev with a line break": ({"_id": "a", "_rev": "1-abc\n"}, 400, "Invalid rev format"),
    "_rev with a comma": ({"_id": "a", "_rev": "1-a,b"}, 400, "Invalid rev format"),
    "_rev with other digits": ({"_id": "a", "_rev": "١-abc"}, 400, "Invalid rev format"),
    "_rev beyond exact numbers": ({"_id": "a", "_rev": f"{2**53}-abc"}, 400, "Invalid rev format"),
    "_deleted is text": ({"_id": "a", "_deleted": "true"}, 400, "_deleted must be true or false"),
    "_deleted is None": ({"_id": "a", "_deleted": None}, 400, "_deleted must be true or false"),
    "_deleted is 1": ({"_id": "a", "_deleted": 1}, 400, "_deleted must be true or false"),
    "an unknown reserved member": ({"_id": "a", "_foo": 1}, 500, "Bad special document member: _foo"),
    "a member called _": ({"_id": "a", "_": 1}, 500, "Bad special document member: _"),
    "NaN": ({"_id": "a", "x": {"y": [math.nan]}}, 400, r"x\.y\[0\]: nan is not JSON serializable"),
    "Infinity": ({"_id": "a", "x": math.inf}, 400, "x: inf is not JSON serializable"),
    "an integer of too many digits": ({"_id": "a", "x": [-(10**21_000)]}, 400, r"x\[0\]: an integer has at most"),
    "a key that is a number": ({"_id": "a", "x": {1: 2}}, 400, "x: keys must be strings, not 1"),
    "a key that is None": ({"_id": "a", None: 2}, 400, "keys must be strings, not None"),
    "a key that is bytes": ({"_id": "a", b"x": 2}, 400, "keys must be strings"),
    "bytes": ({"_id": "a", "x": b"y"}, 400, "x: bytes is not JSON serializable"),
    "a set inside": ({"_id": "a", "x": {1}}, 400, "x: set is not JSON serializable"),
    "a date": ({"_id": "a", "x": datetime.date(2020, 1, 1)}, 400, "x: date is not JSON serializable"),
    "a time": ({"_id": "a", "x": [datetime.datetime.now(datetime.timezone.utc)]}, 400, "datetime is not JSON"),
    "a decimal": ({"_id": "a", "x": decimal.Decimal(1)}, 400, "x: Decimal is not JSON serializable"),
    "an enum": ({"_id": "a", "x": Colour.RED}, 400, "x: Colour is not JSON serializable"),
    "a complex number": ({"_id": "a", "x": 1j}, 400, "x: complex is not JSON serializable"),
    "an object": ({"_id": "a", "x": object()}, 400, "x: object is not JSON serializable"),
    "a function": ({"_id": "a", "x": len}, 400, "x: builtin_function_or_method is not JSON"),
    "itself": (cyclic(), 400, "nested deeper than 200 levels"),
    "201 objects": (nested(202, "object"), 400, "nested deeper than 200 levels"),
    "500 objects": (nested(500, "object"), 400, "nested deeper than 200 levels"),
    "500 lists": (nested(500, "list"), 400, "nested deeper than 200 levels"),
    "500 objects in text": (json.dumps(nested(500, "object")), 400, "nested deeper than 200 levels"),
    "5,000 lists in text": ('{"_id":"a","x":' + "[" * 5000 + "]" * 5000 + "}", 400, "nested deeper than 200 levels"),
    "200,000 brackets": ('{"_id":"a","x":' + "[" * 200_000, 400, "nested deeper|invalid JSON"),
    "200,000 lists": ({"_id": "a", "x": nested(200_000, "list")["x"]}, 400, "nested deeper than 200 levels"),
}


@pytest.mark.parametrize(("doc", "status", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(database: SyncPouchDB, doc: Any, status: int, message: str) -> None:
    replicated = doc
    if isinstance(doc, dict) and "_id" in doc and "_rev" not in doc:
        replicated = {**doc, "_rev": "1-a"}
    elif isinstance(doc, str):
        replicated = doc.replace('"_id"', '"_rev":"1-a","_id"', 1)
    calls: list[Callable[[], Any]] = [
        lambda: database.put(doc),
        lambda: database.put(replicated, new_edits=False),
        # Without an _id it would get one.
        lambda: database.bulk_docs([{"_id": "good"}, {"_id": ""} if doc == {} else doc], atomic=True),
    ]
    for call in calls:
        with pytest.raises(PouchDBError, match=message) as caught:
            call()
        assert caught.value.status == status
        assert len(str(caught.value)) < 1000
    assert database.info().update_seq == 0
    assert list(database) == []


def test_errors_name_the_document(database: SyncPouchDB) -> None:
    for error, doc in [(BadRequest, {"_id": "a", "x": {1}}), (DocValidation, {"_id": "a", "_x": 1})]:
        with pytest.raises(error) as caught:
            database.put(doc)
        assert caught.value.id == "a"
    with pytest.raises(MissingId):
        database.put({"x": 1})


# -- what is stored exactly --------------------------------------------------------------------------------------------

VALUES: dict[str, Any] = {
    "50 levels": nested(50, "object")["x"],
    "199 levels of lists": nested(200, "list")["x"],
    "keys of dicts": {"items": 1, "keys": 2, "values": 3, "get": 4, "pop": 5, "update": 6, "copy": 7, "clear": 8},
    "keys of objects": {"__class__": 1, "__dict__": 2, "__deepcopy__": 3, "__init__": 4, "self": 5},
    "strange keys": {"": 1, " ": 2, "a.b": 3, "\0": 4, "'": 5, '"': 6, "\\": 7, "\u2028": 8, "é": 9, "\U0001f600": 10},
    "keys of JavaScript": {"__proto__": 1, "constructor": 2, "toString": 3, "length": 4, "10": 5, "2": 6, "-1": 7},
    "reserved names below the top": {"_id": 1, "_rev": 2, "_deleted": True, "_attachments": {"x": 1}},
    "a lone surrogate": "a\ud800b",
    "surrogates": ["\udfff\ud800", "\ud83d", {"\udc00": "\ud800"}],
    "astral characters": "\U0001f600\U0010ffff",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x80\ufeff\uffff",
    "integers": [0, -1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)],
    "long integers": [2**64, -(2**63) - 1, 10**29 + 1, -(10**400) - 1, {"x": [1.5, 10**18, 10**19, 10**20 + 1]}],
    "long integers and surrogates": ["\ud800", 10**29 + 1],
    "what looks like long integers": ["1" * 30, "[" + "1" * 30 + "]", 1e30, 0.12345678901234567],
    "floats": [0.1, 1e-7, 1e308, 5e-324, 1.5, -2.5e-10],
    "whole floats": [1.0, 1e21, 1e16],
    "empty": [{}, [], "", [[]], {"": {}}],
    "constants": [None, True, False],
    "long text": "x" * 1_000_000,
    "a long key": {"k" * 100_000: 1},
    "many members": {f"k{n}": n for n in range(5000)},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("as_text", [False, True], ids=["value", "text"])
def test_stored_exactly(database: SyncPouchDB, value: Any, as_text: bool) -> None:
    doc = {"_id": "a", "x": value}
    rev = database.put(json.dumps(doc) if as_text else doc).rev
    stored = database.get("a")
    assert stored == {**doc, "_rev": rev}
    assert json.dumps(stored["x"]) == json.dumps(value)
    assert list(map(type, walk(stored["x"]))) == list(map(type, walk(value)))
    assert database.all_docs(include_docs=True).rows[0].doc == stored
    # And again as the child of what was read.
    second = database.put(stored).rev
    assert database.get("a") == {**doc, "_rev": second}


def walk(value: Any) -> Any:
    """The scalars of a value, in order."""
    if isinstance(value, dict):
        for member in value.values():
            yield from walk(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from walk(member)
    else:
        yield value


def test_top_level_members_of_any_name(database: SyncPouchDB) -> None:
    doc = {"_id": "a", "items": [1], "keys": 2, "": 3, "\ud800": 4, "10": 5, "get": 6}
    rev = database.put(doc).rev
    assert database.get("a") == {**doc, "_rev": rev}


def test_tuples_are_lists(database: SyncPouchDB) -> None:
    database.put({"_id": "a", "x": (1, ("y", {"z": ()}))})
    assert database.get("a")["x"] == [1, ["y", {"z": []}]]


def test_subclasses_of_dict(database: SyncPouchDB) -> None:
    database.put(OrderedDict(_id="a", x=OrderedDict(y=1)))
    assert database.get("a")["x"] == {"y": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("123456789012345678901234567890.0", 123456789012345678901234567890.0),
        ("123456789012345678901234567890e2", 12345678901234567890123456789000.0),
        ("18446744073709551616", 18446744073709551616),
        ("-9223372036854775809", -9223372036854775809),
        ("-9999999999999999999", -9999999999999999999),
        ("18446744073709551615", 18446744073709551615),
        ("-9223372036854775808", -9223372036854775808),
        ("1" * 300, int("1" * 300)),
        ("1" * 400, int("1" * 400)),
        ("9007199254740993", 9007199254740993),
        ("1e2", 100.0),
        ("-0", 0),
        ("0.1000000000000000055511151231257827", 0.1),
    ],
)
@pytest.mark.parametrize("surrogate", [False, True], ids=["", "beside a lone surrogate"])
def test_numbers_in_text(database: SyncPouchDB, text: str, value: float, surrogate: bool) -> None:
    """Integers are exact, whatever their size; numbers with a fraction or an exponent are doubles."""
    other = '"\\ud800"' if surrogate else '"x"'
    database.put(f'{{"_id":"a","x":{text},"y":{other}}}')
    stored = database.get("a")["x"]
    assert (stored, type(stored)) == (value, type(value))


def test_integers_of_more_digits_than_python_converts(database: SyncPouchDB) -> None:
    number = 10**5000 + 1
    text = "1" + "0" * 4999 + "1"
    first = database.put({"_id": "a", "x": number, "y": ["\ud800", 1e-7, -number]})
    assert database.get("a") == {"_id": "a", "_rev": first.rev, "x": number, "y": ["\ud800", 1e-7, -number]}
    second = database.put(f'{{"_id":"a","x":{text},"_rev":"{first.rev}","y":[]}}')
    assert database.get("a") == {"_id": "a", "_rev": second.rev, "x": number, "y": []}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(st.characters()), children, max_size=4),
    max_leaves=20,
)


@given(value=json_values, as_text=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_value(database: SyncPouchDB, value: Any, as_text: bool) -> None:
    doc = {"x": value}
    answer = database.post(json.dumps(doc) if as_text else doc)
    stored = database.get(answer.id)
    assert json.dumps(stored["x"]) == json.dumps(value)
    text = json.dumps({"n": 1, **stored, "_rev": answer.rev})
    assert database.put(text).rev.startswith("2-")


# -- ids ---------------------------------------------------------------------------------------------------------------

STRANGE_IDS = [
    "a b",
    "a/b",
    "a%2Fb",
    "50%",
    "'",
    '"',
    "\\",
    "a\nb",
    "\t",
    "\x7f",
    "x" * 10_000,
    "é",
    "é",
    "日本語",
    "\U0001f600",
    "\U0010ffff",
    "\ufeff",
    "￾",
    "{}",
    "null",
    "0",
    "items",
    "design/x",
    "_design/x/y",
    "_design/_design/",
    "_design/x_local/",
    "; DROP TABLE documents",
    "%s%d",
    "*",
    "a_b",
]


@pytest.mark.parametrize("id", STRANGE_IDS, ids=lambda id: ascii(id)[:24])
def test_ids(database: SyncPouchDB, id: str) -> None:
    check_id_everywhere(database, id)


@pytest.mark.parametrize("id", ["\0", "a\0b", "a\0", "\0\0"], ids=ascii)
def test_ids_with_nul(database: SyncPouchDB, id: str) -> None:
    check_id_everywhere(database, id)


@given(id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda id: id[0] != "_"))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_id(database: SyncPouchDB, id: str) -> None:
    # What the example before left when it failed.
    for doc in list(database):
        for leaf in database.open_revs(doc):
            database.purge(doc, leaf.ok._rev)
    check_id_everywhere(database, id)


def check_id_everywhere(database: SyncPouchDB, id: str) -> None:
    """Write, edit, read, list, find, remove and purge a document of this id beside similar ones."""
    others = [each for each in ("a", id + "x", id.replace("\0", "") + "y") if each != id]
    database.bulk_docs([{"_id": each} for each in others])
    first = database.put({"_id": id, "n": 1})
    assert first.id == id
    answers = database.bulk_docs([{"_id": id, "_rev": first.rev, "n": 2}, {"_id": id, "n": 3}])
    assert (answers[0].id, answers[1].status, answers[1].id) == (id, 409, id)
    rev = answers[0].rev
    assert database.get(id) == {"_id": id, "_rev": rev, "n": 2}
    assert id in database
    assert id in list(database)
    row = {"id": id, "key": id, "value": {"rev": rev}}
    assert database.all_docs(key=id).rows == [row]
    assert database.all_docs(keys=[id]).rows == [row]
    assert database.all_docs(startkey=id, limit=1).rows == [row]
    assert database.bulk_get([{"id": id}]).results == [{"id": id, "docs": [{"ok": database.get(id)}]}]
    assert database.revs_diff({id: [rev, "2-b"]})[id]["missing"] == ["2-b"]
    assert [each.id for each in database.changes(doc_ids=[id]).results] == [id]
    rev = database.put_attachment(id, "x", b"x", rev=rev).rev
    assert database.get_attachment(id, "x").data == b"x"
    database.put({"_id": id, "_revisions": {"start": 2, "ids": ["b", first.rev[2:]]}}, new_edits=False)
    assert id in [doc._id for doc in database.conflicts()]
    database.compact()
    assert database.resolve(id, rev).id == id
    gone = database.remove(id, rev).rev
    assert database.all_docs(keys=[id]).rows[0].value.deleted is True
    database.put({"_id": id, "n": 4})
    for leaf in database.open_revs(id):
        database.purge(id, leaf.ok._rev)
    assert id not in database
    assert gone
    for each in others:
        if each in database:
            database.purge(each, database.get(each)._rev)
