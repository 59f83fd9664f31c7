"""One request of one thread, waited for with a lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from openclaw_client.client.port import Port
from openclaw_client.errors import GatewayError
from openclaw_client.sync import threads


class Waiter:
    """Started, answered and dropped on the loop's thread, waited for on the caller's."""

    __slots__ = ("_answered", "_drop", "_error", "_payload")

    def __init__(self) -> None:
        self._answered = threads.latch()
        self._payload: Any = None
        self._error: GatewayError | None = None
        self._drop: Callable[[], object] | None = None

    @property
    def answered(self) -> bool:
        return self._answered.is_set

    def start(
        self, port: Port, method: str, params: Mapping[str, Any] | None, timeout: float | None, final: bool
    ) -> None:
        self._drop = port.start(method, params, timeout, self._answer, expect_final=final)

    def wait(self) -> Any:
        self._answered.wait()
        if self._error is not None:
            raise self._error
        return self._payload

    def drop(self) -> None:
        if self._drop is not None:
            self._drop()

    def _answer(self, payload: Any, error: GatewayError | None) -> None:
        self._payload, self._error = payload, error
        self._answered.set()
