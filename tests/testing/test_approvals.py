"""Commands that need an approval: who is asked, what becomes of the run, and what is told, per release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self

import pytest

from openclaw_client.testing import PROFILES, Agent, BlockingEmbeddedGateway, Turn, scripts
from openclaw_client.testing.asking import FOLLOW_UP, HEADLESS
from tests.gateways.raw import Frame, RawDevice, RawError, RawRun
from tests.testing.helpers import raw

RELEASES = tuple(PROFILES)
WAITING = tuple(release for release, profile in PROFILES.items() if profile.approval_run == "waits")
ENDING = tuple(release for release in RELEASES if release not in WAITING)
ASKED = tuple(release for release, profile in PROFILES.items() if profile.approval_caps)

CAPS = ("tool-events", "approvals")
PLAIN = ("operator.read", "operator.write", "operator.approvals")
ADMIN = (*PLAIN, "operator.admin")


def runs(command: str = "rm -r build", **options: Any) -> Agent:
    """Asks for an approval and answers with the decision."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield str(await turn.ask_approval(command, **options))

    return agent


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

    def asked(self) -> Frame:
        """The next request that it is told of."""
        payload: Frame = self.client.next_event("exec.approval.requested", timeout=5)["payload"]
        return payload

    def told(self) -> Frame:
        """The next end of a request that it is told of."""
        payload: Frame = self.client.next_event("exec.approval.resolved", timeout=5)["payload"]
        return payload

    def answer(self, run_id: str) -> RawRun:
        return self.client.follow(run_id, timeout=5)

    def later(self, run_id: str) -> RawRun:
        """The end of the next run that is not this one."""
        while True:
            payload = self.client.next_event("chat", timeout=5)["payload"]
            if payload["runId"] != run_id and payload["state"] == "final":
                return RawRun(payload["runId"], [payload])

    def approvals(self) -> list[str]:
        """The names of the approval events so far."""
        self.client.request("health")
        return [one["event"] for one in self.events if one["event"].startswith("exec.approval.")]

    def agent_data(self, stream: str) -> list[Frame]:
        """What the agent events of a stream held so far."""
        self.client.request("health")
        payloads = [one["payload"] for one in self.events if one["event"] == "agent"]
        return [one["data"] for one in payloads if one["stream"] == stream]

    def results(self) -> list[str]:
        """The results of tool calls so far."""
        ended = [data for data in self.agent_data("tool") if data["phase"] == "result"]
        return [data["result"]["content"][0]["text"] for data in ended]


@pytest.mark.parametrize("release", WAITING)
def test_a_run_waits_for_the_decision_and_goes_on(release: str) -> None:
    with BlockingEmbeddedGateway(runs(output="gone"), release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        run_id = user.send()
        request = user.asked()
        assert gateway.active_runs == [run_id]
        assert request["request"]["command"] == "rm -r build"
        assert [one.id for one in gateway.pending_approvals] == [request["id"]]
        assert user.resolve(request["id"], "allow-once") == {"ok": True}
        run = user.answer(run_id)
        assert (run.state, run.text) == ("final", "allow-once")
        assert user.results() == ["gone"]
        assert not gateway.pending_approvals


@pytest.mark.parametrize("release", ENDING)
def test_older_releases_end_the_run_and_answer_in_another(release: str) -> None:
    agent = runs(then=scripts.says("It is ", "gone."))
    with BlockingEmbeddedGateway(agent, release=release) as gateway, User(gateway) as user:
        run_id = user.send()
        run = user.answer(run_id)
        [approval] = gateway.pending_approvals
        words = f"Approval required (id {approval.id[:8]})." if release == ENDING[0] else ""
        assert run.text.partition(" Approve")[0] == words
        gateway.resolve(approval.id, "allow-once")
        assert user.later(run_id).text == "It is gone."


@pytest.mark.parametrize("release", ENDING)
def test_without_words_of_the_agent_the_later_run_has_its_own(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway) as user:
        first = user.send()
        user.answer(first)
        gateway.resolve(gateway.pending_approvals[0].id, "allow-once")
        assert user.later(first).text == FOLLOW_UP


@pytest.mark.parametrize("release", ASKED)
def test_newer_releases_refuse_at_once_where_nobody_may_be_asked(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, caps=("tool-events",)) as user:
        assert user.answer(user.send()).text == "deny"
        assert user.results() == [HEADLESS]
        assert not user.approvals()
        assert not gateway.pending_approvals
