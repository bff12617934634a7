"""Identifiers that grow with time."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pouchdb_core.uuids import UuidSource


def zeros(count: int) -> bytes:
    return bytes(count)


def ones(count: int) -> bytes:
    return b"\xff" * count


def clock(*times: float) -> Callable[[], float]:
    """Return a clock that tells these times, and the last one for ever."""
    told: Iterator[float] = iter(times)
    last = times[-1]
    return lambda: next(told, last)


def test_version_and_variant() -> None:
    source = UuidSource()
    for _ in range(1000):
        made = source()
        parsed = uuid.UUID(made)
        assert str(parsed) == made
        assert parsed.version == 7
        assert parsed.variant == uuid.RFC_4122


@pytest.mark.parametrize("random", [zeros, ones])
def test_chance_touches_neither_time_nor_version(random: Callable[[int], bytes]) -> None:
    made = uuid.UUID(UuidSource(clock(1_700_000_000.5), random)())
    assert made.int >> 80 == 1_700_000_000_500
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_the_vector_of_the_standard() -> None:
    # RFC 9562, A.6: February 22, 2022 2:22:22.00 PM GMT-05:00.
    assert UuidSource(clock(0x017F22E279B0 / 1000), zeros)().startswith("017f22e2-79b0-7")


def test_the_newest_is_the_greatest_as_text() -> None:
    source = UuidSource()
    made = [source() for _ in range(20_000)]
    assert made == sorted(set(made))


@pytest.mark.parametrize("random", [zeros, ones], ids=["zeros", "ones"])
def test_within_one_millisecond(random: Callable[[int], bytes]) -> None:
    source = UuidSource(clock(1000.0), random)
    made = [source() for _ in range(70_000)]
    # More than the lower part of the counter holds.
    assert made == sorted(set(made))
    assert {uuid.UUID(each).int >> 80 for each in made} == {1_000_000}


def test_a_counter_that_overflows_borrows_from_the_future() -> None:
    source = UuidSource(clock(1.0), zeros)
    first = source()
    source._last = (1000 << 26) | 0x3FFFFFF
    after = source()
    assert after > first
    assert uuid.UUID(after).int >> 80 == 1001
    assert uuid.UUID(after).version == 7


@given(st.lists(st.floats(min_value=-1e6, max_value=1e11, allow_nan=False), min_size=1, max_size=50))
def test_a_clock_that_goes_back_and_forth(times: list[float]) -> None:
    source = UuidSource(clock(*times))
    made = [source() for _ in range(len(times) + 2)]
    assert made == sorted(set(made))
    assert all(uuid.UUID(each).version == 7 for each in made)


def test_a_clock_that_goes_back_an_hour_does_not_stop_time() -> None:
    source = UuidSource(clock(10_000.0, 6_400.0, 6_400.0, 10_001.0))
    made = [source() for _ in range(4)]
    assert made == sorted(made)
    assert [uuid.UUID(each).int >> 80 for each in made] == [10_000_000] * 3 + [10_001_000]


def test_many_threads() -> None:
    source = UuidSource()
    together = threading.Barrier(8)
    found: list[list[str]] = []

    def run() -> None:
        together.wait()
        found.append([source() for _ in range(3000)])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for made in found:
        assert made == sorted(made)
    assert len({each for made in found for each in made}) == 8 * 3000


def test_a_child_goes_on_with_others() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this platform has no fork")
    source = UuidSource()
    source()
    # As if another thread were making one at the moment of the fork.
    lock: Any = source._lock
    reader, writer = os.pipe()
    with lock:
        pid = os.fork()
        if pid == 0:
            os.write(writer, "\n".join(source() for _ in range(100)).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        theirs = pipe.read().split("\n")
    os.waitpid(pid, 0)
    mine = [source() for _ in range(100)]
    assert len({*theirs, *mine}) == 200
    assert theirs == sorted(theirs)
