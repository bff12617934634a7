"""Several processes need a place that they share."""

from __future__ import annotations

import click
import pytest
from pouchdb_server import service
from pouchdb_server.command import _serve_with
from pouchdb_server.processes.child import Plan

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.adapters.base import Storage


class Shelf:
    """A storage whose processes share nothing but databases."""

    @hookimpl
    def pouchdb_storages(self, url):
        return Storage("memory") if url.startswith("shelf://") else None


@pytest.mark.parametrize(
    ("place", "plugins"), [(":memory:", ["server"]), ("shelf://wall", ["server", Shelf()])], ids=["memory", "storage"]
)
def test_a_place_without_texts_and_locks_is_refused(place, plugins):
    def started(port: int) -> None:
        pytest.fail("it was served")

    with pytest.raises(click.UsageError, match="several --workers need a directory, or a storage"):
        _serve_with(Plan(place, {"plugins": plugins}), "127.0.0.1", 0, 2, started)


def test_one_process_serves_such_a_place():
    with pouchdb.setup("shelf://wall", plugins=["server", Shelf()]) as environment:
        assert environment.shared is None
        # Its secret, identity and administrators last as long as the process.
        assert service(environment).accounts.admins == {}
