"""By which method a message goes, and with which parameters."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from openclaw_client import Attachment
from openclaw_client.chat.arguments import ChatRequest, chat_request
from openclaw_client.chat.sending import method_of, params_of, request_of, sending_of
from openclaw_client.errors import PayloadTooLarge, UsageError
from openclaw_client.runs.peer import Delivery, Peer, sent_run
from openclaw_client.wire.handshake import Hello

HELLO = Hello(protocol=4)
PLAIN = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k"}


def asked(message: str = "hi", **how: Any) -> ChatRequest:
    wishes = {name: how.pop(name) for name in ("system_prompt", "model", "thinking") if name in how}
    return chat_request("main", message, how.pop("attachments", None), "k", "wait", how, **wishes)


@pytest.mark.parametrize(
    ("message", "wishes", "version", "method"),
    [
        ("hi", {}, "2026.9.6", "chat.send"),
        ("hi", {"thinking": "low"}, "2026.9.6", "chat.send"),
        ("hi", {"system_prompt": "p"}, "2026.9.6", "agent"),
        ("hi", {"model": "m"}, None, "agent"),
        # The gateway acts on these itself.
        ("/stop", {"system_prompt": "p"}, "2026.9.6", "chat.send"),
        ("stop", {"system_prompt": "p"}, "2026.9.6", "chat.send"),
        ("/status", {"model": "m"}, "2026.9.6", "chat.send"),
        ("/etc/hosts is what?", {"system_prompt": "p"}, "2026.9.6", "agent"),
        # A stop word on some releases is none on one that does not tell which it is.
        ("wait", {"system_prompt": "p"}, "2026.2.17", "chat.send"),
        ("wait", {"system_prompt": "p"}, "2026.9.6", "agent"),
        ("wait", {"system_prompt": "p"}, "dev", "agent"),
    ],
)
def test_the_method_of_a_message(message: str, wishes: dict[str, str], version: str | None, method: str) -> None:
    assert method_of(asked(message, **wishes), version) == method


@pytest.mark.parametrize(
    ("method", "how", "more"),
    [
        ("chat.send", {}, {}),
        ("chat.send", {"thinking": "low", "timeoutMs": 1500}, {"thinking": "low", "timeoutMs": 1500}),
        ("chat.send", {"system_prompt": "p", "model": "m"}, {}),
        ("agent", {"system_prompt": "p"}, {"extraSystemPrompt": "p"}),
        ("agent", {"model": "m", "thinking": "low"}, {"model": "m", "thinking": "low"}),
        ("agent", {"model": "m", "timeoutMs": 1500, "lane": "x"}, {"model": "m", "timeout": 2, "lane": "x"}),
        # What is no number is the gateway's to refuse.
        ("agent", {"model": "m", "timeoutMs": "soon"}, {"model": "m", "timeoutMs": "soon"}),
        ("agent", {"model": "m", "timeoutMs": True}, {"model": "m", "timeoutMs": True}),
        ("agent", {"model": "m", "timeoutMs": -5}, {"model": "m", "timeoutMs": -5}),
        ("agent", {"model": "m", "timeoutMs": inf}, {"model": "m", "timeoutMs": inf}),
        ("agent", {"model": "m", "timeoutMs": 10**400}, {"model": "m", "timeoutMs": 10**400}),
    ],
)
def test_the_parameters_of_a_method(method: str, how: dict[str, Any], more: dict[str, Any]) -> None:
    assert params_of(asked(**how), method, HELLO) == {**PLAIN, **more}


def test_files_go_by_either_method_and_are_too_large_for_it() -> None:
    image = Attachment.from_bytes(b"\x89PNG\r\n\x1a\n", file_name="a.png")
    assert params_of(asked(system_prompt="p", attachments=[image]), "agent", HELLO)["attachments"] == [image.wire()]
    large = replace(image, content=bytes(30_000_000))
    with pytest.raises(PayloadTooLarge) as caught:
        params_of(asked(system_prompt="p", attachments=[large]), "agent", HELLO)
    assert caught.value.method == "agent"


def test_what_is_remembered_is_sent_again_the_same_way() -> None:
    request = asked(system_prompt="secret words", model="m", thinking="low")
    sending = sending_of(request, "agent")
    assert sending == Delivery("agent", "secret words", "m", "low", complete=True)
    again = request_of(sent_run("k", "main", "hi", sending, Peer(4), 0.0))
    assert params_of(again, "agent", HELLO) == params_of(request, "agent", HELLO)
    assert "secret words" not in repr(request)
    assert not sending_of(asked(lane="x"), "agent").complete
    assert not sending_of(asked(attachments=[{"content": "x"}]), "agent").complete


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"system_prompt": ""}, "system_prompt= is empty"),
        ({"model": " \n"}, "model= is empty"),
        ({"thinking": ""}, "thinking= is empty"),
        ({"system_prompt": 5}, "system_prompt= must be text, not int"),
        ({"model": "caf\udce9"}, "model= holds bytes of another encoding"),
        ({"extraSystemPrompt": "p"}, "extraSystemPrompt cannot be given by the gateway's name"),
        ({"system_prompt": "p", "queueMode": "steer"}, "queueMode= does not go with"),
        ({"model": "m", "queueMode": "steer"}, "queueMode= does not go with"),
    ],
)
def test_what_no_gateway_takes(how: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        asked(**how)
    assert "nothing was sent" in str(caught.value) or "must be text" in str(caught.value)


def test_a_queue_mode_goes_with_a_level_of_thinking() -> None:
    assert asked(thinking="low", queueMode="steer").when_busy == "send"
