"""What an agent gets: one message to answer, and the means to show what it does.

Knows no wire: a run turns what is said here into events.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, Protocol

from openclaw_client.testing.files import SentFile, Way
from openclaw_client.testing.offers import OfferedTool

Decision = Literal["allow-once", "allow-always", "deny"]
"""What may be said to a command that needs an approval."""

Agent = Callable[["Turn"], AsyncIterator[str]]
"""An async generator function: what it yields is the text of the answer, piece by piece."""


class Gate:
    """A door that opens once. `open` may be called from any thread; waiting is cancelled without a trace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    @property
    def is_open(self) -> bool:
        return self._open

    def open(self) -> None:
        """Let everybody through who waits, and everybody who comes later."""
        with self._lock:
            self._open = True
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            loop.call_soon_threadsafe(_finish, future)

    async def wait(self) -> None:
        """Return when the gate is open."""
        with self._lock:
            if self._open:
                return
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.append((loop, future))
        await future


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class TurnFailed(Exception):
    """Raised by `Turn.fail`. kind: "timeout", "rate_limit", … as in errorKind of 2026.9.6, or None."""

    def __init__(self, message: str, kind: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind


class TurnOver(Exception):
    """Raised by `Turn.ask_approval` where a release ends the run there; the run takes it for the end of the agent.

    text: what the run says at its end.
    """

    def __init__(self, text: str) -> None:
        super().__init__("this release ends the run of a command that needs an approval")
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandToApprove:
    """A command that needs an approval; see `Turn.ask_approval`."""

    call: str
    command: str
    cwd: str | None
    ask: str
    warning: str | None
    output: str
    then: Agent | None
    expires_in: float | None


class Stage(Protocol):
    """Where a turn is performed: implemented by the run."""

    def show_status(self, phase: str, retry: Mapping[str, Any] | None) -> None: ...
    def show_thinking(self, text: str) -> None: ...
    def show_tool(self, data: dict[str, Any]) -> None: ...
    def replace_text(self, text: str) -> None: ...
    def silence(self) -> None: ...
    def show_agent(self, stream: str, data: Mapping[str, Any]) -> None: ...


class Asking(Protocol):
    """Asks people for a turn: implemented beside the run."""

    async def ask_approval(self, command: CommandToApprove) -> Decision | None: ...
    def checked_items(self, questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]: ...
    async def ask_question(
        self, call: str, items: list[dict[str, Any]], expires_in: float | None
    ) -> dict[str, list[str]] | None: ...


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What came of a tool call.

    Attributes:
        text: The texts of the result, or what went wrong; as much as a model would read.
        is_error: Whether the model is told that it failed.
        images: The bytes and the MIME type of each.
        told: The text that the model reads. Where it has to search for tools that is the result within a notice.
    """

    text: str
    is_error: bool = False
    images: tuple[tuple[bytes, str], ...] = field(default=(), repr=False)
    told: str = field(default="", repr=False)


class StartTool(Protocol):
    """Begins a tool call and returns its id, as `Turn.tool_start`."""

    def __call__(self, name: str, args: Mapping[str, Any], *, call_id: str | None) -> str: ...


class Calling(Protocol):
    """Calls tools for a turn: implemented beside the run."""

    def offered(self) -> dict[str, OfferedTool]: ...
    async def call_tool(
        self, start: StartTool, name: str, arguments: dict[str, Any], *, seconds: float | None, call_id: str | None
    ) -> ToolAnswer: ...


class Sending(Protocol):
    """Sends files for a turn: implemented beside the run."""

    def checked(self, name: str, data: bytes, mime_type: str, way: Way) -> SentFile: ...
    def in_reply(self, file: SentFile) -> None: ...
    def in_row(self, file: SentFile, text: str) -> None: ...
    def in_result(self, file: SentFile) -> None: ...


class Past(Protocol):
    """The messages of a session."""

    def spoken(self) -> list[dict[str, str]]: ...


@dataclass(slots=True)
class Turn:
    """One message that an agent answers.

    gate: opened by `EmbeddedGateway.release`, for agents that wait for the test. system_prompt, model: what was asked
    for with the message by the method `agent`; None for a message of chat.send. All methods are for the agent's own
    task.
    """

    message: str
    session_key: str
    run_id: str
    attachments: list[dict[str, Any]]
    gate: Gate
    _stage: Stage = field(repr=False)
    _past: Past = field(repr=False)
    _asking: Asking = field(repr=False)
    _calling: Calling = field(repr=False)
    _sending: Sending = field(repr=False)
    _tools: int = 0
    _one_call: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    system_prompt: str | None = field(default=None, repr=False)
    model: str | None = None

    @property
    def history(self) -> list[dict[str, str]]:
        """The session so far, oldest first, as `{"role": …, "text": …}`; this message is the last."""
        return self._past.spoken()

    def status(self, phase: str, *, retry: Mapping[str, Any] | None = None) -> None:
        """Say what the run is about. Releases without status events tell nobody."""
        self._stage.show_status(phase, retry)

    def thinking(self, text: str) -> None:
        """Show reasoning: an agent event, never part of the answer."""
        self._stage.show_thinking(text)

    def tool_start(self, name: str, args: Mapping[str, Any] | None = None, *, call_id: str | None = None) -> str:
        """Begin a tool call; returns its id. Shown to clients with the cap tool-events only."""
        self._tools += 1
        call = call_id or f"call-{self._tools}"
        self._stage.show_tool({"phase": "start", "name": name, "toolCallId": call, "args": dict(args or {})})
        return call

    def tool_update(self, call: str, name: str, partial: Any) -> None:
        """Show what a tool has found so far."""
        self._stage.show_tool({"phase": "update", "name": name, "toolCallId": call, "partialResult": partial})

    def tool_finish(self, call: str, name: str, result: str = "", *, error: bool = False) -> None:
        """End a tool call with its text."""
        self._stage.show_tool(tool_result(call, name, result, error=error))

    def tool(self, name: str, args: Mapping[str, Any] | None = None, result: str = "", *, error: bool = False) -> None:
        """A whole tool call."""
        self.tool_finish(self.tool_start(name, args), name, result, error=error)

    @property
    def tools(self) -> dict[str, OfferedTool]:
        """The tools of nodes that this run may call now, by name: those that an approved node has published."""
        return self._calling.offered()

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        call_id: str | None = None,
    ) -> ToolAnswer:
        """Call a tool that a node serves, as a model does, and return what it answers.

        A tool that is not there, a node that is lost, and one that takes longer than timeout (seconds; 120 where not
        given) are answers, too: with `is_error`, for the model goes on. The run being stopped cancels the call.
        """
        args = dict(arguments or {})
        # Calls of one run that are made at once are performed one by one.
        async with self._one_call:
            return await self._calling.call_tool(self.tool_start, name, args, seconds=timeout, call_id=call_id)

    async def ask_approval(
        self,
        command: str,
        *,
        cwd: str | None = None,
        ask: Literal["always", "on-miss"] = "always",
        warning: str | None = None,
        output: str = "",
        then: Agent | None = None,
        expires_in: float | None = None,
    ) -> Decision | None:
        """Call the tool `exec` with a command that needs somebody's approval; returns the decision.

        None: it expired. "deny" at once: nobody may be asked, on releases that see that. On releases that end the run
        here this does not return, and `then` answers later, in a run of its own, when the command is allowed; without
        it a default text does. ask: what the policy says; "always" forbids "allow-always" on most releases. output:
        what the command prints when it is allowed. expires_in: seconds, where not as for the gateway.
        """
        args = {"command": command} if cwd is None else {"command": command, "workdir": cwd}
        call = self.tool_start("exec", args)
        wish = CommandToApprove(
            call=call,
            command=command,
            cwd=cwd,
            ask=ask,
            warning=warning,
            output=output,
            then=then,
            expires_in=expires_in,
        )
        return await self._asking.ask_approval(wish)

    async def ask_question(
        self, questions: Sequence[Mapping[str, Any]], *, expires_in: float | None = None
    ) -> dict[str, list[str]] | None:
        """Call the tool `ask_user` with up to three questions; returns the answers by `questionId`.

        Each is `{"questionId": …, "header": …, "question": …, "options": [{"label": …}, …]}`, with "multiSelect",
        "isSecret", and "isOther" (True: text beside the options is taken). None: cancelled, expired, or this client may
        not be asked. expires_in: seconds, where not as for the gateway. Raises UsageError on releases without
        questions, and for what no gateway would ask.
        """
        items = self._asking.checked_items(questions)
        call = self.tool_start("ask_user", {"questions": [dict(one) for one in questions]})
        return await self._asking.ask_question(call, items, expires_in)

    def send_file(self, name: str, data: bytes, mime_type: str, *, way: Way = "message", text: str = "") -> None:
        """Send a file, in one of the ways in which an agent does it.

        "message": with the tool of this name, in a row with the text, of which every subscriber is told. "reply": in a
        line of the answer; the file stands in the history alone, behind the words. Clients fetch both by a link.
        "result": an image that a tool looked at; the row holds it, and clients get its bytes in an answer. Where no
        gateway sends a file of this type, an error stands in its place. Raises UsageError on releases of which it is
        not known how they do it, and for more than is kept.
        """
        file = self._sending.checked(name, data, mime_type, way)
        if way == "reply":
            self._sending.in_reply(file)
        elif way == "message":
            call = self.tool_start("message", {"action": "send", "message": text, "media": f"./{name}"})
            self._sending.in_row(file, text)
            self.tool_finish(call, "message", "Sent visible reply to the current source conversation via internal-ui.")
        else:
            call = self.tool_start("read", {"path": name})
            self._sending.in_result(file)
            self.tool_finish(call, "read", f"Read image file [{mime_type}]")

    def replace(self, text: str) -> None:
        """Void the text so far: the answer is now this."""
        self._stage.replace_text(text)

    def final_without_message(self) -> None:
        """End without an answer of its own, whatever was said: what a silent reply looks like."""
        self._stage.silence()

    def agent_event(self, stream: str, data: Mapping[str, Any]) -> None:
        """Any other event of the run, as it is."""
        self._stage.show_agent(stream, data)

    def fail(self, message: str, kind: str | None = None) -> NoReturn:
        """End the run with an error."""
        raise TurnFailed(message, kind)


def tool_result(call: str, name: str, text: str, *, error: bool = False) -> dict[str, Any]:
    """The event of a tool's result."""
    content = {"content": [{"type": "text", "text": text}]}
    return {"phase": "result", "name": name, "toolCallId": call, "isError": error, "result": content}


def tool_error(name: str, message: str) -> str:
    """The text of the result of a tool that raised."""
    return json.dumps({"status": "error", "tool": name, "error": message}, indent=2)
