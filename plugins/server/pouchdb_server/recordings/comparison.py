"""Whether an answer equals the recorded one, and where it differs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["differences"]

MOST = 4


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any], *, words: bool = False) -> list[str]:
    """Return where an answer differs from the exchange that was recorded, in words; an empty result when they agree.

    Compares status and body, and the headers that the recording names in ``see``. Reasons of errors are
    compared where the recording says so, or with ``words``. Where the recorded server broke (5xx, or cut off), any
    status from 400 on will do.
    """
    answer = wanted["answer"]
    broke = answer["status"] >= 500 or answer.get("body") == {"cut off": True}
    if broke and found["status"] >= 400:
        return []
    one: dict[str, Any] = {"status": answer["status"], "body": answer.get("body")}
    other: dict[str, Any] = {"status": found["status"], "body": found["body"]}
    if not (words or wanted.get("words")):
        one, other = _wordless(one), _wordless(other)
    if "see" in wanted:
        one["headers"] = _seen(answer.get("headers") or {}, wanted["see"])
        other["headers"] = _seen(found["headers"], wanted["see"])
    where: list[str] = []
    for each in _differ(one, other, "", extra=wanted.get("extra", False)):
        where.append(each)
        if len(where) == MOST:
            break
    return where


def _differ(wanted: Any, found: Any, path: str, *, extra: bool) -> Iterator[str]:
    if wanted is None and path.endswith(".offset"):
        # CouchDB does not report counts where keys were given.
        return
    if type(wanted) is not type(found) and not (_is_number(wanted) and _is_number(found)):
        yield f"{path}: {_short(found)} instead of {_short(wanted)}"
    elif isinstance(wanted, dict):
        for name in sorted(wanted.keys() | found.keys()):
            if name not in found:
                yield f"{path}.{name}: missing, {_short(wanted[name])}"
            elif name not in wanted:
                if not extra:
                    yield f"{path}.{name}: not recorded, {_short(found[name])}"
            else:
                yield from _differ(wanted[name], found[name], f"{path}.{name}", extra=extra)
    elif isinstance(wanted, list):
        if len(wanted) != len(found):
            yield f"{path}: {len(found)} items instead of {len(wanted)}"
        for place, (one, other) in enumerate(zip(wanted, found, strict=False)):
            yield from _differ(one, other, f"{path}[{place}]", extra=extra)
    elif wanted != found:
        yield f"{path}: {_short(found)} instead of {_short(wanted)}"


def _short(value: Any) -> str:
    return json.dumps(value)[:90]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _seen(headers: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return headers for comparing: of a type without parameters, of a cookie without the order of its words."""
    seen = {name: headers[name] for name in names if name in headers}
    if "content-type" in seen:
        seen["content-type"] = seen["content-type"].partition(";")[0].strip().lower()
    if "location" in seen:
        seen["location"] = seen["location"].removeprefix("<base>")
    if "set-cookie" in seen:
        words = sorted(word.strip().lower() for word in seen["set-cookie"].split(";"))
        free = ("version", "expires", "samesite", *(("max-age",) if "authsession=" in words else ()))
        seen["set-cookie"] = "; ".join(word for word in words if not word.startswith(free))
    return seen


def _wordless(value: Any) -> Any:
    """Return a value without the reasons of errors; of a warning only its presence."""
    if isinstance(value, list):
        return [_wordless(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, each in value.items():
        if name == "warning" and "docs" in value:
            kept[name] = "<warning>"
        elif not ("error" in value and (name in ("ref", "stack") or (name == "reason" and isinstance(each, str)))):
            kept[name] = _wordless(each)
    return kept
