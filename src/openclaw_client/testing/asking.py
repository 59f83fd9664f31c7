"""What a run does while people decide: the tool calls that it shows, where it waits, and where it ends early.

Knows the words that each release puts into a tool's result. Refuses to know connections.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from openclaw_client.errors import UsageError
from openclaw_client.testing.approvals import SCOPE, ApprovalRequest, Approvals
from openclaw_client.testing.callers import Herald
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.questions import QUESTION_SCOPE, AnswerMap, QuestionRequest, Questions, items_of
from openclaw_client.testing.run import Run
from openclaw_client.testing.run_events import agent_of
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.turn import Agent, CommandToApprove, Decision, Turn, TurnOver, tool_error, tool_result

HEADLESS: Final = "exec denied: Headless runs cannot wait for interactive exec approval."
"""The result of a command that nobody may be asked about, on releases that see that."""
NO_PROFILE: Final = "Session-scoped access requires a verified user profile."
"""The result of a question, where the client that started the run lacks the scope for questions."""
FOLLOW_UP: Final = "An async command the user already approved has completed."
"""What a later run answers about a command that was allowed, unless the agent says something else."""
FOLLOW_UP_DENIED: Final = "An async command did not run."
_NO_SCOPE: Final = f"Exec approval registration failed: GatewayClientRequestError: missing scope: {SCOPE}"

FollowUp = Callable[[Run, str, str, Agent], None]
"""Starts another run behind this one: with this id, for this message, by this agent."""


class Asked:
    """What people are asked in one life of a gateway."""

    def __init__(self, profile: Profile, herald: Herald, approval_seconds: float, question_seconds: float) -> None:
        self.approvals = Approvals(profile, herald, approval_seconds)
        self.questions = Questions(herald, question_seconds)

    def stop(self) -> None:
        """As a process that ends."""
        self.approvals.stop()
        self.questions.stop()


class Asker:
    """Asks people for one turn."""

    def __init__(self, run: Run, asked: Asked, follow_up: FollowUp) -> None:
        self._run = run
        self._profile = run.profile
        self._approvals = asked.approvals
        self._questions = asked.questions
        self._follow_up = follow_up

    async def ask_approval(self, command: CommandToApprove) -> Decision | None:
        refusal = self._refusal()
        if refusal:
            self._finish(command, tool_error("exec", refusal), error=True)
            return "deny"
        fields = request_fields(self._run, command)
        approval = self._approvals.add(fields, self._run.id, self._run.owner, command.expires_in)
        if self._profile.approval_run != "waits":
            raise self._leave(approval, command)
        self._approvals.announce(approval)
        return await self._wait(approval, command)

    def _refusal(self) -> str:
        """Why nobody is asked; "" where somebody is."""
        if not self._profile.approval_caps:
            return ""
        if self._profile.asker_scopes and not allows(self._run.owner.scopes, SCOPE):
            return _NO_SCOPE
        return "" if self._approvals.anybody(self._run.owner) else HEADLESS

    # Where the run waits.

    async def _wait(self, approval: ApprovalRequest, command: CommandToApprove) -> Decision | None:
        self._tell_phase("waiting-approval", approval, command)
        try:
            decision = await asyncio.shield(approval.decided)
        except asyncio.CancelledError:
            self._approvals.close(approval)
            raise
        self._tell_phase("approval-resolved", approval, command)
        if decision in ("allow-once", "allow-always"):
            self._finish(command, command.output or "(no output)")
        else:
            self._show_denial(approval, command)
        return decision

    def _show_denial(self, approval: ApprovalRequest, command: CommandToApprove) -> None:
        self._finish(command, denied(approval), error=True)
        data = {"phase": "resolved", "kind": "exec", "status": "denied", "title": "Command approval resolved"}
        data |= {"itemId": f"command:{command.call}", "toolCallId": command.call, "message": approval.command}
        self._run.show_agent("approval", data)
        if self._profile.approval_denial_error:
            self._run.complaint = f"Exec failed: `{approval.command}`"

    def _tell_phase(self, phase: str, approval: ApprovalRequest, command: CommandToApprove) -> None:
        if self._profile.approval_lifecycle:
            data = {"phase": phase, "approvalId": approval.id, "toolCallId": command.call}
            self._run.show_agent("lifecycle", data)

    # Where the run ends.

    def _leave(self, approval: ApprovalRequest, command: CommandToApprove) -> TurnOver:
        """Announce the request, and end the run; what is decided later is told in a run of its own."""
        slug = approval.id[:8]
        loop = asyncio.get_running_loop()
        if self._profile.approval_run == "ends-with-text":
            text = f"Approval required (id {slug}). Approve to run; updates will arrive after completion."
            # That release asks when the run has ended.
            loop.call_soon(self._approvals.announce, approval)
        else:
            text = f"Approval required (id {slug}, full {approval.id}).\nCommand:\n{command.command}"
            self._approvals.announce(approval)
        self._finish(command, text)
        if self._profile.approval_stream:
            self._run.show_agent("approval", approval_data(approval, command))
        approval.decided.add_done_callback(lambda _decided: self._tell_later(approval, command))
        return TurnOver(text if self._profile.approval_run == "ends-with-text" else "")

    def _tell_later(self, approval: ApprovalRequest, command: CommandToApprove) -> None:
        ident = self._later_id(approval)
        if approval.status == "allowed":
            self._follow_up(self._run, ident, FOLLOW_UP, command.then or _says(FOLLOW_UP))
        else:
            self._follow_up(self._run, ident, FOLLOW_UP_DENIED, _says(FOLLOW_UP_DENIED))

    def _later_id(self, approval: ApprovalRequest) -> str:
        how = self._profile.follow_up_ids
        if how == "random":
            return str(uuid.uuid4())
        nonce = f":nonce:{uuid.uuid4()}" if how == "approval-and-nonce" else ""
        return f"exec-approval-followup:{approval.id}{nonce}"

    # Questions.

    def checked_items(self, questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What is asked, as the event shows it. Raises UsageError for what this release would not ask."""
        if not self._profile.questions:
            has = "2026.8.1 and 2026.9.6 have"
            raise UsageError(message=f"an agent of {self._profile.release} cannot ask questions", remedy=f"{has} them")
        return items_of(questions)

    async def ask_question(self, call: str, items: list[dict[str, Any]], expires_in: float | None) -> AnswerMap | None:
        run = self._run
        if self._profile.asker_scopes and not allows(run.owner.scopes, QUESTION_SCOPE):
            run.show_tool(tool_result(call, "ask_user", tool_error("ask_user", NO_PROFILE), error=True))
            return None
        question = self._questions.add(items, agent_of(run.key), run.key, run.id, expires_in)
        try:
            answers = await asyncio.shield(question.decided)
        except asyncio.CancelledError:
            self._questions.close(question)
            raise
        run.show_tool(tool_result(call, "ask_user", _told(question)))
        return answers

    # Inside.

    def _finish(self, command: CommandToApprove, text: str, *, error: bool = False) -> None:
        self._run.show_tool(tool_result(command.call, "exec", text, error=error))


def _told(question: QuestionRequest) -> str:
    """The result of a question."""
    if question.answers is None:
        why = "was cancelled" if question.status == "cancelled" else "was not answered in time"
        return f"The question {why}.\n\n" + json.dumps({"status": "no_answer"}, indent=2)
    headers = {item["questionId"]: item["header"] for item in question.items}
    lines = [f"{headers[name]}: {', '.join(values)}" for name, values in question.answers.items()]
    return "\n".join(lines) + "\n\n" + json.dumps(question.result(), indent=2)


def _says(text: str) -> Agent:
    async def agent(_turn: Turn) -> AsyncIterator[str]:
        yield text

    return agent


def denied(approval: ApprovalRequest) -> str:
    """The result of a command that was not allowed."""
    why = "user-denied" if approval.status == "denied" else "approval-timeout"
    return f"Exec denied (gateway id={approval.id}, {why}): {approval.command}"


def request_fields(run: Run, command: CommandToApprove) -> dict[str, Any]:
    """What the request of a command shows, on this release."""
    always = command.ask == "always"
    fields: dict[str, Any] = {
        "command": command.command,
        "cwd": command.cwd or os.getcwd(),
        "host": "gateway",
        "security": "allowlist",
        "ask": command.ask,
        "agentId": agent_of(run.key),
        "resolvedPath": None,
        "sessionKey": run.key,
    }
    more: dict[str, Any] = {
        "systemRunBinding": None,
        "systemRunPlan": None,
        "nodeId": None,
        "warningText": command.warning,
        "scope": None,
        "commandAnalysis": {"commandCount": 1, "nestedCommandCount": 0, "riskKinds": [], "warningLines": []},
        "allowedDecisions": ["allow-once", "deny"] if always else ["allow-once", "allow-always", "deny"],
        "sessionId": None,
        "runId": run.id,
        "toolCallId": command.call,
        "turnSourceChannel": "webchat",
        "turnSourceTo": run.key if run.profile.approval_target else None,
        "turnSourceAccountId": None,
        "turnSourceThreadId": None,
        "cronExecutionSource": None,
        "cronOperationBinding": None,
    }
    if always:
        more["unavailableDecisions"] = ["allow-always"]
    return fields | {name: more[name] for name in run.profile.approval_fields if name in more}


def approval_data(approval: ApprovalRequest, command: CommandToApprove) -> dict[str, Any]:
    """The agent event of the stream "approval"."""
    return {
        "phase": "requested",
        "kind": "exec",
        "status": "pending",
        "title": "Command approval requested",
        "itemId": f"command:{command.call}",
        "toolCallId": command.call,
        "approvalId": approval.id,
        "approvalSlug": approval.id[:8],
        "command": approval.command,
        "host": "gateway",
    }
