"""The end of all trouble: no more faults, nobody refuses anything; and what must be true then."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from replicas.oracle import Broken, Leaves, check_replica, demand

if TYPE_CHECKING:
    from replicas.replica import Replica
    from replicas.world import World

__all__ = ["heal"]

MOST_STEPS = 20_000


def heal(world: World, chance: random.Random) -> None:
    """Let everything that runs finish, replicate along every edge until all is quiet, and look."""
    for replica in world.replicas:
        replica.accept()
    _settle(world, chance)
    _check_live(world)
    for link in list(world.links):
        link.handle.cancel()
    _settle(world, chance)
    world._sweep()
    demand(not world.links, f"these did not end: {[str(link) for link in world.links]}")

    _until_quiet(world)
    _check_statuses(world)
    ancestors = world.setup.revs_limit is None
    purged = world.oracle.purged
    kept = {name: _without(whole, purged) for name, whole in _look(world).items()}
    world.oracle.check(kept, ancestors=ancestors)
    if purged:
        # Checkpoints have passed what was purged. From the beginning it comes back, or is gone everywhere.
        _until_quiet(world, checkpoint=False)
        world.oracle.check(_look(world), ancestors=ancestors)
        world.oracle.lost = True
        purged.clear()
    world.oracle.forget_depths()


def _without(whole: dict[str, Leaves], ids: set[str]) -> dict[str, Leaves]:
    return {id: leaves for id, leaves in whole.items() if id not in ids}


def _settle(world: World, chance: random.Random) -> None:
    """Step whatever is ready, and let time go by, until everything waits for a write.

    What waits looks from time to time whether both sides are who they were: each may do so twice.
    """
    looks = 0
    for _ in range(MOST_STEPS):
        world._tell_listeners()
        if world.workers.ready:
            world._step(chance, safe=True)
            continue
        waits = all(link.handle.state == "paused" and not link.handle.denied_count for link in world.links)
        looks = looks + 1 if waits else 0
        if looks > 2 * len(world.links) or not world.workers.sleep():
            return
    raise Broken(f"never quiet: {[f'{link} {link.handle.state}' for link in world.links]}")


def _check_live(world: World) -> None:
    """A live replication that waits has missed nothing."""
    for link in world.links:
        handle = link.handle
        demand(handle.state == "paused", f"{link} is {handle.state}: {handle.last_error}")
        demand(handle.pending == 0, f"{link} waits, with {handle.pending} changes pending")
        demand(not len(handle.replicator.refused), f"{link} waits, with {handle.replicator.refused.all()} refused")
        if link.whole:
            lacking = _lacking(world, link.source, link.target)
            demand(not lacking, f"{link} waits, but {link.target.name} lacks {lacking}")


def _lacking(world: World, source: Replica, target: Replica) -> dict[str, Any]:
    rows = source.db.changes(style="all_docs")["results"]
    revs = {row["id"]: [change["rev"] for change in row["changes"]] for row in rows}
    wanted = {id: each for id, each in revs.items() if id not in world.oracle.purged}
    return dict(target.db.revs_diff(wanted))


def _until_quiet(world: World, *, checkpoint: bool = True) -> None:
    """Replicate along every edge, both ways, until nothing is written any more; then once more."""
    for _ in range(len(world.replicas) + 3):
        written = 0
        for source, target in _ways(world):
            written += _replicate(world, source, target, checkpoint=checkpoint)["docs_written"]
        if not written:
            break
    else:
        raise Broken("replication goes on and on")
    if checkpoint:
        for source, target in _ways(world):
            result = _replicate(world, source, target)
            read = result["docs_read"]
            demand(not read, f"{source.name}->{target.name} read {read} documents again, with nothing to do")
            pending = source.db.adapter.pending(result["last_seq"])
            demand(not pending, f"{source.name}->{target.name} is complete, with {pending} changes pending")


def _replicate(world: World, source: Replica, target: Replica, *, checkpoint: bool = True) -> Any:
    env = source.env if source.far is None and target.far is None else world.office
    result = env.replicate(source.peer, target.peer, checkpoint=checkpoint)
    shown = f"read {result['docs_read']}, wrote {result['docs_written']}, last_seq {result['last_seq']}"
    world.log(f"{source.name}->{target.name}: {shown}")
    demand(result["ok"] and not result["errors"], f"{source.name}->{target.name}: {result}")
    return result


def _ways(world: World) -> list[tuple[Replica, Replica]]:
    pairs = [(world.replicas[left], world.replicas[right]) for left, right in world.setup.edges]
    return pairs + [(right, left) for left, right in reversed(pairs)]


def _check_statuses(world: World) -> None:
    """``sync_status`` says that all is done, of each replication that leaves nothing out."""
    for replica in world.replicas:
        if replica.far is not None:
            # Of its address it knows nothing.
            continue
        told = replica.db.sync_status()
        seq = replica.db.info()["update_seq"]
        done = [
            each["target"]
            for each in told["replications"]
            if each.get("pending") == 0 and each["source"] == replica.name
        ]
        peers = {target.peer.name for source, target in _ways(world) if source is replica}
        if seq:
            demand(peers <= set(done), f"{replica.name}: sync_status says done with {done} only: {told}")


def _look(world: World) -> dict[str, dict[str, Leaves]]:
    return {replica.name: check_replica(replica.db, replica.local) for replica in world.replicas}
