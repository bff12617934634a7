"""The differences between a call here and a request over HTTP: the original's behaviour, and CouchDB's.

Functions are run in the same way. What differs is which ``start()`` is used, how types are chosen, and the wording of
errors: programs expect the original's, HTTP clients CouchDB's. Both were recorded (tests/couchdb; spec: plugins, 4).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pouchdb_core.errors import FunctionError, NotFound, PouchDBError
from pouchdb_core.javascript import Answer, ThrownError
from pouchdb_couchapp.errors import DesignError, NotAcceptable
from pouchdb_couchapp.media_types import Accepted, Types, accepted
from pouchdb_couchapp.source_text import to_source

__all__ = ["COUCHDB", "LOCAL", "Manners", "translated"]


class Manners(ABC):
    """How responses of functions are made."""

    @abstractmethod
    def missing(self, kind: str, section: str, name: str, ddoc_id: str, there: bool) -> NotFound:
        """Return the error for a function that a design document does not have; ``there``: it has the section."""

    @abstractmethod
    def thrown(self, thrown: Mapping[str, Any]) -> DesignError:
        """Return the error for what a function threw (``details["thrown"]``), unless it names an error itself."""

    @abstractmethod
    def head(self, answer: Any) -> dict[str, Any] | None:
        """Return the effective result of the calls of ``start()``: of an Answer or a stream."""

    @abstractmethod
    def chosen(self, types: Types, wanted: Sequence[Accepted]) -> tuple[str, str | None] | None:
        """Return the provider that responds, and the type of its response."""

    @abstractmethod
    def not_acceptable(self, types: Types, wanted: Sequence[Accepted]) -> PouchDBError:
        """Return the error for types that no provider makes."""

    @abstractmethod
    def unknown_format(self, types: Types, name: str) -> PouchDBError:
        """Return the error for ``format=name`` without such a provider."""

    def document(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a document with its fields in the order that functions see."""
        return doc

    @abstractmethod
    def check(self, answer: Answer, kind: str) -> None:
        """Refuse what a function must not return. Raises DesignError."""

    def negotiated(self, answer: Answer, request: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return the provider that responds to a request, and the type of its response. Raises if there is none."""
        types = Types(answer.types, answer.providers)
        query = request.get("query")
        name = query.get("format") if isinstance(query, Mapping) else None
        if name:
            if name not in types.providers:
                raise self.unknown_format(types, str(name))
            return name, types.first(name)
        headers = request.get("headers")
        wanted = accepted(_accept(headers if isinstance(headers, Mapping) else {}))
        found = self.chosen(types, wanted)
        if found is None:
            raise self.not_acceptable(types, wanted)
        return found


def _accept(headers: Mapping[str, Any]) -> str | None:
    return next((str(value) for name, value in headers.items() if name.lower() == "accept"), None)


class _Local(Manners):
    """The original's, with the bugs fixed that its successors fixed."""

    def missing(self, kind: str, section: str, name: str, ddoc_id: str, there: bool) -> NotFound:
        return NotFound(f"missing {kind} function {name} on design doc {ddoc_id}")

    def thrown(self, thrown: Mapping[str, Any]) -> DesignError:
        value = thrown.get("value")
        name = thrown.get("name") or (value.get("name") if isinstance(value, Mapping) else None)
        message = f"{thrown.get('text')}\n\n{thrown.get('stack') or 'undefined'}"
        return DesignError(name if isinstance(name, str) else "render_error", message, thrown=dict(thrown))

    def head(self, answer: Any) -> dict[str, Any] | None:
        head: dict[str, Any] | None = answer.first
        return head

    def check(self, answer: Answer, kind: str) -> None:
        """Accept anything: what is neither text nor an object is an empty response."""

    def chosen(self, types: Types, wanted: Sequence[Accepted]) -> tuple[str, str | None] | None:
        return types.by_table(wanted)

    def not_acceptable(self, types: Types, wanted: Sequence[Accepted]) -> PouchDBError:
        asked = ", ".join(each.type for each in wanted)
        offered = ",".join(next(iter(types.of(key)), "") for key in types.providers)
        return NotAcceptable(f"Content-Type(s) {asked} not supported, try one of: {offered}")

    def unknown_format(self, types: Types, name: str) -> PouchDBError:
        return DesignError(
            "render_error",
            f"the format option is set to '{name}', but there's no provider registered for that format.",
        )


class _CouchDB(Manners):
    """CouchDB's."""

    def missing(self, kind: str, section: str, name: str, ddoc_id: str, there: bool) -> NotFound:
        return NotFound(f"missing json key: {name if there else section}")

    def thrown(self, thrown: Mapping[str, Any]) -> DesignError:
        stack = thrown.get("stack")
        reason = f"function raised error: {to_source(thrown)} \nstacktrace: {stack or 'undefined'}"
        return DesignError("render_error", reason, thrown=dict(thrown))

    def head(self, answer: Any) -> dict[str, Any] | None:
        head: dict[str, Any] | None = answer.started
        return head

    def chosen(self, types: Types, wanted: Sequence[Accepted]) -> tuple[str, str | None] | None:
        return types.by_fitness(wanted)

    def check(self, answer: Answer, kind: str) -> None:
        # No result is an empty response.
        if answer.value and not isinstance(answer.value, (str, Mapping)):
            raise DesignError("render_error", f"undefined response from {kind} function")

    def document(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        first = {name: doc[name] for name in ("_id", "_rev") if name in doc}
        return {**first, **doc}

    def not_acceptable(self, types: Types, wanted: Sequence[Accepted]) -> PouchDBError:
        offered = ", ".join(type for key in reversed(types.providers) for type in types.of(key))
        asked = ",".join(each.type for each in wanted)
        return NotAcceptable(f"Content-Type {asked} not supported, try one of: {offered}")

    def unknown_format(self, types: Types, name: str) -> PouchDBError:
        offered = ", ".join(type for key in types.providers for type in types.of(key))
        return NotAcceptable(f"Content-Type {name} not supported, try one of: {offered}")


LOCAL: Manners = _Local()
COUCHDB: Manners = _CouchDB()


def translated(error: Exception, manners: Manners) -> PouchDBError:
    """Return the error for the caller of a function, given what the function raised.

    A function chooses the error itself by throwing ``["error", name, reason]`` or ``{"error", "reason"}``.
    """
    if isinstance(error, ThrownError):
        thrown = error.details["thrown"]
        own = _own(thrown["value"])
        return DesignError(*own, thrown=thrown) if own is not None else manners.thrown(thrown)
    if isinstance(error, FunctionError) and error.name == "compilation_error":
        # Without the name of the design document, which is in the request.
        reason = getattr(error.__cause__, "reason", error.message)
        return FunctionError(reason, name=error.name, **error.details)
    if isinstance(error, PouchDBError):
        return error
    return manners.thrown(
        {"name": type(error).__name__, "message": str(error), "text": f"{type(error).__name__}: {error}"}
    )


def _own(value: Any) -> tuple[str, str] | None:
    if isinstance(value, list) and len(value) >= 2 and value[0] in ("error", "fatal") and isinstance(value[1], str):
        return value[1], str(value[2]) if len(value) > 2 else ""
    if isinstance(value, Mapping) and value.get("error") and value.get("reason"):
        return str(value["error"]), str(value["reason"])
    return None
