"""One run of an agent: how it begins, and in which of many ways it ends, as each release tells of it.

Knows what an end looks like. Refuses to know queues, idempotency keys and who may abort.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openclaw_client.testing.run_events import SILENT_REPLY, RunEvents, RunState
from openclaw_client.testing.turn import Agent, Gate

NO_ANSWER = "The agent gave no answer."


@dataclass(slots=True, eq=False)
class Run(RunEvents):
    """State and events of one run."""

    gate: Gate = field(default_factory=Gate)
    error: str = ""
    stop_reason: str = "stop"
    started_at: int = 0
    ended_at: int = 0
    recorded: bool = False
    follow_up: bool = False
    """Whether nobody asked for it by this id."""
    held: bool = False
    """Whether it met a busy session, so that its turn does not come by itself: it is folded into another run, or
    stops it."""
    asked_by: str | None = None
    """The id under which it was asked for, where the gateway chose another."""
    row_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Of its message's row."""
    row_key: str | None = None
    """The idempotency key that its message's row shows, where it is not that of the run."""
    system_prompt: str | None = None
    model: str | None = None
    agent: Agent | None = None
    """Who answers, where it is not the gateway's agent."""
    complaint: str = ""
    """What an error event says behind the final."""
    broken: bool = False
    """Whether something was done to its session that it does not survive."""
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def said_nothing(self) -> bool:
        """Whether the model said that it has nothing to say."""
        return self.text.strip() == SILENT_REPLY

    @property
    def unanswered(self) -> bool:
        """Whether what the model said counts as no answer on this release, which asks it once more, and then fails."""
        if self.silent or self.lines or self.sent_texts or self.profile.empty_answer == "final":
            return False
        return not self.text or (self.said_nothing and not self.profile.knows_silence)

    # Beginning and end.

    def begin(self) -> None:
        self.state = "running"
        self.started_at = self.audience.now_ms()
        for phase in self.profile.status_phases[:2]:
            self.show_status(phase)
        self.show_agent("lifecycle", {"phase": "start", "startedAt": self.started_at})
        for phase in self.profile.status_phases[2:]:
            self.show_status(phase)

    def begin_again(self) -> None:
        """The model gave no answer, and is asked once more."""
        self.text = ""
        self._show_finishing()
        for phase in self.profile.status_phases[1:2]:
            self.show_status(phase)
        self.started_at = self.audience.now_ms()
        self.show_agent("lifecycle", {"phase": "start", "startedAt": self.started_at})
        for phase in self.profile.status_phases[2:]:
            self.show_status(phase)

    def finish(self) -> None:
        """The agent is done: the rest of the text, then the final."""
        text = "" if self.silent or self.said_nothing else self.text
        gone = self.unanswered
        if text and not self.profile.agent_pieces and text != self._told:
            # What the throttle held back of the chat is told here before the end.
            self._agent("assistant", {"text": text, "delta": text[len(self._told) :]})
        self._show_end({"phase": "error", "error": NO_ANSWER} if gone else {"phase": "end"})
        if text:
            if self.profile.flushes_tail and text != self._shown:
                self._send_delta(with_agent=False)
            self._end("ok")
            self._send_final(text)
        elif not gone:
            self._end("ok")
            self.chat("final", self._stop())
        else:
            self._end("error", NO_ANSWER)
            if self.by_agent:
                self.chat("error", {"errorMessage": NO_ANSWER})
                return
            self.chat("aborted", self._stop())
            self.chat("error", {"errorMessage": NO_ANSWER}, seq=1, bare=True)

    def complain(self) -> None:
        """The error event of a run that ended well, and did not do all that it was to do."""
        if self.complaint:
            error = {"errorMessage": self.complaint, "message": self.message_of(self.complaint)}
            self.chat("error", error, seq=1, bare=True)

    def tell_sent(self) -> None:
        """The events behind the end for what was said with the tool that sends messages."""
        for text in self.sent_texts:
            usage = {"input": 0, "output": 0, "totalTokens": 0}
            message = {**self.message_of(text), "text": text, "stopReason": "stop", "usage": usage}
            self.chat("final", {"message": message}, seq=1, bare=True)

    def _show_end(self, data: Mapping[str, Any]) -> None:
        """The lifecycle event of the end; newer releases announce it and say why."""
        ended: dict[str, Any] = {"endedAt": self.audience.now_ms()}
        if self.profile.lifecycle_details:
            ended |= {**self._show_finishing(), "startedAt": self.started_at}
        if self.profile.terminal_reply:
            ended["terminalReply"] = self._reply()
        self._seq += 1
        self._agent("lifecycle", {**data, **ended})

    def _show_finishing(self) -> dict[str, Any]:
        """The model has said its last word; returns why."""
        why = {"stopReason": self.stop_reason, "aborted": False}
        self._seq += 1
        self._agent("lifecycle", {"phase": "finishing", **why, "endedAt": self.audience.now_ms()})
        return why

    def _reply(self) -> dict[str, str]:
        """What kind of answer it was."""
        if self.silent or self.said_nothing:
            return {"disposition": "silent"}
        whole = "\n".join(filter(None, (self.text, *self.lines)))
        return {"disposition": "visible", "text": whole} if whole else {"disposition": "empty"}

    def _send_final(self, text: str) -> None:
        message = self.message_of(text)
        how = self.profile.late_finals if self.follow_up else "plain"
        if how != "marked":
            self.chat("final", {**self._stop(), "message": message})
        if how != "plain":
            usage = {"input": 0, "output": 0, "totalTokens": 0}
            message |= {"text": text, "stopReason": self.stop_reason, "usage": usage}
            more = {**self._stop(), "message": message} if how == "marked" else {"message": message}
            self.chat("final", more, seq=None if how == "marked" else 1, bare=True)

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
            if self.by_agent:
                return
            self.error = f"Agent failed before reply: {message}"
            self.chat("error", {"errorMessage": self.error}, seq=1, bare=True)

    def abort(self, reason: str) -> None:
        """Stop the run; the event goes out before anything else does."""
        started = self.started_at
        self._show_aborted(reason)
        if self.profile.abort_lifecycle:
            ended = {"aborted": True, "stopReason": reason, "startedAt": started, "endedAt": self.ended_at}
            self._agent("lifecycle", {"phase": "end", "status": "cancelled", **ended})
        if not self._shown and self.profile.after_early_abort == "final":
            self.chat("final")
        elif not self._shown and self.profile.after_early_abort == "final-with-text":
            self.chat("final", {"message": self.message_of("The run was aborted.")})

    def _show_aborted(self, reason: str, *, anew: bool = False) -> None:
        spoke = bool(self._shown)
        self._seq += 1
        self._end("aborted")
        self.stop_reason = reason
        message = {"message": self.message_of(self.text)} if spoke else {}
        key = self.key if self.profile.canonical_everywhere else self.written_key
        self.chat("aborted", {"stopReason": reason, **message}, key=key, seq=1 if anew else None, bare=anew)

    def interrupt(self) -> None:
        """Make way for another message."""
        how = self.profile.interrupts
        if how in ("aborted", "late", "breaks") and self.state == "running":
            self._seq += 1
            ended = {"aborted": True, "stopReason": "aborted", "endedAt": self.audience.now_ms()}
            self._agent("lifecycle", {"phase": "error", "error": "the run was interrupted", **ended})
        if how == "aborted":
            self._show_aborted("aborted")
        else:
            self.stop_reason = "aborted"
            self._end("aborted")

    def tell_interrupted(self) -> None:
        """The aborted event of a release that is slow about it."""
        self.chat("aborted", {"stopReason": "aborted"}, seq=1)

    def end_cut(self) -> None:
        """End as 2026.5.12 lets an interrupted run end: as if what it said so far were its answer."""
        self._seq += 1
        self._agent("lifecycle", {"phase": "end", "endedAt": self.audience.now_ms(), "aborted": True})
        if self.text != self._shown:
            self._send_delta(with_agent=False)
        self.chat("final", {"message": self.message_of(self.text)} if self.text else {})

    def end_by_reset(self) -> None:
        """End because the session is begun anew."""
        how = self.profile.resets
        if self.state == "queued" or how == "silent":
            self._end("aborted")
        elif how == "cut":
            self._end("aborted")
            self.end_cut()
        elif how == "final":
            self.finish()
        else:
            self._seq += 1
            ended = {"aborted": True, "stopReason": "restart", "endedAt": self.audience.now_ms()}
            self._agent("lifecycle", {"phase": "end", **ended})
            self._show_aborted("restart", anew=how == "aborted-anew")

    def drop(self) -> None:
        """End without a word: its message was taken back before its turn came."""
        self._end("aborted")

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

    def _stop(self) -> dict[str, Any]:
        return {"stopReason": self.stop_reason} if self.profile.stop_reason_on_final else {}

    def _final_key(self) -> str:
        return self.key if self.profile.canonical_finals else self.written_key

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
