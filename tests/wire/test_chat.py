"""The payload of a chat event: the fast and the lenient way agree, and the text of a message is its text blocks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.chat import (
    ChatBlock,
    ChatMessage,
    ChatPayload,
    MessageDetails,
    chat_payload_from,
    content_blocks,
    details_of,
    message_from,
    message_text,
    shown_types,
    shows_anything,
)
from openclaw_client.wire.frames import ChatFrame, decode_frame
from tests.wire.test_frames import texts, values

BLOCKS = [{"type": "text", "text": "a"}, {"type": "image", "text": "no"}, {"type": "text", "text": "b"}]


TEXT = {"type": "text", "text": "Hello world"}
IMAGE = {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}
AUDIO = {"type": "audio", "url": "/media/1.mp3"}
CALL = {"type": "toolCall", "id": "c1", "name": "read", "arguments": {"path": "a"}}
THINKING = {"type": "thinking", "thinking": "hm"}


@pytest.mark.parametrize("message", [None, "whole"])
def test_a_message_may_be_a_bare_text_or_missing(message: str | None) -> None:
    assert message_text(message) == message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        # None: it says nothing about the text.
        ({}, None),
        ({"content": []}, None),
        ({"content": None}, None),
        ({"content": 5}, None),
        ({"content": [IMAGE]}, None),
        ({"content": AUDIO}, None),
        ({"content": [IMAGE, {"type": "text", "text": ""}]}, None),
        ({"content": [5, None, [], {}]}, None),
        # "": it says that there is none.
        ({"content": ""}, ""),
        ({"content": [{"type": "text", "text": ""}]}, ""),
        ({"content": [{"type": "text", "text": ""}, {"type": "text", "text": ""}]}, ""),
        ({"content": [], "text": ""}, ""),
        # One text, in every form.
        ({"content": "Hello world"}, "Hello world"),
        ({"content": TEXT}, "Hello world"),
        ({"content": [TEXT]}, "Hello world"),
        ({"content": ["Hello world"]}, "Hello world"),
        ({"content": [{"text": "Hello world"}]}, "Hello world"),
        ({"content": [{"type": "output_text", "text": "Hello world"}]}, "Hello world"),
        ({"content": [{"type": "input_text", "text": "Hello world"}]}, "Hello world"),
        ({"content": {"type": "output_text", "text": "Hello world"}}, "Hello world"),
        # Beside the blocks, where they say nothing.
        ({"text": "Hello world"}, "Hello world"),
        ({"content": [IMAGE], "text": "Hello world"}, "Hello world"),
        ({"content": [], "text": "Hello world"}, "Hello world"),
        ({"content": "", "text": "Hello world"}, "Hello world"),
        ({"content": [{"type": "text", "text": ""}], "text": "Hello world"}, "Hello world"),
        ({"content": [TEXT], "text": "aside"}, "Hello world"),
        ({"content": [TEXT, IMAGE], "text": "aside"}, "Hello world"),
        ({"content": "plain", "text": "aside"}, "plain"),
        # Several.
        ({"content": [{"type": "text", "text": "Hello "}, {"type": "text", "text": "world"}]}, "Hello world"),
        ({"content": [IMAGE, TEXT]}, "Hello world"),
        ({"content": [TEXT, IMAGE]}, "Hello world"),
        (
            {"content": [THINKING, {"type": "text", "text": "I'll check."}, CALL, {"type": "text", "text": "Done."}]},
            "I'll check.\n\nDone.",
        ),
        (
            {"content": [{"type": "text", "text": "a"}, CALL, {"type": "text", "text": ""}, CALL, "b", "c"]},
            "a\n\nbc",
        ),
        ({"content": [{"type": "image", "text": "no"}, TEXT]}, "Hello world"),
    ],
)
def test_the_text_of_a_message(message: dict[str, Any], text: str | None) -> None:
    assert message_text(message_from(message)) == text
    # The same, decoded as a frame is.
    payload = final(message).payload
    assert message_text(payload.message) == text


def final(message: object, **more: Any) -> ChatFrame:
    payload = {"runId": "r", "sessionKey": "agent:main:main", "state": "final", "message": message, **more}
    frame = decode_frame(msgspec.json.encode({"type": "event", "event": "chat", "payload": payload, "seq": 3}))
    assert isinstance(frame, ChatFrame)
    return frame


@pytest.mark.parametrize(
    ("message", "details"),
    [
        (None, MessageDetails()),
        ("whole", MessageDetails(({"type": "text", "text": "whole"},))),
        ("", MessageDetails()),
        ({}, MessageDetails()),
        ({"content": [TEXT, IMAGE]}, MessageDetails((TEXT, IMAGE))),
        ({"content": [TEXT, 5, "Hi"]}, MessageDetails((TEXT, {"type": "text", "text": "Hi"}))),
        ({"content": AUDIO}, MessageDetails((AUDIO,))),
        ({"content": "Hi"}, MessageDetails(({"type": "text", "text": "Hi"},))),
        (
            {"content": [TEXT], "usage": {"input": 3}, "model": "mock-1", "provider": "mock"},
            MessageDetails((TEXT,), {"input": 3}, "mock-1", "mock"),
        ),
        ({"content": [], "usage": 3, "model": 5, "provider": ""}, MessageDetails()),
        (
            {"content": [], "usage": {"input": 0}, "model": "gateway-injected", "provider": "openclaw"},
            MessageDetails(),
        ),
        ({"content": [], "usage": {"input": 0}, "model": "delivery-mirror", "provider": "openclaw"}, MessageDetails()),
    ],
)
def test_what_a_message_holds_beside_its_text(message: object, details: MessageDetails) -> None:
    assert final(message).payload.details() == details
    # Whichever way the frame was decoded: this key is of a wrong type.
    assert final(message, errorKind=5).payload.details() == details
    if isinstance(message, dict):
        assert details_of(message) == details


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (ChatMessage(content=[ChatBlock("text", "Hi")]), ({"type": "text", "text": "Hi"},)),
        (ChatMessage(content="Hi"), ({"type": "text", "text": "Hi"},)),
        (ChatMessage(), ()),
    ],
)
def test_a_payload_that_came_in_no_frame_has_the_blocks_that_it_was_made_of(
    message: ChatMessage, content: tuple[dict[str, Any], ...]
) -> None:
    assert ChatPayload(message=message).details() == MessageDetails(content)


@pytest.mark.parametrize(
    ("note", "block"),
    [
        (rb'"\ud83d"', {"type": "text", "text": "Hi", "note": ""}),
        # No UTF-8, no number: what the text does not need is given up.
        (b'"\xff"', {"type": "text", "text": "Hi"}),
        (b"1e999", {"type": "text", "text": "Hi"}),
    ],
)
def test_a_block_that_cannot_be_read_costs_no_text(note: bytes, block: dict[str, Any]) -> None:
    head = b'{"type":"event","event":"chat","payload":{"runId":"r","state":"final","message":{"content":['
    frame = decode_frame(head + b'{"type":"text","text":"Hi","note":' + note + b"}]}}}")
    assert isinstance(frame, ChatFrame)
    assert message_text(frame.payload.message) == "Hi"
    assert frame.payload.details().content == (block,)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ((), False),
        (({"type": "text", "text": ""},), False),
        (({"type": "text", "text": 5},), False),
        (({"type": "text"},), False),
        ((THINKING, CALL, {"type": "tool_use"}, {"type": "toolResult"}, {"type": "functionCall"}), False),
        (({"type": "server_tool_use"}, {"type": "reasoning"}), False),
        (({"type": 5}, {}), False),
        ((TEXT,), True),
        (({"text": "Hi"},), True),
        ((THINKING, IMAGE), True),
        ((AUDIO,), True),
        (({"type": "canvas"},), True),
    ],
)
def test_what_there_is_to_be_shown(content: tuple[dict[str, Any], ...], shown: bool) -> None:
    assert shows_anything(content) is shown


def test_what_is_shown_beside_the_text() -> None:
    assert shown_types((THINKING, IMAGE, TEXT, {"text": "Hi"}, CALL, AUDIO, {"type": 5}, IMAGE)) == (
        "image",
        "audio",
        "image",
    )


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


@given(content=values, text=values)
def test_any_message_can_be_read(content: Any, text: Any) -> None:
    message = {"content": content, "text": text, "role": content, "usage": content, "model": text, "provider": text}
    told = message_text(message_from(message))
    assert told is None or isinstance(told, str)
    details = details_of(message)
    assert isinstance(shows_anything(details.content), bool)
    assert details.content == content_blocks(content)
    assert final(message).payload.details() == details


blocks = (
    st.fixed_dictionaries({"type": st.sampled_from(["text", "output_text", "input_text"]), "text": texts})
    | st.fixed_dictionaries({"type": st.just("image"), "data": texts}, optional={"text": texts})
    | st.fixed_dictionaries({"type": st.sampled_from(["toolCall", "thinking", "audio", "new"])})
    | texts
    | values
)


@given(content=st.lists(blocks, max_size=6), aside=st.none() | texts)
def test_no_word_of_a_text_block_is_missing(content: list[Any], aside: str | None) -> None:
    told = message_text(message_from({"content": content} | ({} if aside is None else {"text": aside})))
    said = [block if isinstance(block, str) else block["text"] for block in content if _says(block)]
    rest = told or ""
    for words in said:
        at = rest.find(words)
        assert at >= 0
        rest = rest[at + len(words) :]
    if aside and not any(said):
        assert told == aside


def _says(block: Any) -> bool:
    if isinstance(block, str):
        return True
    return (
        isinstance(block, dict)
        and block.get("type") in ("text", "output_text", "input_text")
        and isinstance(block.get("text"), str)
    )
