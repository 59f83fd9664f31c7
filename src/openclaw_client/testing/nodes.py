"""The nodes that are connected: which connection counts for each, what it may do, and which tools it published.

Knows who is told of a node's approval. Refuses to know methods and runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from openclaw_client.testing.callers import Caller, MethodError
from openclaw_client.testing.invokes import Invokes, NodeLine
from openclaw_client.testing.offers import OfferedTool, counted, offered
from openclaw_client.testing.pairing import PairedDevices
from openclaw_client.testing.surfaces import Declared, NodeRequest, Standing, Surface
from openclaw_client.testing.traits import Profile

PAIRING_SCOPE: Final = "operator.pairing"


WAKE_WORDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "voicewake.changed": {"triggers": ["openclaw"]},
    "voicewake.routing.changed": {"config": {"version": 1, "defaultTarget": {"mode": "current"}, "routes": []}},
}
"""What every node is told behind hello-ok, of use to it or not."""


@dataclass(slots=True, eq=False)
class ConnectedNode:
    """A node that is there. connection: the one that counts. tools: what of its last list counts."""

    id: str
    connection: str
    declared: Declared
    connected_at: int
    commands: tuple[str, ...] = ()
    tools: list[dict[str, Any]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Its last list as it sent it: what of that counts is decided again when it is approved."""

    @property
    def label(self) -> str:
        """What people call it."""
        return str(self.declared.client.get("displayName", "")).strip() or self.id

    def decide(self) -> None:
        """What counts, now that its commands or its list changed."""
        self.tools = counted(self.published, self.commands)


class NodeHub(NodeLine, Protocol):
    """The hub of the gateway, as far as nodes need it."""

    def now_ms(self) -> int: ...
    def to_scope(self, scope: str, event: str, payload: Mapping[str, Any]) -> None: ...
    def expel(self, device_id: str) -> None: ...


class Nodes:
    """The nodes of one life of a gateway."""

    def __init__(self, profile: Profile, pairing: PairedDevices, hub: NodeHub) -> None:
        self._profile = profile
        self._pairing = pairing
        self._surfaces = pairing.surfaces
        self._hub = hub
        self.table: dict[str, ConnectedNode] = {}
        self.invokes = Invokes(profile, hub, self)

    # Connections.

    def joined(self, connection: str, params: Mapping[str, Any], *, silent: bool) -> None:
        """A node is let in. It takes the place of another connection of its device. silent: how that was paired."""
        declared = Declared.of(params, tools=self._profile.node_tools)
        node = ConnectedNode(declared.node_id, connection, declared, self._hub.now_ms())
        if self._profile.node_surfaces:
            standing = self._surfaces.declare(declared, silent=silent)
            node.commands = standing.commands
            self._tell_standing(standing)
        before = self.table.get(node.id)
        self.table[node.id] = node
        if before is not None:
            self.invokes.lost(before.connection)

    def greet(self, connection: str) -> None:
        """What a node is told behind hello-ok."""
        for event, payload in WAKE_WORDS.items():
            self._hub.to_node(connection, event, payload)

    def left(self, connection: str) -> None:
        """A connection is gone; if it counted, so are the node and its tools."""
        node = next((one for one in self.table.values() if one.connection == connection), None)
        if node is not None:
            del self.table[node.id]
            self.invokes.lost(connection)

    def connection_of(self, node_id: str) -> str | None:
        node = self.table.get(node_id)
        return node.connection if node is not None else None

    def owned(self, caller: Caller) -> ConnectedNode:
        """The node that a connection is. Raises MethodError where another connection took its place, for good."""
        node = self.table.get(caller.device_id or "")
        if node is None or node.connection != caller.owner.connection:
            raise pairing_changed("before request dispatch")
        return node

    # Approval.

    def approve(self, request_id: str) -> Surface | None:
        """Let a node do what it asked for. What it published counts from now on."""
        surface = self._surfaces.approve(request_id)
        if surface is None:
            return None
        node_id = surface.declared.node_id
        told = self._resolved(request_id, node_id, "approved")
        node = self.table.get(node_id)
        if node is not None:
            node.commands = tuple(one for one in node.declared.commands if one in surface.declared.commands)
            node.decide()
            if self._profile.node_told:
                self._hub.to_node(node.connection, "node.pair.resolved", told)
        self._hub.to_scope(PAIRING_SCOPE, "node.pair.resolved", told)
        return surface

    def reject(self, request_id: str) -> NodeRequest | None:
        """Drop a request. The node is not told."""
        request = self._surfaces.reject(request_id)
        if request is not None:
            self._tell_resolved(request, "rejected")
        return request

    def removed(self, node_id: str) -> None:
        """Tell that a node is paired no more."""
        self._hub.to_scope(PAIRING_SCOPE, "node.pair.resolved", self._resolved("", node_id, "removed"))

    def _tell_standing(self, standing: Standing) -> None:
        if standing.dropped is not None:
            self._tell_resolved(standing.dropped, "rejected")
        if standing.asked is not None:
            asked = self.shown(standing.asked, scopes=self._profile.node_request_scopes)
            self._hub.to_scope(PAIRING_SCOPE, "node.pair.requested", asked)

    def shown(self, request: NodeRequest, *, scopes: bool = True) -> dict[str, Any]:
        """A request as the release shows it."""
        return request.fields(scopes=scopes, whole=self._profile.node_tools)

    def _tell_resolved(self, request: NodeRequest, decision: str) -> None:
        told = self._resolved(request.id, request.node_id, decision)
        self._hub.to_scope(PAIRING_SCOPE, "node.pair.resolved", told)

    def _resolved(self, request_id: str, node_id: str, decision: str) -> dict[str, Any]:
        return {"requestId": request_id, "nodeId": node_id, "decision": decision, "ts": self._hub.now_ms()}

    # Tools.

    def publish(self, node: ConnectedNode, tools: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace the whole list of a node; returns what of it counts."""
        node.published = list(tools)
        node.decide()
        return node.tools

    def offered(self) -> dict[str, OfferedTool]:
        """What agents may call now, by name."""
        return offered((node.id, node.label, node.tools) for node in self.table.values())

    def stop(self) -> None:
        """As a process that ends."""
        self.invokes.stop()


def pairing_changed(when: str) -> MethodError:
    """The refusal of a node whose connection or pairing counts no more."""
    details = {"code": "PAIRING_CHANGED"}
    return MethodError(f"node pairing changed {when}", code="UNAVAILABLE", details=details, retryable=True)
