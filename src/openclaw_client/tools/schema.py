"""JSON schemas as a model reads them: one piece, without references and titles. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

REF: Final = "#/$defs/"
_DROPPED: Final = frozenset({"title", "discriminator"})
"""What names types, for people and for code generators."""
_SCHEMA: Final = frozenset({"items", "additionalProperties", "propertyNames"})
_SCHEMAS: Final = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
_NAMED_SCHEMAS: Final = frozenset({"properties", "patternProperties"})
"""Keys behind which schemas stand. What stands behind others (`default`, `enum`) is anybody's data."""


class TooLarge(Exception):
    """A schema has more values than were allowed."""


def described(annotation: Any) -> Any:
    """The annotation with the texts of `Annotated[T, "text"]` where msgspec reads them, at whatever depth."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kind, *extras = inner
        metas = [msgspec.Meta(description=extra) if isinstance(extra, str) else extra for extra in extras]
        return Annotated[(described(kind), *metas)]
    if origin is None or origin is Literal:
        return annotation
    new = tuple(described(one) for one in inner)
    if all(one is other for one, other in zip(new, inner, strict=True)):
        return annotation
    return Union[new] if origin in (Union, UnionType) else origin[new]  # noqa: UP007


def written_out(schema: dict[str, Any], components: Mapping[str, dict[str, Any]], max_values: int) -> dict[str, Any]:
    """The schema with its references written out. A type within itself is any object there.

    Raises TooLarge: types that use each other twice grow with the power of two.
    """
    whole: dict[str, Any] = _Writer(components, max_values).write(schema, ())
    return whole


class _Writer:
    def __init__(self, components: Mapping[str, dict[str, Any]], max_values: int) -> None:
        self._components = components
        self._left = max_values

    def write(self, schema: Any, within: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooLarge
        if not isinstance(schema, dict):
            return schema
        name = str(schema.get("$ref", "")).removeprefix(REF)
        component = self._components.get(name)
        if component is not None:
            own = {key: value for key, value in schema.items() if key != "$ref"}
            if name in within:
                return {"type": component.get("type", "object"), **own}
            return self.write({**component, **own}, (*within, name))
        return {key: self._value(key, value, within) for key, value in schema.items() if key not in _DROPPED}

    def _value(self, key: str, value: Any, within: tuple[str, ...]) -> Any:
        if key in _SCHEMA:
            return self.write(value, within)
        if key in _SCHEMAS:
            return [self.write(one, within) for one in value]
        if key in _NAMED_SCHEMAS:
            return {name: self.write(one, within) for name, one in value.items()}
        return value
