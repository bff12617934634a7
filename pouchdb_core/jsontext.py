"""JSON text: written, parsed and checked in one way, regardless of its content and origin.

orjson is lenient where a database must not be: it reads an integer beyond 64 bits as a double and supports neither lone
surrogates nor deep nesting. Text with any of these is recognised and parsed more slowly.

Values that come from outside pass one strict walk, ``jsonable`` (design, section 3), before they are stored.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import orjson

from pouchdb_core.errors import BadRequest, Damaged
from pouchdb_core.results import Record, record, record_of_objects
from pouchdb_core.revisions.ids import written
from pouchdb_core.revisions.numbers import MAX_DIGITS, digits_of, integer_of, too_long
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.unstorable import advice

__all__ = ["CUT", "MAX_DEPTH", "Unusable", "dump", "encodes", "from_text", "jsonable", "load", "load_record", "parse"]

MAX_DEPTH = 200
"""How many levels of arrays and objects a document may have, itself included."""
CUT = MAX_DEPTH + 32
"""Text nested deeper than any document in a request or a response may be is not even parsed."""

MARK = b"\t"
"""White space that no JSON writer puts between tokens, and that no string may hold unescaped.

``dump`` puts it into JSON text with integers that orjson would read as doubles, so ``load`` need not look for them. It
survives cutting and joining of JSON text.
"""


class Unusable:
    """A placeholder in a parsed value for a part that no document may have; ``jsonable`` refuses it."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


# -- parsing -----------------------------------------------------------------------------------------------------------


def load(text: bytes) -> Any:
    """Parse a text that ``dump`` has written. Raises Damaged for what it cannot have."""
    if MARK not in text:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            # Lone surrogates: legal in JSON, stored escaped, refused by orjson.
            pass
    try:
        return _DECODER.decode(text.decode())
    except ValueError as error:
        raise Damaged(f"a stored text is not JSON: {error}") from None


def load_record(body: bytes) -> Record:
    """Parse a stored body into Records.

    Looking for nested objects takes longer than parsing, so their possible number is counted in the text.
    """
    # What `load` tries first, without a call for each document.
    try:
        parsed: dict[str, Any] = load(body) if MARK in body else orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = load(body)
    nested = body.count(b"{") - 1
    if nested:
        members = [key for key, member in parsed.items() if type(member) is dict]
        if len(members) < nested:
            # There may be some in lists, which follow a bracket or a comma, or deeper, after a colon.
            return record(parsed) if b"[{" in body or b",{" in body else record_of_objects(parsed)
        for key in members:
            parsed[key] = Record(parsed[key])
    return Record(parsed)


def from_text(text: str | bytes | bytearray) -> Any:
    """Parse JSON text that came from outside. Raises BadRequest; see ``parse`` for what it may hold."""
    try:
        return parse(text)
    except ValueError as error:
        raise BadRequest(f"invalid JSON: {error}") from None


def parse(text: str | bytes | bytearray) -> Any:
    """Parse JSON text that came from outside. Raises ValueError.

    Integers are exact. What no document may have is not an error of the text, which may hold other documents: a number
    beyond doubles is infinite, and what is nested too deeply or has too many digits is an ``Unusable``. ``jsonable``
    refuses all three.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        value = orjson.loads(data)
    except ValueError as error:
        return _parse(text, error)
    if len(data) >= _LEAST and _has_long_integer(data):
        return _parse(text, None)
    return value


def _parse(text: str | bytes | bytearray, refused: Exception | None) -> Any:
    """Parse a text that orjson cannot read, or not exactly."""
    try:
        # As bytes it must be UTF-8, which has no surrogates.
        text = text if isinstance(text, str) else text.decode()
        try:
            return _DECODER.decode(text)
        except RecursionError:
            return _DECODER.decode(_cut(text))
    except ValueError as error:
        raise ValueError(str(refused or error)) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"there is no {name}")


def _integer(digits: str) -> Any:
    count = len(digits) - digits.startswith("-")
    if count > MAX_DIGITS:
        return Unusable(f"an integer has at most {MAX_DIGITS:,} digits, not {count:,}")
    return integer_of(digits)


def _float(text: str) -> Any:
    return Unusable(f"nested deeper than {MAX_DEPTH} levels") if text == _TOO_DEEP else float(text)


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_no_constant)

_LEAST = 20
_DIGITS = bytes.maketrans(b"0123456789", b"0000000000")
_NINETEEN = b"0" * 19
_ZEROS = re.compile(rb"0+")


def _has_long_integer(data: bytes | bytearray) -> bool:
    """Return whether a text seems to hold an integer that may be beyond 64 bits: of 19 digits and a sign, or 20.

    Only runs of at least 19 digits are looked at one by one: fractions and strings have them, too.
    """
    # This is enough for nearly every text: of each ninth byte, two in a row are digits wherever 19 are. A regular
    # expression takes longer than orjson does to parse.
    if b"00" not in data[8::9].translate(_DIGITS):
        return False
    zeros = data.translate(_DIGITS)
    start = zeros.find(_NINETEEN)
    while start >= 0:
        run = _ZEROS.match(zeros, start)
        end = start + 19 if run is None else run.end()
        first = start - (data[max(0, start - 1) : start] == b"-")
        begins = first == 0 or data[first - 1] in b"[:, \t\n\r"
        # Together with its sign it has 20 characters.
        if begins and end - first >= 20 and data[end : end + 1] not in (b".", b"e", b"E"):
            return True
        start = zeros.find(_NINETEEN, end)
    return False


_TOO_DEEP = "0e-0000000000000000000000000000000"
"""A number that does not occur in practice, in place of a part nested too deeply."""
_BRACKETS = re.compile(r'[\[{]+|[\]}]+|"(?:[^"\\]*(?:\\.[^"\\]*)*")?', re.DOTALL)


def _cut(text: str) -> str:
    """Replace parts nested too deeply by a mark: parsing them would overflow the stack."""
    pieces: list[str] = []
    depth = kept = 0
    for match in _BRACKETS.finditer(text):
        run, before = match[0], depth
        if run[0] in "[{":
            depth += len(run)
            if before <= CUT < depth:
                pieces += text[kept : match.start() + CUT - before], _TOO_DEEP
        elif run == '"':
            raise ValueError("unterminated string")
        elif run[0] != '"':
            depth -= len(run)
            if before > CUT >= depth:
                kept = match.start() + before - CUT
    if depth > CUT:
        raise ValueError("unexpected end of data")
    return "".join([*pieces, text[kept:]])


# -- writing -----------------------------------------------------------------------------------------------------------


def dump(value: Any) -> bytes:
    """Write a checked value as JSON, lone surrogates escaped. Raises ValueError for circular references."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return _dump(value)


def _dump(value: Any) -> bytes:
    """Write a value that orjson cannot: with lone surrogates, long integers, or nested deeper than 254 levels."""
    try:
        text = _ENCODER.encode(value).encode("ascii")
    except (ValueError, RecursionError):
        # Python converts no integers of more than 4,300 digits unless the program allows it.
        text = written(value, _members, _scalar)
    if _has_long_integer(text):
        at = len(text) - (text[-1:] in b"}]")
        text = text[:at] + MARK + text[at:]
    return text


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def _members(members: dict[str, Any]) -> Iterator[tuple[bytes, Any]]:
    before = ""
    for name, member in members.items():
        yield f"{before}{_ENCODER.encode(name)}:".encode("ascii"), member
        before = ","


def _scalar(value: object) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool):
        return digits_of(value).encode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return b"null"
    return _ENCODER.encode(value).encode("ascii")


def encodes(text: str) -> bool:
    """Return whether a string has a UTF-8 form: with a lone surrogate it cannot be an id, nor be used in SQL."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


# -- checking ----------------------------------------------------------------------------------------------------------


def jsonable(value: Any, path: str = "", default: Callable[[Any], Any] | None = None, *, depth: int = 1) -> Any:
    """Return a value as JSON has it: of dict, list, tuple, str, int, float, bool and None, themselves not subclasses.

    Subclasses of str, int and float become what ``json.dumps`` writes for them; ``default`` is called for what
    JSON cannot represent, as ``json.dumps`` does, and may return NotImplemented. Without any of these it is the value
    itself, not a copy. Raises BadRequest that names the place: ``path`` is the path of ``value``.
    """
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if kind is int:
        if too_long(value):
            raise BadRequest(f"{_at(path)}: an integer has at most {MAX_DIGITS:,} digits")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise BadRequest(f"{_at(path)}: {value} is not JSON serializable")
        return value
    if kind is Unusable:
        raise BadRequest(f"{_at(path)}: {value.reason}")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return jsonable(int.__int__(value), path)
    if isinstance(value, float):
        return jsonable(float.__float__(value), path)
    if depth > MAX_DEPTH:
        raise BadRequest(f"{path[:80]}...: nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return _object(value, path, default, depth)
    if kind is list or kind is tuple:
        items = [jsonable(member, f"{path}[{index}]", default, depth=depth + 1) for index, member in enumerate(value)]
        return value if all(map(_same, items, value)) else items
    try:
        said = NotImplemented if default is None else default(value)
    except TypeError as error:
        wrong = f"{kind.__name__} is not JSON serializable, and default= raised {error!r}"
        raise BadRequest(f"{_at(path)}: {wrong}") from error
    if said is NotImplemented:
        raise BadRequest(f"{_at(path)}: {kind.__name__} is not JSON serializable{advice(value)}")
    return jsonable(said, path, default, depth=depth + 1)


def _object(value: dict[str, Any], path: str, default: Callable[[Any], Any] | None, depth: int) -> dict[str, Any]:
    members: dict[str, Any] = {}
    same = True
    # Not the items() of a subclass: orjson, which writes the stored text, does not call it.
    for key, member in dict.items(value):
        if type(key) is not str:
            if not isinstance(key, str):
                raise BadRequest(f"{_at(path)}: keys must be strings, not {safe_repr(key)}")
            key, same = str.__str__(key), False
        members[key] = said = jsonable(member, f"{path}.{key}" if path else key, default, depth=depth + 1)
        same = same and said is member
    return value if same else members


def _same(a: Any, b: Any) -> bool:
    return a is b


def _at(path: str) -> str:
    return path or "the document"
