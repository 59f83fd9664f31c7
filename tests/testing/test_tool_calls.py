"""Calls of tools that nodes serve: what the node is sent, what the agent is told, and how a call ends."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from openclaw_client.testing import PROFILES, Agent, BlockingEmbeddedGateway, Turn
from tests.gateways.raw import Frame, text_of
from tests.testing.node_clients import COMMAND, OPERATOR, Node, approved, calls, described, stock
from tests.testing.people import User
from tests.waiting import wait_until

RELEASES = tuple(release for release, profile in PROFILES.items() if profile.node_tools)
NEWEST = RELEASES[-1]


def serving(agent: Agent, release: str = NEWEST) -> BlockingEmbeddedGateway:
    """A gateway whose agents see the tools of nodes by their names, on every release."""
    return BlockingEmbeddedGateway(agent, release=release, tool_search=False)


def heard(text: str, *, error: bool = False, images: Any = ()) -> str:
    """How the agent of `calls` tells of such an answer."""
    return json.dumps([text, error, list(images)])


@pytest.mark.parametrize("release", RELEASES)
def test_a_call_goes_to_the_node_and_its_result_to_the_agent(release: str) -> None:
    agent = calls(arguments={"sku": "ä"})
    with serving(agent, release) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        call = node.invoked()
        params = {"server": "shop", "tool": "stock", "arguments": {"sku": "ä"}}
        assert json.loads(call["paramsJSON"]) == params
        assert (call["nodeId"], call["command"], call["sessionKey"]) == (node.id, COMMAND, "agent:main:s")
        assert call["idempotencyKey"] == "call-1"
        assert 119_000 < call["timeoutMs"] <= 120_000
        assert node.answer(call, "7 pieces") == {"ok": True}
        assert user.answer(run_id).text == heard("7 pieces")
        assert user.results() == ["7 pieces"]
        started, ended = user.agent_data("tool")
        assert (started["name"], started["args"], ended["isError"]) == ("stock", {"sku": "ä"}, False)
        assert node.answer(call) == {"ok": True, "ignored": True}


def test_the_agent_knows_what_it_may_call() -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield json.dumps({name: [tool.description, dict(tool.parameters)] for name, tool in turn.tools.items()})

    with serving(agent) as gateway, User(gateway) as user, Node(gateway) as node:
        assert user.answer(user.send()).text == "{}"
        approved(gateway, node)
        tools = json.loads(user.answer(user.send("again")).text)
        assert tools == {"stock": ["How many pieces are there. (node: shop)", stock()["parameters"]]}


PAYLOADS: list[tuple[Any, str, bool]] = [
    ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb", False),
    ({"content": [{"type": "text", "text": "no"}], "isError": True}, "no", True),
    ({"content": []}, "MCP tool completed without returning content.", False),
    ({"isError": True}, "MCP tool failed without returning content.", True),
    ({"content": [], "structuredContent": {"b": 1}}, 'structuredContent:\n{\n  "b": 1\n}', False),
    ({"content": [{"type": "odd", "x": 1}]}, '{"type":"odd","x":1}', False),
    (7, "7", False),
]


@pytest.mark.parametrize(("payload", "text", "error"), PAYLOADS)
def test_what_the_agent_is_told_of_a_result(payload: Any, text: str, error: bool) -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        node.give(node.invoked(), ok=True, payload=payload)
        assert user.answer(run_id).text == heard(text, error=error)
        [_, ended] = user.agent_data("tool")
        assert ended["isError"] is error


@pytest.mark.parametrize(
    ("lengths", "kept", "gone"),
    [([64_000], 64_000, None), ([64_001], 64_000, 71), ([100_000], 64_000, 36_073), ([60_000, 60_000], 64_001, 28_073)],
)
def test_a_long_result_is_cut_for_the_agent_and_more_so_for_events(
    lengths: list[int], kept: int, gone: int | None
) -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        content = [{"type": "text", "text": "x" * length} for length in lengths]
        node.give(node.invoked(), ok=True, payload={"content": content})
        text, _, _ = json.loads(user.answer(run_id).text)
        assert len(text) == kept
        assert (f"[... {gone} more characters truncated" in text) == (gone is not None)
        shown = "x" * 8_000 + "\n…(truncated)…"
        assert user.agent_data("tool")[1]["result"]["content"] == [{"type": "text", "text": shown} for _ in lengths]


def test_images_reach_the_agent() -> None:
    image = {"type": "image", "data": base64.b64encode(b"PNG").decode(), "mimeType": "image/png"}
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        node.give(node.invoked(), ok=True, payload={"content": [image]})
        assert user.answer(run_id).text == heard("", images=[["PNG", "image/png"]])
        [_, ended] = user.agent_data("tool")
        shown = {"type": "image", "mimeType": "image/png", "bytes": 3, "omitted": True}
        assert ended["result"]["content"] == [shown], "events show the size alone"


def test_a_node_that_refuses_is_an_error_that_the_agent_goes_on_from() -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        node.give(node.invoked(), ok=False, error={"code": "BROKEN", "message": "no database"})
        run = user.answer(run_id)
        text, error, _ = json.loads(run.text)
        assert (run.state, error) == ("final", True)
        assert "BROKEN: no database" in text
        assert "EXTERNAL_UNTRUSTED_CONTENT" in text


def test_arguments_that_do_not_fit_are_told_to_the_agent_alone() -> None:
    tool = stock(parameters={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    agent = calls(arguments={"n": "many"})
    with serving(agent) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node, tool)
        text, error, _ = json.loads(user.answer(user.send()).text)
        assert text.splitlines()[:2] == ['Validation failed for tool "stock":', "  - n: must be integer"]
        assert error
        node.call("health")
        assert "node.invoke.request" not in [one["event"] for one in node.client.events]


def test_arguments_are_made_to_fit_where_it_is_plain_what_is_meant() -> None:
    tool = stock(parameters={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    agent = calls(arguments={"n": "5"})
    with serving(agent) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node, tool)
        run_id = user.send()
        call = node.invoked()
        assert json.loads(call["paramsJSON"])["arguments"] == {"n": 5}
        node.answer(call)
        user.answer(run_id)


def test_a_tool_that_is_not_there() -> None:
    with serving(calls("nope")) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        assert user.answer(user.send()).text == heard("Tool nope not found", error=True)


@pytest.mark.parametrize("release", RELEASES)
def test_a_node_that_takes_too_long_is_told_and_its_result_ignored(release: str) -> None:
    agent = calls(timeout=0.1)
    with serving(agent, release) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        call = node.invoked()
        assert call["timeoutMs"] <= 100
        text, error, _ = json.loads(user.answer(run_id).text)
        assert ("TIMEOUT: node invoke timed out" in text, error) == (True, True)
        assert node.cancelled() == {"invokeId": call["id"], "nodeId": node.id}
        assert node.answer(call) == {"ok": True, "ignored": True}


@pytest.mark.parametrize("release", RELEASES)
def test_a_run_that_is_stopped_cancels_its_call_on_the_release_that_does(release: str) -> None:
    with serving(calls(), release) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        call = node.invoked()
        user.call("chat.abort", {"sessionKey": "s", "runId": run_id})
        assert user.answer(run_id).state == "aborted"
        if gateway.profile.invoke_cancel:
            assert node.cancelled() == {"invokeId": call["id"], "nodeId": node.id}
            assert node.answer(call) == {"ok": True, "ignored": True}
        else:
            assert node.answer(call) == {"ok": True}
            assert "node.invoke.cancel" not in [one["event"] for one in node.client.events]


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("release", RELEASES)
def test_a_node_that_is_lost_in_mid_call_is_an_error_at_once(release: str, replaced: bool) -> None:
    with serving(calls(), release) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        call = node.invoked()
        other = Node(gateway, device=node.device)
        if replaced:
            other.client.connect()
        else:
            node.client.close()
            other.client.connect()
        text, error, _ = json.loads(user.answer(run_id).text)
        assert ("node host disconnected during MCP tool call" in text, error) == (True, True)
        assert other.answer(call) == {"ok": True, "ignored": True}
        other.client.close()


def test_a_node_that_is_not_ready_is_asked_again() -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        first = node.invoked()
        node.give(first, ok=False, error={"code": "NODE_NOT_READY", "message": "closing"})
        second = node.invoked()
        assert (second["id"] != first["id"], second["idempotencyKey"]) == (True, first["idempotencyKey"])
        node.answer(second)
        assert user.answer(run_id).text == heard("7")


def test_a_node_that_is_never_ready_is_an_error_in_the_end() -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        for _ in range(5):
            node.give(node.invoked(), ok=False, error={"code": "NODE_NOT_READY", "message": "closing"})
        assert "NODE_NOT_READY: closing" in user.answer(run_id).text


def test_a_node_that_comes_anew_is_not_asked_again_for_what_it_was_not_ready() -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        # Behind the fourth answer the gateway waits for a second.
        for _ in range(4):
            node.give(node.invoked(), ok=False, error={"code": "NODE_NOT_READY", "message": "closing"})
        with Node(gateway, device=node.device):
            assert "ROUTE_CHANGED: node connection changed before dispatch" in user.answer(run_id).text


def test_progress_is_ignored_and_forbids_to_say_that_it_is_not_ready() -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        call = node.invoked()
        said = node.call("node.invoke.progress", invokeId=call["id"], nodeId=node.id, seq=0, chunk="half")
        assert said == {"ok": True, "ignored": True}
        node.give(call, ok=False, error={"code": "NODE_NOT_READY", "message": "closing"})
        assert "UNAVAILABLE: node reported not-ready after invocation progress" in user.answer(run_id).text
        assert len(user.agent_data("tool")) == 2


def test_a_result_of_another_node_counts_for_nothing() -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        call = node.invoked()
        with Node(gateway, name="other") as other:
            assert (
                other.call("node.invoke.result", id=call["id"], nodeId=node.id, ok=True)["message"] == "nodeId mismatch"
            )
            assert other.answer(call, "0") == {"ok": True, "ignored": True}
        node.answer(call, "7")
        assert user.answer(run_id).text == heard("7")


def test_two_sessions_call_at_once_with_the_same_id() -> None:
    """So the id of the model's call is no key for anything."""
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        runs = {user.client.chat_send(name, "how many?"): f"agent:main:{name}" for name in ("a", "b")}
        pending = [node.invoked() for _ in runs]
        assert len({call["idempotencyKey"] for call in pending}) == 1
        for call in reversed(pending):
            node.answer(call, call["sessionKey"])
        texts: dict[str, str] = {}
        while len(texts) < len(runs):
            payload = user.next("chat")
            if payload["state"] == "final":
                texts[payload["runId"]] = text_of(payload["message"])
        assert texts == {run_id: heard(key) for run_id, key in runs.items()}


def test_behind_the_search_a_tool_is_called_through_another() -> None:
    """With another key, unchecked arguments, and all that it says within a notice."""
    agent = calls(arguments={"odd": 1})
    with BlockingEmbeddedGateway(agent) as gateway, User(gateway) as user, Node(gateway) as node:
        assert gateway.profile.tool_search
        approved(gateway, node)
        run_id = user.send()
        call = node.invoked()
        key = "tool_search_code:call-1:stock:1"
        assert (call["idempotencyKey"], json.loads(call["paramsJSON"])["arguments"]) == (key, {"odd": 1})
        node.answer(call, "7", isError=True)
        assert user.answer(run_id).text == heard("7", error=True)
        named = [(one["phase"], one["name"], one["toolCallId"]) for one in user.agent_data("tool")]
        within = [("start", "stock", key), ("result", "stock", key)]
        assert named == [("start", "tool_call", "call-1"), *within, ("result", "tool_call", "call-1")]
        outer, inner, ended, told = user.agent_data("tool")
        assert (outer["args"], inner["args"]) == ({"id": "stock", "args": {"odd": 1}}, {"odd": 1})
        assert [one.get("parentToolCallId") for one in (inner, ended, told)] == ["call-1", "call-1", None]
        assert (ended["isError"], told["isError"]) == (True, True)
        assert user.results()[0] == "7"
        assert user.results()[1].startswith("SECURITY NOTICE")
        roles = [row["role"] for row in user.call("chat.history", {"sessionKey": "s"})["messages"]]
        assert roles.count("toolResult") == 1, "the call within is no message"


@pytest.mark.parametrize(("length", "cut"), [(19_000, False), (21_000, True)])
def test_behind_the_search_less_reaches_the_model(length: int, cut: bool) -> None:
    told: list[str] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        told.append((await turn.call_tool("stock")).told)
        yield "done"

    with BlockingEmbeddedGateway(agent) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        node.answer(node.invoked(), "x" * length)
        user.answer(run_id)
        assert ("\n[truncated]\n" in told[0]) == cut


NOT_FOUND = {"read": "Ambiguous tool name: read; use an exact tool id.", "nope": "Unknown tool id: nope."}


@pytest.mark.parametrize("name", NOT_FOUND)
def test_behind_the_search_the_gateway_keeps_its_own_tools(name: str) -> None:
    with BlockingEmbeddedGateway(calls(name)) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node, stock("read"))
        text, error, _ = json.loads(user.answer(user.send()).text)
        assert json.loads(text)["error"].startswith(NOT_FOUND[name])
        assert error
        assert [one["name"] for one in user.agent_data("tool")] == ["tool_call"] * 2


def test_behind_the_search_a_failure_is_one_of_the_other_tool() -> None:
    with BlockingEmbeddedGateway(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        node.give(node.invoked(), ok=False, error={"code": "BROKEN", "message": "no database"})
        user.answer(run_id)
        inner, outer = user.results()
        assert "BROKEN: no database" in inner
        assert (json.loads(outer)["tool"], json.loads(outer)["error"]) == ("tool_call", inner)


def test_a_tool_of_two_nodes_is_called_by_its_other_name() -> None:
    chosen: list[str] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield described(await turn.call_tool("stock"))
        yield described(await turn.call_tool(chosen[0]))

    with serving(agent) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        with Node(gateway, name="other") as other:
            approved(gateway, other)
            chosen += [name for name, tool in gateway.tools.items() if tool.node_id == other.id]
            run_id = user.send()
            call = other.invoked()
            assert json.loads(call["paramsJSON"])["tool"] == "stock"
            other.answer(call, "8")
            text = user.answer(run_id).text
            assert text.endswith(heard("8"))
            assert "Tool stock not found" in text


def test_several_calls_of_one_turn_come_one_by_one() -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        answers = await asyncio.gather(*[turn.call_tool("stock", {"n": number}) for number in range(3)])
        yield ",".join(answer.text for answer in answers)

    with serving(agent) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        run_id = user.send()
        for number in range(3):
            call = node.invoked()
            node.call("health")
            assert "node.invoke.request" not in [one["event"] for one in node.client.events]
            assert json.loads(call["paramsJSON"])["arguments"] == {"n": number}
            node.answer(call, str(number))
        assert user.answer(run_id).text == "0,1,2"


@pytest.mark.parametrize("release", RELEASES)
def test_an_operator_calls_a_node(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, Node(gateway) as node:
        params: Frame = {"nodeId": node.id, "command": COMMAND, "params": {"a": 1}, "idempotencyKey": "k"}
        with User(gateway, scopes=OPERATOR) as user:
            waiting = user.call("node.invoke", params)
            assert waiting["details"] == {"reason": "node did not declare commands", "command": COMMAND}
            approved(gateway, node)
            answers: list[Any] = []
            more = {**params, "sessionKey": "agent:main:any", "timeoutMs": 5_000}
            asking = threading.Thread(target=lambda: answers.append(user.call("node.invoke", more)))
            asking.start()
            call = node.invoked()
            assert (call["sessionKey"], json.loads(call["paramsJSON"])) == ("agent:main:any", {"a": 1})
            assert call["timeoutMs"] <= 5_000
            node.answer(call, "7")
            asking.join(5)
            payload = {"content": [{"type": "text", "text": "7"}]}
            common = {"ok": True, "nodeId": node.id, "command": COMMAND}
            assert answers == [{**common, "payload": payload, "payloadJSON": None}]
            assert user.call("node.invoke", {**params, "command": "system.run"})["code"] == "INVALID_REQUEST"
            node.client.close()
            wait_until(lambda: not gateway.nodes)
            assert user.call("node.invoke", params)["details"]["code"] == "NOT_CONNECTED"


def test_a_gateway_that_stops_in_mid_call_says_nothing_of_it() -> None:
    with serving(calls()) as gateway, User(gateway) as user, Node(gateway) as node:
        approved(gateway, node)
        user.send()
        node.invoked()
        gateway.restart()
        assert not gateway.active_runs
        with pytest.raises(ConnectionClosed):
            node.cancelled()
