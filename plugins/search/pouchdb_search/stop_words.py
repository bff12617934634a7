"""Words that the analyzers of some languages drop, from the files in ``words``; tantivy has those of the others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from importlib.resources import files

__all__ = ["dropped_in"]

LANGUAGES = frozenset("arabic armenian basque catalan french greek hindi indonesian irish romanian turkish".split())


@cache
def dropped_in(language: str) -> Callable[[str], bool] | None:
    """Return whether a language drops a word, which is in lower case; None if there is no list for it here."""
    if language not in LANGUAGES:
        return None
    lines = files(__package__).joinpath(f"words/{language}.txt").read_text(encoding="utf-8").splitlines()
    words = frozenset(word for line in lines for word in re.split(r"[#|]", line)[0].split())
    if language != "greek":
        return words.__contains__
    # The list is without accents and final sigmas.
    bare = frozenset(map(_without_accents, words))
    return lambda word: _without_accents(word) in bare


def _without_accents(word: str) -> str:
    letters = unicodedata.normalize("NFD", word).replace("ς", "σ")
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
