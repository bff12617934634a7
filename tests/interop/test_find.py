"""pouchdb-find on node: the same questions of the same documents, to its own database, to our server, and to ours here.

The kinds of questions are those of PouchDB's own find suite. Where PouchDB and CouchDB differ, ours is CouchDB's, and
the table below says what PouchDB finds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb_core.testing.server import couch_server

pytest.importorskip("pouchdb_server")
pytest.importorskip("pouchdb_find")

numbers = itertools.count()
HEROES = [
    {"_id": "mario", "name": "mario", "rank": 5, "series": "mario", "debut": 1981, "gear": ["cap", "star"]},
    {"_id": "puff", "name": "jigglypuff", "rank": 8, "series": "pokemon", "debut": 1996, "size": {"h": 0.5}},
    {"_id": "link", "name": "link", "rank": 10, "series": "zelda", "debut": 1986, "gear": ["sword", "bow"]},
    {"_id": "dk", "name": "donkey kong", "rank": 7, "series": "mario", "debut": 1981, "size": {"h": 3, "w": 200}},
    {"_id": "pikachu", "name": "pikachu", "rank": 1, "series": "pokemon", "debut": 1996, "gear": []},
    {"_id": "falcon", "name": "captain falcon", "rank": 4, "series": "f-zero", "debut": 1990},
    {"_id": "luigi", "name": "luigi", "rank": 11, "series": "mario", "debut": 1983, "fear": None},
    {"_id": "fox", "name": "fox", "rank": 3, "series": "star fox", "debut": 1993, "mates": [{"n": "peppy", "age": 41}]},
    {"_id": "ness", "name": "ness", "rank": 9, "series": "earthbound", "debut": 1994, "fear": False},
    {"_id": "samus", "name": "samus", "rank": 12, "series": "metroid", "debut": 1986, "mates": []},
    {"_id": "yoshi", "name": "yoshi", "rank": 6, "series": "mario", "debut": 1990, "a.b": "dot", "$odd": 1},
    {"_id": "kirby", "name": "kirby", "rank": 2, "series": "kirby", "debut": 1992, "a": {"b": "deep", "0": "zero"}},
]
INDEXES = [
    {"index": {"fields": fields}, "name": "-".join(fields)}
    for fields in (["rank"], ["series"], ["debut"], ["name"], ["name", "rank"], ["series", "debut", "rank"], ["size.h"])
]
SELECTORS: list[dict[str, Any]] = [
    {"series": "mario"},
    {"series": {"$eq": "mario"}, "rank": {"$gt": 5}},
    {"rank": {"$gt": 3, "$lte": 8}},
    {"rank": {"$gte": 3}, "debut": {"$lt": 1990}},
    {"$and": [{"rank": {"$gt": 2}}, {"rank": {"$lt": 9}}, {"series": "mario"}]},
    {"$and": [{"_id": {"$gte": "kirby"}}, {"_id": {"$lte": "mario"}}]},
    {"_id": "fox"},
    {"_id": {"$gt": None}},
    {"_id": {"$in": ["fox", "none", "mario"]}},
    {"_id": {"$ne": "fox"}},
    {"_id": {"$gt": "kirby"}, "debut": {"$lt": 1996}},
    {"$or": [{"series": "pokemon"}, {"rank": {"$lt": 3}}]},
    {"$or": [{"series": "pokemon"}, {"debut": 1981}], "rank": {"$gt": 5}},
    {"$or": [{"_id": "fox"}, {"name": "none"}]},
    {"$nor": [{"series": "mario"}, {"series": "pokemon"}]},
    {"$not": {"series": "mario"}},
    {"rank": {"$gt": 1}, "$not": {"debut": {"$gt": 1985}}},
    {"series": {"$in": ["mario", "zelda"]}},
    {"rank": {"$in": [1, 12, 99]}},
    {"series": {"$nin": ["mario", "pokemon"]}},
    {"series": {"$in": []}},
    {"gear": {"$in": ["cap"]}},
    {"gear": {"$all": ["sword", "bow"]}},
    {"gear": {"$all": ["sword", "cap"]}},
    {"gear": {"$size": 2}},
    {"gear": {"$size": 0}},
    {"gear": {"$elemMatch": {"$eq": "star"}}},
    {"gear": ["cap", "star"]},
    {"mates": {"$elemMatch": {"n": "peppy"}}},
    {"mates": {"$elemMatch": {"age": {"$gt": 40, "$lt": 42}}}},
    {"mates": {"$elemMatch": {"age": {"$gt": 41}}}},
    {"mates": {"$allMatch": {"age": {"$gt": 40}}}},
    {"mates.0.age": 41},
    {"rank": {"$mod": [4, 0]}},
    {"rank": {"$mod": [5, 1]}},
    {"name": {"$regex": "^k"}},
    {"name": {"$regex": "o.*o"}, "series": "mario"},
    {"rank": {"$type": "number"}, "series": {"$type": "string"}},
    {"fear": {"$type": "null"}},
    {"fear": {"$type": "boolean"}},
    {"gear": {"$type": "array"}},
    {"size": {"$type": "object"}},
    {"fear": {"$exists": True}},
    {"gear": {"$exists": False}},
    {"size.w": {"$exists": True}},
    {"fear": None},
    {"fear": {"$gte": None}},
    {"fear": False},
    {"size.h": {"$gt": 1}},
    {"size": {"h": 0.5}},
    {"size.h": 3},
    {"a.b": "deep"},
    {"a\\.b": "dot"},
    {"\\$odd": 1},
    {"debut": {"$gt": "1990"}},
    {"debut": {"$lt": "1990"}},
    {"rank": {"$gt": 8, "$lt": 3}},
    {"rank": 5, "debut": 1982},
    {"name": {"$gte": "l", "$lt": "m"}, "rank": {"$gt": 10}},
    {"series": {"$gt": None}, "debut": {"$gte": 1990}, "rank": {"$lte": 6}},
    {},
]
SORTED: list[dict[str, Any]] = [
    {"selector": {"rank": {"$gt": 5}}, "sort": ["rank"]},
    {"selector": {"rank": {"$gt": 5}}, "sort": [{"rank": "desc"}]},
    {"selector": {"rank": {"$gt": 5}}, "sort": [{"rank": "desc"}], "limit": 3, "skip": 2},
    {"selector": {"name": {"$gt": None}}, "sort": ["name", "rank"], "limit": 4},
    {
        "selector": {"series": {"$gte": "m"}, "debut": {"$gt": 1980}, "rank": {"$gt": 0}},
        "sort": ["series", "debut", "rank"],
    },
    {"selector": {"_id": {"$gt": "k"}}, "sort": ["_id"], "limit": 3},
    {"selector": {"_id": {"$gt": "k"}}, "sort": [{"_id": "desc"}], "skip": 1},
    {"selector": {"rank": {"$gt": 5}}, "sort": ["rank"], "fields": ["rank"]},
    {"selector": {"rank": {"$gt": 10}}, "sort": ["rank"], "fields": ["_id", "size.h", "gear", "none"]},
    {"selector": {"rank": {"$gt": 5}}, "sort": ["rank"], "limit": 0},
]
OURS: list[dict[str, Any]] = [
    {"selector": {"series": {"$not": {"$eq": "mario"}}, "rank": {"$lt": 3}}},
    {"selector": {"gear": {"$allMatch": {"$regex": "s|o"}}}},
    {"selector": {"name": {"$regex": "(?i)FOX"}}},
    {"selector": {"series": "mario"}, "use_index": "none"},
]
"""What PouchDB does not take, and CouchDB does."""
THEIRS: list[dict[str, Any]] = [
    {"selector": {"series": "mario", "debut": {"$gt": 1980}}, "sort": ["series", "debut"]},
]
"""What PouchDB takes: an index with a field that the selector does not ask for, without documents that lack it."""
REFUSED: list[dict[str, Any]] = [
    {},
    {"selector": None},
    {"selector": {"rank": {"$bogus": 1}}},
    {"selector": {"rank": {"$gt": 1}}, "sort": {"rank": "asc"}},
    {"selector": {"rank": {"$gt": 1}}, "sort": ["gear"]},
    {"selector": {"rank": {"$gt": 1}}, "sort": [{"rank": "asc"}, {"debut": "desc"}]},
    {"selector": {"rank": {"$mod": "x"}}},
    {"selector": {"rank": {"$mod": [0, 1]}}},
    {"selector": {"gear": {"$size": "x"}}},
    {"selector": {"gear": {"$all": "x"}}},
    {"selector": {"series": {"$in": "x"}}},
    {"selector": {"fear": {"$exists": "x"}}},
    {"selector": {"$or": {}}},
    {"selector": {"name": {"$regex": "("}}},
    {"selector": {"rank": 1}, "limit": -1},
    {"selector": {"rank": 1}, "skip": "x"},
]


class Answers:
    """What each of the three answers to all requests, asked once."""

    def __init__(self, peer: Any, server: Any, environment: Any) -> None:
        requests = [*({"selector": selector} for selector in SELECTORS), *SORTED, *REFUSED, *OURS, *THEIRS]
        name = f"heroes{next(numbers)}"
        url = f"{server.url}/{name}"
        for each in ("local", url):
            peer("bulk", each, HEROES)
        self.pouchdb = peer("find", "local", INDEXES, requests)
        self.server = peer("find", url, INDEXES, requests)
        db = environment["here"]
        db.bulk_docs(HEROES)
        for index in INDEXES:
            db.create_index(index)
        self.here = [_asked(db, request) for request in requests]


def _asked(db: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"docs": [dict(doc) for doc in db.find(request)["docs"]]}
    except pouchdb.PouchDBError as error:
        return {"status": error.status}


def ids(answer: dict[str, Any]) -> list[str]:
    assert "docs" in answer, answer
    return sorted(doc["_id"] for doc in answer["docs"])


@pytest.fixture(scope="module")
def answers(lasting_peer: Any) -> Iterator[Answers]:
    with pouchdb.setup(":memory:") as environment, couch_server(environment) as server:
        yield Answers(lasting_peer, server, environment)


@pytest.mark.parametrize("number", range(len(SELECTORS)), ids=[str(each) for each in SELECTORS])
def test_the_same_documents_are_found(answers: Answers, number: int) -> None:
    assert ids(answers.server[number]) == ids(answers.here[number])
    assert ids(answers.here[number]) == ids(answers.pouchdb[number])


@pytest.mark.parametrize("number", range(len(SORTED)), ids=[str(each) for each in SORTED])
def test_in_the_same_order(answers: Answers, number: int) -> None:
    place = len(SELECTORS) + number
    assert answers.server[place] == answers.here[place] == answers.pouchdb[place]


@pytest.mark.parametrize("number", range(len(REFUSED)), ids=[str(each) for each in REFUSED])
def test_the_same_requests_are_refused(answers: Answers, number: int) -> None:
    place = len(SELECTORS) + len(SORTED) + number
    assert answers.here[place] == {"status": 400}
    assert "status" in answers.server[place]
    assert "status" in answers.pouchdb[place]


def test_what_only_one_of_them_takes(answers: Answers) -> None:
    place = len(SELECTORS) + len(SORTED) + len(REFUSED)
    for number in range(place, place + len(OURS)):
        assert ids(answers.server[number]) == ids(answers.here[number]) != []
        assert answers.pouchdb[number] == {"status": 400}
    for number in range(place + len(OURS), place + len(OURS) + len(THEIRS)):
        assert answers.server[number] == answers.here[number] == {"status": 400}
        assert ids(answers.pouchdb[number]) != []
