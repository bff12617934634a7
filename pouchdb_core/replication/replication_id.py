"""The id of a replication: the name under which both sides keep its checkpoints."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType, MethodType
from typing import Any

__all__ = ["PREFIX", "VERSION", "filter_source", "replication_id"]

VERSION = 1
"""Incremented when the hashed values change, which makes every replication start over."""

PREFIX = "_local/py"
"""The prefix of checkpoint ids."""


def replication_id(
    source: str,
    target: str,
    *,
    filter: str | None = None,
    query_params: Mapping[str, Any] | None = None,
    doc_ids: Sequence[str] | None = None,
    selector: Mapping[str, Any] | None = None,
    winning_revs_only: bool = False,
) -> str:
    """Return the id of the local document that holds the checkpoint, ``_local/...``.

    ``source`` and ``target`` are the databases' ids (uuids, not names: a database that is made
    again is another one). Everything that selects documents is part of it, in a canonical form, so that an
    edited filter starts over and a reordered selector does not (spec: replication 4.1).
    """
    identity = [
        VERSION,
        source,
        target,
        filter,
        _canonical(query_params) if query_params else None,
        None if doc_ids is None else sorted(set(doc_ids)),
        None if selector is None else _canonical(selector),
        winning_revs_only,
    ]
    text = json.dumps(identity, separators=(",", ":"))
    return f"{PREFIX}{VERSION}-{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"


def filter_source(wanted: Callable[..., Any] | str | None) -> str | None:
    """Return text that identifies a filter: its name, or what a Python function does.

    That is its source with the values it uses: its closure, its defaults, the object it is
    a method of, its own attributes. Two filters of one source that choose differently must not
    share a checkpoint: the second would skip what the first left out. The text is the same in the
    next run of the program unless such a value has no stable ``repr``; then the replication starts
    over, which costs time and loses nothing. Global variables are not included.
    """
    if wanted is None or isinstance(wanted, str):
        return wanted
    return _function(wanted, frozenset())


def _function(wanted: Any, above: frozenset[int]) -> str:
    if id(wanted) in above:
        return "..."
    above |= {id(wanted)}
    if isinstance(wanted, functools.partial):
        held = [_value(each, above) for each in (*wanted.args, *sorted(wanted.keywords.items()))]
        return f"partial({_function(wanted.func, above)}, {held})"
    if isinstance(wanted, MethodType):
        return f"{_function(wanted.__func__, above)} of {_value(wanted.__self__, above)}"
    if isinstance(wanted, FunctionType):
        held = [_value(cell.cell_contents, above) for cell in wanted.__closure__ or () if _filled(cell)]
        held += [_value(each, above) for each in wanted.__defaults__ or ()]
        held += [_value(each, above) for each in sorted((wanted.__kwdefaults__ or {}).items())]
        return f"{_code(wanted)} {held}"
    if not isinstance(wanted, type):
        call = inspect.getattr_static(type(wanted), "__call__", None)
        if isinstance(call, FunctionType):
            return f"{_code(call)} of {_value(wanted, above - {id(wanted)})}"
    return f"{getattr(wanted, '__module__', '')}.{getattr(wanted, '__qualname__', repr(wanted))}"


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # asking raises
    except ValueError:
        return False
    return True


def _code(function: Any) -> str:
    code: CodeType = function.__code__
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return _compiled(code)
    # The source of a lambda is its whole line, with all other lambdas on it. Of what is not in a file it may be that of
    # something else: since Python 3.13 functions made by exec() have that of `python -c`.
    exact = code.co_name != "<lambda>" and not code.co_filename.startswith("<")
    return source if exact else source + _compiled(code)


def _compiled(code: CodeType) -> str:
    constants = [_compiled(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _value(value: Any, above: frozenset[int]) -> str:
    """Return a value as text, with what it contains: a ``repr`` that is only an address is not enough."""
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return _function(value, above)
    if isinstance(value, (set, frozenset)):
        return f"{{{sorted(map(repr, value))}}}"
    state = getattr(value, "__dict__", None)
    if "__repr__" not in {name for kind in type(value).__mro__[:-1] for name in vars(kind)} and isinstance(state, dict):
        if id(value) in above:
            return "..."
        above |= {id(value)}
        members = {key: _value(each, above) for key, each in sorted(state.items())}
        return f"{type(value).__module__}.{type(value).__qualname__} {members}"
    return repr(value)


def _canonical(value: Any) -> Any:
    """Return JSON that does not depend on the order of fields, whatever their names are."""
    if isinstance(value, Mapping):
        return {
            "object": sorted(([str(key), _canonical(each)] for key, each in value.items()), key=lambda pair: pair[0])
        }
    if isinstance(value, (list, tuple)):
        return [_canonical(each) for each in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return repr(value)
