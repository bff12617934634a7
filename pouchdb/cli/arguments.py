"""Arguments that many commands have: JSON, filters of the changes feed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pouchdb.cli.status import Failure, Status
from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import from_text, parse

__all__ = ["JSON", "LIST", "OBJECT", "choosing", "chosen", "json_of", "text_of"]

F = TypeVar("F", bound=Callable[..., Any])


class _Json(click.ParamType[Any]):
    """A value in JSON; anything else is a string, so that a key needs no second pair of quotes."""

    name = "json"

    def __init__(self, kind: type | None = None) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            found = parse(value)
        except ValueError as error:
            if self._kind is None:
                return value
            self.fail(f"{value!r} is not JSON: {error}", param, ctx)
        if self._kind is not None and not isinstance(found, self._kind):
            self.fail(f"{value!r} is JSON, but not {_FORMS[self._kind]}", param, ctx)
        return found


_FORMS: dict[type, str] = {dict: "an object: {...}", list: "a list: [...]"}


JSON = _Json()
OBJECT = _Json(dict)
LIST = _Json(list)


def text_of(given: str) -> str:
    """Return the text of an argument: itself, that of a file (``@FILE``), or of the standard input (``-``)."""
    try:
        if given == "-":
            return sys.stdin.read().removeprefix("\ufeff")
        if given == "@":
            raise Failure("after @ comes the name of a file", exit=Status.USAGE, error="usage")
        if given.startswith("@"):
            return Path(given[1:]).expanduser().read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise Failure(f"there is no file {given[1:]}", exit=Status.NOT_FOUND, error="not_found") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{_source(given)} is not UTF-8 text: {error}") from error
    return given


def json_of(given: str) -> Any:
    """Return the JSON value of an argument: its own, that of a file (``@FILE``), or of the standard input (``-``)."""
    text = text_of(given)
    if not text.strip():
        raise Failure(
            f"{_source(given)} is empty: a document in JSON is needed", exit=Status.FAILED, error="bad_request"
        )
    try:
        return from_text(text)
    except BadRequest as error:
        hint = ""
        if given != text:
            hint = "`pouchdb import` reads JSON lines, CSV and backups"
        elif given == text and text[:1] not in ("{", "["):
            hint = """a document is written as '{"_id": "milk"}', a file as @FILE, the standard input as -"""
        elif given == text and '"' not in text:
            hint = """JSON has double quotes: put single ones around the whole, as in '{"_id": "milk"}'"""
        raise Failure(f"{_source(given)} is not JSON: {error.message}", hint, error=error.name) from error


def _source(given: str) -> str:
    return given[1:] if given.startswith("@") else "the standard input" if given == "-" else "the document"


def choosing(function: F) -> F:
    """Add the options that choose documents: ids, a selector, a filter, a view."""
    for decorate in (
        click.option("--view", metavar="DDOC/NAME", help="Only documents for which this view emits a row."),
        click.option(
            "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the filter; may be repeated."
        ),
        click.option(
            "--filter",
            "filter_",
            metavar="DDOC/NAME",
            help="Only documents that pass this filter of a design document.",
        ),
        click.option("--selector", type=OBJECT, help="Only documents that match this Mango selector."),
        click.option("--doc-id", "doc_ids", multiple=True, metavar="ID", help="Only this document; may be repeated."),
    ):
        function = decorate(function)
    return function


def chosen(
    doc_ids: tuple[str, ...], selector: Any, filter_: str | None, params: tuple[str, ...], view: str | None
) -> dict[str, Any]:
    """Return those options as the database accepts them, without those that were not given."""
    query: dict[str, str] = {}
    for each in params:
        name, equals, value = each.partition("=")
        if not equals:
            raise Failure(f"--param {each}: it must be NAME=VALUE", exit=Status.USAGE)
        query[name] = value
    given = {
        "doc_ids": list(doc_ids) or None,
        "selector": selector,
        "filter": filter_,
        "query_params": query or None,
        "view": view,
    }
    return {name: value for name, value in given.items() if value is not None}
