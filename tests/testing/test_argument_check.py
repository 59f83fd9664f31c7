"""Arguments against a schema: what is made of them, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client.testing.argument_check import checked


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


TEXT, WHOLE, NUMBER, FLAG = ({"type": one} for one in ("string", "integer", "number", "boolean"))
LIST = {"type": "array", "items": WHOLE, "minItems": 1, "maxItems": 2}
MAYBE = {"anyOf": [WHOLE, {"type": "null"}]}

FITS: list[tuple[Any, Any, Any]] = [
    (TEXT, "a", "a"),
    (TEXT, 5, "5"),
    (TEXT, True, "true"),
    (TEXT, None, ""),
    (WHOLE, 5, 5),
    ({**TEXT, "format": "date"}, "2026-09-06", "2026-09-06"),
    ({**TEXT, "format": "odd"}, "?", "?"),
    (WHOLE, " 5 ", 5),
    (WHOLE, True, 1),
    (NUMBER, "5.5e1", 55),
    (NUMBER, "0.5", 0.5),
    (FLAG, "true", True),
    (FLAG, None, False),
    (LIST, [1], [1]),
    (LIST, "[1, 2]", [1, 2]),
    (LIST, ["1"], [1]),
    (MAYBE, None, None),
    (MAYBE, "7", 7),
    ({"type": ["integer", "null"]}, None, None),
    (of(a=WHOLE), '{"a": "1"}', {"a": 1}),
    ({"type": "object", "additionalProperties": WHOLE}, {"b": "1"}, {"b": 1}),
    ({"enum": ["a", 1]}, 1, 1),
    ({"const": 1}, 1, 1),
    ({}, {"anything": [None]}, {"anything": [None]}),
    (True, 1, 1),
]


@pytest.mark.parametrize(("schema", "given", "made"), FITS)
def test_what_fits(schema: Any, given: Any, made: Any) -> None:
    assert checked("t", of(x=schema), {"x": given}) == ({"x": made}, "")


UNFIT: list[tuple[Any, Any, str]] = [
    (WHOLE, "five", "x: must be integer"),
    (WHOLE, 5.5, "x: must be integer"),
    (WHOLE, [1], "x: must be integer"),
    (NUMBER, "", "x: must be number"),
    (FLAG, "yes", "x: must be boolean"),
    (TEXT, ["a"], "x: must be string"),
    (LIST, "1, 2", "x: must be array"),
    (LIST, ["a"], "x.0: must be integer"),
    (LIST, [], "x: must not have fewer than 1 items"),
    (LIST, [1, 2, 3], "x: must not have more than 2 items"),
    ({"type": ["integer", "null"]}, "a", "x: must be either integer or null"),
    (MAYBE, "a", "x: must match a schema in anyOf"),
    ({"enum": ["a"]}, "b", "x: must be equal to one of the allowed values"),
    ({"const": 1}, 2, "x: must be equal to constant"),
    ({**WHOLE, "minimum": 1}, 0, "x: must be >= 1"),
    ({**WHOLE, "maximum": 1}, 2, "x: must be <= 1"),
    ({**WHOLE, "exclusiveMinimum": 1}, 1, "x: must be > 1"),
    ({**WHOLE, "exclusiveMaximum": 1}, 1, "x: must be < 1"),
    ({**TEXT, "minLength": 2}, "a", "x: must not have fewer than 2 characters"),
    ({**TEXT, "maxLength": 1}, "ab", "x: must not have more than 1 characters"),
    ({**TEXT, "pattern": "^a$"}, "b", 'x: must match pattern "^a$"'),
    ({**TEXT, "format": "date"}, "tomorrow", 'x: must match format "date"'),
    ({**TEXT, "format": "uuid"}, "7", 'x: must match format "uuid"'),
    (of(a=WHOLE), {"a": "b"}, "x.a: must be integer"),
    ({**of(a=WHOLE), "required": ["a"]}, {}, "x.a: must have required properties a"),
    (of(), {"a": 1}, "x.a: schema is false\n  - x: must not have additional properties"),
]


@pytest.mark.parametrize(("schema", "given", "wrong"), UNFIT)
def test_what_does_not(schema: Any, given: Any, wrong: str) -> None:
    _, told = checked("t", of(x=schema), {"x": given})
    head, _, received = told.partition("\n\nReceived arguments:\n")
    assert head == f'Validation failed for tool "t":\n  - {wrong}'
    assert received.startswith('{\n  "x": ')


def test_what_was_seen_of_a_field_that_nobody_knows() -> None:
    _, told = checked("q_one", of(x=TEXT), {"y": "schema1"})
    seen = """Validation failed for tool "q_one":
  - y: schema is false
  - root: must not have additional properties

Received arguments:
{
  "y": "schema1"
}"""
    assert told == seen
    _, told = checked("q_one", of(x=TEXT), {"y": "schema1"}, names_strange=False)
    assert told == seen.replace("  - y: schema is false\n", "")


def test_numbers_are_written_as_javascript_does() -> None:
    made, _ = checked("t", of(n=WHOLE, x=NUMBER), {"n": 5.0, "x": 2.0})
    assert str(made) == "{'n': 5, 'x': 2}"
