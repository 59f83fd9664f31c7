"""One run of an agent: what it says becomes chat and agent events, in the shape of the release.

Knows the events of one run and their counters. Refuses to know queues, idempotency keys and who may abort.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from openclaw_client.testing.profiles import Profile
from openclaw_client.testing.transcripts import Transcript
from openclaw_client.testing.turn import Gate

RunState = Literal["queued", "running", "ok", "error", "aborted"]

SILENT_REPLY = "NO_REPLY"
"""What a model says when it has nothing to say; never shown."""


class Audience(Protocol):
    """Whoever gets events; the hub of the gateway."""

    def now_ms(self) -> int: ...
    def broadcast(self, event: str, payload: Mapping[str, Any], session_key: str | None = None) -> None: ...
    def to_starter(self, owner: Owner, event: str, payload: Mapping[str, Any]) -> None: ...
    def to_watchers(self, session_key: str, event: str, payload: Mapping[str, Any]) -> None: ...
    def to_session_lists(self, event: str, payload: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Owner:
    """Who started a run. connection is void after a reconnect, the device is not."""

    connection: str
    device: str | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run that is written down: a message of the model that calls a tool, or what the tool said."""

    kind: Literal["call", "result"]
    text: str


@dataclass(slots=True, eq=False)
class Run:
    """State and events of one run. written_key: the session key as the client spelled it."""

    id: str
    session: Transcript
    written_key: str
    message: str
    attachments: list[dict[str, Any]]
    owner: Owner
    profile: Profile
    audience: Audience
    throttle: float
    gate: Gate = field(default_factory=Gate)
    state: RunState = "queued"
    text: str = ""
    error: str = ""
    stop_reason: str = "stop"
    started_at: int = 0
    ended_at: int = 0
    silent: bool = False
    recorded: bool = False
    follow_up: bool = False
    """Whether nobody asked for it by this id."""
    on_step: Callable[[Step], None] | None = None
    asked_by: str | None = None
    """The id under which it was asked for, where the gateway chose another."""
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    _seq: int = 0
    _message: str = ""
    _called: bool = False
    _shown: str = ""
    _shown_at: float = -1e9
    _trailing: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        return self.state not in ("queued", "running")

    @property
    def key(self) -> str:
        return self.session.key

    # The stage of a turn.

    def show_status(self, phase: str, retry: Mapping[str, Any] | None = None) -> None:
        """A status event, on releases that have them."""
        if self.over or not self.profile.status_phases:
            return
        self._seq += 1
        self.chat("status", {"phase": phase} if retry is None else {"phase": phase, "retry": dict(retry)})
        self._agent("run_status", {"phase": phase})

    def show_thinking(self, text: str) -> None:
        self.show_agent("thinking", {"text": text, "delta": text})

    def show_tool(self, data: dict[str, Any]) -> None:
        """To the connection that started the run if it has the cap; newer releases show everybody an item."""
        if self.over:
            return
        self._seq += 1
        if data["phase"] == "start":
            self._step(Step("call", self.take_message()))
            self._called = True
        elif data["phase"] == "result":
            self._step(Step("result", data["result"]["content"][0]["text"]))
        payload = self._agent_payload("tool", data)
        self.audience.to_starter(self.owner, "agent", payload)
        if self.profile.session_methods:
            self.audience.to_watchers(self.key, "session.tool", payload)
        if self.profile.item_events:
            item = {"itemId": f"tool:{data['toolCallId']}", "kind": "tool", "name": data["name"]}
            phase = {"start": "start", "result": "end"}.get(data["phase"], "update")
            self.show_agent("item", {**item, "toolCallId": data["toolCallId"], "phase": phase})

    def show_agent(self, stream: str, data: Mapping[str, Any]) -> None:
        if not self.over:
            self._seq += 1
            self._agent(stream, data)

    def replace_text(self, text: str) -> None:
        """The answer is this now, whatever was said."""
        if self.over:
            return
        self._seq += 1
        self.text = self._message = text
        self._called = False
        self._send_delta(replace=True)

    def silence(self) -> None:
        self.silent = True

    def say(self, piece: str) -> None:
        """The next piece of the answer: shown at once, or with a later one where the last delta is too young."""
        if self.over or not piece:
            return
        self._seq += 1
        self._message += piece
        if self._called:
            self._called = False
            piece = self._behind_tool(piece)
        self.text += piece
        if not self.profile.delta_text:
            # Before wire v4 every piece of the model is an agent event, whatever the chat events do.
            self._agent("assistant", {"text": self.text, "delta": piece})
        if SILENT_REPLY.startswith(self.text.strip()):
            return
        wait = self._shown_at + self.throttle - time.monotonic()
        if wait <= 0:
            self._send_delta()
        elif self.profile.trailing_delta and self._trailing is None:
            self._trailing = asyncio.get_running_loop().call_later(wait, self._send_trailing)

    def take_message(self) -> str:
        """What the model said since its last tool call; its next message begins here."""
        message, self._message = self._message, ""
        return message

    # Beginning and end.

    def begin(self) -> None:
        self.state = "running"
        self.started_at = self.audience.now_ms()
        for phase in self.profile.status_phases[:2]:
            self.show_status(phase)
        self.show_agent("lifecycle", {"phase": "start", "startedAt": self.started_at})
        for phase in self.profile.status_phases[2:]:
            self.show_status(phase)

    def finish(self) -> None:
        """The agent is done: the rest of the text, then the final."""
        self._seq += 1
        self._agent("lifecycle", {"phase": "end", "endedAt": self.audience.now_ms()})
        text = "" if self.silent or self.text.strip() == SILENT_REPLY else self.text
        if text:
            if self.profile.flushes_tail and text != self._shown:
                self._send_delta(with_agent=False)
            self._end("ok")
            message = self.message_of(text)
            if self.follow_up and self.profile.agent_in_chat:
                usage = {"input": 0, "output": 0, "totalTokens": 0}
                message |= {"text": text, "stopReason": self.stop_reason, "usage": usage}
            self.chat("final", {**self._stop(), "message": message}, bare=self.follow_up)
        elif self.silent or self.profile.empty_answer == "final":
            self._end("ok")
            self.chat("final")
        else:
            self._end("error", "the agent gave no answer")
            self.chat("aborted", self._stop())
            self.chat("error", {"errorMessage": "The agent gave no answer."}, seq=1, bare=True)

    def fail(self, message: str, kind: str | None) -> None:
        """The agent failed: what of it is shown depends on the release."""
        self._seq += 1
        self._agent("lifecycle", {"phase": "error", "error": message, "endedAt": self.audience.now_ms()})
        self._end(self.profile.failure_status, message)
        if self.profile.failure == "once":
            self.chat("error", {"errorMessage": message})
        elif self.profile.failure == "twice":
            detail = {"provider": "embedded", "model": "embedded-1", "failoverReason": kind or "unknown"}
            kinds = {} if kind is None else {"errorKind": kind}
            self.chat("error", {"errorMessage": message, "errorDetail": detail, **kinds})
            self.error = f"Agent failed before reply: {message}"
            self.chat("error", {"errorMessage": self.error}, seq=1, bare=True)

    def abort(self, reason: str) -> None:
        """Stop the run; the event goes out before anything else does."""
        spoke = bool(self._shown)
        self._seq += 1
        self._end("aborted")
        self.stop_reason = reason
        message = {"message": self.message_of(self.text)} if spoke else {}
        key = self.key if self.profile.canonical_everywhere else self.written_key
        self.chat("aborted", {"stopReason": reason, **message}, key=key)
        if not spoke and self.profile.after_early_abort == "final":
            self.chat("final")
        elif not spoke and self.profile.after_early_abort == "final-with-text":
            self.chat("final", {"message": self.message_of("The run was aborted.")})

    def interrupt(self) -> None:
        """Make way for another message."""
        if self.profile.interrupts == "aborted":
            self.abort("aborted")
        else:
            self._end("aborted")

    def next_message(self) -> None:
        """A message was steered into the run: the model begins another of its own, as it does behind a tool."""
        self._called = True

    def answer_command(self, text: str, extra: Mapping[str, Any]) -> None:
        """The answer to a slash command: one final, by the gateway itself."""
        self._end("ok")
        key = self._final_key()
        self.chat("final", {"message": {**self.message_of(text), **extra}}, key=key, seq=1, bare=True)

    def hand_over(self) -> None:
        """End without an answer: it comes within another run."""
        self._end("ok")
        self.chat("final", seq=1, key=self._final_key(), bare=True)

    # Inside.

    def chat(
        self,
        state: str,
        more: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        seq: int | None = None,
        bare: bool = False,
    ) -> None:
        """A chat event to everybody, with these fields beside the common ones.

        bare: without the agent's id, as those that do not come from the run itself.
        """
        payload: dict[str, Any] = {"runId": self.id, "sessionKey": key or self.key}
        if self.profile.agent_in_chat and not bare:
            payload["agentId"] = agent_of(self.key)
        payload["seq"] = self._seq if seq is None else seq
        payload["state"] = state
        payload.update(more or {})
        self.audience.broadcast("chat", payload, self.key)

    def message_of(self, text: str) -> dict[str, Any]:
        content = [{"type": "text", "text": text}]
        return {"role": "assistant", "content": content, "timestamp": self.audience.now_ms()}

    def _step(self, step: Step) -> None:
        if self.on_step is not None:
            self.on_step(step)

    def _behind_tool(self, piece: str) -> str:
        if self.profile.after_tool == "anew":
            self.text = self._shown = ""
        return f"\n\n{piece}" if self.text and self.profile.after_tool == "paragraph" else piece

    def _send_delta(self, *, replace: bool = False, with_agent: bool = True) -> None:
        self._drop_trailing()
        fresh = self.text if replace else self.text[len(self._shown) :]
        if self.profile.delta_text and with_agent:
            self._agent("assistant", {"text": self.text, "delta": fresh})
        more: dict[str, Any] = {}
        if self.profile.delta_text:
            more["deltaText"] = fresh
            if replace:
                more["replace"] = True
        self._shown, self._shown_at = self.text, time.monotonic()
        self.chat("delta", {**more, "message": self.message_of(self.text)})

    def _drop_trailing(self) -> None:
        if self._trailing is not None:
            self._trailing.cancel()
            self._trailing = None

    def _send_trailing(self) -> None:
        self._trailing = None
        if not self.over and self.text != self._shown:
            self._send_delta()

    def _stop(self) -> dict[str, Any]:
        return {"stopReason": self.stop_reason} if self.profile.stop_reason_on_final else {}

    def _final_key(self) -> str:
        return self.key if self.profile.canonical_finals else self.written_key

    def _agent(self, stream: str, data: Mapping[str, Any]) -> None:
        self.audience.broadcast("agent", self._agent_payload(stream, data), self.key)

    def _agent_payload(self, stream: str, data: Mapping[str, Any]) -> dict[str, Any]:
        payload: dict[str, Any] = {"runId": self.id, "stream": stream, "data": data, "sessionKey": self.key}
        if self.profile.agent_in_chat:
            payload["agentId"] = agent_of(self.key)
        payload |= {"seq": self._seq, "ts": self.audience.now_ms()}
        return payload

    def _end(self, state: RunState, error: str = "") -> None:
        self.state, self.error = state, error
        self.ended_at = self.audience.now_ms()
        self._drop_trailing()
        if self.timer is not None:
            self.timer.cancel()
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def agent_of(key: str) -> str:
    """The agent's id in a canonical session key."""
    return key.split(":", 2)[1] if key.startswith("agent:") else "main"
