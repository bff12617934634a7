"""Regular expressions whose time is bounded, even for untrusted patterns.

RE2 matches in time linear in the text. What it lacks (look-around, back references, possessive quantifiers,
``\\Z``) runs in the ``regex`` module with a deadline for each string and a budget for all: a search that takes longer
is refused. Both read Perl's syntax as CouchDB's PCRE does: ``\\d``, ``\\w``, ``\\s`` and ``\\b`` match ASCII,
``$`` also matches before a newline that ends the text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pouchdb_find.errors import FindError, shown

__all__ = ["SECONDS", "literal_prefix", "matcher", "source_of"]

SECONDS = 1.0
"""How long one search in one string may take where RE2 cannot be used."""
SLOW, BUDGET, SHARE = 0.01, 5.0, 0.1
"""Searches that take longer than SLOW seconds may take BUDGET together, and from then on this share of the time."""
_FLAGS = ((re.IGNORECASE, "i"), (re.MULTILINE, "m"), (re.DOTALL, "s"))
_LITERAL = re.compile(r"\^((?:[^\\^$.|?*+()\[\]{}]|\\[^A-Za-z0-9])*)")


def source_of(pattern: re.Pattern[str]) -> str:
    """Return a compiled Python pattern as a string, with its flags ``i``, ``m`` and ``s``."""
    letters = "".join(letter for flag, letter in _FLAGS if pattern.flags & flag)
    return f"(?{letters}){pattern.pattern}" if letters else pattern.pattern


def matcher(source: str) -> Callable[[str], bool]:
    """Return a function that searches a string for the expression.

    Raises FindError (``bad_arg``) for an invalid expression; the function raises it if the search is stopped.
    """
    linear, backtracking = _engines(source)
    if linear is None:
        if isinstance(backtracking, str):
            raise FindError(
                "bad_arg", f"Bad argument for operator $regex: {shown(source)} is no regular expression: {backtracking}"
            )
        return _Bounded(source, backtracking).search
    match = linear.Match
    if "$" not in source or isinstance(backtracking, str):
        return lambda text: bool(match(_encodable(text)))
    bounded = _Bounded(source, backtracking).search

    # RE2's dollar matches only at the end of the string.
    def search(text: str) -> bool:
        return bounded(text) if text[-1:] == "\n" else bool(match(_encodable(text)))

    return search


class _Bounded:
    """Searches with a deadline for each string, and with a budget for slow searches that refills over time."""

    def __init__(self, source: str, pattern: Any) -> None:
        self._source, self._pattern = source, pattern
        self._spent, self._since = 0.0, time.monotonic()

    def search(self, text: str) -> bool:
        started = time.monotonic()
        try:
            found = self._pattern.search(text, timeout=SECONDS) is not None
        except TimeoutError:
            raise self._stopped(f"longer than {SECONDS:g} s for one text") from None
        took = time.monotonic() - started
        if took > SLOW:
            self._spent = max(self._spent - SHARE * (started - self._since), 0.0) + took
            self._since = started
            if self._spent > BUDGET:
                raise self._stopped(f"{SLOW * 1e3:g} ms for a text again and again")
        return found

    def _stopped(self, how: str) -> FindError:
        return FindError(
            "bad_arg",
            f"$regex {shown(self._source)} took {how} and was stopped: "
            "write it without nested repetition, or without look-around and back references",
        )


def literal_prefix(source: str) -> str:
    """Return the prefix of every matching string, "" if it is not known."""
    found = None if "|" in source else _LITERAL.match(source)
    if found is None:
        return ""
    prefix, rest = found.group(1), source[found.end() :]
    if rest[:1] in ("?", "*", "+", "{"):
        # That may make the last character optional.
        prefix = re.sub(r"\\?.\Z", "", prefix, flags=re.DOTALL)
    return re.sub(r"\\(.)", r"\1", prefix, flags=re.DOTALL)


@lru_cache(maxsize=256)
def _engines(source: str) -> tuple[Any, Any]:
    return _linear(source), _backtracking(source)


def _linear(source: str) -> Any:
    # Imported by who uses it, here and below: it takes a third of the time of loading this plug-in.
    import re2  # type: ignore[import-untyped]  # a binding without stubs

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    # A set of one expression: testing it makes no match object, which takes five times as long as matching.
    single = re2.Set.SearchSet(options)
    try:
        single.Add(source)
        single.Compile()
        single.Match("")
    except (re2.error, UnicodeEncodeError):
        return None
    return single


def _backtracking(source: str) -> Any:
    """Return a pattern of the module ``regex``, or the error in the expression."""
    import regex  # type: ignore[import-untyped]  # its stubs are a separate distribution

    try:
        return regex.compile(source, regex.ASCII | regex.VERSION0)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        return str(error)


def _encodable(text: str) -> str:
    # Lone surrogates have no UTF-8 form; nothing in RE2's syntax matches one but "any character".
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
