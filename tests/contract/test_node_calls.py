"""Calls of a node's tools: what the node is handed, what the agent reads of its answer, what ends it without.

By raw frames, as in test_node_role.py.
"""

from __future__ import annotations

import json

import pytest

from tests.contract.nodes import CANCELLED, CANCELS, COMMAND, INVOKED, TOOLS, Node, Payload, Person, new_name
from tests.contract.nodes import tool_named as tool
from tests.contract.targets import Target

READABLE = 64_000
"""Characters of a tool's result that reach a model with a context of 200,000 tokens."""

TIMEOUT = 120_000
"""Milliseconds that a call may take; what the gateway itself needed has gone off already."""

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)  # fmt: skip

pytestmark = pytest.mark.release(*TOOLS)


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


@pytest.mark.release("2026.9.6")
def test_behind_tool_search_a_tool_is_called_through_another(target: Target, session: str) -> None:
    with target.with_tool_search() as (url, token):
        door = {"url": url, "token": token}
        with Person(target, **door) as person, Node(target, **door) as node:
            person.approve(node)
            name = new_name()
            node.publish(tool(name), tool("read"))
            keys = []
            # Nobody looks at the arguments first.
            for word, arguments in (("a", {"sku": "a"}), ("b", {"unknown": "b"})):
                run = person.call(f"{session}-{word}", name, arguments)
                invoke = node.invoked(**arguments)
                keys.append(invoke["idempotencyKey"])
                node.answer(invoke, f"seven {word}", isError=word == "b")
                state, text = person.end(run)
                assert (state, f"seven {word}" in text, text.startswith("SECURITY NOTICE")) == ("final", True, True)
                assert person.results(run) == [(f"seven {word}", word == "b"), (text, word == "b")]
            assert keys == [f"tool_search_code:call-1:{name}:1"] * 2
            # The gateway's own tool keeps its name there.
            run = person.call(f"{session}-c", "read", {"sku": "c"})
            person.end(run)
            assert [is_error for _, is_error in person.results(run)] == [True]
            assert len(node.payloads(INVOKED)) == 2
