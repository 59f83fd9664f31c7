"""Nodes: who may offer tools to the agents, what counts of what they publish, and what becomes of a call.

By raw frames. `node` is a connection of role node, `person` one that talks to the agent and may approve nodes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from tests.contract.nodes import CANCELS, COMMAND, INVOKED, REQUESTED, RESOLVED, TOOLS, Node, Payload, Person, new_name
from tests.contract.nodes import tool_named as tool
from tests.contract.targets import FORWARDED, Target
from tests.gateways.raw import RawRefused
from tests.waiting import wait_until

NOT_CURRENT = {
    "code": "UNAVAILABLE",
    "message": "node pairing changed before request dispatch",
    "retryable": True,
    "details": {"code": "PAIRING_CHANGED"},
}

pytestmark = pytest.mark.release(*TOOLS)


# Who may offer tools.


def test_a_node_is_asked_for_until_somebody_approves_it(target: Target, person: Person) -> None:
    with Node(target) as node:
        auth = node.client.hello["auth"]
        assert (auth["role"], auth["scopes"]) == ("node", [])
        assert auth["deviceToken"]
        request = person.asked(node)
        expected = {
            "nodeId": node.id,
            "clientId": "node-host",
            "clientMode": "node",
            "displayName": node.name,
            "platform": "linux",
            "commands": [COMMAND],
            "caps": [],
        }
        assert expected.items() <= request.items()
        wanted = ["operator.pairing", "operator.write"]
        assert request.get("requiredApproveScopes") == (wanted if target.release in CANCELS else None)
        listed = person.request("node.pair.list")["pending"]
        assert [one["requiredApproveScopes"] for one in listed if one["nodeId"] == node.id] == [wanted]
        assert node.published(new_name()) == []
        row = person.row(node)
        assert (row["approvalState"], row["pendingRequestId"]) == ("pending-approval", request["requestId"])
        assert (row["connected"], row["paired"], row["commands"]) == (True, True, [])
        answer = person.approve(node)
        assert (answer["requestId"], answer["node"]["commands"]) == (request["requestId"], [COMMAND])
        told = person.wait(RESOLVED, lambda one: one["nodeId"] == node.id)
        assert {key: told[key] for key in told if key != "ts"} == {
            "requestId": request["requestId"],
            "nodeId": node.id,
            "decision": "approved",
        }
        assert (person.row(node)["approvalState"], person.row(node)["commands"]) == ("approved", [COMMAND])
        node.publish()
        assert bool(node.payloads(RESOLVED)) == (target.release in CANCELS)
        assert person.request("node.pair.approve", requestId=request["requestId"])["error"]["message"] == (
            "unknown requestId"
        )


def test_what_was_published_before_the_approval_counts_with_it(target: Target, person: Person, session: str) -> None:
    with Node(target) as node:
        name = new_name()
        assert node.published(name) == []
        person.approve(node)
        run = person.call(session, name, {"sku": "a"})
        assert node.answer(node.invoked(sku="a"), "seven") == {"ok": True}
        assert person.end(run) == ("final", "seven")


def test_a_rejected_node_hears_nothing_and_is_asked_for_again_when_it_comes_back(
    target: Target, person: Person
) -> None:
    with Node(target) as node:
        first = person.asked(node)["requestId"]
        assert person.request("node.pair.reject", requestId=first) == {"requestId": first, "nodeId": node.id}
        assert person.wait(RESOLVED, lambda one: one["nodeId"] == node.id)["decision"] == "rejected"
        assert node.published(new_name()) == []
        assert node.payloads(RESOLVED) == []
        assert person.row(node)["approvalState"] == "unapproved"
        assert "error" in person.request("node.pair.approve", requestId=first)
    with Node(target, node.device) as again:
        second = person.wait(REQUESTED, lambda one: one["nodeId"] == node.id and one["requestId"] != first)
        assert person.row(again)["pendingRequestId"] == second["requestId"]
    with Node(target, node.device) as again:
        assert person.row(again)["pendingRequestId"] == second["requestId"]


def test_an_approval_is_kept_and_the_device_s_token_is_enough(target: Target, person: Person, node: Node) -> None:
    name, token = new_name(), node.client.hello["auth"]["deviceToken"]
    node.client.close()
    wait_until(lambda: not person.row(node)["connected"])
    with Node(target, node.device, token=token) as again:
        assert again.client.hello["auth"]["deviceToken"] == token
        assert again.published(name) == [name]
        assert [one["name"] for one in person.row(again)["nodePluginTools"]] == [name]
    assert len(person.payloads(REQUESTED, lambda one: one["nodeId"] == node.id)) == 1


def test_a_removed_node_is_thrown_out_and_begins_anew(target: Target, person: Person, node: Node) -> None:
    token = node.client.hello["auth"]["deviceToken"]
    assert person.request("node.pair.remove", nodeId=node.id) == {"nodeId": node.id}
    with pytest.raises(ConnectionClosed) as closed:
        node.wait("never")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "device removed")
    removed = person.wait(RESOLVED, lambda one: one["nodeId"] == node.id and one["decision"] == "removed")
    assert removed["requestId"] == ""
    assert person.row(node) == {}
    with pytest.raises(RawRefused) as refused, Node(target, node.device, token=token):
        pass
    assert refused.value.error["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    with Node(target, node.device) as again:
        assert len(person.payloads(REQUESTED, lambda one: one["nodeId"] == node.id)) <= 2
        assert person.wait(REQUESTED, lambda one: one["requestId"] == person.row(again)["pendingRequestId"])


def test_approving_a_node_takes_more_than_pairing(target: Target, person: Person) -> None:
    scopes = ("operator.pairing",)
    with (
        Node(target) as node,
        Person(target, scopes=scopes) as pairing,
        Person(target, scopes=("operator.write",)) as no,
    ):
        request = person.asked(node)["requestId"]
        refused = pairing.request("node.pair.approve", requestId=request)["error"]
        assert (refused["code"], refused["details"]["missingScope"]) == ("FORBIDDEN", "operator.write")
        missing = no.request("node.pair.list")["error"]["details"]["missingScope"]
        assert (missing, no.payloads(REQUESTED)) == ("operator.pairing", [])


@pytest.mark.parametrize(
    ("options", "commands"),
    [
        ({"commands": ()}, []),
        ({"commands": ("shop.call",)}, []),
        ({"commands": ("shop.call", COMMAND)}, [COMMAND]),
        ({"client_mode": "backend"}, []),
        ({"client_id": "cli", "client_mode": "cli"}, []),
    ],
)
def test_commands_that_nodes_do_not_have_are_left_out(
    target: Target, person: Person, options: Payload, commands: list[str]
) -> None:
    with Node(target, **options) as node:
        assert person.asked(node)["commands"] == commands


def test_a_node_without_a_device_or_with_scopes_is_not_let_in(target: Target) -> None:
    with (
        pytest.raises(RawRefused) as refused,
        Person(target, device=None, role="node", client_id="node-host", client_mode="node", scopes=()),
    ):
        pass
    assert refused.value.error["details"]["code"] == "DEVICE_IDENTITY_REQUIRED"
    with pytest.raises(RawRefused) as refused, Node(target, scopes=("operator.read",)):
        pass
    details = refused.value.error["details"]
    assert (details["code"], details["reason"], details["requestedRole"]) == ("PAIRING_REQUIRED", "not-paired", "node")


def test_nodes_and_operators_keep_to_their_own_methods(person: Person, node: Node) -> None:
    for method in ("node.list", "chat.history", "no.such.method"):
        assert node.request(method)["error"] == {"code": "INVALID_REQUEST", "message": "unauthorized role: node"}
    assert node.request("health")["ok"] is True
    for method, params in (
        ("node.pluginTools.update", {"tools": []}),
        ("node.invoke.result", {"id": "x", "nodeId": node.id, "ok": True}),
    ):
        refused = {"code": "INVALID_REQUEST", "message": "unauthorized role: operator"}
        assert person.request(method, **params)["error"] == refused


# What is published.


def test_a_list_replaces_the_one_before_and_comes_back_sorted(person: Person, node: Node, session: str) -> None:
    first, second = new_name("b"), new_name("a")
    answer = node.publish(tool(first), tool(second))
    assert answer == {"nodeId": node.id, "tools": [tool(second), tool(first)]}
    assert person.row(node)["nodePluginTools"] == answer["tools"]
    assert person.request("node.describe", nodeId=node.id)["nodePluginTools"] == answer["tools"]
    assert node.published(first) == [first]
    assert node.published() == []
    assert person.row(node)["nodePluginTools"] == []


def test_the_agent_s_view_of_a_tool(person: Person, node: Node, name: str, session: str) -> None:
    run = person.client.chat_send(session, "stub:echo begin")
    assert person.end(run)[0] == "final"
    (offered,) = [one for one in person.offered(session) if one["id"] == name]
    described = f"How many are in stock. (node: {node.name})"
    expected = {"id": name, "description": described, "source": "mcp", "pluginId": "node-mcp"}
    assert expected.items() <= offered.items()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"name": "1st"}, "at /tools/1/name: must match pattern"),
        ({"name": "in stock"}, "at /tools/1/name: must match pattern"),
        ({"name": "n" * 65}, "at /tools/1/name: must not have more than 64 characters"),
        ({"description": ""}, "at /tools/1/description: must not have fewer than 1 character"),
        ({"unknown": 1}, "at /tools/1: unexpected property 'unknown'"),
    ],
)
def test_one_bad_tool_refuses_the_whole_list(node: Node, name: str, wrong: Payload, why: str) -> None:
    refused = node.publish(tool(new_name()), {**tool(new_name()), **wrong})["error"]
    assert refused["code"] == "INVALID_REQUEST"
    assert why in refused["message"]


def test_tools_that_do_not_count_are_left_out_without_a_word(node: Node) -> None:
    kept, own = new_name("n" * 50), new_name("own")
    without = {key: value for key, value in tool(new_name()).items() if key != "mcp"}
    answer = node.publish(
        tool(kept, description="first" * 300),
        tool(kept, description="second"),
        tool(own, pluginId="my-shop"),
        tool(new_name(), command="system.run"),
        without,
    )
    assert [(one["name"], len(one["description"])) for one in answer["tools"]] == [
        (own, len(tool(own)["description"])),
        (kept, 1024),
    ]
    many = [f"{new_name()}_{number:03}" for number in range(129)]
    assert node.published(*many) == sorted(many)[:128]


# Connections that come and go.


def test_a_second_connection_of_the_device_takes_over(
    target: Target, person: Person, node: Node, name: str, session: str
) -> None:
    run = person.call(session, name, {"sku": "a"})
    invoke = node.invoked(sku="a")
    with Node(target, node.device) as second:
        assert "node host disconnected" in person.end(run)[1]
        # The first one stays open, and is told with whatever it asks.
        assert node.publish(tool(name))["error"] == NOT_CURRENT
        assert node.request("health")["error"] == NOT_CURRENT
        assert node.answer(invoke, "too late")["error"] == NOT_CURRENT
        assert second.published(name) == [name]
        served = person.call(session, name, {"sku": "b"})
        second.answer(second.invoked(sku="b"), "seven")
        assert person.end(served) == ("final", "seven")
        assert len(node.payloads(INVOKED)) == 1
    wait_until(lambda: not person.row(node)["connected"])
    assert node.publish(tool(name))["error"] == NOT_CURRENT


def test_a_restart_of_the_gateway_keeps_the_approval_and_forgets_the_tools(target: Target) -> None:
    with Person(target) as person, Node(target) as node:
        person.approve(node)
        name = new_name()
        assert node.published(name) == [name]
        target.stop()
    target.start()
    with Person(target) as person, Node(target, node.device) as again:
        assert person.row(again)["nodePluginTools"] == []
        assert again.published(name) == [name]
        assert person.payloads(REQUESTED) == []


# Names.


def test_the_same_name_on_two_nodes_renames_both(target: Target, person: Person, node: Node, session: str) -> None:
    name = new_name()
    person.end(person.client.chat_send(session, "stub:echo begin"))
    with Node(target) as other:
        person.approve(other)
        assert (node.published(name), other.published(name.upper())) == ([name], [name.upper()])
        renamed = {one.id: renamed_on(one, shown) for one, shown in ((node, name), (other, name.upper()))}
        assert {one["id"] for one in person.offered(session)} >= set(renamed.values())
        lost = person.call(session, name, {"sku": "lost"})
        person.end(lost)
        assert person.results(lost)[0] == (f"Tool {name} not found", True)
        run = person.call(session, renamed[node.id], {"sku": "a"})
        invoke = node.invoked(sku="a")
        assert json.loads(invoke["paramsJSON"])["tool"] == name
        node.answer(invoke, "seven")
        assert person.end(run) == ("final", "seven")
    wait_until(lambda: name in [one["id"] for one in person.offered(session)])


def test_a_core_tool_s_name_takes_its_place_and_a_plugin_s_is_renamed(person: Person, node: Node, session: str) -> None:
    person.end(person.client.chat_send(session, "stub:echo begin"))
    with withdrawn(node):
        assert node.published("read", "browser") == ["browser", "read"]
        assert {one["id"] for one in person.offered(session)} >= {"read", "browser", renamed_on(node, "browser")}
        run = person.call(session, "read", {"sku": "a"})
        node.answer(node.invoked(sku="a"), "seven")
        assert person.end(run) == ("final", "seven")


@contextlib.contextmanager
def withdrawn(node: Node) -> Iterator[None]:
    """Takes the tools back behind the block: other tests want the gateway's own."""
    try:
        yield
    finally:
        node.publish()


def renamed_on(node: Node, name: str) -> str:
    """What a tool is called that has the name of another: a name must begin with a letter."""
    part = node.id[:32] if node.id[0].isalpha() else f"node_{node.id[:27]}"
    return f"{part}_{name}"


# From elsewhere, and before there were tools of nodes.


def test_a_node_from_elsewhere_needs_its_device_approved_first(target: Target, proxied: tuple[str, str]) -> None:
    door = {"url": proxied[0], "token": proxied[1]}
    far = Node(target, headers=FORWARDED, **door)
    with Person(target, **door) as person:
        with pytest.raises(RawRefused) as refused, far:
            pass
        details = refused.value.error["details"]
        assert (details["code"], details["reason"], details["requestedRole"]) == (
            "PAIRING_REQUIRED",
            "not-paired",
            "node",
        )
        request = person.wait("device.pair.requested", lambda one: one["deviceId"] == far.id)
        assert (request["requestId"], request["role"], request["scopes"]) == (details["requestId"], "node", [])
        device = person.request("device.pair.approve", requestId=details["requestId"])["device"]
        assert device["roles"] == ["node"]
        assert person.payloads(REQUESTED) == []
        # The device alone offers nothing yet.
        with far:
            assert person.asked(far)["commands"] == [COMMAND]
            assert far.published(new_name()) == []
            person.approve(far)
            name = new_name()
            assert far.published(name) == [name]


@pytest.mark.release("2026.6.1", "2026.7.35")
def test_before_2026_8_a_node_comes_in_and_may_offer_nothing(target: Target, person: Person) -> None:
    with Node(target) as node:
        assert node.client.hello["auth"]["role"] == "node"
        assert "node.pluginTools.update" not in node.client.hello["features"]["methods"]
        assert person.asked(node)["commands"] == []
        for _ in range(2):
            refused = {"code": "INVALID_REQUEST", "message": "unauthorized role: node"}
            assert node.publish(tool(new_name()))["error"] == refused
            assert node.request("no.such.method")["error"] == refused
            if not person.payloads(RESOLVED):
                person.approve(node)


@pytest.mark.release(*TOOLS)
def test_hello_says_whether_a_node_may_offer_tools(node: Node) -> None:
    assert "node.pluginTools.update" in node.client.hello["features"]["methods"]
