"""``pouchdb near``."""

from __future__ import annotations

import json
from typing import Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.progress_bar import working

__all__ = ["near"]


@click.command(cls=Command, examples=["pouchdb near airports places/points --lat 48.2 --lon 16.4 --radius 50000"])
@click.argument("db")
@click.argument("index", metavar="DDOC/NAME")
@click.option("--lat", type=float, required=True, help="Latitude of the point, in degrees.")
@click.option("--lon", type=float, required=True, help="Longitude of the point, in degrees.")
@click.option("--radius", type=float, help="Only within this many metres.")
@click.option("--limit", type=click.IntRange(1, 200), default=10, show_default=True, help="At most this many.")
@click.option("--docs", is_flag=True, help="Print the documents too.")
@click.option("--geojson", is_flag=True, help="Print a FeatureCollection.")
@click.pass_obj
def near(
    session: Session,
    /,
    db: str,
    index: str,
    lat: float,
    lon: float,
    radius: float | None,
    docs: bool,
    geojson: bool,
    **rest: Any,
) -> None:
    """List the documents nearest to a point."""
    database: Any = session.database(db)
    options = {"format": "geojson"} if geojson else {}
    with working(session.output, database):
        answer = database.spatial(
            index, lat=lat, lon=lon, radius=radius, nearest=True, include_docs=docs, **options, **rest
        )
    output = session.output
    if geojson:
        output.document(answer)
        return
    for row in answer["rows"]:
        if output.json or docs:
            output.document(row.get("doc") if docs else row)
        else:
            output.table((), [(row["id"], json.dumps(row["geometry"]))])
