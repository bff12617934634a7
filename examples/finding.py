"""The steps about finding documents by words and by places."""

from __future__ import annotations

from airport_map import save_page
from tour import Tour

__all__ = ["find_places", "find_words"]


def find_words(tour: Tour) -> None:
    """Find airports by words.
    The function of an index says which texts are searched, which are shown and which are counted. Queries have the
    syntax of Lucene; the best hits come first, with the words that were found marked.
    """
    db = tour.env["airports"]
    with tour.code():
        db.put(
            {
                "_id": "_design/search",
                "indexes": {
                    "airports": {
                        "analyzer": "english",
                        "index": """function (doc) {
                            if (!doc.name) return;
                            index('default', doc.name + ' ' + doc.city, {store: true});
                            index('country', doc.country, {facet: true});
                            index('elevation', doc.elevation, {store: true});
                        }""",
                    }
                },
            }
        )
        answer = db.search(
            "search/airports",
            q='(lakes OR "glacier national") AND elevation:[2000 TO *]',
            highlight_fields=["default"],
            counts=["country"],
            limit=3,
        )
    tour.say(f"{answer.total_rows} airports, indexed and found in {tour.seconds:.2f} s. The first ones:")
    tour.list([f"{row.highlights.default[0]}  {row.fields.elevation:,.0f} ft" for row in answer.rows])
    tour.list([f"by country: {', '.join(f'{name} {count}' for name, count in answer.counts.country.items())}"])
    tour.command("pouchdb search airports search/airports 'lakes AND elevation:[2000 TO *]' --counts country")
    tour.check(answer.total_rows > 20 and len(answer.rows) == 3, "there are airports at high lakes")
    tour.check(all("<em>" in row.highlights.default[0] for row in answer.rows), "the words are marked")
    tour.check(sum(answer.counts.country.values()) == answer.total_rows, "each hit is counted in one country")
    with tour.code():
        meant = db.search_suggestions("search/airports", "internatoinal airprot").text
        words = [each.text for each in db.search_completions("search/airports", "interna", limit=2).completions]
    tour.list([f"did you mean: {meant}", f"interna...: {', '.join(words)}"])
    tour.command("pouchdb suggest airports search/airports 'internatoinal airprot'")
    tour.check(meant == "international airport", "both words were put right")
    tour.check("international" in words, "the word is completed")


def find_places(tour: Tour) -> None:
    """Find airports by place.
    The function of a spatial index gives each document a geometry. Points, boxes, circles and polygons are looked up in
    a tree, so that only what is near is read; distances are those on the globe.
    """
    db = tour.env["airports"]
    with tour.code():
        db.put(
            {
                "_id": "_design/geo",
                "st_indexes": {
                    "airports": {
                        "index": "function (doc) {"
                        " if (doc.name) st_index({type: 'Point', coordinates: [doc.lon, doc.lat]}); }"
                    }
                },
            }
        )
        near = db.spatial("geo/airports", lat=50.03, lon=8.57, radius=50_000, nearest=True, include_docs=True).rows
    tour.say(
        f"{len(near)} airports within 50 km of Frankfurt, nearest first; indexed and found in {tour.seconds:.2f} s."
    )
    tour.list([f"{row.doc.icao}  {row.doc.name}" for row in near[:3]])
    tour.command("pouchdb near airports geo/airports --lat 50.03 --lon 8.57 --radius 50000")
    tour.check(near[0].id == "airport:EDDF", "Frankfurt's own airport is the nearest")
    tour.check(len(near) > 5, "there are some more around it")
    with tour.code():
        lake = "POLYGON((8.3 47.9, 9.8 47.9, 10.2 47.2, 9.2 47.1, 8.3 47.9))"
        within = db.spatial("geo/airports", g=lake, relation="contains", format="geojson")
        within.save(tour.directory / "lake.geojson")
    names = sorted(feature.properties.name for feature in within.features)
    tour.list([f"{len(names)} around Lake Constance, such as {', '.join(names[:3])}"])
    page = tour.directory / "lake.html"
    save_page(within, lake, page)
    tour.say(
        f"The file opens in any map viewer; a page of {page.stat().st_size / 1024:.0f} KB shows it without a network."
    )
    tour.check(any(feature._id == "airport:EDNY" for feature in within.features), "Friedrichshafen is among them")
