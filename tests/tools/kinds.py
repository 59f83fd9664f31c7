"""Types that parameters of tools have."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import msgspec
from msgspec import Meta


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    """How large."""

    SMALL = 1
    LARGE = 2


@dataclass
class Point:
    """Where it lies."""

    x: int
    y: int = 0


class Item(msgspec.Struct, tag=True):
    sku: str
    points: list[Point] = []


class Other(msgspec.Struct, tag=True):
    colour: Colour


class Row(TypedDict):
    title: str
    count: NotRequired[int]


class Pair(NamedTuple):
    left: str
    right: int


class Node(msgspec.Struct):
    """A part with parts."""

    name: str
    parts: list[Node] = []


class Rope(NamedTuple):
    """A list of its kind."""

    head: int
    tail: Rope | None


@dataclass
class Bag:
    items: list[Item] = field(default_factory=list)


KINDS: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "any": Any,
    "optional": int | None,
    "list": list[int],
    "bare list": list,
    "dict": dict[str, float],
    "tuple": tuple[int, str],
    "long tuple": tuple[int, ...],
    "set": set[str],
    "words": Literal["main", "north"],
    "word or none": Literal["x"] | None,
    "numbers": Literal[1, 2],
    "enum": Colour,
    "int enum": Size,
    "date": date,
    "date-time": Annotated[datetime, Meta(tz=True)],
    "uuid": uuid.UUID,
    "decimal": Decimal,
    "dataclass": Point,
    "struct": Item,
    "typed dict": Row,
    "named tuple": Pair,
    "bounded": Annotated[int, Meta(ge=1, le=9)],
    "short": Annotated[str, Meta(min_length=1, max_length=3)],
    "pattern": Annotated[str, Meta(pattern="^[a-z]{2,4}$")],
    "few": Annotated[list[int], Meta(min_length=1, max_length=2)],
    "union": int | str | list[bool],
    "structs": Item | Other | None,
    "nested": dict[str, list[Point]],
    "text within": list[Annotated[str, "an article's number"]],
    "bag": Bag,
}
"""What the schema of each says is all that a call of it takes: none is recursive."""
