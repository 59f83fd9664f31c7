"""What a run says and does while it goes on: chat and agent events, in the shape of the release.

Knows the counters of one run, and what of its text was shown. Refuses to know how a run begins and ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from openclaw_client.testing.callers import Audience, Owner
from openclaw_client.testing.files import SentFile
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import Transcript

RunState = Literal["queued", "running", "ok", "error", "aborted"]

SILENT_REPLY = "NO_REPLY"
"""What a model says when it has nothing to say; never shown."""


@dataclass(frozen=True, slots=True)
class RunStep:
    """A part of a run that is written down: a message of the model that calls a tool, or what the tool said. call: the
    block that stands for the call."""

    kind: Literal["call", "result"]
    text: str
    files: tuple[SentFile, ...] = ()
    call: Mapping[str, Any] | None = None


@dataclass(slots=True, eq=False)
class RunEvents:
    """The events of one run, and what they depend on. written_key: the session key as the client spelled it."""

    id: str
    session: Transcript
    written_key: str
    message: str
    attachments: list[dict[str, Any]]
    owner: Owner
    profile: Profile
    audience: Audience
    throttle: float
    state: RunState = "queued"
    text: str = ""
    silent: bool = False
    by_agent: bool = False
    """Whether it was asked for by the method `agent`: no chat event but the run's own tells of it."""
    on_step: Callable[[RunStep], None] | None = None
    unheard: bool = False
    """Whether no chat event tells of it."""
    reply_files: list[SentFile] = field(default_factory=list)
    """Sent in lines of the answer, since the row before."""
    result_files: list[SentFile] = field(default_factory=list)
    """What the tool that is called now looked at."""
    lines: list[str] = field(default_factory=list)
    """Of the answer, that no client is shown: they name files."""
    sent_texts: list[str] = field(default_factory=list)
    """What was said with the tool that sends messages."""
    _seq: int = 0
    _message: str = ""
    _called: bool = False
    _shown: str = ""
    _told: str = ""
    """The text of the last agent event that had some, where not every piece has one."""
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
        if self.over or self.by_agent or not self.profile.status_phases:
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
        # A call within a call is no message of the model's.
        if "parentToolCallId" in data:
            pass
        elif data["phase"] == "start":
            call = {"id": data["toolCallId"], "name": data["name"], "arguments": data["args"]}
            self._step(RunStep("call", self.take_message(), call={"type": "toolCall", **call}))
            self._called = True
        elif data["phase"] == "result":
            texts = [block["text"] for block in data["result"]["content"] if block["type"] == "text"]
            files, self.result_files = tuple(self.result_files), []
            self._step(RunStep("result", "\n".join(texts), files))
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
        if self.profile.agent_pieces:
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

    def next_message(self) -> None:
        """A message was steered into the run: the model begins another of its own, as it does behind a tool."""
        self._called = True

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
        if self.unheard:
            return
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

    def _step(self, step: RunStep) -> None:
        if self.on_step is not None:
            self.on_step(step)

    def _behind_tool(self, piece: str) -> str:
        if self.profile.after_tool == "anew":
            self.text = self._shown = self._told = ""
        return f"\n\n{piece}" if self.text and self.profile.after_tool == "paragraph" else piece

    def _send_delta(self, *, replace: bool = False, with_agent: bool = True) -> None:
        self._drop_trailing()
        fresh = self.text if replace else self.text[len(self._shown) :]
        if not self.profile.agent_pieces and with_agent:
            self._told = self.text
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

    def _agent(self, stream: str, data: Mapping[str, Any]) -> None:
        self.audience.broadcast("agent", self._agent_payload(stream, data), self.key)

    def _agent_payload(self, stream: str, data: Mapping[str, Any]) -> dict[str, Any]:
        payload: dict[str, Any] = {"runId": self.id, "stream": stream, "data": data, "sessionKey": self.key}
        if self.profile.agent_in_chat:
            payload["agentId"] = agent_of(self.key)
        payload |= {"seq": self._seq, "ts": self.audience.now_ms()}
        return payload


def agent_of(key: str) -> str:
    """The agent's id in a canonical session key."""
    return key.split(":", 2)[1] if key.startswith("agent:") else "main"
