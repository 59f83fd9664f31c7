"""One request of one thread, waited for with a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from openclaw_client.client.engine import Engine
from openclaw_client.errors import GatewayError


class Waiter:
    """Started, answered and dropped on the loop's thread, waited for on the caller's."""

    __slots__ = ("_drop", "_error", "_lock", "_payload")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._payload: Any = None
        self._error: GatewayError | None = None
        self._drop: Callable[[], object] | None = None

    def start(
        self, engine: Engine, method: str, params: Mapping[str, Any] | None, timeout: float | None, final: bool
    ) -> None:
        self._drop = engine.start_request(method, params, timeout, self._answer, expect_final=final)

    def wait(self) -> Any:
        self._lock.acquire()
        if self._error is not None:
            raise self._error
        return self._payload

    def drop(self) -> None:
        if self._drop is not None:
            self._drop()

    def _answer(self, payload: Any, error: GatewayError | None) -> None:
        self._payload, self._error = payload, error
        if self._lock.locked():
            self._lock.release()
