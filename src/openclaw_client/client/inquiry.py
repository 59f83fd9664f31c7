"""Asks the gateway about a run whose events were missed, and carries out what `runs.recovery` decides.

Asked after every reconnect, and when nothing has been heard of a run for a while: gateways drop events of slow readers,
and 2026.4.15 and 2026.6.1 send no chat event for a run that failed (observed).
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from openclaw_client.client.pages import completed, page_reaching
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import ConnectionLost, GatewayError, NotConnected, RequestFailed
from openclaw_client.runs.recovery import (
    AskAgain,
    Continue,
    Finish,
    Known,
    Lost,
    Question,
    Resend,
    Step,
    absorbed_by,
    cut_rows,
    decide,
    look_up,
    reaches,
)

if TYPE_CHECKING:
    from openclaw_client.client.driver import RunDriver
    from openclaw_client.client.engine import Engine

PAGE = 50
"""Messages of history that are looked through first for a reply; a run with its tools is rarely above twenty rows."""
TRIES = 6
"""How often a run that is over is looked for in the history before it is lost."""
PAUSE = 0.5
"""Seconds between these tries: observed gateways write the rows of a run within a second of its end."""
SILENCE = 30.0
"""Seconds without a sign of a run until the gateway is asked about it. Nothing is decided by the silence itself."""
SILENCE_AFTER_ERROR = 16.0
"""The same after a lifecycle error: a gateway may start the run again within 15 s of one (protocol docs)."""

SILENCE_AFTER_GAP = 3.0
"""The same after a gap in the numbers of wire v3, which count for the whole gateway: what is missing may have been for
others. The next delta or the final, which mend what a lost delta harmed, mostly come sooner."""
KEY_LIVES = 240.0
"""Seconds for which a gateway knows the key of a run that has ended: it keeps keys for five minutes (observed)."""
WHERE_TRIES = 3
"""How often a message that ended without words is looked for in the history."""
WHERE_PAUSE = 0.1
"""Seconds between these tries."""

logger = logging.getLogger("openclaw_client.client")


class Inquiry:
    """The questions about one run; one at a time."""

    def __init__(self, engine: Engine, run: RunDriver) -> None:
        self._engine = engine
        self._run = run
        self._sent_at: float | None = None
        self._sent_at_loop = 0.0
        self._silence = False
        self._sent_over: Connection | None = None
        self._sent_over_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._asking = False
        self._again = False
        self._refusals = 0

    def sent(self, connection: Connection) -> None:
        """The message is on its way over this connection."""
        if self._sent_at is None:
            self._sent_at, self._sent_at_loop = time.time(), asyncio.get_running_loop().time()
        # The latest: whether the gateway is another process than the one that has it now.
        self._sent_over, self._sent_over_at = connection, time.time()

    def begin(self, *, silence: bool = False) -> None:
        """Ask now, unless a question is under way. silence: nothing was heard for a while."""
        self._silence = silence
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._ask_until_sure(), name="openclaw-inquiry")
        elif not self._asking:
            self._again = True

    def doubt(self) -> None:
        """Events were lost: ask now, or once more where an answer that is on its way may be older than that."""
        self._again = self._asking
        self.begin()

    def where(self) -> None:
        """Ask what became of a message whose run ended without words."""
        self.stop()
        self._task = asyncio.get_running_loop().create_task(self._look_where(), name="openclaw-inquiry")

    def again(self) -> None:
        """Ask now, whatever was asked over an earlier connection."""
        self.stop()
        self._refusals = 0
        self.begin()

    def stop(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._task = None

    async def _ask_until_sure(self) -> None:
        while True:
            self._again, self._asking = False, True
            try:
                await self._ask()
            finally:
                self._asking = False
            if self._run.ended:
                return
            # A gateway that drops events of a slow reader drops many: one question for all of them.
            await asyncio.sleep(PAUSE)
            if not self._again:
                return

    async def _look_where(self) -> None:
        run, found = self._run, None
        try:
            for left in range(WHERE_TRIES - 1, -1, -1):
                page = await self._engine.requests.history(run.request.session_key, PAGE)
                found = absorbed_by(page, run.request.run_id)
                if found is not None or not left:
                    break
                await asyncio.sleep(WHERE_PAUSE)
        except GatewayError as error:
            logger.debug("the history of %s cannot be read: %s", run.request.session_key, error)
        run.absorbed(found or None)

    async def _ask(self) -> None:
        for left in range(TRIES, -1, -1):
            try:
                connection = await self._engine.ready(None)
            except GatewayError:
                # The end, of which the run hears by itself.
                return
            try:
                step = await self._step(connection, patient=left > 0)
            except (ConnectionLost, NotConnected):
                # Another connection, another question.
                return
            except RequestFailed as error:
                if not error.retryable:
                    self._on_refusal(error)
                    return
                step = AskAgain()
            except GatewayError as error:
                logger.debug("the history of %s cannot be read: %s", self._run.request.session_key, error)
                return
            if self._run.ended or (connection.end is not None and not isinstance(step, Finish)):
                # The answer came with the end of its connection, perhaps in one packet: the next one is asked.
                return
            if not isinstance(step, AskAgain):
                self._carry_out(step, connection)
                return
            await asyncio.sleep(PAUSE)

    async def _step(self, connection: Connection, *, patient: bool) -> Step:
        run, request = self._run, self._run.request
        sent_at, before = self._sent_at_gateway(connection), run.ended_before is not None
        question = Question(run.run_ids[-1], request.message, sent_at, before=before)
        restarted = self._restarted(connection)
        deaf = self._silence and run.unheard and self._key_lives()
        known = Known(run.acknowledged, restarted=restarted, patient=patient, ended=run.ended_before, deaf=deaf)
        engine, session = self._engine, request.session_key
        page = await page_reaching(engine, session, PAGE, lambda page: reaches(page, question))
        page = await completed(engine, session, page, lambda page: cut_rows(page, question))
        return decide(look_up(page, question), known)

    def _on_refusal(self, error: RequestFailed) -> None:
        logger.debug("the history of %s cannot be read: %s", self._run.request.session_key, error)
        self._refusals += 1
        # Once may be a moment of the gateway's. The second question comes out of a silence.
        if self._refusals > 1 and self._run.unanswered:
            self._run.lose("the gateway does not say what became of it", error)

    def _carry_out(self, step: Step, connection: Connection) -> None:
        run = self._run
        if isinstance(step, Continue):
            run.resumed(step.text)
        elif isinstance(step, Finish):
            run.settle(step.answer)
        elif isinstance(step, Resend):
            run.send_over(connection)
        elif isinstance(step, Lost) and step.part is not None:
            run.resumed(step.part if step.part.startswith(run.fold.text) else None)
            run.lose("the run is over, and the history gives only a part of its reply", forgotten=step.forgotten)
        elif isinstance(step, Lost):
            run.lose("the run is over, and its reply is not in the history", forgotten=step.forgotten)
        else:
            run.leave_unknown()

    def _sent_at_gateway(self, connection: Connection) -> float | None:
        if self._sent_at is None or connection.clock_offset is None:
            return None
        return (self._sent_at + connection.clock_offset) * 1000

    def _key_lives(self) -> bool:
        """Whether the run was alive so lately that the gateway knows its key, even if it has ended since."""
        now = asyncio.get_running_loop().time()
        # The loop's clock stands still while a laptop sleeps; the gateway's does not.
        slept = time.time() - (self._sent_at or 0.0) - (now - self._sent_at_loop)
        return now - self._run.alive_at < KEY_LIVES and slept < PAUSE

    def _restarted(self, connection: Connection) -> bool:
        """Whether the gateway is another process than the one that got the message."""
        before = self._sent_over.hello if self._sent_over is not None else None
        after = connection.hello
        if before is None or after is None or connection is self._sent_over:
            return False
        if before.server.boot_id and after.server.boot_id:
            return before.server.boot_id != after.server.boot_id
        # As it was in the handshake: the connection may be old by now.
        uptime = after.snapshot.uptime_ms
        return uptime is not None and uptime / 1000 < connection.challenged_at - self._sent_over_at
