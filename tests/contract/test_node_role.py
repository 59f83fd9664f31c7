"""Nodes: who may offer tools to the agents, what counts of what they publish, and what becomes of a call.

By raw frames. `node` is a connection of role node, `person` one that talks to the agent and may approve nodes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from tests.contract.nodes import CANCELLED, COMMAND, INVOKED, REQUESTED, RESOLVED, Node, Payload, Person, new_name
from tests.contract.nodes import tool_named as tool
from tests.contract.targets import Target
from tests.gateways.raw import RawRefused
from tests.waiting import wait_until

TOOLS = ("2026.8.1", "2026.9.6")
"""Releases on which a node may publish tools."""

CANCELS = ("2026.9.6",)
"""Releases that tell a node of its approval, and that a call is not waited for any more."""

READABLE = 64_000
"""Characters of a tool's result that reach a model with a context of 200,000 tokens."""

TIMEOUT = 120_000
"""Milliseconds that a call may take; what the gateway itself needed has gone off already."""

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)  # fmt: skip

NOT_CURRENT = {
    "code": "UNAVAILABLE",
    "message": "node pairing changed before request dispatch",
    "retryable": True,
    "details": {"code": "PAIRING_CHANGED"},
}

pytestmark = pytest.mark.release(*TOOLS)


@pytest.fixture
def person(target: Target) -> Iterator[Person]:
    with Person(target) as person:
        yield person


@pytest.fixture
def node(target: Target, person: Person) -> Iterator[Node]:
    """A node that may offer tools."""
    with Node(target) as node:
        person.approve(node)
        yield node


@pytest.fixture
def name(node: Node) -> str:
    """The name of a tool that the node offers."""
    name = new_name()
    assert node.published(name) == [name]
    return name


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


# A call.


def test_a_call_and_its_result(person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, {"sku": "a"})
    invoke = node.invoked(sku="a")
    assert set(invoke) == {"id", "nodeId", "command", "paramsJSON", "timeoutMs", "idempotencyKey", "sessionKey"}
    assert (invoke["nodeId"], invoke["command"]) == (node.id, COMMAND)
    assert json.loads(invoke["paramsJSON"]) == {"server": "contract", "tool": name, "arguments": {"sku": "a"}}
    assert (invoke["sessionKey"], invoke["idempotencyKey"]) == (f"agent:main:{session}", "call-1")
    assert TIMEOUT - 5_000 < invoke["timeoutMs"] <= TIMEOUT
    assert node.answer(invoke, "seven") == {"ok": True}
    assert person.end(run) == ("final", "seven")
    assert person.results(run) == [("seven", False)]
    assert node.answer(invoke, "eight") == {"ok": True, "ignored": True}
    assert node.answer({**invoke, "id": "never"}, "eight") == {"ok": True, "ignored": True}


def test_an_error_of_the_tool_is_told_as_it_is(person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, {"sku": "a"})
    node.answer(node.invoked(sku="a"), "no such article", isError=True)
    assert person.end(run) == ("final", "no such article")
    assert person.results(run) == [("no such article", True)]


def test_an_error_of_the_node_is_wrapped_in_a_notice(person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, {"sku": "a"})
    error = {"code": "UNAVAILABLE", "message": "the shop is shut"}
    assert node.give(node.invoked(sku="a"), ok=False, error=error) == {"ok": True}
    state, text = person.end(run)
    assert (state, person.results(run)) == ("final", [(text, True)])
    told = json.loads(text)
    assert (told["status"], told["tool"]) == ("error", name)
    assert told["error"].startswith("SECURITY NOTICE")
    assert "UNAVAILABLE: the shop is shut" in told["error"]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"content": []}, "MCP tool completed without returning content."),
        ({"stock": 7}, "MCP tool completed without returning content."),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"content": [], "structuredContent": {"n": 5}}, 'structuredContent:\n{\n  "n": 5\n}'),
    ],
)
def test_what_the_model_reads_of_a_payload(
    person: Person, node: Node, name: str, session: str, payload: Payload, text: str
) -> None:
    run = person.call(session, name, {"sku": "a"})
    assert node.give(node.invoked(sku="a"), ok=True, payload=payload) == {"ok": True}
    assert person.end(run) == ("final", text)


def test_a_long_result_is_cut_for_the_model(person: Person, node: Node, name: str, session: str) -> None:
    for length in (READABLE, READABLE + 1):
        run = person.call(session, name, {"sku": str(length)})
        node.answer(node.invoked(sku=str(length)), "x" * length)
        text = person.end(run)[1]
        assert len(text) == READABLE
        assert ("truncated" in text) == (length > READABLE)


@pytest.mark.only(gateways="real")
def test_a_picture_reaches_the_model(target: Target, person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, {"sku": session})
    blocks = [{"type": "text", "text": "see"}, {"type": "image", "data": PIXEL, "mimeType": "image/png"}]
    node.give(node.invoked(sku=session), ok=True, payload={"content": blocks})
    assert person.end(run)[0] == "final"
    # It comes in a message of its own, from nobody the stub model would answer.
    assert target.pictures("tool result") == 1


def test_a_result_that_is_not_one_leaves_the_call_open(person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, {"sku": "a"})
    invoke = node.invoked(sku="a")
    assert "unexpected property 'more'" in node.give(invoke, ok=True, payload={}, more=1)["error"]["message"]
    assert node.give({**invoke, "nodeId": "another"}, ok=True, payload={})["error"]["message"] == "nodeId mismatch"
    progress = node.request("node.invoke.progress", invokeId=invoke["id"], nodeId=node.id, seq=0, chunk="half")
    assert progress == {"ok": True, "ignored": True}
    assert node.answer(invoke, "seven") == {"ok": True}
    assert person.end(run) == ("final", "seven")


NUMBERS = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "day": {"type": "string", "format": "date"}},
    "required": ["n"],
    "additionalProperties": False,
}


def test_the_gateway_looks_at_the_arguments_first(person: Person, node: Node, session: str) -> None:
    name = new_name()
    node.publish(tool(name, parameters=NUMBERS))
    for arguments, why in (
        ({}, "n: must have required properties n"),
        ({"n": "five"}, "n: must be integer"),
        ({"n": 5.5}, "n: must be integer"),
        ({"n": 5, "day": "tomorrow"}, 'day: must match format "date"'),
        ({"n": 5, "m": 5}, "root: must not have additional properties"),
    ):
        run = person.call(session, name, arguments)
        text = person.end(run)[1]
        assert text.startswith(f'Validation failed for tool "{name}":')
        assert (why in text, person.results(run)) == (True, [(text, True)])
    assert node.payloads(INVOKED) == []
    for given, handed in ({"n": "5"}, 5), ({"n": None}, 0):
        run = person.call(session, name, given)
        node.answer(node.invoked(n=handed), "fine")
        assert person.end(run) == ("final", "fine")


def test_calls_of_one_answer_come_one_by_one(person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, [{"sku": "a"}, {"sku": "b"}])
    invoke = node.invoked(sku="a")
    assert person.request("node.describe", nodeId=node.id)["connected"]
    node.publish(tool(name))
    assert len(node.payloads(INVOKED)) == 1
    node.answer(invoke, "one")
    second = node.invoked(sku="b")
    assert (invoke["idempotencyKey"], second["idempotencyKey"]) == ("call-1", "call-2")
    node.answer(second, "two")
    assert person.end(run) == ("final", "one\ntwo")


def test_sessions_call_at_the_same_time_and_under_equal_keys(
    person: Person, node: Node, name: str, session: str
) -> None:
    runs = {word: person.call(f"{session}-{word}", name, {"sku": word}) for word in ("a", "b")}
    invokes = {word: node.invoked(sku=word) for word in runs}
    assert {one["idempotencyKey"] for one in invokes.values()} == {"call-1"}
    assert len({one["id"] for one in invokes.values()}) == 2
    for word in ("b", "a"):
        assert invokes[word]["sessionKey"] == f"agent:main:{session}-{word}"
        node.answer(invokes[word], f"for {word}")
    for word, run in runs.items():
        assert person.end(run) == ("final", f"for {word}")


def test_a_node_that_is_not_ready_is_asked_again(person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, {"sku": "a"})
    invoke = node.invoked(sku="a")
    not_ready = {"code": "NODE_NOT_READY", "message": "closing"}
    assert node.give(invoke, ok=False, error=not_ready) == {"ok": True}
    again = node.wait(INVOKED, lambda one: one["id"] != invoke["id"])
    assert again["paramsJSON"] == invoke["paramsJSON"]
    assert again["idempotencyKey"] == invoke["idempotencyKey"]
    assert again["timeoutMs"] < invoke["timeoutMs"]
    node.answer(again, "seven")
    assert person.end(run) == ("final", "seven")


def test_a_node_that_is_never_ready_is_asked_five_times(person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, {"sku": "a"})
    for count in range(5):
        node.wait(INVOKED, lambda _, count=count: len(node.payloads(INVOKED)) > count)
        invoke = node.payloads(INVOKED)[count]
        node.give(invoke, ok=False, error={"code": "NODE_NOT_READY", "message": "closing"})
    assert "NODE_NOT_READY: closing" in person.end(run)[1]
    assert len(node.payloads(INVOKED)) == 5


def test_an_aborted_run_does_not_wait_for_its_call(
    target: Target, person: Person, node: Node, name: str, session: str
) -> None:
    run = person.call(session, name, {"sku": "a"})
    invoke = node.invoked(sku="a")
    assert person.request("chat.abort", sessionKey=session, runId=run)["aborted"] is True
    assert person.end(run)[0] == "aborted"
    if target.release in CANCELS:
        assert node.wait(CANCELLED) == {"invokeId": invoke["id"], "nodeId": node.id}
        assert node.answer(invoke, "too late") == {"ok": True, "ignored": True}
    else:
        assert node.answer(invoke, "too late") == {"ok": True}
        assert node.payloads(CANCELLED) == []


# Connections that come and go.


def test_a_call_under_way_outlives_the_publication(person: Person, node: Node, name: str, session: str) -> None:
    run = person.call(session, name, {"sku": "a"})
    invoke = node.invoked(sku="a")
    assert node.published() == []
    assert node.answer(invoke, "seven") == {"ok": True}
    assert person.end(run) == ("final", "seven")
    late = person.call(session, name, {"sku": "b"})
    person.end(late)
    assert person.results(late)[0] == (f"Tool {name} not found", True)


def test_a_node_lost_in_mid_call_ends_the_call_and_not_the_run(
    target: Target, person: Person, node: Node, name: str, session: str
) -> None:
    run = person.call(session, name, {"sku": "a"})
    invoke = node.invoked(sku="a")
    node.client.close()
    state, text = person.end(run)
    assert (state, person.results(run)) == ("final", [(text, True)])
    assert "MCP_SERVER_UNAVAILABLE: node host disconnected during MCP tool call" in text
    with Node(target, node.device) as again:
        assert again.answer(invoke, "too late") == {"ok": True, "ignored": True}
        assert [one["id"] for one in again.payloads(INVOKED)] == []
        assert again.published(name) == [name]
        second = person.call(session, name, {"sku": "b"})
        again.answer(again.invoked(sku="b"), "seven")
        assert person.end(second) == ("final", "seven")


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
