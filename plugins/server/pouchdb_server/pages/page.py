"""Pages that plug-ins add at ``/_utils/``: what they are, and which there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pouchdb_core.errors import NotFound, PluginError

if TYPE_CHECKING:
    from importlib.abc import Traversable

__all__ = ["Page", "by_name", "described"]

NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a plug-in: a JavaScript module, shown at ``#/plugin/{name}`` or ``#/db/{database}/plugin/{name}``.

    The module exports ``default async function (place, database)``, which puts elements into ``place`` and may return
    a function that is called when the page is left. Raises PluginError for a name that no page can have.
    """

    name: str
    """Part of its address: lower-case letters, digits and hyphens."""
    title: str
    """The text of its tab or link."""
    files: Traversable
    """A folder with the module and what it imports or links, such as ``resources.files("pouchdb_tags") / "pages"``."""
    level: Literal["server", "database"] = "database"
    """Whether it is a tab of each database or a link beside "Databases"."""
    module: str = "page.js"

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise PluginError(f"a page cannot be called {self.name!r}: lower-case letters, digits and hyphens")
        if self.level not in ("server", "database"):
            raise PluginError(f"the page {self.name!r} has the level {self.level!r}, not 'server' or 'database'")

    def read(self, name: str) -> bytes:
        """Return a file of the page. Raises NotFound; a name leads nowhere outside of the folder."""
        for each in self.files.iterdir():
            if each.name == name and each.is_file():
                return each.read_bytes()
        raise NotFound("missing")


def by_name(found: Iterable[tuple[str, Iterable[Page]]]) -> Mapping[str, Page]:
    """Return pages by their names, in the order of the plug-ins. Raises PluginError for two of one name."""
    pages: dict[str, Page] = {}
    owners: dict[str, str] = {}
    for owner, given in found:
        for page in given:
            if page.name in pages:
                raise PluginError(f"plug-ins {owners[page.name]!r} and {owner!r} both have a page {page.name!r}")
            pages[page.name], owners[page.name] = page, owner
    return MappingProxyType(pages)


def described(pages: Mapping[str, Page]) -> list[dict[str, Any]]:
    """Return what the browser needs to know of each page."""
    return [
        {"name": each.name, "title": each.title, "level": each.level, "module": f"plugins/{each.name}/{each.module}"}
        for each in pages.values()
    ]
