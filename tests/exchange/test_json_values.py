"""The values of a JSON file, whatever its form, whatever the pieces it is read in."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pouchdb.exchange import json_values
from pouchdb.exchange.json_values import JsonValues, unpacked
from pouchdb_core.errors import BadRequest


class _Dribble(io.BytesIO):
    """Gives a few bytes at a time, wherever they end."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._size)


def values(data: bytes, size: int = 1 << 20) -> list[Any]:
    return [element.value for element in JsonValues(_Dribble(data, size))]


@pytest.fixture(params=[None, 8])
def whole(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with objects that are cut although they are small."""
    if request.param is not None:
        monkeypatch.setattr(json_values, "WHOLE", request.param)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b" \n\n ", []),
        (b'{"a":1}', [{"a": 1}]),
        (b'{"a":1}\n{"b":"\\"}{"}\n\n{"c":[]}\n', [{"a": 1}, {"b": '"}{'}, {"c": []}]),
        (b'{"a":1}\r\n{"b":2}\r\n', [{"a": 1}, {"b": 2}]),
        (b'\xef\xbb\xbf{"a":1}\n', [{"a": 1}]),
        (b'{\n "a": 1\n}\n{\n "b": 2\n}', [{"a": 1}, {"b": 2}]),
        (b"[]", []),
        (b'[{"a":"]"},{"b":[1,[2]]}]', [{"a": "]"}, {"b": [1, [2]]}]),
        (b'[\n  {"a": 1} ,\n  {"b": 2}\n]\n', [{"a": 1}, {"b": 2}]),
        (b'[{"a":1}]\n[{"b":2},{"c":3}]\n', [{"a": 1}, [{"b": 2}, {"c": 3}]]),
        (b'{"a":"\xc3\xa9\xf0\x9f\x98\x80"}', [{"a": "é\U0001f600"}]),
        (b'{"n":123456789012345678}', [{"n": 123456789012345678}]),
    ],
)
def test_forms(text: bytes, expected: list[Any], size: int) -> None:
    assert values(text, size) == expected


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("name", ["docs", "rows"])
def test_an_object_of_documents(name: str, size: int) -> None:
    text = f'{{"total_rows": 2, "x": {{"docs": [9]}}, "{name}": [{{"a": 1}}, {{"b": "]"}}], "update_seq": [3, "}}"]}}\n'
    text += '{"after": 1}'
    got = values(text.encode(), size)
    assert got[-1] == {"after": 1}
    assert got[:-1] in ([json.loads(text.splitlines()[0])], [{"a": 1}, {"b": "]"}])


def test_a_big_object_of_documents_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "WHOLE", 50)
    docs = [{"_id": str(i), "x": "y" * 30} for i in range(10)]
    elements = list(JsonValues(_Dribble(json.dumps({"new_edits": False, "docs": docs}).encode(), 20)))
    assert [each.value for each in elements] == docs
    assert {each.container for each in elements} == {"docs"}


def test_a_big_document_with_a_field_docs_is_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "WHOLE", 50)
    doc = {"_id": "a", "docs": [{"x": "y" * 30}] * 10}
    assert values(json.dumps(doc).encode(), 20) == [doc]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b'{"a":', "breaks off"),
        (b'{"a":"x', "breaks off"),
        (b'[{"a":1}', "breaks off after element 1"),
        (b'[{"a":1},', "breaks off"),
        (b"[1]", "not a JSON object"),
        (b'[{"a":1} x]', "not a JSON object"),
        (b'{"a":nope}', "line 1 is not JSON"),
        (b"[[[", "breaks off"),
        (b'[{"a":}]', "element 1 is not JSON"),
        (b'{\n"a":1\n}\n}', "not JSON"),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_what_is_no_json(text: bytes, match: str, size: int) -> None:
    with pytest.raises(BadRequest, match=match):
        values(text, size)


def test_lines_that_are_no_json_are_told_one_by_one() -> None:
    got = values(b'{"a":1}\n{"b":\n{"c":3}\n')
    assert [got[0], got[2]] == [{"a": 1}, {"c": 3}]
    assert isinstance(got[1], BadRequest)
    assert got[1].message.startswith("line 2 is not JSON")


def test_places() -> None:
    assert [each.place for each in JsonValues(io.BytesIO(b'{"a":1}\n\n{"b":2}\n'))] == ["line 1", "line 3"]
    assert [each.place for each in JsonValues(io.BytesIO(b'[{"a":1},\n{"b":2}]'))] == ["element 1", "element 2"]


def test_packed_and_damaged() -> None:
    text = b'{"a":1}\n' * 1000
    packed = gzip.compress(text)
    assert len(values(unpacked(io.BufferedReader(io.BytesIO(packed))).read())) == 1000  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="damaged or cut off"):
        list(JsonValues(unpacked(io.BufferedReader(io.BytesIO(packed[: len(packed) // 2])))))  # type: ignore[arg-type]


def test_a_value_without_end_takes_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "LONGEST", 1000)
    with pytest.raises(BadRequest, match="longer than"):
        values(b'{"a":"' + b"x" * 5000, 100)


json_docs = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200, deadline=None)
@given(
    docs=st.lists(json_docs, max_size=6),
    form=st.sampled_from(["lines", "array", "pretty array", "pretty objects"]),
    size=st.sampled_from([1, 2, 3, 10, 1000]),
)
def test_every_form_gives_the_documents(docs: list[Any], form: str, size: int) -> None:
    text = {
        "lines": "".join(json.dumps(doc) + "\n" for doc in docs),
        "array": json.dumps(docs, ensure_ascii=False),
        "pretty array": json.dumps(docs, indent=1),
        "pretty objects": "\n".join(json.dumps(doc, indent=2) for doc in docs),
    }[form]
    assert values(text.encode(), size) == docs
