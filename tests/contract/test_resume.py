"""Runs whose socket dies, and runs that fail without a word."""

from __future__ import annotations

import math

import pytest

from openclaw_client import ChatReply, Reconnecting, ReconnectPolicy, Resumed, TextAppended
from openclaw_client.errors import RunFailed, RunLost
from tests.contract.targets import PATIENT, Target, device_store, minutes_in_seconds
from tests.faces import Face
from tests.gateways.model import long_text
from tests.relay import Relay

QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)
PIECES = 12
SLOW_TEXT = " ".join(f"piece-{number}" for number in range(1, PIECES + 1))


async def test_a_cut_in_mid_run_does_not_show_in_the_text(face: Face, target: Target, session: str) -> None:
    async with Relay(target.url) as relay:
        client = face.client(relay.url, token=target.token, identity=device_store(), timeouts=PATIENT, reconnect=QUICK)
        async with client, client.chat_stream(session_key=session, message=f"stub:slow {PIECES}") as run:
            seen: list[object] = []
            async for event in run:
                seen.append(event)
                if isinstance(event, TextAppended) and not relay.cuts:
                    relay.cut()
            reply = await run.result()
            page = await client.chat_history(session_key=session)
    assert [type(event) for event in seen if isinstance(event, Reconnecting | Resumed)] == [Reconnecting, Resumed]
    assert "".join(event.text for event in seen if isinstance(event, TextAppended)) == SLOW_TEXT
    assert reply.text == SLOW_TEXT
    assert sum(message.role == "user" for message in page.messages) == 1


def longest_from_history(target: Target) -> float:
    """How many characters of one text a gateway gives after the run, in whatever way it is asked."""
    if target.profile.message_get:
        return math.inf
    return 100_000 if "maxChars" in target.profile.history_keys else target.profile.history_chars


@pytest.mark.parametrize("kilobytes", [10, 64, 160])
async def test_the_key_of_a_run_that_is_over_gives_its_whole_reply(
    target: Target, session: str, kilobytes: int
) -> None:
    """As after a process that died. Gateways cut texts of this length in their histories."""
    text = long_text(kilobytes)

    async def ask() -> ChatReply:
        client = Face("async").client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT)
        async with client:
            message = f"stub:long {kilobytes}"
            return await client.chat_send(session_key=session, message=message, idempotency_key=session)  # type: ignore[no-any-return]

    assert (await ask()).text == text
    if len(text) > longest_from_history(target):
        with pytest.raises(RunLost, match="only a part of its reply") as caught:
            await ask()
        assert text.startswith(caught.value.partial_text)
    else:
        reply = await ask()
        assert (reply.text, reply.recovered) == (text, True)


async def test_a_failed_model_is_a_failed_run_on_every_release(target: Target, session: str) -> None:
    # On one face: 2026.4.15 and 2026.6.1 send no chat event for it, and the gateway is asked after 16 s of silence.
    client = Face("async").client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT)
    async with client, minutes_in_seconds(target, client):
        with pytest.raises(RunFailed) as caught:
            await client.chat_send(session_key=session, message="stub:fail 400")
    assert "400" in str(caught.value) or "provider" in str(caught.value)
