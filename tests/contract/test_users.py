"""Many users of one gateway: each is given their own, over a reconnect too."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from openclaw_client import Credentials, SessionKey
from openclaw_client.identity.store import IdentityStore
from tests.contract.targets import PATIENT, Target, device_store
from tests.contract.test_chat import SLOW_TEXT
from tests.faces import Face
from tests.relay import Relay
from tests.waiting import until

USERS = ("Ann", "ann", "Bob:x y%z")
SCOPES = ("operator.read", "operator.write", "operator.admin")


async def test_users_are_given_their_own_sessions_and_no_others(face: Face, target: Target, session: str) -> None:
    keys = {user: SessionKey.agent("main", session, user) for user in USERS}
    devices: dict[str, IdentityStore] = {user: device_store() for user in USERS}
    heard: dict[str, list[str]] = defaultdict(list)
    async with Relay(target.url) as relay:

        def credentials(user: str) -> Credentials:
            return Credentials(relay.url, token=target.token, identity=devices[user], scopes=SCOPES)

        async with face.manager(credentials, timeouts=PATIENT) as manager:
            manager.on_proactive_message(lambda user, message: heard[user].append(message.text))
            clients = {user: await manager.connection_for(user) for user in USERS}
            # A session that the gateway never heard of: its first reply must come in pieces all the same.
            replies = await asyncio.gather(*(streamed(clients[user], keys[user]) for user in USERS))
            assert ["".join(pieces) for pieces in replies] == [SLOW_TEXT] * len(USERS)
            assert all(len(pieces) >= 2 for pieces in replies), replies
            for user in USERS:
                page = await clients[user].chat_history(session_key=keys[user])
                assert [message.text for message in page.messages if message.role == "assistant"] == [SLOW_TEXT]
            for turn in ("before", "behind a reconnect"):
                for user in USERS:
                    await clients[user].chat_inject(session_key=keys[user], message=f"{turn}, for {user}")
                await until(lambda turn=turn: all(f"{turn}, for {user}" in heard[user] for user in USERS))
                if turn == "before":
                    taken = len(relay.taken_at)
                    relay.cut()
                    # That nobody is connected may be over before anybody looks.
                    await until(lambda taken=taken: len(relay.taken_at) >= taken + len(USERS))
                    await until(lambda: manager.connected_count == len(USERS))
    assert heard == {user: [f"before, for {user}", f"behind a reconnect, for {user}"] for user in USERS}


async def streamed(client: Any, key: str) -> list[str]:
    async with client.chat_stream(session_key=key, message="stub:slow 6") as run:
        return [piece async for piece in run.text_stream]
