"""Puts the documents of the repository together for mkdocs: ``python website/assemble.py build/site/source``.

The folders stay as they are, so the links between documents go on leading somewhere; what is linked and is no document
comes along. The reference is made from the classes: a page for each, with one entry for each method.
"""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
# Entries of the reference that are not methods: title, introduction, modules.
MODULES = (
    (
        "feeds",
        "Feeds, replications, results",
        "What calls return that goes on, or is more than JSON.",
        "live.live_feed live.live_replication results tables",
    ),
    ("errors", "Errors", "Every error is a `PouchDBError` with `status`, `name` and `message`.", "errors"),
    ("hookspecs", "Hook specifications", "The guide is [Hooks](../hooks.md).", "hookspecs"),
    ("requests", "Requests", "The guide is [What hooks get](../plugin-objects.md).", "requests"),
    ("testing", "Testing", "For your own tests.", "testing.server testing.fixtures testing.commands"),
)


def documents() -> Iterator[Path]:
    """Yield the documents of the site."""
    yield from sorted(path for path in ROOT.glob("*.md"))
    for folder in ("docs", "plugins", "examples", "bench"):
        yield from sorted(
            path
            for path in (ROOT / folder).rglob("*.md")
            if not {"node_modules", "tests", "results.md"} & set(path.parts)
        )


def copy(source: Path, target: Path) -> None:
    to = target / source.relative_to(ROOT)
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        # A folder is shown by its document; one without has no page.
        return
    shutil.copy(source, to)


def assemble(target: Path) -> None:
    """Write the source of the site into an empty folder."""
    for document in documents():
        copy(document, target)
        to = target / document.relative_to(ROOT)
        text = document.read_text("utf-8")
        for link in LINK.findall(text):
            linked = (document.parent / link).resolve()
            if linked.is_file() and linked.suffix != ".md":
                copy(linked, target)
            elif linked.is_dir():
                page = linked / "README.md"
                text = text.replace(f"]({link})", f"]({link.rstrip('/')}/README.md)" if page.exists() else "](#)")
        to.write_text(_listed(text), "utf-8")
    copy(ROOT / "website" / "iframe-worker.js", target)
    for name, text in reference():
        page = target / "docs" / "reference" / f"{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, "utf-8")


def _listed(text: str) -> str:
    """Give lists the blank line before them that Python's Markdown wants; GitHub's needs none. Code stays as it is."""
    lines: list[str] = []
    code = False
    for line in text.splitlines():
        code ^= line.startswith("```")
        item = re.match(r"(- |\d+\. )", line) is not None
        if item and not code and lines and lines[-1].strip() and not re.match(r"(- |\d+\. | )", lines[-1]):
            lines.append("")
        lines.append(line)
    return "\n".join(lines) + "\n"


def reference() -> Iterator[tuple[str, str]]:
    """Yield the pages of the reference: their names and texts."""
    import pouchdb
    from pouchdb.setup import installed_plugins
    from pouchdb_core.plugins import Plugins

    yield "database", _methods("Databases", "db", _operations(pouchdb.SyncPouchDB))
    yield "environment", _methods("Environments", "env", _operations(pouchdb.SyncEnvironment), setup=True)
    loaded = Plugins(list(installed_plugins()))
    for kind, variable in (("database_methods", "db"), ("environment_methods", "env")):
        found = [(each.name, each) for _, each in sorted(getattr(loaded, kind)(), key=lambda pair: pair[0])]
        title = "Methods of plug-ins: databases" if variable == "db" else "Methods of plug-ins: environments"
        yield f"plugins-{variable}", _methods(title, variable, found)
    for name, title, text, modules in MODULES:
        entries = "\n".join(
            f"::: pouchdb_core.{module}\n    options:\n      show_root_heading: true\n" for module in modules.split()
        )
        yield name, f"# {title}\n\n{text}\n\n{entries}"


def _operations(cls: type) -> list[tuple[str, Any]]:
    """Return the methods that are made of functions, by their first name."""
    found: dict[int, tuple[str, Any]] = {}
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if hasattr(value, "function") and not name.startswith("_"):
                found.setdefault(id(value), (name, value))
    return sorted(found.values(), key=lambda pair: pair[0])


def _methods(title: str, variable: str, methods: Iterable[tuple[str, Any]], setup: bool = False) -> str:
    lines = [
        f"# {title}",
        "",
        f"Each is a method: `{variable}.name(...)`. The first parameter of the functions below is `{variable}` itself.",
        "Synchronous objects return the result; asynchronous ones take the same arguments and return a promise of it.",
        "Every method has a camelCase spelling too.",
        "",
    ]
    if setup:
        lines += ["::: pouchdb.setup.setup", "    options:", "      show_root_heading: true", ""]
    for name, method in methods:
        function = method.function
        where = f"{function.__module__}.{function.__qualname__}"
        if getattr(importlib.import_module(function.__module__), function.__name__, None) is not function:
            continue
        lines += [f"::: {where}", "    options:", f"      heading: {variable}.{name}", f"      toc_label: {name}"]
        lines += ["      show_root_heading: true", ""]
    return "\n".join(lines)


def main() -> int:
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    assemble(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
