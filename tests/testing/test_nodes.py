"""Nodes: how they are let in and approved, which of their tools count, and what operators see of them."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, EmbeddedGateway
from openclaw_client.testing.traits import Profile
from tests.gateways.raw import Frame, RawDevice
from tests.testing.helpers import CLI, raw, refused
from tests.testing.node_clients import COMMAND, OPERATOR, Node, approved, stock
from tests.testing.people import ADMIN, User
from tests.waiting import wait_until

RELEASES = tuple(release for release, profile in PROFILES.items() if profile.node_tools)
SURFACES = tuple(release for release, profile in PROFILES.items() if profile.node_surfaces)
OTHERS = tuple(release for release in PROFILES if release not in RELEASES)
NEWEST = RELEASES[-1]


@pytest.fixture(params=RELEASES)
def gateway(request: pytest.FixtureRequest) -> Any:
    with BlockingEmbeddedGateway(release=request.param) as running:
        yield running


def operator(gateway: BlockingEmbeddedGateway, **options: Any) -> User:
    return User(gateway, **{"scopes": OPERATOR, **options})


def test_a_node_is_let_in_and_waits_for_its_approval(gateway: BlockingEmbeddedGateway) -> None:
    """Although its device was paired silently; and it may publish, without effect."""
    with operator(gateway) as person, Node(gateway) as node:
        auth = node.client.hello["auth"]
        assert (auth["role"], auth["scopes"]) == ("node", [])
        assert auth["deviceToken"] == next(one for one in gateway.devices if one.id == node.id).token.value  # type: ignore[union-attr]
        asked = person.next("node.pair.requested")
        assert (asked["nodeId"], asked["commands"], asked["displayName"]) == (node.id, [COMMAND], "shop")
        assert (asked["deviceFamily"], asked["caps"], asked["silent"]) == ("Linux", [], True)
        greeted = [node.client.next_event(timeout=5) for _ in range(2)]
        assert [one["event"] for one in greeted] == ["voicewake.changed", "voicewake.routing.changed"]
        assert "seq" not in greeted[0]
        needed = {"requiredApproveScopes": ["operator.pairing", "operator.write"]}
        told = needed if gateway.profile.release == NEWEST else {}
        assert {name: value for name, value in asked.items() if name == "requiredApproveScopes"} == told
        assert person.call("node.pair.list", {}) == {"pending": [{**asked, **needed}], "paired": []}
        assert [one.id for one in gateway.pending_nodes] == [asked["requestId"]]
        assert node.publish(stock()) == []
        assert not gateway.tools
        assert [(one.id, one.commands) for one in gateway.nodes] == [(node.id, ())]


def test_what_an_operator_approves_counts_at_once_and_is_kept(gateway: BlockingEmbeddedGateway) -> None:
    with operator(gateway) as person:
        with Node(gateway) as node:
            request = person.next("node.pair.requested")["requestId"]
            assert node.publish(stock()) == []
            answer = person.call("node.pair.approve", {"requestId": request})
            assert (answer["requestId"], answer["node"]["nodeId"]) == (request, node.id)
            told = person.next("node.pair.resolved")
            assert {"requestId": request, "nodeId": node.id, "decision": "approved"}.items() <= told.items()
            node.call("health")
            events = [one for one in node.client.events if one["event"] == "node.pair.resolved"]
            # On the older release it learns of it from what it publishes next.
            heard = [{"type": "event", "event": "node.pair.resolved", "payload": told}]
            assert events == (heard if gateway.profile.node_told else [])
            assert list(gateway.tools) == ["stock"]
            assert node.publish(stock()) == ["stock"]
        wait_until(lambda: not gateway.nodes)
        assert not gateway.tools
        gateway.restart()
        with Node(gateway, device=node.device) as node:
            assert not gateway.pending_nodes
            assert node.publish(stock()) == ["stock"]


def test_a_node_that_waits_keeps_its_request_and_one_that_asks_for_something_else_has_another(
    gateway: BlockingEmbeddedGateway,
) -> None:
    with Node(gateway) as node:
        [first] = gateway.pending_nodes
    with Node(gateway, device=node.device, name="another name"):
        [second] = gateway.pending_nodes
        assert (second.id, second.declared.client["displayName"]) == (first.id, "another name")
    with operator(gateway) as person, Node(gateway, device=node.device, commands=(), caps=("browser",)):
        [third] = gateway.pending_nodes
        assert third.id != first.id
        dropped = person.next("node.pair.resolved")
        assert (dropped["requestId"], dropped["decision"]) == (first.id, "rejected")
        assert person.next("node.pair.requested")["requestId"] == third.id


def test_a_node_that_asks_for_more_than_it_was_approved_for_does_what_it_may(gateway: BlockingEmbeddedGateway) -> None:
    with Node(gateway) as node:
        approved(gateway, node)
    with operator(gateway) as person, Node(gateway, device=node.device, caps=("browser",)) as node:
        assert node.publish(stock()) == ["stock"]
        [row] = person.call("node.list", {})["nodes"]
        assert (row["approvalState"], row["pendingDeclaredCaps"]) == ("pending-reapproval", ["browser"])
        [asked] = gateway.pending_nodes
    with operator(gateway) as person, Node(gateway, device=node.device) as node:
        assert node.publish(stock()) == ["stock"]
        assert not gateway.pending_nodes
        assert person.next("node.pair.resolved")["requestId"] == asked.id


def test_a_node_is_rejected_and_may_ask_again(gateway: BlockingEmbeddedGateway) -> None:
    with operator(gateway) as person, Node(gateway) as node:
        request = person.next("node.pair.requested")["requestId"]
        assert person.call("node.pair.reject", {"requestId": request}) == {"requestId": request, "nodeId": node.id}
        assert person.next("node.pair.resolved")["decision"] == "rejected"
        assert not gateway.pending_nodes
        for method in ("approve", "reject"):
            assert person.call(f"node.pair.{method}", {"requestId": request})["message"] == "unknown requestId"
        assert node.publish(stock()) == []
        node.client.close()
        with Node(gateway, device=node.device):
            assert person.next("node.pair.requested")["requestId"] != request


def test_a_node_that_is_removed_is_sent_away(gateway: BlockingEmbeddedGateway) -> None:
    with operator(gateway) as person, Node(gateway) as node:
        approved(gateway, node)
        assert person.call("node.pair.remove", {"nodeId": node.id}) == {"nodeId": node.id}
        resolved = [person.next("node.pair.resolved")["decision"] for _ in range(2)]
        assert resolved == ["approved", "removed"]
        wait_until(lambda: not gateway.nodes)
        assert (gateway.tools, node.id in [one.id for one in gateway.devices]) == ({}, False)
        assert person.call("node.pair.remove", {"nodeId": node.id})["message"] == "unknown nodeId"
        assert person.call("node.list", {})["nodes"] == []
        with Node(gateway, device=node.device) as again:
            assert again.publish(stock()) == []
            assert [one.node_id for one in gateway.pending_nodes] == [node.id]


def test_a_device_that_is_removed_is_no_node_any_more(gateway: BlockingEmbeddedGateway) -> None:
    with User(gateway, scopes=(*ADMIN, "operator.pairing")) as person, Node(gateway) as node:
        approved(gateway, node)
        person.call("device.pair.remove", {"deviceId": node.id})
        wait_until(lambda: not gateway.nodes)
        with Node(gateway, device=node.device) as again:
            assert again.publish(stock()) == []


def test_who_may_approve(gateway: BlockingEmbeddedGateway) -> None:
    reader = ("operator.read", "operator.pairing")
    with Node(gateway), operator(gateway, scopes=reader) as person, operator(gateway, scopes=OPERATOR[:2]) as writer:
        request = {"requestId": gateway.pending_nodes[0].id}
        details = person.call("node.pair.approve", request)["details"]
        assert details["missingScope"] == "operator.write"
        assert details["requiredScopes"] == ["operator.pairing", "operator.write"]
        assert writer.call("node.pair.approve", request)["message"] == "missing scope: operator.pairing"
        assert [row.get("pendingRequestId") for row in writer.call("node.list", {})["nodes"]] == [None]
        assert [row["pendingRequestId"] for row in person.call("node.list", {})["nodes"]] == list(request.values())
        assert gateway.pending_nodes


def test_who_comes_with_a_device_token_manages_that_device_alone(gateway: BlockingEmbeddedGateway) -> None:
    device = RawDevice()
    with operator(gateway, device=device, **CLI) as person:
        token = person.client.hello["auth"]["deviceToken"]
    with Node(gateway) as node, operator(gateway, device=device, token=token, **CLI) as person:
        request = {"requestId": gateway.pending_nodes[0].id}
        assert person.call("node.pair.list", {}) == {"pending": [], "paired": []}
        assert person.call("node.pair.approve", request)["message"] == "node pairing approval denied"
        assert person.call("node.pair.reject", request)["message"] == "node pairing rejection denied"
        assert person.call("node.pair.remove", {"nodeId": node.id})["message"] == "node pairing removal denied"
        assert gateway.pending_nodes


def test_without_auto_approve_the_device_comes_first() -> None:
    with BlockingEmbeddedGateway(auto_approve=False) as gateway:
        node = Node(gateway)
        error = refused(gateway, **_options(node)).error
        assert (error["code"], error["details"]["requestedRole"]) == ("NOT_PAIRED", "node")
        assert "requestedScopes" not in error["details"]
        assert not gateway.pending_nodes
        gateway.approve()
        with node:
            assert node.publish(stock()) == []
            gateway.approve(gateway.pending_nodes[0].id)
            assert node.publish(stock()) == ["stock"]


WITHOUT_COMMANDS: list[Frame] = [
    {"commands": ()},
    {"commands": ("shop.call",)},
    {"client_id": "cli", "client_mode": "cli"},
    {"client_mode": "backend"},
]


@pytest.mark.parametrize("options", WITHOUT_COMMANDS)
def test_who_may_publish_nothing(gateway: BlockingEmbeddedGateway, options: Frame) -> None:
    with operator(gateway) as person, Node(gateway, **options) as node:
        assert person.next("node.pair.requested")["commands"] == []
        gateway.approve()
        assert node.publish(stock()) == []


def test_commands_that_nobody_knows_are_left_out(gateway: BlockingEmbeddedGateway) -> None:
    with operator(gateway) as person, Node(gateway, commands=(COMMAND, "shop.call")):
        assert person.next("node.pair.requested")["commands"] == [COMMAND]


def test_a_client_that_pairs_no_device_is_no_node(gateway: BlockingEmbeddedGateway) -> None:
    node = Node(gateway, client_id="gateway-client", client_mode="backend")
    refusal = refused(gateway, **_options(node))
    assert (refusal.error, refusal.close_code) == ({}, 1000)


def _options(node: Node) -> Frame:
    client = node.client
    own = ("role", "client_id", "client_mode", "scopes", "commands", "display_name", "device")
    return {name: getattr(client, name) for name in own}


def test_a_node_that_asks_for_scopes_is_looked_at_by_a_person(gateway: BlockingEmbeddedGateway) -> None:
    node = Node(gateway, scopes=("operator.read",))
    assert refused(gateway, **_options(node)).error["details"]["reason"] == "not-paired"
    gateway.approve()
    with node, operator(gateway) as person:
        gateway.emit("heartbeat", {})
        person.client.next_event("heartbeat", timeout=5)
        assert node.call("health")["ok"]
        assert "heartbeat" not in [one["event"] for one in node.client.events]


def test_a_node_needs_a_device(gateway: BlockingEmbeddedGateway) -> None:
    node = Node(gateway)
    error = refused(gateway, **{**_options(node), "device": None}).error
    assert error["details"]["code"] == "DEVICE_IDENTITY_REQUIRED"


@pytest.mark.parametrize("release", OTHERS)
def test_older_releases_refuse_what_a_node_publishes(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, Node(gateway) as node:
        error = node.call("node.pluginTools.update", tools=[])
        assert (error["code"], error["message"]) == ("INVALID_REQUEST", "unauthorized role: node")
        assert not gateway.tools


@pytest.mark.parametrize("release", [one for one in SURFACES if one not in RELEASES])
def test_older_releases_let_a_node_declare_nothing(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, operator(gateway) as person, Node(gateway) as node:
        asked = person.next("node.pair.requested")
        assert (asked["commands"], asked["silent"], "clientId" in asked) == ([], False, False)
        [listed] = person.call("node.pair.list", {})["pending"]
        assert listed == {**asked, "requiredApproveScopes": ["operator.pairing"]}
        gateway.approve()
        assert node.call("node.pluginTools.update", tools=[])["message"] == "unauthorized role: node"
        assert "node.pluginTools.update" not in node.client.hello["features"]["methods"]


def test_roles_have_methods_of_their_own(gateway: BlockingEmbeddedGateway) -> None:
    with Node(gateway) as node, operator(gateway) as person:
        for method in ("chat.send", "node.list", "node.pair.approve", "no.such"):
            assert node.call(method)["message"] == "unauthorized role: node"
        assert node.call("health")["ok"] is True
        assert person.call("node.pluginTools.update", {"tools": []})["message"] == "unauthorized role: operator"
        gateway.say("s", "to all who may read")
        person.client.next_event("chat", timeout=5)
        node.call("health")
        assert not [one["event"] for one in node.client.events if one["event"] == "chat"]


def test_a_list_replaces_the_one_before(gateway: BlockingEmbeddedGateway) -> None:
    with Node(gateway) as node:
        approved(gateway, node, stock("a"), stock("b"))
        assert node.publish(stock("c")) == ["c"]
        assert list(gateway.tools) == ["c"]
        assert node.publish() == []
        assert not gateway.tools


COUNTING: list[tuple[Frame, str]] = [
    ({"description": "x" * 1025}, "x" * 1024),
    ({"pluginId": "shop"}, "How many pieces are there."),
    ({"pluginId": "shop", "mcp": None}, "How many pieces are there."),
]
NOT_COUNTING: list[Frame] = [{"command": "system.run"}, {"mcp": None}, {"command": None}, {"description": " "}]


def changed(tool: Frame, change: Frame) -> Frame:
    return {name: value for name, value in {**tool, **change}.items() if value is not None}


@pytest.mark.parametrize(("change", "description"), COUNTING)
def test_tools_that_count(gateway: BlockingEmbeddedGateway, change: Frame, description: str) -> None:
    with Node(gateway) as node:
        approved(gateway, node, changed(stock(), change))
        tool = gateway.tools["stock"]
        assert (tool.description, tool.node_id) == (f"{description} (node: shop)", node.id)
        assert tool.parameters == stock()["parameters"]


@pytest.mark.parametrize("change", NOT_COUNTING)
def test_tools_that_do_not(gateway: BlockingEmbeddedGateway, change: Frame) -> None:
    with Node(gateway) as node:
        approved(gateway, node, stock("fine"))
        assert node.publish(stock("fine"), changed(stock(), change)) == ["fine"]


def test_the_first_128_count_by_name(gateway: BlockingEmbeddedGateway) -> None:
    names = [f"tool_{number:03}" for number in range(200)]
    with Node(gateway) as node:
        gateway.approve()
        assert node.publish(*[stock(name) for name in reversed(names)]) == names[:128]


MISNAMED = ["", "7up", "a.b", "ä", "a" * 65]


@pytest.mark.parametrize("name", MISNAMED)
def test_a_list_with_a_name_that_may_not_be_is_refused_as_a_whole(gateway: BlockingEmbeddedGateway, name: str) -> None:
    with Node(gateway) as node:
        approved(gateway, node)
        refusal = node.call("node.pluginTools.update", tools=[stock("a"), stock(name)])
        assert refusal["message"].startswith("invalid node.pluginTools.update params: at /tools/1/name: must ")
        assert list(gateway.tools) == ["stock"]


def test_a_name_of_a_plugin_is_taken_and_one_of_the_gateway_is_not(gateway: BlockingEmbeddedGateway) -> None:
    with Node(gateway) as node:
        approved(gateway, node, stock("read"), stock("browser"))
        [renamed] = gateway.tools.keys() - {"read"}
        assert renamed.endswith("_browser")


def test_one_name_on_two_nodes_is_nobodys(gateway: BlockingEmbeddedGateway) -> None:
    with Node(gateway) as one, Node(gateway, name="other") as other:
        approved(gateway, one, stock(), stock("own"))
        approved(gateway, other)
        names = sorted(gateway.tools)
        assert "stock" not in names
        assert "own" in names
        for node in (one, other):
            [name] = [name for name, tool in gateway.tools.items() if tool.node_id == node.id and name != "own"]
            begin = name.removesuffix("_stock").removeprefix("node_")
            assert len(name) <= 64
            assert node.id.startswith(begin)
        other.client.close()
        wait_until(lambda: list(gateway.tools) == ["own", "stock"])


def test_a_second_connection_of_the_device_takes_the_place_of_the_first(gateway: BlockingEmbeddedGateway) -> None:
    """For good: also when the second has left."""
    with Node(gateway) as first:
        approved(gateway, first)
        with Node(gateway, device=first.device) as second:
            assert not gateway.tools
            assert second.publish(stock("new")) == ["new"]
            _is_replaced(first)
            assert list(gateway.tools) == ["new"]
        wait_until(lambda: not gateway.nodes)
        _is_replaced(first)
        with Node(gateway, device=first.device) as third:
            assert third.publish(stock()) == ["stock"]


def _is_replaced(node: Node) -> None:
    for method, params in (("node.pluginTools.update", {"tools": []}), ("health", {})):
        refusal = node.call(method, **params)
        assert (refusal["code"], refusal["retryable"]) == ("UNAVAILABLE", True)
        assert refusal["details"] == {"code": "PAIRING_CHANGED"}


def test_what_operators_see_of_a_node(gateway: BlockingEmbeddedGateway) -> None:
    with operator(gateway) as person:
        with Node(gateway) as node:
            [row] = person.call("node.list", {})["nodes"]
            assert (row["approvalState"], row["pendingRequestId"]) == ("pending-approval", gateway.pending_nodes[0].id)
            assert (row["commands"], row["pendingDeclaredCommands"]) == ([], [COMMAND])
            approved(gateway, node)
            [row] = person.call("node.list", {})["nodes"]
            assert (row["connected"], row["paired"], row["approvalState"]) == (True, True, "approved")
            assert (row["commands"], row["displayName"], row["clientId"]) == ([COMMAND], "shop", "node-host")
            assert [tool["name"] for tool in row["nodePluginTools"]] == ["stock"]
            described = person.call("node.describe", {"nodeId": node.id})
            assert {**row, "ts": described["ts"]} == described
            unknown = person.call("tools.effective", {"sessionKey": "s"})
            assert unknown["message"] == 'unknown session key "s"'
            gateway.say("s", "there is one now")
            [_, group] = person.call("tools.effective", {"sessionKey": "s"})["groups"]
            assert [(tool["id"], tool["pluginId"]) for tool in group["tools"]] == [("stock", "node-mcp")]
            assert [tool["label"] for tool in group["tools"]] == ["Stock"]
        wait_until(lambda: not gateway.nodes)
        [row] = person.call("node.list", {})["nodes"]
        assert (row["connected"], row["commands"]) == (False, [COMMAND])
        left = person.call("tools.effective", {"sessionKey": "agent:main:s"})["groups"]
        assert [one["source"] for one in left] == ["plugin"]
        assert person.call("node.describe", {"nodeId": "nope"})["message"] == "unknown nodeId"


@pytest.mark.parametrize("release", RELEASES)
def test_hello_names_what_there_is(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        features = client.hello["features"]
        served = {"node.pair.list", "node.pair.approve", "node.pluginTools.update", "node.invoke.result", "node.list"}
        assert served <= set(features["methods"])
        assert {"node.pair.requested", "node.pair.resolved", "node.invoke.request"} <= set(features["events"])


def test_the_search_for_tools_may_be_set() -> None:
    def profile(**options: Any) -> Profile:
        return EmbeddedGateway(**options).profile

    assert [profile(release=one).tool_search for one in RELEASES] == [False, True]
    assert not profile(tool_search=False).tool_search
