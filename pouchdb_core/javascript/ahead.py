"""A request that a worker process answers while its caller does something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pouchdb_core.forks import Origin
from pouchdb_core.javascript.javascript_errors import OutOfMemory
from pouchdb_core.javascript.process import Letter, ProcessEnded, WorkerProcess
from pouchdb_core.javascript.sandbox_pool import CompiledFunctions, SandboxPool

__all__ = ["Ahead"]

T = TypeVar("T")


class Ahead:
    """One request under way: take its result once, or close it."""

    def __init__(self, pool: SandboxPool, sandbox: CompiledFunctions, process: WorkerProcess) -> None:
        self._pool, self._sandbox = pool, sandbox
        self._process: WorkerProcess | None = process
        self._origin = Origin()

    def result(self, decode: Callable[[object], T]) -> T:
        """Wait for the answer and return its decoded result; the deadline begins now.

        Raises LimitError and WorkerClosed, as `JavaScriptPool.run` does, but tries nothing a second time.
        """
        process, self._process = self._process, None
        assert process is not None, "it is taken once"
        pool, sandbox = self._pool, self._sandbox
        if not self._origin.here():
            # In a forked child: the answer is for the parent, and the child asks a process of its own.
            raise pool.failure(process, sandbox, ProcessEnded(expired=False))
        logs: list[str] = []
        whole = False
        try:
            result, logs = pool.understood(process.receive(sandbox.limits.seconds))
            value = decode(result)
            whole = True
            return value
        except (OutOfMemory, ProcessEnded, Letter) as error:
            failure = pool.failure(process, sandbox, error)
            whole = isinstance(error, Letter)
            raise failure from None
        finally:
            if not whole:
                process.kill()
            pool.put_back(process)
            pool.log(sandbox, logs)

    def close(self) -> None:
        """End the process, if its answer was not taken: it would be taken for the answer to the next request."""
        process, self._process = self._process, None
        if process is not None and self._origin.here():
            process.kill()
            self._pool.put_back(process)
