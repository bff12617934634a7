"""The pool as its sandboxes and conversations see it; ``client.JavaScriptPool`` is the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from pouchdb_core.javascript.engine_interface import Limits

if TYPE_CHECKING:
    from pouchdb_core.javascript.process import WorkerProcess

__all__ = ["CompiledFunctions", "SandboxKey", "SandboxPool"]

T = TypeVar("T")


class SandboxKey(NamedTuple):
    """The key of a context: contexts share nothing, so each key has its own."""

    database: str
    design_document: str  # its id
    revision: str

    def __str__(self) -> str:
        return f"{self.design_document} of database {self.database}"


class CompiledFunctions(Protocol):
    """A sandbox, as a conversation with one of its functions sees it."""

    limits: Limits
    key: SandboxKey
    generation: int

    def answer(self, result: Any) -> Any: ...


class SandboxPool(Protocol):
    """Runs the functions of sandboxes in worker processes; sandboxes are ``Any`` here, since they are above."""

    def dump(self, value: Any) -> bytes: ...
    def load(self, text: bytes) -> Any: ...
    def compile(self, sandbox: Any, identifier: str) -> None: ...
    def run(
        self,
        sandbox: Any,
        operation: str,
        identifiers: Sequence[str],
        text: bytes,
        decode: Callable[[Any], T],
        *,
        units: int,
    ) -> T: ...
    def begin(self, sandbox: Any, operation: str, identifiers: Sequence[str], text: bytes) -> Any: ...
    def converse(self, sandbox: Any, identifier: str, text: bytes) -> Any: ...
    def turn(self, sandbox: Any) -> AbstractContextManager[None]: ...
    def striking(self, sandbox: Any, identifiers: Sequence[str], units: int) -> AbstractContextManager[None]: ...
    def stream(self) -> AbstractContextManager[bool]: ...
    def failure(self, process: WorkerProcess, sandbox: Any, error: Exception) -> Exception: ...
    def put_back(self, process: WorkerProcess) -> None: ...
    def understood(self, reply: tuple[bytes, bytes]) -> tuple[Any, list[str]]: ...
    def log(self, sandbox: Any, lines: Sequence[str]) -> None: ...
