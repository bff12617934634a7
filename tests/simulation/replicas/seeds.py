"""Playing seeds, and reducing those that fail."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from replicas.plan import Move, Setup, plan
from replicas.stores import MakeStores, SqliteStores
from replicas.world import world

__all__ = ["Failure", "Player", "play"]


@dataclass
class Failure:
    """What went wrong with a seed, and how to see it again."""

    seed: int
    setup: Setup
    text: str
    where: str
    moves: Sequence[Move]
    asked: int | None = None
    trace: list[str] = field(default_factory=list)
    options: str = ""
    """Of the command, besides those."""

    def command(self, program: str = "tests/simulation") -> str:
        """Return the command that plays it again and prints all that happens."""
        return f"python {program} {self.seed}{f' --moves {self.asked}' if self.asked else ''}{self.options} --trace"

    def __str__(self) -> str:
        last = "\n".join(f"    {line}" for line in self.trace[-12:])
        return (
            f"seed {self.seed} failed: {self.text}\n  {self.where}\n  {self.setup}\n"
            f"  {len(self.moves)} moves, the last that happened:\n{last}\n"
            f"  replay: {self.command()}   reduce: {self.command().replace('--trace', '--shrink')}"
        )


class Player:
    """Plays seeds; ``options`` are those of the command that has these stores."""

    def __init__(self, make_stores: MakeStores = SqliteStores, options: str = "") -> None:
        self._make_stores, self._options = make_stores, options

    def play(self, seed: int, moves: int | None = None, tell: Callable[[str], None] | None = None) -> Failure | None:
        """Play a seed; return what went wrong."""
        setup, planned = plan(seed, moves)
        return self._play(setup, planned, moves, tell)

    def _play(
        self, setup: Setup, moves: Sequence[Move], asked: int | None, tell: Callable[[str], None] | None
    ) -> Failure | None:
        trace: list[str] = []
        try:
            with world(setup, tell, self._make_stores) as made:
                trace = made.trace
                for move in moves:
                    made.move(move)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} in {frame.name}, {frame.filename.rpartition('/')[2]}:{frame.lineno}"
            return Failure(setup.seed, setup, str(error), where, moves, asked, trace, self._options)
        return None

    def shrink(
        self, seed: int, moves: int | None = None, tell: Callable[[str], None] = lambda text: None
    ) -> Failure | None:
        """Play a seed that fails with fewer and fewer moves, as long as it fails in the same place."""
        setup, planned = plan(seed, moves)
        found = self._play(setup, planned, moves, None)
        if found is None:
            return None
        size = len(planned) // 2
        while size:
            start = 0
            while start < len(found.moves) - 1:
                fewer = [*found.moves[:start], *found.moves[start + size :]]
                if fewer and fewer[-1].kind != "heal":
                    fewer.append(planned[-1])
                smaller = self._play(setup, fewer, moves, None)
                if smaller is not None and smaller.where == found.where and len(fewer) < len(found.moves):
                    found = smaller
                else:
                    start += size
            tell(f"{len(found.moves)} moves")
            size //= 2
        return found


def play(seed: int) -> Failure | None:
    """Play a seed with the usual stores; return what went wrong."""
    return Player().play(seed)
