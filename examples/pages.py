"""Pages from a database: what design documents answer to browsers (plug-in couchapp)."""

from __future__ import annotations

from tour import Tour

__all__ = ["make_pages"]

KEFLAVIK = "airport:BIKF"

DESIGN = {
    "_id": "_design/site",
    "views": {"by_country": {"map": "function (doc) { if (doc.country) { emit(doc.country, doc.name); } }"}},
    "shows": {
        "airport": """function (doc, req) {
            provides("html", function () { return "<h1>" + doc.name + "</h1>"; });
            provides("json", function () { return {json: {name: doc.name, city: doc.city}}; });
        }"""
    },
    "lists": {
        "csv": """function (head, req) {
            start({headers: {"Content-Type": "text/csv"}});
            var row;
            while ((row = getRow())) { send(row.id + "," + row.value + "\\n"); }
        }"""
    },
    "updates": {
        "visit": """function (doc, req) {
            doc.visits = (doc.visits || 0) + 1;
            return [doc, doc.name + " was visited " + doc.visits + " times"];
        }"""
    },
    "rewrites": [{"from": "/:code", "to": "_show/airport/:code"}],
}


def make_pages(tour: Tour) -> None:
    """Make pages of documents.
    Design documents hold functions that answer as web pages do: a page of a document, a file of a view's rows, a
    document changed by a request, a pretty path. They run here, and the server serves them to browsers.
    """
    db = tour.env["airports"]
    with tour.code():
        db.put(DESIGN)
        page = db.show("site/airport/airport:BIKF")
        data = db.show("site/airport/airport:BIKF", headers={"Accept": "application/json"})
        table = db.list("site/csv/by_country", query={"key": "IS"})
        first = db.update("site/visit/airport:BIKF")
        again = db.update("site/visit/airport:BIKF")
        pretty = db.rewrite("site/airport:BIKF")
    lines = table.body.splitlines()
    tour.list([page.body, data.body, f"{len(lines)} lines of CSV, the first: {lines[0]}", again.body, pretty.body])
    tour.command("pouchdb couchapp pull airports site site/")
    tour.check(page.headers["Content-Type"].startswith("text/html"), "a browser gets HTML")
    tour.check(data.json["name"] == db[KEFLAVIK]["name"], "a program gets JSON")
    tour.check(lines and all(line.startswith("airport:BI") for line in lines), "the file has Iceland's airports")
    tour.check((first.code, db[KEFLAVIK]["visits"]) == (201, 2), "each visit is counted")
    tour.check(pretty.body == page.body, "the pretty path leads to the page")
