"""A device that is connected asks for more scopes, by raw frames."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.contract.filing import refused
from tests.contract.targets import Target
from tests.gateways.raw import Frame, RawClient, RawDevice

pytestmark = pytest.mark.release("2026.9.6")
"""The release whose answers are known."""

PATIENCE = 30.0
"""Seconds for what a real gateway does in a few."""


class Asker:
    """A device that may read, and somebody who may decide about it."""

    def __init__(self, target: Target) -> None:
        self.device = RawDevice()
        self.answers: dict[str, Frame] = {}
        self.client = RawClient(
            url=target.url,
            token=target.token,
            device=self.device,
            scopes=("operator.read",),
            client_id="cli",
            client_mode="cli",
            on_frame=self._saw,
        )
        self.admin = RawClient(url=target.url, token=target.token)

    def _saw(self, way: str, frame: Frame) -> None:
        if way == "received" and frame["type"] == "res":
            self.answers[frame["id"]] = frame

    def ask(self, *scopes: str) -> str:
        request_id: str = self.client.request("device.scopes.requestUpgrade", {"scopes": list(scopes)})["requestId"]
        return request_id

    def wait(self, request_id: str) -> None:
        """Ask for the verdict; it is answered later."""
        params = {"requestId": request_id}
        self.client.send({"type": "req", "id": "wait", "method": "device.scopes.waitUpgrade", "params": params})
        # Behind it, so that the gateway has taken it.
        self.client.request("health")

    def verdict(self) -> Frame:
        deadline = time.monotonic() + PATIENCE
        while "wait" not in self.answers:
            self.client._receive(deadline)
        payload: Frame = self.answers["wait"]["payload"]
        return payload


@pytest.fixture
def asker(target: Target) -> Iterator[Asker]:
    asker = Asker(target)
    with asker.client, asker.admin:
        yield asker


def test_a_device_gets_what_it_asked_for(target: Target, asker: Asker) -> None:
    request_id = asker.ask("operator.write")
    told = asker.admin.next_event("device.pair.requested", timeout=PATIENCE)["payload"]
    assert (told["requestId"], told["scopes"]) == (request_id, ["operator.read", "operator.write"])
    asker.wait(request_id)
    assert "wait" not in asker.answers
    asker.admin.request("device.pair.approve", {"requestId": request_id})
    verdict = asker.verdict()
    assert verdict.keys() == {"status", "requestId", "deviceToken", "scopes"}
    assert (verdict["status"], verdict["scopes"]) == ("approved", ["operator.read", "operator.write"])
    # The connection stays, with the scopes that it had; the next one has all.
    error = refused(asker.client, "chat.abort", {"sessionKey": "main"})
    assert error["message"] == "missing scope: operator.write"
    options = {"client_id": "cli", "client_mode": "cli", "scopes": ("operator.read", "operator.write")}
    with RawClient(url=target.url, token=verdict["deviceToken"], device=asker.device, **options) as again:  # type: ignore[arg-type]
        assert again.hello["auth"]["scopes"] == ["operator.read", "operator.write"]


def test_a_device_is_told_no(asker: Asker) -> None:
    request_id = asker.ask("operator.write")
    asker.wait(request_id)
    asker.admin.request("device.pair.reject", {"requestId": request_id})
    assert asker.verdict() == {"status": "rejected", "requestId": request_id}


def test_what_nobody_may_ask_for(asker: Asker) -> None:
    ask = "device.scopes.requestUpgrade"
    error = refused(asker.client, ask, {"scopes": ["operator.everything"]})
    assert error["message"] == "requested scopes contain an unknown operator scope"
    error = refused(asker.client, ask, {"scopes": ["operator.pairing"]})
    assert error["message"] == "requested scopes must include the connection's current scopes"
    error = refused(asker.client, ask, {"scopes": []})
    assert error["message"] == f"invalid {ask} params: at /scopes: must not have fewer than 1 items"
    error = refused(asker.client, "device.scopes.waitUpgrade", {"requestId": "nobody's"})
    assert error["message"] == "scope upgrade expired or not found"
