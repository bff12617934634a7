"""Running the code blocks of a Markdown document, in order, as one program.

Lines that begin with ``#> `` are what the code above them prints; ``...`` stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"^\s*#> ?(.*)$", re.MULTILINE)
LANGUAGES = {"python", "sh", "text"}


def blocks(document: Path) -> Iterator[tuple[str, int, str]]:
    """Yield (language, line, text) of the fenced blocks of a document."""
    text = document.read_text("utf-8")
    for match in BLOCK.finditer(text):
        yield match[1], text.count("\n", 0, match.start(2)) + 1, match[2]


def run(document: Path, namespace: dict[str, Any]) -> int:
    """Run the Python blocks of a document and compare what they print. Returns how many there were."""
    count = 0
    for language, line, text in blocks(document):
        assert language in LANGUAGES, f"{document.name}:{line} is {language!r}"
        if language != "python":
            continue
        count += 1
        # Blank lines before it, so that a traceback names the line of the document.
        code = compile("\n" * (line - 1) + text, str(document), "exec", dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        expected = "".join(f"{each}\n" for each in EXPECTED.findall(text))
        same = doctest.OutputChecker().check_output(expected, printed.getvalue(), doctest.ELLIPSIS)
        assert same, f"{document.name}:{line} says\n{expected}\nand prints\n{printed.getvalue()}"
    return count


@pytest.fixture
def run_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Run a document of the project, by its path, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda path: run(ROOT / path, {"__name__": "__main__"})
