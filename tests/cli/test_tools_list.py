"""`tools list`, and the requests of nodes among those of devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from openclaw_client import DeviceIdentity, Tool, ToolHost, tool
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.conftest import TOKEN, Program
from tests.waiting import wait_until


@tool
def stock(sku: str) -> str:
    """How many pieces of an article are in stock, and in which of the many warehouses that we have."""
    return sku


@tool(description="Books\x1b[2J.")
def book(sku: str) -> str:
    return sku


class Hosts:
    """Hosts of tools, by name."""

    def __init__(self, gateway: BlockingEmbeddedGateway, stack: ExitStack) -> None:
        self._gateway = gateway
        self._stack = stack

    def waiting(self, name: str, *tools: Tool[..., Any]) -> ToolHost:
        host = ToolHost(self._gateway.url, name=name, tools=tools, token=TOKEN, identity=DeviceIdentity.generate())
        self._stack.callback(host.close)
        host.connect()
        wait_until(lambda: host.device_id in {one.node_id for one in self._gateway.pending_nodes})
        return host

    def serving(self, name: str, *tools: Tool[..., Any]) -> ToolHost:
        host = self.waiting(name, *tools)
        (request,) = (one for one in self._gateway.pending_nodes if one.node_id == host.device_id)
        self._gateway.approve(request.id)
        assert host.wait_published(10)
        return host


@pytest.fixture
def hosts(gateway: BlockingEmbeddedGateway) -> Iterator[Hosts]:
    with ExitStack() as stack:
        yield Hosts(gateway, stack)


def test_what_nodes_publish_and_what_the_agent_has(program: Program, hosts: Hosts) -> None:
    ran = program.run("tools", "list", "--session", "main")
    assert (ran.code, ran.out, "main" in ran.err) == (1, "", True)
    assert program.run("chat", "hi").code == 0
    assert program.run("tools", "list").out == "no node is known here, so none publishes tools\n"
    shop = hosts.serving("shop", stock, book)
    out = program.run("tools", "list", "--session", "main").out
    assert out.startswith("node shop: connected\n  book                  Books[2J.\n  stock  ")
    assert out.splitlines()[2].endswith("in stock, and in whic…")
    assert max(map(len, out.splitlines())) <= 80
    # The agent has others, too, and those of nodes stand first.
    count = int(out.partition("session main: ")[2].split()[0])
    assert f"\n\nsession main: {count} tools\n  book                  of node shop\n  stock " in out
    ran = program.run("tools", "list", "--session", "main", "--json")
    assert ran.types == ["node", *["tool"] * count, "tools"]
    node, *tools, last = ran.objects
    first, second = (item for item in tools if item["node_id"] is not None)
    assert (node["node_id"], node["name"], node["connected"]) == (shop.device_id, "shop", True)
    assert node["tools"][1] == {"name": "stock", "description": stock.description}
    assert (first["id"], first["node_id"], first["renamed_from"]) == ("book", shop.device_id, None)
    assert (second["id"], second["node"]) == ("stock", "shop")
    assert last == {"type": "tools", "nodes": 1, "session": "main", "tools": count}
    assert program.run("tools", "list", "--json").types == ["node", "tools"]


def test_tools_that_were_renamed_are_marked(program: Program, hosts: Hosts) -> None:
    assert program.run("chat", "hi").code == 0
    both = [hosts.serving("shop", stock), hosts.serving("house", stock, book)]
    tools = [item for item in program.run("tools", "list", "--session", "main", "--json").objects if item.get("node")]
    renamed = {item["node_id"]: item for item in tools if item["renamed_from"] is not None}
    assert set(renamed) == {host.device_id for host in both}
    assert {item["renamed_from"] for item in renamed.values()} == {"stock"}
    assert all(item["id"].endswith("_stock") for item in renamed.values())
    assert [item["id"] for item in tools if item["renamed_from"] is None] == ["book"]
    out = program.run("tools", "list", "--session", "main").out
    assert out.count("(renamed: several nodes publish it)") == 2
    assert "of node house, published as stock\n" in out


def test_gateways_rename_in_spite_of_another_case(program: Program, hosts: Hosts) -> None:
    assert program.run("chat", "hi").code == 0
    hosts.serving("shop", stock)
    hosts.serving("house", tool(stock.function, name="Stock"))
    out = program.run("tools", "list", "--session", "main").out
    assert out.count("(renamed: several nodes publish it)") == 2
    assert "of node shop, published as stock\n" in out
    assert "of node house, published as Stock\n" in out


def test_a_node_that_waits_or_has_gone_is_told(program: Program, hosts: Hosts) -> None:
    gone = hosts.serving("gone", stock)
    hosts.waiting("new", book)
    gone.close()
    lines = program.run("tools", "list").out.splitlines()
    assert "node gone: not connected" in lines
    assert "node new: waits for its approval, see `openclaw-client devices list`" in lines


def test_devices_list_says_which_is_which(program: Program, gateway: BlockingEmbeddedGateway, hosts: Hosts) -> None:
    host = hosts.waiting("shop", stock)
    (request,) = gateway.pending_nodes
    out = program.run("devices", "list").out
    assert f"pending {request.id} node {host.device_id} shop linux to run mcp.tools.call.v1\n" in out
    assert f"\npaired {host.device_id} node-host linux node\n" in out
    ran = program.run("devices", "list", "--json")
    assert ran.types == ["pending_node", "paired", "paired", "devices"]
    assert ran.objects[0] == {
        "type": "pending_node",
        "request_id": request.id,
        "node_id": host.device_id,
        "name": "shop",
        "platform": "linux",
        "commands": ["mcp.tools.call.v1"],
        "needs": ["operator.pairing", "operator.write"],
    }
    assert ran.objects[-1] == {"type": "devices", "pending": 0, "pending_nodes": 1, "paired": 2}


def test_devices_approve_and_reject_know_nodes(
    program: Program, gateway: BlockingEmbeddedGateway, hosts: Hosts
) -> None:
    host = hosts.waiting("shop", stock)
    (request,) = gateway.pending_nodes
    assert program.run("devices", "reject", request.id).out == f"rejected node {host.device_id}\n"
    assert gateway.pending_nodes == []
    other = hosts.waiting("house", stock)
    (request,) = gateway.pending_nodes
    # To allow a node its commands takes more than to let a device in.
    ran = program.run("devices", "approve", request.id, "--scopes", "pairing")
    assert (ran.code, "operator.write" in ran.err) == (4, True)
    assert program.run("devices", "approve", request.id, "--json").objects == [
        {"type": "approved", "request_id": request.id, "node_id": other.device_id}
    ]
    assert other.wait_published(10)
    assert program.run("devices", "approve", request.id).code == 1


@pytest.mark.parametrize("gateway", ["2026.2.17", "2026.5.12"], indirect=True)
def test_a_list_of_nodes_that_is_not_to_be_had_spoils_no_list_of_devices(program: Program) -> None:
    ran = program.run("devices", "list", "--json")
    assert (ran.code, ran.objects[-1]["paired"], ran.objects[-1]["pending_nodes"]) == (0, 1, 0)
    assert ran.err.startswith("[what nodes wait for is not known: ")
