"""replicate and sync: with progress for people, events for scripts, and a checkpoint however it ends."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import click

from pouchdb.cli.arguments import choosing, chosen
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.interrupt import interruptible
from pouchdb.cli.progress_bar import watching
from pouchdb.cli.status import Status, redacted
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.interfaces import Environment
from pouchdb_core.live import LiveHandle, Replication, Starter, Sync
from pouchdb_core.live.live_handle import keep
from pouchdb_core.replication.replicate import Replicator
from pouchdb_core.results import Record

__all__ = ["COMMANDS", "Background", "Watched", "replicate", "sync"]

PATIENCE = 2.0
"""Seconds after an interrupt until the command prints what it still waits for."""
LISTED = 10
"""The number of refused documents that are reported one by one."""
F = Callable[..., Any]


class Watched(Replication):
    """A replication in the background that can be asked to end after the current batch."""

    def stop(self) -> None:
        """End it so that the checkpoint covers all that was done: waits for a server that has a batch.

        Called again, it no longer waits; then the previous checkpoint remains valid.
        """
        if self.cancelled or self.done:
            self.replicator.interrupt()
        elif self._stepping.acquire(blocking=False):
            self._stepping.release()
            self.cancel()
        else:
            self.cancelled = True
            self._job.wake()


class Background(Starter):
    """Starts every replication in the background, so that it can be watched and cancelled."""

    blocks = False

    def replication(self, env: Environment, replicator: Replicator, on_change: Any, complete: Any) -> Any:
        # The documents are not needed: parsing them costs as much as moving them.
        replicator.tells = False
        engine = env.engine
        subscribe = replicator.source.adapter.subscribe
        handle = Watched(replicator, subscribe, env._calls, engine.dispatcher, engine.workers)
        keep(handle, replicator.source._life.live, replicator.target._life.live, engine.live, engine.going)
        return handle


def _options(function: F) -> F:
    for decorate in (
        click.option("--live", is_flag=True, help="Continue with later changes, until Ctrl-C."),
        click.option("--retry", is_flag=True, help="After errors wait and try again."),
        click.option("--since", metavar="SEQ", help="Start after this sequence number instead of at the checkpoint."),
        click.option("--winners", is_flag=True, help="Copy the winning revisions only, no conflicts."),
        click.option("--no-create", is_flag=True, help="Do not create a missing target."),
        click.option("--no-checkpoint", is_flag=True, help="Neither read nor write checkpoints."),
        click.option(
            "--batch-size", type=click.IntRange(1), default=1000, show_default=True, help="Changes per batch."
        ),
    ):
        function = decorate(function)
    return choosing(function)


@click.command(
    cls=Command,
    examples=[
        "pouchdb replicate notes http://ada@localhost:5984/notes",
        """pouchdb replicate notes usb/notes --selector '{"type": "note"}'""",
    ],
)
@click.argument("source")
@click.argument("target")
@_options
@click.pass_obj
def replicate(session: Session, /, source: str, target: str, **given: Any) -> int:
    """Copy to TARGET what SOURCE has and TARGET lacks.

    It continues where the last run of the same pair ended. Ctrl-C keeps what was done.
    """
    options = _chosen(given)
    left = session.database(source)
    right = _target(session, target, options)
    names = {"": (session.shown(source), session.shown(target))}
    return _run(session, lambda: _background(left).replicate(left, right, **options), names, live=options["live"])


@click.command(cls=Command, examples=["pouchdb sync notes https://ada@example.org/notes --live --retry"])
@click.argument("left", metavar="A")
@click.argument("right", metavar="B")
@_options
@click.pass_obj
def sync(session: Session, /, left: str, right: str, **given: Any) -> int:
    """Replicate in both directions."""
    options = _chosen(given)
    # One of the two may be new, not both: that is a wrong name.
    make = session.exists(right)
    first = session.database(left, make=make and options.get("create_target") is not False)
    second = _target(session, right, options)
    names = session.shown(left), session.shown(right)
    both = {"push": names, "pull": names[::-1]}
    return _run(session, lambda: _background(first).sync(first, second, **options), both, live=options["live"])


def _chosen(given: dict[str, Any]) -> dict[str, Any]:
    names = ("doc_ids", "selector", "filter_", "params", "view")
    options = chosen(**{name: given.pop(name) for name in names})
    options.update(live=given["live"], retry=given["retry"], batch_size=given["batch_size"])
    if given["since"] is not None:
        options["since"] = given["since"]
    if given["winners"]:
        options["winning_revs_only"] = True
    if given["no_create"]:
        options["create_target"] = False
    if given["no_checkpoint"]:
        options["checkpoint"] = False
    return options


def _target(session: Session, given: str, options: dict[str, Any]) -> SyncPouchDB:
    return session.database(given, make=options.get("create_target") is not False)


def _background(db: SyncPouchDB) -> SyncEnvironment:
    environment: SyncEnvironment = copy.copy(db.environment.sync_view)
    environment.starter = Background()
    return environment


Names = Mapping[str, tuple[str, str]]
"""The names of source and target of each direction; for a replication the direction is empty."""


def _run(session: Session, start: Callable[[], Any], names: Names, *, live: bool) -> int:
    """Run a replication or both of a sync; print the progress and the result."""
    with interruptible():
        handle: Watched | Sync = start()
        parts = {"": handle} if isinstance(handle, Watched) else {"push": handle.push, "pull": handle.pull}
        if session.output.json and live:
            _events(session, parts)
        interrupted = False
        with watching(session.output, parts, names, live=live):
            try:
                result = handle.wait()
            except KeyboardInterrupt:
                interrupted = True
                result = _stopped(session, handle, parts)
    return _told(session, result, parts, names, interrupted and not live)


def _stopped(session: Session, handle: LiveHandle, parts: Mapping[str, Any]) -> Record:
    """End it after the current batch; when called once more, at once."""
    for part in parts.values():
        part.stop()
    try:
        try:
            result: Record = handle.wait(PATIENCE)
        except TimeoutError:
            session.output.note("it ends when the server has taken what is under way; Ctrl-C again ends it at once")
            result = handle.wait()
    except KeyboardInterrupt:
        for part in parts.values():
            part.stop()
        result = handle.wait()
    return result


def _events(session: Session, parts: dict[str, Any]) -> None:
    """Print a line of JSON for each event, for scripts that follow."""
    for direction, part in parts.items():
        about = {"direction": direction} if direction else {}

        def changed(change: Record, about: dict[str, str] = about) -> None:
            told = {
                key: change.get(key)
                for key in ("docs_read", "docs_written", "doc_write_failures", "last_seq", "pending")
            }
            session.output.data({"event": "change", **about, **told})

        def paused(error: Any, about: dict[str, str] = about) -> None:
            told = {} if error is None else {"error": redacted(str(error))}
            session.output.data({"event": "paused", **about, **told})

        def active(about: dict[str, str] = about) -> None:
            session.output.data({"event": "active", **about})

        def denied(error: Record, about: dict[str, str] = about) -> None:
            session.output.data({"event": "denied", **about, "id": error.get("id"), "reason": error.get("reason")})

        part.on("change", changed).on("paused", paused).on("active", active).on("denied", denied)


def _told(session: Session, result: Record, parts: dict[str, Any], names: Names, interrupted: bool) -> int:
    output = session.output
    results = {"": result} if "" in parts else {name: result[name] for name in ("push", "pull")}
    if output.json:
        output.data(result)
    failures = 0
    for name, each in results.items():
        replicator = parts[name].replicator
        failures += each["doc_write_failures"]
        for error in () if output.json else each["errors"][:LISTED]:
            output.warn(f"{error.get('id')} {error.get('rev')}: {error['name']}: {error['message']}")
        if len(each["errors"]) > LISTED and not output.json:
            output.warn(f"and {each['doc_write_failures'] - LISTED:,} more")
        if not output.json:
            ended = "" if each["status"] != "cancelled" else "interrupted: " if interrupted else "ended: "
            refused = f", {each['doc_write_failures']:,} refused" if each["doc_write_failures"] else ""
            # For a complete one, these came after its beginning.
            left = f", {replicator.pending:,} changes to go" if ended and replicator.pending else ""
            output.line(f"{names[name][0]} to {names[name][1]}: {ended}{each['docs_written']:,} written{refused}{left}")
    if interrupted:
        output.note("what was written is remembered: the same command goes on from here")
        return Status.INTERRUPTED
    if failures:
        output.note("refused documents are tried again by every later run; `pouchdb doctor` says why")
        return Status.PARTLY
    return Status.OK


COMMANDS = (replicate, sync)
