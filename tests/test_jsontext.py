"""JSON text: what is parsed is what the standard library parses, exactly; what is written is read back."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import CUT, MARK, Unusable, dump, from_text, jsonable, load, parse
from pouchdb_core.revisions.numbers import integer_of

texts = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["\ud800", "\t", "1" * 25, "[1", '"', "\\"])
numbers = (
    st.integers()
    | st.integers(-(10**60), 10**60)
    | st.integers(-(2**64) - 3, -(2**63) + 3)
    | st.integers(2**63 - 3, 2**64 + 3)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def exact(value: Any) -> str:
    return json.dumps(value)


@settings(max_examples=300)
@given(values, st.sampled_from([None, 0, 3]), st.booleans(), st.booleans())
def test_what_is_parsed_is_what_the_standard_library_parses(
    value: Any, indent: int | None, ascii: bool, data: bool
) -> None:
    text: Any = json.dumps(value, indent=indent, ensure_ascii=ascii)
    if data:
        text = json.dumps(value, indent=indent).encode()
    assert exact(parse(text)) == exact(value)


many_digits = st.integers(10**16, 10**24).map(str)


@settings(max_examples=300)
@given(
    st.lists(
        st.builds(
            str.format,
            st.sampled_from(["{}", "-{}", "0.{}", "-1.{}", "{}.5", "{}e3", '"{}"', '" {} ,"', '{{"a":{}}}', "\n{}"]),
            many_digits,
        )
    ),
    st.sampled_from([",", " , ", ",\n"]),
)
def test_integers_among_fractions_and_strings_of_many_digits_are_exact(items: list[str], between: str) -> None:
    text = f"[{between.join(items)}]"
    assert exact(parse(text)) == exact(json.loads(text))


@settings(max_examples=300)
@given(values)
@example(2**64)
@example([-(2**63) - 1])
@example({"a": "1" * 30})
@example({"a\t": 10**30})
def test_what_is_written_is_read_back(value: Any) -> None:
    text = dump(value)
    assert exact(load(text)) == exact(value)
    assert exact(parse(text)) == exact(value)
    assert json.loads(text) == value
    # Cut and joined, too.
    assert exact(load(b"[" + text + b"," + text + b"]")) == exact([value, value])
    if isinstance(value, dict):
        start = b'{"_id":1}' if text == b"{}" else b'{"_id":1,' + text[1:]
        assert exact(load(start)) == exact({"_id": 1, **value})


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 10**18, 0, 1.5e300])
def test_what_orjson_reads_exactly_is_not_marked(number: Any) -> None:
    assert dump([number]) == orjson.dumps([number])
    assert MARK not in dump({"x": "\t", "y": number})


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400, -(10**5000)], ids=["65", "64-", "400", "5000-"])
def test_what_orjson_would_not_read_exactly_is_marked(number: int) -> None:
    for value in (number, [number], {"x": number}, {"x": ["\ud800", number]}):
        text = dump(value)
        assert text.count(MARK) == 1
        assert load(text) == value
        if isinstance(value, (list, dict)):
            assert text[-1:] in b"]}"


def test_what_nests_too_deeply_is_left_out_of_what_is_parsed() -> None:
    for depth in (CUT - 1, CUT, CUT + 1, 900, 1100, 100_000):
        for opening, middle, closing in ((b"[", b"1", b"]"), (b'{"a":', b"1", b"}"), (b'[ {"]":', b'"}"', b"} ]")):
            value = parse(b"[1," + opening * depth + middle + closing * depth + b",2]")
            assert (value[0], value[2]) == (1, 2)
            with pytest.raises(BadRequest, match="nested deeper than 200 levels"):
                jsonable(value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "]" * 100_000,
        "[" * 1000 + "}" * 1000,
        "[" * 2000 + "]" * 2001,
        "[" * 2000 + '"' + "]" * 2000,
        "[1" * 2000 + "]" * 1999,
        '{"a":' * 2000 + "1" + "}" * 2000 + "x",
        "NaN",
        "-Infinity",
        "",
        " ",
        "[1 2]",
        "0e-",
    ],
    ids=lambda text: text[:8],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    for given_text in (text, text.encode()):
        with pytest.raises(BadRequest, match="invalid JSON"):
            from_text(given_text)
        with pytest.raises(ValueError):
            parse(given_text)


@pytest.mark.parametrize("data", [b"\xff", b'"\xed\xa0\x80"', "[1]".encode("utf-16"), b"\xef\xbb\xbf[1]"])
def test_bytes_are_utf8(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse(data)


def test_a_part_that_no_document_may_have_is_named() -> None:
    value = parse('{"a":[1,' + "7" * 30_000 + "]}")
    assert type(value["a"][1]) is Unusable
    with pytest.raises(BadRequest, match=r"a\[1\]: an integer has at most 20,000 digits, not 30,000"):
        jsonable(value)
    with pytest.raises(BadRequest, match=r"the document: inf is not JSON serializable"):
        jsonable(parse("1e400"))


@pytest.mark.parametrize("sign", ["", "-"])
def test_the_bound_of_integers_is_one_bound(sign: str) -> None:
    for digits, kept in (("9" * 20_000, True), ("1" + "0" * 20_000, False)):
        number = int(sign + "1") * integer_of(digits)
        for value in (number, parse(sign + digits)):
            if kept:
                assert jsonable(value) == number
                assert load(dump([value])) == [number]
            else:
                with pytest.raises(BadRequest, match="an integer has at most 20,000 digits"):
                    jsonable(value)


def test_what_is_json_already_is_not_copied() -> None:
    value = {"a": [1, {"b": (2.5, None, "x")}], "c": True, "d": 10**50}
    assert jsonable(value) is value
