"""What nodes may do: the commands that each device was approved for, and what waits for somebody's approval.

A device that is paired as a node may do nothing yet: what it declares at connect is approved apart, however it was
paired. Refuses to know connections; the clock is given.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

TOOL_COMMAND: Final = "mcp.tools.call.v1"
"""The command of a node that serves tools; the only one that this gateway's policy lets a node declare."""
NODE_HOST: Final = ("node-host", "node")
"""Client id and mode of those who serve tools."""
_NAMES: Final = {
    "clientId": "id",
    "clientMode": "mode",
    "displayName": "displayName",
    "platform": "platform",
    "version": "version",
    "deviceFamily": "deviceFamily",
    "modelIdentifier": "modelIdentifier",
}
"""What is shown of a node, and where the client says it."""
_UNTOLD: Final = frozenset({"clientId", "clientMode", "deviceFamily", "modelIdentifier"})
"""What the older releases leave out."""
_FAMILIES: Final = {"linux": "Linux"}
"""What a gateway takes the device for, where the client does not say it."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a node says of itself at connect. commands: those that the policy knows."""

    node_id: str
    client: Mapping[str, Any]
    caps: tuple[str, ...]
    commands: tuple[str, ...]

    @classmethod
    def of(cls, params: Mapping[str, Any], *, tools: bool) -> Declared:
        """What these connect parameters declare. tools: whether the release lets a node serve them."""
        commands = dict.fromkeys(params.get("commands", ()))
        client = params["client"]
        # What does not call itself a node's host has no commands, whatever it says.
        host = tools and (client["id"], client["mode"]) == NODE_HOST
        known = tuple(command for command in commands if host and command == TOOL_COMMAND)
        return cls(params["device"]["id"], client, tuple(dict.fromkeys(params.get("caps", ()))), known)

    def fields(self) -> dict[str, Any]:
        """As it stands in lists and events."""
        shown = {name: self.client[key] for name, key in _NAMES.items() if key in self.client}
        family = _FAMILIES.get(self.client["platform"])
        if family is not None:
            shown.setdefault("deviceFamily", family)
        return {"nodeId": self.node_id, **shown, "caps": list(self.caps), "commands": list(self.commands)}


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What waits for an approval. silent: whether the device was paired without asking anybody."""

    id: str
    declared: Declared
    at: int
    silent: bool

    @property
    def node_id(self) -> str:
        return self.declared.node_id

    @property
    def required_scopes(self) -> list[str]:
        """What an operator needs to approve it."""
        return ["operator.pairing", *(["operator.write"] if self.declared.commands else [])]

    def fields(self, *, scopes: bool, whole: bool) -> dict[str, Any]:
        """As it stands in node.pair.list, and in node.pair.requested.

        scopes: whether it tells what approving takes. whole: whether it tells all that is known of the client.
        """
        shown = self.declared.fields()
        if not whole:
            shown = {name: value for name, value in shown.items() if name not in _UNTOLD} | {"silent": False}
        elif self.silent:
            shown["silent"] = True
        needed = {"requiredApproveScopes": self.required_scopes} if scopes else {}
        return {"requestId": self.id, **shown, **needed, "ts": self.at}


@dataclass(frozen=True, slots=True)
class Surface:
    """What a node was approved for. Times in milliseconds since 1970."""

    declared: Declared
    created_at: int
    approved_at: int
    seen_at: int
    """When it connected last."""

    def fields(self) -> dict[str, Any]:
        """As it stands in node.pair.list, and in the answer of node.pair.approve."""
        return {**self.declared.fields(), "createdAtMs": self.created_at, "approvedAtMs": self.approved_at, **self.seen}

    @property
    def seen(self) -> dict[str, Any]:
        """When it was there, as lists tell it."""
        return {"lastSeenAtMs": self.seen_at, "lastSeenReason": "connect"}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a node may do as it connects. asked: a request that is new. dropped: one that counts no more."""

    commands: tuple[str, ...]
    asked: NodeRequest | None = None
    dropped: NodeRequest | None = None


class Surfaces:
    """The nodes of one gateway. Everything survives a restart with memory."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.approved: dict[str, Surface] = {}
        self.pending: dict[str, NodeRequest] = {}

    def declare(self, declared: Declared, *, silent: bool) -> Standing:
        """A node connects: what it may do, and whether somebody has to be asked."""
        waiting = self.request_of(declared.node_id)
        known = self.approved.get(declared.node_id)
        if known is not None:
            known = self.approved[declared.node_id] = replace(known, seen_at=self._now())
        if known is not None and _covers(known.declared, declared):
            if waiting is not None:
                del self.pending[waiting.id]
            return Standing(declared.commands, dropped=waiting)
        both = () if known is None else tuple(one for one in declared.commands if one in known.declared.commands)
        if waiting is not None and _same(waiting.declared, declared):
            self.pending[waiting.id] = NodeRequest(waiting.id, declared, self._now(), waiting.silent and silent)
            return Standing(both)
        if waiting is not None:
            del self.pending[waiting.id]
        request = NodeRequest(str(uuid.uuid4()), declared, self._now(), silent and known is None)
        self.pending[request.id] = request
        return Standing(both, request, waiting)

    def request_of(self, node_id: str) -> NodeRequest | None:
        """What a node waits for."""
        return next((one for one in self.pending.values() if one.node_id == node_id), None)

    def approve(self, request_id: str) -> Surface | None:
        """Let a node do what it asked for; None where nothing waits under this id."""
        request = self.pending.pop(request_id, None)
        if request is None:
            return None
        before = self.approved.get(request.node_id)
        now = self._now()
        created = before.created_at if before else now
        surface = Surface(request.declared, created, now, before.seen_at if before else request.at)
        self.approved[request.node_id] = surface
        return surface

    def reject(self, request_id: str) -> NodeRequest | None:
        """Drop a request; None where there is none."""
        return self.pending.pop(request_id, None)

    def forget(self, node_id: str) -> bool:
        """Forget a node and what it asked for; whether it was approved for anything."""
        waiting = self.request_of(node_id)
        if waiting is not None:
            del self.pending[waiting.id]
        return self.approved.pop(node_id, None) is not None


def _covers(approved: Declared, declared: Declared) -> bool:
    return set(declared.commands) <= set(approved.commands) and set(declared.caps) <= set(approved.caps)


def _same(one: Declared, other: Declared) -> bool:
    return set(one.commands) == set(other.commands) and set(one.caps) == set(other.caps)
