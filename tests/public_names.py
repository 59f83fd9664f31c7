"""What users may rely on, as lines of text, and the stored list of it.

`python -m tests.public_names` adds to public_names.txt what is new. It takes nothing out: what is public stays.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from openclaw_client import __version__, errors

PACKAGE = "openclaw_client"
STORED = Path(__file__).with_name("public_names.txt")

MODULES = ("", "errors", "telemetry", "testing")
"""Their `__all__` is public."""
ADAPTERS = {"telemetry.otel": ["OpenTelemetry"], "telemetry.prometheus": ["PrometheusMetrics"]}

STREAMS = {"AsyncChatRun", "BlockingEventStream", "ChatRun", "EventStream"}
INTERNAL = {"put", "end", "wants"}
"""Of streams: how those who receive hand events over."""
MADE_HERE = STREAMS | {"Faults", "MethodCaller", "OutFrame", "Seen", "SeenConnect", "Tool", "Turn"}
"""Classes that users get and never call."""
NAME_ONLY = {"Profile"}
"""What the embedded gateway knows of a release grows with what is observed."""
INTERNAL_MARK = "Not for users"
PROTOCOLS = {
    *("__enter__", "__exit__", "__iter__", "__next__"),
    *("__aenter__", "__aexit__", "__aiter__", "__anext__", "__await__"),
}
POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


def facts() -> set[str]:
    """Everything that is public."""
    found: set[str] = set()
    for module in (*MODULES, *ADAPTERS):
        loaded = import_module(f"{PACKAGE}.{module}" if module else PACKAGE)
        for name in ADAPTERS.get(module) or loaded.__all__:
            found.update(of_value(f"{module}.{name}" if module else name, getattr(loaded, name)))
    return found


def stored() -> set[str]:
    return set(STORED.read_text().splitlines())


def of_value(name: str, value: Any) -> Iterator[str]:
    """The lines of one public name."""
    if inspect.isclass(value):
        yield from of_class(name, value)
    elif inspect.isfunction(value):
        yield from of_call(name, value)
    elif get_origin(value) is Literal:
        yield from (f"{name}: {choice!r}" for choice in get_args(value))
    elif get_args(value):
        yield from (f"{name}: {getattr(one, '__name__', one)}" for one in get_args(value))
    else:
        yield f"{name}: {type(value).__name__}"


def of_class(name: str, kind: type[Any]) -> Iterator[str]:
    yield f"{name}: class"
    inherited = [base for base in kind.__mro__[1:] if base.__name__ in errors.__all__]
    yield from (f"{name} is a {base.__name__}" for base in inherited)
    if issubclass(kind, Enum):
        yield from (f"{name}.{member.name} = {member.value!r}" for member in kind)
        return
    parameters = set[str]()
    if kind.__name__ in NAME_ONLY:
        return
    if kind.__name__ in MADE_HERE:
        read = [one for one in (fields(kind) if is_dataclass(kind) else ()) if not one.name.startswith("_")]
        parameters = {one.name for one in read}
        yield from (f"{name}.{one.name}: {written(one.type)}" for one in read)
    elif not getattr(kind, "_is_protocol", False):
        # Of errors, which are all made alike, what the bases do not have.
        known = {one for base in inherited for one, _ in of_parameters("", base)}
        parameters = {one for one, _ in of_parameters("", kind)}
        yield from (line for one, line in of_parameters(name, kind) if one not in known)
    of_bases = {member for base in inherited for member, _ in members(base)}
    for member, value in members(kind):
        if member not in of_bases and member not in parameters:
            yield from of_member(f"{name}.{member}", value)


def members(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """The methods and properties that a class has of this package, those of its bases included."""
    seen: set[str] = set()
    internal = INTERNAL if kind.__name__ in STREAMS else set[str]()
    for base in kind.__mro__:
        if not base.__module__.startswith(PACKAGE):
            continue
        for name, value in (*vars(base).items(), *set_when_made(base)):
            hidden = name.startswith("_") and name not in PROTOCOLS
            if hidden or name in seen or name in internal:
                continue
            seen.add(name)
            if INTERNAL_MARK not in (getattr(value, "__doc__", None) or ""):
                yield name, value


def set_when_made(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """The attributes that a class sets in `__init__`."""
    made = vars(kind).get("__init__")
    # That of a dataclass has no source.
    if not inspect.isfunction(made) or is_dataclass(kind):
        return
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(made)))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr, None


def of_member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, property):
        yield f"{name}: property -> {result(value.fget)}"
    elif isinstance(value, classmethod | staticmethod):
        yield f"{name}: {type(value).__name__}"
        yield from of_call(name, value.__func__)
    elif inspect.isfunction(value):
        yield from of_call(name, value)
    else:
        yield f"{name}: attribute"


def of_call(name: str, call: Any) -> Iterator[str]:
    yield f"{name} -> {result(call)}"
    if name.rpartition(".")[2] not in PROTOCOLS:
        yield from (line for _, line in of_parameters(name, call))


def of_parameters(name: str, call: Any) -> Iterator[tuple[str, str]]:
    """Each parameter and its line: "[2]" is its position, "=" comes with what may be left out."""
    if isinstance(call, type) and issubclass(call, dict):
        # Its constructor is the built-in one.
        return
    given = [one for one in inspect.signature(call).parameters.values() if one.name not in ("self", "cls")]
    for position, one in enumerate(given):
        place = f"[{position}] " if one.kind in POSITIONAL else ""
        stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        default = "" if one.default is one.empty else f" = {shown(one.default)}"
        yield one.name, f"{name}({stars}{one.name}: {written(one.annotation)}{default}){f' {place}'.rstrip()}"


def needs_more(new: set[str], old: set[str]) -> set[str]:
    """Of the new lines those with which a call that was right is not any more."""
    callables = {re.split(r"[( ]", line)[0].removesuffix(":") for line in old}
    needed = {line for line in new if "(" in line and not re.search(r" = .*\)|\(\*", line)}
    return {line for line in needed if line.split("(")[0] in callables}


def result(call: Any) -> str:
    prefix = "async " if inspect.iscoroutinefunction(call) else ""
    return prefix + written(inspect.signature(call).return_annotation)


def written(annotation: Any) -> str:
    if annotation is inspect.Signature.empty:
        return "?"
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def shown(default: Any) -> str:
    """A default; of an object only its class, whose own lines say the rest."""
    if default == __version__:
        return "__version__"
    plain = default is None or isinstance(default, bool | int | float | str | tuple | frozenset | Enum)
    return repr(default) if plain or repr(default) == "<factory>" else f"{type(default).__name__}(…)"


def main() -> None:
    STORED.write_text("".join(f"{line}\n" for line in sorted(stored() | facts())))


if __name__ == "__main__":
    main()
