"""Runs of all sessions: which starts when, what a repeated key gets, who may abort what.

Knows the queues and the acknowledgements. Refuses to know connections: an owner is a name.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from openclaw_client.testing.busy import LateMessages, Message, mode_of, queue_command
from openclaw_client.testing.profiles import Profile
from openclaw_client.testing.run import Audience, Owner, Run, Step
from openclaw_client.testing.transcripts import Transcript, Transcripts, assistant_extra, new_row, shown
from openclaw_client.testing.turn import Agent, Turn, TurnFailed
from openclaw_client.wire.frames import ErrorShape

_log = logging.getLogger(__name__)

REMEMBERED: Final = 1000
"""Finished runs whose keys are still answered from memory: the gateways' own number."""

STATUS_COMMAND: Final = "/status"
"""With `/queue MODE` the slash commands that are served: they show what all of them have in common."""

RESENT: Final = 50
"""Rows in which a message that is sent again is looked for; a client does that at once after a restart."""

ABORT_WORDS: Final = frozenset({"stop", "abort", "esc", "exit", "halt", "please stop"})
"""Messages that stop a session instead of being answered, as far as they were tried."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to chat.send: a payload, an error, or both."""

    payload: dict[str, Any] | None
    error: ErrorShape | None = None


class Runs:
    """The runs of one gateway; lives as long as its process would."""

    def __init__(
        self, profile: Profile, audience: Audience, transcripts: Transcripts, agent: Agent, throttle: float
    ) -> None:
        self._profile = profile
        self._audience = audience
        self._transcripts = transcripts
        self._agent = agent
        self._throttle = throttle
        self.live: dict[str, Run] = {}
        self._finished: dict[str, Run] = {}
        self.by_session: dict[str, list[Run]] = {}
        self.lates = LateMessages(self, profile, audience)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    # chat.send

    def send(self, message: Message, owner: Owner) -> Sent:
        """Take a message: a run starts, waits, or is folded into one; or a known key is answered."""
        known = self._known(message)
        if known is not None:
            return known
        session = self._transcripts.open(message.key)
        # A run that has ended is retired one step later; whoever has read its final may send in between.
        ahead = [run for run in self.by_session.get(message.key, ()) if not run.over]
        if ahead and self._profile.same_text_joins:
            same = next((run for run in ahead if run.message == message.text), None)
            if same is not None:
                return Sent({"runId": same.id, "status": "in_flight"})
        run = self.new_run(message, session, owner)
        answer: dict[str, Any] = {"runId": run.id, "status": "started"}
        mode = mode_of(self._profile, message.mode, session.queue_mode)
        if not ahead:
            self._start(run, message.timeout)
        elif mode == "interrupt":
            asyncio.get_running_loop().call_soon(self.lates.interrupt, run, ahead)
            if message.mode and self._profile.active_run_ids:
                answer["interruptedActiveRun"] = True
        elif mode != "queue":
            asyncio.get_running_loop().call_soon(self.lates.fold, run, ahead[0], mode)
        return Sent(answer)

    def _known(self, message: Message) -> Sent | None:
        run = self.live.get(message.run_id) or self._finished.get(message.run_id)
        if run is None:
            return None
        if self._profile.conflicts and (run.key, run.message) != (message.key, message.text):
            text = "this idempotency key was used for different input; use a new one"
            details = {"reason": "chat-request-conflict"}
            return Sent(None, ErrorShape(code="INVALID_REQUEST", message=text, details=details))
        if not run.over:
            return Sent({"runId": run.id, "status": "in_flight"})
        if run.state == "aborted":
            if self._profile.rerun_aborted:
                self._finished.pop(run.id, None)
                return None
            return Sent(self._aborted_ack(run))
        if run.state == "error":
            payload = {"runId": run.id, "status": "error", "summary": run.error}
            return Sent(payload, ErrorShape(code="UNAVAILABLE", message=run.error))
        return Sent({"runId": run.id, "status": "ok"})

    def _aborted_ack(self, run: Run) -> dict[str, Any]:
        if self._profile.abort_status == "ok":
            return {"runId": run.id, "status": "ok"}
        ended = {"stopReason": run.stop_reason, "endedAt": run.ended_at}
        return {"runId": run.id, "status": "timeout", "summary": "aborted", **ended}

    def new_run(self, message: Message, session: Transcript, owner: Owner) -> Run:
        run = Run(
            message.run_id,
            session,
            message.written_key,
            message.text,
            message.attachments,
            owner,
            self._profile,
            self._audience,
            self._throttle,
        )
        run.on_step = partial(self._record_step, run)
        self.live[run.id] = run
        self.by_session.setdefault(run.key, []).append(run)
        return run

    def _start(self, run: Run, timeout: float | None = None) -> None:
        loop = asyncio.get_running_loop()
        if timeout and self._profile.run_timeout:
            run.timer = loop.call_later(timeout, self._expire, run)
        run.task = loop.create_task(self._perform(run), name=f"run {run.id}")
        self._tasks.add(run.task)
        run.task.add_done_callback(lambda task: self._settled(run, task))

    # The performance.

    async def _perform(self, run: Run) -> None:
        try:
            # The acknowledgement was sent in the step before: no event of a run overtakes it there.
            if self._is_command(run):
                return
            run.begin()
            self._record_user(run)
            self._changed(run, "start")
            await self._turns(run)
        except TurnFailed as failure:
            self._fail(run, failure.message, failure.kind)
        except asyncio.CancelledError:
            if not run.over:
                raise
        except Exception as error:  # noqa: BLE001 - an agent is user code: whatever it raises is a failed run
            _log.warning("the agent of run %s raised", run.id, exc_info=True)
            self._fail(run, f"{type(error).__name__}: {error}", None)
        else:
            if not run.over:
                run.finish()
                self.retire(run)
                self._changed(run, "end")

    def _is_command(self, run: Run) -> bool:
        """Answer a message to the gateway itself."""
        mode = queue_command(run.message)
        if mode is not None:
            run.session.queue_mode = mode
            text = f"The queue mode is {mode}."
        elif run.message.strip() == STATUS_COMMAND:
            text = f"Embedded gateway, as OpenClaw {self._profile.release}\nSession: {run.key}"
        else:
            return False
        self._record_user(run)
        extra = assistant_extra(injected=True)
        self.record(run, new_row("assistant", text, self._audience.now_ms(), run_id=run.id, **extra))
        run.answer_command(text, extra)
        return True

    def _settled(self, run: Run, task: asyncio.Task[None]) -> None:
        # Not within the task: one that is cancelled before its first step never gets there.
        self._tasks.discard(task)
        self.retire(run)
        run.task = None
        if not self._stopping:
            self.lates.ended(run)
        self.start_next(run.key)

    async def _turns(self, run: Run) -> None:
        text, attachments = run.message, run.attachments
        while True:
            turn = Turn(text, run.key, run.id, attachments, run.gate, run, run.session)
            async for piece in self._agent(turn):
                run.say(piece)
            self._record_assistant(run)
            taken = self.lates.take(run)
            if not taken:
                return
            text, attachments = "\n\n".join(late.message for late in taken), taken[-1].attachments
            run.next_message()

    def _fail(self, run: Run, message: str, kind: str | None) -> None:
        if run.over:
            return
        extra = {**assistant_extra(), "stopReason": "error"}
        if self._profile.failure_text:
            extra["idempotencyKey"] = f"{run.id}:terminal-error"
        else:
            extra["errorMessage"] = message
        text = f"The run failed: {message}" if self._profile.failure_text else ""
        self.record(run, new_row("assistant", text, self._audience.now_ms(), run_id=run.id, **extra))
        run.fail(message, kind)
        self.retire(run)
        self._changed(run, "error")

    def _expire(self, run: Run) -> None:
        if not run.over:
            self._fail(run, "the run took longer than its timeoutMs", "timeout")
            self.cancel(run)

    def start_next(self, key: str) -> None:
        queue = self.by_session.get(key, [])
        if not self._stopping and queue and queue[0].state == "queued" and queue[0].task is None:
            self._start(queue[0])

    def retire(self, run: Run) -> None:
        """Take a run that is over from the queue of its session, at once: the next message must not meet it."""
        if self.live.get(run.id) is not run:
            return
        del self.live[run.id]
        queue = self.by_session[run.key]
        queue.remove(run)
        if not queue:
            del self.by_session[run.key]
        if run.over:
            self._finished[run.id] = run
            if len(self._finished) > REMEMBERED:
                del self._finished[next(iter(self._finished))]

    # chat.abort

    def abort(
        self, written_key: str, key: str, run_id: str | None, owner: Owner, *, admin: bool, reason: str
    ) -> list[str] | str:
        """Stop a run, or all of a session; the ids of those that were stopped, or why none may be."""
        if run_id is not None:
            return self._abort_one(written_key, key, run_id, owner, admin=admin, reason=reason)
        rule = self._profile.abort_key
        if (rule == "canonical" and reason == "rpc" and written_key != key) or not self.by_session.get(key):
            return []
        found = [run for run in self.by_session[key] if rule != "exact" or run.written_key == written_key]
        allowed = [run for run in found if self._may_abort(run, owner, admin=admin)]
        if found and not allowed:
            return "unauthorized"
        for run in allowed:
            self._abort(run, reason)
        return [run.id for run in allowed]

    def _abort_one(
        self, written_key: str, key: str, run_id: str, owner: Owner, *, admin: bool, reason: str
    ) -> list[str] | str:
        run = self.live.get(run_id)
        if run is None or run.over:
            return []
        rule = self._profile.abort_key
        wanted = {"exact": run.written_key, "canonical": run.key, "any": written_key if key == run.key else None}[rule]
        # An administrator of a v4 gateway may stop any run under any key.
        if written_key != wanted and (rule == "exact" or not admin):
            return "runId does not match sessionKey"
        if not self._may_abort(run, owner, admin=admin):
            return "unauthorized"
        self._abort(run, reason)
        return [run.id]

    def _may_abort(self, run: Run, owner: Owner, *, admin: bool) -> bool:
        if admin or not self._profile.abort_needs_owner:
            return True
        if run.owner.device is not None or owner.device is not None:
            return run.owner.device == owner.device
        return run.owner.connection == owner.connection

    def _abort(self, run: Run, reason: str) -> None:
        run.abort(reason)
        self.lates.drop(run)
        self.retire(run)
        if run.text:
            self._record_aborted(run, reason)
        self._changed(run, "end")
        self.cancel(run)

    def cancel(self, run: Run) -> None:
        if run.task is not None:
            run.task.cancel()

    # Others.

    def running(self, key: str) -> Run | None:
        """The run of a session that is being performed."""
        return next((run for run in self.by_session.get(key, ()) if run.state == "running"), None)

    def active_ids(self, key: str) -> list[str]:
        """All runs of a session that are not over."""
        return [run.id for run in self.by_session.get(key, ())]

    def shows(self, run_id: str | None) -> bool:
        """Whether the rows of a run are written already."""
        return self._profile.rows_at_once or run_id not in self.live

    def find(self, run_id: str) -> Run | None:
        """A run that is alive or remembered."""
        return self.live.get(run_id) or self._finished.get(run_id)

    async def drained(self, seconds: float) -> None:
        """Return when no run is performed any more, or after this time."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)

    async def stop(self) -> None:
        """End every task, without an event: what a process that ends does."""
        self._stopping = True
        if not self._profile.rows_at_once:
            for run in self.live.values():
                run.session.rows = [row for row in run.session.rows if row.run_id != run.id]
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # The transcript.

    def _record_user(self, run: Run) -> None:
        known = self._profile.keeps_user_row and any(
            row.role == "user" and row.run_id == run.id for row in run.session.rows[-RESENT:]
        )
        if not run.recorded and not known:
            run.recorded = True
            asked = run.asked_by or run.id
            row = new_row("user", run.message, self._audience.now_ms(), run_id=asked, sender=run.owner.name)
            self.record(run, row)

    def _record_assistant(self, run: Run) -> None:
        text = run.take_message()
        if text and not run.silent and not run.over:
            row = new_row("assistant", text, self._audience.now_ms(), run_id=run.id, **assistant_extra())
            self.record(run, row)

    def _record_step(self, run: Run, step: Step) -> None:
        now = self._audience.now_ms()
        if step.kind == "result":
            self.record(run, new_row("toolResult", step.text, now, run_id=run.id))
            return
        text, extra = step.text, {**assistant_extra(), "stopReason": "toolUse"}
        if self._profile.rows_at_once and text:
            # Written before the call is known, in a row that doesn't say why it ended.
            self.record(run, new_row("assistant", text, now, run_id=run.id))
            text = ""
        self.record(run, new_row("assistant", text, now, run_id=run.id, **extra))

    def _record_aborted(self, run: Run, reason: str) -> None:
        for kind in self._profile.abort_rows:
            if kind == "partial":
                mark = {"openclawAbort": {"aborted": True, "origin": reason, "runId": run.id}}
                extra = {**assistant_extra(injected=True), "idempotencyKey": f"{run.id}:assistant", **mark}
            else:
                extra = {**assistant_extra(), "stopReason": "aborted", "errorMessage": "the request was aborted"}
            self.record(run, new_row("assistant", run.text, self._audience.now_ms(), run_id=run.id, **extra))

    def record(self, run: Run, row: Any) -> None:
        record(self._audience, self._profile, run.session, row)

    def _changed(self, run: Run, phase: str) -> None:
        if self._profile.session_methods:
            payload = {"sessionKey": run.key, "phase": phase, "runId": run.id, "ts": self._audience.now_ms()}
            self._audience.to_session_lists("sessions.changed", payload)


def record(audience: Audience, profile: Profile, session: Transcript, row: Any) -> None:
    """Add a row to a session and tell those who watch it."""
    place = session.add(row)
    if profile.session_methods:
        payload: dict[str, Any] = {"sessionKey": session.key, "message": shown(row, place, profile)}
        if profile.delta_text:
            payload["agentId"] = "main"
        audience.to_watchers(session.key, "session.message", {**payload, "messageId": row.id, "messageSeq": place})
