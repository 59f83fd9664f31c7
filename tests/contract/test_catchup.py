"""Messages that were said while the connection was away."""

from __future__ import annotations

import asyncio

from openclaw_client import ProactiveMessage, ReconnectPolicy
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face
from tests.relay import Relay
from tests.waiting import until

QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)


async def test_an_absence_is_made_good(face: Face, target: Target, session: str) -> None:
    arrived: asyncio.Queue[ProactiveMessage] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    scopes = ["operator.read", "operator.write", "operator.admin"]
    options = {"token": target.token, "timeouts": PATIENT}
    theirs = face.client(target.url, identity=device_store(), scopes=scopes, **options)
    async with Relay(target.url) as relay:
        mine = face.client(relay.url, identity=device_store(), sessions=[session], reconnect=QUICK, **options)
        mine.on_proactive_message(lambda user, message: loop.call_soon_threadsafe(arrived.put_nowait, message))
        async with theirs, mine:
            before = await theirs.chat_send(session_key=session, message="stub:echo before")
            assert (await mine.chat_send(session_key=session, message="stub:echo mine")).text == "echo: mine"
            relay.away = True
            relay.cut()
            await until(lambda: not mine.connected)
            one = await theirs.chat_send(session_key=session, message="stub:echo one")
            two = await theirs.chat_inject(session_key=session, message="two", label="crm")
            three = await theirs.chat_send(session_key=session, message="stub:tool three")
            relay.away = False
            heard = [await arrived.get() for _ in range(4)]
            # Whatever would come twice has come before this one.
            last = await theirs.chat_send(session_key=session, message="stub:echo last")
            heard.append(await arrived.get())
    assert arrived.empty()
    assert [message.text for message in heard] == [before.text, one.text, "[crm]\n\ntwo", three.text, last.text]
    assert [message.kind for message in heard] == ["run", "run", "injected", "run", "run"]
    if target.profile.message_ids:
        assert heard[2].id == two.message_id
    if target.names_runs:
        assert [heard[1].id, heard[3].id] == [one.run_id, three.run_id]
    assert len({message.id for message in heard}) == 5
