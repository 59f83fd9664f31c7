"""Nodes that wait until somebody lets their commands be used: the requests of `node.pair.*`.

Beside the requests of devices (`device.pair.*`): a node has one of each, and the second comes when the first is
approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openclaw_client.cli.view import remark
from openclaw_client.errors import RequestFailed
from openclaw_client.errors.peer_text import one_line
from openclaw_client.sync.client import GatewayClient

LIST = "node.pair.list"

_FIELDS = {
    "request_id": "requestId",
    "node_id": "nodeId",
    "name": "displayName",
    "platform": "platform",
    "commands": "commands",
    "needs": "requiredApproveScopes",
}
"""What is shown of a request: gateways also tell addresses and versions."""


def pending_nodes(client: GatewayClient) -> list[dict[str, Any]]:
    """The requests as they are shown. Raises what `request` raises."""
    page = client.request(LIST, {})
    rows = page.get("pending") if isinstance(page, Mapping) else None
    return [_shown(row) for row in rows or () if isinstance(row, Mapping)]


def listed_nodes(client: GatewayClient) -> list[dict[str, Any]]:
    """The same beside a list of devices, which a gateway that has none of nodes does not spoil."""
    try:
        return pending_nodes(client)
    except RequestFailed as error:
        remark(f"what nodes wait for is not known: {error.message}")
        return []


def node_line(request: Mapping[str, Any]) -> str:
    """The id that the next command needs comes first, as with devices."""
    rest = [str(request[name]) for name in ("name", "platform") if request.get(name)]
    commands = request.get("commands")
    if isinstance(commands, list):
        rest.append(f"to run {','.join(map(str, commands)) or 'nothing'}")
    return (
        one_line(" ".join(["pending", str(request.get("request_id")), f"node {request.get('node_id')}", *rest])) + "\n"
    )


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[key] for name, key in _FIELDS.items() if key in row}
