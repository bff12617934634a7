"""Rewrite rules: which one matches a request, and its target. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_core.safe_repr import safe_repr
from pouchdb_couchapp.errors import DesignError, RewriteError

__all__ = ["Rule", "Target", "is_insecure", "parts_of", "rules_of", "target_of"]

_ABSENT: Any = object()


@dataclass(frozen=True)
class Target:
    """The target of a request, below its design document."""

    path: list[str]
    query: dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """One rule. ``source`` and ``target`` are the parts of ``from`` and ``to``."""

    source: list[str]
    target: list[str]
    method: str
    query: Mapping[str, Any]
    formats: Mapping[str, Any]


def parts_of(path: str) -> list[str]:
    """Return the parts of a path; empty ones are ignored. Raises BadRequest for what is no string."""
    if not isinstance(path, str):
        raise BadRequest(f"a rewrite is 'design/any/path', not {safe_repr(path)}")
    return [part for part in path.split("/") if part]


def rules_of(rewrites: Any) -> list[Rule]:
    """Return the rules of a design document.

    Raises RewriteError if they are not a list, DesignError ``invalid_rewrite_target`` for a rule without ``to``.
    """
    if not isinstance(rewrites, list):
        raise RewriteError()
    rules = []
    for each in rewrites:
        if not isinstance(each, Mapping) or not isinstance(each.get("to"), str):
            raise DesignError("error", "invalid_rewrite_target")
        source, query, formats = each.get("from", "*"), each.get("query"), each.get("formats")
        if not isinstance(source, str):
            raise DesignError("error", f"invalid_rewrite_source: from must be text, not {safe_repr(source)}")
        rules.append(
            Rule(
                parts_of(source),
                parts_of(each["to"]),
                str(each.get("method") or "*"),
                query if isinstance(query, Mapping) else {},
                formats if isinstance(formats, Mapping) else {},
            )
        )
    return rules


def is_insecure(rule: Rule) -> bool:
    """Return whether a rule leads out of its database, which CouchDB's secure rewrites do not allow."""
    return rule.target.count("..") > 2


def target_of(
    rules: Sequence[Rule], method: str, path: Sequence[str], query: Mapping[str, Any], *, appends: bool
) -> Target:
    """Return the target of the first rule that matches a request. Raises NotFound.

    ``appends``: as the original, what ``*`` matched beyond its first part is appended to a target without ``*``
    too, and ``*`` in the rule's query is replaced; CouchDB does neither.
    """
    for rule in rules:
        if rule.method not in ("*", method):
            continue
        bindings: dict[str, Any] = {}
        rest = _matched(rule.source, path, bindings)
        if rest is None:
            continue
        # Values from the path take precedence over the caller's query.
        known = {**bindings, **{name: value for name, value in query.items() if name not in bindings}}
        own = {name: _replaced(value, known, rule.formats, star=appends) for name, value in rule.query.items()}
        result = {**known, **own} if appends else {**own, **{name: known[name] for name in known if name not in own}}
        result.pop("*", None)
        return Target(_path(rule, {**known, **own}, rest, appends), result)
    raise NotFound("missing")


def _matched(source: Sequence[str], path: Sequence[str], bindings: dict[str, Any]) -> list[str] | None:
    """Return the parts matched by ``*``; an empty list without one, None where the rule does not match."""
    for place, part in enumerate(source):
        if part == "*" and place == len(source) - 1:
            rest = list(path[place:])
            if rest:
                bindings["*"] = rest[0]
            return rest
        if place >= len(path):
            return None
        if part.startswith(":") and len(part) > 1:
            bindings[part[1:]] = path[place]
        elif part != path[place]:
            return None
    return [] if len(path) == len(source) else None


def _path(rule: Rule, bindings: Mapping[str, Any], rest: Sequence[str], appends: bool) -> list[str]:
    made: list[str] = []
    for part in rule.target:
        if part == "*":
            if not appends:
                return made + list(rest)
            made += rest[:1]
            continue
        value = bindings.get(part[1:], _ABSENT) if part.startswith(":") else part
        made.append(part if value is _ABSENT else _segment(value))
    return [*made, *rest[1:]] if appends else made


def _segment(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _replaced(value: Any, bindings: Mapping[str, Any], formats: Mapping[str, Any], *, star: bool) -> Any:
    if isinstance(value, str):
        name = "*" if star and value == "*" else value[1:] if value.startswith(":") else ""
        return _formatted(name, bindings[name], formats) if name and name in bindings else value
    if isinstance(value, Mapping):
        return {key: _replaced(each, bindings, formats, star=star) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, bindings, formats, star=star) for each in value]
    return value


def _formatted(name: str, value: Any, formats: Mapping[str, Any]) -> Any:
    """Strings stay strings, unless the rule says that they are numbers or flags."""
    wanted = formats.get(name)
    if isinstance(value, str) and wanted == "int":
        try:
            return int(value)
        except ValueError:
            return value
    if isinstance(value, str) and wanted == "bool" and value in ("true", "false"):
        return value == "true"
    return value
