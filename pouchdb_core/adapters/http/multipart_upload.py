"""Documents with their attachments as ``multipart/related``: sent as a stream, never whole in memory."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pouchdb_core.jsontext import dump

__all__ = ["Part", "Related", "can_carry", "related"]

# What every server's header parser accepts; attachments with other names are sent as base64 in the document.
_PLAIN_NAME = re.compile(r"[\w .,;:/()\[\]{}@!$#'=~+-]*")


class Part(NamedTuple):
    """The content of one attachment."""

    name: str
    content_type: str
    length: int
    chunks: Callable[[], Iterator[bytes]]
    """Returns the content from its beginning at each call."""


class Related(NamedTuple):
    """A body to send."""

    headers: Mapping[str, str]
    body: Callable[[], Iterator[bytes]]


def can_carry(name: str, content_type: str) -> bool:
    """Return whether the name of an attachment can stand in a header."""
    return bool(_PLAIN_NAME.fullmatch(name)) and content_type.isprintable() and content_type.isascii()


def related(doc: Mapping[str, Any], parts: Sequence[Part]) -> Related:
    """Return a document and the attachments that follow it, in the order of its ``_attachments``."""
    boundary = uuid.uuid4().hex
    first = f"--{boundary}\r\nContent-Type: application/json\r\n\r\n".encode() + dump(doc)
    heads = [
        (
            f"\r\n--{boundary}\r\n"
            f'Content-Disposition: attachment; filename="{part.name}"\r\n'
            f"Content-Type: {part.content_type}\r\n"
            f"Content-Length: {part.length}\r\n\r\n"
        ).encode()
        for part in parts
    ]
    last = f"\r\n--{boundary}--".encode()
    length = len(first) + sum(map(len, heads)) + sum(part.length for part in parts) + len(last)

    def body() -> Iterator[bytes]:
        yield first
        for head, part in zip(heads, parts, strict=True):
            yield head
            yield from part.chunks()
        yield last

    headers = {"content-type": f'multipart/related; boundary="{boundary}"', "content-length": str(length)}
    return Related(headers, body)
