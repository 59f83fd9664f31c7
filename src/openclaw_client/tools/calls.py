"""The calls of one host: which one runs, which one waits in line, when its time is over, and what is answered.

On the loop's thread. Knows no task, no thread and no socket: a `CallRunner` runs functions, a `Reply` sends answers,
and the clock is handed in. Each call is answered once at most, on the connection on which it came, and never when that
is lost: the gateway has told the agent by then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import inf
from typing import Any, Final, Protocol

from openclaw_client.errors.peer_text import cut, one_line
from openclaw_client.logs import GuardedLogger
from openclaw_client.tools.call import ToolCall
from openclaw_client.tools.tool import Tool
from openclaw_client.wire.nodes import MAX_PARAMS, TOOL_COMMAND, Invocation, ToolParams, tool_params_from

MOST_WAITING: Final = 1_000
"""Calls that wait in line: of more sessions at once than one host can serve."""
MAX_WAITING_BYTES: Final = 67_108_864
"""Characters of the parameters of these."""
KEPT_IDS: Final = 4_096
"""Ids of calls that are remembered, so that a frame that comes twice is no second call. Those of a minute, of a host
that is called seventy times a second."""
MARGIN: Final = 2.0
"""Seconds before the gateway's own limit at which a call is given up: the answer has to get there."""
DEFAULT_LIMIT: Final = 120.0
"""Seconds that a gateway waits that does not say so (2026.8.1 and 2026.9.6 say 119.99)."""
LONGEST: Final = 3_600.0
"""Seconds that a gateway's word is taken for at most."""
SHOWN_NAME: Final = 80
"""Characters of an unknown tool's name that are shown."""

NOT_READY: Final = "NODE_NOT_READY"
"""The code for a host that is leaving: the gateway tries such a call again."""
INVALID: Final = "INVALID_REQUEST"
REFUSED: Final = "FORBIDDEN"

_COMPLETE: Final = frozenset({"ok", "error", "failed"})
"""Outcomes of calls whose function has come to its end."""

logger = GuardedLogger("openclaw_client.tools")


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What a call came to: content for the model, or a code and words where it was not made. cause: the class of the
    exception that nobody meant for the model."""

    content: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    failed: bool = False
    code: str | None = None
    message: str = field(default="", repr=False)
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call of a tool ended. Nothing of what it was about.

    Attributes:
        outcome: "ok"; "error" for what the model was told of on purpose; "failed" for another exception, whose class
            is in `cause`; "timeout", "busy"; "cancelled", "lost" and "leaving" where nobody waited for it any more.
    """

    tool: str
    session_key: str | None
    seconds: float
    outcome: str
    cause: str | None = None


def words(text: str, cause: str | None = None) -> CallAnswer:
    """Plain words to the model about what went wrong."""
    return CallAnswer(({"type": "text", "text": text},), failed=True, cause=cause)


class CallRunner(Protocol):
    """Runs functions somewhere else. On the loop's thread; must not block and must not raise."""

    def run(self, tool: Tool[..., Any], call: ToolCall, done: Callable[[CallAnswer], None]) -> Callable[[], object]:
        """Run the function soon, and call done once, on the loop's thread and never within this.

        Returns what tells it that nobody waits for the result any more; done is called all the same, when the function
        has come to its end.
        """
        ...


Reply = Callable[[Invocation, CallAnswer], None]


@dataclass(slots=True, eq=False)
class _Call:
    invocation: Invocation
    tool: Tool[..., Any]
    call: ToolCall
    began: float
    deadline: float
    seconds: float
    leave: Callable[[], object] | None = None
    ended: str = ""

    @property
    def size(self) -> int:
        return len(self.invocation.params)


class Calls:
    """One host's. name: what the host calls itself; find gives a tool by its name. on_idle is told when the last call
    has been answered, on_end of each call of a tool that there is."""

    def __init__(
        self,
        runner: CallRunner,
        reply: Reply,
        find: Callable[[str], Tool[..., Any] | None],
        *,
        name: str,
        most: int,
        clock: Callable[[], float],
    ) -> None:
        self.on_idle: Callable[[], object] = _nothing
        self.on_end: Callable[[CallEnd], object] = _nothing
        self._runner = runner
        self._reply = reply
        self._find = find
        self._name = name
        self._most = most
        self._clock = clock
        self._serial = count(1)
        self._open: dict[str, _Call] = {}
        self._busy: dict[int, _Call] = {}
        self._line: OrderedDict[str, _Call] = OrderedDict()
        self._line_size = 0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._leaving = False
        self._due = inf

    @property
    def running(self) -> int:
        """Functions that run, those whose result nobody waits for any more included."""
        return len(self._busy)

    @property
    def waiting(self) -> int:
        """Calls that wait for one of them to end."""
        return len(self._line)

    @property
    def unanswered(self) -> int:
        return len(self._open)

    def admit(self) -> None:
        """Calls are taken, from now on."""
        self._leaving = False

    def leave(self) -> None:
        """No call is begun any more; those that run come to their end."""
        self._leaving = True
        for waiting in tuple(self._line.values()):
            self._end(waiting, "leaving", _not_ready(self._name))

    def lost(self) -> None:
        """The connection is gone, and nobody waits for any result."""
        for one in tuple(self._open.values()):
            self._end(one, "lost", None)

    def take(self, invocation: Invocation) -> None:
        """A call has come."""
        if self._is_known(invocation.id):
            logger.debug("a call came twice and is made once: %s", one_line(invocation.id))
            return
        if self._leaving:
            self._reply(invocation, _not_ready(self._name))
            return
        found = self._tool_of(invocation)
        if isinstance(found, CallAnswer):
            self._reply(invocation, found)
            return
        tool, params = found
        seconds = _limit(tool.timeout, invocation.timeout)
        now = self._clock()
        deadline = now + seconds
        call = ToolCall(
            tool=tool.name,
            arguments=params.arguments,
            session_key=invocation.session_key,
            call_id=invocation.id,
            deadline=deadline,
            clock=self._clock,
        )
        self._begin(_Call(invocation, tool, call, now, deadline, seconds))

    def cancel(self, ident: str) -> None:
        """The gateway does not wait for this one any more."""
        one = self._open.get(ident)
        if one is not None:
            self._end(one, "cancelled", None)

    def deadline(self) -> float:
        """When `handle_deadline` is to be called: not later than the next call's time is over."""
        return self._due

    def handle_deadline(self) -> None:
        now = self._clock()
        if now < self._due:
            return
        for one in [one for one in self._open.values() if one.deadline <= now]:
            if one.invocation.id in self._line:
                self._end(one, "busy", self._busy_words(one))
            else:
                self._end(one, "timeout", _late_words(one))
        self._due = min((one.deadline for one in self._open.values()), default=inf)

    def _is_known(self, ident: str) -> bool:
        if ident in self._open or ident in self._seen:
            return True
        self._seen[ident] = None
        if len(self._seen) > KEPT_IDS:
            self._seen.popitem(last=False)
        return False

    def _tool_of(self, invocation: Invocation) -> tuple[Tool[..., Any], ToolParams] | CallAnswer:
        """What is called, or why nothing is."""
        if invocation.command != TOOL_COMMAND:
            return CallAnswer(code=INVALID, message=f"{self._name} does not know the command {invocation.command}")
        if len(invocation.params) > MAX_PARAMS:
            size = f"{len(invocation.params):,} characters, and {MAX_PARAMS:,} are allowed"
            return words(f"The arguments have {size}.")
        params = tool_params_from(invocation.params)
        if params is None:
            return CallAnswer(code=INVALID, message=f"{self._name} cannot read the parameters of this call")
        tool = self._find(params.tool)
        if tool is None:
            name = cut(one_line(params.tool), SHOWN_NAME)
            return CallAnswer(code=INVALID, message=f"{self._name} has no tool {name}")
        return tool, params

    def _begin(self, one: _Call) -> None:
        if one.seconds <= 0:
            self._end(one, "timeout", _late_words(one))
        elif len(self._busy) < self._most:
            self._open[one.invocation.id] = one
            self._due = min(self._due, one.deadline)
            self._start(one)
        elif len(self._line) >= MOST_WAITING or self._line_size + one.size > MAX_WAITING_BYTES:
            self._end(one, "busy", self._busy_words(one))
        else:
            self._open[one.invocation.id] = self._line[one.invocation.id] = one
            self._line_size += one.size
            self._due = min(self._due, one.deadline)

    def _start(self, one: _Call) -> None:
        serial = next(self._serial)
        self._busy[serial] = one
        one.leave = self._runner.run(one.tool, one.call, partial(self._done, serial))

    def _done(self, serial: int, answer: CallAnswer) -> None:
        """A function has come to its end."""
        one = self._busy.pop(serial)
        if not one.ended:
            self._end(one, _outcome(answer), answer)
        elif one.ended == "timeout":
            behind = self._clock() - one.deadline
            logger.info("a result of %s came %.1f s after its time limit and was dropped", one.tool.name, behind)
        while self._line and len(self._busy) < self._most:
            _, following = self._line.popitem(last=False)
            self._line_size -= following.size
            self._start(following)

    def _end(self, one: _Call, how: str, answer: CallAnswer | None) -> None:
        """Nothing is awaited of this call any more; answer is what the gateway is told."""
        ident = one.invocation.id
        one.ended = how
        self._open.pop(ident, None)
        if self._line.pop(ident, None) is not None:
            self._line_size -= one.size
        if how not in _COMPLETE:
            one.call._cancel()
            if one.leave is not None:
                one.leave()
        logger.debug("a call of %s ended: %s", one.tool.name, how)
        if answer is not None:
            self._reply(one.invocation, answer)
        cause = answer.cause if answer is not None else None
        seconds = self._clock() - one.began
        self.on_end(CallEnd(one.tool.name, one.invocation.session_key, seconds, how, cause))
        if not self._open:
            self._due = inf
            self.on_idle()

    def _busy_words(self, one: _Call) -> CallAnswer:
        return words(f"{one.tool.name} was not called: {self._name} is busy. Try again later.")


def _outcome(answer: CallAnswer) -> str:
    if answer.cause is not None:
        return "failed"
    return "error" if answer.failed or answer.code is not None else "ok"


def _limit(own: float | None, given: float | None) -> float:
    """Seconds for a call: the tool's own limit, or what the gateway waits, less what the answer needs on its way."""
    waits = DEFAULT_LIMIT if given is None else min(given, LONGEST)
    return min(inf if own is None else own, max(waits - MARGIN, waits / 2))


def _late_words(one: _Call) -> CallAnswer:
    return words(f"{one.tool.name} took longer than {max(one.seconds, 0):.3g} s and was given up.")


def _not_ready(name: str) -> CallAnswer:
    return CallAnswer(code=NOT_READY, message=f"{name} is leaving")


def _nothing(*_: object) -> None:
    """Nobody wants to know."""
