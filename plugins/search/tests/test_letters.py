"""Which characters are letters, and what they become: each line is what Lucene 4.10 answers."""

from __future__ import annotations

import pytest
from pouchdb_search.analysis import analyzer_of

CASES = [
    ("standard", "人々 〻 〆切", ["人", "々", "〻", "切"]),
    ("standard", "⺀⼀ ㋐㍇ ⓐⒷ", ["⺀", "⼀", "㋐㍇", "ⓐⓑ"]),
    ("standard", "1ﾞ2 ﾟ", ["1ﾞ2"]),
    ("standard", "1٫5 ٫", ["1٫5", "٫"]),
    ("standard", "a˗b ׳ ש' ש'ש 'ש x'", ["a˗b", "׳", "ש'", "ש'ש", "ש", "x"]),
    ("standard", "ខៗ ៜ", ["ខៗ", "ៜ"]),
    ("standard", "ΑΣ ας", ["ασ", "ας"]),
    ("simple", "ΟΔΟΣ", ["οδοσ"]),
    ("email", "‿x ⓐ ⺀ ゛", ["‿x", "ⓐ", "⺀", "゛"]),
    ("classic", "𐐀𐐁 𠀀 x😀b 𝒳", ["x", "b"]),
    ("classic", "ა੦ Ⴀ५ 12中x", ["ა੦", "ⴀ५", "12", "中", "x"]),
    ("simple_asciifolding", "ŀ ŉ ƃ Ɔ Ǣ ȣ ﬆ ꜳ", ["l", "n", "b", "o", "ae", "ou", "st", "aa"]),
    ("simple_asciifolding", "ª º ʰ ͺ ℂ ℹ", ["ª", "º", "ʰ", "ͺ", "ℂ", "ℹ"]),
    ("simple_asciifolding", "Ærøskøbing ǉubav ŒUVRE", ["aeroskobing", "ljubav", "oeuvre"]),
]


@pytest.mark.parametrize(("analyzer", "text", "terms"), CASES)
def test_letters(analyzer: str, text: str, terms: list[str]) -> None:
    assert analyzer_of(analyzer).words(text) == terms
    assert [term.text for term in analyzer_of(analyzer).terms(text)] == terms
