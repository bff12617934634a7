"""Stored bodies of documents."""

from __future__ import annotations

from pouchdb_core.errors import Damaged
from pouchdb_core.jsontext import load_record
from pouchdb_core.results import Record

__all__ = ["parsed_body"]


def parsed_body(body: bytes, id: str) -> Record:
    """Return a stored body parsed. Raises Damaged."""
    try:
        return load_record(body)
    except Damaged as error:
        raise Damaged(f"document {id!r} is damaged: {error.message}", id=id) from error
