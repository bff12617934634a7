"""Regular expressions whose time is bounded, whatever a stranger writes.

RE2 matches in time linear in the text. What it lacks (look-around, back references, possessive quantifiers,
``\\Z``) runs in the ``regex`` module with a deadline: a query whose expression goes on for longer is refused.
Both read Perl's syntax as CouchDB's PCRE does: ``\\d``, ``\\w``, ``\\s`` and ``\\b`` are about ASCII, ``$`` also
matches before a newline that ends the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]  # a binding without stubs
import regex  # type: ignore[import-untyped]  # its stubs are a distribution of their own

from pouchdb_find.errors import FindError, shown

__all__ = ["SECONDS", "literal_prefix", "matcher", "source_of"]

SECONDS = 1.0
"""How long one look into one text may take where RE2 cannot be used."""
_FLAGS = ((re.IGNORECASE, "i"), (re.MULTILINE, "m"), (re.DOTALL, "s"))
_LITERAL = re.compile(r"\^((?:[^\\^$.|?*+()\[\]{}]|\\[^A-Za-z0-9])*)")


def source_of(pattern: re.Pattern[str]) -> str:
    """Return a compiled pattern of Python as text: the flags ``i``, ``m`` and ``s`` come along."""
    letters = "".join(letter for flag, letter in _FLAGS if pattern.flags & flag)
    return f"(?{letters}){pattern.pattern}" if letters else pattern.pattern


@lru_cache(maxsize=256)
def matcher(source: str) -> Callable[[str], bool]:
    """Return a function that looks for the expression anywhere in a text.

    Raises FindError (``bad_arg``) for what is no regular expression.
    """
    backtracking = _backtracking(source)
    linear = _linear(source)
    if linear is None:
        if isinstance(backtracking, str):
            raise FindError(
                "bad_arg", f"Bad argument for operator $regex: {shown(source)} is no regular expression: {backtracking}"
            )
        return backtracking
    match = linear.Match
    if "$" not in source or isinstance(backtracking, str):
        return lambda text: bool(match(_encodable(text)))

    # RE2's dollar is the end of the text and nothing else.
    def search(text: str) -> bool:
        return backtracking(text) if text[-1:] == "\n" else bool(match(_encodable(text)))

    return search


def literal_prefix(source: str) -> str:
    """Return what every match begins the text with, "" if nothing is known."""
    found = None if "|" in source else _LITERAL.match(source)
    if found is None:
        return ""
    prefix, rest = found.group(1), source[found.end() :]
    if rest[:1] in ("?", "*", "+", "{"):
        # That may leave the last character out.
        prefix = re.sub(r"\\?.\Z", "", prefix, flags=re.DOTALL)
    return re.sub(r"\\(.)", r"\1", prefix, flags=re.DOTALL)


def _linear(source: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    # A set of one expression: asking it makes no match object, which takes five times as long as matching.
    single = re2.Set.SearchSet(options)
    try:
        single.Add(source)
        single.Compile()
        single.Match("")
    except (re2.error, UnicodeEncodeError):
        return None
    return single


def _backtracking(source: str) -> Callable[[str], bool] | str:
    """Return a matcher with a deadline, or what is wrong with the expression."""
    try:
        pattern = regex.compile(source, regex.ASCII | regex.VERSION0)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        return str(error)

    def search(text: str) -> bool:
        try:
            return pattern.search(text, timeout=SECONDS) is not None
        except TimeoutError:
            raise FindError(
                "bad_arg",
                f"$regex {shown(source)} took longer than {SECONDS:g} s for one text and was stopped: "
                "write it without nested repetition, or without look-around and back references",
            ) from None

    return search


def _encodable(text: str) -> str:
    # Lone surrogates have no UTF-8 form; nothing that RE2 knows matches one but "any character".
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
