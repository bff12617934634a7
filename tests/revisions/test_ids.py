"""Revision ids: their shape, their order, and JavaScript's text of a document, whose hash they are."""

import json
from collections import OrderedDict
from datetime import date
from decimal import Decimal
from enum import IntEnum
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pouchdb_core.revisions import (
    InvalidRev,
    generation,
    js_json,
    parse_rev,
    path_from_revisions,
    plain_json,
    rev_id,
    rev_order,
    revisions_from_path,
)
from pouchdb_core.revisions.numbers import digits_of, integer_of

MD5 = "7051cbe5c8faecd085a3fa619e6e6337"
MAX_SAFE = 2**53 - 1


# -- revisions


@pytest.mark.parametrize(
    ("rev", "parsed"),
    [
        pytest.param(f"1-{MD5}", (1, MD5), id="md5"),
        pytest.param("1-x", (1, "x"), id="one character"),
        pytest.param("10-a-b-", (10, "a-b-"), id="dashes in the id"),
        pytest.param("1--", (1, "-"), id="a dash as id"),
        pytest.param("2-!#$%&'()*+./:;<=>?@[\\]^_`{|}~", (2, "!#$%&'()*+./:;<=>?@[\\]^_`{|}~"), id="punctuation"),
        pytest.param(f"{MAX_SAFE}-a", (MAX_SAFE, "a"), id="last generation"),
    ],
)
def test_parse_rev(rev: str, parsed: tuple[int, str]) -> None:
    assert parse_rev(rev) == rev_order(rev) == parsed
    assert generation(rev) == parsed[0]


BAD_REVS = [
    "",
    "1",
    "1-",
    "-a",
    "0-a",
    "01-a",
    "-1-a",
    "+1-a",
    "1.0-a",
    "1_0-a",
    "x-a",
    " 1-a",
    "1-a ",
    "1-a\n",
    "1-a b",
]
BAD_REVS += ['1-"a"', "1-a,2-b", "1-é", "1-\x7f", "1-\x00", "١-a", f"{2**53}-a", "9" * 40 + "-a"]


@pytest.mark.parametrize("rev", [*BAD_REVS, None, 1, b"1-a", ["1-a"], {}], ids=repr)
def test_parse_rev_refuses(rev: Any) -> None:
    for function in (parse_rev, generation, rev_order):
        with pytest.raises(InvalidRev, match="revision"):
            function(rev)


def test_an_invalid_revision_is_a_value_error_that_shows_a_valid_one() -> None:
    with pytest.raises(ValueError, match=r"invalid revision 'what\?': a revision looks like \"2-7051"):
        parse_rev("what?")


def test_revisions_sort_by_number_then_by_byte() -> None:
    revs = ["10-b", "10-aa", "2-z", "10-a", "10-B"]
    assert sorted(revs, key=rev_order) == ["2-z", "10-B", "10-a", "10-aa", "10-b"]


def test_path_from_revisions() -> None:
    assert path_from_revisions(3, ["c", "b"]) == ["3-c", "2-b"]
    assert path_from_revisions(1, ("a",)) == ["1-a"]
    assert revisions_from_path(["10-c-x", "9-b"]) == {"start": 10, "ids": ["c-x", "b"]}


@pytest.mark.parametrize(
    ("start", "ids"),
    [
        (0, []),
        (1, []),
        (1, ["b", "a"]),
        (0, ["a"]),
        (-1, ["a"]),
        (True, ["a"]),
        (1.0, ["a"]),
        ("1", ["a"]),
        (None, ["a"]),
        (2**53, ["a"]),
        (1, "a"),
        (1, None),
        (1, {"a": 1}),
        (1, [None]),
        (1, [1]),
        (1, [""]),
        (1, ["a b"]),
        (1, ['"']),
        (1, ["é"]),
        (2, ["a", "b,c"]),
    ],
    ids=repr,
)
def test_path_from_revisions_refuses(start: Any, ids: Any) -> None:
    with pytest.raises(InvalidRev, match="invalid _revisions"):
        path_from_revisions(start, ids)


id_texts = st.text(st.sampled_from([chr(c) for c in range(0x21, 0x7F) if chr(c) not in '",']), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(id_texts, min_size=1, max_size=6), st.integers(0, 12))
def test_revisions_round_trip(ids: list[str], stemmed: int) -> None:
    start = len(ids) + stemmed
    path = path_from_revisions(start, ids)
    assert [parse_rev(rev) for rev in path] == [(start - place, id) for place, id in enumerate(ids)]
    assert revisions_from_path(path) == {"start": start, "ids": ids}


@settings(deadline=None)
@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,17}-[ -~]{0,4}"))
def test_parse_rev_accepts_what_it_would_print(rev: str) -> None:
    try:
        number, id = parse_rev(rev)
    except InvalidRev:
        return
    assert f"{number}-{id}" == rev
    assert 1 <= number <= MAX_SAFE


# -- the hash


@pytest.mark.parametrize(
    ("parent", "document", "rev"),
    [
        (None, {"_id": "edit2"}, "1-911ea76e7b0a67d85e0ed358108d9aaa"),
        (None, {"_id": "c", "z": 1, "10": 2, "2": 3, "a": 4}, "1-e12a41c845a2bdefe1d06113b2fe5dab"),
        (
            None,
            {"_id": "d", "x": 1e21, "y": -0.0, "w": 1e-7, "v": 0.00001, "u": 123456789012345680000},
            "1-c8c244ea8fc19876327df20737e2c578",
        ),
        (None, {"_id": "x", "t": "日"}, "1-f5a9e38627c815e2689f6401c8e17a21"),
        (None, {"_id": "x", "t": "å"}, "1-6fd534d4626130a0a0cc89573065fb05"),
        (None, {"_id": "x", "t": "\ud800"}, "1-a5af44d77f0a8f662614d00b7e11fc06"),
        (
            "1-911ea76e7b0a67d85e0ed358108d9aaa",
            {"_id": "edit2", "n": 1, "_rev": "1-911ea76e7b0a67d85e0ed358108d9aaa"},
            "2-c8c795bf0e3afbe32ead12d1f8c46f89",
        ),
    ],
)
def test_rev_id_is_that_of_pouchdb(parent: str | None, document: dict[str, Any], rev: str) -> None:
    assert rev_id(parent, js_json(document)) == rev


def test_rev_id_counts_on() -> None:
    assert generation(rev_id("9-a", b"{}")) == 10
    assert generation(rev_id(f"{MAX_SAFE - 1}-a", b"{}")) == MAX_SAFE
    with pytest.raises(InvalidRev, match="last one"):
        rev_id(f"{MAX_SAFE}-a", b"{}")
    with pytest.raises(InvalidRev):
        rev_id("a", b"{}")


# -- JavaScript's text; the right-hand sides were written by node's JSON.stringify, but for integers that JavaScript
# does not have: another one's text, and so another one's revision, must not be theirs.

NUMBERS: list[tuple[float, str]] = [
    (0, "0"),
    (-1, "-1"),
    (1.0, "1"),
    (-0.0, "0"),
    (0.0, "0"),
    (1e5, "100000"),
    (1e15, "1000000000000000"),
    (1e16, "10000000000000000"),
    (1e20, "100000000000000000000"),
    (1e21, "1e+21"),
    (-1e21, "-1e+21"),
    (1e22, "1e+22"),
    (1e100, "1e+100"),
    (1.5e300, "1.5e+300"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (123456789012345680000, "123456789012345680000"),
    (999999999999999900000, "999999999999999900000"),
    (12345678901234567890123, "12345678901234567890123"),
    (10**21, "1e+21"),
    (10**300, "1e+300"),
    (2**70, "1180591620717411303424"),
    (-(2**70), "-1180591620717411303424"),
    (1180591620717411300000, "1.1805916207174113e+21"),
    (123456789012345683968, "123456789012345683968"),
    (9007199254740991, "9007199254740991"),
    (9007199254740992, "9007199254740992"),
    (9007199254740993, "9007199254740993"),
    (-9007199254740993, "-9007199254740993"),
    (9223372036854775807, "9223372036854775807"),
    (18446744073709551615, "18446744073709551615"),
    (0.1, "0.1"),
    (-2.5, "-2.5"),
    (4.35, "4.35"),
    (100.25, "100.25"),
    (123456789.125, "123456789.125"),
    (0.30000000000000004, "0.30000000000000004"),
    (4503599627370495.5, "4503599627370495.5"),
    (0.000123, "0.000123"),
    (0.00001, "0.00001"),
    (1.5e-5, "0.000015"),
    (3e-5, "0.00003"),
    (1e-6, "0.000001"),
    (1.234e-6, "0.000001234"),
    (1e-7, "1e-7"),
    (1.234e-7, "1.234e-7"),
    (-1.5e-9, "-1.5e-9"),
    (2.2250738585072014e-308, "2.2250738585072014e-308"),
    (5e-324, "5e-324"),
]


def plain_text(value: dict[str, Any]) -> bytes | None:
    """The revision text of the short cut; the other one it returns must read back as the value."""
    plain = plain_json(value)
    if plain is None:
        return None
    text, stored = plain
    assert stored == orjson.dumps(value)
    return text


@pytest.mark.parametrize(("number", "text"), NUMBERS, ids=lambda value: repr(value))
def test_js_json_of_numbers(number: float, text: str) -> None:
    assert js_json(number).decode() == text
    assert js_json({"n": [number]}).decode() == f'{{"n":[{text}]}}'
    assert plain_text({"n": number}) in (None, f'{{"n":{text}}}'.encode())


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("", '""', id="empty"),
        pytest.param('"\\/', '"\\"\\\\/"', id="quote, backslash, slash"),
        pytest.param("\b\f\n\r\t", '"\\b\\f\\n\\r\\t"', id="short escapes"),
        pytest.param("\x00\x01\x0b\x1f", '"\\u0000\\u0001\\u000b\\u001f"', id="control characters"),
        pytest.param("\x7f\x80", '"\x7f\x80"', id="delete and C1"),
        pytest.param("\u2028\u2029\ufeff", '"\u2028\u2029\ufeff"', id="line separators and byte order mark"),
        pytest.param("<>&'", '"<>&\'"', id="html"),
        pytest.param("日å😀", '"日å😀"', id="beyond ascii"),
        pytest.param("\ud800", '"\\ud800"', id="lone high half"),
        pytest.param("a\udfffb", '"a\\udfffb"', id="lone low half"),
        pytest.param("\ude00\ud83d", '"\\ude00\\ud83d"', id="halves the wrong way round"),
        pytest.param("\ud83d\ude00", '"😀"', id="two halves"),
        pytest.param("\ud83d\ud83d\ude00\ude00", '"\\ud83d😀\\ude00"', id="a pair between halves"),
        pytest.param("\udbff\udc00", '"\U0010fc00"', id="highest plane"),
    ],
)
def test_js_json_of_strings(text: str, written: str) -> None:
    assert js_json(text) == written.encode()
    assert js_json({text: text}) == f"{{{written}:{written}}}".encode()
    assert plain_text({"t": text}) in (None, f'{{"t":{written}}}'.encode())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param({"b": 1, "10": 2, "2": 3, "a": 4, "0": 5}, '{"0":5,"2":3,"10":2,"b":1,"a":4}', id="index keys"),
        pytest.param(
            {
                "b": 1,
                "4294967295": 2,
                "4294967294": 3,
                "01": 4,
                "-1": 5,
                "1.5": 6,
                "00": 7,
                "": 8,
                "9007199254740993": 9,
                "1e3": 10,
                "٣": 11,
            },
            '{"4294967294":3,"b":1,"4294967295":2,"01":4,"-1":5,"1.5":6,"00":7,"":8,"9007199254740993":9,"1e3":10,"٣":11}',
            id="what is an index key",
        ),
        pytest.param(
            {"x": {"b": [{"9": 1, "1": 2, "z": []}], "3": {}}, "1": None},
            '{"1":null,"x":{"3":{},"b":[{"1":2,"9":1,"z":[]}]}}',
            id="index keys at every level",
        ),
        pytest.param([[], {}, [[]], None, True, False], "[[],{},[[]],null,true,false]", id="containers and constants"),
        pytest.param((1, (2,)), "[1,[2]]", id="tuples"),
        pytest.param({"\ud800": 1, "\ud83d\ude00": 2}, '{"\\ud800":1,"😀":2}', id="halves in keys"),
        pytest.param({"5": {}}, '{"5":{}}', id="only an index key"),
    ],
)
def test_js_json_of_containers(value: object, written: str) -> None:
    assert js_json(value) == written.encode()


def test_js_json_of_what_no_double_holds() -> None:
    assert js_json([float("inf"), float("-inf"), float("nan"), 10**400]) == b"[null,null,null,1%b]" % (b"0" * 400)


@settings(deadline=None)
@given(st.integers() | st.integers(2**53 - 9, 2**72), st.integers(-4, 4))
def test_different_integers_have_different_texts(number: int, step: int) -> None:
    assert (js_json(number) == js_json(number + step)) == (step == 0)


@settings(deadline=None)
@given(st.integers(1, 20_000), st.integers(0, 10**9), st.booleans())
def test_integers_of_any_size_as_text(digits: int, seed: int, negative: bool) -> None:
    text = str(seed + 10**9)
    text = (text * (digits // len(text) + 1))[:digits]
    text = f"-{text}" if negative else text
    assert digits_of(integer_of(text)) == text


@pytest.mark.parametrize("depth", [1, 200, 250, 5000])
def test_js_json_has_no_depth_limit(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    assert js_json(value) == b'{"a":[' * depth + b"1" + b"]}" * depth


# -- the short cut


def nested(depth: int, make: Any) -> dict[str, Any]:
    value: Any = {}
    for _ in range(depth - 1):
        value = make(value)
    return value if isinstance(value, dict) else {"a": value}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"_id": "a", "_rev": "1-x", "n": 1, "f": 1.5, "t": True, "u": None, "l": [1, "a", [2.5]], "o": {"p": {}}},
        {"": 1, "01": 2, "1a": 3, "4294967295": 4, "٣": 5, "$": 6},
        {"big": [2**53, -(2**53)]},
        {"t": (1, (2, {"x": ()}))},
        {"é": "日😀\x00"},
        {"small": [1e-5, -1e-5, 1.5e-5, 999999999999999.9, -999999999999999.9]},
        nested(200, lambda value: {"a": value}),
        OrderedDict(a=1, b=OrderedDict(c=2)),
        {"whole": 1.0, "zero": -0.0, "in": [2.0, {"x": 3.0, "y": 0.5}]},
        {"whole": 1.0, "in": [2.0, {"x": 30.0}], "y": -4.0},
        {"whole": 1.0, "looks like one": "1.0,", "and": ["2.0]", "3.0}"]},
        {"whole": 1.0, "zero": "-0.0"},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_plain_json_covers(value: dict[str, Any]) -> None:
    assert plain_text(value) == js_json(value)


class Text(str):
    __slots__ = ()


class Number(IntEnum):
    ONE = 1


class Many(list[int]):
    pass


cycle: dict[str, Any] = {}
cycle["again"] = [cycle, cycle]


@pytest.mark.parametrize(
    "item",
    [
        {"1": 1},
        [{"a": {"0": 1}}],
        2**53 + 1,
        -(2**53) - 1,
        2**70,
        9.9e-6,
        1e15 + 0.5,
        1e22,
        float("nan"),
        float("inf"),
        "\ud800",
        {"\udfff": 1},
        b"bytes",
        {1: 2},
        {None: 1},
        {Text("a"): 1},
        Text("a"),
        Number.ONE,
        Many([1]),
        date(2020, 1, 1),
        {1, 2},
        object(),
        cycle,
        nested(200, lambda value: [value]),
        nested(260, lambda value: {"a": value}),
    ],
    ids=lambda item: repr(item)[:40].partition(" at 0x")[0],
)
def test_plain_json_leaves_alone(item: object) -> None:
    assert plain_text({"a": item}) is None


def test_a_reordered_dict_has_one_text() -> None:
    value = OrderedDict(a=1, b=2)
    value.move_to_end("a")
    assert plain_text(value) == js_json(value) == orjson.dumps(value)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
)
keys = st.text(max_size=4) | st.integers(0, 2**33).map(str) | st.sampled_from(["_id", "a", "01", "1e3"])
values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(keys, v, max_size=4), max_leaves=12)


@settings(deadline=None)
@given(st.dictionaries(keys, values, max_size=5))
def test_the_short_cut_arrives_at_the_same_text(value: dict[str, Any]) -> None:
    plain = plain_text(value)
    assert plain in (None, js_json(value))


@settings(max_examples=1000, deadline=None)
@given(st.floats(1e-5, 1e15, exclude_max=True) | st.floats(1e-5, 1e-3) | st.floats(1e14, 1e15, exclude_max=True))
@example(1e-5)
@example(999999999999999.9)
def test_orjson_writes_floats_of_the_plain_range_as_javascript_does(number: float) -> None:
    for signed in (number, -number):
        plain = plain_text({"n": signed})
        assert plain is not None
        assert plain == js_json({"n": signed})


@settings(deadline=None)
@given(values)
def test_js_json_reads_back(value: Any) -> None:
    # As the decimal numbers that are written; pairs of halves become one character in the same way.
    def decimals(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: decimals(member) for key, member in item.items()}
        if isinstance(item, list):
            return [decimals(member) for member in item]
        return item if item is None or isinstance(item, str | bool) else Decimal(repr(item))

    read = json.loads(js_json(value), parse_int=Decimal, parse_float=Decimal)
    assert read == decimals(value)


@settings(deadline=None)
@given(st.text(st.characters(categories=["Cs", "Lu"]), max_size=8))
def test_js_json_of_halves_is_utf8_that_means_the_same(text: str) -> None:
    written = js_json(text).decode()
    paired = text.encode("utf-16-le", "surrogatepass")
    assert json.loads(written).encode("utf-16-le", "surrogatepass") == paired
