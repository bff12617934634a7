"""Progress of long-running work on a terminal: bars, rates, remaining time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from pouchdb.cli.output import Output, shown

__all__ = ["bar", "watching", "working"]

NARROW = 80
"""Columns of a terminal below which there is no room for a bar."""
PATIENCE = 1.0
"""Seconds that work may take before it is shown."""
PERIOD = 0.1
"""Seconds between two updates of the display."""


class _Rate(TextColumn):
    """Items per second; after the end, over the whole time."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:,.0f}/s", style="progress.data.speed")


def bar(output: Output, *, counted: bool = True) -> Progress:
    """Return a progress display on the error stream; it shows nothing unless that is a terminal."""
    columns: list[Any] = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    if counted and output.errors.width >= NARROW:
        columns.append(BarColumn(bar_width=24))
    columns += [TextColumn("{task.fields[count]}", markup=False), _Rate()]
    if counted:
        columns.append(TimeRemainingColumn(compact=True))
    columns.append(TextColumn("{task.fields[state]}", style="dim", markup=False))
    return Progress(
        *columns, console=output.errors, disable=not output.animated, refresh_per_second=1 / PERIOD, transient=True
    )


@contextmanager
def watching(
    output: Output, parts: Mapping[str, Any], names: Mapping[str, tuple[str, str]], *, live: bool
) -> Iterator[None]:
    """Show how replications go while the block runs: bars on a terminal, a line for each change of state elsewhere."""
    if not output.animated:
        if live and not output.json:
            _lines(output, parts, names)
        yield
        return
    with bar(output) as progress:
        tasks = {
            name: progress.add_task(_title(name, names[name]), total=None, count="", state="")
            for name, part in parts.items()
        }

        def look(over: threading.Event) -> None:
            while not over.wait(PERIOD):
                for name, part in parts.items():
                    _show(progress, tasks[name], part.replicator)

        with _looking(look):
            yield


@contextmanager
def _looking(look: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run ``look`` in a thread while the block runs; the event that it gets is set at the end of the block."""
    over = threading.Event()
    watcher = threading.Thread(target=look, args=(over,), name="pouchdb-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _title(name: str, names: tuple[str, str]) -> str:
    title = " to ".join(names)
    title = title if len(title) <= 40 else f"{title[:18]}...{title[-18:]}"
    return shown(f"{name} {title}" if name else title)


def _show(progress: Progress, task: Any, replicator: Any) -> None:
    done, pending = replicator.progress.missing_checked, replicator.pending
    written, refused = replicator.progress.docs_written, replicator.progress.doc_write_failures
    state = {"active": "", "paused": "up to date", "pending": "begins"}.get(replicator.state, replicator.state)
    retry = replicator.next_retry_at
    if retry is not None:
        state = f"{_short(replicator.last_error)}; again in {max(0, retry - time.time()):.0f} s"
    elif replicator.attempt:
        state = f"{_short(replicator.last_error)}; trying again"
    elif refused:
        state = f"{refused:,} refused {state}"
    before = next(each.total for each in progress.tasks if each.id == task)
    total = done + pending
    if before is not None and pending and total <= before:
        # Not for every change that a filter leaves out: with another total the rate is estimated again.
        total = before
    progress.update(
        task,
        completed=done,
        # Nothing is known before it has begun.
        total=total or None,
        count=f"{written:,} written, {pending:,} to go" if progress.console.width >= NARROW else f"{written:,}",
        state=state,
    )


def _short(error: Any) -> str:
    text = shown(getattr(error, "message", error))
    return text if len(text) <= 40 else f"{text[:37]}..."


def _lines(output: Output, parts: Mapping[str, Any], names: Mapping[str, tuple[str, str]]) -> None:
    """Print changes of state as lines, for logs."""
    for name, part in parts.items():
        title = _title(name, names[name])

        def paused(error: Any, part: Any = part, title: str = title) -> None:
            if error is None:
                output.note(f"{title}: up to date, {part.replicator.progress.docs_written:,} written")
            else:
                output.warn(f"{title}: {getattr(error, 'message', error)}; trying again")

        def denied(error: Any, title: str = title) -> None:
            output.warn(f"{title}: {error.get('id')} refused: {error.get('reason')}")

        part.on("paused", paused).on("denied", denied)


@contextmanager
def working(output: Output, database: Any) -> Iterator[None]:
    """Show a database's long-running tasks while the block runs, once it has taken a second: an index, a copy."""
    if not output.animated or database.remote:
        yield
        return

    def look(over: threading.Event) -> None:
        if over.wait(PATIENCE):
            return
        with bar(output) as progress:
            shown_tasks: dict[Any, Any] = {}
            while not over.wait(PERIOD):
                for each in database.active_tasks():
                    if each["id"] not in shown_tasks:
                        shown_tasks[each["id"]] = progress.add_task(shown(each["name"]), total=None, count="", state="")
                    done, total = each.get("completed_items") or 0, each.get("total_items")
                    progress.update(shown_tasks[each["id"]], completed=done, total=total or None, count=f"{done:,}")

    with _looking(look):
        yield
