"""``db.gql``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.tables import Table

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["gql"]


def gql(
    db: SyncPouchDB,
    query: Mapping[str, Any] | str,
    *,
    descending: bool = False,
    conflicts: bool = False,
    design_docs: bool = False,
    explain: bool = False,
) -> Record:
    """Ask in Google's query language: ``"select dept, sum(salary) group by dept"``, or its clauses as a mapping.

    The keys of a mapping are ``select, where, groupBy, pivot, orderBy, skipping, limit, offset, label, format`` and
    ``options`` (``group_by``, ``order_by``, too), the values text. Returns ``{"rows": [...]}``, a Table, with a row for
    each document or group; a cell is named by the text of its expression (``"sum(salary)"``) unless ``label`` says
    otherwise. Documents come in the order of the changes feed or of the index that served a condition; groups in
    the order of their keys. ``descending`` reverses the order of groups, or of ``order by``. ``conflicts`` adds
    ``_conflicts`` to documents; ``design_docs`` includes design documents; ``explain`` returns how it is run
    instead. Raises GqlError (400) for errors in the query.
    """
    # The libraries for grammars and dates take a tenth of a second to import: a program that does not ask is spared.
    from pouchdb_gql.execution import Answer

    for name, value in (("descending", descending), ("conflicts", conflicts), ("design_docs", design_docs)):
        if not isinstance(value, bool):
            raise BadRequest(f"{name} is True or False, not {safe_repr(value)}")
    answer = Answer(db, query, descending=descending, conflicts=conflicts, design=design_docs)
    return answer.explain() if explain else Table(rows=list(answer))
