"""agent: a run that is accepted at once, and answered under the same id when it is over.

Knows the two answers, the second as 2026.9.6 gives it, and which session is meant. Refuses to know how a run is
performed.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from openclaw_client.testing.callers import Caller, MethodError, Params
from openclaw_client.testing.chat import Chat
from openclaw_client.testing.families.tasks import Tasks
from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.messages import Message
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.registry import ADMIN, WRITE, Family, Method, TwoAnswers
from openclaw_client.testing.run import NO_ANSWER, Run
from openclaw_client.testing.run_events import agent_of
from openclaw_client.testing.runs import Runs
from openclaw_client.testing.session_rows import CONTEXT
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import Transcripts
from openclaw_client.wire.sessions import canonical_key

AGENTS: Final = frozenset({"main"})
_EMPTY: Final = "Message (--message) is required"
RESETS: Final = frozenset({"/new", "/reset"})
LEVELS: Final = frozenset({"minimal", "low", "medium", "high", "xhigh", "adaptive"})
"""Levels of thinking that the only model does not have."""


def _scope(params: Params) -> str:
    return ADMIN if _command(params.get("message")) in RESETS else WRITE


def _command(message: Any) -> str:
    return message.split()[0] if isinstance(message, str) and message.strip() else ""


class AgentRuns:
    """The method `agent` of one gateway."""

    def __init__(self, profile: Profile, transcripts: Transcripts, runs: Runs, chat: Chat, tasks: Tasks) -> None:
        self._profile = profile
        told = {"sessionKey": profile.agent_session_in_ack, "agentId": profile.agent_in_ack}
        self._told = {name for name, is_told in told.items() if is_told}
        self._transcripts = transcripts
        self._runs = runs
        self._chat = chat
        self._tasks = tasks

    def methods(self) -> Family:
        return {"agent": Method(self.run, WRITE, _scope)}

    def run(self, caller: Caller, params: Params) -> Params | TwoAnswers:
        """Begin a run; a known key is answered once, from memory, whatever comes with it."""
        chosen = self._profile.agent_model_scope and ("provider" in params or "model" in params)
        if chosen and not allows(caller.scopes, ADMIN):
            raise MethodError("provider/model overrides are not authorized for this caller.")
        agent_id, run_id = params.get("agentId", "main"), params["idempotencyKey"]
        if agent_id not in AGENTS:
            raise MethodError(f'Unknown agent id "{agent_id}"')
        if _command(params["message"]) in RESETS:
            raise MethodError(f"the embedded gateway does not serve {_command(params['message'])} in agent")
        key, named = self._target(params)
        named = {name: value for name, value in named.items() if name in self._told}
        known = self._runs.roster.find(run_id)
        if known is not None and not known.over:
            flying = self._profile.agent_session_in_ack or not known.by_agent
            return {"runId": run_id, "status": "in_flight" if flying else "accepted", **named}
        if known is not None and known.by_agent:
            # One that chat.send has used up is new.
            return outcome(known, fails=self._profile.agent_failures)
        accepted = {"runId": run_id, **named, "status": "accepted", "acceptedAt": now_ms()}
        wrong = self._complaint(params)
        if wrong:
            return TwoAnswers(accepted, _refused(run_id, wrong))
        attachments = self._chat.attachments(params.get("attachments", []))
        written = (self._profile.agent_session_in_ack and params.get("sessionKey")) or key
        timeout = params.get("timeout") or None
        wishes = {"system_prompt": params.get("extraSystemPrompt") or None, "model": params.get("model") or None}
        message = Message(key, written, params["message"], attachments, run_id, timeout, **wishes)
        if self._transcripts.get(key) is None:
            self._transcripts.open(key).created_via = "run"
        run = self._runs.start_agent(message, caller.owner)
        # Behind the first answer, as on the real one.
        return TwoAnswers(accepted, self._ended(run))

    def _complaint(self, params: Params) -> str:
        """What the run fails at before its first step. No event tells of it."""
        named, level, model = self._profile.agent_error_names, params.get("thinking"), params.get("model") or ""
        if not params["message"].strip():
            return _EMPTY
        if "/" in model and model.partition("/")[0] != "embedded":
            return f"{'FailoverError: ' if named else ''}Unknown model: {model}"
        if level in (None, "", "off") or (level in LEVELS and not self._profile.agent_levels):
            return ""
        known = f'Thinking level "{level}" is not supported for embedded/embedded-1.'
        what = known if level in LEVELS else "Invalid thinking level."
        return f"{'Error: ' if named else ''}{what} Use one of: off."

    def _target(self, params: Params) -> tuple[str, Params]:
        """The key of the session that is meant, and what the first answer says of it."""
        if params.get("sessionKey") or (params.get("agentId") and not params.get("sessionId")):
            key = canonical_key(params.get("sessionKey") or f"agent:{params['agentId']}:main")
            return key, {"sessionKey": key, "agentId": agent_of(key)}
        session_id = params.get("sessionId") or params["idempotencyKey"]
        for session in self._transcripts.sessions.values():
            if session.session_id == session_id:
                return session.key, {"agentId": agent_of(session.key)}
        key = canonical_key(f"agent:main:explicit:{session_id}")
        made = self._transcripts.open(key)
        made.session_id, made.created_via = session_id, "run"
        return key, {"agentId": "main"}

    async def _ended(self, run: Run) -> Params:
        """The second answer."""
        task = self._tasks.begun(run)
        if not run.over:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            run.waiters.append(waiter)
            await waiter
        self._tasks.ended(task)
        return outcome(run, fails=self._profile.agent_failures)


async def _refused(run_id: str, why: str) -> Params:
    raise _failed(run_id, why)


def outcome(run: Run, *, fails: bool) -> Params:
    """What is answered of a run that is over. fails: whether that raises an error where it failed."""
    if run.state == "aborted":
        return {"runId": run.id, "status": "timeout", "summary": "aborted", "stopReason": run.stop_reason}
    gone = run.error == NO_ANSWER
    if run.error and not gone and fails:
        raise _failed(run.id, run.error)
    payloads: list[Params] = []
    if run.error and not gone:
        payloads = [{"text": run.error, "mediaUrl": None}]
    elif gone:
        payloads = [{"text": run.error, "isError": True, "mediaUrl": None}]
    elif run.text and not run.silent:
        payloads = [{"text": run.text, "mediaUrl": None}]
    status, summary = ("error", "failed") if gone else ("ok", "completed")
    result = {"payloads": payloads, "meta": _meta(run)}
    return {"runId": run.id, "status": status, "summary": summary, "result": result}


def _meta(run: Run) -> Params:
    usage = {"input": 1, "output": 1, "cacheRead": 0, "cacheWrite": 0, "total": 2, "cost": {"total": 0}}
    agent = {
        "sessionId": run.session.session_id,
        "sessionFile": run.key,
        "provider": "embedded",
        "model": "embedded-1",
        "contextTokens": CONTEXT,
        "usage": usage,
        "lastCallUsage": usage,
        "promptTokens": 1,
    }
    meta: Params = {"durationMs": run.ended_at - run.started_at, "agentMeta": agent, "aborted": False}
    if run.text and not run.error:
        meta |= {"finalPromptText": run.message, "finalAssistantVisibleText": run.text}
        meta |= {"finalAssistantRawText": run.text, "stopReason": "stop"}
    return meta


def _failed(run_id: str, message: str) -> MethodError:
    payload = {"runId": run_id, "status": "error", "summary": message}
    return MethodError(message, code="UNAVAILABLE", payload=payload)
