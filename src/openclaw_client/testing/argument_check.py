"""Arguments of a tool call against the tool's schema: what a gateway makes of them, and what it finds wrong.

Knows the keywords that describe Python functions; others are not looked at.
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]

_STRANGE: Final = "schema is false"
"""What is wrong with a field that may not be there."""
_FORMATS: Final[Mapping[str, Callable[[str], object]]] = {
    "date": datetime.date.fromisoformat,
    "date-time": datetime.datetime.fromisoformat,
    "time": datetime.time.fromisoformat,
    "uuid": uuid.UUID,
}
"""Formats of strings that are looked at, and what raises ValueError where one does not fit."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_LENGTHS: Final = (("minLength", "maxLength", str, "characters"), ("minItems", "maxItems", list, "items"))
_BOUNDS: Final[Sequence[tuple[str, str, Callable[[Any, Any], bool]]]] = (
    ("minimum", ">=", lambda value, limit: value >= limit),
    ("maximum", "<=", lambda value, limit: value <= limit),
    ("exclusiveMinimum", ">", lambda value, limit: value > limit),
    ("exclusiveMaximum", "<", lambda value, limit: value < limit),
)


def checked(
    tool: str, schema: Schema, arguments: Mapping[str, Any], *, names_strange: bool = True
) -> tuple[dict[str, Any], str]:
    """The arguments as the tool gets them, and what is wrong with them in the gateway's words, "" where nothing is.

    names_strange: whether a field that the schema does not have is told by its name, too.
    """
    made: dict[str, Any] = _made(dict(arguments), schema)
    wrong = [line for line in _problems(made, schema, "") if names_strange or line[1] != _STRANGE]
    if not wrong:
        return made, ""
    lines = "\n".join(f"  - {at or 'root'}: {what}" for at, what in wrong)
    received = json.dumps(dict(arguments), indent=2, ensure_ascii=False)
    return made, f'Validation failed for tool "{tool}":\n{lines}\n\nReceived arguments:\n{received}'


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _is(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and (whole or (kind == "number" and isinstance(value, float)))
    kinds = {"string": str, "boolean": bool, "null": type(None), "array": list, "object": dict}
    return isinstance(value, kinds[kind]) if kind in kinds else True


# What models write for something else.


def _made(value: Any, schema: Any) -> Any:
    """The value as the schema has it, where it is plain what was meant."""
    if isinstance(value, float) and value.is_integer():
        # As JavaScript writes it.
        value = int(value)
    if not isinstance(schema, Mapping):
        return value
    options = schema.get("anyOf", ())
    if value is None and not all(_problems(value, one, "") for one in options):
        return value
    for one in options:
        made = _made(value, one)
        if not _problems(made, one, ""):
            return made
    kinds = _types(schema)
    if kinds and not any(_is(value, kind) for kind in kinds):
        value = next((made for kind in kinds if _is(made := _meant(value, kind), kind)), value)
    if isinstance(value, dict):
        others = schema.get("additionalProperties")
        known = schema.get("properties", {})
        return {name: _made(one, known.get(name, others)) for name, one in value.items()}
    if isinstance(value, list):
        return [_made(one, schema.get("items")) for one in value]
    return value


def _meant(value: Any, kind: str) -> Any:
    if kind in ("number", "integer"):
        return _number(value)
    if kind == "boolean":
        return {"true": True, "false": False, "None": False}.get(str(value), value)
    if kind == "string" and (value is None or isinstance(value, bool | int | float)):
        return "" if value is None else json.dumps(value)
    if kind in ("array", "object") and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _number(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return int(bool(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


# What is wrong.


def _problems(value: Any, schema: Any, at: str) -> list[tuple[str, str]]:
    if schema is False:
        return [(at, _STRANGE)]
    if not isinstance(schema, Mapping):
        return []
    kinds = _types(schema)
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [(at, f"must be {kinds[0]}" if len(kinds) == 1 else f"must be either {' or '.join(kinds)}")]
    wrong = [(at, what) for what in _limits(value, schema)]
    if "anyOf" in schema and all(_problems(value, one, at) for one in schema["anyOf"]):
        wrong.append((at, "must match a schema in anyOf"))
    if isinstance(value, dict):
        wrong += _inside(value, schema, at)
    if isinstance(value, list):
        inner = enumerate(value)
        wrong += [line for place, one in inner for line in _problems(one, schema.get("items"), _below(at, str(place)))]
    return wrong


def _inside(value: dict[str, Any], schema: Schema, at: str) -> list[tuple[str, str]]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    missing = [name for name in schema.get("required", ()) if name not in value]
    wrong = [(_below(at, missing[0]), f"must have required properties {', '.join(missing)}")] if missing else []
    for name, one in value.items():
        wrong += _problems(one, known.get(name, others), _below(at, name))
    if others is False and any(name not in known for name in value):
        wrong.append((at, "must not have additional properties"))
    return wrong


def _limits(value: Any, schema: Schema) -> list[str]:
    wrong: list[str] = []
    if "const" in schema and value != schema["const"]:
        wrong.append("must be equal to constant")
    if "enum" in schema and value not in schema["enum"]:
        wrong.append("must be equal to one of the allowed values")
    if _is(value, "number"):
        wrong += [
            f"must be {sign} {schema[key]}"
            for key, sign, fits in _BOUNDS
            if key in schema and not fits(value, schema[key])
        ]
    for low, high, kind, unit in _LENGTHS:
        if isinstance(value, kind):
            if len(value) < schema.get(low, 0):
                wrong.append(f"must not have fewer than {schema[low]} {unit}")
            if len(value) > schema.get(high, len(value)):
                wrong.append(f"must not have more than {schema[high]} {unit}")
    if isinstance(value, str) and "pattern" in schema and re.search(schema["pattern"], value) is None:
        wrong.append(f'must match pattern "{schema["pattern"]}"')
    if isinstance(value, str) and not _has_format(value, schema.get("format", "")):
        wrong.append(f'must match format "{schema["format"]}"')
    return wrong


def _has_format(value: str, name: str) -> bool:
    try:
        _FORMATS.get(name, str)(value)
    except ValueError:
        return False
    return True


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
