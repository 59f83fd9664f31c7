"""Closed parameter objects, checked as the gateways check them, with their words for what is wrong.

Two dialects: releases of wire v3 name every fault and test enumerations as a list of constants, later ones name the
first missing and the first unexpected key and know enumerations (observed on all four releases).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """A string. low and high count characters; choices makes it an enumeration; pattern is a regular expression."""

    low: int = 0
    high: int | None = None
    choices: frozenset[str] | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer within limits."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    pass


@dataclass(frozen=True, slots=True)
class Anything:
    pass


@dataclass(frozen=True, slots=True)
class Items:
    """An array."""

    of: Rule
    low: int = 0


@dataclass(frozen=True, slots=True)
class Fields:
    """An object; closed unless `open`."""

    known: Mapping[str, Rule] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    open: bool = False


Rule = Text | Whole | Flag | Anything | Items | Fields


def complaint(rule: Rule, value: Any, *, verbose: bool) -> str:
    """What is wrong with a value, in the gateway's words; "" where nothing is. verbose: the dialect of wire v3."""
    return "; ".join(_problems(rule, value, "", verbose))


def _problems(rule: Rule, value: Any, at: str, verbose: bool) -> list[str]:
    if isinstance(rule, Fields):
        return _object(rule, value, at, verbose)
    if isinstance(rule, Text):
        return _text(rule, value, at, verbose)
    if isinstance(rule, Whole):
        return _whole(rule, value, at)
    if isinstance(rule, Items):
        if not isinstance(value, list):
            return [_said(at, "must be array")]
        if len(value) < rule.low:
            return [_said(at, f"must not have fewer than {rule.low} items")]
        return [line for index, item in enumerate(value) for line in _problems(rule.of, item, f"{at}/{index}", verbose)]
    if isinstance(rule, Flag) and not isinstance(value, bool):
        return [_said(at, "must be boolean")]
    return []


def _object(rule: Fields, value: Any, at: str, verbose: bool) -> list[str]:
    if not isinstance(value, dict):
        return [_said(at, "must be object")]
    missing = [_said(at, f"must have required property '{key}'") for key in rule.required if key not in value]
    strange = [] if rule.open else [key for key in value if key not in rule.known]
    unexpected = [f"at {at or 'root'}: unexpected property '{key}'" for key in strange]
    if not verbose:
        missing, unexpected = missing[:1], unexpected[:1]
    inside = [
        line
        for key, inner in rule.known.items()
        if key in value
        for line in _problems(inner, value[key], f"{at}/{key}", verbose)
    ]
    return missing + unexpected + inside


def _text(rule: Text, value: Any, at: str, verbose: bool) -> list[str]:
    if rule.choices is not None:
        if isinstance(value, str) and value in rule.choices:
            return []
        if verbose:
            return [_said(at, "must be equal to constant"), _said(at, "must match a schema in anyOf")]
        return [_said(at, "must be equal to one of the allowed values")]
    if not isinstance(value, str):
        return [_said(at, "must be string")]
    not_ = "must NOT" if verbose else "must not"
    wrong: list[str] = []
    if len(value) < rule.low:
        wrong.append(f"{not_} have fewer than {rule.low} characters")
    if rule.high is not None and len(value) > rule.high:
        wrong.append(f"{not_} have more than {rule.high} characters")
    if rule.pattern is not None and re.search(rule.pattern, value) is None:
        wrong.append(f'must match pattern "{rule.pattern}"')
    return [_said(at, what) for what in wrong]


def _whole(rule: Whole, value: Any, at: str) -> list[str]:
    # JavaScript has one kind of number: 5.0 is an integer there.
    whole = value.is_integer() if isinstance(value, float) else isinstance(value, int) and not isinstance(value, bool)
    if not whole:
        return [_said(at, "must be integer")]
    if rule.low is not None and value < rule.low:
        return [_said(at, f"must be >= {rule.low}")]
    if rule.high is not None and value > rule.high:
        return [_said(at, f"must be <= {rule.high}")]
    return []


def _said(at: str, what: str) -> str:
    return f"at {at}: {what}" if at else what
