"""The order of strings in the views of a server: CouchDB's, unless whoever set up the environment says otherwise."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pouchdb_core.views.collation import CODEPOINT, ICU, has_icu

if TYPE_CHECKING:
    from pouchdb_core.engine import Engine

__all__ = ["order_as_couchdb"]

logger = logging.getLogger("pouchdb.server")


def order_as_couchdb(engine: Engine) -> None:
    """Have the views of an environment that is served order strings by ICU, if nobody chose an order.

    Indexes of another order are built anew when they are asked next. Without ICU a warning is logged.
    """
    if engine.settings.get("collation") is not None:
        return
    if has_icu():
        engine.settings["collation"] = ICU
        return
    engine.settings["collation"] = CODEPOINT
    logger.warning("views order strings by code point, not as CouchDB: there is no ICU here (pip install pyicu-wheels)")
