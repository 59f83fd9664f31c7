"""The stub model alone, over plain HTTP: what each directive makes it say, and what it remembers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from .model import StubModel, long_text, slow_text


@pytest.fixture
def model() -> Iterator[StubModel]:
    with StubModel(interval=0.001) as model:
        yield model


def post(
    model: StubModel, *messages: dict[str, Any] | str, stream: bool = True, tools: Sequence[str] = ()
) -> http.client.HTTPResponse:
    listed = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
    host = model.url.removeprefix("http://").removesuffix("/v1")
    connection = http.client.HTTPConnection(host, timeout=10)
    body: dict[str, Any] = {"messages": listed, "stream": stream}
    if tools:
        body["tools"] = [{"type": "function", "function": {"name": name}} for name in tools]
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    return connection.getresponse()


def deltas(response: http.client.HTTPResponse) -> list[dict[str, Any]]:
    with response:
        events = response.read().decode().removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in events]


def pieces(response: http.client.HTTPResponse) -> list[str]:
    return [delta["content"] for delta in deltas(response) if delta.get("content")]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("stub:echo hello there", ["echo:", " hello", " there"]),
        ("stub:echo two\\nlines", ["echo:", " two", "\nlines"]),
        ("[Sun 2026-11-22 17:12 UTC] stub:echo one\n\nRuntime: agent=main", ["echo:", " one"]),
        ("stub:echo old\nstub:echo new", ["echo:", " new"]),
        ("stub:say NO_REPLY", ["NO_REPLY"]),
        ("stub:slow 3", ["piece-1", " piece-2", " piece-3"]),
        ("stub:slow 2 1 and words that make it unique", ["piece-1", " piece-2"]),
        ("stub:slow", ["echo:", " stub:slow"]),
        ("stub:spell 1 one two 3", ["one", " two", " 3"]),
        ("stub:spell one", ["echo:", " stub:spell", " one"]),
        ("stub:empty", []),
        ("anything else", ["echo:", " anything", " else"]),
        ("Sender:\n{}\n\n[Sun 2026-11-22 17:12 UTC] wrapped\n\nRuntime: agent=main | x", ["echo:", " wrapped"]),
    ],
)
def test_a_directive_decides_the_pieces(model: StubModel, message: str, expected: list[str]) -> None:
    assert pieces(post(model, message)) == expected
    blocks = {"role": "user", "content": [{"type": "text", "text": message}]}
    assert pieces(post(model, blocks)) == expected


def test_long_and_slow_texts_are_known_beforehand(model: StubModel) -> None:
    assert "".join(pieces(post(model, "stub:long 3"))) == long_text(3)
    assert len(long_text(3)) == 3 * 1024
    assert "".join(pieces(post(model, "stub:slow 12 1"))) == slow_text(12)


def test_without_streaming_the_answer_is_one_body(model: StubModel) -> None:
    with post(model, "stub:echo hello", stream=False) as response:
        assert json.load(response)["choices"][0]["message"]["content"] == "echo: hello"


@pytest.mark.parametrize(
    "facts",
    [
        "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nfacts\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>",
        "OpenClaw runtime context for the immediately preceding user message.\nfacts",
    ],
)
def test_what_a_gateway_adds_after_the_message_is_not_the_message(model: StubModel, facts: str) -> None:
    assert pieces(post(model, "stub:echo hello", facts)) == ["echo:", " hello"]


def test_fail_and_cut_can_be_limited_to_the_first_times(model: StubModel) -> None:
    for expected in (503, 503, 200):
        with post(model, "stub:fail 503 2") as response:
            assert response.status == expected
            response.read()
    with post(model, "stub:latefail 400 1") as response:
        assert response.status == 400
        response.read()
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        post(model, "stub:cut 1").read()
    assert pieces(post(model, "stub:cut 1")) == ["recovered:", " stub:cut", " 1"]
    # The second answer is noted when its last byte is written, which may be after this side has read it.
    (answered,) = model.wait_for("stub:cut 1", outcome="answered")
    assert [request.outcome for request in model.requests("stub:cut 1")] == ["cut", "answered"]
    assert answered.outcome == "answered"


def test_a_tool_is_called_once_and_its_result_answered(model: StubModel) -> None:
    (call,) = next(delta["tool_calls"] for delta in deltas(post(model, "stub:tool x")) if "tool_calls" in delta)
    assistant = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "none"}
    asked = {"role": "user", "content": "stub:tool x"}
    assert pieces(post(model, asked, assistant, result)) == ["tool", " answered:", " x"]
    assert (model.count("stub:tool x"), len(model.requests("stub:tool x"))) == (1, 2)


@pytest.mark.parametrize(
    ("message", "name", "arguments"),
    [
        ("stub:exec echo hello > x", "exec", {"command": "echo hello > x"}),
        ('stub:ask [{"id": "drink", "options": []}]', "ask_user", {"questions": [{"id": "drink", "options": []}]}),
        ('stub:call stock {"sku": "a b"}', "stock", {"sku": "a b"}),
    ],
)
def test_a_tool_s_result_is_said(model: StubModel, message: str, name: str, arguments: dict[str, Any]) -> None:
    (call,) = next(delta["tool_calls"] for delta in deltas(post(model, message)) if "tool_calls" in delta)
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (name, arguments)
    result = {"role": "tool", "tool_call_id": call["id"], "content": "denied by user"}
    again = {"role": "user", "content": message}
    assert pieces(post(model, again, {"role": "assistant", "tool_calls": [call]}, result)) == ["denied", " by", " user"]


def test_several_calls_in_one_answer(model: StubModel) -> None:
    message = 'stub:call stock [{"sku": "a"}, {}]'
    calls = [call for delta in deltas(post(model, message)) for call in delta.get("tool_calls", ())]
    assert [(call["index"], call["id"]) for call in calls] == [(0, "call-1"), (1, "call-2")]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"sku": "a"}, {}]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": call["id"]} for call in calls]
    again = [{"role": "user", "content": message}, {"role": "assistant", "tool_calls": calls}, *results]
    assert "".join(pieces(post(model, *again))) == "call-1\ncall-2"


@pytest.mark.parametrize(
    ("offered", "name", "arguments"),
    [
        (["tool_search", "tool_call"], "tool_call", {"id": "stock", "args": {"sku": "a"}}),
        (["stock", "tool_call"], "stock", {"sku": "a"}),
        ([], "stock", {"sku": "a"}),
    ],
)
def test_a_tool_that_is_not_offered_is_called_through_the_one_for_that(
    model: StubModel, offered: list[str], name: str, arguments: dict[str, Any]
) -> None:
    response = post(model, 'stub:call stock {"sku": "a"}', tools=offered)
    (call,) = next(delta["tool_calls"] for delta in deltas(response) if "tool_calls" in delta)
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (name, arguments)
    assert model.requests("stub:call")[0].tools == offered


def test_hang_waits_for_its_release(model: StubModel) -> None:
    response = post(model, "stub:hang me")
    model.release("another")
    assert [request.outcome for request in model.wait_for("stub:hang me")] == ["answering"]
    model.release("me")
    assert "".join(pieces(response)) == slow_text(3) + " released"


def test_a_caller_that_hangs_up_is_noticed(model: StubModel) -> None:
    response = post(model, "stub:hang never")
    response.readline()
    response.close()
    assert len(model.wait_for("stub:hang never", outcome="dropped", timeout=10)) == 1
    with pytest.raises(TimeoutError, match=r"no 1 calls with 'stub:echo'"):
        model.wait_for("stub:echo", timeout=0)
