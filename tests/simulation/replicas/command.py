"""The simulation as a command: many seeds on all cores, or one seed with all that happened."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from replicas.postgres import OPTION, postgres_player
from replicas.seeds import Failure, Player

__all__ = ["main"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/simulation", description="Replicas under random trouble.")
    parser.add_argument("seed", nargs="?", type=int, help="play this one")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    parser.add_argument("--shrink", action="store_true", help="leave out the moves that the failure does not need")
    parser.add_argument("--moves", type=int, help="play so many moves")
    parser.add_argument("--start", type=int, default=0, help="play seeds from this one")
    parser.add_argument("--seeds", type=int, default=2000, help="how many")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at once")
    parser.add_argument(OPTION, action="store_true", help="over databases in PostgreSQL, on a server of its own")
    given = parser.parse_args()
    logging.getLogger("pouchdb").addHandler(logging.NullHandler())
    with postgres_player() if given.postgres else nullcontext(Player()) as player:
        if given.seed is not None:
            return _one(player, given.seed, given.moves, trace=given.trace, shrinks=given.shrink)
        return _many(player, range(given.start, given.start + given.seeds), given.moves, given.jobs)


def _one(player: Player, seed: int, moves: int | None, *, trace: bool, shrinks: bool) -> int:
    if not shrinks:
        failure = player.play(seed, moves, tell=print if trace else None)
    else:
        failure = player.shrink(seed, moves, tell=print)
        if failure is not None and trace:
            print(*failure.trace, sep="\n")
    print(f"seed {seed}: ok" if failure is None else failure)
    return failure is not None


def _play(job: tuple[Player, int, int | None]) -> Failure | None:
    player, seed, moves = job
    return player.play(seed, moves)


def _many(player: Player, seeds: range, moves: int | None, jobs: int) -> int:
    began, failures, done = time.monotonic(), [], 0
    with ProcessPoolExecutor(jobs) as pool:
        for failure in pool.map(_play, [(player, seed, moves) for seed in seeds], chunksize=5):
            done += 1
            if failure is not None:
                failures.append(failure)
                print(failure, flush=True)
            if sys.stderr.isatty():
                print(f"\r{done} of {len(seeds)} ", end="", file=sys.stderr)
    took = time.monotonic() - began
    print(f"{len(seeds)} seeds from {seeds.start} in {took:.0f} s, {len(failures)} failed")
    if failures:
        print("to see one: " + failures[0].command(Path(sys.argv[0]).as_posix()))
    return bool(failures)
