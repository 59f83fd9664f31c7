"""A model provider that says what the test asks for: an OpenAI-compatible HTTP server on loopback.

Knows chat completions, streamed and not. Does not know gateways, sessions or the client under test.

The last user message decides the answer by a directive anywhere in it (gateways put a time stamp or metadata around
the text they were given). A directive reaches to the end of its line; README.md lists them all. Text without a
directive, or with one that lacks its number, is echoed.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Container
from dataclasses import dataclass, field
from itertools import takewhile
from types import TracebackType
from typing import Any, Literal, Self

from .completions import MODEL_ID, Answer, read_request

INTERVAL = 0.2
"""Seconds between the pieces of a slow answer: longer than the 150 ms for which old gateways hold back a delta, so
that each piece gets a delta of its own."""

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a request: a gateway sends the whole history of a session, images as base64 included."""

_DIRECTIVE = re.compile(
    r"stub:(?:(?:echo|say|empty|cut|tool|hang|exec|ask)\b|(?:slow|slowtool|long|work|spell) \d+\b"
    r"|call [\w-]+ [{\[]|fail [45]\d\d\b|latefail [45]\d\d \d+\b)[^\r\n]*"
)
_ENVELOPE = re.compile(r"\A.*?\[[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d [^\]\n]*\] ", re.DOTALL)
_TRAILER = re.compile(r"\n\nRuntime: agent=[^\n]*\Z")
_NOT_FROM_A_USER = (
    "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>",
    "OpenClaw runtime context for the immediately preceding user message.",
    "The previous attempt ",
)
"""How the user messages begin that newer gateways add to the one the user wrote: facts for the model after every one,
and the request to try again after an empty answer."""

_TOOL = {"name": "process", "arguments": '{"action": "list"}'}
"""Lists the background commands of the session; offered by every release, changes nothing."""


_THROUGH = "tool_call"
"""The tool through which those are called that a gateway does not offer by their names."""


def _tool_calls(directive: str, argument: str, offered: Container[str]) -> list[dict[str, Any]]:
    """The calls of `stub:exec`, `stub:ask` and `stub:call`, and for all others one that changes nothing."""
    match directive:
        case "exec":
            functions = [{"name": "exec", "arguments": json.dumps({"command": argument})}]
        case "ask":
            functions = [{"name": "ask_user", "arguments": json.dumps({"questions": json.loads(argument)})}]
        case "call":
            name, _, rest = argument.partition(" ")
            given = json.loads(rest)
            functions = [_function(name, one, offered) for one in (given if isinstance(given, list) else [given])]
        case _:
            functions = [_TOOL]
    # Counted anew with every answer, as models do: two sessions make calls with equal ids.
    return [{"id": f"call-{number}", "type": "function", "function": one} for number, one in enumerate(functions, 1)]


def _function(name: str, arguments: Any, offered: Container[str]) -> dict[str, Any]:
    if name not in offered and _THROUGH in offered:
        name, arguments = _THROUGH, {"id": name, "args": arguments}
    return {"name": name, "arguments": json.dumps(arguments)}


Outcome = Literal["answering", "answered", "failed", "cut", "dropped"]


def slow_text(pieces: int) -> str:
    """The whole answer to `stub:slow N`."""
    return " ".join(f"piece-{number}" for number in range(1, pieces + 1))


def work_texts(pieces: int) -> tuple[str, str]:
    """What `stub:work N` says before its tool call and behind it."""
    words = slow_text(pieces).split(" ")
    return " ".join(words[: pieces // 2]), " ".join(words[pieces // 2 :])


def long_text(kilobytes: int) -> str:
    """The whole answer to `stub:long N`: exactly N * 1024 characters, no two lines alike."""
    line = "line-{:08d} of a long answer\n"
    lines = "".join(line.format(number) for number in range(kilobytes * 1024 // len(line.format(0)) + 1))
    return lines[: kilobytes * 1024 - 1] + "."


@dataclass(slots=True)
class Request:
    """One call of the model. `outcome` changes while it is answered; `dropped` = the gateway closed the connection."""

    text: str
    """The last user message, as the gateway passed it on."""
    directive: str
    """`stub:echo hello`, or an empty string when the message held none."""
    after_tool: bool
    """Whether this call continues a run with the result of a tool, rather than beginning one."""
    tool_result: str
    """The texts of the tool results behind that message, a line each; empty when there is none."""
    streamed: bool
    body: dict[str, Any] = field(repr=False)
    outcome: Outcome = "answering"

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the gateway offers for this answer."""
        return [tool["function"]["name"] for tool in self.body.get("tools") or ()]


class StubModel:
    """The server, on a thread of its own. Every method may be called from any thread.

    with StubModel() as model:
        model.url                                   # http://127.0.0.1:PORT/v1
        model.count("stub:echo hello 17")           # how often the model was asked this
    """

    def __init__(self, *, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._released: set[str] = set()
        self._gates: dict[str, asyncio.Event] = {}
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._serve, name="stub-model", daemon=True)
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1; returns when connections are accepted."""
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        listening.result(10)

    def close(self) -> None:
        """Drop all connections and end the thread. Harmless when closed already."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """The base address that a gateway is configured with."""
        return f"http://127.0.0.1:{self._port}/v1"

    def requests(self, text: str = "") -> list[Request]:
        """The calls so far whose last user message contains `text`, oldest first."""
        with self._changed:
            return [request for request in self._requests if text in request.text]

    def count(self, text: str) -> int:
        """How often the model was asked to answer a message that contains `text`: runs, and a gateway's own retries.

        The second call of a run that used a tool does not count.
        """
        return sum(not request.after_tool for request in self.requests(text))

    def wait_for(
        self, text: str, *, outcome: Outcome | None = None, count: int = 1, timeout: float = 30.0
    ) -> list[Request]:
        """Block until `count` calls contain `text` (and came to `outcome`, if given); they are returned.

        Raises `TimeoutError` after `timeout` seconds.
        """

        def found() -> list[Request]:
            return [one for one in self.requests(text) if outcome in (None, one.outcome)]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, timeout):
                seen = [(one.directive or one.text[-60:], one.outcome) for one in self._requests[-5:]]
                raise TimeoutError(f"no {count} calls with {text!r} ({outcome}) in {timeout} s; the last were {seen}")
            return found()

    def release(self, name: str) -> None:
        """Let every `stub:hang NAME` finish, those still to come included."""

        def release() -> None:
            self._released.add(name)
            self._gate(name).set()

        self._loop.call_soon_threadsafe(release)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=MAX_BODY)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _gate(self, name: str) -> asyncio.Event:
        gate = self._gates.setdefault(name, asyncio.Event())
        if name in self._released:
            gate.set()
        return gate

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._one_exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the gateway went away; the request, if one was read, is marked as dropped
        finally:
            self._connections.discard(task)
            writer.close()

    async def _one_exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, body = await read_request(reader)
        answer = Answer(writer)
        if path.endswith("/models"):
            await answer.json(200, {"object": "list", "data": [{"id": MODEL_ID, "object": "model"}]})
            return
        if method != "POST" or not path.endswith("/chat/completions"):
            await answer.json(404, {"error": {"message": f"no {method} {path} here", "type": "stub_error"}})
            return
        request = _understand(json.loads(body))
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
        await self._answer_unless_dropped(request, reader, answer)

    async def _answer_unless_dropped(self, request: Request, reader: asyncio.StreamReader, answer: Answer) -> None:
        """A gateway that aborts a run closes the connection while the answer waits: nothing is written then."""
        answering = asyncio.ensure_future(self._answer(request, answer))
        closing = asyncio.ensure_future(reader.read(1))
        outcome: Outcome = "dropped"
        try:
            await asyncio.wait((answering, closing), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                outcome = answering.result()
        finally:
            answering.cancel()
            closing.cancel()
            await asyncio.gather(answering, closing, return_exceptions=True)
            with self._changed:
                request.outcome = outcome
                self._changed.notify_all()

    async def _answer(self, request: Request, answer: Answer) -> Outcome:
        directive, _, argument = request.directive.removeprefix("stub:").partition(" ")
        numbers = _leading_numbers(argument)
        if directive == "latefail":
            await asyncio.sleep(numbers[1] / 1000)
        if directive == "latefail" or (directive == "fail" and not self._enough(request, numbers[1:])):
            status = numbers[0]
            await answer.json(status, {"error": {"message": f"stub failure {status}", "type": "stub_error"}})
            return "failed"
        await answer.begin(request.streamed)
        if directive == "cut" and not self._enough(request, numbers):
            await self._pieces(answer, 2)
            answer.cut()
            return "cut"
        if directive == "slowtool" and not request.after_tool:
            await self._pieces(answer, numbers[0])
        if directive == "work" and not request.after_tool:
            await self._pieces(answer, *_pace(numbers), until=numbers[0] // 2)
        if directive in ("tool", "slowtool", "work", "exec", "ask", "call") and not request.after_tool:
            for call in _tool_calls(directive, argument, request.tools):
                await answer.tool_call(call)
        else:
            await self._say(directive, argument, request, answer)
        await answer.end()
        return "answered"

    async def _say(self, directive: str, argument: str, request: Request, answer: Answer) -> None:
        numbers = _leading_numbers(argument)
        match directive:
            case "slow":
                await self._pieces(answer, *_pace(numbers))
            case "work":
                await self._pieces(answer, *_pace(numbers), begin=numbers[0] // 2 + 1)
            case "spell":
                await answer.tokens(argument.partition(" ")[2], numbers[0] / 1000)
            case "hang":
                await self._pieces(answer, 3)
                await self._gate(argument.strip()).wait()
                await answer.text(" released")
            case "long":
                text = long_text(numbers[0])
                for start in range(0, len(text), 1024):
                    await answer.text(text[start : start + 1024])
            case "empty":
                pass
            case "say":
                await answer.tokens(_unescaped(argument))
            case "fail" | "cut":
                await answer.tokens(f"recovered: {request.directive}")
            case "exec" | "ask" | "call":
                await answer.tokens(request.tool_result)
            case "tool" | "slowtool":
                await answer.tokens(f"tool answered: {argument}".rstrip(": "))
            case _:
                await answer.tokens(f"echo: {_unescaped(argument) if directive else _unwrapped(request.text)}")

    async def _pieces(
        self, answer: Answer, count: int, interval: float | None = None, *, begin: int = 1, until: int | None = None
    ) -> None:
        last = count if until is None else until
        for number in range(begin, last + 1):
            await answer.text(f" piece-{number}" if number > begin else f"piece-{number}")
            if number < last:
                await asyncio.sleep(self._interval if interval is None else interval)

    def _enough(self, request: Request, times: list[int]) -> bool:
        """Whether a directive that misbehaves the first TIMES times has done so; without a number it always does."""
        return bool(times) and len(self.requests(request.directive)) > times[0]


def _understand(body: dict[str, Any]) -> Request:
    text, results = "", []
    for message in body.get("messages", ()):
        content = _text_of(message.get("content"))
        if message.get("role") == "tool":
            results.append(content)
        elif message.get("role") == "user" and not _unwrapped(content).startswith(_NOT_FROM_A_USER):
            text, results = content, []
    found = _DIRECTIVE.findall(text)
    # The last one counts: a gateway that hands over several queued messages at once puts the newest at the end.
    directive = found[-1].rstrip() if found else ""
    return Request(text, directive, bool(results), "\n".join(results), bool(body.get("stream")), body)


def _pace(numbers: list[int]) -> tuple[int, float | None]:
    """How many pieces, and the seconds between two of them where the directive tells."""
    return numbers[0], numbers[1] / 1000 if len(numbers) > 1 else None


def _leading_numbers(argument: str) -> list[int]:
    return [int(word) for word in takewhile(str.isdigit, argument.split())]


def _unescaped(argument: str) -> str:
    return argument.replace("\\n", "\n")


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def _unwrapped(text: str) -> str:
    """What the user wrote, without the metadata and the time stamp before it and the facts after it."""
    return _TRAILER.sub("", _ENVELOPE.sub("", text, count=1))
