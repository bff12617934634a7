"""Output: for people on a terminal, as plain lines into a pipe, as JSON for scripts."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.json import JSON
from rich.table import Table
from rich.text import Text

from pouchdb.cli.status import Failure, redacted

__all__ = ["Output", "bytes_text", "counted", "json_text", "shown"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(value: object) -> str:
    """Return a value as text that is safe for a terminal: ids and bodies may hold control codes."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], str(value))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 document`` and ``2 documents``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def bytes_text(number: int) -> str:
    """Return a number of bytes in a readable unit."""
    size = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("every size has a unit")


class Output:
    """Where a command prints. ``json`` asks for lines of JSON."""

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                # A character that the terminal lacks is not a reason to fail.
                stream.reconfigure(errors="backslashreplace")
        self.json = False
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.secrets: dict[str, str] = {}
        """Strings that are never shown, and their replacements."""

    @property
    def terminal(self) -> bool:
        """Whether the output is a terminal."""
        return self.console.is_terminal and not self.json

    @property
    def animated(self) -> bool:
        """Whether lines may be redrawn: progress goes to the error stream, so that a pipe stays clean."""
        return self.errors.is_terminal and not self.errors.is_dumb_terminal and not self.json

    def can_draw(self, text: str) -> bool:
        """Return whether the terminal or file has these characters."""
        try:
            text.encode(self.console.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    # -- results -----------------------------------------------------------------------------------

    def line(self, value: object = "", style: str = "") -> None:
        """Print a line for people."""
        self.console.print(Text(shown(value), style=style))

    def styled(self, *parts: str | tuple[str, str]) -> None:
        """Print a line of strings and (text, style) pairs."""
        self.console.print(
            Text.assemble(*(shown(part) if isinstance(part, str) else (shown(part[0]), part[1]) for part in parts))
        )

    def data(self, value: Any) -> None:
        """Print one line of JSON: the form for ``--json``."""
        sys.stdout.write(json_text(value, separators=(",", ":")) + "\n")
        if not os.environ.get("PYTHONUNBUFFERED") and self.json:
            # The reader of a feed needs its rows when they come.
            sys.stdout.flush()

    def document(self, value: Any) -> None:
        """Print JSON: one line for scripts, over many for people."""
        if self.json:
            self.data(value)
            return
        text = json_text(value, indent=2)
        if self.terminal:
            self.console.print(JSON(text, ensure_ascii=False), soft_wrap=True)
        else:
            sys.stdout.write(text + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table for people; into a pipe only its rows, cells separated by tabs, nothing cut."""
        if not self.terminal:
            for row in rows:
                sys.stdout.write("\t".join(shown(cell) for cell in row) + "\n")
            return
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(shown(cell)) for cell in row))
        self.console.print(table, soft_wrap=False)

    def pairs(self, values: Mapping[str, object]) -> None:
        """Print names and values, one below the other."""
        if self.json:
            self.data(dict(values))
        elif self.terminal:
            width = max(map(len, values), default=0) + 2
            for name, value in values.items():
                self.styled((name.ljust(width), "bold"), shown(_plain(value)))
        else:
            self.table((), ((name, _plain(value)) for name, value in values.items()))

    # -- messages beside the results -------------------------------------------------------------

    def note(self, text: object) -> None:
        """Print a message for people, not for scripts."""
        if not self.json:
            self.errors.print(Text(self.safe(shown(text)), style="dim"))

    def warn(self, text: object) -> None:
        """Print a message on the error stream, for scripts too."""
        if self.json:
            sys.stderr.write(json_text({"warning": self.safe(str(text))}) + "\n")
        else:
            self.errors.print(Text.assemble(("warning: ", "yellow"), self.safe(shown(text))))

    def failed(self, failure: Failure) -> None:
        """Print why the command ends."""
        message, hint = self.safe(failure.message), self.safe(failure.hint)
        if self.json:
            about = {"error": "failed", "reason": message, **failure.details, "exit": int(failure.exit)}
            if hint:
                about["hint"] = hint
            sys.stderr.write(self.safe(json_text(about, default=str)) + "\n")
            return
        self.errors.print(Text.assemble(("pouchdb: ", "bold red"), shown(message)))
        if hint:
            for line in hint.splitlines():
                self.errors.print(Text(f"  {shown(line)}", style="dim"))

    def safe(self, text: str) -> str:
        """Return a text without credentials."""
        for secret, instead in self.secrets.items():
            text = text.replace(secret, instead)
        return redacted(text)


# json leaves these as they are; a terminal may obey the first two, and lone surrogates cannot be written.
_ESCAPED: Mapping[int, str] = {
    code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0xD800, 0xE000))
}


def json_text(value: Any, **options: Any) -> str:
    """Return JSON as it may be printed; ``options`` are those of ``json.dumps``."""
    return json.dumps(value, ensure_ascii=False, **options).translate(_ESCAPED)


def _plain(value: object) -> object:
    if isinstance(value, (dict, list)):
        return json_text(value)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value


Printer = Callable[[object], None]
