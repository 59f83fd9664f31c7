"""Approvals, on both faces: who is asked, what an answer becomes, and what a run tells of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import (
    AnswerOutcome,
    Approval,
    ApprovalRequested,
    ApprovalResolved,
    MemoryIdentityStore,
    ProactiveMessage,
    Timeouts,
)
from openclaw_client.errors import AuthRejected, RunLost, RunTimeout, UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import PROFILES, Agent, BlockingEmbeddedGateway, Turn
from tests.faces import Face
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

WAITING = tuple(release for release, profile in PROFILES.items() if profile.approval_run == "waits")
ENDING = tuple(release for release in PROFILES if release not in WAITING)
ASKED = tuple(release for release, profile in PROFILES.items() if profile.approval_caps)
ADMIN = ("read", "write", "approvals", "admin")


def asks(command: str = "rm -r build", **options: Any) -> Agent:
    """An agent that asks for an approval and answers with the decision."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield f"It was: {await turn.ask_approval(command, **options)}"

    return agent


@pytest.mark.parametrize("release", WAITING)
@pytest.mark.parametrize(
    ("decision", "status"), [("allow-once", "allowed"), ("allow-always", "allowed"), ("deny", "denied")]
)
async def test_a_handler_decides_and_the_same_run_goes_on(
    make: Make, start_gateway: Start, release: str, decision: str, status: str
) -> None:
    gateway = start_gateway(asks(ask="on-miss", cwd="/srv/site"), release=release)
    asked: list[Approval] = []

    def decide(approval: Approval) -> str:
        asked.append(approval)
        return decision

    client = make(gateway, on_approval=decide, scopes=ADMIN)
    async with client, client.chat_stream(session_key="s", message="clean up") as run:
        events = [event async for event in run]
        reply = await run.result()
    [approval] = asked
    assert (approval.command, approval.cwd, approval.kind) == ("rm -r build", "/srv/site", "exec")
    assert approval.session_key == "agent:main:s"
    assert decision in approval.allowed_decisions
    assert reply.text == f"It was: {decision}"
    assert [event for event in events if event.type.startswith("approval")] == [
        ApprovalRequested(run.run_id, approval),
        ApprovalResolved(run.run_id, approval, status, decision),  # type: ignore[arg-type]
    ]
    assert approval.run_id == (run.run_id if release in ASKED else None)
    assert client.pending_approvals == ()


@pytest.mark.parametrize("release", ASKED)
async def test_without_a_handler_the_command_is_refused_at_once_and_the_log_says_why(
    make: Make, start_gateway: Start, release: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(asks(), release=release)
    async with make(gateway) as client:
        for _ in range(2):
            reply = await client.chat_send(session_key="s", message="clean up")
            assert reply.text == "It was: deny"
    said = [record.getMessage() for record in caplog.records if record.name == "openclaw_client.interactions"]
    assert len(said) == 1
    assert "nobody can be asked to approve it" in said[0]
    assert "on_approval" in said[0]


@pytest.mark.parametrize("release", ["2026.9.6", "2026.7.35"])
async def test_it_is_answered_from_the_events_of_the_run(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    async with make(gateway, answers=["approvals"]) as client:
        run = client.chat_stream(session_key="s", message="clean up")
        async with run:
            async for event in run:
                if isinstance(event, ApprovalRequested):
                    assert run.activity.kind == "awaiting_approval"
                    assert run.activity.detail == "rm -r build"
                    assert client.pending_approvals == (event.approval,)
                    assert await client.approve(event.approval) == AnswerOutcome("applied", "allow-once")
                    assert await client.deny(event.approval.id) == AnswerOutcome("already", "allow-once")
            assert (await run.result()).text == "It was: allow-once"


@pytest.mark.parametrize("release", ["2026.9.6", "2026.7.35", "2026.4.15"])
async def test_losing_the_race_is_an_answer(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    device = MemoryIdentityStore(DeviceIdentity.generate())
    async with (
        make(gateway, answers=["approvals"], identity=device) as first,
        make(gateway, answers=["approvals"], identity=device) as second,
    ):
        sent = asyncio.ensure_future(first.chat_send(session_key="s", message="clean up"))
        await until(lambda: first.pending_approvals and second.pending_approvals)
        [approval] = second.pending_approvals
        outcomes = await asyncio.gather(first.approve(approval), second.deny(approval))
        # 2026.4.15 forgets what was answered, and the event may be later than the refusal.
        late = {"already", "gone"} if release == "2026.4.15" else {"already"}
        assert [outcome.status for outcome in outcomes].count("applied") == 1
        assert {outcome.status for outcome in outcomes} - {"applied"} <= late
        counts = next(outcome.decision for outcome in outcomes if outcome.status == "applied")
        assert {outcome.decision for outcome in outcomes} <= {counts, None}
        await until(lambda: not (first.pending_approvals or second.pending_approvals))
        await sent


async def test_an_unknown_id_is_gone(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway, answers=["approvals"]) as client:
        assert await client.approve("no-such-id") == AnswerOutcome("gone")
        for wrong in ("", 5, None):
            with pytest.raises(UsageError, match="is no Approval"):
                await client.deny(wrong)


async def test_a_decision_that_is_not_allowed_is_refused_before_anything_is_sent(
    make: Make, start_gateway: Start
) -> None:
    gateway = start_gateway(asks())
    async with make(gateway, answers=["approvals"]) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await until(lambda: client.pending_approvals)
        [approval] = client.pending_approvals
        with pytest.raises(UsageError, match="allow-once, deny"):
            await client.approve(approval, always=True)
        with pytest.raises(UsageError, match="grant_days"):
            await client.approve(approval, grant_days=3)
        await client.deny(approval)
        assert (await sent).text == "It was: deny"
        assert gateway.seen.requests["approval.resolve"] == 1


@pytest.mark.parametrize("release", ["2026.9.6", "2026.7.35"])
async def test_what_was_asked_while_away_is_made_up_for(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    asked: list[Approval] = []

    def decide(approval: Approval) -> str | None:
        asked.append(approval)
        return None

    async with make(gateway, on_approval=decide) as client:
        run = client.chat_stream(session_key="s", message="clean up")
        async with run:
            await until(lambda: asked)
            gateway.faults.disconnect()
            await until(lambda: gateway.seen.opened == 2 and client.connected)
            assert client.pending_approvals == tuple(asked)
            assert (await client.approve(asked[0])).status == "applied"
            assert (await run.result()).text == "It was: allow-once"
    assert len(asked) == 1


@pytest.mark.parametrize("release", ["2026.9.6", "2026.7.35"])
async def test_an_answer_whose_answer_is_lost_is_given_again(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    method = "approval.resolve" if release in ASKED else "exec.approval.resolve"
    async with make(gateway, answers=["approvals"]) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await until(lambda: client.pending_approvals)
        gateway.faults.cut(before=0, where=lambda frame: frame.name == method)
        assert await client.approve(client.pending_approvals[0]) == AnswerOutcome("applied", "allow-once")
        assert (await sent).text == "It was: allow-once"
        assert gateway.seen.requests[method] == 2


async def test_one_that_was_answered_while_away_is_closed_as_what_it_became(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    async with make(gateway, answers=["approvals"]) as client:
        run = client.chat_stream(session_key="s", message="clean up")
        async with run:
            await until(lambda: client.pending_approvals)
            [approval] = client.pending_approvals
            gateway.stop()
            await until(lambda: not client.connected)
            gateway.start()
            await until(lambda: client.connected)
            await until(lambda: not client.pending_approvals)
            assert (await client.approve(approval)).status == "gone"


@pytest.mark.parametrize("release", WAITING)
async def test_a_run_that_is_stopped_takes_its_requests_along(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    async with make(gateway, answers=["approvals"], scopes=ADMIN) as client:
        stream = client.approvals()
        run = client.chat_stream(session_key="s", message="clean up")
        async with run:
            await until(lambda: client.pending_approvals)
            [approval] = client.pending_approvals
            await run.abort()
            assert (await run.result()).state == "aborted"
            await until(lambda: not client.pending_approvals)
        requested, resolved = await anext(stream), await anext(stream)
        assert requested == ApprovalRequested(run.run_id, approval)
        assert (resolved.approval, resolved.status) == (approval, "cancelled")
        assert (await client.approve(approval)).status == "gone"


async def test_one_that_expires_is_over_on_releases_that_say_nothing(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks(expires_in=0.3), release="2026.7.35")
    async with make(gateway, answers=["approvals"]) as client:
        stream = client.approvals()
        await client.chat_send(session_key="s", message="clean up")
        [approval, resolved] = [await anext(stream), await anext(stream)]
        assert (resolved.status, resolved.decision) == ("expired", None)
        assert (await client.approve(approval.approval)).status == "gone"


@pytest.mark.parametrize("release", ENDING)
async def test_where_the_run_ends_the_reply_says_what_is_still_waited_for(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(asks(), release=release)
    messages: list[ProactiveMessage] = []
    client = make(gateway, answers=["approvals"])
    client.on_proactive_message(lambda user, message: messages.append(message))
    async with client:
        reply = await client.chat_send(session_key="s", message="clean up")
        assert reply.state == "final"
        await until(lambda: client.pending_approvals)
        [approval] = client.pending_approvals
        # 2026.2.17 asks behind the end, and its text says so.
        assert reply.pending_approval == (None if release == "2026.2.17" else approval)
        assert ("Approval required" in reply.text) == (release == "2026.2.17")
        assert (await client.approve(approval)).status == "applied"
        await until(lambda: not client.pending_approvals)
        if release != "2026.2.17":
            # That release tells it in a run without chat events.
            await until(lambda: messages)


async def test_handlers_that_wait_hold_up_no_others(make: Make, face: Face, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    waiting, told = list[str](), list[str]()
    go_on, woken = threading.Event(), asyncio.Event()

    async def think(approval: Approval) -> str:
        waiting.append(approval.id)
        await woken.wait()
        return "allow-once"

    def block(approval: Approval) -> str:
        waiting.append(approval.id)
        go_on.wait()
        return "allow-once"

    client = make(gateway, on_approval=think if face.name == "async" else block)
    client.on_proactive_message(lambda user, message: told.append(message.text))
    async with client:
        runs = [
            asyncio.ensure_future(client.chat_send(session_key=f"s{number}", message="clean up"))
            for number in range(10)
        ]
        await until(lambda: len(waiting) == 10)
        gateway.say("main", "hello")
        await until(lambda: told == ["hello"])
        go_on.set()
        woken.set()
        assert {reply.text for reply in await asyncio.gather(*runs)} == {"It was: allow-once"}


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_handler_is_cancelled_when_somebody_else_answers(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def think(approval: Approval) -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "allow-once"

    async with make(gateway, on_approval=think) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await asked.wait()
        [approval] = client.pending_approvals
        gateway.resolve(approval.id, "deny")
        await cancelled.wait()
        assert (await sent).text == "It was: deny"
        assert await client.approve(approval) == AnswerOutcome("already", "deny")


async def test_what_a_handler_raises_or_misspells_decides_nothing(
    make: Make, start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(asks())

    def raises(approval: Approval) -> str:
        raise RuntimeError("a handler's own fault")

    def misspells(approval: Approval) -> str:
        return "yes"

    client = make(gateway, on_approval=raises)
    client.on_approval(misspells)
    async with client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await until(lambda: "raises raised" in caplog.text and "'yes' is no decision" in caplog.text)
        [approval] = client.pending_approvals
        assert (await client.deny(approval)).status == "applied"
        assert (await sent).text == "It was: deny"


async def test_registered_too_late_it_says_so(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        with pytest.raises(UsageError, match=r"answers=\[.approvals.\]"):
            client.on_approval(print)
    client.on_approval(lambda approval: "deny")
    async with make(gateway, answers=["approvals"]) as client:
        client.on_approval(lambda approval: "deny")


async def test_a_handler_that_comes_late_gets_what_is_pending(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    async with make(gateway, answers=["approvals"]) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await until(lambda: client.pending_approvals)
        client.on_approval(lambda approval: "allow-once")
        assert (await sent).text == "It was: allow-once"


async def test_what_cannot_be_answered_is_refused_where_it_is_said(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    for wrong in ("approvals", ["approval"], [5], 5):
        with pytest.raises(UsageError, match="answers="):
            make(gateway, answers=wrong)
    with pytest.raises(UsageError, match=r"operator\.approvals"):
        make(gateway, answers=["approvals"], scopes=["read", "write"])
    with pytest.raises(UsageError, match=r"operator\.approvals"):
        make(gateway, on_approval=print, scopes=["read", "write"])


async def test_only_who_answers_says_so(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway):
        pass
    async with make(gateway, on_approval=print, caps=["ui-commands"]):
        pass
    first, second = gateway.seen.connects
    assert first.params["caps"] == ["tool-events"]
    assert second.params["caps"] == ["tool-events", "ui-commands", "approvals"]


@pytest.mark.parametrize("release", ["2026.9.6", "2026.7.35"])
async def test_the_idle_limit_stands_still_while_somebody_is_asked(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(asks(), release=release)
    impatient = Timeouts(connect=10, request=10, idle=0.3)
    async with make(gateway, answers=["approvals"], timeouts=impatient) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await until(lambda: client.pending_approvals)
        done, _ = await asyncio.wait({sent}, timeout=1.0)
        assert not done
        await client.approve(client.pending_approvals[0])
        assert (await sent).text == "It was: allow-once"
    async with make(gateway, timeouts=impatient) as client:
        # Where nobody answers, nothing waits longer than before.
        if release != "2026.9.6":
            with pytest.raises(RunTimeout):
                await client.chat_send(session_key="other", message="clean up")


async def test_a_run_that_is_lost_says_nothing_of_what_it_waits_for(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    client = make(gateway, answers=["approvals"])
    async with client:
        stream = client.approvals()
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        requested = await anext(stream)
        gateway.faults.refuse(details={"code": "AUTH_TOKEN_MISMATCH"}, times=1000)
        gateway.faults.disconnect(1012)
        with pytest.raises(RunLost):
            await sent
        # It waits at the gateway still: nothing is told but how the connection ended.
        with pytest.raises(AuthRejected):
            await anext(stream)
        gateway.faults.clear()
    async with make(gateway, answers=["approvals"], scopes=ADMIN) as other:
        await until(lambda: other.pending_approvals)
        assert other.pending_approvals[0].id == requested.approval.id
        assert (await other.deny(requested.approval.id)).status == "applied"


async def test_a_release_without_questions_is_asked_for_their_scope_once(
    make: Make, start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(release="2026.7.35")
    async with make(gateway, answers=["approvals", "questions"]) as client:
        gateway.faults.disconnect()
        await until(lambda: gateway.seen.opened == 2 and client.connected)
        asked = ["operator.questions" in connect.params["scopes"] for connect in gateway.seen.connects]
        assert asked == [True, False]
    assert "questions" not in caplog.text


async def test_somebody_elses_decision_is_told_to_who_never_heard_of_it(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    device = MemoryIdentityStore(DeviceIdentity.generate())
    async with make(gateway, answers=["approvals"], identity=device) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await until(lambda: client.pending_approvals)
        [approval] = client.pending_approvals
        assert (await client.approve(approval)).status == "applied"
        await sent
        async with make(gateway, answers=["approvals"], identity=device) as late:
            assert await late.deny(approval.id) == AnswerOutcome("already", "allow-once")


async def test_a_decision_that_finds_no_connection_is_given_when_it_is_back(
    make: Make, face: Face, start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(asks())
    asked, go_on, woken = list[Approval](), threading.Event(), asyncio.Event()

    async def think(approval: Approval) -> str:
        asked.append(approval)
        await woken.wait()
        return "allow-once"

    def block(approval: Approval) -> str:
        asked.append(approval)
        go_on.wait()
        return "allow-once"

    client = make(
        gateway,
        timeouts=Timeouts(connect=10, request=0.3),
        on_approval=think if face.name == "async" else block,
    )
    async with client:
        run = client.chat_stream(session_key="s", message="clean up")
        async with run:
            await until(lambda: asked)
            gateway.faults.refuse_upgrade(times=1000)
            gateway.faults.disconnect()
            await until(lambda: not client.connected)
            woken.set()
            go_on.set()
            await until(lambda: "waits for the connection" in caplog.text)
            gateway.faults.clear()
            assert (await run.result()).text == "It was: allow-once"
    assert len(asked) == 1


async def test_an_answer_right_behind_the_connect_waits_for_the_list(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    device = MemoryIdentityStore(DeviceIdentity.generate())
    first = make(gateway, answers=["approvals"], identity=device)
    async with first:
        sent = asyncio.ensure_future(first.chat_send(session_key="s", message="clean up"))
        await until(lambda: first.pending_approvals)
        [approval] = first.pending_approvals
        later = make(gateway, answers=["approvals"], identity=device, sessions=["s"])
        held = gateway.faults.hold(lambda frame: frame.name == "exec.approval.list")
        async with later:
            answered = asyncio.ensure_future(later.approve(approval.id))
            await until(lambda: gateway.seen.requests["exec.approval.list"] == 2)
            held.release()
            assert (await answered).status == "applied"
        assert (await sent).text == "It was: allow-once"


async def test_what_is_no_approval_is_not_answered_as_one(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    async with make(gateway, answers=["approvals"]) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await until(lambda: client.pending_approvals)
        [approval] = client.pending_approvals
        with pytest.raises(UsageError, match="is one of the approvals"):
            await client.answer(approval.id, {"x": "y"})
        with pytest.raises(UsageError, match="only the beginning of an id"):
            await client.approve(approval.id[:5])
        assert client.pending_approvals == (approval,)
        await client.deny(approval)
        await sent


async def test_all_who_follow_a_run_are_told(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    impatient = Timeouts(connect=10, request=10, idle=0.3)
    async with make(gateway, answers=["approvals"], timeouts=impatient) as client:
        run = client.chat_stream(session_key="s", message="clean up")
        async with run:
            await until(lambda: client.pending_approvals)
            other = client.chat_attach(run.run_id, session_key="s")
            async with other:
                await until(lambda: other.activity.kind == "awaiting_approval")
                done, _ = await asyncio.wait({asyncio.ensure_future(other.result())}, timeout=0.6)
                assert not done
                await client.approve(client.pending_approvals[0])
                assert (await other.result()).text == "It was: allow-once"
            assert (await run.result()).text == "It was: allow-once"


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_handler_that_answers_itself_is_not_cut_off(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())
    behind = asyncio.Event()

    async def decide(approval: Approval) -> None:
        # Also where the event comes behind the response.
        gateway.faults.drop(lambda frame: frame.name == "exec.approval.resolved")
        await client.approve(approval)
        await asyncio.sleep(0)
        behind.set()

    client = make(gateway, on_approval=decide)
    async with client:
        assert (await client.chat_send(session_key="s", message="clean up")).text == "It was: allow-once"
        await behind.wait()


async def test_a_decision_that_the_gateway_made_another_is_told_as_that(
    make: Make, start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(asks())

    def deny(frame: Any) -> Any:
        frame["payload"]["approval"] |= {"status": "denied", "decision": "deny"}
        return frame

    gateway.faults.drop(lambda frame: frame.name == "exec.approval.resolved")
    gateway.faults.rewrite(lambda frame: frame.name == "approval.resolve", deny)
    async with make(gateway, answers=["approvals"]) as client:
        stream = client.approvals()
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        requested = await anext(stream)
        assert await client.approve(requested.approval) == AnswerOutcome("applied", "deny")
        resolved = await anext(stream)
        assert (resolved.status, resolved.decision) == ("denied", "deny")
        assert "the gateway made it deny" in caplog.text
        await sent


async def test_a_gateway_whose_clock_is_wrong_is_answered_all_the_same(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())

    def long_ago(frame: Any) -> Any:
        for name in ("createdAtMs", "expiresAtMs"):
            frame["payload"][name] -= 86_400_000
        return frame

    gateway.faults.rewrite(lambda frame: frame.name == "exec.approval.requested", long_ago)
    async with make(gateway, answers=["approvals"]) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="clean up"))
        await until(lambda: client.pending_approvals)
        # Behind every timer that was due at once.
        await client.request("health")
        assert (await client.approve(client.pending_approvals[0])).status == "applied"
        assert (await sent).text == "It was: allow-once"


async def test_who_is_shown_some_sessions_hears_of_no_command_without_one(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(asks())

    def nobodys(frame: Any) -> Any:
        for name in ("sessionKey", "turnSourceTo", "runId"):
            frame["payload"]["request"].pop(name, None)
        return frame

    gateway.faults.rewrite(lambda frame: frame.name == "exec.approval.requested", nobodys, times=None)
    heard: list[str] = []
    client = make(gateway, answers=["approvals"], sessions=["mine"])
    client.on("exec.approval.requested", lambda event: heard.append(event.name))
    async with client:
        sent = asyncio.ensure_future(client.chat_send(session_key="mine", message="clean up"))
        await until(lambda: gateway.pending_approvals)
        gateway.resolve(gateway.pending_approvals[0].id, "deny")
        await sent
        assert (client.pending_approvals, heard) == ((), [])
