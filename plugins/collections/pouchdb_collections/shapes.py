"""How objects of a class become JSON and come back: by msgspec (dataclasses too), or by pydantic for its models."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

__all__ = ["Shape", "shape_of"]

M = TypeVar("M")


class Shape(Protocol, Generic[M]):
    """The class of a collection. ``members`` maps its fields to the fields of a document."""

    members: dict[str, str]

    def to_json(self, value: M) -> bytes:
        """Return an object as JSON, by the rules of the class."""

    def from_json(self, text: bytes) -> M:
        """Return the object of a JSON text. Raises ValueError that says which field is wrong."""

    def plain(self, value: Any) -> Any:
        """Return a value of a query as it would be stored: dates and UUIDs as strings. Raises ValueError, TypeError."""


class _Msgspec(Generic[M]):
    def __init__(self, model: type[M]) -> None:
        if dataclasses.is_dataclass(model):
            self.members = {each.name: each.name for each in dataclasses.fields(model)}
        else:
            fields = msgspec.structs.fields(model)  # type: ignore[arg-type]  # asked for Structs only
            self.members = {each.name: each.encode_name for each in fields}
        self._decoder: msgspec.json.Decoder[M] = msgspec.json.Decoder(model)
        self.to_json = msgspec.json.Encoder().encode

    def from_json(self, text: bytes) -> M:
        # Its ValidationError is a ValueError.
        return self._decoder.decode(text)

    def plain(self, value: Any) -> Any:
        return msgspec.to_builtins(value)


class _Pydantic(Generic[M]):
    def __init__(self, model: type[M], fields: dict[str, Any]) -> None:
        # Imported for its own models only: with such a model it is installed.
        from pydantic import TypeAdapter

        self._adapter = TypeAdapter(model)
        self.members = {
            name: getattr(each, "serialization_alias", None) or getattr(each, "alias", None) or name
            for name, each in fields.items()
        }

    def to_json(self, value: M) -> bytes:
        return self._adapter.dump_json(value, by_alias=True)

    def from_json(self, text: bytes) -> M:
        return self._adapter.validate_json(text)

    def plain(self, value: Any) -> Any:
        from pydantic_core import to_jsonable_python

        return to_jsonable_python(value)


def shape_of(model: type[M]) -> Shape[M]:
    """Return the converter of a class to and from JSON. Raises BadRequest for a class without one."""
    if isinstance(model, type):
        fields = getattr(model, "__pydantic_fields__", None)
        if isinstance(fields, dict):
            return _Pydantic(model, fields)
        if dataclasses.is_dataclass(model) or issubclass(model, msgspec.Struct):
            return _Msgspec(model)
    raise BadRequest(f"a collection needs a dataclass, a msgspec.Struct or a pydantic model, not {safe_repr(model)}")
