"""Views that belong to a mapped class, written into their design document when they are first used."""

from __future__ import annotations

import inspect
import textwrap
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pouchdb.mapping.document import Document
from pouchdb_core.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["ViewField"]


class ViewField:
    """A view of a mapped class: ``Person.by_name(db, limit=3)`` returns instances of the class.

    ``design`` is the design document's name, ``map_fun`` and ``reduce_fun`` the functions' source, ``name`` the
    view's name if it is not the attribute's. ``defaults`` are options of each query.

    The first query on a database object makes sure that the design document has this view with these functions;
    its other views are left alone. Without the right to write there, a view that is missing is NotFound and one
    that differs is used as it is.
    """

    map_fun: str
    reduce_fun: str | None

    def __init__(
        self,
        design: str,
        map_fun: str,
        reduce_fun: str | None = None,
        name: str | None = None,
        language: str = "javascript",
        **defaults: Any,
    ) -> None:
        self.map_fun, self.reduce_fun = map_fun, reduce_fun
        self._design, self._language = design, language
        self._view = name
        self._defaults = defaults
        self._function: Callable[..., Any] | None = None
        self._owner: type[Document] | None = None
        self._checked: weakref.WeakSet[SyncPouchDB] = weakref.WeakSet()

    def __set_name__(self, owner: type[Document], name: str) -> None:
        self._view = self._view or name
        self._owner = owner

    @classmethod
    def define(
        cls, design: str, name: str | None = None, language: str = "python", **defaults: Any
    ) -> Callable[[Callable[..., Any]], ViewField]:
        """Make a view of a Python map function; a decorator.

        The design document holds a name, never code, and the function is registered under it with the database's
        environment: other programs that query the view must register theirs.
        """

        def wrapper(function: Callable[..., Any]) -> ViewField:
            field = cls(design, _source(function), name=name, language=language, **defaults)
            field._function = function
            return field

        return wrapper

    def __call__(self, db: SyncPouchDB, **options: Any) -> Record:
        """Query the view; see ``Document.query``. Raises NotFound and the errors of ``query``."""
        if self._owner is None:
            raise TypeError("a ViewField belongs to a class: declare it in the body of a Document")
        if db not in self._checked:
            self._define_in(db)
            self._checked.add(db)
        return self._owner.query(db, f"{self._design}/{self._view}", **{**self._defaults, **options})

    def _define_in(self, db: SyncPouchDB) -> None:
        """Write the view into its design document unless it is there. Raises Conflict if others keep changing it."""
        wanted = {"map": self.map_fun if self._function is None else self._registered(db, self._function)}
        if self.reduce_fun:
            wanted["reduce"] = self.reduce_fun
        attempts = 5
        for attempt in range(1, attempts + 1):
            try:
                doc = db.get(f"_design/{self._design}")
            except NotFound:
                doc = Record({"_id": f"_design/{self._design}", "language": self._language, "views": {}})
            views = doc.setdefault("views", {})
            if views.get(self._view) == wanted:
                return
            language = doc.setdefault("language", "javascript")
            if language != self._language:
                raise BadRequest(
                    f"_design/{self._design} holds functions in {language!r}: give the view {self._view!r} "
                    f"in {self._language!r} another design document"
                )
            views[self._view] = wanted
            try:
                db.put(doc)
            except Conflict:
                if attempt == attempts:
                    raise
            except (Forbidden, Unauthorized):
                # A reader queries the existing view; the query reports a missing one.
                return
            else:
                return

    def _registered(self, db: SyncPouchDB, function: Callable[..., Any]) -> str:
        name = f"{self._design}/{self._view}"
        environment: Any = db.environment
        environment.register_function(name, function)
        return name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._design!r}>"


def _source(function: Callable[..., Any]) -> str:
    """Return a function's source without its decorators, not indented."""
    lines = inspect.getsourcelines(function)[0]
    start = next((place for place, line in enumerate(lines) if line.lstrip().startswith("def ")), 0)
    return textwrap.dedent("".join(lines[start:]).rstrip())
