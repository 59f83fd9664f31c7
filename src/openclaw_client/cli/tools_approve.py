"""`tools serve --approve`: an operator with the same credentials lets the host in, and its tools be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openclaw_client.cli.connect import connected
from openclaw_client.cli.devices import SCOPES
from openclaw_client.cli.node_requests import pending_nodes
from openclaw_client.cli.options import Options
from openclaw_client.cli.report import complain
from openclaw_client.cli.tools_host import Served
from openclaw_client.sync.client import GatewayClient

LOOKS = 20
"""Most looks at what this host waits for. A device that was let in asks for its tools next, and 2026.8 tells a node
nothing of its approval: the host asks after five seconds."""
FRUITLESS = 4
"""Looks without any request of this host, behind which there will be none: gateways list one at once."""
PAUSE = 1.0
"""Seconds between two looks, if the tools are not published before."""

_UNSEEN = "this operator is shown no request of this host: with a device token alone that takes --scopes read,admin"


def approve_own(host: Served, options: Options) -> None:
    """Approve what this host waits for, and nothing else; return when its tools are published.

    Where the operator is shown no such request, that is told, and the host goes on waiting. Raises what connecting and
    approving raise.
    """
    from openclaw_client.tools.publication import HostState

    if host.state is HostState.PUBLISHED:
        return
    # --identity is the host's.
    with connected(
        replace(options, url=options.url or host.url, identity=None), sessions=(), scopes=SCOPES
    ) as operator:
        approved = False
        for look in range(LOOKS):
            approved |= _approve(operator, host)
            if host.wait_published(PAUSE):
                return
            if not approved and look + 1 >= FRUITLESS:
                complain(_UNSEEN)
                return


def _approve(operator: GatewayClient, host: Served) -> bool:
    """Approve what the host waits for at the moment; whether there was a request of it."""
    from openclaw_client.tools.publication import HostState

    if host.state is HostState.WAITING_FOR_DEVICE:
        kind, requests = "device", _pending_devices(operator)
    elif host.state is HostState.WAITING_FOR_APPROVAL:
        kind, requests = "node", pending_nodes(operator)
    else:
        return False
    own = [one for one in requests if host.device_id is not None and one.get(f"{kind}_id") == host.device_id]
    for request in own:
        operator.request(f"{kind}.pair.approve", {"requestId": request["request_id"]})
    if own and kind == "device":
        # It looks again now and then only.
        host.retry_now()
    return bool(own)


def _pending_devices(operator: GatewayClient) -> list[dict[str, Any]]:
    page = operator.request("device.pair.list", {})
    rows = page.get("pending") if isinstance(page, Mapping) else None
    return [
        {"request_id": row.get("requestId"), "device_id": row.get("deviceId")}
        for row in rows or ()
        if isinstance(row, Mapping)
    ]
