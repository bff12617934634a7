"""The order of strings in the views of a server: CouchDB's, unless the environment was set up with another."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pouchdb_core.views.collation import CODEPOINT, ICU, has_icu

if TYPE_CHECKING:
    from pouchdb_core.engine import Engine

__all__ = ["order_as_couchdb"]

logger = logging.getLogger("pouchdb.server")


def order_as_couchdb(engine: Engine) -> None:
    """Make the views of a served environment order strings by ICU, unless an order was chosen.

    Indexes of another order are rebuilt when they are next queried. Without ICU a warning is logged.
    """
    if engine.settings.get("collation") is not None:
        return
    if has_icu():
        engine.settings["collation"] = ICU
        return
    engine.settings["collation"] = CODEPOINT
    logger.warning("views order strings by code point, not as CouchDB: there is no ICU here (pip install pyicu-wheels)")
