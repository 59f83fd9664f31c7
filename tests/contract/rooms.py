"""Several clients in one session, and what each of them may be told."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Self

from openclaw_client import ChatReply, ProactiveMessage
from openclaw_client.errors import GatewayError, OutcomeUnknown, RunFailed, RunLost, RunTimeout
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face

ADMIN = ("operator.read", "operator.write", "operator.admin")


class Guest:
    """A client in a session that others use, too, and every message that it was handed unasked."""

    def __init__(self, face: Face, target: Target, session: str, **options: Any) -> None:
        settings: dict[str, Any] = {"identity": device_store(), "timeouts": PATIENT, "sessions": [session], **options}
        self.client = face.client(target.url, token=target.token, **settings)
        self.session = session
        self.heard: list[ProactiveMessage] = []
        self.client.on_proactive_message(lambda user, message: self.heard.append(message))

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.client.__aexit__(*exc)

    async def say(self, message: str, **options: Any) -> ChatReply:
        """Send a message and wait for its reply."""
        reply: ChatReply = await self.client.chat_send(session_key=self.session, message=message, **options)
        return reply

    async def outcome(self, message: str, **options: Any) -> ChatReply | GatewayError:
        """What became of a message: its reply, or the error of its run."""
        try:
            return await self.say(message, **options)
        except (RunFailed, RunLost, OutcomeUnknown, RunTimeout) as error:
            return error

    def texts(self) -> list[str]:
        return [message.text for message in self.heard]

    def check_heard_once(self) -> None:
        """Nothing was handed out twice, whatever it was."""
        ids = Counter(message.id for message in self.heard)
        assert not [one for one, times in ids.items() if times > 1], self.heard
        texts = Counter(self.texts())
        assert not [text for text, times in texts.items() if times > 1], self.heard


def echo(words: str) -> tuple[str, str]:
    """A message, and the answer to it."""
    return f"stub:echo {words}", f"echo: {words}"


def check_own_words(target: Target, message: str, answer: str, reply: ChatReply) -> None:
    """A reply is the message's own answer; in the run of another message, it is within that run's words."""
    assert reply.state == "final", reply
    if reply.merged_into is None:
        assert reply.text == answer, reply
    else:
        assert answer in reply.text, reply
    assert target.asked(message) == 1, target.asked(message)


async def check_true_error(target: Target, guest: Guest, message: str, answer: str, error: GatewayError) -> None:
    """An error is true: the history has no answer to this message, and the model was not asked twice.

    It took too long only where the gateway keeps the message, and then the model was not asked at all.
    """
    late = isinstance(error, RunTimeout)
    assert target.profile.agent_keeps_late if late else isinstance(error, RunFailed | RunLost | OutcomeUnknown), error
    assert target.asked(message) <= (0 if late else 1), target.asked(message)
    page = await guest.client.chat_history(session_key=guest.session, limit=50)
    answers = [row.text for row in page.messages if row.role == "assistant"]
    assert not [text for text in answers if answer in text], (error, answers)


async def check_outcome(
    target: Target, guest: Guest, message: str, answer: str, outcome: ChatReply | GatewayError
) -> None:
    """The own answer, or an error that is true; never a finished reply without words."""
    if isinstance(outcome, ChatReply):
        check_own_words(target, message, answer, outcome)
    else:
        await check_true_error(target, guest, message, answer, outcome)


async def switch(guest: Guest, mode: str) -> None:
    """Set the session's queue mode by a message, which every release takes."""
    await guest.say(f"/queue {mode}")


async def begun(run: Any) -> str:
    """The first words of a run."""
    words: str = await anext(aiter(run.text_stream))
    return words


async def heard_by(guest: Guest, count: int, patience: float = 30.0) -> None:
    """Wait until the guest was handed so many messages."""
    async with asyncio.timeout(patience):
        while len(guest.heard) < count:  # noqa: ASYNC110 - handlers run in another thread
            await asyncio.sleep(0.01)
