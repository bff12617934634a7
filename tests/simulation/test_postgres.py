"""The same random trouble over databases in PostgreSQL: a few seeds here, more by ``make simulate STORES=postgres``."""

from __future__ import annotations

import pytest
from replicas.plan import plan
from replicas.postgres import postgres_player, server

SEEDS = (6, 21, 149, 365)


@pytest.mark.checkout
def test_all_replicas_in_postgresql_are_equal_when_the_network_heals() -> None:
    reason = server().missing()
    if reason is not None:
        pytest.skip(reason)
    told: list[str] = []
    # One test: where tests run in parallel, each would start a server.
    with postgres_player() as player:
        failures = [failure for seed in SEEDS if (failure := player.play(seed, tell=told.append)) is not None]
    if failures:
        pytest.fail("\n\n".join(map(str, failures)), pytrace=False)
    trace = "\n".join(told)
    for happened in ("backed up\n", "backed up as a file", "restored from", "is made anew", "change places", "purge"):
        assert happened in trace, f"no seed has {happened!r}"
    setups = [plan(seed)[0] for seed in SEEDS]
    assert {kind for setup in setups for kind in setup.kinds} == {"memory", "shared", "far"}
    assert any(setup.revs_limit for setup in setups)
