"""Where this server answers otherwise than the recordings, on purpose: docs/http-coverage.md shows the same list."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ON_PURPOSE", "Purpose"]


class Purpose(NamedTuple):
    """A reason, and the exchanges that differ for it: ``{(recording, scenario): steps}``."""

    why: str
    where: dict[tuple[str, str], tuple[int, ...]]


ON_PURPOSE = (
    Purpose(
        "Databases are not partitioned and nothing is to be resharded, so `features` names neither",
        {("core", "server/about"): (1,), ("users", "users/access"): (23, 48, 73, 98)},
    ),
    Purpose(
        "Text that JavaScript can have is stored: a lone surrogate, escaped in the JSON, is kept instead of refused",
        {("core", "doc/numbers"): (7,)},
    ),
    Purpose(
        "Attachments are not packed with gzip: digests are those of the content, every type has ranges, and an `ETag` "
        "is the digest that clients can compute",
        {("core", "attachments"): (2, 5, 9, 10, 19), ("core", "attachments/inline"): (2, 5)},
    ),
    Purpose(
        "A commit is on the disk when it is answered: an index never waits for one",
        {("core", "views/reduce"): (23,)},
    ),
    Purpose(
        "A `_local` document is not overwritten by who has not seen it: 409, where the last writer wins in CouchDB 3.5",
        {("core", "local"): (3,), ("users", "users/access"): (63,)},
    ),
    Purpose(
        "What a provider makes as JSON is sent: CouchDB loses it and answers nothing",
        {("couchapp", "show/negotiate"): (2, 3, 10)},
    ),
    Purpose(
        "The document of an update function is saved like any other: a revision that is no leaf is a conflict",
        {("couchapp", "update/doc"): (12,)},
    ),
)
