"""Replications in the background of a server: on its own threads, with a check before every batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from pouchdb_core.live.live_handle import keep
from pouchdb_core.live.live_replication import Replication
from pouchdb_core.live.starter import OnChange, OnComplete, Starter, called_back

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database, Environment
    from pouchdb_core.replication.replicate import Replicator
    from pouchdb_core.runner import Runner

__all__ = ["replicate_in_background"]


def replicate_in_background(
    env: Environment,
    source: Database,
    target: Database,
    *,
    runner: Runner,
    check: Callable[[Replicator], None] = lambda replicator: None,
    **options: Any,
) -> Replication:
    """Start a replication in the background, even if it is not live; return its handle.

    It runs on the threads of ``runner``, and listeners get no documents. ``check(replicator)`` is called before it
    starts and before every batch: an exception of it ends the run, as its error. ``options`` are those of
    ``env.replicate``. Raises what ``check`` raises at the start, BadRequest.
    """
    view = copy.copy(env)
    view.starter = _Background(runner, check)
    handle: Any = view.replicate(source, target, **options)
    assert isinstance(handle, Replication), "this starter makes no other"
    return handle


class _Checked:
    """A replicator that checks before every batch whether it may go on."""

    def __init__(self, replicator: Replicator, check: Callable[[Replicator], None]) -> None:
        self._run, self._check, self._replicator = replicator.run, check, replicator

    def __call__(self) -> Generator[Any, None, Any]:
        run = self._run()
        try:
            while True:
                self._check(self._replicator)
                try:
                    event = next(run)
                except StopIteration as stop:
                    return stop.value
                yield event
        finally:
            run.close()


class _Background(Starter):
    blocks = False

    def __init__(self, runner: Runner, check: Callable[[Replicator], None]) -> None:
        self._runner, self._check = runner, check

    def replication(
        self, env: Environment, replicator: Replicator, on_change: OnChange, complete: OnComplete
    ) -> Any:
        """Return a Replication."""
        # Listeners get no documents.
        replicator.tells = False
        self._check(replicator)
        engine, subscribe = env.engine, replicator.source.adapter.subscribe
        run = _Checked(replicator, self._check)
        handle = Replication(replicator, subscribe, env._calls, engine.dispatcher, self._runner, run=run)
        keep(handle, replicator.source._life.live, replicator.target._life.live, engine.live, engine.going)
        return called_back(handle, on_change, complete)
