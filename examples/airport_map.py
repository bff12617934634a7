"""The airports within a polygon, as a picture and as a page with a map that needs no network.

    python examples/airport_map.py            writes lake.png, lake.html and lake.geojson

The picture is matplotlib's. The page is one file: a map in SVG, the code and the name of each point, a list below.
"""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import shapely

__all__ = ["save_page", "save_picture"]

POLYGON = "POLYGON((8.3 47.9, 9.8 47.9, 10.2 47.2, 9.2 47.1, 8.3 47.9))"
WIDTH = 900


def save_picture(features: Mapping[str, Any], polygon: str, path: Path) -> None:
    """Draw a FeatureCollection of points and the polygon they are in. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure

    area = shapely.from_wkt(polygon)
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    axes.fill(*area.exterior.xy, color="tab:blue", alpha=0.15)
    axes.plot(*area.exterior.xy, color="tab:blue")
    points = [feature["geometry"]["coordinates"] for feature in features["features"]]
    axes.scatter([x for x, _ in points], [y for _, y in points], s=14, color="tab:red", zorder=3)
    for feature, point in zip(features["features"], points, strict=True):
        axes.annotate(feature["properties"]["icao"], point, textcoords="offset points", xytext=(4, 4), fontsize=7)
    # A degree of longitude is shorter here than one of latitude.
    axes.set_aspect(1 / math.cos(math.radians(area.centroid.y)))
    axes.set_xlabel("longitude")
    axes.set_ylabel("latitude")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def save_page(features: Mapping[str, Any], polygon: str, path: Path) -> None:
    """Write a page with a map of a FeatureCollection of points and the polygon they are in."""
    area = shapely.from_wkt(polygon)
    west, south, east, north = area.buffer(0.1).bounds
    scale = WIDTH / (east - west)
    stretch = scale / math.cos(math.radians((south + north) / 2))
    height = (north - south) * stretch

    def at(lon: float, lat: float) -> tuple[float, float]:
        return round((lon - west) * scale, 1), round((north - lat) * stretch, 1)

    parts, rows = [], []
    step = 0.5
    for number in range(math.ceil(west / step), math.floor(east / step) + 1):
        x, _ = at(number * step, south)
        parts.append(
            f'<path class="grid" d="M{x} 0V{height:.0f}"/><text x="{x + 3}" y="12">{number * step}\u00b0</text>'
        )
    for number in range(math.ceil(south / step), math.floor(north / step) + 1):
        _, y = at(west, number * step)
        parts.append(f'<path class="grid" d="M0 {y}H{WIDTH}"/><text x="3" y="{y - 3}">{number * step}\u00b0</text>')
    outline = " ".join(f"{x},{y}" for x, y in (at(*point) for point in area.exterior.coords))
    parts.append(f'<polygon points="{outline}"/>')
    for feature in sorted(features["features"], key=lambda feature: feature["properties"]["name"]):
        x, y = at(*feature["geometry"]["coordinates"][:2])
        name, code = (html.escape(str(feature["properties"][key])) for key in ("name", "icao"))
        parts.append(f'<circle id="{code}" cx="{x}" cy="{y}" r="4"><title>{code} {name}</title></circle>')
        parts.append(f'<text class="code" x="{x + 6}" y="{y - 5}">{code}</text>')
        rows.append(f'<li><a href="#{code}">{code}</a> {name}</li>')
    path.write_text(
        f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Airports</title>
<style>
body {{ font: 15px sans-serif; margin: 1em; }} svg {{ max-width: 100%; border: 1px solid #bbb; }}
.grid {{ stroke: #ddd; }} text {{ font-size: 10px; fill: #777; }} .code {{ fill: #333; }}
polygon {{ fill: #4682b430; stroke: #4682b4; }} circle {{ fill: #c33; }}
circle:hover, circle:target {{ fill: #06c; r: 8px; }} ul {{ columns: 3; list-style: none; padding: 0; }}
</style>
<h1>{len(rows)} airports</h1>
<svg viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img" aria-label="Map">
{chr(10).join(parts)}
</svg>
<ul>
{chr(10).join(rows)}
</ul>
</html>
""",
        "utf-8",
    )


def main() -> None:
    import airportsdata

    import pouchdb

    def place(doc: dict[str, Any]) -> Any:
        yield {"type": "Point", "coordinates": [doc["lon"], doc["lat"]]}, None

    db: Any = pouchdb.setup(":memory:")["airports"]
    db.bulk_docs([{"_id": f"airport:{code}", **airport} for code, airport in airportsdata.load().items()])
    found = db.spatial(place, g=POLYGON, format="geojson")
    found.save("lake.geojson")
    save_page(found, POLYGON, Path("lake.html"))
    written = ["lake.geojson", "lake.html"]
    try:
        save_picture(found, POLYGON, Path("lake.png"))
        written.append("lake.png")
    except ImportError:
        print("matplotlib is not installed: no picture", file=sys.stderr)
    print(f"{len(found.features)} airports: {', '.join(written)}")


if __name__ == "__main__":
    main()
