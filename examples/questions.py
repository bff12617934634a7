"""The steps about asking the database questions, and about asking many at once."""

from __future__ import annotations

import asyncio

from tour import Tour

import pouchdb

__all__ = ["ask", "find", "gather", "group"]


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


def find(tour: Tour) -> None:
    """Find documents by what is in them, with Mango.
    A selector says what to look for, in the words of CouchDB. It works at once, and answers with a warning that it
    looked at every document. An index of the right fields makes it quick, and replicates with the data.
    """
    db = tour.env["airports"]
    with tour.code():
        request = {
            "selector": {"country": {"$in": ["CH", "NP"]}, "elevation": {"$gt": 7000}},
            "fields": ["name", "country", "elevation"],
        }
        slowly = db.find(request)
    scan = tour.seconds
    tour.list([slowly.warning.splitlines()[0]])
    with tour.code():
        db.create_index({"index": {"fields": ["country", "elevation"]}, "ddoc": "by-country"})
        answer = db.find(request, execution_stats=True)
    stats = answer.execution_stats
    tour.say(
        f"{len(answer.docs)} airports: {scan * 1000:.0f} ms by looking at all {len(db):,} documents, "
        f"{stats.execution_time_ms:.1f} ms by reading {stats.total_docs_examined} with the index."
    )
    tour.list([f"{doc.name}, {doc.country}: {doc.elevation:,.0f} feet" for doc in answer.docs[-3:]])
    tour.check(sorted(map(str, slowly.docs)) == sorted(map(str, answer.docs)), "both find the same")
    tour.check(stats.total_docs_examined == len(answer.docs) > 3, "nothing was read in vain")
    with tour.code():
        plan = db.explain(request).plan
    tour.list([f"reads {plan.reads.partition('/')[0]}", *plan.ranges[1:], f"then judges by {plan.filter}"])
    tour.command("""pouchdb find airports '{"country": "NP", "elevation": {"$gt": 7000}}' --fields name,elevation""")


def ask(tour: Tour) -> None:
    """Ask for tables, in Google's query language.
    It reads like SQL over the members of documents: groups, pivots, order, labels and formats. Conditions use an index
    where one serves. The answer prints as a table, and is a data frame with to_pandas() or to_polars().
    """
    db = tour.env["airports"]
    with tour.code():
        highest = db.gql(
            "select country, max(elevation) group by country order by max(elevation) desc limit 4 "
            "label max(elevation) 'highest' format max(elevation) '#,##0 ft'"
        )
    tour.list(highest.to_text().splitlines())
    tour.say(f"Every airport was looked at, in {tour.seconds * 1000:.0f} ms.")
    with tour.code():
        zones = db.gql(
            "select tz, count(iata) where country = 'MX' or country = 'CL' group by tz pivot country "
            "order by tz label count(iata) 'airports'"
        )
        box = db.gql("select min(lat), max(lat), min(lon), max(lon) where country = 'IS'")
    tour.list([*zones.to_text().splitlines(), "", *box.to_text().splitlines()])
    with tour.code():
        steps = db.gql("select name where country = 'IS' and elevation > 1000 order by name", explain=True).steps
    tour.list(steps)
    tour.command("pouchdb gql airports 'select country, avg(elevation) group by country'")
    airports = [row.doc for row in db.all_docs(include_docs=True).rows if row.doc.get("country")]
    top = max(airport["elevation"] for airport in airports)
    tour.check(highest.rows[0]["highest"] == f"{top:,.0f} ft", "the highest is first")
    iceland = [airport["lat"] for airport in airports if airport["country"] == "IS"]
    corners = box.rows[0]["min(lat)"], box.rows[0]["max(lat)"]
    tour.check(corners == (min(iceland), max(iceland)), "the box is Iceland's")
    tour.check("CL airports" in zones.rows[0] and len(zones.rows) > 8, "a column for each country")
    tour.check("by-country" in steps[0], "the index of the step before is used")


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
