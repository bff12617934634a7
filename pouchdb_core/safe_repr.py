"""Values of any kind in error messages: the error is raised, whatever the value is."""

from __future__ import annotations

import reprlib
from typing import Any

__all__ = ["safe_repr"]


class _Abridged(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        try:
            return repr(x)
        except ValueError:
            # log10(2) is 0.30103.
            digits = x.bit_length() * 30103 // 100_000 + 1
            return f"<{'a negative' if x < 0 else 'an'} integer of about {digits:,} digits>"


_abridged = _Abridged()


def safe_repr(value: Any) -> str:
    """Return ``repr(value)``; abridged where Python refuses it.

    Python writes no integer of more than 4,300 digits (``sys.get_int_max_str_digits()``): a ValueError would take the
    place of the error that the message is of.
    """
    try:
        return repr(value)
    except ValueError:
        return _abridged.repr(value)
