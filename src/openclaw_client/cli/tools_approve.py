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

LOOKS = 10
"""For a request that was just made. A device that was let in asks for its tools next."""
PAUSE = 1.0
"""Seconds between two looks, if the tools are not published before."""


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
        for _ in range(LOOKS):
            if host.state is HostState.WAITING_FOR_DEVICE:
                _approve(operator, "device", _pending_devices(operator), host)
            elif host.state is HostState.WAITING_FOR_APPROVAL:
                _approve(operator, "node", pending_nodes(operator), host)
            if host.wait_published(PAUSE):
                return
    complain("this operator is shown no request of this host: with a device token alone that takes --scopes read,admin")


def _approve(operator: GatewayClient, kind: str, requests: list[dict[str, Any]], host: Served) -> None:
    for request in requests:
        if host.device_id is not None and request.get(f"{kind}_id") == host.device_id:
            operator.request(f"{kind}.pair.approve", {"requestId": request["request_id"]})
            # Before 2026.9 a node is not told.
            host.retry_now()


def _pending_devices(operator: GatewayClient) -> list[dict[str, Any]]:
    page = operator.request("device.pair.list", {})
    rows = page.get("pending") if isinstance(page, Mapping) else None
    return [
        {"request_id": row.get("requestId"), "device_id": row.get("deviceId")}
        for row in rows or ()
        if isinstance(row, Mapping)
    ]
