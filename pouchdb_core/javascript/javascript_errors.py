"""What can go wrong with a JavaScript function, as types.

    JavaScriptError            any failure of JavaScript; `design_document` names whose, where it is known
      EngineMissing            no engine: the message says what to install
      CompilationError         the source is not a function; `cause` is what the engine threw, if it threw
      ThrownError              the function threw; carries the thrown value as data
      LimitError               a limit was hit; the function's context is gone, the worker continues
        TimedOut
        OutOfMemory
        OutputTooLarge         also output that cannot be read
        WorkerCrashed
      NoWorkerFree             too many others were waiting
      WorkerClosed             called after close()

`status`, `error` and `reason` are what CouchDB would return; the layers above translate them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class JavaScriptError(Exception):
    """Any failure of JavaScript code or of its engine."""

    status = 500
    error = "javascript_error"

    def __init__(self, reason: str, *, design_document: str | None = None, document: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.design_document = design_document
        self.document = document

    @property
    def details(self) -> dict[str, Any]:
        """Further facts, as plain data: the details of the error that callers get."""
        return {}

    def __str__(self) -> str:
        where = [name for name in (self.design_document, self.document and f"document {self.document}") if name]
        return f"{self.reason} ({', '.join(where)})" if where else self.reason


class EngineMissing(JavaScriptError):
    """No JavaScript engine can run; the reason says what to install."""

    error = "javascript_engine_missing"


class WorkerClosed(JavaScriptError):
    """The worker was closed by its owner."""

    error = "javascript_worker_closed"


class NoWorkerFree(JavaScriptError):
    """All workers were busy for longer than the call's patience."""

    status = 503
    error = "javascript_busy"


class LimitError(JavaScriptError):
    """A limit was hit: the context of the function is gone, the worker answers the next call."""


class TimedOut(LimitError):
    """The function took longer than its deadline, or it is quarantined for that."""

    error = "os_process_timeout"


class OutOfMemory(LimitError):
    """The function used more memory than allowed."""

    error = "out_of_memory"


class OutputTooLarge(LimitError):
    """The function's output is larger than the limit, or cannot be read."""

    error = "output_too_large"


class WorkerCrashed(LimitError):
    """The engine died, or its context broke."""

    error = "os_process_error"


class ThrownError(JavaScriptError):
    """A value thrown by JavaScript, as data.

    For an Error object `name` and `message` are its own, `stack` is the engine's text; for any other value they are
    None. `thrown` is the value as JSON would carry it (own properties only for an Error object, None where JSON has no
    form), `text` is String(value).
    """

    def __init__(
        self,
        *,
        name: str | None,
        message: str | None,
        stack: str | None,
        text: str | None,
        thrown: Any,
        design_document: str | None = None,
        document: str | None = None,
    ) -> None:
        reason = f"{name}: {message}" if name is not None else (text or "null")
        super().__init__(reason, design_document=design_document, document=document)
        self.name = name
        self.message = message
        self.stack = stack
        self.text = text
        self.thrown = thrown
        if name is not None:
            self.error = name

    @property
    def details(self) -> dict[str, Any]:
        """What was thrown, as plain data: ``thrown`` {name, message, stack, text, value}."""
        return {
            "thrown": {
                "name": self.name,
                "message": self.message,
                "stack": self.stack,
                "text": self.text,
                "value": self.thrown,
            }
        }

    @property
    def is_null(self) -> bool:
        """Whether it was null that was thrown."""
        return self.name is None and self.thrown is None and self.text == "null"

    @classmethod
    def of(cls, data: Mapping[str, Any], design_document: str | None) -> ThrownError:
        """Build one from the worker's answer, which is not trusted to be complete."""

        def text(member: str) -> str | None:
            value = data.get(member)
            return value if isinstance(value, str) else None

        return cls(
            name=text("name"),
            message=text("message"),
            stack=text("stack"),
            text=text("text"),
            thrown=data.get("thrown"),
            design_document=design_document,
        )


class CompilationError(JavaScriptError):
    """The source of a function is not a function: a syntax error, another value, or it threw while it was evaluated."""

    error = "compilation_error"

    def __init__(
        self,
        source: str,
        *,
        cause: ThrownError | None,
        position: tuple[int, int] | None = None,
        design_document: str | None = None,
    ) -> None:
        # CouchDB's words: without one trailing semicolon and the white space around it.
        shown = source.rstrip()
        shown = shown[:-1].rstrip() if shown.endswith(";") else shown
        super().__init__(f"Expression does not eval to a function. {shown}", design_document=design_document)
        self.source = source
        self.cause = cause
        self.position = position

    @property
    def details(self) -> dict[str, Any]:
        """The ``source``, what the engine says (``thrown``), and its place: ``line`` and ``column``, from 1."""
        details: dict[str, Any] = {"source": self.source, **({} if self.cause is None else self.cause.details)}
        if self.position is not None:
            details["line"], details["column"] = self.position
        return details
