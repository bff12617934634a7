"""Numbers as JSON text: integers of any size, and doubles as JavaScript prints them."""

from __future__ import annotations

import math
import sys
from typing import Any, TypeGuard

__all__ = [
    "MAX_DIGITS",
    "MAX_SAFE",
    "clamped",
    "digits_of",
    "integer_of",
    "is_double",
    "js_number",
    "plus",
    "too_long",
]

MAX_SAFE = 2**53 - 1
"""JavaScript's largest exact integer."""

MAX_DIGITS = 20_000
"""Reading and writing an integer takes more than linear time, so there is a bound: 6 ms."""
# Python converts no more than 4,300 digits at once (``sys.set_int_max_str_digits``, which is the program's to set), and
# takes quadratic time for it.
_AT_ONCE = 2_000
_BITS_AT_ONCE = 6_000


def too_long(number: int) -> bool:
    """Return whether an integer has more than ``MAX_DIGITS`` digits."""
    # Ten is 2 ** 3.3219...
    return number.bit_length() > MAX_DIGITS * 3 and abs(number) >= 10**MAX_DIGITS


def is_double(value: Any) -> TypeGuard[float]:
    """Return whether a value is a number, not a boolean, that a finite double holds or comes near to."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def clamped(number: float) -> float:
    """Return the nearest finite double of a number."""
    try:
        return max(-sys.float_info.max, min(sys.float_info.max, float(number)))
    except OverflowError:
        return sys.float_info.max if number > 0 else -sys.float_info.max


def plus(a: float, b: float) -> float:
    """Add two numbers. Beside an integer beyond all doubles, a double is its nearest integer."""
    try:
        return a + b
    except OverflowError:
        whole, double = (a, b) if isinstance(a, int) else (b, a)
        return whole + round(double) if math.isfinite(double) else double


def digits_of(number: int) -> str:
    """Return an integer's decimal digits, with its sign."""
    if number < 0:
        return "-" + digits_of(-number)
    bits = number.bit_length()
    if bits <= _BITS_AT_ONCE:
        return int.__repr__(number)
    # Half of the digits: log10(2) is about 3/10.
    count = bits * 3 // 20
    high, low = divmod(number, 10**count)
    return digits_of(high) + digits_of(low).rjust(count, "0")


def integer_of(digits: str) -> int:
    """Return the integer that decimal digits, with or without a sign, stand for."""
    if digits[:1] == "-":
        return -integer_of(digits[1:])
    if len(digits) <= _AT_ONCE:
        return int(digits)
    count = len(digits) // 2
    power: int = 10**count
    return integer_of(digits[:-count]) * power + integer_of(digits[-count:])


def js_number(number: float) -> str:
    """Write a number as ECMAScript's Number::toString does.

    An integer that is not what JavaScript would print for the nearest double is written with all of its digits: two
    different integers never have one text, and so no document has the revision of another one.
    """
    if isinstance(number, int) and -MAX_SAFE <= number <= MAX_SAFE:
        return int.__repr__(number)
    try:
        double = float(number)
    except OverflowError:
        return digits_of(int(number))
    if double == 0:
        return "0"
    if double - double != 0:  # infinite or not a number
        return "null"
    # Python and JavaScript agree on the digits (the shortest that read back as this double), not on the layout.
    mantissa, _, exponent = repr(abs(double)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    if isinstance(number, int) and digits.ljust(point, "0") != digits_of(abs(number)):
        return digits_of(number)
    if 0 < point <= 21:
        text = digits.ljust(point, "0") if len(digits) <= point else f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        text = f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{point - 1:+d}"
    return f"-{text}" if double < 0 else text
