"""Nodes that serve tools, and the agents that call them: raw clients that know nothing of the package under test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Self

from openclaw_client.testing import Agent, BlockingEmbeddedGateway, ToolAnswer, Turn
from tests.gateways.raw import Frame, RawDevice, RawError
from tests.testing.helpers import raw

COMMAND = "mcp.tools.call.v1"
OPERATOR = ("operator.read", "operator.write", "operator.pairing")


def stock(name: str = "stock", **more: Any) -> Frame:
    """A tool as a node publishes it."""
    described = {"description": "How many pieces are there.", "parameters": {"type": "object", "properties": {}}}
    mcp = {"command": COMMAND, "mcp": {"server": "shop", "tool": name}}
    return {"pluginId": "node-mcp", "name": name, **described, **mcp, **more}


class Node:
    """A node of its own device."""

    def __init__(self, gateway: BlockingEmbeddedGateway, name: str = "shop", **options: Any) -> None:
        self.device = options.pop("device", None) or RawDevice()
        self.id = self.device.device_id
        node: dict[str, Any] = {"role": "node", "client_id": "node-host", "client_mode": "node", "scopes": ()}
        node |= {"commands": (COMMAND,), "display_name": name, "device": self.device}
        self.client = raw(gateway, **{**node, **options})

    def __enter__(self) -> Self:
        self.client.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def call(self, method: str, **params: Any) -> Any:
        """The payload, or the error of a refusal."""
        try:
            return self.client.request(method, params)
        except RawError as refused:
            return refused.response["error"]

    def publish(self, *tools: Frame) -> list[str]:
        """The names of those that count."""
        return [tool["name"] for tool in self.call("node.pluginTools.update", tools=list(tools))["tools"]]

    def invoked(self) -> Frame:
        """The next call."""
        payload: Frame = self.client.next_event("node.invoke.request", timeout=5)["payload"]
        return payload

    def cancelled(self) -> Frame:
        """The next call that it is told to stop."""
        payload: Frame = self.client.next_event("node.invoke.cancel", timeout=5)["payload"]
        return payload

    def answer(self, call: Frame, text: str = "7", **payload: Any) -> Any:
        """Answer a call with one text."""
        return self.give(call, ok=True, payload={"content": [{"type": "text", "text": text}], **payload})

    def give(self, call: Frame, **result: Any) -> Any:
        return self.call("node.invoke.result", id=call["id"], nodeId=self.id, **result)


def approved(gateway: BlockingEmbeddedGateway, node: Node, *tools: Frame) -> None:
    """Approve a node that is connected, and publish its tools."""
    gateway.approve()
    tools = tools or (stock(),)
    assert node.publish(*tools) == sorted(tool["name"] for tool in tools)


def calls(name: str = "stock", arguments: Frame | None = None, **options: Any) -> Agent:
    """Calls a tool and answers with what it was told."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield described(await turn.call_tool(name, arguments or {}, **options))

    return agent


def described(answer: ToolAnswer) -> str:
    """All of an answer in one line."""
    return json.dumps([answer.text, answer.is_error, [[image.decode(), mime] for image, mime in answer.images]])
