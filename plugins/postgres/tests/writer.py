"""A process of another host: writes documents to a database of a URL and says what was acknowledged.

``writer.py URL NAME HOST COUNT``: each line of its output is an id whose write was acknowledged, or ``? id`` when an
error came instead. It ends after COUNT documents.
"""

from __future__ import annotations

import sys

import pouchdb
from pouchdb_core.errors import PouchDBError


def main() -> None:
    url, name, host, count = sys.argv[1:5]
    db = pouchdb.setup(url, plugins=["postgres"])[name]
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(count)):
        id = f"{host}-{number:05d}"
        try:
            # A common document, so that hosts conflict, and one of its own.
            done = db.bulk_docs([{"_id": id, "host": host}, {"_id": "common", "host": host, "n": number}])
            print(id if done[0].get("ok") else f"! {id} {done[0]}", flush=True)
        except PouchDBError as error:
            print(f"? {id} {error.name}", flush=True)


main()
