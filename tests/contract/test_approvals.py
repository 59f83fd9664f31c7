"""Commands that need an approval: who is asked, what an answer does, and what becomes of the run that waits."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.contract.operators import ADMIN, REQUESTED, SCOPES, Operator
from tests.contract.targets import Target, device_store
from tests.waiting import until

WAITING = ("2026.6.1", "2026.7.35", "2026.8.1", "2026.9.6")
"""Releases whose run waits for the answer."""

KINDS = ("2026.8.1", "2026.9.6")
"""Releases that name kind and run of a request, say in the run that it waits, and ask nobody without the capability."""

FOUND_NOTHING = "APPROVAL_NOT_FOUND"
ALREADY = "APPROVAL_ALREADY_RESOLVED"

HALF_AN_HOUR = 1_800_000
"""Milliseconds in which a request can be answered."""

FIELDS = {
    "command", "systemRunBinding", "systemRunPlan", "cwd", "nodeId", "host", "security", "ask", "warningText",
    "commandAnalysis", "allowedDecisions", "agentId", "resolvedPath", "sessionKey",
    "turnSourceChannel", "turnSourceTo", "turnSourceAccountId", "turnSourceThreadId",
}  # fmt: skip
"""What a request holds on 2026.6.1; later releases add to it."""

ADDED: dict[str, set[str]] = {"2026.6.1": set(), "2026.7.35": {"unavailableDecisions"}}
NEWER_FIELDS = {"scope", "sessionId", "runId", "toolCallId", "cronExecutionSource", "cronOperationBinding"}


@dataclass
class Case:
    """An asking client, one of another device with the same rights, and an admin."""

    target: Target
    session: str
    asker: Operator
    second: Operator
    admin: Operator

    @property
    def answering(self) -> Operator:
        """Who may answer and has least: on 2026.6.1 nobody but an admin."""
        return self.admin if self.target.release == "2026.6.1" else self.asker

    async def begin(self) -> tuple[str, str, str]:
        """Have the agent run a command: the run's id, the id of the request, the word that the command prints."""
        word = uuid.uuid4().hex[:8]
        run = await self.asker.send(self.session, f"stub:exec echo {word}")
        request = await self.answering.asked(f"echo {word}")
        return run, request["id"], word


@pytest.fixture
async def case(target: Target, session: str) -> AsyncIterator[Case]:
    async with AsyncExitStack() as stack:
        clients = (Operator(target), Operator(target), Operator(target, ADMIN))
        asker, second, admin = [await stack.enter_async_context(one) for one in clients]
        yield Case(target, session, asker, second, admin)


@pytest.mark.release(*WAITING)
async def test_who_is_asked_and_with_what(case: Case) -> None:
    run, ident, word = await case.begin()
    request = await case.admin.asked(f"echo {word}")
    fields = request["request"]
    assert set(fields) == FIELDS | ADDED.get(case.target.release, {"unavailableDecisions", *NEWER_FIELDS})
    assert fields["allowedDecisions"] == ["allow-once", "deny"]
    assert (fields["host"], fields["security"], fields["ask"]) == ("gateway", "allowlist", "always")
    assert fields["sessionKey"] == f"agent:main:{case.session}"
    assert request["expiresAtMs"] - request["createdAtMs"] == HALF_AN_HOUR
    newer = case.target.release in KINDS
    assert request.get("approvalKind") == ("exec" if newer else None)
    assert fields.get("runId") == (run if newer else None)
    assert ident in await case.answering.listed()
    assert ident not in await case.second.listed()
    assert await case.second.answer(ident, "allow-once") == FOUND_NOTHING
    if case.answering is case.admin:
        assert ident not in await case.asker.listed()
        assert await case.asker.answer(ident, "allow-once") == FOUND_NOTHING
    assert not case.asker.ends(run)
    assert await case.answering.answer(ident, "deny") == "ok"
    await case.asker.end(run)
    assert case.second.requests(f"echo {word}") == []
    assert case.second.outcomes(ident) == []


@pytest.mark.release(*WAITING)
async def test_an_allowed_command_ends_in_the_same_run(case: Case) -> None:
    run, ident, word = await case.begin()
    assert await case.answering.answer(str(uuid.uuid4()), "allow-once") == FOUND_NOTHING
    assert await case.answering.answer(ident, "allow-always") == "APPROVAL_ALLOW_ALWAYS_UNAVAILABLE"
    assert await case.answering.answer(ident, "allow-once") == "ok"
    assert await case.answering.answer(ident, "allow-once") == "ok"
    assert await case.answering.answer(ident, "deny") == ALREADY
    assert await case.asker.end(run) == ("final", word)
    assert [decision for decision, _ in case.answering.outcomes(ident)] == ["allow-once"]
    assert case.answering.requests(f"echo {word}") == [await case.answering.asked(f"echo {word}")]
    phases = [("waiting-approval", ident), ("approval-resolved", ident)] if case.target.release in KINDS else []
    assert case.asker.phases(run) == phases


@pytest.mark.release(*WAITING)
async def test_a_denied_command_is_told_to_the_agent(case: Case) -> None:
    run, ident, word = await case.begin()
    assert await case.answering.answer(ident, "deny") == "ok"
    assert (await case.asker.end(run))[0] == "final"
    assert case.asker.result(run) == f"Exec denied (gateway id={ident}, user-denied): echo {word}"
    assert await case.answering.answer(ident, "deny") == "ok"
    assert await case.answering.answer(ident, "allow-once") == ALREADY
    assert [decision for decision, _ in case.answering.outcomes(ident)] == ["deny"]


@pytest.mark.only(gateways="real")
@pytest.mark.release(*WAITING)
async def test_an_aborted_run_closes_its_request_where_the_release_does(case: Case) -> None:
    run, ident, _ = await case.begin()
    await case.asker.client.request("chat.abort", {"sessionKey": case.session, "runId": run})
    assert (await case.asker.end(run))[0] == "aborted"
    if case.target.release in KINDS:
        await until(lambda: case.asker.outcomes(ident))
        by = "approval-scope-closed" if case.target.release == "2026.9.6" else None
        assert case.asker.outcomes(ident) == [("deny", by)]
        assert ident not in await case.asker.listed()
        assert await case.asker.answer(ident, "deny") == ALREADY
        return
    # It stays, and nobody says that there is no command left to allow.
    assert ident in await case.answering.listed()
    assert case.answering.outcomes(ident) == []
    assert await case.answering.answer(ident, "deny") == "ok"


@pytest.mark.release(*WAITING)
async def test_a_request_outlives_the_asker_s_connection(target: Target, session: str) -> None:
    store, word = device_store(), uuid.uuid4().hex[:8]
    scopes = ADMIN if target.release == "2026.6.1" else SCOPES
    async with Operator(target, scopes, identity=store) as asker:
        run = await asker.send(session, f"stub:exec echo {word}")
        ident = (await asker.asked(f"echo {word}"))["id"]
    async with Operator(target, scopes, identity=store) as again:
        assert ident in await again.listed()
        assert again.requests(f"echo {word}") == []
        assert await again.answer(ident, "allow-once") == "ok"
        assert await again.end(run) == ("final", word)


@pytest.mark.release(*KINDS)
async def test_where_nobody_can_be_asked_the_command_is_refused_at_once(target: Target, session: str) -> None:
    async with Operator(target, caps=("tool-events",)) as asker, Operator(target) as second:
        run = await asker.send(session, "stub:exec echo nobody")
        assert (await asker.end(run))[0] == "final"
        assert "Headless runs cannot wait for interactive exec approval" in asker.result(run)
        assert asker.heard[REQUESTED] == second.heard[REQUESTED] == []


@pytest.mark.release("2026.7.35")
async def test_before_the_capability_everybody_with_the_scope_was_asked(target: Target, session: str) -> None:
    async with Operator(target, caps=("tool-events",)) as asker:
        run = await asker.send(session, "stub:exec echo asked")
        ident = (await asker.asked("echo asked"))["id"]
        assert await asker.answer(ident, "allow-once") == "ok"
        assert await asker.end(run) == ("final", "asked")


@pytest.mark.release("2026.5.12")
async def test_where_the_run_does_not_wait_the_output_comes_in_another(case: Case) -> None:
    run, ident, word = await case.begin()
    assert await case.asker.end(run) == ("final", "")
    # Whoever has the scope is asked, and may answer.
    assert case.second.requests(f"echo {word}") == case.asker.requests(f"echo {word}")
    assert ident in await case.second.listed()
    assert await case.second.answer(ident, "allow-once") == "ok"
    assert await case.asker.answer(ident, "allow-once") == "ok"
    assert await case.asker.answer(ident, "deny") == ALREADY
    # The later run names the request; what follows in its id changes with every run.
    state, text = await case.asker.end(f"exec-approval-followup:{ident}")
    assert state == "final"
    assert "An async command the user already approved has completed." in text


@pytest.mark.release(*KINDS)
async def test_one_method_answers_every_kind(case: Case) -> None:
    run, ident, word = await case.begin()
    found = (await case.asker.client.request("approval.get", {"id": ident}))["approval"]
    assert (found["status"], found["presentation"]["commandText"]) == ("pending", f"echo {word}")
    assert await case.second.refusal("approval.get", {"id": ident}) == FOUND_NOTHING
    answer = {"id": ident, "kind": "exec", "decision": "allow-once"}
    outcomes = [await case.asker.client.request("approval.resolve", answer) for _ in range(2)]
    outcomes.append(await case.admin.client.request("approval.resolve", {**answer, "decision": "deny"}))
    assert [one["applied"] for one in outcomes] == [True, False, False]
    assert [one["approval"]["decision"] for one in outcomes] == ["allow-once"] * 3
    assert await case.asker.end(run) == ("final", word)


@pytest.mark.release(*KINDS)
@pytest.mark.parametrize("wrong", [{"kind": None}, {"kind": "plugin"}, {"decision": "allow-always"}, {"days": 3}])
async def test_what_that_method_does_not_understand_is_a_denial(case: Case, wrong: dict[str, object]) -> None:
    run, ident, _ = await case.begin()
    answer = {"id": ident, "kind": "exec", "decision": "allow-once", **wrong}
    params = {name: value for name, value in answer.items() if value is not None}
    outcome = await case.asker.client.request("approval.resolve", params)
    approval = outcome["approval"]
    assert (outcome["applied"], approval["decision"], approval["reason"]) == (True, "deny", "malformed-verdict")
    await case.asker.end(run)
    assert case.asker.result(run).startswith("Exec denied")
