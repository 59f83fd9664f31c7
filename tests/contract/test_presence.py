"""Who is there, by raw frames: who is listed, who hears of it, and when the gateway says how it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract.targets import Target
from tests.gateways.raw import Frame, RawClient, RawDevice

PATIENCE = 20.0
"""Seconds for what a real gateway does at once."""


class Watcher:
    """A connection of a tool of this machine, which no release since 2026.8 lists, and every event that it got."""

    def __init__(self, target: Target) -> None:
        self.heard: list[Frame] = []
        self.client = RawClient(url=target.url, token=target.token, on_frame=self._saw)

    def _saw(self, way: str, frame: Frame) -> None:
        if way == "received" and frame["type"] == "event":
            self.heard.append(frame)

    def until(self, event: str, fits: Callable[[Frame], bool]) -> Frame:
        """The first event of this name whose payload fits."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for frame in self.heard:
                if frame["event"] == event and fits(frame["payload"]):
                    return frame
            self.client._receive(deadline)


@pytest.fixture
def watcher(target: Target) -> Iterator[Watcher]:
    watcher = Watcher(target)
    with watcher.client:
        yield watcher


def browser(target: Target, device: RawDevice) -> RawClient:
    """A client that every release lists."""
    origin = f"http://127.0.0.1:{urlsplit(target.url).port}"
    names = {"client_id": "webchat-ui", "client_mode": "webchat"}
    return RawClient(url=target.url, token=target.token, device=device, headers={"Origin": origin}, **names)  # type: ignore[arg-type]


def who_is_there(client: RawClient) -> list[Frame]:
    rows: Any = client.request("system-presence")
    return list(rows)


def reason_of(rows: list[Frame], device: RawDevice) -> str | None:
    return next((row["reason"] for row in rows if row.get("deviceId") == device.device_id), None)


def test_a_browser_is_listed_while_it_is_there_and_for_a_while_behind(target: Target, watcher: Watcher) -> None:
    device = RawDevice()
    with browser(target, device) as client:
        rows = client.hello["snapshot"]["presence"]
        assert (rows[0]["mode"], rows[0]["reason"]) == ("gateway", "self")
        assert reason_of(rows, device) == "connect"
        listed = who_is_there(watcher.client)
        row = next(row for row in listed if row.get("deviceId") == device.device_id)
        assert [row["host"], row["mode"], row["platform"]] == ["webchat-ui", "webchat", "linux"]
        assert row["roles"] == ["operator"]
        if target.profile.arrivals_told:
            watcher.until("presence", lambda one: reason_of(one["presence"], device) == "connect")
    gone = watcher.until("presence", lambda one: reason_of(one["presence"], device) == "disconnect")
    assert gone["stateVersion"].keys() == {"presence", "health"}
    assert reason_of(who_is_there(watcher.client), device) == "disconnect"
    told = [one for one in watcher.heard if one["event"] == "presence"]
    came = [one for one in told if reason_of(one["payload"]["presence"], device) == "connect"]
    assert bool(came) is target.profile.arrivals_told


def test_tools_of_the_machine_are_not_listed(target: Target, watcher: Watcher) -> None:
    names = {"client_id": "cli", "client_mode": "cli"}
    with RawClient(url=target.url, token=target.token, **names) as client:  # type: ignore[arg-type]
        rows = client.hello["snapshot"]["presence"]
        assert not [row for row in rows if row["mode"] == "cli"]
        backends = [row for row in rows if row["mode"] == "backend"]
        assert bool(backends) is ("backend" not in target.profile.unlisted_modes)


def test_how_the_gateway_is_is_told(target: Target, watcher: Watcher) -> None:
    if target.profile.health_told == "minute":
        # Too long to wait for here, and a connect tells nothing on the newest release.
        return
    before = len(watcher.heard)
    with browser(target, RawDevice()):
        frame = watcher.until("health", lambda one: one["ok"] and len(watcher.heard) > before)
    assert frame["payload"].keys() >= {"ok", "ts", "channels", "agents", "sessions"}
    assert frame["stateVersion"].keys() == {"presence", "health"}
