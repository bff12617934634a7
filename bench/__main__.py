"""The command: `python -m bench`, or `make bench`, `make scale`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .aio import aio
from .asking import compare_asking
from .compare import RESULTS, compare
from .find import compare_find
from .http import compare_http
from .places import compare_places
from .postgres import run_postgres
from .replication import compare_replication, scale_replication
from .scale import SIZES, scale
from .views import compare_views, scale_views

DATA = Path(__file__).parent / "data"  # on the disk the checkout is on: the usual temporary directory may be memory


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000, help="how many documents (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="how many counted rounds (default: %(default)s)")
    parser.add_argument("--without", action="append", default=[], choices=["ours", "node"], help="leave this one out")
    parser.add_argument("--no-write", action="store_true", help=f"do not write {RESULTS.name}")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    parser.add_argument("--scale", action="store_true", help="the cost of a document while the database grows")
    parser.add_argument("--views", action="store_true", help="views instead of documents; with --scale, too")
    parser.add_argument("--replication", action="store_true", help="replication instead; with --scale, too")
    parser.add_argument("--find", action="store_true", help="Mango queries instead")
    parser.add_argument("--asking", action="store_true", help="validated writes, and Google's query language, instead")
    parser.add_argument("--places", action="store_true", help="texts and places instead")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL beside SQLite instead; with --scale, too")
    parser.add_argument("--http", action="store_true", help="replication with a server instead")
    parser.add_argument(
        "--attachments", type=int, default=100, help="how many of 1 MB, with --http (default: %(default)s)"
    )
    parser.add_argument("--aio", action="store_true", help="what the asynchronous interface costs")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="sizes for --scale (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=DATA, help="where databases are made (default: bench/data)")
    options = parser.parse_args()

    options.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        directory = Path(name)
        if options.aio:
            aio(directory, options.rounds)
            return 0
        if options.postgres:
            run_postgres(directory, options.documents, options.rounds, tuple(options.sizes) if options.scale else None)
            return 0
        if options.scale:
            grow = scale_views if options.views else scale_replication if options.replication else scale
            grow(directory, tuple(options.sizes))
            return 0
        write = not options.no_write and not options.without
        if options.http:
            sizes = options.documents, options.attachments
            failures = compare_http(directory, *sizes, options.rounds, set(options.without), write)
            return int(bool(failures) and options.strict)
        if options.asking:
            failures = compare_asking(directory, options.rounds, write)
            return int(bool(failures) and options.strict)
        if options.find:
            failures = compare_find(directory, options.documents, options.rounds, set(options.without), write)
            return int(bool(failures) and options.strict)
        if options.places:
            failures = compare_places(directory, options.documents, options.rounds, set(options.without), write)
            return int(bool(failures) and options.strict)
        work = compare_views if options.views else compare_replication if options.replication else compare
        failures = work(directory, options.documents, options.rounds, set(options.without), write)
    return int(bool(failures) and options.strict)


if __name__ == "__main__":
    sys.exit(main())
