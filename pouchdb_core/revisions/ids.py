"""Revision ids: reading them, ordering them, and making the ones PouchDB would make.

A revision id is the md5 of the document as JavaScript's JSON.stringify writes it, so that the same edit made here and
in a browser is the same revision instead of a conflict. `js_json` writes that text for any document; `plain_json` is
the short cut for the usual ones, for which orjson writes the same bytes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import md5
from json.encoder import encode_basestring
from typing import Any, TypedDict

import orjson

from pouchdb_core.safe_repr import safe_repr

from .numbers import MAX_SAFE, js_number

MAX_PLAIN_DEPTH = 200

# Printable ASCII without the double quote and the comma, which delimit revisions in JSON lists and in ETags.
_ID = re.compile(r"[!#-+\--~]+")
_REV = re.compile(r"([1-9][0-9]{0,15})-([!#-+\--~]+)")
_SHAPE = 'a revision looks like "2-7051cbe5c8faecd085a3fa619e6e6337": a number from 1 without leading zeros, "-", an id'

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_MAX_INDEX = 2**32 - 2
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class InvalidRev(ValueError):
    """A value that should be a revision, or a `_revisions` value, is not one."""


class Revisions(TypedDict):
    """The `_revisions` field of a document: the ids of its path, newest first, and the newest one's generation."""

    start: int
    ids: list[str]


def parse_rev(rev: str) -> tuple[int, str]:
    """Split a revision into generation and id.

    Raises InvalidRev for everything that no peer would write, whatever its type.
    """
    try:
        match = _REV.fullmatch(rev)
    except TypeError:
        match = None
    if match is None:
        raise InvalidRev(f"invalid revision {safe_repr(rev)}: {_SHAPE}")
    digits, id = match.groups()
    number = int(digits)
    if number > MAX_SAFE:
        raise InvalidRev(f"invalid revision {rev!r}: the number before the dash must be at most {MAX_SAFE}")
    return number, id


def generation(rev: str) -> int:
    """Return the number before the dash; raises InvalidRev for what is not a revision."""
    return parse_rev(rev)[0]


def rev_order(rev: str) -> tuple[int, str]:
    """Return the sort key of a revision: its generation, then its id (ASCII, so text order is byte order)."""
    return parse_rev(rev)


def path_from_revisions(start: int, ids: Sequence[str]) -> list[str]:
    """Return the revisions that a `_revisions` field stands for, newest first.

    Raises InvalidRev unless `start` is an integer of at least as many generations as there are ids, at least one.
    """
    if type(start) is not int or start > MAX_SAFE:
        raise InvalidRev(f"invalid _revisions: start must be an integer from 1 to {MAX_SAFE}, not {safe_repr(start)}")
    if not isinstance(ids, list | tuple) or not ids:
        raise InvalidRev("invalid _revisions: ids must be a list of at least one id, newest first")
    if start < len(ids):
        raise InvalidRev(f"invalid _revisions: start is {start}, but there are {len(ids)} ids")
    try:
        valid = all(map(_ID.fullmatch, ids))
    except TypeError:
        valid = False
    if not valid:
        raise InvalidRev("invalid _revisions: each id must be printable ASCII without space, double quote or comma")
    return [f"{start - place}-{id}" for place, id in enumerate(ids)]


def revisions_from_path(path: Sequence[str]) -> Revisions:
    """Return the `_revisions` field for a path of consecutive revisions, newest first (not empty)."""
    return {"start": generation(path[0]), "ids": [rev.partition("-")[2] for rev in path]}


def rev_id(parent: str | None, text: bytes) -> str:
    """Return the revision of an edit of `parent` (None: of a new document) whose JavaScript text is `text`.

    Raises InvalidRev if `parent` has the greatest possible generation.
    """
    number = 1 if parent is None else generation(parent) + 1
    if number > MAX_SAFE:
        raise InvalidRev(f"no revision can follow {parent!r}: its generation is the last one")
    return f"{number}-{md5(text, usedforsecurity=False).hexdigest()}"


def plain_json(value: dict[str, Any]) -> tuple[bytes, bytes] | None:
    """Return `js_json(value)` and orjson's text of it if there is a short cut to both, else None.

    The two differ in whole floats only (`1.0` is `1` in JavaScript); usually they are one object. None says only that
    the short cut does not apply: the value may need `js_json`, or not be JSON at all. What is returned is proven to be
    JSON of exact built-in types (and dict subclasses) at most 200 levels deep.
    """
    # orjson goes first: what it has written is finite (no cycles), has exact str keys and no lone surrogates, so the
    # walk below need not look for them. The walk is most of the cost of parsing: an item costs 0.1 us.
    try:
        text = orjson.dumps(value)
    except TypeError:
        return None
    whole = 0
    level: list[Any] = [value]
    for _ in range(MAX_PLAIN_DEPTH):
        below: list[Any] = []
        for members in level:
            if type(members) is not list and isinstance(members, dict):
                if members and min(members) < ":" and _any_index(members):
                    return None
                members = members.values()
            for item in members:
                kind = type(item)
                if kind is str:
                    continue
                if kind is float:
                    # Outside this range the two write numbers differently.
                    if 1e-5 <= item < 1e15 or -1e15 < item <= -1e-5 or item == 0:
                        if not item % 1:
                            whole += 1
                        continue
                    return None
                if kind is int:
                    if not -9007199254740992 <= item <= 9007199254740992:
                        return None
                elif kind is dict or kind is list:
                    below.append(item)
                elif item is None or kind is bool:
                    continue
                elif kind is tuple or isinstance(item, dict):
                    below.append(item)
                else:
                    return None
        if not below:
            return (_without_fractions(value, text, whole) if whole else text), text
        level = below
    return None


def _without_fractions(value: Any, text: bytes, whole: int) -> bytes:
    """Return the text with its ``whole`` whole floats written as JavaScript does: `1.0` as `1`."""
    cut = text.replace(b".0,", b",").replace(b".0]", b"]").replace(b".0}", b"}")
    # If nothing else was cut, no string has the look of a number's end. Minus zero is zero.
    if len(text) - len(cut) == 2 * whole and b"-0.0" not in text:
        return cut
    return orjson.dumps(_whole_as_int(value))


def _whole_as_int(value: Any) -> Any:
    """Return a copy in which whole floats are integers, as orjson must see them to write what JavaScript does."""
    if type(value) is float:
        return int(value) if value % 1 == 0 else value
    if isinstance(value, dict):
        return {key: _whole_as_int(item) for key, item in dict.items(value)}
    if isinstance(value, list | tuple):
        return [_whole_as_int(item) for item in value]
    return value


def js_json(value: object) -> bytes:
    """Return the UTF-8 bytes of JavaScript's `JSON.stringify(value)`; integers that doubles cannot hold are exact.

    `value` consists of str, bool, None, int, float, list, tuple and dict with str keys; the caller has checked that.
    A dict subclass is written in the order of its storage, as orjson does. Nesting costs no stack.
    """
    return written(value, _object_members, _scalar)


def written(
    value: object,
    object_members: Callable[[dict[str, Any]], Iterator[tuple[bytes, Any]]],
    scalar: Callable[[object], bytes],
) -> bytes:
    """Return JSON text of a value, however deep: `object_members` yields the text before each field, and the field."""
    out: list[bytes] = []
    unfinished: list[tuple[Iterator[tuple[bytes, Any]], bytes]] = [(iter([(b"", value)]), b"")]
    while unfinished:
        members, closing = unfinished[-1]
        for before, item in members:
            out.append(before)
            if isinstance(item, dict):
                out.append(b"{")
                unfinished.append((object_members(item), b"}"))
                break
            if isinstance(item, list | tuple):
                out.append(b"[")
                unfinished.append((_array_members(item), b"]"))
                break
            out.append(scalar(item))
        else:
            out.append(closing)
            unfinished.pop()
    return b"".join(out)


def _array_members(array: Sequence[Any]) -> Iterator[tuple[bytes, Any]]:
    before = b""
    for item in array:
        yield before, item
        before = b","


def _object_members(members: dict[str, Any]) -> Iterator[tuple[bytes, Any]]:
    """Yield the text before each field, and the field, in the order of a JavaScript object's own keys."""
    # dict.items, not the subclass's: an OrderedDict may have been reordered, and orjson, which writes the stored
    # body and the short cut, does not see that.
    pairs = list(dict.items(members))
    indexes = sorted((int(key), key, item) for key, item in pairs if _is_index(key)) if _any_index(members) else []
    before = b""
    for _, key, item in indexes:
        yield before + _string(key) + b":", item
        before = b","
    for key, item in pairs:
        if indexes and _is_index(key):
            continue
        yield before + _string(key) + b":", item
        before = b","


def _any_index(keys: dict[str, Any]) -> bool:
    return any(map(_is_index, keys))


def _is_index(key: str) -> bool:
    """Return whether JavaScript sorts this key as an array index, before all others."""
    return _INDEX.fullmatch(key) is not None and int(key) <= _MAX_INDEX


def _scalar(item: object) -> bytes:
    if isinstance(item, str):
        return _string(item)
    if item is None:
        return b"null"
    if isinstance(item, bool):
        return b"true" if item else b"false"
    assert isinstance(item, int | float), f"not a JSON value: {item!r}"
    return js_number(item).encode()


def _string(text: str) -> bytes:
    quoted = encode_basestring(text)
    try:
        return quoted.encode()
    except UnicodeEncodeError:
        # Two adjacent halves are one character in JavaScript, whose strings are UTF-16; the rest are lone surrogates.
        paired = _SURROGATE_PAIR.sub(lambda m: m[0].encode("utf-16", "surrogatepass").decode("utf-16"), quoted)
        return _SURROGATE.sub(lambda m: f"\\u{ord(m[0]):04x}", paired).encode()
