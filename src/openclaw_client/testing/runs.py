"""Runs of all sessions: which starts when, and who may abort what.

Knows the acknowledgements and the order of a run's steps. Refuses to know connections: an owner is a name.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from openclaw_client.logs import GuardedLogger
from openclaw_client.testing.abort_rules import AbortRules
from openclaw_client.testing.asking import Asked, Asker
from openclaw_client.testing.busy import LateMessages
from openclaw_client.testing.callers import Audience, Owner
from openclaw_client.testing.changes import Changes
from openclaw_client.testing.messages import Message, mode_of, queue_command
from openclaw_client.testing.nodes import Nodes
from openclaw_client.testing.recorder import Recorder
from openclaw_client.testing.roster import Roster
from openclaw_client.testing.run import Run
from openclaw_client.testing.sender import FileSender
from openclaw_client.testing.tool_calls import ToolCaller
from openclaw_client.testing.traits import Busy, Profile
from openclaw_client.testing.transcripts import Row, Transcript, Transcripts, assistant_extra, new_row
from openclaw_client.testing.turn import Agent, Turn, TurnFailed, TurnOver
from openclaw_client.testing.used_keys import Sent, UsedKeys

_log = GuardedLogger(__name__)

STATUS_COMMAND: Final = "/status"
"""With `/queue MODE` the slash commands that are served: they show what all of them have in common."""

BROKEN: Final = "The session was changed while the run worked in it."
"""How a run ends into which a message was steered on a release that breaks over it."""

ODD_KEY: Final = "The run's rows could not be written under this key."
"""How a run ends whose idempotency key has white space at an end, on a release that breaks over it."""


class Runs:
    """The runs of one gateway; lives as long as its process would."""

    def __init__(
        self,
        profile: Profile,
        audience: Audience,
        transcripts: Transcripts,
        agent: Agent,
        throttle: float,
        settle_time: float,
        asked: Asked,
        nodes: Nodes,
    ) -> None:
        self._profile = profile
        self._audience = audience
        self._transcripts = transcripts
        self._agent = agent
        self._throttle = throttle
        self.asked = asked
        self.nodes = nodes
        self.roster = Roster(profile, settle_time)
        self.recorder = Recorder(audience, profile)
        self._changes = Changes(profile, audience, self.roster)
        self._rules = AbortRules(profile)
        self._keys = UsedKeys(profile, audience, transcripts, self.roster)
        self._lates = LateMessages(self, self.roster, profile, audience)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    # chat.send

    def send(self, message: Message, owner: Owner) -> Sent:
        """Take a message: a run starts, waits, or is folded into one; or a known key is answered."""
        known = self._keys.answer(message)
        if known is not None:
            return known
        session = self._transcripts.open(message.key)
        ahead = self.roster.ahead(message.key)
        if ahead and self._profile.same_text_joins:
            same = next((run for run in ahead if run.message == message.text), None)
            if same is not None:
                return Sent({"runId": same.id, "status": "in_flight"})
        fresh = not session.rows
        run = self.new_run(message, session, owner)
        if fresh and not ahead:
            asyncio.get_running_loop().call_soon(self._changes.made, session)
        answer: dict[str, Any] = {"runId": run.id, "status": "started"}
        mode = mode_of(self._profile, message.mode, session.queue_mode)
        if not ahead and not self.roster.settles(message.key):
            self._start(run, message.timeout)
        elif mode != "queue":
            performed = [one for one in ahead if one.task is not None]
            if mode == "interrupt" and performed and message.mode:
                answer["interruptedActiveRun"] = True
            # Behind the acknowledgement. Until then the run that is performed may end: this one must not follow it.
            run.held = True
            asyncio.get_running_loop().call_soon(self._meet, run, ahead, performed, mode)
        return Sent(answer)

    def start_agent(self, message: Message, owner: Owner) -> Run:
        """A run that waits for its turn, whatever the mode of its session is, and is answered under its own id."""
        free = not self.roster.ahead(message.key) and not self.roster.settles(message.key)
        run = self.new_run(message, self._transcripts.open(message.key), owner)
        run.by_agent, run.system_prompt, run.model = True, message.system_prompt, message.model
        if free:
            self._start(run, message.timeout)
        else:
            self._lates.waits(run)
        return run

    def _meet(self, run: Run, ahead: list[Run], performed: list[Run], mode: Busy) -> None:
        """What becomes of a message that found its session busy, unless it was stopped meanwhile."""
        if not run.over:
            if mode == "interrupt" and performed:
                self._lates.interrupt(run, ahead)
            else:
                self._lates.fold(run, performed[0] if performed else None, mode)
        self.start_next(run.key)

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
        run.on_step = partial(self.recorder.step, run)
        self.roster.add(run)
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
            if not run.by_agent and self._is_command(run):
                return
            if self._profile.strict_keys and run.id != run.id.strip():
                self.recorder.user(run)
                await anext(aiter(self._agent(self._turn(run))), None)
                self._break(run, ODD_KEY)
                return
            run.begin()
            self.recorder.user(run)
            self._lates.begun(run)
            self._changed(run, "start")
            await self._turns(run)
            if run.broken:
                self._break(run, BROKEN)
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
                run.complain()
                run.tell_sent()
                self.retire(run)
                self.roster.settle(run.key, self.start_next)
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
        if self._profile.command_rows:
            self.recorder.user(run)
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
            self._lates.ended(run)
        self.start_next(run.key)

    async def _turns(self, run: Run) -> None:
        text, attachments = run.message, run.attachments
        asked_again = False
        while True:
            try:
                async for piece in (run.agent or self._agent)(self._turn(run, text, attachments)):
                    run.say(piece)
            except TurnOver as over:
                run.say(over.text)
            self.recorder.assistant(run)
            if run.unanswered and not (run.over or run.broken or asked_again):
                asked_again = True
                run.begin_again()
                continue
            taken = self._lates.take(run)
            if not taken or run.broken:
                return
            text, attachments = "\n\n".join(late.message for late in taken), taken[-1].attachments
            run.next_message()

    def _turn(self, run: Run, text: str | None = None, attachments: list[dict[str, Any]] | None = None) -> Turn:
        """What the agent gets: the message of a run, or one that was steered into it."""
        text, attachments = (run.message, run.attachments) if text is None else (text, attachments or [])
        asker = Asker(run, self.asked, self.follow_up)
        caller, sender = ToolCaller(run, self.nodes), FileSender(run, self._transcripts, self.recorder)
        turn = Turn(text, run.key, run.id, attachments, run.gate, run, run.session, asker, caller, sender)
        turn.system_prompt, turn.model = run.system_prompt, run.model
        return turn

    def follow_up(self, run: Run, ident: str, message: str, agent: Agent) -> None:
        """What a run left behind has come to an end: answer that in a run that nobody asked for."""
        if self._stopping:
            return
        later = self.new_run(Message(run.key, run.key, message, [], ident), run.session, run.owner)
        later.follow_up, later.agent = True, agent
        later.unheard = self._profile.approval_output == "unheard"
        self.start_next(run.key)

    def _fail(self, run: Run, message: str, kind: str | None) -> None:
        if run.over:
            return
        extra = {**assistant_extra(), "stopReason": "error"}
        if self._profile.failure_key:
            extra["idempotencyKey"] = f"{run.id}:terminal-error"
        if not self._profile.failure_text:
            extra["errorMessage"] = message
        text = f"The run failed: {message}" if self._profile.failure_text else ""
        self.record(run, new_row("assistant", text, self._audience.now_ms(), run_id=run.id, **extra))
        self._break(run, message, kind)

    def _break(self, run: Run, message: str, kind: str | None = None) -> None:
        """End a run with an error, without a row."""
        run.fail(message, kind)
        self.retire(run)
        self.roster.settle(run.key, self.start_next)
        self._changed(run, "error")

    def _expire(self, run: Run) -> None:
        if not run.over:
            self._fail(run, "the run took longer than its timeoutMs", "timeout")
            self.cancel(run)

    def start_next(self, key: str) -> None:
        """Perform the next run of a session, unless one is performed. A late message also waits until it is settled."""
        queue = self.roster.by_session.get(key, [])
        if self._stopping or not queue or queue[0].state != "queued" or queue[0].task is not None or queue[0].held:
            return
        if not (queue[0].follow_up and self.roster.settles(key)):
            self._start(queue[0])

    def retire(self, run: Run) -> None:
        self.roster.retire(run)

    # chat.abort

    def abort(
        self, written_key: str, key: str, run_id: str | None, owner: Owner, *, admin: bool, reason: str
    ) -> list[str] | str:
        """Stop a run, or all of a session; the ids of those that were stopped, or why none may be."""
        if run_id is not None:
            return self._abort_one(written_key, key, run_id, owner, admin=admin, reason=reason)
        rule = self._profile.abort_key
        if (rule == "canonical" and reason == "rpc" and written_key != key) or not self.roster.ahead(key):
            return []
        found = [run for run in self.roster.ahead(key) if rule != "exact" or run.written_key == written_key]
        found = [run for run in found if self._rules.is_found(run)]
        allowed = [run for run in found if self._rules.may(run.owner, owner, admin=admin)]
        if found and not allowed:
            return "unauthorized"
        for run in allowed:
            self._abort(run, reason)
        return [run.id for run in allowed]

    def _abort_one(
        self, written_key: str, key: str, run_id: str, owner: Owner, *, admin: bool, reason: str
    ) -> list[str] | str:
        run = self.roster.live.get(run_id)
        if run is None or run.over or not self._rules.is_found(run):
            return self._abort_waiting(key, run_id, owner, admin=admin)
        if not self._rules.is_spelled(run, written_key, key, admin=admin):
            return "runId does not match sessionKey"
        if not self._rules.may(run.owner, owner, admin=admin):
            return "unauthorized"
        self._abort(run, reason)
        return [run.id]

    def _abort_waiting(self, key: str, run_id: str, owner: Owner, *, admin: bool) -> list[str] | str:
        late = self._lates.find(run_id, key)
        if late is None:
            return []
        if not self._rules.may(late.owner, owner, admin=admin):
            return "unauthorized"
        self._lates.cancel(late, key)
        return [run_id]

    def _abort(self, run: Run, reason: str) -> None:
        run.abort(reason)
        self._lates.drop(run)
        self.retire(run)
        if run.text:
            self.recorder.aborted(run, reason)
        self._changed(run, "end")
        self.cancel(run)

    def cancel(self, run: Run) -> None:
        if run.task is not None:
            run.task.cancel()

    # sessions.reset

    def reset(self, key: str) -> Transcript:
        """Begin a session anew: what runs is stopped, and what waits is forgotten. Keys that were used stay known."""
        session = self._transcripts.open(key)
        self._lates.begin_anew(key)
        for run in self.roster.ahead(key):
            begun = run.state == "running"
            run.end_by_reset()
            self._lates.forget(run)
            self.retire(run)
            if begun:
                self._changed(run, "end")
            self.cancel(run)
        session.reset(self._profile, self._audience.now_ms())
        if self._profile.session_methods:
            payload = {"sessionKey": key, "reason": "reset", "ts": session.updated_at, "sessionId": session.session_id}
            self._audience.to_session_lists("sessions.changed", payload)
        return session

    def delete(self, session: Transcript) -> None:
        """Forget a session: its runs end without an event."""
        self._lates.begin_anew(session.key)
        for run in self.roster.ahead(session.key):
            run.drop()
            self._lates.forget(run)
            self.retire(run)
            self.cancel(run)
        del self._transcripts.sessions[session.key]

    # Others.

    async def drained(self, seconds: float) -> None:
        """Return when no run is performed any more, or after this time."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)

    async def stop(self) -> None:
        """End every task, without an event: what a process that ends does."""
        self._stopping = True
        self.roster.close()
        self._lates.close()
        for session in self._transcripts.sessions.values():
            session.lose_unwritten(self._profile)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # Inside.

    def record(self, run: Run, row: Row) -> None:
        self.recorder.record(run.session, row)

    def _changed(self, run: Run, phase: str) -> None:
        if self._profile.session_methods:
            self._changes.phase(run, phase)
