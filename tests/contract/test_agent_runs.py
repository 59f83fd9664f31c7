"""Messages with a system prompt or a model of their own: they go by the method `agent`, and are runs as all others."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from openclaw_client import Attachment, Credentials, Reconnecting, ReconnectPolicy, Resumed, SessionKey, TextAppended
from openclaw_client.errors import RequestFailed, RunFailed, RunTimeout
from openclaw_client.identity.store import IdentityStore
from openclaw_client.testing import PROFILES
from tests.contract.rooms import ADMIN, Guest, begun, check_outcome, echo, heard_by
from tests.contract.targets import PATIENT, RELEASES, Target, device_store
from tests.contract.test_attachments import picture
from tests.faces import Face
from tests.gateways.model import slow_text
from tests.relay import Relay
from tests.waiting import until

QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)
PIECES = 12
PROMPT = 'Answer as the captain of the ship; «quoted», "quoted".'
IN_TURN = 6
ROUNDS = 3
ENOUGH = {True: 30.0, False: 5.0}
"""Seconds in which a message is answered on two busy cores, by a real gateway and by an embedded one. What is not
answered then was kept by its gateway."""
KEEPING = [release for release in RELEASES if PROFILES[release].agent_keeps_late]


async def test_the_prompt_reaches_the_model_for_this_message_alone(face: Face, target: Target, session: str) -> None:
    one, other = Guest(face, target, session), Guest(face, target, session)
    async with one, other:
        message, answer = echo(f"with {session}")
        seen: list[Any] = []
        reply = await one.say(message, system_prompt=PROMPT, on_event=seen.append)
        assert (reply.state, reply.text) == ("final", answer)
        assert "".join(event.text for event in seen if isinstance(event, TextAppended)) == answer
        assert (target.asked(message), target.prompted(message, PROMPT)) == (1, 1)
        bare, bare_answer = echo(f"without {session}")
        assert (await one.say(bare)).text == bare_answer
        assert (target.asked(bare), target.prompted(bare, PROMPT)) == (1, 0)
        await heard_by(other, 2)
        page = await one.client.chat_history(session_key=session, limit=20)
    assert one.heard == []
    assert other.texts() == [answer, bare_answer]
    rows = [row.text for row in page.messages]
    assert [sum(words in text for text in rows) for words in (PROMPT, answer)] == [0, 1]


async def test_the_prompt_is_a_users_to_give_and_the_model_an_admins(face: Face, target: Target, session: str) -> None:
    message, answer = echo(f"mine {session}")
    async with Guest(face, target, session) as guest:
        reply = await guest.say(message, system_prompt=PROMPT, thinking="off")
        assert (reply.text, target.prompted(message, PROMPT)) == (answer, 1)
        if target.profile.agent_model_scope:
            with pytest.raises(RequestFailed, match="overrides are not authorized") as caught:
                await guest.say(f"{message} refused", model=target.other_model)
            assert "sessions.patch" in caught.value.remedy
            assert target.asked(f"{message} refused") == 0
        if not target.profile.agent_models:
            with pytest.raises(RequestFailed, match="unexpected property 'model'") as unknown:
                await guest.say(f"{message} refused", model=target.other_model)
            assert "update the gateway" in unknown.value.remedy
            return
    async with Guest(face, target, session, scopes=ADMIN) as admin:
        message, answer = echo(f"theirs {session}")
        reply = await admin.say(message, model=target.other_model)
        assert reply.text == answer
        assert target.models(message) == [target.other_model.rpartition("/")[2]]


async def test_a_cut_in_mid_run_costs_nothing(face: Face, target: Target, session: str) -> None:
    message = f"stub:slow {PIECES}"
    before = target.prompted(message, session)
    async with Relay(target.url) as relay, Guest(face, target, session) as other:
        one = Guest(face, target, session, reconnect=QUICK)
        one.client = face.client(
            relay.url,
            token=target.token,
            identity=device_store(),
            timeouts=PATIENT,
            reconnect=QUICK,
            sessions=[session],
        )
        one.client.on_proactive_message(lambda user, message: one.heard.append(message))
        async with one:
            run = one.client.chat_stream(session_key=session, message=message, system_prompt=f"You are {session}.")
            seen: list[object] = []
            async with run:
                async for event in run:
                    seen.append(event)
                    if isinstance(event, TextAppended) and not relay.cuts:
                        relay.cut()
                reply = await run.result()
            # What it would have been told as a message that nobody asked for stands before this.
            marked, mark = echo(f"behind {session}")
            assert (await one.say(marked)).text == mark
            await heard_by(other, 2)
    assert [type(event) for event in seen if isinstance(event, Reconnecting | Resumed)] == [Reconnecting, Resumed]
    assert "".join(event.text for event in seen if isinstance(event, TextAppended)) == slow_text(PIECES) == reply.text
    assert target.prompted(message, session) == before + 1
    assert one.heard == []
    assert other.texts() == [slow_text(PIECES), mark]


async def test_a_cut_behind_which_the_run_ends_costs_nothing(face: Face, target: Target, session: str) -> None:
    async with Relay(target.url) as relay:
        heard: list[Any] = []
        options = {"identity": device_store(), "timeouts": PATIENT, "reconnect": QUICK, "sessions": [session]}
        client = face.client(relay.url, token=target.token, **options)
        client.on_proactive_message(lambda user, message: heard.append(message))
        async with client, Guest(face, target, session) as other:
            async with client.chat_stream(
                session_key=session, message=f"stub:slow {PIECES}", system_prompt=f"You are {session}."
            ) as run:
                await begun(run)
                relay.away = True
                relay.cut()
                await heard_by(other, 1)
                relay.away = False
                reply = await run.result()
            marked, mark = echo(f"behind {session}")
            assert (await client.chat_send(session_key=session, message=marked)).text == mark
    assert (reply.text, reply.recovered) == (slow_text(PIECES), True)
    assert heard == []


async def test_runs_of_both_methods_have_their_turns(face: Face, target: Target, session: str) -> None:
    async with Guest(face, target, session) as one, Guest(face, target, session) as other:
        messages = [echo(f"turn {number} {session}") for number in range(IN_TURN)]
        async with one.client.chat_stream(session_key=session, message="stub:slow 8", system_prompt=PROMPT) as run:
            await begun(run)
            wishes = [{"system_prompt": PROMPT} if number % 2 else {} for number in range(IN_TURN)]
            said = await asyncio.gather(
                *(one.say(message, **wish) for (message, _), wish in zip(messages, wishes, strict=True))
            )
            assert (await run.result()).text == slow_text(8)
        assert [reply.text for reply in said] == [answer for _, answer in messages]
        assert [target.prompted(message, PROMPT) for message, _ in messages] == [
            number % 2 for number in range(IN_TURN)
        ]
        await heard_by(other, IN_TURN + 1)
    assert one.heard == []
    assert sorted(other.texts()) == sorted([slow_text(8), *(answer for _, answer in messages)])


async def test_two_clients_at_once_get_each_their_own_answers(face: Face, target: Target, session: str) -> None:
    one, other = Guest(face, target, session), Guest(face, target, session)
    async with one, other:
        # A session that two begin at once refuses one of them on 2026.9.6, and nothing runs then.
        await one.say(echo(f"first {session}")[0])
        await heard_by(other, 1)
        for number in range(ROUNDS):
            mine, theirs = echo(f"mine {number} {session}"), echo(f"theirs {number} {session}")
            outcomes = await asyncio.gather(
                one.outcome(mine[0], system_prompt=PROMPT), other.outcome(theirs[0], timeout=ENOUGH[target.real])
            )
            await check_outcome(target, one, *mine, outcomes[0])
            await check_outcome(target, other, *theirs, outcomes[1])
    one.check_heard_once()
    other.check_heard_once()


@pytest.mark.release(*KEEPING)
async def test_a_message_that_meets_a_prompted_run_may_wait_for_the_next_one(
    face: Face, target: Target, session: str
) -> None:
    theirs, answer = echo(f"kept {session}")
    async with Guest(face, target, session) as one, Guest(face, target, session) as other:
        async with one.client.chat_stream(session_key=session, message="stub:slow 10", system_prompt=PROMPT) as run:
            await begun(run)
            with pytest.raises(RunTimeout):
                await other.say(theirs, when_busy="send", timeout=5.0)
            assert (await run.result()).text == slow_text(10)
        assert target.asked(theirs) == 0
        await one.say(echo(f"next {session}")[0])
        await heard_by(one, 1)
        await heard_by(other, 3)
        assert target.asked(theirs) == 1
    assert one.texts() == [answer]
    assert sorted(other.texts()) == sorted([slow_text(10), f"echo: next {session}", answer])


async def test_a_message_that_meets_a_running_run_waits_for_its_own(face: Face, target: Target, session: str) -> None:
    async with Guest(face, target, session) as guest:
        async with guest.client.chat_stream(session_key=session, message="stub:slow 10") as run:
            await begun(run)
            message, answer = echo(f"meets {session}")
            reply = await guest.say(message, system_prompt=PROMPT, when_busy="send")
            assert (await run.result()).text == slow_text(10)
        assert (reply.text, reply.answered_by, reply.merged_into) == (answer, None, None)
        assert target.prompted(message, PROMPT) == 1
    assert guest.heard == []


async def test_the_same_key_runs_once(face: Face, target: Target, session: str) -> None:
    async with Guest(face, target, session) as guest:
        message, answer = echo(f"once {session}")
        how = {"idempotency_key": f"key-{session}", "system_prompt": PROMPT}
        first, second = await guest.say(message, **how), await guest.say(message, **how)
        assert (first.text, second.text) == (answer, answer)
        assert first.run_id == second.run_id == f"key-{session}"
        assert second.recovered
        assert target.asked(message) == 1


async def test_it_is_taken_up_from_what_is_stored(face: Face, target: Target, session: str) -> None:
    message = f"stub:slow {PIECES}"
    before = target.asked(message)
    how = {"session_key": session, "message": message, "system_prompt": PROMPT}
    async with Guest(face, target, session) as sender, sender.client.chat_stream(**how) as run:
        await begun(run)
        sent = pickle.loads(pickle.dumps(run.sent_run))
    assert (sent.method, sent.system_prompt, sent.complete) == ("agent", PROMPT, True)
    async with Guest(face, target, session) as taker, taker.client.chat_attach(sent) as attached:
        reply = await attached.result()
    assert (reply.text, reply.run_id) == (slow_text(PIECES), run.run_id)
    assert target.asked(message) == before + 1
    assert taker.heard == []


async def test_an_abort_keeps_the_text_so_far(face: Face, target: Target, session: str) -> None:
    how = {"session_key": session, "message": "stub:slow 60", "system_prompt": PROMPT}
    async with Guest(face, target, session) as guest, guest.client.chat_stream(**how) as run:
        await begun(run)
        if not target.profile.agent_aborts:
            # Says so, and is told the truth: the run goes on.
            assert not (await run.abort()).aborted
            return
        assert (await run.abort()).run_ids == (run.run_id,)
        reply = await run.result()
    assert reply.state == "aborted"
    assert reply.text.startswith("piece-1")
    assert not reply.text.endswith("piece-60")


async def test_stop_words_and_commands_are_the_gateways_own(face: Face, target: Target, session: str) -> None:
    before = target.asked("/status"), target.asked("/stop")
    async with Guest(face, target, session) as guest:
        async with guest.client.chat_stream(session_key=session, message="stub:slow 60", system_prompt=PROMPT) as run:
            await begun(run)
            stopped = await guest.say("/stop", system_prompt=PROMPT)
            # 2026.5.12 wants the session's key in full, and older ones know no such run.
            is_found = target.profile.agent_aborts and target.profile.abort_key != "exact"
            if is_found:
                assert (await run.result()).state == "aborted"
        found = (run.run_id,) if is_found else ()
        assert (stopped.text, stopped.aborted_run_ids) == ("", found)
        if not found:
            return
        answered = await guest.say("/status", system_prompt=PROMPT)
        assert answered.text
        assert not answered.text.startswith("echo:")
        assert (target.asked("/status"), target.asked("/stop")) == before


async def test_a_failed_model_is_a_failed_run(face: Face, target: Target, session: str) -> None:
    async with Guest(face, target, session) as guest:
        with pytest.raises(RunFailed) as caught:
            await guest.say("stub:fail 400", system_prompt=PROMPT)
        assert "400" in str(caught.value) or "provider" in str(caught.value)
        # And nothing of it is left over for the next.
        message, answer = echo(f"behind {session}")
        assert (await guest.say(message, system_prompt=PROMPT)).text == answer


async def test_a_level_of_thinking_that_the_model_has_not_is_told(face: Face, target: Target, session: str) -> None:
    """No event tells of it on any release."""
    async with Guest(face, target, session) as guest:
        with pytest.raises(RunFailed, match="Invalid thinking level"):
            await guest.say(f"stub:echo {session}", system_prompt=PROMPT, thinking="no-such-level")
        assert target.asked(session) == 0


async def test_an_image_goes_with_it(face: Face, target: Target, session: str) -> None:
    image = Attachment.from_bytes(picture(), file_name="square.png")
    async with Guest(face, target, session) as guest:
        message, answer = echo(f"picture {session}")
        reply = await guest.say(message, system_prompt=PROMPT, attachments=[image])
        assert (reply.text, target.pictures(message), target.prompted(message, PROMPT)) == (answer, 1, 1)


async def test_users_of_a_manager_have_each_their_own_prompt(face: Face, target: Target, session: str) -> None:
    keys = {user: SessionKey.agent("main", session, user) for user in ("ann", "bob")}
    devices: dict[str, IdentityStore] = {user: device_store() for user in keys}
    heard: list[tuple[str, str]] = []
    async with Relay(target.url) as relay:

        def credentials(user: str) -> Credentials:
            return Credentials(relay.url, token=target.token, identity=devices[user])

        async def ask(user: str, words: str) -> None:
            (message, answer), client = echo(f"{words} {user} {session}"), await manager.connection_for(user)
            reply = await client.chat_send(session_key=keys[user], message=message, system_prompt=f"You serve {user}.")
            assert reply.text == answer
            assert [target.prompted(message, f"You serve {one}.") for one in keys] == [one == user for one in keys]

        async with face.manager(credentials, timeouts=PATIENT, reconnect=QUICK) as manager:
            manager.on_proactive_message(lambda user, message: heard.append((user, message.text)))
            await asyncio.gather(*(ask(user, "before") for user in keys))
            taken = len(relay.taken_at)
            relay.cut()
            await until(lambda: len(relay.taken_at) >= taken + len(keys) and manager.connected_count == len(keys))
            await asyncio.gather(*(ask(user, "behind") for user in keys))
    assert heard == []
