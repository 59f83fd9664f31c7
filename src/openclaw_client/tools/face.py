"""What both faces of a host say of themselves, and what needs no waiting. No I/O, from any thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ParamSpec, TypeVar, overload

from openclaw_client.client.callbacks import check_handler
from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.tools.call import ToolCall
from openclaw_client.tools.calls import CallEnd
from openclaw_client.tools.changes import HostStateChange
from openclaw_client.tools.host import HostCore
from openclaw_client.tools.publication import HostState
from openclaw_client.tools.registry import AnyTool, Registry
from openclaw_client.tools.results import content_of
from openclaw_client.tools.stages import Steps, steps_of
from openclaw_client.tools.tool import Tool

P = ParamSpec("P")
R = TypeVar("R")
_H = TypeVar("_H", bound=Callable[..., object])

DRAIN = 10.0
"""Seconds for calls that run when a host is closed: most tools take less."""


class HostFace(ABC):
    """The names that need no waiting."""

    _core: HostCore
    _coroutines = True

    @property
    def name(self) -> str:
        """What was given as `name`."""
        return self._core.options.name

    @property
    def url(self) -> str:
        """The gateway's URL, with the values of telling query parameters left out."""
        return self._core.options.settings.url.redacted

    @property
    def state(self) -> HostState:
        """Where the host stands; see `HostState`."""
        return self._core.state

    @property
    def published(self) -> tuple[str, ...]:
        """The names of the tools that agents can call now: those that count at the gateway."""
        return self._core.publication.published

    @property
    def tools(self) -> tuple[AnyTool, ...]:
        """The tools of this host, published or not."""
        return self._core.registry.tools

    @property
    def waiting_for(self) -> str | None:
        """What a person has to do before the tools are published, with the command; None where nobody has to."""
        return self._core.waiting_for

    @property
    def device_id(self) -> str | None:
        """The id of the host's device, by which a gateway names it; None before the first connect()."""
        return self._core.supervisor.device_id

    @property
    def active_calls(self) -> int:
        """Functions that run now, those that were given up included."""
        return self._core.calls.running

    def add(self, *tools: AnyTool) -> None:
        """Offer these tools, too; a connected host publishes them at once, and the newest list wins.

        Raises UsageError, and adds none, where one is no tool, a name is there already, or there are too many.
        """
        self._core.registry.add(tools)
        self._changed()

    def remove(self, name: str) -> None:
        """Offer a tool no more. Calls of it that run come to their end. Raises UsageError where there is none."""
        self._core.registry.remove(name)
        self._changed()

    @overload
    def tool(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        approve: Callable[[ToolCall], object] | None = None,
    ) -> Tool[P, R]: ...

    @overload
    def tool(
        self,
        function: None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        approve: Callable[[ToolCall], object] | None = None,
    ) -> Callable[[Callable[P, R]], Tool[P, R]]: ...

    def tool(
        self,
        function: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        approve: Callable[[ToolCall], object] | None = None,
    ) -> Any:
        """`@tool` and `add` in one: `@host.tool`, or `@host.tool(timeout=60)`."""

        def make(function: Callable[..., Any]) -> AnyTool:
            made: AnyTool = Tool(function, name=name, description=description, timeout=timeout, approve=approve)
            self.add(made)
            return made

        return make if function is None else make(function)

    def on_state_change(self, handler: Callable[[HostStateChange], object]) -> Any:
        """Call handler(change) on every change of `state`, and when another request is to be approved. Also a
        decorator."""
        return self._added(self._core.handlers.state, handler)

    def on_fatal_close(self, handler: Callable[[Any, GatewayError], object]) -> Any:
        """Call handler(host, error) when the host serves no more: it is paused, or another one has replaced it. Also a
        decorator."""
        return self._added(self._core.handlers.fatal, handler)

    def _on_call_end(self, handler: Callable[[CallEnd], object]) -> None:
        """Call handler(end) for every call that ended, as `on_state_change` does."""
        self._core.handlers.call.append(handler)

    def __repr__(self) -> str:
        if "_core" not in self.__dict__:
            # The constructor failed, and something shows its variables.
            return f"{type(self).__name__}(not made)"
        return f"{type(self).__name__}({self.name!r}, {self.url!r}, {self.state})"

    @abstractmethod
    def _changed(self) -> None:
        """The tools are other ones."""

    def _steps(self, name: str, arguments: Mapping[str, Any], session_key: str | None) -> Steps:
        """A call that no gateway asks for; it comes to what the function returned."""
        tool = self._core.registry.find(name)
        if tool is None:
            raise UsageError(message=f"this host has no tool {name!r}", remedy="Pass the name of one of its tools")
        call = ToolCall(tool=name, arguments=arguments, session_key=session_key, call_id="local")
        return steps_of(tool, call, self._core.options.user_of, partial(_checked, self._core.options.max_result))

    def _added(self, handlers: list[_H], handler: _H) -> _H:
        check_handler(handler, coroutines=self._coroutines)
        handlers.append(handler)
        return handler


def _checked(max_bytes: int, value: object) -> object:
    """What a function returned, if it can be sent. Raises ToolError."""
    content_of(value, max_bytes=max_bytes)
    return value


def check_drain(drain: object) -> None:
    """Raise UsageError for what is no time to wait; at once, and not only where a call happens to run."""
    if not isinstance(drain, int | float):
        raise UsageError(message=f"drain={drain!r} is no time", remedy="Pass seconds, 0 to wait for no call")


def new_registry(tools: Any, *, coroutines: bool) -> Registry:
    """The tools that a host is made with. Raises UsageError."""
    registry = Registry(coroutines=coroutines)
    try:
        listed = tuple(tools)
    except TypeError:
        raise UsageError(message="tools= is no list of tools", remedy="Pass a list, such as [stock, book]") from None
    registry.add(listed)
    return registry
