"""What both faces of a client say of themselves, and the handlers that users register. No I/O, from any thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from openclaw_client.client.callbacks import check_handler
from openclaw_client.client.events import check_names
from openclaw_client.client.port import EventHandler, Port
from openclaw_client.client.slow_consumer import SlowConsumer
from openclaw_client.connection.supervisor import ConnectionState, StateChange
from openclaw_client.errors import GatewayError
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.wire.handshake import Hello

_H = TypeVar("_H", bound=Callable[..., object])


class ClientBase:
    """The names that need no waiting. Handlers run away from the reader."""

    _port: Port
    _coroutines = True
    """Whether handlers may be `async def`."""

    @property
    def url(self) -> str:
        """The gateway's URL, with the values of telling query parameters left out."""
        return self._port.url

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands; see `ConnectionState`."""
        return self._port.state

    @property
    def connected(self) -> bool:
        """Whether the connection is ready to be used now."""
        return self._port.state is ConnectionState.CONNECTED

    @property
    def user(self) -> Any:
        """What was given as `user`."""
        return self._port.user

    @property
    def idle_seconds(self) -> float:
        """Seconds since the caller last used the client or something came for the caller; ticks don't count.

        inf before the first use.
        """
        return self._port.idle_seconds

    @property
    def busy(self) -> bool:
        """Whether a run or a request of this client is under way, or waits for the connection."""
        return self._port.busy

    @property
    def hello(self) -> Hello | None:
        """hello-ok of the latest connection; None before the first."""
        return self._port.hello

    @property
    def negotiated_protocol(self) -> int | None:
        """The wire version of the latest connection, 3 or 4."""
        return self._port.hello.protocol if self._port.hello is not None else None

    @property
    def granted_scopes(self) -> tuple[str, ...] | None:
        """The scopes of the latest connection; None before the first, and where the gateway does not tell (wire v3)."""
        return self._port.granted_scopes

    def supports(self, method: str) -> bool | None:
        """Whether the gateway of the latest connection has a method: True, False, or None where nobody can know.

        True where hello-ok names it, False where the gateway said that it does not know it. Not being named says
        nothing: no release names all of its methods (`chat.inject` stands nowhere). From any thread.
        """
        return self._port.supports(method)

    def missing_scopes(self, method: str) -> tuple[str, ...]:
        """The scopes that a method needs and this connection lacks, as far as known before anything is sent.

        () where nothing is known to be missing. Known are the needs of the chat methods, and of what this gateway
        refused before. `request()` is not held back by it: the gateway decides. From any thread.
        """
        return self._port.missing_scopes(method)

    def on(self, name: str, handler: EventHandler) -> Callable[[], None]:
        """Call handler(event) for every event of a name; returns a function that ends that."""
        check_names((name,))
        check_handler(handler, coroutines=self._coroutines)
        return self._port.add_handler(name, handler)

    def on_proactive_message(self, handler: Callable[[Any, ProactiveMessage], object]) -> Any:
        """Call handler(user, message) for every whole message that no call of this client asked for. Also a decorator.

        Handlers run one after the other, in order: in the loop, where they may be `async def`, or on worker threads of
        the blocking client. What they raise is logged.

        With a journal a message is done when all handlers have returned. Where one raised, or its process ended, all
        get it again (`message.delivery` counts), after 1, 5, 30 and 120 seconds; then it is given up, which is logged
        as an error, and stays in the journal for a week. The user's later messages wait meanwhile.
        """
        added = self._added(self._port.handlers.message, handler)
        self._port.handlers.now_wanted()
        return added

    def on_fatal_close(self, handler: Callable[[Any, GatewayError], object]) -> Any:
        """Call handler(client, error) when the connection is parked for good. Also a decorator."""
        return self._added(self._port.handlers.fatal, handler)

    def on_state_change(self, handler: Callable[[StateChange], object]) -> Any:
        """Call handler(change) on every change of `state`. Also a decorator."""
        return self._added(self._port.handlers.state, handler)

    def on_slow_consumer(self, handler: Callable[[SlowConsumer], object]) -> Any:
        """Call handler(report) when a handler, a reader or the loop does not keep up. Also a decorator.

        Apart from the other handlers, so that none of them holds it up; each report is a warning in the log as well.
        """
        return self._added(self._port.handlers.slow, handler)

    def __repr__(self) -> str:
        if "_port" not in self.__dict__:
            # The constructor failed, and something shows its variables.
            return f"{type(self).__name__}(not made)"
        return f"{type(self).__name__}({self._port.url!r}, {self.state.value})"

    def _added(self, handlers: list[_H], handler: _H) -> _H:
        check_handler(handler, coroutines=self._coroutines)
        handlers.append(handler)
        return handler
