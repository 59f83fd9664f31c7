"""Approvals and questions through the client, on both faces: answered once, too late, by two at once, across a cut."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from openclaw_client import AnswerOutcome, ApprovalRequested, ApprovalResolved, Credentials, QuestionAsked
from tests.contract.targets import PATIENT, Target, device_store
from tests.faces import Face
from tests.relay import Relay
from tests.waiting import until

WAITING = ("2026.6.1", "2026.7.35", "2026.8.1", "2026.9.6")
QUESTIONS = ("2026.8.1", "2026.9.6")
ADMIN = ("read", "write", "approvals", "admin")
OPTIONS = '[{"label": "Tea"}, {"label": "Water"}]'
ASK = f'stub:ask [{{"id": "drink", "header": "Drink", "question": "What?", "options": {OPTIONS}}}]'


def options(target: Target, **more: Any) -> dict[str, Any]:
    """2026.6.1 asks admins alone."""
    scopes = ADMIN if target.release == "2026.6.1" else None
    return {"token": target.token, "timeouts": PATIENT, "identity": device_store(), "scopes": scopes, **more}


def command() -> tuple[str, str]:
    word = uuid.uuid4().hex[:8]
    return f"stub:exec echo {word}", word


@pytest.mark.release(*WAITING)
async def test_a_command_is_allowed_and_denied_and_too_late_is_too_late(
    face: Face, target: Target, session: str
) -> None:
    decisions = ["allow-once", "deny"]
    async with face.client(target.url, **options(target), on_approval=lambda _: decisions.pop(0)) as client:
        message, word = command()
        run = client.chat_stream(session_key=session, message=message)
        async with run:
            events = [event async for event in run if event.type.startswith("approval_")]
            assert word in (await run.result()).text
        requested, resolved = events
        assert isinstance(requested, ApprovalRequested)
        assert isinstance(resolved, ApprovalResolved)
        assert (resolved.status, resolved.decision) == ("allowed", "allow-once")
        assert requested.approval.command == f"echo {word}"
        assert requested.run_id == run.run_id
        assert await client.deny(requested.approval) == AnswerOutcome("already", "allow-once")
        message, word = command()
        reply = await client.chat_send(session_key=session, message=message)
        assert ("denied" if target.real else "not run") in reply.text
        assert client.pending_approvals == ()


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.release(*WAITING)
async def test_of_two_who_answer_at_once_one_is_told_that_it_was_the_other(
    face: Face, target: Target, session: str
) -> None:
    device = device_store()
    shared = options(target, identity=device, answers=["approvals"])
    async with face.client(target.url, **shared) as first, face.client(target.url, **shared) as second:
        message, _ = command()
        sent = asyncio.ensure_future(first.chat_send(session_key=session, message=message))
        await until(lambda: first.pending_approvals and second.pending_approvals)
        [approval] = second.pending_approvals
        outcomes = await asyncio.gather(first.approve(approval), second.deny(approval.id))
        assert sorted(outcome.status for outcome in outcomes) == ["already", "applied"]
        await sent
        await until(lambda: not (first.pending_approvals or second.pending_approvals))


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.release(*WAITING)
async def test_a_cut_between_request_and_answer_loses_nothing(face: Face, target: Target, session: str) -> None:
    async with Relay(target.url) as relay, face.client(relay.url, **options(target, answers=["approvals"])) as client:
        message, word = command()
        run = client.chat_stream(session_key=session, message=message)
        async with run:
            await until(lambda: client.pending_approvals)
            [approval] = client.pending_approvals
            relay.cut()
            await until(lambda: not client.connected)
            await until(lambda: client.connected)
            assert client.pending_approvals == (approval,)
            assert (await client.approve(approval)).status == "applied"
            assert word in (await run.result()).text
        # Nothing was sent again.
        assert target.asked(message) == 1


@pytest.mark.release(*QUESTIONS)
async def test_a_question_is_answered_skipped_and_taken_up_behind_a_cut(
    face: Face, target: Target, session: str
) -> None:
    async with Relay(target.url) as relay, face.client(relay.url, **options(target, answers=["questions"])) as client:
        run = client.chat_stream(session_key=session, message=ASK)
        async with run:
            async for event in run:
                if isinstance(event, QuestionAsked):
                    assert event.run_id == run.run_id
                    assert (await client.answer(event.question, "Tea")).status == "applied"
                    assert (await client.answer(event.question, "Water")).status == "already"
            assert "Tea" in (await run.result()).text
        run = client.chat_stream(session_key=session, message=ASK)
        async with run:
            await until(lambda: client.pending_questions)
            relay.cut()
            await until(lambda: not client.connected)
            await until(lambda: client.connected)
            [question] = client.pending_questions
            assert (await client.skip(question)).status == "applied"
            assert (await run.result()).state == "final"


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.release("2026.8.1", "2026.9.6")
async def test_without_anybody_who_answers_nothing_waits(face: Face, target: Target, session: str) -> None:
    async with face.client(target.url, **options(target)) as client:
        message, _ = command()
        async with asyncio.timeout(30):
            reply = await client.chat_send(session_key=session, message=message)
        assert ("Headless" if target.real else "not run") in reply.text


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.release("2026.7.35", "2026.8.1", "2026.9.6")
async def test_two_users_of_a_manager_never_meet(face: Face, target: Target, session: str) -> None:
    devices = {user: device_store() for user in ("me", "them")}
    handed: list[tuple[str, str]] = []

    def decide(user: str, approval: Any) -> str:
        handed.append((user, approval.command))
        return "allow-once"

    manager = face.manager(
        lambda user: Credentials(target.url, token=target.token, identity=devices[user]), timeouts=PATIENT
    )
    manager.on_approval(decide)
    words = {user: [command() for _ in range(3)] for user in devices}

    async def talk(user: str) -> None:
        client = await manager.connection_for(user)
        for message, word in words[user]:
            reply = await client.chat_send(session_key=f"{session}-{user}", message=message)
            assert word in reply.text

    try:
        await asyncio.gather(*map(talk, devices))
    finally:
        await manager.close()
    assert sorted(handed) == sorted((user, f"echo {word}") for user in devices for _, word in words[user])
