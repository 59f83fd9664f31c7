"""`@tool`: a Python function that agents may call. Pure."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from openclaw_client.errors import UsageError
from openclaw_client.tools.call import ToolCall
from openclaw_client.tools.docstring import read_docstring
from openclaw_client.tools.names import check_description, check_name
from openclaw_client.tools.signature import call_of, layers, read_signature

P = ParamSpec("P")
R = TypeVar("R")


class Tool(Generic[P, R]):
    """What `@tool` makes of a function; called, it is the function.

    Attributes:
        name: What the model calls it.
        description: What the model is told of it.
        parameters: The JSON schema of its arguments.
        timeout: Seconds that a call may take; None where the gateway's limit alone counts.
        approve: Asked before each call: `approve(call) -> bool`, plain or async.
        function: The function itself.
        is_coroutine: Whether calling it gives something to await.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        approve: Callable[[ToolCall], object] | None = None,
    ) -> None:
        function = _bare(function)
        named = _named(function)
        # First, since it brings along whatever attributes the function has.
        functools.update_wrapper(self, named)
        vars(self)["__wrapped__"] = function
        docs = read_docstring(_docstring(function))
        self.name = check_name(getattr(named, "__name__", "") if name is None else name)
        self.description = check_description(docs.text if description is None else description, self.name)
        self.timeout = _check_timeout(timeout, self.name)
        self.approve = _check_approve(approve, self.name)
        self.function = function
        self.is_coroutine = _is(function, inspect.iscoroutinefunction)
        self._signature = read_signature(function, self.name, docs.parameters)
        self.parameters: dict[str, Any] = self._signature.schema

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def bind(self, call: ToolCall) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the function is called with.

        Args:
            call: Its arguments are checked and made into the parameters' types; itself it goes to a parameter that is
                annotated `ToolCall`.

        Returns:
            The positional and the named arguments.

        Raises:
            ToolError: They do not fit; it says which, and what is expected.
        """
        return self._signature.bind(call)

    def __repr__(self) -> str:
        return f"<Tool {self.name}({', '.join(self.parameters['properties'])})>"


@overload
def tool(
    function: Callable[P, R],
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    approve: Callable[[ToolCall], object] | None = None,
) -> Tool[P, R]: ...


@overload
def tool(
    function: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    approve: Callable[[ToolCall], object] | None = None,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    approve: Callable[[ToolCall], object] | None = None,
) -> Any:
    """Make a function a tool: `@tool`, `@tool(timeout=60)` or `tool(thing.method)`.

    The parameters' annotations become the schema, the docstring up to its sections the description, and its `Args`
    describe parameters. `Annotated[T, "text"]` describes one, too; `Annotated[T, msgspec.Meta(ge=1)]` bounds it. A
    parameter annotated `ToolCall` is handed in. What a `functools.partial` has set by name, the model neither sees nor
    sets.

    Args:
        function: Plain or `async def`; also a partial, a bound method or an object with `__call__`.
        name: What the model calls it; the function's name by default.
        description: What the model is told of it, by default by the docstring.
        timeout: Seconds that a call may take at most.
        approve: Called before each call with its `ToolCall`; only what is true lets it pass. Plain or async.

    Returns:
        A `Tool`, which still can be called as the function.

    Raises:
        UsageError: The name is none or is taken, nothing describes the tool, or a parameter has no annotation or one
            that JSON has no form for.
    """

    def make(function: Callable[..., Any]) -> Tool[..., Any]:
        return Tool(function, name=name, description=description, timeout=timeout, approve=approve)

    return make if function is None else make(function)


def _bare(function: Callable[P, R]) -> Callable[P, R]:
    """The function of what is a tool already, which may get another name."""
    return function.function if isinstance(function, Tool) else function


def _named(function: Any) -> Any:
    """What has the name: the function behind a partial."""
    if not callable(function) or inspect.isclass(function):
        raise UsageError(message=f"{function!r} is no function", remedy="Put @tool above a `def` or `async def`")
    if _is(function, inspect.isgeneratorfunction) or _is(function, inspect.isasyncgenfunction):
        raise UsageError(
            message=f"{function!r} yields, and the result of a tool is one value", remedy="Return a list instead"
        )
    found = (one for one in layers(function) if not isinstance(one, functools.partial) and hasattr(one, "__name__"))
    return next(found, function)


def _docstring(function: Any) -> str | None:
    """That of the function; of an object with `__call__` and none there, that of its class."""
    found = [one for one in layers(function) if not isinstance(one, functools.partial)]
    found.sort(key=lambda one: not inspect.isroutine(one))
    return next((one.__doc__ for one in found if one.__doc__), None)


def _is(function: Any, check: Callable[[Any], bool]) -> bool:
    """Whether a function, also one behind a partial or in `__call__`, is of a kind."""
    while isinstance(function, functools.partial):
        function = function.func
    return check(function) or check(call_of(function))


def _check_timeout(timeout: float | None, tool: str) -> float | None:
    if timeout is None:
        return None
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not 0 < timeout < math.inf:
        raise UsageError(
            message=f"timeout={timeout!r} of {tool} is no time", remedy="Pass seconds above 0, or None for no limit"
        )
    return float(timeout)


def _check_approve(approve: Callable[[ToolCall], object] | None, tool: str) -> Callable[[ToolCall], object] | None:
    if approve is None or callable(approve):
        return approve
    raise UsageError(message=f"approve= of {tool} cannot be called", remedy="Pass a function: approve(call) -> bool")
