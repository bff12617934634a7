"""The stored form of a revision tree: a JSON list of branches, each a path with what is known of its revisions.

    [[["3-c", "2-b", "1-a"], [7, null, 5], []], [["3-d", "2-b"], [8], [0]]]

A branch is (path, bodies, deleted): revisions newest first, their bodies in the same order without the nulls at the
end, and the places of the deletions in the path. A path ends at a root or with a revision of an earlier branch. Whole
revisions instead of bare ids make it a tenth longer, but nothing has to be assembled when it is read.
"""

from collections.abc import Iterable

import orjson

Branch = tuple[list[str], list[int | None], list[int]]

# Nearly all generations there are, so that reading a path formats no numbers.
_PREFIXES = tuple(f"{number}-" for number in range(1025))


class InvalidTree(ValueError):
    """The stored bytes are not a revision tree."""


def read_branches(data: bytes) -> list[Branch]:
    """Read what `write_branches` wrote; raises InvalidTree for anything else.

    Generations are checked throughout, since one that does not go down could make a walk endless; the
    spelling of the ids is not.
    """
    try:
        branches: list[Branch] = orjson.loads(data)
        for path, bodies, deleted in branches:
            newest = int(path[0].partition("-")[0])
            oldest = newest - len(path) + 1
            if oldest < 1 or not all(map(str.startswith, path, _prefixes(newest, oldest))):
                raise InvalidTree("the generations of a path do not go down one by one to 1 or more")
            if len(bodies) > len(path):
                raise InvalidTree("a path has more bodies than revisions")
            for body in bodies:
                if type(body) is not int and body is not None:
                    raise InvalidTree("a body is not a number")
            for place in deleted:
                if type(place) is not int or not 0 <= place < len(path):
                    raise InvalidTree("a deletion is marked outside its path")
    except InvalidTree:
        raise
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise InvalidTree(f"not a stored revision tree: {error}") from error
    return branches


def _prefixes(newest: int, oldest: int) -> Iterable[str]:
    if newest < len(_PREFIXES):
        return _PREFIXES[newest : oldest - 1 : -1]
    return map("%d-".__mod__, range(newest, oldest - 1, -1))


def write_branches(branches: list[Branch]) -> bytes:
    """Return the bytes of these branches, the same for equal ones."""
    return orjson.dumps(branches)
