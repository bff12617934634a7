"""A tour of the database, on the 28,000 airports of the package airportsdata: ``make demo``.

With a server: ``make demo SERVER=http://user:password@host:5984``.

Each step is a function in STEPS. Its docstring is what the reader sees first, the code inside
``with tour.code():`` is shown and run, and ``tour.check`` makes the demo fail when a claim is not true.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path
from typing import Any

import airportsdata
import remote
from finding import find_places, find_words
from pages import make_pages
from people import people
from questions import ask, find, gather, group
from replicas import live_sync
from serving import serve
from tour import Step, Tour, run

import pouchdb
from pouchdb_core.errors import Conflict

BATCH = 1000
KEFLAVIK = "airport:BIKF"


def load(tour: Tour) -> None:
    """Write every airport of the world.
    A document is a JSON object with an "_id". A database is a set of them in one file, made when it is first asked for.
    bulk_docs writes many documents in one transaction; when it returns, they are on the disk.
    """
    documents = [{"_id": f"airport:{code}", **airport} for code, airport in airportsdata.load().items()]
    batches = [documents[start : start + BATCH] for start in range(0, len(documents), BATCH)]
    env = tour.env
    with tour.code():
        db = env["airports"]
        results = [result for batch in batches for result in db.bulk_docs(batch)]
    tour.say(f"{tour.rate(len(documents), 'documents')}, in {len(batches)} transactions.")
    tour.command("pouchdb put airports @airports.json")
    tour.check(all(result.get("ok") for result in results), "every document was written")
    tour.check(len(db) == len(documents) > 20_000, "the database has every airport")
    tour.notes["ids"] = [document["_id"] for document in documents]


def read(tour: Tour) -> None:
    """Read one, then ten thousand.
    A document that was read has a "_rev" too: the name of this revision of it. 1- says that it is the first.
    """
    db = tour.env["airports"]
    with tour.code():
        airport = db["airport:EDDF"]
    tour.list([f"{airport.name}, {airport.country}", f"_rev {airport['_rev']}"])
    tour.command("pouchdb get airports airport:EDDF")
    tour.check(airport["_rev"].startswith("1-"), "the document is in its first revision")
    chosen = random.Random(1).choices(tour.notes["ids"], k=10_000)
    with tour.code():
        found = [db.get(id) for id in chosen]
    tour.say(f"{tour.rate(len(found), 'documents')}, one call each.")
    tour.check([doc["_id"] for doc in found] == chosen, "every document was found")


def list_range(tour: Tour) -> None:
    """List a part of the database.
    Documents are kept in the order of their ids, so a range of ids is read without looking at the others.
    The airports around Paris have codes that begin with LFP.
    """
    db = tour.env["airports"]
    with tour.code():
        rows = db.all_docs(startkey="airport:LFP", endkey="airport:LFP\uffff", include_docs=True).rows
    tour.list([f"{row.id}  {row.doc.name}" for row in rows[:3]] + [f"... {len(rows)} in all"])
    tour.command("pouchdb ls airports --prefix airport:LFP --docs")
    tour.check(all(row.id.startswith("airport:LFP") for row in rows) and rows, "only the range was listed")


def edit(tour: Tour) -> None:
    """Edit documents, without overwriting anyone.
    An edit names the revision it was made from. If somebody else was faster, it is refused instead of lost.
    """
    db = tour.env["airports"]
    # Where we are now, for the step that reads the changes since then.
    tour.notes["bookmark"] = db.info().update_seq
    mine, yours = db[KEFLAVIK], db[KEFLAVIK]
    with tour.code():
        mine["note"] = "Fuel on the north apron"
        db.put(mine)
        yours["note"] = "Fuel on the south apron"
        try:
            db.put(yours)
            refused = None
        except Conflict as error:
            refused = error
    tour.list([str(refused), f"stored: {db[KEFLAVIK].note}, _rev {db[KEFLAVIK]['_rev']}"])
    tour.check(refused is not None and db[KEFLAVIK].note.endswith("north apron"), "the second edit was refused")


def edit_many(tour: Tour) -> None:
    """Edit many documents, all of them or none.
    The airports of Iceland get their elevation in metres, beside the one in feet.
    """
    db = tour.env["airports"]
    iceland = [row.doc for row in db.all_docs(startkey="airport:BI", endkey="airport:BI\uffff", include_docs=True).rows]
    with tour.code():
        for airport in iceland:
            airport["elevation_m"] = round(airport.elevation * 0.3048)
        results = db.bulk_docs(iceland, atomic=True)
    tour.say(f"{len(results)} documents edited in one transaction, in {tour.seconds * 1000:.0f} ms.")
    edited = [db.get(airport["_id"]) for airport in iceland]
    tour.check([doc.elevation_m for doc in edited] == [doc.elevation_m for doc in iceland], "all were edited")


def disagree(tour: Tour) -> None:
    """Two offices change the same airport while they are offline.
    Each office has a copy in a database of its own and edits it. Later both edits come home, each with its history.
    new_edits=False stores a revision as it was made elsewhere: the call that replication makes.
    """
    home, north, south = (tour.env[name] for name in ("airports", "office-north", "office-south"))
    with tour.code():
        for office in (north, south):
            office.bulk_docs([home.get("airport:BIKF", revs=True)], new_edits=False)

        north["airport:BIKF"] = {**north["airport:BIKF"], "tower": "+354 425 0600"}
        south["airport:BIKF"] = {**south["airport:BIKF"], "opens": "05:30"}

        for office in (north, south):
            home.bulk_docs([office.get("airport:BIKF", revs=True)], new_edits=False)
    tour.say(
        """Nothing was lost: the document has two newest revisions now, a conflict. One of them is the winner, the same
        on every computer, so that everybody reads the same; the other one waits to be looked at."""
    )
    with tour.code():
        (document,) = home.conflicts()
        losing = home.get(document["_id"], rev=document["_conflicts"][0])
    tour.list([f"{label}  {_edits(revision)}" for label, revision in (("winner", document), ("losing", losing))])
    tour.command("pouchdb tree airports airport:BIKF")
    tour.check(document["_id"] == KEFLAVIK, "the airport that both offices edited has a conflict")
    tour.check({"tower", "opens"} == (document.keys() ^ losing.keys()) - {"_conflicts"}, "both edits are there")


def _edits(revision: Mapping[str, Any]) -> str:
    """Say what the offices wrote, as far as it is in a revision."""
    return f"tower {revision.get('tower', '-'):14}  opens {revision.get('opens', '-'):5}  _rev {revision['_rev']}"


def resolve(tour: Tour) -> None:
    """Resolve the conflict.
    Which edit is right only the program can know. It gives a function from all newest revisions, the winner first, to
    one document, or names the revision to keep. The others are closed in the same transaction.
    """
    db = tour.env["airports"]
    with tour.code():
        db.resolve("airport:BIKF", lambda revisions: {**revisions[1], **revisions[0]})
        left = list(db.conflicts())
    merged = db[KEFLAVIK]
    tour.list([f"merged  {_edits(merged)}", f"conflicts left: {len(left)}"])
    tour.command(f"pouchdb conflicts airports airport:BIKF --keep {merged['_rev'][:6]}")
    tour.check(not left and "tower" in merged and "opens" in merged, "both edits are in the merged document")


def attach(tour: Tour) -> None:
    """Attach files to a document.
    An attachment is bytes with a type. A file is read piece by piece, and read back the same way, so it may be larger
    than the memory. The same content is stored once, however many documents have it.
    """
    db = tour.env["airports"]
    with tour.code():
        rev = db["airport:BIKF"]["_rev"]
        result = db.put_attachment("airport:BIKF", "hello.txt", b"Velkomin!", "text/plain", rev)
        hello = db.get_attachment("airport:BIKF", "hello.txt")
    tour.list([f"{hello.type}: {hello.data.decode()}"])
    tour.check(hello.data == b"Velkomin!" and hello.type == "text/plain", "the bytes came back")
    tour.command("pouchdb get airports airport:BIKF --attachment hello.txt")
    size, scan = 32 * 1024 * 1024, tour.directory / "scan.tif"
    content = random.Random(1).randbytes(size)
    scan.write_bytes(content)
    with tour.code():
        with open(scan, "rb") as file:
            db.put_attachment("airport:BIKF", "chart.tif", file, "image/tiff", result.rev)

        digest = hashlib.sha256()
        with db.open_attachment("airport:BIKF", "chart.tif") as reader:
            while piece := reader.read(1024 * 1024):
                digest.update(piece)
    tour.say(f"{size // 1024**2} MB in and out again in {tour.seconds:.2f} s.")
    tour.check(digest.digest() == hashlib.sha256(content).digest(), "the file came back as it went in")


def follow(tour: Tour) -> None:
    """Ask what changed since a moment.
    Every write gets the next sequence number. Who keeps the last one seen can ask for what is new, and gets each
    document once, however often it was edited. Copies, indexes and screens are brought up to date this way.
    """
    db = tour.env["airports"]
    bookmark = tour.notes["bookmark"]
    with tour.code():
        changes = db.changes(since=bookmark)
        later = db.changes(since=changes.last_seq)
    last = changes.results[-1]
    tour.list([f"since {bookmark}: {len(changes.results)} documents, the last one {last.id} at {last.seq}"])
    tour.list([f"since {changes.last_seq}: {len(later.results)} documents"])
    tour.command(f"pouchdb changes airports --since {bookmark}")
    ids = [row.id for row in changes.results]
    tour.check(all(id.startswith("airport:BI") for id in ids), "Iceland has changed, nothing else")
    tour.check(last.id == KEFLAVIK, "what changed last comes last")
    tour.check(len(set(ids)) == len(ids), "each document is told once")
    tour.check(not later.results, "nothing has changed after that")


def name_databases(tour: Tour) -> None:
    """List the databases.
    all_dbs comes from a plug-in, which is a package of its own. Installing it was enough.
    """
    env = tour.env
    with tour.code():
        names = env.all_dbs()
    tour.list(names)
    tour.command("pouchdb ls")
    tour.check(names == ["airports", "office-north", "office-south"], "all three databases are listed")


def back_up(tour: Tour) -> None:
    """Check the database and make a backup.
    Both may be done while others read and write. A backup is a database file like any other: it is opened here in a
    second storage directory.
    """
    db = tour.env["airports"]
    copies = tour.directory / "copies"
    copies.mkdir()
    with tour.code():
        problems = db.integrity_check()
    tour.say(f"Problems found: {len(problems)}, in {tour.seconds:.2f} s.")
    tour.command("pouchdb doctor airports")
    tour.check(not problems, f"the database is whole: {list(islice(problems, 3))}")
    with tour.code():
        db.backup(copies / "airports.pouchdb")
        second = pouchdb.setup(copies)
        copy = second["airports"]
    tour.say(f"{len(copy):,} documents, {copy.info().sizes.file / 1e6:.0f} MB, in {tour.seconds:.2f} s.")
    tour.command("pouchdb backup airports copies/airports.pouchdb")
    tour.check(copy[KEFLAVIK] == db[KEFLAVIK] and len(copy) == len(db), "the backup has the same documents")
    second.close()


def come_back(tour: Tour) -> None:
    """Close everything and come back."""
    count, before = len(tour.env["airports"]), tour.env["airports"][KEFLAVIK]
    env, storage = tour.env, tour.env.directory
    with tour.code():
        env.close()
        env = pouchdb.setup(storage)
        airport = env["airports"]["airport:BIKF"]
    tour.env = env
    tour.list(
        [f"{airport.name}: {airport.note.lower()}", f"opens {airport.opens}, has {', '.join(airport._attachments)}"]
    )
    tour.check(airport == before and len(env["airports"]) == count, "everything is still there")


STEPS: list[Step] = [
    load,
    read,
    list_range,
    edit,
    edit_many,
    disagree,
    resolve,
    attach,
    follow,
    name_databases,
    live_sync,
    serve,
    people,
    group,
    find,
    ask,
    find_words,
    find_places,
    gather,
    make_pages,
    back_up,
    come_back,
]


def main(server: str | None = None) -> int:
    with tempfile.TemporaryDirectory(prefix="pouchdb-demo-") as name:
        directory = Path(name)
        storage: Any = directory / "storage"
        with pouchdb.setup(storage) as env:
            plugins = ", ".join(sorted(point.name for point in entry_points(group="pouchdb"))) or "none"
            print(f"pouchdb {pouchdb.__version__}, plug-ins: {plugins}. Files in {storage}{os.sep}\n")
            tour = Tour(directory, env)
            # With the URL of a server, what needs one comes before the end.
            status = run(tour, [*STEPS[:-2], *remote.steps(server), *STEPS[-2:]])
        tour.env.close()
        return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
