"""What a JSON schema of a tool admits: a check that shares nothing with msgspec, and values to try."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

from hypothesis import strategies as st

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
KNOWN = {
    *("type", "enum", "anyOf", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems"),
    *("maxItems", "uniqueItems", "minimum", "maximum", "minLength", "maxLength"),
    *("pattern", "format", "default", "description", "propertyNames", "contentEncoding"),
}

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def admits(schema: Any, value: Any) -> bool:
    """Whether a schema admits a value; formats are not looked at."""
    if isinstance(schema, bool):
        return schema
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "anyOf" in schema and not any(admits(one, value) for one in schema["anyOf"]):
        return False
    if "enum" in schema and not any(type(one) is type(value) and one == value for one in schema["enum"]):
        return False
    return _is_of(schema.get("type"), value) and _fits(schema, value)


def _is_of(kind: str | None, value: Any) -> bool:
    if kind is None:
        return True
    if kind == "integer":
        return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    return isinstance(value, TYPES[kind]) and (kind != "number" or not isinstance(value, bool))


def _fits(schema: dict[str, Any], value: Any) -> bool:
    if isinstance(value, dict):
        return _object_fits(schema, value)
    if isinstance(value, list):
        return _list_fits(schema, value)
    if isinstance(value, str):
        length = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return length and bool(re.search(schema.get("pattern", ""), value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return True


def _object_fits(schema: dict[str, Any], value: dict[str, Any]) -> bool:
    named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    if not value.keys() >= set(schema.get("required", ())):
        return False
    return all(admits(named.get(key, others), one) for key, one in value.items())


def _list_fits(schema: dict[str, Any], value: list[Any]) -> bool:
    first, others = schema.get("prefixItems", []), schema.get("items", True)
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return False
    return all(admits(first[at] if at < len(first) else others, one) for at, one in enumerate(value))


def instances(schema: Any) -> st.SearchStrategy[Any]:
    """Values that a schema admits."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([instances(one) for one in schema["anyOf"]])
    match schema.get("type"):
        case "object":
            return _objects(schema)
        case "array":
            return _lists(schema)
        case "string":
            return _strings(schema)
        case "integer":
            return _integers(schema)
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return json_values


def _integers(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    whole = st.integers(schema.get("minimum", -(2**53)), schema.get("maximum", 2**53))
    # A float without a fraction is an integer to JSON.
    return whole | whole.map(float)


def _strings(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    formats: dict[str, st.SearchStrategy[Any]] = {
        "date": st.dates().map(str),
        "date-time": st.datetimes(timezones=st.just(UTC)).map(lambda one: one.isoformat()),
        "uuid": st.uuids().map(str),
        "decimal": st.decimals(allow_nan=False, allow_infinity=False).map(str),
    }
    if "format" in schema:
        return formats[schema["format"]]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"])
    return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength"))


def _lists(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        size = schema["minItems"]
        return st.tuples(*map(instances, schema["prefixItems"][:size])).map(list)
    items = instances(schema.get("items", {}))
    unique = repr if schema.get("uniqueItems") else None
    return st.lists(items, min_size=schema.get("minItems", 0), max_size=schema.get("maxItems", 4), unique_by=unique)


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    named = {name: instances(one) for name, one in schema.get("properties", {}).items()}
    required = {name: named.pop(name) for name in schema.get("required", ())}
    others = schema.get("additionalProperties", True)
    more = (
        st.just({})
        if others is False
        else st.dictionaries(st.text(min_size=9), instances({} if others is True else others), max_size=2)
    )
    return st.tuples(more, st.fixed_dictionaries(required, optional=named)).map(lambda both: {**both[0], **both[1]})
