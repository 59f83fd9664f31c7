"""Calls that nodes were sent: each has one end, by its result, by the loss of the node, or by its time limit.

Knows pending calls and the frames about them. Refuses to know tools and runs.
"""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from openclaw_client.testing.surfaces import TOOL_COMMAND
from openclaw_client.testing.traits import Profile

NOT_READY: Final = "NODE_NOT_READY"
"""What a node says that did not begin: the call is sent again."""
RETRY_DELAYS: Final = (0.1, 0.25, 0.5, 1.0)
"""Seconds before each further attempt; the gateways' own numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeWish:
    """What a node is asked to do. key: the caller's own id of the call, which may come twice. seconds: its limit."""

    command: str
    params: Any
    key: str
    session_key: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class InvokeEnd:
    """How a call ended. code, message: of one that failed."""

    ok: bool
    payload: Any = None
    code: str = ""
    message: str = ""


@dataclass(slots=True, eq=False)
class _Pending:
    id: str
    node_id: str
    connection: str
    command: str
    ended: asyncio.Future[InvokeEnd] = field(repr=False)
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)
    begun: bool = False
    """Whether the node told of progress: it cannot say any more that it did not begin."""


class NodeLine(Protocol):
    """How a node is reached: implemented by the hub of the gateway."""

    def to_node(self, connection: str, event: str, payload: Mapping[str, Any]) -> bool: ...


class Whereabouts(Protocol):
    """Where a node is connected now."""

    def connection_of(self, node_id: str) -> str | None: ...


class Invokes:
    """The calls of one gateway that have not ended."""

    def __init__(self, profile: Profile, line: NodeLine, nodes: Whereabouts) -> None:
        self._profile = profile
        self._line = line
        self._nodes = nodes
        self._table: dict[str, _Pending] = {}

    async def invoke(self, node_id: str, wish: InvokeWish) -> InvokeEnd:
        """Call a node and wait for the end; a node that is not ready is asked again."""
        loop = asyncio.get_running_loop()
        first = self._nodes.connection_of(node_id)
        if first is None:
            return InvokeEnd(ok=False, code="NOT_CONNECTED", message="node not connected")
        deadline = loop.time() + wish.seconds
        for delay in (*RETRY_DELAYS, None):
            if self._nodes.connection_of(node_id) != first:
                return InvokeEnd(ok=False, code="ROUTE_CHANGED", message="node connection changed before dispatch")
            end = await self._attempt(node_id, first, wish, deadline)
            if end.code != NOT_READY or delay is None:
                return end
            await asyncio.sleep(min(delay, max(deadline - loop.time(), 0)))
        raise AssertionError("the last attempt has no delay")

    def result(self, connection: str, params: Mapping[str, Any]) -> bool:
        """A node tells how a call ended; whether anybody waited for that."""
        pending = self._find(params["id"], connection)
        if pending is None:
            return False
        error = params.get("error") or {}
        code, message = error.get("code", ""), error.get("message", "")
        if code == NOT_READY and pending.begun:
            code, message = "UNAVAILABLE", "node reported not-ready after invocation progress"
        payload = params.get("payload")
        if payload is None and params.get("payloadJSON"):
            payload = _parsed(params["payloadJSON"])
        self._end(pending, InvokeEnd(params["ok"], payload, code, message))
        return True

    def progressed(self, connection: str, invoke_id: str) -> None:
        """A node tells of its progress; nobody is shown it."""
        pending = self._find(invoke_id, connection)
        if pending is not None:
            pending.begun = True

    def lost(self, connection: str) -> None:
        """A node's connection is gone, or counts no more."""
        for pending in [one for one in self._table.values() if one.connection == connection]:
            if pending.command == TOOL_COMMAND:
                code, message = "MCP_SERVER_UNAVAILABLE", "node host disconnected during MCP tool call"
            else:
                code, message = "DISCONNECTED", f"node disconnected ({pending.command})"
            self._end(pending, InvokeEnd(ok=False, code=code, message=message))

    def stop(self) -> None:
        """Forget everything, without a word: what a process that ends does."""
        for pending in self._table.values():
            if pending.timer is not None:
                pending.timer.cancel()
        self._table.clear()

    # Inside.

    async def _attempt(self, node_id: str, connection: str, wish: InvokeWish, deadline: float) -> InvokeEnd:
        loop = asyncio.get_running_loop()
        left = max(deadline - loop.time(), 0)
        if not left:
            return _timed_out()
        pending = _Pending(str(uuid.uuid4()), node_id, connection, wish.command, loop.create_future())
        self._table[pending.id] = pending
        pending.timer = loop.call_later(left, self._expire, pending)
        request: dict[str, Any] = {
            "id": pending.id,
            "nodeId": node_id,
            "command": wish.command,
            "paramsJSON": None if wish.params is None else _compact(wish.params),
            "timeoutMs": math.ceil(left * 1000),
            "idempotencyKey": wish.key,
        }
        if wish.session_key is not None:
            request["sessionKey"] = wish.session_key
        if not self._line.to_node(connection, "node.invoke.request", request):
            self._end(pending, InvokeEnd(ok=False, code="UNAVAILABLE", message="failed to send invoke to node"))
        try:
            return await asyncio.shield(pending.ended)
        except asyncio.CancelledError:
            # Releases that tell the node nothing keep the call, and take its result.
            if self._profile.invoke_cancel and self._take(pending):
                self._send_cancel(pending)
            raise

    def _find(self, invoke_id: str, connection: str) -> _Pending | None:
        pending = self._table.get(invoke_id)
        return pending if pending is not None and pending.connection == connection else None

    def _expire(self, pending: _Pending) -> None:
        self._send_cancel(pending)
        self._end(pending, _timed_out())

    def _send_cancel(self, pending: _Pending) -> None:
        payload = {"invokeId": pending.id, "nodeId": pending.node_id}
        self._line.to_node(pending.connection, "node.invoke.cancel", payload)

    def _end(self, pending: _Pending, end: InvokeEnd) -> None:
        if self._take(pending) and not pending.ended.done():
            pending.ended.set_result(end)

    def _take(self, pending: _Pending) -> bool:
        if pending.timer is not None:
            pending.timer.cancel()
        return self._table.pop(pending.id, None) is not None


def _timed_out() -> InvokeEnd:
    return InvokeEnd(ok=False, code="TIMEOUT", message="node invoke timed out")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"payloadJSON": text}
