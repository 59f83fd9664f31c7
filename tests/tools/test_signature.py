"""From a function's parameters to a schema, and from a call's arguments to the function's."""

from __future__ import annotations

import enum
import functools
import math
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Optional, TypedDict, TypeVar

import msgspec
import pytest
from msgspec import Meta

from openclaw_client import ToolCall, ToolError, tool
from openclaw_client.errors import UsageError
from openclaw_client.tools.tool import Tool
from tests.tools.kinds import Colour, Item, Node, Other, Pair, Point, Rope, Row, Size

if TYPE_CHECKING:
    from tests.tools.kinds import Bag

T = TypeVar("T")


@dataclass
class Page(Generic[T]):
    rows: list[T]


class Titled(TypedDict):
    """A row whose keys are words of schemas."""

    title: str
    discriminator: int
    items: bool


def call(arguments: dict[str, Any], **fields: Any) -> ToolCall:
    return ToolCall(tool="thing", arguments=arguments, **fields)


def bind(one: Tool[..., Any], arguments: dict[str, Any]) -> Any:
    """What the function is called with, by the names of its parameters."""
    args, kwargs = one.bind(call(arguments))
    return one.function(*args, **kwargs)


def of(kind: Any, default: Any = ...) -> Tool[..., Any]:
    """A tool with one parameter."""

    def it(it: Any) -> Any:
        return it

    it.__annotations__ = {"it": kind}
    it.__defaults__ = None if default is ... else (default,)
    return tool(it, description="One parameter.")


POINT = {
    "type": "object",
    "description": "Where it lies.",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
    "required": ["x"],
}
ITEM = {
    "type": "object",
    "properties": {
        "type": {"enum": ["Item"]},
        "sku": {"type": "string"},
        "points": {"type": "array", "items": POINT, "default": []},
    },
    "required": ["type", "sku"],
}
OTHER = {
    "type": "object",
    "properties": {"type": {"enum": ["Other"]}, "colour": {"enum": ["blue", "red"]}},
    "required": ["type", "colour"],
}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (int, {"type": "integer"}),
        (Any, {}),
        (None, {"type": "null"}),
        (Annotated[str, "the article's number"], {"type": "string", "description": "the article's number"}),
        (Annotated[int, Meta(ge=1)], {"type": "integer", "minimum": 1}),
        (Annotated[int, "how many", Meta(ge=1)], {"type": "integer", "minimum": 1, "description": "how many"}),
        (Annotated[int, 5, "how many"], {"type": "integer", "description": "how many"}),
        (
            Annotated[str, "the number"] | None,
            {"anyOf": [{"type": "string", "description": "the number"}, {"type": "null"}]},
        ),
        (
            dict[str, list[Annotated[str, "a number"]]],
            {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string", "description": "a number"}},
            },
        ),
        (Literal["main", "north"], {"enum": ["main", "north"]}),
        (Colour, {"enum": ["blue", "red"]}),
        (Size, {"enum": [1, 2], "description": "How large."}),
        (Annotated[Size, "the size"], {"enum": [1, 2], "description": "the size"}),
        (date, {"type": "string", "format": "date"}),
        (Point, POINT),
        (Annotated[Point, "the place"], {**POINT, "description": "the place"}),
        (Item | Other, {"anyOf": [ITEM, OTHER]}),
        (
            Row,
            {
                "type": "object",
                "properties": {"title": {"type": "string"}, "count": {"type": "integer"}},
                "required": ["title"],
            },
        ),
        (
            Titled,
            {
                "type": "object",
                "description": "A row whose keys are words of schemas.",
                "properties": {
                    "title": {"type": "string"},
                    "discriminator": {"type": "integer"},
                    "items": {"type": "boolean"},
                },
                "required": ["discriminator", "items", "title"],
            },
        ),
        (
            Pair,
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2, "maxItems": 2},
        ),
        (
            Page[Colour],
            {
                "type": "object",
                "properties": {"rows": {"type": "array", "items": {"enum": ["blue", "red"]}}},
                "required": ["rows"],
            },
        ),
        # A type within itself is any object, or any list.
        (
            Node,
            {
                "type": "object",
                "description": "A part with parts.",
                "properties": {
                    "name": {"type": "string"},
                    "parts": {"type": "array", "items": {"type": "object"}, "default": []},
                },
                "required": ["name"],
            },
        ),
        (
            Rope,
            {
                "type": "array",
                "description": "A list of its kind.",
                "prefixItems": [{"type": "integer"}, {"anyOf": [{"type": "array"}, {"type": "null"}]}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        # A reference of the user's own stays.
        (
            Annotated[int, Meta(extra_json_schema={"allOf": [{"$ref": "https://x.example/y"}]})],
            {"type": "integer", "allOf": [{"$ref": "https://x.example/y"}]},
        ),
    ],
)
def test_the_schema_of_a_type(kind: Any, schema: dict[str, Any]) -> None:
    made = of(kind).parameters
    if kind is Titled:
        made["properties"]["it"]["required"].sort()
    assert made == {
        "type": "object",
        "properties": {"it": schema},
        "required": ["it"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("kind", "default", "shown"),
    [
        (int, 5, {"default": 5}),
        (int | None, None, {"default": None}),
        (Colour, Colour.RED, {"default": "red"}),
        (date, date(2026, 9, 6), {"default": "2026-09-06"}),
        (Point, Point(1), {"default": {"x": 1, "y": 0}}),
        (list[int], [1], {"default": [1]}),
        (dict, {}, {"default": {}}),
        # What the model could not send itself is not shown.
        (str, None, {}),
        (float, math.inf, {}),
        (Any, threading.Lock(), {}),
    ],
)
def test_a_default_is_shown_where_a_model_may_send_it(kind: Any, default: Any, shown: dict[str, Any]) -> None:
    one = of(kind, default)
    assert one.parameters["required"] == []
    schema = one.parameters["properties"]["it"]
    assert {key: value for key, value in schema.items() if key == "default"} == shown
    # The function has its own, whatever JSON would make of it.
    assert bind(one, {}) is default


def test_a_default_that_is_changed_is_the_function_s_as_ever() -> None:
    @tool
    def remember(it: str, before: list[str] = []) -> list[str]:  # noqa: B006
        """Remember."""
        before.append(it)
        return before

    assert bind(remember, {"it": "a"}) == ["a"]
    assert remember("b") == ["a", "b"]
    assert bind(remember, {"it": "c", "before": []}) == ["c"]
    assert remember.parameters["properties"]["before"]["default"] == []


def test_all_kinds_of_parameters_are_bound() -> None:
    @tool
    def mixed(a: int, b: int = 2, /, c: int = 3, *, d: int, e: int = 5) -> tuple[int, ...]:
        """Mixed."""
        return a, b, c, d, e

    assert bind(mixed, {"a": 1, "d": 4}) == (1, 2, 3, 4, 5)
    assert bind(mixed, {"a": 1, "b": 9, "c": 8, "d": 7, "e": 6}) == (1, 9, 8, 7, 6)
    assert mixed.parameters["required"] == ["a", "d"]


def test_names_that_msgspec_or_python_know_are_names_of_parameters() -> None:
    @tool
    def odd(self: int, cls: int, _under: int, __dunder__: int, match: int, f0: int, größe: int) -> list[int]:
        """Odd."""
        return [self, cls, _under, __dunder__, match, f0, größe]

    names = ["self", "cls", "_under", "__dunder__", "match", "f0", "größe"]
    assert list(odd.parameters["properties"]) == names
    assert bind(odd, {name: at for at, name in enumerate(names)}) == list(range(7))
    with pytest.raises(ToolError, match=r"Expected `int`, got `str` - at `\$._under`"):
        bind(odd, {**dict.fromkeys(names, 1), "_under": "x"})


class TestTheCallItself:
    @pytest.mark.parametrize(
        "kind",
        [
            ToolCall,
            "ToolCall",
            ToolCall | None,
            "ToolCall | None",
            Optional[ToolCall],  # noqa: UP045
            "Optional[ToolCall]",
            Annotated[ToolCall, "the call"],
        ],
    )
    def test_it_is_handed_in_and_no_part_of_the_schema(self, kind: Any) -> None:
        def book(day: date, call: Any) -> Any:
            return call, day

        book.__annotations__["call"] = kind
        one = tool(book, description="Book.")
        assert list(one.parameters["properties"]) == ["day"]
        given = call({"day": "2026-09-06"})
        args, kwargs = one.bind(given)
        assert one(*args, **kwargs) == (given, date(2026, 9, 6))

    def test_the_model_cannot_give_one(self) -> None:
        def book(call: ToolCall) -> ToolCall:
            """Book."""
            return call

        with pytest.raises(ToolError, match="unknown field `call`"):
            bind(tool(book), {"call": {}})

    def test_it_is_known_where_it_is_imported_for_type_checkers_alone(self) -> None:
        names: dict[str, Any] = {"__name__": "user"}
        exec(
            "from __future__ import annotations\n"
            "def book(call: ToolCall, day: str) -> Nowhere:\n    'Book.'\n    return call.user, day",
            names,
        )
        one = tool(names["book"])
        args, kwargs = one.bind(call({"day": "now"}, user="ann"))
        assert one(*args, **kwargs) == ("ann", "now")

    def test_a_class_of_the_user_s_own_of_that_name_is_no_call(self) -> None:
        names: dict[str, Any] = {"__name__": "user"}
        exec("class ToolCall(dict): pass\ndef book(it: 'ToolCall'):\n    'Book.'", names)
        with pytest.raises(UsageError, match="no form for"):
            tool(names["book"])

    def test_by_position(self) -> None:
        @tool
        def book(call: ToolCall, n: int = 1, /) -> Any:
            """Book."""
            return call.tool, n

        assert bind(book, {}) == ("thing", 1)


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    def stock(self, sku: str) -> str:
        """How many."""
        return f"{self.name}: {sku}"

    def __call__(self, sku: str, count: int = 1) -> str:
        """Count."""
        return f"{self.name}: {sku} {count}"


def add(sku: str, tenant: str, count: int = 1) -> str:
    """Add."""
    return f"{tenant}: {sku} {count}"


def logged(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("function", "properties", "arguments", "result"),
    [
        (Shop("a").stock, ["sku"], {"sku": "x"}, "a: x"),
        (Shop("a"), ["sku", "count"], {"sku": "x", "count": 2}, "a: x 2"),
        (logged(add), ["sku", "tenant", "count"], {"sku": "x", "tenant": "t"}, "t: x 1"),
        (functools.partial(add, "x"), ["tenant", "count"], {"tenant": "t"}, "t: x 1"),
        (functools.partial(add, tenant="t"), ["sku", "count"], {"sku": "x", "count": 3}, "t: x 3"),
        (functools.partial(functools.partial(add, tenant="t"), count=7), ["sku"], {"sku": "x"}, "t: x 7"),
        (functools.partial(logged(functools.partial(add, tenant="t")), "x"), ["count"], {}, "t: x 1"),
        (functools.partial(Shop("a"), count=4), ["sku"], {"sku": "x"}, "a: x 4"),
        (tool(add), ["sku", "tenant", "count"], {"sku": "x", "tenant": "t"}, "t: x 1"),
    ],
)
def test_what_is_called_may_be_wrapped(
    function: Any, properties: list[str], arguments: dict[str, Any], result: str
) -> None:
    one = tool(function, name="thing", description="A thing.")
    assert list(one.parameters["properties"]) == properties
    assert bind(one, arguments) == result


def test_what_a_partial_has_set_no_model_changes() -> None:
    one = tool(functools.partial(add, tenant="t"), name="thing")
    with pytest.raises(ToolError, match="unknown field `tenant`"):
        bind(one, {"sku": "x", "tenant": "other"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "Object missing required field `it`"),
        ({"it": 0}, "Expected `int` >= 1 - at `$.it`"),
        ({"it": "many"}, "Expected `int`, got `str` - at `$.it`"),
        ({"it": 1, "more": 2}, "Object contains unknown field `more`"),
    ],
)
def test_what_does_not_fit_is_refused_in_msgspec_s_words(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolError) as refused:
        bind(of(Annotated[int, Meta(ge=1)]), arguments)
    assert str(refused.value) == said


@pytest.mark.parametrize(("kind", "given", "taken"), [(int, "5", 5), (bool, "true", True), (float, "1.5", 1.5)])
def test_numbers_that_a_model_sends_as_text_are_taken(kind: Any, given: str, taken: Any) -> None:
    assert bind(of(kind), {"it": given}) == taken


@dataclass
class Even:
    n: int

    def __post_init__(self) -> None:
        if self.n % 2:
            raise ValueError(f"the password is {self.n}")
        if self.n > 10:
            raise ToolError("at most 10")


def test_the_words_of_a_check_of_the_user_s_are_not_told() -> None:
    with pytest.raises(ToolError) as refused:
        bind(of(list[Even]), {"it": [{"n": 4}, {"n": 7}]})
    assert str(refused.value) == "Invalid value (ValueError) - at `$.it[1]`"
    assert bind(of(Even), {"it": {"n": 4}}) == Even(4)


def test_a_check_of_the_user_s_may_speak_to_the_model() -> None:
    with pytest.raises(ToolError, match="at most 10"):
        bind(of(Even), {"it": {"n": 12}})


class Opaque:
    pass


class Mixed(enum.Enum):
    A = 1
    B = "b"


def needs_more(*skus: str) -> None: ...
def takes_names(**skus: str) -> None: ...
def without(sku) -> None: ...
def method(self, sku: str) -> None: ...
def unknown(it: Nowhere) -> None: ...  # noqa: F821
def for_checkers(it: Bag) -> None: ...
def path(it: Path) -> None: ...
def opaque(it: list[Opaque]) -> None: ...
def calls(it: list[ToolCall]) -> None: ...
def bounds(it: Annotated[str, Meta(ge=1)]) -> None: ...
def dicts(it: dict[str, int] | Point) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (needs_more, r"needs_more takes \*skus, which no schema can name"),
        (takes_names, r"takes_names takes \*\*skus, which no schema can name"),
        (without, r"parameter sku of without has no annotation. Write its type: sku: str"),
        (method, r"parameter self of method has no annotation. Make the tool of the bound method"),
        (unknown, r"annotation of it of unknown cannot be read: name 'Nowhere' is not defined"),
        (for_checkers, r"annotation of it of for_checkers cannot be read: name 'Bag' is not defined"),
        (path, r"parameter it of path has a type that JSON has no form for"),
        (opaque, r"parameter it of opaque has a type that JSON has no form for"),
        (calls, r"parameter it of calls has a type that JSON has no form for"),
        (bounds, r"parameter it of bounds has a type that JSON has no form for"),
        (dicts, r"parameter it of dicts has a type that JSON has no form for"),
        (max, r"parameters of max cannot be read"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_at_once(function: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tool(function, description="A thing.")


def test_types_that_use_each_other_twice_do_not_fill_the_memory() -> None:
    kind: Any = int
    for at in range(40):
        kind = msgspec.defstruct(f"Level{at}", [("left", kind), ("right", kind)])
    with pytest.raises(UsageError, match="schema of it has over 65,536 bytes"):
        of(kind)


def test_a_schema_that_is_long_is_refused() -> None:
    with pytest.raises(UsageError, match="schema of it has over 65,536 bytes"):
        of(Annotated[str, "x" * 65_536])
