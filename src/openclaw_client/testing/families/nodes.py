"""node.*: what nodes do and say, what operators see and approve of them, and the tools that agents have from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from openclaw_client.testing.callers import Caller, MethodError, Params, Switchboard
from openclaw_client.testing.invokes import InvokeEnd, InvokeWish
from openclaw_client.testing.memory import Memory
from openclaw_client.testing.node_rows import all_rows, for_reader, node_row
from openclaw_client.testing.nodes import ConnectedNode, Nodes, pairing_changed
from openclaw_client.testing.offers import PLUGIN_TOOLS
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.registry import ADMIN, PAIRING, READ, WRITE, Family, Method, missing_scope
from openclaw_client.testing.traits import Profile
from openclaw_client.wire.sessions import canonical_key

INVOKE_SECONDS: Final = 30.0
"""How long node.invoke waits unless told; the gateways' own number."""


class NodeMethods:
    """The methods about nodes and their tools."""

    def __init__(self, profile: Profile, memory: Memory, nodes: Nodes, board: Switchboard) -> None:
        self._profile = profile
        self._pairing = memory.pairing
        self._transcripts = memory.transcripts
        self._nodes = nodes
        self._board = board

    def methods(self) -> Family:
        return {
            "node.pair.list": Method(self._pair_list, PAIRING),
            "node.pair.approve": Method(self._approve, PAIRING),
            "node.pair.reject": Method(self._reject, PAIRING),
            "node.pair.remove": Method(self._remove, PAIRING),
            "node.list": Method(self._list, READ),
            "node.describe": Method(self._describe, READ),
            "node.invoke": Method(self._invoke, WRITE),
            "tools.effective": Method(self._effective, READ),
            **{name: Method(self._by_node(handler), None) for name, handler in self._of_nodes().items()},
        }

    def _of_nodes(self) -> dict[str, Callable[[ConnectedNode, Params], Params]]:
        return {
            "node.pluginTools.update": self._publish,
            "node.invoke.result": self._result,
            "node.invoke.progress": self._progress,
        }

    # Of nodes.

    def _by_node(self, handler: Callable[[ConnectedNode, Params], Params]) -> Callable[[Caller, Params], Params]:
        def perform(caller: Caller, params: Params) -> Params:
            node = self._nodes.owned(caller)
            if params.get("nodeId", node.id) != node.id:
                raise MethodError("nodeId mismatch")
            return handler(node, params)

        return perform

    def _publish(self, node: ConnectedNode, params: Params) -> Params:
        return {"nodeId": node.id, "tools": self._nodes.publish(node, params["tools"])}

    def _result(self, node: ConnectedNode, params: Params) -> Params:
        awaited = self._nodes.invokes.result(node.connection, params)
        return {"ok": True} if awaited else {"ok": True, "ignored": True}

    def _progress(self, node: ConnectedNode, params: Params) -> Params:
        self._nodes.invokes.progressed(node.connection, params["invokeId"])
        return {"ok": True, "ignored": True}

    # Approval.

    def _pair_list(self, caller: Caller, _params: Params) -> Params:
        surfaces = self._pairing.surfaces
        own = self._confined_to(caller)
        pending = sorted(surfaces.pending.values(), key=lambda one: -one.at)
        approved = sorted(surfaces.approved.items(), key=lambda one: -one[1].approved_at)
        return {
            "pending": [self._nodes.shown(one) for one in pending if own in (None, one.node_id)],
            "paired": [one.fields() for node_id, one in approved if own in (None, node_id)],
        }

    def _approve(self, caller: Caller, params: Params) -> Params:
        request = self._pairing.surfaces.pending.get(params["requestId"])
        self._check_owner(caller, request.node_id if request else None, "node pairing approval denied")
        if request is not None:
            needed = request.required_scopes
            for scope in needed:
                if not allows(caller.scopes, scope):
                    raise missing_scope(scope, needed, forbidden=self._profile.forbidden)
        surface = self._nodes.approve(params["requestId"])
        if surface is None:
            raise MethodError("unknown requestId")
        return {"requestId": params["requestId"], "node": surface.fields()}

    def _reject(self, caller: Caller, params: Params) -> Params:
        request = self._pairing.surfaces.pending.get(params["requestId"])
        self._check_owner(caller, request.node_id if request else None, "node pairing rejection denied")
        if request is None:
            raise MethodError("unknown requestId")
        self._nodes.reject(request.id)
        return {"requestId": request.id, "nodeId": request.node_id}

    def _remove(self, caller: Caller, params: Params) -> Params:
        node_id = params["nodeId"].strip()
        device = self._pairing.devices.get(node_id)
        if device is None or device.role != "node":
            raise MethodError("unknown nodeId")
        if self._confined_to(caller) is not None:
            raise MethodError("node pairing removal denied")
        self._pairing.remove(node_id)
        self._nodes.removed(node_id)
        asyncio.get_running_loop().call_soon(self._board.expel, node_id)
        return {"nodeId": node_id}

    def _confined_to(self, caller: Caller) -> str | None:
        """The only device that a caller may manage: its own, if it came with that device's token and is no admin."""
        return caller.device_id if caller.by_device_token and not allows(caller.scopes, ADMIN) else None

    def _check_owner(self, caller: Caller, node_id: str | None, denied: str) -> None:
        own = self._confined_to(caller)
        if own is not None and own != node_id:
            raise MethodError(denied)

    # What is seen.

    def _list(self, caller: Caller, _params: Params) -> Params:
        rows = [self._shown(caller, row) for row in all_rows(self._pairing, self._nodes.table)]
        return {"ts": self._board.now_ms(), "nodes": [row for row in rows if row is not None]}

    def _describe(self, caller: Caller, params: Params) -> Params:
        node_id = params["nodeId"].strip()
        row = node_row(self._pairing, node_id, self._nodes.table.get(node_id))
        shown = self._shown(caller, row) if row is not None else None
        if shown is None:
            raise MethodError("unknown nodeId")
        return {"ts": self._board.now_ms(), **shown}

    def _shown(self, caller: Caller, row: Params) -> Params | None:
        return row if allows(caller.scopes, PAIRING) else for_reader(row, caller.device_id)

    def _effective(self, _caller: Caller, params: Params) -> Params:
        if self._transcripts.get(canonical_key(params["sessionKey"])) is None:
            raise MethodError(f'unknown session key "{params["sessionKey"]}"')
        groups = [_group("plugin", "Connected tools", [_entry(*one, "") for one in PLUGIN_TOOLS.items()])]
        tools = [_entry(one.name, one.published["pluginId"], one.description) for one in self._nodes.offered().values()]
        if tools:
            groups.append(_group("mcp", "MCP server tools", tools))
        return {"agentId": params.get("agentId", "main"), "profile": "full", "groups": groups}

    # Calls of operators.

    async def _invoke(self, _caller: Caller, params: Params) -> Params:
        node_id, command = params["nodeId"].strip(), params["command"].strip()
        node = self._nodes.table.get(node_id)
        if node is None:
            self._refuse_absent(node_id)
        elif command not in node.commands:
            raise _not_allowed(node, command)
        key, session = params["idempotencyKey"], params.get("sessionKey")
        seconds = params["timeoutMs"] / 1000 if params.get("timeoutMs") else INVOKE_SECONDS
        wish = InvokeWish(command=command, params=params.get("params"), key=key, session_key=session, seconds=seconds)
        end = await self._nodes.invokes.invoke(node_id, wish)
        if not end.ok:
            raise _failed(end)
        return {"ok": True, "nodeId": node_id, "command": command, "payload": end.payload, "payloadJSON": None}

    def _refuse_absent(self, node_id: str) -> None:
        if self._pairing.surfaces.approved.get(node_id) is None:
            raise pairing_changed("while invocation was active")
        error = {"code": "NOT_CONNECTED", "message": "node not connected"}
        details = {"code": "NOT_CONNECTED", "nodeError": error, "nodeCommandDispatched": False}
        raise MethodError("node not connected", code="UNAVAILABLE", details=details)


def _group(source: str, label: str, entries: list[Params]) -> Params:
    tools = [{**entry, "source": source} for entry in entries]
    tools.sort(key=lambda tool: str(tool["label"]).lower())
    return {"id": source, "label": label, "source": source, "tools": tools}


def _entry(name: str, plugin: str, description: str) -> Params:
    label = " ".join(word[:1].upper() + word[1:] for word in name.replace("-", "_").split("_") if word)
    return {"id": name, "label": label, "description": description, "rawDescription": description, "pluginId": plugin}


def _not_allowed(node: ConnectedNode, command: str) -> MethodError:
    if not node.commands and command in node.declared.commands:
        why = "the node's declared command surface is pending approval; run `openclaw nodes pending`, "
        why += "then `openclaw nodes approve <requestId>`"
        reason = "node did not declare commands"
    else:
        platform = node.declared.client.get("platform", "unknown")
        why = f'the node (platform: {platform}) does not support "{command}"'
        reason = "command not declared by node"
    details = {"reason": reason, "command": command}
    return MethodError(f"node command not allowed: {why}", details=details)


def _failed(end: InvokeEnd) -> MethodError:
    said = end.message or "node invoke failed"
    error = {name: value for name, value in (("code", end.code), ("message", end.message)) if value}
    details = {"nodeError": error or None, "nodeCommandDispatched": end.code not in ("NOT_CONNECTED", "ROUTE_CHANGED")}
    return MethodError(f"{end.code}: {said}" if end.code else said, code="UNAVAILABLE", details=details)
