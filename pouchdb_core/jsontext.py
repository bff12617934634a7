"""JSON text: written, parsed and checked in one way, whatever it is and wherever it comes from.

orjson is lenient where a database must not be, so what comes from outside passes one strict walk (design, section 3).
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import orjson

from pouchdb_core.errors import BadRequest
from pouchdb_core.results import Record, record, record_of_objects

__all__ = ["MAX_DEPTH", "check_json", "dump", "encodes", "from_text", "load", "load_record"]

MAX_DEPTH = 200
"""How many levels of arrays and objects a document may have, itself included."""


def load(body: bytes) -> dict[str, Any]:
    """Parse a stored body."""
    try:
        parsed: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError:
        # Lone surrogates: legal in JSON, stored escaped, refused by orjson.
        parsed = json.loads(body)
    return parsed


def load_record(body: bytes) -> Record:
    """Parse a stored body into Records.

    Looking for nested objects takes longer than parsing, so the text is asked how many there can be.
    """
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


def dump(value: Any) -> bytes:
    """Write a checked value as JSON, lone surrogates escaped."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def from_text(text: str | bytes | bytearray) -> Any:
    """Parse JSON text that came from outside. Raises BadRequest."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            # orjson also refuses lone surrogates, which JSON allows (but not as bytes: those are UTF-8).
            text = text if isinstance(text, str) else text.decode()
            return json.loads(text, parse_constant=_no_constant, parse_int=_integer)
        except RecursionError:
            raise BadRequest(f"the JSON text is nested deeper than {MAX_DEPTH} levels") from None
        except ValueError:
            raise BadRequest(f"invalid JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _integer(digits: str) -> int | float:
    """Read an integer as orjson does: as the nearest double where 64 bits do not hold it."""
    number = float(digits) if len(digits) > 20 else int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def encodes(text: str) -> bool:
    """Tell whether text has a UTF-8 form: with a lone surrogate it can be no id, nor be asked for in SQL."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def check_json(value: Any, path: str = "", depth: int = 1) -> None:
    """Refuse what JSON cannot say (BadRequest), naming where it is: ``path`` is the way to ``value``."""
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return
    if kind is int:
        if not -(2**63) <= value < 2**64:
            raise BadRequest(f"{path or 'the document'}: integers have at most 64 bits, not {value.bit_length()}")
    elif kind is float:
        if not math.isfinite(value):
            raise BadRequest(f"{path}: JSON has no {value}")
    elif depth > MAX_DEPTH:
        raise BadRequest(f"{path[:80]}...: nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, dict):
        for key, member in value.items():
            if type(key) is not str:
                raise BadRequest(f"{path or 'the document'}: keys must be text, not {key!r}")
            check_json(member, f"{path}.{key}" if path else key, depth + 1)
    elif kind is list or kind is tuple:
        for index, member in enumerate(value):
            check_json(member, f"{path}[{index}]", depth + 1)
    else:
        raise BadRequest(f"{path or 'the document'}: JSON cannot say {kind.__name__}")
