"""The steps about asking the database questions, and about asking many at once."""

from __future__ import annotations

import asyncio

from tour import Tour

import pouchdb

__all__ = ["gather", "group"]


def group(tour: Tour) -> None:
    """Ask questions: how high are the airports of each country?
    A view is a function from a document to keys and values. The database keeps what it says of every document in
    order, brings it up to date when documents change, and answers from there. The function may be JavaScript in a
    design document, which travels with the data and runs in a process of its own, or a Python function.
    """
    db = tour.env["airports"]
    with tour.code():
        db.put(
            {
                "_id": "_design/airports",
                "views": {
                    "elevation": {
                        "map": "function (doc) { if (doc.country) emit([doc.country, doc.tz], doc.elevation); }",
                        "reduce": "_stats",
                    }
                },
            }
        )
        countries = db.query("airports/elevation", group_level=1).rows
    tour.say(f"JavaScript: {len(countries)} countries, built and answered in {tour.seconds:.2f} s.")
    tour.command("pouchdb query airports airports/elevation --group-level 1")
    with tour.code():
        zones = db.query("airports/elevation", group=True).rows
    tour.say(f"{len(zones)} time zones of countries, answered from the same view in {tour.seconds * 1000:.0f} ms.")

    with tour.code():

        def elevation(doc):
            if doc.get("country"):
                yield [doc["country"], doc["tz"]], doc["elevation"]

        same = db.query({"map": elevation, "reduce": "_stats"}, group_level=1).rows
    tour.say(f"Python: {len(same)} countries, built and answered in {tour.seconds:.2f} s.")
    tour.check(same == countries and len(countries) > 200, "both say the same")
    highest = max(countries, key=lambda row: row.value.sum / row.value["count"])
    tour.list([f"highest on average: {highest.key[0]}, {highest.value.sum / highest.value['count']:,.0f} feet"])


def gather(tour: Tour) -> None:
    """Ask for many at once, with asyncio.
    The asynchronous environment has the same methods; each returns a promise that can be awaited.
    """
    ids = tour.notes["ids"][:1000]
    storage = tour.env.directory
    with tour.code():

        async def read_all():
            db = pouchdb.setup_async(storage)["airports"]
            return await asyncio.gather(*[db.get(id) for id in ids])

        found = asyncio.run(read_all())
    tour.say(f"{tour.rate(len(found), 'documents')}.")
    tour.check([doc["_id"] for doc in found] == ids, "every document was found, in order")
