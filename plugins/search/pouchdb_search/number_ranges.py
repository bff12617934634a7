"""Ranges of numbers as tantivy's query parser can read them.

Its JSON fields have three types of numbers, and the text of a bound decides: an integer of 64 bits with or without a
sign, else a double; ``3.0`` is an integer, too. A range whose two bounds differ in type makes tantivy panic. Here a
range becomes one or several whose bounds agree, and which together hold the same doubles.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import NamedTuple

__all__ = ["Interval", "agreeing"]

_SIGNED, _UNSIGNED = 2.0**63, 2.0**64
_FRACTIONS = 2.0**52
"""From here on doubles are whole."""


class Interval(NamedTuple):
    """The doubles between two; infinite is open."""

    low: float
    high: float
    with_low: bool = True
    with_high: bool = True

    def text(self) -> str:
        """Return it in tantivy's syntax."""
        left = "[" if self.with_low or math.isinf(self.low) else "{"
        right = "]" if self.with_high or math.isinf(self.high) else "}"
        return f"{left}{_digits(self.low)} TO {_digits(self.high)}{right}"


def _digits(number: float) -> str:
    """Return a number without an exponent: tantivy's parser knows none."""
    return "*" if math.isinf(number) else format(Decimal(repr(number + 0.0)), "f")


def _forms(number: float, inside: bool, outwards: float) -> dict[bool, tuple[float, bool]]:
    """Return, by whether it is whole, the ways to write one bound: itself, or its outer neighbour without that."""
    forms = [(number, True), (math.nextafter(number, outwards), False)]
    if not inside:
        inner = math.nextafter(number, -outwards)
        forms = [(number, False), (inner, True)]
    return {form[0].is_integer(): form for form in reversed(forms)}


def _cut(low: float, high: float) -> list[tuple[float, float]]:
    """Return two doubles, both inside, as pairs on either side of where types change."""
    edges = [
        (-math.inf, math.nextafter(-_SIGNED, -math.inf)),
        (-_SIGNED, -_FRACTIONS),
        (math.nextafter(-_FRACTIONS, 0), math.nextafter(_FRACTIONS, 0)),
        (_FRACTIONS, math.nextafter(_SIGNED, 0)),
        (_SIGNED, _UNSIGNED),
        (math.nextafter(_UNSIGNED, math.inf), math.inf),
    ]
    return [(max(low, begin), min(high, end)) for begin, end in edges if max(low, begin) <= min(high, end)]


def agreeing(whole: Interval) -> list[Interval]:
    """Return the intervals, none if the range is empty."""
    low, high, with_low, with_high = whole
    if low == math.inf or high == -math.inf or low > high or (low == high and not (with_low and with_high)):
        return []
    if math.isinf(low) or math.isinf(high):
        return [whole]
    if abs(low) < _FRACTIONS and abs(high) < _FRACTIONS:
        lows, highs = _forms(low, with_low, -math.inf), _forms(high, with_high, math.inf)
        kind = True in lows and True in highs
        (low, with_low), (high, with_high) = lows[kind], highs[kind]
        return [Interval(low, high, with_low, with_high)]
    inner_low = low if with_low else math.nextafter(low, math.inf)
    inner_high = high if with_high else math.nextafter(high, -math.inf)
    found: list[Interval] = []
    for begin, end in _cut(inner_low, inner_high):
        inside = Interval(begin, end)
        found += agreeing(inside) if abs(begin) < _FRACTIONS else [inside]
    return found
