"""The steps about copies that follow each other."""

from __future__ import annotations

from typing import Any

from tour import Tour

__all__ = ["live_sync"]


def live_sync(tour: Tour) -> None:
    """Two copies that follow each other.
    A live sync carries every edit to the other side as soon as it is made. When the line is cut both sides go on
    working; when it is back, each gets what the other did meanwhile.
    """
    env = tour.env
    with tour.code():
        base, truck = env["base"], env["truck"]
        line = env.sync(base, truck, live=True)
        base.put({"_id": "load", "crates": 10})
        arrived = next(iter(truck.live_changes(since=0)))
    tour.say(f"The truck has {arrived.id!r}, {tour.seconds * 1000:.0f} ms after the base began. Now the line is cut.")
    tour.command("pouchdb sync base truck --live")
    tour.check(truck["load"].crates == 10, "the document is on the truck")
    with tour.code():
        line.cancel()
        line.wait()
        base["load"] = {**base["load"], "crates": 12}
        truck["load"] = {**truck["load"], "driver": "Sigga"}

        line = env.sync(base, truck, live=True)
    for side in (base, truck):
        _leaves(side, 2)
    conflicts = [len(list(side.conflicts())) for side in (base, truck)]
    tour.list([f"conflicts at the base: {conflicts[0]}, on the truck: {conflicts[1]}"])
    tour.check(conflicts == [1, 1], "both sides know of both edits")
    with tour.code():
        settled = base.resolve("load", lambda edits: {**edits[1], **edits[0], "crates": 12})
        for change in truck.live_changes(since=0):
            if change.changes[0].rev == settled.rev:
                break
    tour.list([f"on the truck: {truck['load'].crates} crates, driver {truck['load'].driver}"])
    # The winner may come before the tombstone that ends the conflict.
    _leaves(truck, 1)
    line.cancel()
    line.wait()
    tour.check(truck["load"] == base["load"] and not list(truck.conflicts()), "the resolution is on both sides")
    for name in ("base", "truck"):
        env.destroy(name)


def _leaves(db: Any, count: int) -> None:
    """Wait until the document has so many live leaves."""
    for _ in db.live_changes(since=0, style="all_docs"):
        if sum(not each["ok"].get("_deleted") for each in db.open_revs("load")) == count:
            return
