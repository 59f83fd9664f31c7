"""Nodes that offer tools to the agents, and the operators beside them, by raw frames: no client of this package."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

from tests.contract.targets import Target
from tests.gateways.raw import TERMINAL_STATES, Frame, RawClient, RawDevice, RawError, text_of

Payload = dict[str, Any]

COMMAND = "mcp.tools.call.v1"
"""What a node declares, so that the gateway hands it the calls of its tools."""

INVOKED, CANCELLED = "node.invoke.request", "node.invoke.cancel"
REQUESTED, RESOLVED = "node.pair.requested", "node.pair.resolved"

TOOLS = ("2026.8.1", "2026.9.6")
"""Releases on which a node may publish tools."""

CANCELS = ("2026.9.6",)
"""Releases that tell a node of its approval, and that a call is not waited for any more."""

PATIENCE = 60.0
"""Seconds: a busy machine takes some for a first turn, and nothing takes a minute but a hang."""


class Peer:
    """One raw connection. `heard` has the events so far, oldest first."""

    def __init__(self, target: Target, **options: Any) -> None:
        self.heard: list[tuple[str, Payload]] = []
        settings = {"url": target.url, "token": target.token, **options}
        self.client = RawClient(on_frame=self._note, **settings)

    def __enter__(self) -> Self:
        self.client.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()

    def payloads(self, name: str, matching: Callable[[Payload], bool] = lambda _: True) -> list[Payload]:
        """The payloads of the events of this name so far, oldest first."""
        return [payload for event, payload in self.heard if event == name and matching(payload)]

    def wait(self, name: str, matching: Callable[[Payload], bool] = lambda _: True) -> Payload:
        """Wait for an event of this name that matches; the payload of the first."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.payloads(name, matching)):
            self.client.next_event(timeout=deadline - time.monotonic())
        return found[0]

    def request(self, method: str, **params: Any) -> Payload:
        """The answer to a request, or `{"error": …}` as it was refused."""
        try:
            return self.client.request(method, params)
        except RawError as refused:
            return {"error": refused.response["error"]}

    def _note(self, direction: Literal["sent", "received"], frame: Frame) -> None:
        if direction == "received" and frame.get("type") == "event":
            self.heard.append((frame["event"], frame.get("payload") or {}))


class Person(Peer):
    """Somebody who talks to the agent, and may approve nodes."""

    def __init__(self, target: Target, **options: Any) -> None:
        super().__init__(target, **{"caps": ("tool-events",), **options})

    def call(self, session: str, tool: str, arguments: Payload | list[Payload]) -> str:
        """Have the agent call a tool: the id of the run."""
        return self.client.chat_send(session, f"stub:call {tool} {json.dumps(arguments)}")

    def end(self, run_id: str) -> tuple[str, str]:
        """Wait for the end of this run; its state and its text."""
        event = self.wait("chat", lambda one: one["runId"] == run_id and one["state"] in TERMINAL_STATES)
        return event["state"], text_of(event.get("message"))

    def results(self, run_id: str) -> list[tuple[str, bool]]:
        """What the tools of this run gave: text, and whether it was an error."""
        data = [one["data"] for one in self.payloads("agent") if one["runId"] == run_id and one["stream"] == "tool"]
        return [(text_of(one.get("result")), bool(one["isError"])) for one in data if one["phase"] == "result"]

    def asked(self, node: Node) -> Payload:
        """Wait for the request to let this node offer what it declared."""
        return self.wait(REQUESTED, lambda one: one["nodeId"] == node.id)

    def approve(self, node: Node) -> Payload:
        """Let this node offer what it declared, once that is asked for."""
        answer = self.request("node.pair.approve", requestId=self.asked(node)["requestId"])
        self.wait(RESOLVED, lambda one: one["nodeId"] == node.id)
        return answer

    def offered(self, session: str) -> list[Payload]:
        """The tools that the agent of this session has from elsewhere than the gateway."""
        groups = self.request("tools.effective", sessionKey=session)["groups"]
        return [tool for group in groups for tool in group["tools"] if group["source"] != "core"]

    def row(self, node: Node) -> Payload:
        """What `node.list` says of this node; empty where it says nothing."""
        return next((one for one in self.request("node.list")["nodes"] if one["nodeId"] == node.id), {})


class Node(Peer):
    """One connection of a device whose tools the agents may call."""

    def __init__(self, target: Target, device: RawDevice | None = None, **options: Any) -> None:
        self.device = device or RawDevice()
        self.id = self.device.device_id
        # A name of its own: the descriptions of its tools end with it.
        self.name = options.setdefault("display_name", f"node-{self.id[:8]}")
        node = {"client_id": "node-host", "client_mode": "node", "role": "node", "scopes": (), "commands": (COMMAND,)}
        super().__init__(target, device=self.device, **{**node, **options})

    def publish(self, *tools: Payload) -> Payload:
        """Say what tools there are, in place of all said before; the gateway's answer."""
        return self.request("node.pluginTools.update", tools=list(tools))

    def published(self, *names: str) -> list[str]:
        """Publish tools of these names; those that count."""
        return [one["name"] for one in self.publish(*[tool_named(name) for name in names])["tools"]]

    def invoked(self, **arguments: Any) -> Payload:
        """Wait for the call with these arguments."""
        return self.wait(INVOKED, lambda one: json.loads(one["paramsJSON"])["arguments"] == arguments)

    def answer(self, invoke: Payload, text: str, **payload: Any) -> Payload:
        """Give a call its result; what the gateway says to that."""
        return self.give(invoke, ok=True, payload={"content": [{"type": "text", "text": text}], **payload})

    def give(self, invoke: Payload, **result: Any) -> Payload:
        """Answer a call with these fields; what the gateway says to that."""
        return self.request("node.invoke.result", id=invoke["id"], nodeId=invoke["nodeId"], **result)


def tool_named(name: str, **fields: Any) -> Payload:
    """A tool as a node describes it."""
    parameters = {"type": "object", "properties": {"sku": {"type": "string"}}, "additionalProperties": False}
    described = {"name": name, "description": "How many are in stock.", "parameters": parameters, **fields}
    return {"pluginId": "node-mcp", "command": COMMAND, "mcp": {"server": "contract", "tool": name}, **described}


def new_name(word: str = "stock") -> str:
    """A name that no other tool of this gateway has: two of the same name rename each other."""
    return f"{word}_{uuid.uuid4().hex[:8]}"
