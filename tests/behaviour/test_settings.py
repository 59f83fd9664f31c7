"""Wrong settings: refused by name when the client is made, before any I/O."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import ClientInfo, MemoryIdentityStore
from openclaw_client.errors import UsageError
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.faces import Face

Make = Callable[..., Any]


async def accepts_later(key: str) -> bool:
    return False


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"identity": "device.json"}, "identity= must be an identity store or a DeviceIdentity, not str"),
    ({"identity": MemoryIdentityStore}, "not the class MemoryIdentityStore"),
    ({"timeouts": 5}, "timeouts= must be Timeouts, not int"),
    ({"reconnect": True}, "reconnect= must be ReconnectPolicy, not bool"),
    ({"client_info": "me"}, "client_info= must be ClientInfo, not str"),
    ({"role": ""}, "role='' is no role"),
    ({"role": 5}, "role=5 is no role"),
    ({"scopes": "operator.read"}, "scopes='operator.read' is a string"),
    ({"caps": "tool-events"}, "caps='tool-events' is no list"),
    ({"caps": 5}, "caps=5 is no list"),
    ({"scopes": 5}, "scopes=5 is no list"),
    ({"sessions": 5}, "sessions=5 is no list"),
    ({"caps": [5]}, r"caps=\[5\] is no list of names"),
    ({"sessions": "main"}, "sessions='main' is a string"),
    ({"sessions": accepts_later}, "sessions= is an `async def`"),
    ({"headers": ["X-Name: x"]}, "headers= must be a mapping, not list"),
    ({"headers": {"X-Name": "x\r\nX-Other: y"}}, "the header X-Name has a line break"),
    ({"ssl_context": ssl.create_default_context()}, "ssl_context needs a wss:// URL"),
    ({"ssl_context": True}, "ssl_context= must be an ssl.SSLContext, not bool"),
    ({"token": 5}, "token must be text, not int"),
    ({"token": "first\nsecond"}, "token has a line break"),
]


@pytest.mark.parametrize(("setting", "complaint"), WRONG)
async def test_a_wrong_setting_is_named(
    make: Make, gateway: BlockingEmbeddedGateway, setting: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        make(gateway, **setting)
    assert caught.value.remedy
    assert gateway.seen.opened == 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"on_event": 5}, "on_event"),
        ({"attachments": 5}, "attachments"),
        ({"attachments": "photo.png"}, "attachments"),
        ({"attachments": {"mimeType": "image/png"}}, "attachments"),
        ({"attachments": ["photo.png"]}, "attachments"),
    ],
)
async def test_a_wrong_argument_is_named_before_anything_is_sent(
    make: Make, gateway: BlockingEmbeddedGateway, wrong: dict[str, Any], named: str
) -> None:
    async with make(gateway) as client:
        with pytest.raises(UsageError, match=f"^{named} is no "):
            await client.chat_send(session_key="main", message="x", **wrong)
    assert "chat.send" not in gateway.seen.requests


def test_an_empty_url_is_not_the_gateway_of_the_environment(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    # A user's row without a URL: the environment's gateway and token are somebody else's.
    monkeypatch.setenv("OPENCLAW_GATEWAY_URL", "ws://127.0.0.1:1")
    assert face.client(identity=False).url == "ws://127.0.0.1:1"
    with pytest.raises(UsageError, match="the gateway URL is empty"):
        face.client("", identity=False)


@pytest.mark.parametrize("field", ["id", "version", "display_name", "platform"])
def test_a_client_introduces_itself_with_texts(field: str) -> None:
    with pytest.raises(UsageError, match=f"ClientInfo.{field} must be text, not int"):
        ClientInfo(**{field: 5})
    with pytest.raises(UsageError, match=f"ClientInfo.{field} has a line break or another control"):
        ClientInfo(**{field: "\x1b[2J"})
    assert ClientInfo(**{field: " "}) == ClientInfo()
