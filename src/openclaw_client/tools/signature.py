"""A function's parameters as a JSON schema, and a call's arguments as the function takes them. Pure.

The schema and the check come out of one msgspec type, so that what the schema admits is what a call takes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from openclaw_client.errors import UsageError
from openclaw_client.errors.peer_text import cut, one_line
from openclaw_client.tools.call import ToolCall
from openclaw_client.tools.results import ToolError
from openclaw_client.tools.schema import REF, TooLarge, described, written_out

MAX_SCHEMA_BYTES: Final = 65_536
"""Bytes of a tool's schema: the model reads all of it with each message. Long ones have some thousand."""

_ABSENT: Final = object()
"""Stands for an argument that was not given: the function has its default."""
_UNREADABLE: Final = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)
"""What msgspec raises at values and types that it does not know."""

_P = inspect.Parameter


@dataclass(frozen=True, slots=True)
class _Bound:
    """Where an argument goes. field: that of the msgspec type; "" for the `ToolCall`, which is handed in."""

    name: str
    positional: bool
    field: str
    default: Any


@dataclass(frozen=True, slots=True)
class Signature:
    """schema: of the arguments, as the model sees it."""

    schema: dict[str, Any]
    _arguments: type[msgspec.Struct]
    _parameters: tuple[_Bound, ...]

    def bind(self, call: ToolCall) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments as the function takes them. Raises ToolError with msgspec's words."""
        try:
            # Of a mapping that is no dict msgspec takes fields of any name.
            values = msgspec.convert(dict(call.arguments), self._arguments, strict=False)
        except msgspec.ValidationError as error:
            raise ToolError(_refusal(error)) from error
        positional, named = list[Any](), dict[str, Any]()
        for one in self._parameters:
            value = getattr(values, one.field) if one.field else call
            if one.positional:
                positional.append(one.default if value is _ABSENT else value)
            elif value is not _ABSENT:
                named[one.name] = value
        return tuple(positional), named


def read_signature(function: Callable[..., Any], tool: str, docs: Mapping[str, str]) -> Signature:
    """The signature of a function.

    Args:
        function: Also a partial, a bound method or an object with `__call__`.
        tool: What errors call it.
        docs: What its docstring says of parameters; `Annotated[T, "text"]` says it better.

    Raises:
        UsageError: A parameter has no annotation, or one that JSON has no form for; or the function takes any number
            of arguments.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError, NameError) as error:
        raise UsageError(
            message=f"the parameters of {tool} cannot be read: {error}", remedy="Wrap it in a function of your own"
        ) from error
    preset, names = _preset(function), _names(function)
    bound: list[_Bound] = []
    fields: list[tuple[str, Any, Any]] = []
    for one in parameters:
        if one.name in preset and one.kind is _P.KEYWORD_ONLY:
            continue
        annotation = _annotation(one, tool, names)
        field = "" if _is_call(annotation) else f"f{len(fields)}"
        bound.append(_Bound(one.name, one.kind is _P.POSITIONAL_ONLY, field, one.default))
        if field:
            required = one.default is _P.empty
            fields.append((field, annotation, ... if required else msgspec.field(default_factory=lambda: _ABSENT)))
    shown = [one for one in bound if one.field]
    arguments = _struct(tool, fields, {one.field: one.name for one in shown})
    defaults = {
        one.name: kept
        for one, (_, annotation, _) in zip(shown, fields, strict=True)
        if (kept := _default(one.default, annotation)) is not _ABSENT
    }
    return Signature(_schema(arguments, tool, docs, defaults), arguments, tuple(bound))


def call_of(function: Any) -> Any:
    """What runs when an object is called."""
    return inspect.getattr_static(type(function), "__call__", None)


def layers(function: Any) -> Iterator[Any]:
    """A callable, and one after the other what it calls: behind partials, decorators, bound methods, `__call__`."""
    while True:
        yield function
        if isinstance(function, partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif isinstance(call := call_of(function), FunctionType):
            function = call
        else:
            return


def _preset(function: Any) -> set[str]:
    """Parameters that a partial has set by name: theirs is the value, whatever a model says."""
    return {name for layer in layers(function) if isinstance(layer, partial) for name in layer.keywords}


def _names(function: Any) -> dict[str, Any]:
    """What annotations written as text may mean. `ToolCall` is often imported for type checkers alone."""
    *_, innermost = layers(function)
    return {"ToolCall": ToolCall, **getattr(innermost, "__globals__", {})}


def _annotation(parameter: inspect.Parameter, tool: str, names: dict[str, Any]) -> Any:
    name = parameter.name
    if parameter.kind in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD):
        stars = "*" if parameter.kind is _P.VAR_POSITIONAL else "**"
        raise UsageError(
            message=f"{tool} takes {stars}{name}, which no schema can name",
            remedy="Name each parameter, or take a list or a dict",
        )
    if parameter.annotation is _P.empty:
        method = name in ("self", "cls")
        raise UsageError(
            message=f"the parameter {name} of {tool} has no annotation",
            remedy="Make the tool of the bound method: tool(thing.method)"
            if method
            else f"Write its type: {name}: str",
        )

    def holder() -> None: ...

    holder.__annotations__ = {name: parameter.annotation}
    try:
        return described(get_type_hints(holder, names, include_extras=True)[name])
    except Exception as error:
        raise UsageError(
            message=f"the annotation of {name} of {tool} cannot be read: {error}",
            remedy="Import or define its names at the top of the module, not for type checkers alone",
        ) from error


def _is_call(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return set(kinds) - {NoneType} == {ToolCall}


def _struct(tool: str, fields: list[tuple[str, Any, Any]], rename: dict[str, str]) -> type[msgspec.Struct]:
    """One type of all parameters. Its fields have names of their own: a parameter may have one that msgspec keeps."""
    for name, annotation, _ in fields:
        try:
            msgspec.json.schema(annotation)
        except _UNREADABLE as error:
            raise UsageError(
                message=f"the parameter {rename[name]} of {tool} has a type that JSON has no form for: {error}",
                remedy="Use text, numbers, lists, dicts, dates, enums, dataclasses or msgspec.Struct",
            ) from error
    made = [(name, annotation) if extra is ... else (name, annotation, extra) for name, annotation, extra in fields]
    return msgspec.defstruct("Arguments", made, rename=rename, kw_only=True, forbid_unknown_fields=True)


def _schema(
    arguments: type[msgspec.Struct], tool: str, docs: Mapping[str, str], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    (root,), components = msgspec.json.schema_components((arguments,), ref_template=f"{REF}{{name}}")
    own = dict(components.pop(root["$ref"].removeprefix(REF)))
    own["properties"] = {
        name: {**({"description": docs[name]} if docs.get(name) else {}), **schema}
        for name, schema in own["properties"].items()
    }
    for name, default in defaults.items():
        own["properties"][name]["default"] = default
    try:
        # Each value has at least one byte.
        schema = written_out(own, components, MAX_SCHEMA_BYTES)
        if len(msgspec.json.encode(schema)) <= MAX_SCHEMA_BYTES:
            return schema
    except TooLarge:
        pass
    raise UsageError(
        message=f"the schema of {tool} has over {MAX_SCHEMA_BYTES:,} bytes", remedy="Take simpler parameters"
    )


def _default(default: Any, annotation: Any) -> Any:
    """The default as JSON; `_ABSENT` where there is none, or one that the model could not send itself."""
    if default is _P.empty:
        return _ABSENT
    try:
        kept = msgspec.json.decode(msgspec.json.encode(default))
        msgspec.convert(kept, annotation)
    except _UNREADABLE:
        return _ABSENT
    return kept


def _refusal(error: msgspec.ValidationError) -> str:
    """msgspec's words. Where code of the user's refused (`__post_init__`), its own words may hold secrets."""
    text = str(error)
    if error.__cause__ is not None:
        _, at, path = text.rpartition(" - at `")
        text = f"Invalid value ({type(error.__cause__).__name__}){at}{path if at else ''}"
    return cut(one_line(text))
