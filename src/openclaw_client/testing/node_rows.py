"""A node as node.list and node.describe show it: what is known of its pairing, its approval and its connection.

Knows the fields of a row. Refuses to know who may see them all.
"""

from __future__ import annotations

from typing import Any, Final

from openclaw_client.testing.nodes import ConnectedNode
from openclaw_client.testing.pairing import Device, PairedDevices

_WAITING: Final = ("pendingRequestId", "pendingDeclaredCaps", "pendingDeclaredCommands")
"""What those alone are shown who may approve."""


def node_row(pairing: PairedDevices, node_id: str, node: ConnectedNode | None) -> dict[str, Any] | None:
    """The row of a node; None where nobody knows it."""
    device = pairing.devices.get(node_id)
    device = device if device is not None and device.role == "node" else None
    surface = pairing.surfaces.approved.get(node_id)
    request = pairing.surfaces.request_of(node_id)
    if device is None and surface is None and request is None and node is None:
        return None
    row: dict[str, Any] = {"nodeId": node_id}
    sources = [one.declared.fields() for one in (node, surface, request) if one is not None]
    for source in sources:
        row = {**source, **row}
    if surface is not None and "displayName" in surface.declared.client:
        row["displayName"] = surface.declared.client["displayName"]
    row |= {"caps": [], "commands": []}
    if node is not None:
        row |= {"caps": sorted(node.declared.caps), "commands": sorted(node.commands), "nodePluginTools": node.tools}
        row |= {"connectedAtMs": node.connected_at, "lastConnectedAtMs": node.connected_at}
        row |= {"lastSeenAtMs": node.connected_at, "lastSeenReason": "connect"}
    elif surface is not None:
        row |= {"caps": sorted(surface.declared.caps), "commands": sorted(surface.declared.commands), **surface.seen}
    state = "approved" if surface is not None else "unapproved"
    if request is not None:
        state = "pending-reapproval" if surface is not None else "pending-approval"
        row |= {"pendingRequestId": request.id, "pendingDeclaredCaps": sorted(request.declared.caps)}
        row["pendingDeclaredCommands"] = sorted(request.declared.commands)
    row["approvalState"] = state
    row |= _approved_at(device, surface.approved_at if surface is not None else None)
    return {**row, "sessionHost": False, "paired": device is not None, "connected": node is not None}


def _approved_at(device: Device | None, surface_at: int | None) -> dict[str, int]:
    if surface_at is not None:
        return {"approvedAtMs": surface_at}
    return {} if device is None else {"approvedAtMs": device.approved_at}


def for_reader(row: dict[str, Any], device_id: str | None) -> dict[str, Any] | None:
    """What of a row a client sees that may not approve nodes; its own device's request it may know."""
    if not row["paired"] and not row["connected"]:
        return None
    hidden = _WAITING[1:] if row["nodeId"] == device_id else _WAITING
    return {name: value for name, value in row.items() if name not in hidden}


def all_rows(pairing: PairedDevices, nodes: dict[str, ConnectedNode]) -> list[dict[str, Any]]:
    """The rows of all nodes: those that are there first, then by name."""
    surfaces = pairing.surfaces
    known = [device.id for device in pairing.devices.values() if device.role == "node"]
    idents = dict.fromkeys([*known, *surfaces.approved, *(one.node_id for one in surfaces.pending.values()), *nodes])
    rows = [row for ident in idents if (row := node_row(pairing, ident, nodes.get(ident))) is not None]
    return sorted(rows, key=lambda row: (not row["connected"], row.get("displayName", row["nodeId"]).lower()))
