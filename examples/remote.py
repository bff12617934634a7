"""The step about a server: ``make demo SERVER=http://user:password@host:5984``, or ``postgresql://user@host/database``."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import Any

from tour import Step, Tour

import pouchdb

__all__ = ["steps"]


def steps(server: str | None) -> list[Step]:
    """Return the steps that need a server, none without one."""
    if server is None:
        return []

    step = _use_postgres if server.startswith(("postgresql://", "postgres://")) else _replicate

    def with_server(tour: Tour) -> None:
        step(tour, server.rstrip("/"))

    with_server.__doc__ = step.__doc__
    return [with_server]


def _replicate(tour: Tour, server: str) -> None:
    """Replicate with a server, over the network.
    The airports go to a database on your server, which is made for that and removed at the end. A field computer pulls
    those of Iceland, edits one, and pushes it; then the edit is fetched here.
    """
    # A name that nobody else has, so that nothing of yours is touched.
    url = f"{server}/pouchdb-demo-{uuid.uuid4().hex}"
    env, db = tour.env, tour.env["airports"]
    with ExitStack() as stack:
        remote = env.PouchDB(url)
        stack.callback(remote.destroy)
        with tour.code():
            pushed = db.replicate_to(url)
        tour.say(f"{tour.rate(pushed.docs_written, 'documents')}, to {remote.name}.")
        tour.command("pouchdb replicate airports http://user@host:5984/airports")
        tour.check(pushed.ok and pushed.docs_written == pushed.docs_read > 1000, "everything was pushed")
        tour.check(len(remote) == len(db), "the server has every airport")
        with tour.code():
            field = env["field"]
            pulled = field.replicate_from(url, filter=lambda doc: doc.get("country") == "IS")
        stack.callback(env.destroy, "field")
        tour.say(f"{len(field)} airports pulled in {tour.seconds:.1f} s.")
        iceland = [row.id for row in db.all_docs(include_docs=True).rows if row.doc.get("country") == "IS"]
        tour.check(
            pulled.ok and list(field) == iceland and len(iceland) > 50, "the field computer has those of Iceland"
        )
        with tour.code():
            airport = field["airport:BIKF"]
            airport["runway"] = "closed for repairs"
            field.put(airport)
            both = field.replicate_to(url), db.replicate_from(url)
        sent, fetched = both
        tour.list([f"on the server and here: {db['airport:BIKF'].runway}", _told(sent), _told(fetched)])
        tour.check(db["airport:BIKF"] == remote["airport:BIKF"] == field["airport:BIKF"], "the edit is everywhere")
        tour.check(fetched.docs_written == 1, "only the edit was fetched")
        # With its attachment, which did not travel again with the edit.
        _same_attachments(db, remote, "airport:BIKF")
    with tour.code():
        try:
            env.PouchDB(url, skip_setup=True).info()
        except pouchdb.NotFound as error:
            gone = error
    tour.list([str(gone)])


def _use_postgres(tour: Tour, url: str) -> None:
    """Keep databases in PostgreSQL.
    The same program with a URL instead of a directory. The airports of Iceland go to a database in your PostgreSQL,
    which is made for that and removed at the end; an edit made there comes back.
    """
    name, db = f"pouchdb-demo-{uuid.uuid4().hex}", tour.env["airports"]
    with ExitStack() as stack:
        with tour.code():
            shared = pouchdb.setup(url)
            there = shared[name]
        stack.callback(shared.close)
        stack.callback(shared.destroy, name)
        with tour.code():
            pushed = db.replicate_to(there, filter=lambda doc: doc.get("country") == "IS")
        tour.say(f"{tour.rate(pushed.docs_written, 'documents')}.")
        tour.check(pushed.ok and len(there) == pushed.docs_written > 50, "PostgreSQL has the airports of Iceland")
        with tour.code():
            there.put(
                {
                    "_id": "_design/airports",
                    "views": {"by_country": {"map": "function (doc) { emit(doc.country); }", "reduce": "_count"}},
                }
            )
            counted = there.query("airports/by_country", group=True)
        tour.list([f"{row.key}: {row.value}" for row in counted.rows])
        tour.check([(row.key, row.value) for row in counted.rows] == [("IS", pushed.docs_written)], "the view has them")
        with tour.code():
            airport = there["airport:BIKF"]
            airport["runway"] = "closed for repairs"
            there.put(airport)
            fetched = db.replicate_from(there, filter=lambda doc: doc.get("country") == "IS")
        tour.list([f"in PostgreSQL and here: {db['airport:BIKF'].runway}", _told(fetched)])
        tour.check(fetched.docs_written == 1 and db["airport:BIKF"] == there["airport:BIKF"], "the edit came back")
        _same_attachments(db, there, "airport:BIKF")


def _told(result: Any) -> str:
    return f"{result.docs_read} read, {result.docs_written} written"


def _same_attachments(here: Any, there: Any, id: str) -> None:
    for name in here[id].get("_attachments", {}):
        assert here.get_attachment(id, name) == there.get_attachment(id, name)
