"""Runs the Python blocks of a Markdown document, in order, as one program; needs the standard library only.

    python run_document.py [--paste] document.md

Lines that begin with ``#> `` are what the code above them prints; ``...`` stands for anything. With ``--paste`` the
blocks are entered line by line as at Python's prompt, where a blank line ends a function and a loop needs one.
"""

from __future__ import annotations

import code
import contextlib
import doctest
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"^\s*#> ?(.*)$", re.MULTILINE)
LANGUAGES = {"python", "sh", "text", "nginx", "yaml", "ini", "docker", "json", "javascript"}


def blocks(document: Path) -> Iterator[tuple[str, int, str]]:
    """Yield (language, line, text) of the fenced blocks of a document."""
    text = document.read_text("utf-8")
    for match in BLOCK.finditer(text):
        yield match[1], text.count("\n", 0, match.start(2)) + 1, match[2]


def run(document: Path, namespace: dict[str, Any], paste: bool = False) -> int:
    """Run the Python blocks of a document and compare what they print. Returns how many there were."""
    count = 0
    for language, line, text in blocks(document):
        assert language in LANGUAGES, f"{document.name}:{line} is {language!r}"
        if language != "python":
            continue
        count += 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if paste:
                enter(text, namespace, f"{document.name}:{line}")
            else:
                # Blank lines before it, so that a traceback names the line of the document.
                exec(compile("\n" * (line - 1) + text, str(document), "exec", dont_inherit=True), namespace)
        expected = "".join(f"{each}\n" for each in EXPECTED.findall(text))
        same = doctest.OutputChecker().check_output(expected, printed.getvalue(), doctest.ELLIPSIS)
        assert same, f"{document.name}:{line} says\n{expected}\nand prints\n{printed.getvalue()}"
    return count


class Prompt(code.InteractiveConsole):
    """Python's prompt, where an error is the end."""

    def showsyntaxerror(self, *arguments: Any, **options: Any) -> None:
        raise sys.exc_info()[1] or AssertionError("a syntax error")

    def showtraceback(self) -> None:
        raise sys.exc_info()[1] or AssertionError("an error")


def enter(text: str, namespace: dict[str, Any], name: str) -> None:
    """Enter a block at the prompt, line by line, with the Enter that ends what is open. Raises what goes wrong."""
    prompt = Prompt(namespace, name)
    display, sys.displayhook = sys.displayhook, lambda value: None
    try:
        for line in [*text.splitlines(), ""]:
            more = prompt.push(line)
        assert not more, f"{name}: the block is not complete"
    finally:
        sys.displayhook = display


def main() -> int:
    paste = "--paste" in sys.argv
    (document,) = (word for word in sys.argv[1:] if word != "--paste")
    count = run(Path(document), {"__name__": "__main__"}, paste)
    sys.stdout.write(f"{Path(document).name}: {count} blocks{' at the prompt' if paste else ''}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
