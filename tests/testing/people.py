"""People who are asked: raw clients that keep what they were told."""

from __future__ import annotations

from typing import Any, Self

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.gateways.raw import Frame, RawDevice, RawError, RawRun
from tests.testing.helpers import raw

CAPS = ("tool-events", "approvals")
PLAIN = ("operator.read", "operator.write", "operator.approvals")
ADMIN = (*PLAIN, "operator.admin")


class User:
    """A client of its own device that may answer, and all events that it got."""

    def __init__(self, gateway: BlockingEmbeddedGateway, **options: Any) -> None:
        self.events: list[Frame] = []
        defaults: dict[str, Any] = {"device": RawDevice(), "scopes": PLAIN, "caps": CAPS}
        self.client = raw(gateway, **{**defaults, **options}, on_frame=self._on_frame)

    def __enter__(self) -> Self:
        self.client.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def _on_frame(self, direction: str, frame: Frame) -> None:
        if direction == "received" and frame["type"] == "event":
            self.events.append(frame)

    def send(self, message: str = "clean up") -> str:
        return self.client.chat_send("s", message)

    def call(self, method: str, params: Frame | None = None) -> Any:
        """The payload, or the error of a refusal."""
        try:
            return self.client.request(method, params)
        except RawError as refused:
            return refused.response["error"]

    def resolve(self, ident: str, decision: str) -> Any:
        return self.call("exec.approval.resolve", {"id": ident, "decision": decision})

    def next(self, event: str) -> Frame:
        """What the next event of this name says."""
        payload: Frame = self.client.next_event(event, timeout=5)["payload"]
        return payload

    def asked(self) -> Frame:
        """The next request that it is told of."""
        return self.next("exec.approval.requested")

    def told(self) -> Frame:
        """The next end of a request that it is told of."""
        return self.next("exec.approval.resolved")

    def answer(self, run_id: str) -> RawRun:
        return self.client.follow(run_id, timeout=5)

    def later(self, run_id: str) -> RawRun:
        """The end of the next run that is not this one."""
        while True:
            payload = self.client.next_event("chat", timeout=5)["payload"]
            if payload["runId"] != run_id and payload["state"] == "final":
                return RawRun(payload["runId"], [payload])

    def names(self, begin: str = "exec.approval.") -> list[str]:
        """The names of the events so far that begin so."""
        self.client.request("health")
        return [one["event"] for one in self.events if one["event"].startswith(begin)]

    def agent_data(self, stream: str) -> list[Frame]:
        """What the agent events of a stream held so far."""
        self.client.request("health")
        payloads = [one["payload"] for one in self.events if one["event"] == "agent"]
        return [one["data"] for one in payloads if one["stream"] == stream]

    def results(self) -> list[str]:
        """The results of tool calls so far."""
        ended = [data for data in self.agent_data("tool") if data["phase"] == "result"]
        return [data["result"]["content"][0]["text"] for data in ended]
