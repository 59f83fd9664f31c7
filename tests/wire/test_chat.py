"""The payload of a chat event: the fast and the lenient way agree, and the text of a message is its text blocks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.chat import ChatBlock, ChatMessage, ChatPayload, chat_payload_from, message_from, message_text
from tests.wire.test_frames import texts, values

BLOCKS = [{"type": "text", "text": "a"}, {"type": "image", "text": "no"}, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (None, None),
        ("whole", "whole"),
        (ChatMessage(), ""),
        (ChatMessage(text="aside"), "aside"),
        (ChatMessage(content="plain", text="aside"), "plain"),
        (ChatMessage(content=[]), ""),
        (ChatMessage(content=[ChatBlock("text", "one")]), "one"),
        (ChatMessage(content=[ChatBlock("image", "one")]), ""),
        (ChatMessage(content=[ChatBlock("text", "a"), ChatBlock("canvas", "no"), ChatBlock("text", "b")]), "ab"),
    ],
)
def test_the_text_of_a_message(message: ChatMessage | str | None, text: str | None) -> None:
    assert message_text(message) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, ChatMessage()),
        (
            {"role": "assistant", "content": "x", "stopReason": "end_turn"},
            ChatMessage("assistant", "x", None, "end_turn"),
        ),
        ({"role": 1, "content": 2, "text": 3, "stopReason": 4}, ChatMessage()),
        ({"text": "t"}, ChatMessage(text="t")),
        (
            {"content": [*BLOCKS, "bare", 5, {"type": 1, "text": 2}, {}]},
            ChatMessage(
                content=[
                    ChatBlock("text", "a"),
                    ChatBlock("image", "no"),
                    ChatBlock("text", "b"),
                    ChatBlock("text", "bare"),
                    ChatBlock(),
                    ChatBlock(),
                    ChatBlock(),
                ]
            ),
        ),
    ],
)
def test_a_message_out_of_plain_values(value: dict[str, Any], message: ChatMessage) -> None:
    assert message_from(value) == message


whole_payloads = st.fixed_dictionaries(
    {
        "runId": texts,
        "sessionKey": texts,
        "state": st.sampled_from(["delta", "final", "aborted", "error", "status", "new"]),
    },
    optional={
        "seq": st.integers(-5, 2**53),
        "message": st.just("m")
        | st.fixed_dictionaries({"role": texts, "content": st.just(BLOCKS)}, optional={"text": texts}),
        "deltaText": texts,
        "replace": st.booleans(),
        "stopReason": texts,
        "errorMessage": texts,
        "errorKind": texts,
        "errorDetail": st.dictionaries(texts, values, max_size=2),
        "usage": st.dictionaries(texts, st.integers(), max_size=2),
        "phase": texts,
        "retry": st.just({"attempt": 1}),
        "agentId": texts,
        "spawnedBy": texts,
        "yielded": st.booleans(),
        "unknown": values,
    },
)


@given(payload=whole_payloads)
def test_the_lenient_way_reads_a_good_payload_as_the_fast_way_does(payload: dict[str, Any]) -> None:
    assert chat_payload_from(payload) == msgspec.json.decode(msgspec.json.encode(payload), type=ChatPayload)


@given(payload=whole_payloads, data=st.data())
def test_a_field_of_a_wrong_type_is_left_out_and_the_rest_stays(payload: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(payload.keys() - {"unknown"})))
    rest = {key: value for key, value in payload.items() if key != name}
    assert chat_payload_from({**payload, name: [object]}) == chat_payload_from(rest)


@pytest.mark.parametrize("value", [None, 5, "text", [], [{"runId": "r"}]])
def test_what_is_no_object_is_an_empty_payload(value: object) -> None:
    assert chat_payload_from(value) == ChatPayload()


def test_a_boolean_is_no_number() -> None:
    assert chat_payload_from({"seq": True}).seq is None


@given(value=values)
def test_any_message_has_a_text(value: Any) -> None:
    assert isinstance(message_text(message_from({"content": value, "text": value, "role": value})), str)
