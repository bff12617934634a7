"""Counters of what happens, under CouchDB's names."""

from __future__ import annotations

import bisect
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pouchdb_core import Slot

__all__ = ["METRICS", "Counts", "Histogram", "Metrics"]

BOUNDS = tuple(0.0001 * 2 ** (n / 4) for n in range(84))
"""Upper ends of the classes, in seconds: from a tenth of a millisecond to three minutes, four for each doubling."""
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


class Histogram:
    """How long things took, in classes: for many millions it stores eighty numbers."""

    def __init__(self) -> None:
        self.classes = [0] * (len(BOUNDS) + 1)
        self.count = 0
        self.sum = self.squares = self.logs = 0.0
        self.least, self.most = math.inf, 0.0

    def add(self, seconds: float) -> None:
        """Count something that took so long."""
        self.classes[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.count += 1
        self.sum += seconds
        self.squares += seconds * seconds
        self.logs += math.log(max(seconds, 1e-9))
        self.least, self.most = min(self.least, seconds), max(self.most, seconds)

    def __add__(self, other: Histogram) -> Histogram:
        """Return a histogram that has counted both."""
        both = Histogram()
        both.classes = [mine + theirs for mine, theirs in zip(self.classes, other.classes, strict=True)]
        both.count, both.sum = self.count + other.count, self.sum + other.sum
        both.squares, both.logs = self.squares + other.squares, self.logs + other.logs
        both.least, both.most = min(self.least, other.least), max(self.most, other.most)
        return both

    def quantile(self, part: float) -> float:
        """Return the time that this part of them took at most, within the resolution of the classes."""
        wanted, seen = part * self.count, 0
        for bound, number in zip((*BOUNDS, math.inf), self.classes, strict=True):
            seen += number
            if number and seen >= wanted:
                return min(bound, self.most)
        return 0.0

    def as_stats(self) -> dict[str, Any]:
        """Return it as CouchDB reports histograms: in milliseconds."""
        count = max(1, self.count)
        mean = self.sum / count
        variance = max(0.0, self.squares / count - mean * mean) * 1e6
        filled = [(bound, number) for bound, number in zip((*BOUNDS, self.most), self.classes, strict=True) if number]
        return {
            "min": 0 if self.count == 0 else self.least * 1000,
            "max": self.most * 1000,
            "arithmetic_mean": mean * 1000,
            "geometric_mean": math.exp(self.logs / count) * 1000 if self.count else 0,
            "median": self.quantile(0.5) * 1000,
            "variance": variance,
            "standard_deviation": math.sqrt(variance),
            "percentile": [[_percent(part), self.quantile(part) * 1000] for part in QUANTILES],
            "histogram": [[bound * 1000, number] for bound, number in filled],
            "n": self.count,
        }


def _percent(part: float) -> int:
    # CouchDB's: 50, 75, 90, 95, 99, 999.
    return 999 if part == 0.999 else round(part * 100)


@dataclass
class Counts:
    """The counts at one moment; those of several processes add up."""

    methods: Counter[str]
    statuses: Counter[int]
    jobs: Counter[str]
    """Replications of documents by state."""
    numbers: Counter[str]
    request_time: Histogram
    uptime: float

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.methods + other.methods,
            self.statuses + other.statuses,
            self.jobs + other.jobs,
            self.numbers + other.numbers,
            self.request_time + other.request_time,
            max(self.uptime, other.uptime),
        )


class Metrics:
    """The counters of one environment, since its first request or write."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.methods: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.request_time = Histogram()
        self.aborted = self.bytes_sent = 0
        self.reads = self.writes = self.batches = 0
        self.view_reads = self.bulk_requests = 0

    def counts(self, jobs: Counter[str], **numbers: int) -> Counts:
        """Return what was counted so far, with numbers that are counted elsewhere."""
        with self.lock:
            kept = Counter(
                aborted=self.aborted,
                batches=self.batches,
                bulk_requests=self.bulk_requests,
                bytes_sent=self.bytes_sent,
                reads=self.reads,
                view_reads=self.view_reads,
                writes=self.writes,
                **numbers,
            )
            uptime = time.monotonic() - self.began
            # Added to nothing, it is a copy.
            time_of_all = Histogram() + self.request_time
            return Counts(self.methods.copy(), self.statuses.copy(), jobs, kept, time_of_all, uptime)

    def wrote(self, documents: int) -> None:
        """Count a batch of documents that was committed."""
        with self.lock:
            self.writes += documents
            self.batches += 1

    def answered(self, method: str, status: int | None, seconds: float, sent: int) -> None:
        """Count a request; of one that got no response the status is None."""
        with self.lock:
            self.methods[method if method in METHODS else "OTHER"] += 1
            if status is None:
                self.aborted += 1
            else:
                self.statuses[status] += 1
            self.bytes_sent += sent
            self.request_time.add(seconds)

    def asked_for(self, *, reads: int = 0, views: int = 0, bulk: int = 0) -> None:
        """Count what a request did with a database."""
        with self.lock:
            self.reads += reads
            self.view_reads += views
            self.bulk_requests += bulk


METHODS = ("COPY", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")
METRICS: Slot[Metrics] = Slot("metrics of the server", lambda environment: Metrics())
