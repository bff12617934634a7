"""The documents every contender stores: deterministic, about 500 bytes of JSON, as mixed as real ones are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]

BATCH = 1_000

WORDS = (
    "river",
    "mountain",
    "station",
    "harbour",
    "valley",
    "bridge",
    "market",
    "garden",
    "tower",
    "island",
    "northern",
    "quiet",
    "early",
    "broken",
    "silver",
    "rain",
    "report",
    "sample",
    "measured",
    "twice",
    "again",
    "before",
    "water",
)
PLACES = ("Århus", "Łódź", "São Paulo", "Zürich", "東京", "Ελλάδα", "Київ", "Málaga 🚲", "London", "Vienna", "Oslo")
KINDS = ("visit", "reading", "order", "note")


def identifier(source: random.Random) -> str:
    """A random id of 32 hexadecimal digits: what PouchDB makes, and the hard case for a b-tree."""
    return f"{source.getrandbits(128):032x}"


def document(source: random.Random, number: int) -> Document:
    """One body without `_id`: nested objects, a list, floats, integers, booleans, null and text beyond ASCII."""
    return {
        "type": source.choice(KINDS),
        "number": number,
        "name": f"{source.choice(WORDS)} {source.choice(WORDS)}",
        "created": f"2024-{source.randint(1, 12):02d}-{source.randint(1, 28):02d}T12:30:00.000Z",
        "place": source.choice(PLACES),
        "position": {
            "lat": round(source.uniform(-90, 90), 6),
            "lon": round(source.uniform(-180, 180), 6),
            "accuracy": source.randint(1, 50),
        },
        "tags": source.sample(WORDS, 4),
        "readings": [round(source.gauss(20, 5), 2) for _ in range(6)],
        "person": {
            "name": source.choice(WORDS).title(),
            "age": source.randint(18, 90),
            "active": source.random() < 0.5,
            "boss": None,
        },
        "text": " ".join(source.choices(WORDS, k=19)),
    }


def documents(count: int, seed: int = 1) -> list[Document]:
    """`count` documents with random ids; the same ones for the same seed."""
    source = random.Random(seed)
    return [{"_id": identifier(source), **document(source, number)} for number in range(count)]


def anonymous_batches(count: int, seed: int = 1) -> Iterator[list[Document]]:
    """`count` documents without ids, a batch at a time, so that a million never are in memory together."""
    source = random.Random(seed)
    for start in range(0, count, BATCH):
        yield [document(source, number) for number in range(start, min(start + BATCH, count))]


def batches(docs: list[Document]) -> list[list[Document]]:
    return [docs[start : start + BATCH] for start in range(0, len(docs), BATCH)]
