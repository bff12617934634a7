"""What users do to a replica."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any

from replicas.oracle import Oracle
from replicas.replica import Replica

from pouchdb_core.errors import Conflict, NotFound

__all__ = ["Actions", "seeded"]

SHARED = (b"", b"shared", b"shared too", b"x" * 3000)
DEEPEST = 5
"""Generations a document gets between two healings where replicas forget old revisions."""


class Actions:
    """Does one thing to a replica; what it wrote goes to the oracle."""

    def __init__(self, ids: tuple[str, ...], oracle: Oracle, revs_limit: int | None, *, purges: bool) -> None:
        self._ids, self._oracle, self._revs_limit = ids, oracle, revs_limit
        self._count = 0
        self._weights: dict[Callable[[Replica, random.Random], str], float] = {
            self.create: 14,
            self.edit: 22,
            self.delete: 8,
            self.graft: 8,
            self.force: 3,
            self.attach: 6,
            self.detach: 2,
            self.bulk: 8,
            self.atomic: 4,
            self.resolve: 4,
            self.compact: 3,
            self.local: 3,
            self.purge: 4 if purges else 0,
            self.limit: 2 if revs_limit else 0,
        }

    def act(self, replica: Replica, chance: random.Random) -> str:
        """Do something; return what it was."""
        kinds, weights = list(self._weights), list(self._weights.values())
        kind = chance.choices(kinds, weights)[0]
        done = kind(replica, chance)
        return f"{replica.name}: {kind.__name__} {done}"

    # -- content ---------------------------------------------------------------------------------

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _body(self, replica: Replica, chance: random.Random) -> dict[str, Any]:
        if chance.random() < 0.15:
            # The same edit on several replicas is one revision.
            body: dict[str, Any] = {"same": chance.randrange(3)}
        else:
            body = {"n": self._number(), "by": replica.name}
        if chance.random() < 0.1:
            body["text"] = "é\ud800" * chance.randrange(1, 200)
        if chance.random() < 0.2:
            body["_attachments"] = {
                name: {"content_type": "text/plain", "data": base64.b64encode(self._content(chance)).decode()}
                for name in chance.sample(["one", "två", "three"], chance.randrange(1, 3))
            }
        return body

    def _content(self, chance: random.Random) -> bytes:
        if chance.random() < 0.6:
            return chance.choice(SHARED)
        return b"%d" % self._number() * chance.randrange(1, 2000)

    def _leaf(self, replica: Replica, chance: random.Random, *, deleted: bool | None = None) -> Any:
        """Return a leaf of some document that may still be edited, with its attachments as stubs, or None."""
        for id in chance.sample(self._ids, len(self._ids)):
            try:
                answers = replica.db.open_revs(id, "all", revs=True)
            except NotFound:
                continue
            found = [
                each["ok"]
                for each in answers
                if (deleted is None or bool(each["ok"].get("_deleted")) is deleted)
                and self._may_grow(id, each["ok"]["_rev"])
            ]
            if found:
                # The winner most of the time.
                return found[0] if chance.random() < 0.7 else chance.choice(found)
        return None

    def _may_grow(self, id: str, rev: str, by: int = 1) -> bool:
        return self._revs_limit is None or self._oracle.depth(id, rev) + by <= DEEPEST

    def _wrote(self, replica: Replica, *ids: str) -> str:
        self._oracle.observe(replica.db, ids)
        return ", ".join(map(repr, ids))

    # -- writes ----------------------------------------------------------------------------------

    def create(self, replica: Replica, chance: random.Random) -> str:
        """Make a document; over a tombstone, make it again."""
        id = chance.choice(self._ids)
        try:
            head = replica.db.all_docs(keys=[id])["rows"][0]
            if "value" in head and not self._may_grow(id, head["value"]["rev"]):
                return "nothing"
            answer = replica.db.put({"_id": id, **self._body(replica, chance)})
        except Conflict:
            return f"{id!r}: conflict"
        return f"{self._wrote(replica, id)} {answer['rev']}"

    def edit(self, replica: Replica, chance: random.Random) -> str:
        doc = self._leaf(replica, chance, deleted=False if chance.random() < 0.9 else None)
        if doc is None:
            return "nothing"
        return self._edited(replica, chance, doc, self._body(replica, chance))

    def _edited(self, replica: Replica, chance: random.Random, doc: Any, body: dict[str, Any]) -> str:
        if "_attachments" in doc and chance.random() < 0.7:
            body["_attachments"] = {**doc["_attachments"], **body.get("_attachments", {})}
        try:
            answer = replica.db.put({"_id": doc["_id"], "_rev": doc["_rev"], **body})
        except Conflict:
            # The same edit was made already.
            return f"{doc['_id']!r}: conflict"
        return f"{self._wrote(replica, doc['_id'])} {doc['_rev']} -> {answer['rev']}"

    def delete(self, replica: Replica, chance: random.Random) -> str:
        doc = self._leaf(replica, chance, deleted=False)
        if doc is None:
            return "nothing"
        if chance.random() < 0.3:
            return self._edited(replica, chance, doc, {"why": self._number(), "_deleted": True})
        answer = replica.db.remove(doc["_id"], doc["_rev"])
        return f"{self._wrote(replica, doc['_id'])} {doc['_rev']} -> {answer['rev']}"

    def graft(self, replica: Replica, chance: random.Random) -> str:
        """Write a revision as a replica that we do not know made it."""
        doc = self._leaf(replica, chance)
        new = [f"{chance.getrandbits(128):032x}" for _ in range(chance.choice([1, 1, 1, 2, 4]))]
        if doc is None or chance.random() < 0.1:
            id, start, older = chance.choice(self._ids), 0, []
        else:
            id, start, older = doc["_id"], doc["_revisions"]["start"], doc["_revisions"]["ids"]
            drop = chance.randrange(min(len(older), 3))
            start, older = start - drop, older[drop:]
            if not self._may_grow(id, f"{start}-{older[0]}", len(new)):
                return "nothing"
        number = start + len(new)
        given = {"_id": id, **self._body(replica, chance), "_rev": f"{number}-{new[0]}"}
        given["_revisions"] = {"start": number, "ids": [*new, *older]}
        if chance.random() < 0.2:
            given["_deleted"] = True
        errors = replica.db.bulk_docs([given], new_edits=False)
        assert errors == [], errors
        return f"{self._wrote(replica, id)} {given['_rev']} on {older[:1]}"

    def force(self, replica: Replica, chance: random.Random) -> str:
        doc = self._leaf(replica, chance, deleted=False)
        if doc is None:
            return "nothing"
        body = {key: value for key, value in self._body(replica, chance).items() if key != "_attachments"}
        answer = replica.db.put({"_id": doc["_id"], "_rev": doc["_rev"], **body}, force=True)
        return f"{self._wrote(replica, doc['_id'])} {doc['_rev']} -> {answer['rev']}"

    def attach(self, replica: Replica, chance: random.Random) -> str:
        doc = self._leaf(replica, chance, deleted=False)
        if doc is None:
            return "nothing"
        name = chance.choice(["one", "två", "big"])
        try:
            answer = replica.db.put_attachment(doc["_id"], name, self._content(chance), "text/plain", doc["_rev"])
        except Conflict:
            return f"{doc['_id']!r}: conflict"
        return f"{self._wrote(replica, doc['_id'])} {name} {doc['_rev']} -> {answer['rev']}"

    def detach(self, replica: Replica, chance: random.Random) -> str:
        doc = self._leaf(replica, chance, deleted=False)
        if doc is None or "_attachments" not in doc:
            return "nothing"
        name = chance.choice(sorted(doc["_attachments"]))
        try:
            answer = replica.db.remove_attachment(doc["_id"], name, doc["_rev"])
        except Conflict:
            return f"{doc['_id']!r}: conflict"
        return f"{self._wrote(replica, doc['_id'])} {name} {doc['_rev']} -> {answer['rev']}"

    def _many(self, replica: Replica, chance: random.Random) -> dict[str, Any]:
        docs: dict[str, Any] = {}
        for _ in range(chance.randrange(1, 5)):
            doc = self._leaf(replica, chance, deleted=False)
            if doc is not None and chance.random() < 0.7:
                docs[doc["_id"]] = {"_id": doc["_id"], "_rev": doc["_rev"], **self._body(replica, chance)}
            else:
                id = chance.choice(self._ids)
                head = replica.db.all_docs(keys=[id])["rows"][0]
                if "value" not in head or self._may_grow(id, head["value"]["rev"]):
                    docs[id] = {"_id": id, **self._body(replica, chance)}
        return docs

    def bulk(self, replica: Replica, chance: random.Random) -> str:
        """Write several documents; some may conflict."""
        docs = self._many(replica, chance)
        answers = replica.db.bulk_docs(list(docs.values()))
        assert all(each.get("name", "conflict") == "conflict" for each in answers), answers
        return f"{self._wrote(replica, *docs)}: {', '.join(each.get('rev', 'conflict') for each in answers)}"

    def atomic(self, replica: Replica, chance: random.Random) -> str:
        """Write several documents or none."""
        docs = self._many(replica, chance)
        before = replica.db.info()["update_seq"]
        try:
            replica.db.bulk_docs(list(docs.values()), atomic=True)
        except Conflict:
            assert replica.db.info()["update_seq"] == before, "an atomic write left something behind"
            return f"{', '.join(map(repr, docs))}: conflict"
        return self._wrote(replica, *docs)

    def resolve(self, replica: Replica, chance: random.Random) -> str:
        docs = [each for each in replica.db.conflicts() if self._may_grow(each["_id"], each["_rev"])]
        if not docs:
            return "nothing"
        doc = chance.choice(docs)
        id, leaves = doc["_id"], [doc["_rev"], *doc["_conflicts"]]
        if any(not self._may_grow(id, leaf) for leaf in leaves):
            return "nothing"
        body = self._body(replica, chance)
        try:
            replica.db.resolve(id, chance.choice(leaves) if chance.random() < 0.5 else lambda _: body)
        except Conflict:
            return f"{id!r}: conflict"
        return f"{self._wrote(replica, id)} of {leaves}"

    # -- looking after ---------------------------------------------------------------------------

    def compact(self, replica: Replica, chance: random.Random) -> str:
        replica.db.compact()
        return ""

    def purge(self, replica: Replica, chance: random.Random) -> str:
        doc = self._leaf(replica, chance)
        if doc is None:
            return "nothing"
        self._oracle.purged.add(doc["_id"])
        replica.db.purge(doc["_id"], doc["_rev"])
        return f"{self._wrote(replica, doc['_id'])} {doc['_rev']}"

    def limit(self, replica: Replica, chance: random.Random) -> str:
        assert self._revs_limit is not None
        limit = chance.choice([self._revs_limit, self._revs_limit + 4, 1000])
        replica.db.revs_limit(limit)
        return str(limit)

    def local(self, replica: Replica, chance: random.Random) -> str:
        """Write or remove a local document."""
        id = f"_local/{chance.choice(['settings', 'place'])}"
        known = replica.local.get(id)
        if known is not None and chance.random() < 0.3:
            replica.db.remove(replica.db.get(id))
            del replica.local[id]
            return f"{id} removed"
        doc = {"_id": id, "n": self._number()}
        rev = {} if known is None else {"_rev": replica.db.get(id)["_rev"]}
        replica.db.put({**doc, **rev})
        replica.local[id] = doc
        return id


def seeded(ids: tuple[str, ...], chance: random.Random) -> list[dict[str, Any]]:
    """Return documents with long histories, for the beginning."""
    docs = []
    for id in ids:
        start = chance.randrange(20, 45)
        hashes = [f"{chance.getrandbits(128):032x}" for _ in range(start)]
        docs.append({"_id": id, "_rev": f"{start}-{hashes[0]}", "_revisions": {"start": start, "ids": hashes}})
    return docs
