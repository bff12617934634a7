"""What a seed stands for: the replicas, who is connected to whom, and the list of moves.

Every move has a seed of its own, so that moves can be left out without changing what the others do:
that is how a failure is reduced to the few that matter.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Move", "Setup", "plan"]

IDS = ("a", "b", "c", "10", "2", "ä/ö +%", "_design/d", "e", "f")

WEIGHTS = {
    "step": 60,
    "write": 26,
    "start": 9,
    "tick": 3,
    "cancel": 1.5,
    "kill": 1.5,
    "guard": 1.5,
    "weather": 2,
}
COPIES = {"backup": 5, "restore": 4}
"""Only where there are files."""
OTHERS = {"recreate": 3}
"""Another database in the place of one."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happens: its place in the plan, what it is, and the seed of its details."""

    number: int
    kind: str
    seed: int

    def chance(self) -> random.Random:
        """Return the move's own source of chance."""
        return random.Random(self.seed)


@dataclass(frozen=True, slots=True)
class Setup:
    """The world at its beginning."""

    seed: int
    kinds: tuple[str, ...]
    """Of each replica: ``memory``, ``shared`` (one environment for all of these), ``file``, ``far`` (on a server)."""
    edges: tuple[tuple[int, int], ...]
    ids: tuple[str, ...]
    revs_limit: int | None
    """What replicas may be limited to; no document gets deeper between two healings than convergence allows."""
    auto_compaction: tuple[bool, ...]
    purges: bool
    raw: bool
    """Whether files are copied behind the back of the database, so that it does not know that it is a copy."""
    held: int
    """How many refused revisions a checkpoint remembers."""
    fetch: int
    """How many documents are asked for at once."""
    says_epoch: tuple[bool, ...]
    """Of each replica on a server: whether that says which life of the database it is, as ours does."""
    watched: tuple[bool, ...]
    """Of each replica: whether a plug-in wraps reading and writing: then documents do not travel as they are stored."""

    def __str__(self) -> str:
        edges = " ".join(f"r{left}-r{right}" for left, right in self.edges)
        more = f", revs_limit {self.revs_limit}" if self.revs_limit else ""
        return (
            f"{len(self.kinds)} replicas ({', '.join(self.kinds)}), edges {edges}{more}, "
            f"remembers {self.held} refused, asks for {self.fetch} at once"
        )


def _edges(chance: random.Random, count: int) -> tuple[tuple[int, int], ...]:
    order = list(range(count))
    chance.shuffle(order)
    shape = chance.choice(["chain", "ring", "star", "full", "tree"])
    if shape == "star":
        return tuple((order[0], other) for other in order[1:])
    if shape == "full":
        return tuple((left, right) for left in range(count) for right in range(left))
    if shape == "tree":
        return tuple((order[place], order[chance.randrange(place)]) for place in range(1, count))
    chain = [(order[place], order[place + 1]) for place in range(count - 1)]
    if shape == "ring" and count > 2:
        chain.append((order[-1], order[0]))
    return tuple(chain)


def plan(seed: int, moves: int | None = None) -> tuple[Setup, list[Move]]:
    """Return what a seed stands for."""
    chance = random.Random(seed)
    count = chance.choice([2, 2, 2, 3, 3, 4, 5, 6, 8])
    files = chance.random() < 0.25
    shared = chance.random() < 0.3
    far = chance.random() < 0.4
    others = chance.random() < 0.35

    def kind() -> str:
        if far and chance.random() < 0.6:
            return "far"
        if files and chance.random() < 0.5:
            return "file"
        return "shared" if shared and chance.random() < 0.7 else "memory"

    kinds = tuple(kind() for _ in range(count))
    setup = Setup(
        seed=seed,
        kinds=kinds,
        edges=_edges(chance, count),
        ids=IDS[: chance.choice([2, 4, 7, 9])],
        revs_limit=chance.choice([16, 20]) if chance.random() < 0.2 else None,
        auto_compaction=tuple(chance.random() < 0.15 for _ in range(count)),
        purges=chance.random() < 0.3,
        raw=chance.random() < 0.5,
        held=chance.choice([1000, 1000, 3, 1]),
        fetch=chance.choice([1000, 1000, 1, 2]),
        says_epoch=tuple(chance.random() < 0.4 for _ in range(count)),
        watched=tuple(chance.random() < 0.25 for _ in range(count)),
    )
    wanted = moves or chance.choice([40, 80, 120, 200])
    heals = {wanted // 2} if chance.random() < 0.4 else set()
    weights = dict(WEIGHTS)
    if "file" in kinds or "far" in kinds:
        weights.update(COPIES)
    if others:
        weights.update(OTHERS)
        if kinds.count("far") > 1:
            weights["swap"] = 2
    planned = []
    for number in range(1, wanted + 1):
        kind = "heal" if number in heals else chance.choices(list(weights), list(weights.values()))[0]
        planned.append(Move(number, kind, chance.getrandbits(48)))
    planned.append(Move(wanted + 1, "heal", chance.getrandbits(48)))
    return setup, planned
