"""HTTP as a model provider speaks it: reads one request, writes one chat completion, streamed or not.

Knows the wire format of OpenAI's chat completions. Does not know what is said, or to whom.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

MODEL_ID = "stub-1"


class Answer:
    """Writes one response: server-sent events in HTTP chunks, or one JSON body at the end."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._streamed = False
        self._text = ""
        self._calls: list[dict[str, Any]] = []

    async def begin(self, streamed: bool) -> None:
        self._streamed = streamed
        if streamed:
            self._head(200, "text/event-stream", "Transfer-Encoding: chunked")
            await self._delta({"role": "assistant", "content": ""})

    async def tokens(self, text: str, interval: float = 0.0) -> None:
        """Word by word. interval: seconds behind each."""
        for token in re.findall(r"\s*\S+\s*$|\s*\S+", text):
            await self.text(token)
            if interval:
                await asyncio.sleep(interval)

    async def text(self, piece: str) -> None:
        self._text += piece
        await self._delta({"content": piece})

    async def tool_call(self, call: dict[str, Any]) -> None:
        await self._delta({"tool_calls": [{"index": len(self._calls), **call}]})
        self._calls.append(call)

    async def end(self) -> None:
        reason = "tool_calls" if self._calls else "stop"
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if self._streamed:
            await self._event(_completion("chat.completion.chunk", {"delta": {}, "finish_reason": reason}, usage))
            await self._chunk(b"data: [DONE]\n\n")
            await self._chunk(b"")
            return
        message: dict[str, Any] = {"role": "assistant", "content": self._text}
        if self._calls:
            message["tool_calls"] = self._calls
        choice = {"message": message, "finish_reason": reason}
        await self.json(200, _completion("chat.completion", choice, usage))

    async def json(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self._head(status, "application/json", f"Content-Length: {len(body)}")
        self._writer.write(body)
        await self._writer.drain()

    def cut(self) -> None:
        self._writer.transport.abort()

    async def _delta(self, delta: dict[str, Any]) -> None:
        if self._streamed:
            await self._event(_completion("chat.completion.chunk", {"delta": delta, "finish_reason": None}))

    async def _event(self, content: dict[str, Any]) -> None:
        await self._chunk(b"data: " + json.dumps(content).encode() + b"\n\n")

    async def _chunk(self, data: bytes) -> None:
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self._writer.drain()

    def _head(self, status: int, kind: str, framing: str) -> None:
        # One exchange for each connection: a gateway that hangs up is then noticed by the end of the stream.
        self._writer.write(
            f"HTTP/1.1 {status} stub\r\nContent-Type: {kind}\r\n{framing}\r\nConnection: close\r\n\r\n".encode()
        )


def _completion(kind: str, choice: dict[str, Any], usage: dict[str, int] | None = None) -> dict[str, Any]:
    content = {"id": "stub", "object": kind, "created": int(time.time()), "model": MODEL_ID}
    return {**content, "choices": [{"index": 0, **choice}], **({"usage": usage} if usage else {})}


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return method, path.partition("?")[0], await reader.readexactly(int(headers.get("content-length", 0)))
    body = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return method, path.partition("?")[0], bytes(body)
