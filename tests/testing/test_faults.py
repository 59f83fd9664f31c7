"""Every fault, seen from a client that knows nothing of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from openclaw_client.testing import BlockingEmbeddedGateway, scripts
from openclaw_client.testing.faults import chat
from tests.gateways.raw import RawRefused
from tests.testing.helpers import chats, connected, raw, refused, text_of
from tests.waiting import wait_until


@pytest.fixture
def gateway() -> Any:
    with BlockingEmbeddedGateway(scripts.says("one", " two", " three"), throttle=0) as running:
        yield running


def deltas(gateway: BlockingEmbeddedGateway) -> list[tuple[str, int]]:
    """The texts of a run's deltas with the frames' numbers, as one client sees them."""
    with raw(gateway) as client:
        run_id = client.chat_send("s", "go")
        seen = []
        while True:
            event = client.next_event("chat")
            payload = event["payload"]
            if payload["state"] == "delta":
                seen.append((text_of(payload["message"]), event["seq"]))
            if payload["state"] == "final":
                assert payload["runId"] == run_id
                return seen


def test_a_dropped_event_leaves_a_gap(gateway: BlockingEmbeddedGateway) -> None:
    rule = gateway.faults.drop(lambda frame: chat("delta")(frame) and frame.field("deltaText") == " two")
    seen = deltas(gateway)
    assert [text for text, _ in seen] == ["one", "one two three"]
    assert seen[1][1] > seen[0][1] + 2  # the agent event of the dropped delta came, and the delta's number is missing
    assert rule.hits == 1
    assert gateway.faults.rules == ()


def test_a_doubled_event_has_one_number(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.double(chat("delta"))
    seen = deltas(gateway)
    assert seen[0] == seen[1]
    assert [text for text, _ in seen] == ["one", "one", "one two", "one two three"]


def test_reordered_events(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.reorder(lambda frame: chat("delta")(frame) and frame.field("deltaText") == " three")
    with raw(gateway) as client:
        run_id = client.chat_send("s", "go")
        client.request("agent.wait", {"runId": run_id})
        last = [(event["event"], event["payload"].get("state")) for event in client.events][-4:]
        assert last == [("agent", None), ("chat", "delta"), ("agent", None), ("chat", "final")]
        numbers = [event["seq"] for event in client.events][-4:]
        assert numbers == [numbers[1] + 1, numbers[1], numbers[1] + 2, numbers[1] + 3]


def test_a_delayed_event_is_overtaken(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.delay(chat("delta"), 0.05)
    with raw(gateway) as client:
        client.chat("s", "go")
        late = client.next_event("chat")["payload"]
        assert text_of(late["message"]) == "one"


def test_held_events_come_in_order_when_released(gateway: BlockingEmbeddedGateway) -> None:
    held = gateway.faults.hold(chat())
    with raw(gateway) as client:
        run_id = client.chat_send("s", "go")
        assert client.request("agent.wait", {"runId": run_id})["status"] == "ok"
        assert chats(client, run_id) == []
        held.release()
        run = client.follow(run_id)
        assert [text_of(delta["message"]) for delta in run.deltas] == ["one", "one two", "one two three"]
        assert client.chat("s", "again").text == "one two three"


def test_a_rewritten_event_and_a_dropped_response(gateway: BlockingEmbeddedGateway) -> None:
    def shout(fields: dict[str, Any]) -> dict[str, Any]:
        fields["payload"]["message"]["content"][0]["text"] = "LOUD"
        return fields

    gateway.faults.rewrite(chat("final"), shout)
    gateway.faults.drop("chat.send")
    with raw(gateway) as client:
        params = {"sessionKey": "s", "message": "go", "idempotencyKey": "k"}
        client.send({"type": "req", "id": "lost", "method": "chat.send", "params": params})
        assert client.follow("k").text == "LOUD"
        assert client.request("chat.send", params) == {"runId": "k", "status": "ok"}


def test_bytes_in_place_of_a_frame(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.rewrite("tick", lambda _fields: b"{nope")
    with connect(gateway.url, proxy=None) as socket, raw(gateway) as client:
        socket.recv(timeout=5)
        gateway.tick()
        with pytest.raises(json.JSONDecodeError):
            client.next_event("tick", timeout=5)


@pytest.mark.parametrize(("where", "frames"), [({"after": 2}, 2), ({"before": 2}, 1), ({"after": 1}, 1)])
def test_the_socket_is_cut_at_a_frame(gateway: BlockingEmbeddedGateway, where: dict[str, int], frames: int) -> None:
    gateway.faults.cut(**where)
    seen: list[Any] = []
    client = raw(gateway, on_frame=lambda direction, frame: seen.append(frame) if direction == "received" else None)

    def go_on() -> None:
        client.connect()
        client.next_event(timeout=5)

    with pytest.raises((ConnectionClosed, RawRefused)) as lost:
        go_on()
    assert getattr(lost.value, "close_code", None) is None  # no close frame
    assert getattr(lost.value, "rcvd", None) is None
    assert len(seen) == frames
    client.close()
    connected(gateway).close()


def test_the_socket_is_cut_in_mid_run(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.cut(where=lambda frame: chat("delta")(frame) and frame.field("deltaText") == " two")
    with raw(gateway) as client:
        run_id = client.chat_send("s", "go")
        with pytest.raises(ConnectionClosed):
            client.follow(run_id)
        assert [text_of(one.get("message")) for one in chats(client, run_id)] in ([], ["one", "one two"], ["one two"])
    wait_until(lambda: gateway.active_runs == [])
    assert gateway.transcript("agent:main:s")[-1]["text"] == "one two three"


def test_handshakes_are_refused_as_told(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.refuse("pairing required", code="NOT_PAIRED", details={"requestId": "r-1"}, times=2)
    gateway.faults.starting(retry_after_ms=7)
    for _ in range(2):
        refusal = refused(gateway)
        assert refusal.error == {"code": "NOT_PAIRED", "message": "pairing required", "details": {"requestId": "r-1"}}
        assert (refusal.close_code, refusal.close_reason) == (1008, "pairing required")
    starting = refused(gateway)
    assert (starting.error["retryable"], starting.error["retryAfterMs"], starting.close_code) == (True, 7, 1013)
    connected(gateway).close()
    assert [one.refused for one in gateway.seen.connects][-1] is None


def test_upgrades_are_refused_as_told(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.refuse_upgrade(503, b"later")
    with pytest.raises(InvalidStatus) as status:
        connected(gateway)
    assert (status.value.response.status_code, status.value.response.body) == (503, b"later")
    assert gateway.seen.upgrades_refused == 1
    connected(gateway).close()


def test_a_challenge_can_be_withheld(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.withhold_challenge()
    with connect(gateway.url, proxy=None) as socket, pytest.raises(TimeoutError):
        socket.recv(timeout=0.05)
    connected(gateway).close()


def test_swallowed_requests_have_no_effect(gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.swallow("chat.send")
    with raw(gateway) as client:
        params = {"sessionKey": "s", "message": "go", "idempotencyKey": "k"}
        client.send({"type": "req", "id": "lost", "method": "chat.send", "params": params})
        assert client.request("chat.history", {"sessionKey": "s"})["messages"] == []
        assert client.request("chat.send", params)["status"] == "started"
        assert gateway.seen.requests["chat.send"] == 1


def test_silence_sends_nothing_with_the_socket_open(gateway: BlockingEmbeddedGateway) -> None:
    with raw(gateway) as client:
        gateway.faults.silence()
        gateway.tick()
        with pytest.raises(TimeoutError):
            client.request("health", timeout=0.05)
        assert gateway.open_connections == 1
        with connect(gateway.url, proxy=None, ping_interval=None) as socket:
            assert socket.ping().wait(0.02) is False
            gateway.faults.speak()
            assert socket.ping().wait(5) is True
        assert client.request("health")["ok"] is True


def test_a_stalled_gateway_reads_nothing(gateway: BlockingEmbeddedGateway) -> None:
    with raw(gateway) as client:
        gateway.faults.stall()
        client.send({"type": "req", "id": "1", "method": "status"})
        gateway.tick()
        assert client.next_event("tick", timeout=5)
        assert gateway.seen.requests["status"] == 0
        gateway.faults.unstall()
        wait_until(lambda: gateway.seen.requests["status"] == 1)


def test_sockets_are_closed_with_a_code_or_without(gateway: BlockingEmbeddedGateway) -> None:
    for code, expected in ((4001, (4001, "gone")), (None, None)):
        client = connected(gateway)
        gateway.faults.disconnect(code, "gone")
        with pytest.raises(ConnectionClosed) as closed:
            client.next_event(timeout=5)
        close = closed.value.rcvd
        assert (close and (close.code, close.reason)) == expected
        client.close()
    wait_until(lambda: gateway.open_connections == 0)


def test_frames_of_any_kind_are_sent_as_they_are(gateway: BlockingEmbeddedGateway) -> None:
    with connect(gateway.url, proxy=None, max_size=None) as socket:
        socket.recv(timeout=5)
        gateway.faults.send({"type": "event", "event": "odd", "payload": {}})
        assert json.loads(socket.recv(timeout=5))["event"] == "odd"
        gateway.faults.send(b"\x00\x01", binary=True)
        assert socket.recv(timeout=5) == b"\x00\x01"
        gateway.faults.send_fragments(b"abcdefg", 3)
        assert socket.recv(timeout=5) == "abcdefg"
        gateway.faults.send(b"x" * 30_000_000)
        assert len(socket.recv(timeout=20)) == 30_000_000
        gateway.faults.send(b"\xff\xfe")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
        assert closed.value.sent is not None
        assert closed.value.sent.code == 1007


def test_bytes_that_are_no_frame(gateway: BlockingEmbeddedGateway) -> None:
    with connect(gateway.url, proxy=None) as socket:
        socket.recv(timeout=5)
        gateway.faults.send_bytes(b"\xf3\x00")  # reserved bits and a reserved opcode
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
        assert closed.value.sent is not None
        assert closed.value.sent.code == 1002


def test_clear_ends_what_was_not_used(gateway: BlockingEmbeddedGateway) -> None:
    faults = gateway.faults
    faults.drop()
    faults.refuse()
    faults.refuse_upgrade()
    faults.swallow()
    faults.withhold_challenge()
    faults.silence()
    faults.clear()
    with raw(gateway) as client:
        assert client.chat("s", "go").text == "one two three"
