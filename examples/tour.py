"""What the steps of the demo have in common: printing, timing, checking, and the running order."""

from __future__ import annotations

import ast
import os
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CheckFailed", "Step", "Tour", "run"]

WIDTH = 96


class CheckFailed(Exception):
    """A step did not do what it said."""


@dataclass
class Tour:
    """What a step gets: where it may write, what earlier steps left, and a way to tell what it does."""

    directory: Path
    """A temporary directory, removed when the demo ends."""
    env: Any = None
    """The environment; each step may open databases in it."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a step leaves for later ones."""
    seconds: float = 0.0
    """How long the last block of code took."""

    def say(self, text: str) -> None:
        """Print a paragraph."""
        print(textwrap.fill(" ".join(text.split()), WIDTH, initial_indent="   ", subsequent_indent="   "))

    def list(self, lines: Sequence[str]) -> None:
        """Print lines as they are, one below the other."""
        for line in lines:
            print(f"     {line}")

    def command(self, line: str) -> None:
        """Print what would do the same on the command line, where the variable POUCHDB_DIRECTORY names the storage."""
        print(f"\n     on the command line: {line}")

    @contextmanager
    def code(self) -> Iterator[None]:
        """Print the source of the ``with`` block, run it, and keep how long it took in ``seconds``."""
        frame = sys._getframe(2)  # of the step: below are contextlib's __enter__ and this one
        print()
        print(textwrap.indent(_block(frame.f_code.co_filename, frame.f_lineno), "       "))
        print()
        start = time.perf_counter()
        yield
        self.seconds = time.perf_counter() - start

    def rate(self, count: int, things: str) -> str:
        """Say how fast the last block of code was."""
        return f"{count:,} {things} in {self.seconds:.2f} s, {round(count / self.seconds, -2):,.0f} a second"

    def check(self, holds: object, claim: str) -> None:
        """Fail the demo unless ``claim`` is true."""
        if not holds:
            raise CheckFailed(claim)


Step = Callable[[Tour], None]
"""A part of the demo. The first line of its docstring is the heading, the rest the explanation."""


def run(tour: Tour, steps: Sequence[Step]) -> int:
    """Run the steps in order, stopping at the first that fails. Returns the exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # names of airports, on a terminal that has not all letters
    start = time.perf_counter()
    for number, step in enumerate(steps, 1):
        heading, _, explanation = (step.__doc__ or step.__name__).partition("\n")
        print(_bold(f"{number}. {heading.rstrip('.')}"))
        if explanation.strip():
            tour.say(explanation)
        try:
            step(tour)
        except Exception as error:
            sys.stdout.flush()
            if not isinstance(error, CheckFailed):
                traceback.print_exc()
            print(f"The demo failed in step {number}, {step.__name__}: {error}", file=sys.stderr)
            return 1
        print()
    print(f"All {len(steps)} steps did what they said, in {time.perf_counter() - start:.1f} s.")
    return 0


def _block(filename: str, line: int) -> str:
    """Return the body of the ``with`` statement at a line, so that what is shown is what is run."""
    source = Path(filename).read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.With) and node.lineno == line:
            first, last = node.body[0].lineno, node.body[-1].end_lineno
            return textwrap.dedent("\n".join(source.splitlines()[first - 1 : last]))
    raise LookupError(f"no with statement at {filename}:{line}")


def _bold(text: str) -> str:
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM", "dumb") == "dumb"
    return text if plain else f"\033[1m{text}\033[0m"
