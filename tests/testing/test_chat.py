"""Runs as clients see them: streaming, keys, abort, inject, history, and what each release does differently."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, Gate, Turn, scripts
from openclaw_client.testing.releases import release_key
from openclaw_client.testing.runs import ODD_KEY
from tests.gateways.raw import RawClient, RawError
from tests.testing.helpers import CLI, RELEASES, RawDevice, chats, connected, raw, text_of


def user_texts(page: dict[str, Any]) -> list[str]:
    return [text_of(message) for message in page["messages"] if message["role"] == "user"]


@pytest.mark.parametrize("release", RELEASES)
def test_the_default_agent_echoes_in_pieces(release: str) -> None:
    with BlockingEmbeddedGateway(release=release, throttle=0) as gateway, raw(gateway) as client:
        run = client.chat("Main-Thing", "hello  there world")
        assert (run.state, run.text) == ("final", "echo: hello  there world")
        texts = [text_of(delta["message"]) for delta in run.deltas]
        assert texts == ["echo:", "echo: hello", "echo: hello  there", "echo: hello  there world"]
        assert {event["sessionKey"] for event in run.events} == {"agent:main:main-thing"}
        if gateway.profile.protocol == 4:
            assert "".join(delta["deltaText"] for delta in run.deltas) == run.text
        else:
            assert all("deltaText" not in delta for delta in run.deltas)
        has_status = any(event["state"] == "status" for event in run.events)
        assert has_status is bool(gateway.profile.status_phases)


@pytest.mark.parametrize("key", ["spaced\n", " spaced"])
@pytest.mark.parametrize("release", RELEASES)
def test_white_space_at_an_end_of_a_key_costs_the_answer_on_newer_releases(release: str, key: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        client.chat_send("s", "go", idempotencyKey=key)
        run = client.follow(key)
        if release in ("2026.8.1", "2026.9.6"):
            assert user_texts(client.request("chat.history", {"sessionKey": "s"})) == ["go"]
            assert run.state == "error"
            assert run.events[-1]["errorMessage"] == ODD_KEY
        else:
            assert (run.state, run.text) == ("final", "echo: go")
        assert client.chat("s", "go", idempotencyKey="a key").state == "final"


@pytest.mark.parametrize("word", ["wait", "halt", "Stop!", "stop"])
@pytest.mark.parametrize("release", RELEASES)
def test_each_release_has_its_own_stop_words(release: str, word: str) -> None:
    newer = release != "2026.2.17"
    stops = {"wait": release_key(release) <= (2026, 6, 1), "halt": newer, "Stop!": newer}
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        answer = client.request("chat.send", {"sessionKey": "s", "message": word, "idempotencyKey": "key"})
        assert ("aborted" in answer) is stops.get(word, True)


@pytest.mark.parametrize("release", RELEASES)
def test_the_tail_is_flushed_except_by_the_oldest_release(release: str) -> None:
    agent = scripts.says("one", " two", " three")
    with BlockingEmbeddedGateway(agent, release=release, throttle=60) as gateway, raw(gateway) as client:
        run = client.chat("s", "go")
        assert run.text == "one two three"
        assert text_of(run.deltas[0]["message"]) == "one"
        last = text_of(run.deltas[-1]["message"])
        assert last == ("one" if release == "2026.2.17" else "one two three")
        if release != "2026.2.17":
            assert run.deltas[-1]["seq"] == run.events[-1]["seq"]


def test_text_that_is_held_back_is_shown_later_by_the_newest_release_only() -> None:
    agent = scripts.gated(["one", " two", " three"], before=2)
    with BlockingEmbeddedGateway(agent) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "go")
        seen = client.follow(run_id, until=lambda events: text_of(events[-1].get("message")) == "one two")
        gateway.release(run_id)
        assert client.follow(run_id).text == "one two three"
        assert text_of(seen.deltas[-1]["message"]) == "one two"


def test_everybody_who_may_read_hears_every_run_and_each_counts_its_own_frames() -> None:
    with BlockingEmbeddedGateway() as gateway, raw(gateway) as sender, raw(gateway, scopes=["operator.read"]) as other:
        with raw(gateway, scopes=[]) as deaf:
            run = sender.chat("s", "hi")
            assert other.follow(run.run_id).text == run.text
            assert deaf.request("health")["ok"] is True
            assert not deaf.events
        numbers = [event["seq"] for event in other.events]
        assert numbers == sorted(numbers)


def test_wire_v3_has_one_counter_for_all_and_no_number_on_targeted_events() -> None:
    with BlockingEmbeddedGateway(protocol=3) as gateway, raw(gateway) as first, raw(gateway) as second:
        first.request("sessions.messages.subscribe", {"key": "s"})
        run_id = first.chat_send("s", "hi")
        frames: dict[str, list[Any]] = {}
        for name, client in (("first", first), ("second", second)):
            while True:
                event = client.next_event()
                frames.setdefault(name, []).append(event)
                if event["event"] == "chat" and event["payload"]["state"] == "final":
                    break
        targeted = [event for event in frames["first"] if event["event"] == "session.message"]
        assert {text_of(event["payload"]["message"]) for event in targeted} == {"hi", "echo: hi"}
        assert all("seq" not in event for event in targeted)
        # The first was there when the second came.
        chats = [[event for event in events if event["event"] != "health"] for events in frames.values()]
        numbers = [[event["seq"] for event in events if "seq" in event] for events in chats]
        assert numbers[0] == numbers[1]
        assert run_id


@pytest.mark.parametrize(("release", "known"), [("2026.9.6", True), ("2026.8.1", True), ("2026.7.35", False)])
def test_a_scoped_connection_hears_only_sessions_that_it_watches(release: str, known: bool) -> None:
    caps = ["session-scoped-events"]
    with (
        BlockingEmbeddedGateway(release=release) as gateway,
        raw(gateway, caps=caps) as scoped,
        raw(gateway) as client,
    ):
        key = scoped.request("sessions.messages.subscribe", {"key": "mine"})["key"]
        assert key == "agent:main:mine"
        client.chat("other", "not for you")
        run = client.chat("mine", "for you")
        assert scoped.follow(run.run_id).text == run.text
        if not known:
            return
        assert all("not for you" not in str(event) for event in scoped.events)
        scoped.request("sessions.messages.unsubscribe", {"key": "mine"})
        silent = client.chat("mine", "again")
        scoped.request("health")
        assert chats(scoped, silent.run_id) == []


def test_what_a_scoped_connection_is_sent_of_what_a_test_emits() -> None:
    with BlockingEmbeddedGateway() as gateway, raw(gateway, caps=["session-scoped-events"]) as scoped:
        scoped.request("sessions.messages.subscribe", {"key": "mine"})
        scoped.events.clear()
        for payload in ({"sessionKey": "Mine"}, {"sessionKey": "other"}, {"sessionKey": 5}, {}):
            for name in ("agent", "presence"):
                gateway.emit(name, {**payload, "n": len(payload)})
        scoped.request("health")
        seen = [(event["event"], event["payload"].get("sessionKey")) for event in scoped.events]
    assert [key for name, key in seen if name == "agent"] == ["Mine"]
    assert [key for name, key in seen if name == "presence"] == ["Mine", "other", 5, None]


@pytest.mark.parametrize("release", RELEASES)
def test_a_known_key_starts_nothing(release: str) -> None:
    with BlockingEmbeddedGateway(scripts.gated(["a", "b"]), release=release) as gateway, raw(gateway) as client:
        params = {"sessionKey": "s", "message": "x", "idempotencyKey": "key-1"}
        assert client.request("chat.send", params) == {"runId": "key-1", "status": "started"}
        assert client.request("chat.send", params) == {"runId": "key-1", "status": "in_flight"}
        gateway.release()
        assert client.follow("key-1").text == "ab"
        assert client.request("chat.send", params) == {"runId": "key-1", "status": "ok"}
        assert len(user_texts(client.request("chat.history", {"sessionKey": "s"}))) == 1
        other = {**params, "message": "y"}
        if release == "2026.9.6":
            with pytest.raises(RawError) as error:
                client.request("chat.send", other)
            assert error.value.response["error"]["details"] == {"reason": "chat-request-conflict"}
        else:
            assert client.request("chat.send", other)["status"] == "ok"


def test_the_text_of_the_active_run_joins_it_on_2026_6_1() -> None:
    with BlockingEmbeddedGateway(scripts.gated(["a"]), release="2026.6.1") as gateway, raw(gateway) as client:
        first = client.chat_send("s", "same")
        assert client.chat_send("s", "same") == first
        gateway.release()
        assert client.follow(first).text == "a"


@pytest.mark.parametrize("release", RELEASES)
def test_abort_tells_everybody_before_it_answers(release: str) -> None:
    with BlockingEmbeddedGateway(scripts.endless, release=release) as gateway, raw(gateway) as client:
        run_id = client.chat_send("My-Key", "go")
        client.follow(run_id, until=lambda events: events[-1]["state"] == "delta")
        result = client.request("chat.abort", {"sessionKey": "My-Key", "runId": run_id})
        assert result == {"ok": True, "aborted": True, "runIds": [run_id]}
        [aborted] = [one for one in chats(client, run_id) if one["state"] == "aborted"]
        assert (aborted["stopReason"], text_of(aborted["message"])) == ("rpc", "working")
        canonical = PROFILES[release].canonical_everywhere
        assert aborted["sessionKey"] == ("agent:main:my-key" if canonical else "My-Key")
        again = client.request("chat.abort", {"sessionKey": "My-Key", "runId": run_id})
        assert again == {"ok": True, "aborted": False, "runIds": []}


@pytest.mark.parametrize(
    ("release", "spelling", "found"),
    [
        ("2026.2.17", "My-Key", True),
        ("2026.2.17", "agent:main:my-key", False),
        ("2026.4.15", "My-Key", True),
        ("2026.4.15", "my-key", False),
        ("2026.6.1", "My-Key", False),
        ("2026.6.1", "agent:main:my-key", True),
        ("2026.9.6", "My-Key", True),
        ("2026.9.6", "agent:main:my-key", True),
    ],
)
def test_how_the_key_of_an_abort_must_be_spelled(release: str, spelling: str, found: bool) -> None:
    with BlockingEmbeddedGateway(scripts.endless, release=release) as gateway, raw(gateway) as client:
        run_id = client.chat_send("My-Key", "go")
        client.follow(run_id, until=lambda events: events[-1]["state"] == "delta")
        assert client.request("chat.abort", {"sessionKey": spelling})["aborted"] is found


def test_only_the_owner_or_an_admin_may_abort() -> None:
    with BlockingEmbeddedGateway(scripts.endless) as gateway, raw(gateway) as owner:
        run_id = owner.chat_send("s", "go")
        with raw(gateway, scopes=["operator.write"]) as stranger:
            with pytest.raises(RawError, match="unauthorized"):
                stranger.request("chat.abort", {"sessionKey": "s", "runId": run_id})
            with pytest.raises(RawError, match="unauthorized"):
                stranger.request("chat.send", {"sessionKey": "s", "message": "/stop", "idempotencyKey": "k"})
        with raw(gateway) as admin:
            assert admin.request("chat.abort", {"sessionKey": "s", "runId": run_id})["aborted"] is True


@pytest.mark.parametrize("word", ["/stop", "STOP!", "please stop"])
def test_a_stop_word_stops_and_starts_nothing(word: str) -> None:
    with BlockingEmbeddedGateway(scripts.endless) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "go")
        params = {"sessionKey": "s", "message": word, "idempotencyKey": "stop-1"}
        assert client.request("chat.send", params) == {"ok": True, "aborted": True, "runIds": [run_id]}
        assert client.follow(run_id).events[-1]["stopReason"] == "stop"
        assert client.request("chat.send", params) == {"ok": True, "aborted": False, "runIds": []}
        assert chats(client, "stop-1") == []


def test_the_key_of_an_aborted_run() -> None:
    for release, expected in (("2026.4.15", "ok"), ("2026.6.1", "started"), ("2026.9.6", "timeout")):
        with BlockingEmbeddedGateway(scripts.endless, release=release) as gateway, raw(gateway) as client:
            params = {"sessionKey": "agent:main:s", "message": "go", "idempotencyKey": "k"}
            client.request("chat.send", params)
            client.request("chat.abort", {"sessionKey": "agent:main:s", "runId": "k"})
            assert client.request("chat.send", params)["status"] == expected


def test_sessions_are_parallel() -> None:
    with BlockingEmbeddedGateway(scripts.gated(["x"])) as gateway, raw(gateway) as client:
        slow = client.chat_send("a", "wait")
        fast = client.chat_send("b", "wait")
        gateway.release(fast)
        assert client.follow(fast).text == "x"
        assert gateway.active_runs == [slow]


@pytest.mark.parametrize(
    ("release", "states"), [("2026.2.17", ["error"]), ("2026.4.15", []), ("2026.6.1", []), ("2026.9.6", ["error"] * 2)]
)
def test_what_a_failed_run_shows(release: str, states: list[str]) -> None:
    agent = scripts.fails("no luck", "timeout")
    with BlockingEmbeddedGateway(agent, release=release) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "go")
        while client.next_event("agent")["payload"]["data"].get("phase") != "error":
            pass
        client.request("health")  # everything that the failure sent has come before this answer
        shown = [one for one in chats(client, run_id) if one["state"] != "status"]
        assert [one["state"] for one in shown] == states
        if states:
            assert shown[0]["errorMessage"] == "no luck"
        last = client.request("chat.history", {"sessionKey": "s"})["messages"][-1]
        assert last["stopReason"] == "error"
        assert last.get("errorMessage") == (None if release == "2026.9.6" else "no luck")
        assert client.chat_send("s", "again")


def test_an_agent_that_raises_is_a_failed_run(caplog: pytest.LogCaptureFixture) -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield "so far"
        raise ZeroDivisionError("by zero")

    with BlockingEmbeddedGateway(agent) as gateway, raw(gateway) as client:
        run = client.chat("s", "go")
        assert (run.state, run.events[-1]["errorMessage"]) == ("error", "ZeroDivisionError: by zero")
    assert "by zero" in caplog.text


def test_an_answer_without_a_word() -> None:
    for agent, release, states in (
        (scripts.says(), "2026.4.15", ["final"]),
        (scripts.says("NO_REPLY"), "2026.6.1", ["final"]),
        (scripts.says(), "2026.9.6", ["aborted"]),
        (scripts.silent, "2026.9.6", ["final"]),
    ):
        with BlockingEmbeddedGateway(agent, release=release) as gateway, raw(gateway) as client:
            run = client.chat("s", "go")
            assert [one["state"] for one in run.events if one["state"] != "status"] == states
            assert "message" not in run.events[-1]


def tool_phases(client: RawClient) -> list[str]:
    """The phases of the tool events that this client gets until the run ends."""
    phases: list[str] = []
    while True:
        event = client.next_event()
        payload = event["payload"]
        if event["event"] == "agent" and payload["stream"] == "tool":
            phases.append(payload["data"]["phase"])
        if event["event"] == "chat" and payload["state"] == "final":
            return phases


def test_tools_are_shown_to_the_one_who_asked_and_has_the_cap() -> None:
    agent = scripts.uses_tool("lookup", "found", "done")
    capable = {"caps": ["tool-events"]}
    with (
        BlockingEmbeddedGateway(agent) as gateway,
        raw(gateway, **capable) as asker,
        raw(gateway, **capable) as bystander,
        raw(gateway) as incapable,
    ):
        asker.chat_send("s", "go")
        assert [tool_phases(client) for client in (asker, bystander, incapable)] == [["start", "result"], [], []]
        incapable.chat_send("s", "go")
        assert [tool_phases(client) for client in (asker, bystander, incapable)] == [[], [], []]


def test_a_replaced_text_is_told_as_such() -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield "wrong"
        turn.replace("right")
        yield "!"

    with BlockingEmbeddedGateway(agent, throttle=0) as gateway, raw(gateway) as client:
        run = client.chat("s", "go")
        marks = [(delta["deltaText"], delta.get("replace")) for delta in run.deltas]
        assert marks == [("wrong", None), ("right", True), ("!", None)]
        assert run.text == "right!"


@pytest.mark.parametrize("release", RELEASES)
def test_inject(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        with pytest.raises(RawError, match="session not found"):
            client.request("chat.inject", {"sessionKey": "My-Key", "message": "note"})
        client.chat("My-Key", "hi")
        client.events.clear()
        params = {"sessionKey": "My-Key", "message": "note", "label": "My Label"}
        message_id = client.request("chat.inject", params)["messageId"]
        [event] = [one["payload"] for one in client.events if one["event"] == "chat"]
        assert (event["runId"], event["seq"], event["state"]) == (f"inject-{message_id}", 0, "final")
        assert text_of(event["message"]) == "[My Label]\n\nnote"
        # 2026.4.15 and 2026.5.12 have the canonical key here, although their aborted events have not.
        assert (event["sessionKey"] == "agent:main:my-key") is PROFILES[release].canonical_finals
        last = client.request("chat.history", {"sessionKey": "My-Key"})["messages"][-1]
        assert text_of(last) == "[My Label]\n\nnote"


def test_inject_needs_admin() -> None:
    with BlockingEmbeddedGateway() as gateway, raw(gateway, scopes=["operator.write"]) as client:
        client.chat("s", "hi")
        with pytest.raises(RawError) as error:
            client.request("chat.inject", {"sessionKey": "s", "message": "x"})
    assert error.value.response["error"] == {
        "code": "FORBIDDEN",
        "message": "missing scope: operator.admin",
        "details": {
            "code": "MISSING_SCOPE",
            "missingScope": "operator.admin",
            "requiredScopes": ["operator.admin"],
        },
    }


def test_history_pages_and_shows_the_run_in_flight() -> None:
    agent = scripts.gated(["so far", " and on"])
    with BlockingEmbeddedGateway(agent, throttle=0) as gateway, raw(gateway) as client:
        run_id = client.chat_send("s", "one")
        client.follow(run_id, until=lambda events: events[-1]["state"] == "delta")
        page = client.request("chat.history", {"sessionKey": "s"})
        assert page["inFlightRun"] == {"runId": run_id, "text": "so far"}
        assert page["sessionInfo"]["hasActiveRun"] is True
        gateway.release()
        client.follow(run_id)
        page = client.request("chat.history", {"sessionKey": "s", "limit": 1})
        assert [text_of(message) for message in page["messages"]] == ["so far and on"]
        assert (page["hasMore"], page["totalMessages"], "inFlightRun" in page) == (True, 2, False)
        older = client.request("chat.history", {"sessionKey": "s", "offset": page["nextOffset"]})
        assert [text_of(message) for message in older["messages"]] == ["one"]
        assert client.request("chat.history", {"sessionKey": "s", "cursor": "bogus"}) == {"kind": "reset"}


@pytest.mark.parametrize("release", RELEASES)
def test_what_history_knows_per_release(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        run = client.chat("s", "hi")
        page = client.request("chat.history", {"sessionKey": "s"})
        user, assistant = page["messages"]
        assert text_of(assistant) == "echo: hi"
        wrapped = release == "2026.2.17"
        assert text_of(user).endswith("] hi" if wrapped else "hi")
        keyed = release_key(release) >= release_key("2026.6.1")
        assert isinstance(user["content"], list) is not keyed
        assert user.get("idempotencyKey") == (f"{run.run_id}:user" if keyed else None)
        assert ("sessionInfo" in page) is keyed
        if release_key(release) < release_key("2026.8.1"):
            with pytest.raises(RawError, match="unexpected property 'cursor'"):
                client.request("chat.history", {"sessionKey": "s", "cursor": "x"})


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"message": "  "}, "message or attachment required"),
        ({"message": "a\0b"}, "message must not contain null bytes"),
        ({"message": "x", "other": 1}, "invalid chat.send params: at root: unexpected property 'other'"),
        ({"message": "x", "attachments": None}, "invalid chat.send params: at /attachments: must be array"),
        ({"message": "x", "attachments": [{"fileName": "a.png", "content": "!!"}]}, "a.png: invalid base64 content"),
    ],
)
def test_messages_that_are_refused(params: dict[str, Any], text: str) -> None:
    for release in RELEASES:
        with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
            with pytest.raises(RawError) as error:
                client.request("chat.send", {"sessionKey": "s", "idempotencyKey": "k", **params})
            assert text in error.value.response["error"]["message"]
            assert gateway.active_runs == []


def test_attachments_reach_the_agent_as_bytes() -> None:
    seen: list[Any] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        seen.extend(turn.attachments)
        yield "thanks"

    content = base64.b64encode(b"picture").decode()
    image = {"type": "image", "mimeType": "image/png", "fileName": "a.png", "content": content}
    url = f"data:text/plain;base64,{content}"
    text = {"type": "file", "mimeType": "text/plain", "fileName": "b.txt", "content": url}
    for release, names in (("2026.4.15", ["a.png"]), ("2026.9.6", ["a.png", "b.txt"])):
        seen.clear()
        with BlockingEmbeddedGateway(agent, release=release) as gateway, raw(gateway) as client:
            assert client.chat("s", "look", attachments=[image, text]).text == "thanks"
            assert [(one["fileName"], one["data"]) for one in seen] == [(name, b"picture") for name in names]


def test_an_image_over_the_limit_is_refused() -> None:
    content = base64.b64encode(b"\0" * 5_000_001).decode()
    image = {"type": "image", "mimeType": "image/png", "fileName": "big.png", "content": content}
    with BlockingEmbeddedGateway(protocol=3) as gateway, raw(gateway) as client:
        params = {"sessionKey": "s", "message": "x", "idempotencyKey": "k", "attachments": [image]}
        with pytest.raises(RawError, match=r"big\.png: exceeds size limit"):
            client.request("chat.send", params)


def test_agent_wait() -> None:
    with BlockingEmbeddedGateway(scripts.gated(["x"])) as gateway, raw(gateway) as client:
        assert client.request("agent.wait", {"runId": "none", "timeoutMs": 1})["status"] == "timeout"
        run_id = client.chat_send("s", "go")
        assert client.request("agent.wait", {"runId": run_id, "timeoutMs": 1})["status"] == "timeout"
        gateway.release()
        assert client.request("agent.wait", {"runId": run_id})["status"] == "ok"


def test_a_run_outlives_the_connection_that_started_it() -> None:
    with BlockingEmbeddedGateway(scripts.gated(["a", "b"])) as gateway, raw(gateway) as other:
        with raw(gateway) as starter:
            run_id = starter.chat_send("s", "go")
        gateway.release()
        assert other.follow(run_id).text == "ab"


def test_a_time_limit_is_known_to_the_newest_release_only() -> None:
    for release in ("2026.6.1", "2026.9.6"):
        with BlockingEmbeddedGateway(scripts.gated(["a"]), release=release) as gateway, raw(gateway) as client:
            run_id = client.chat_send("s", "go", timeoutMs=20)
            if release == "2026.9.6":
                run = client.follow(run_id)
                assert (run.state, run.events[-1]["errorKind"]) == ("error", "timeout")
            else:
                assert client.request("agent.wait", {"runId": run_id, "timeoutMs": 60})["status"] == "timeout"
                gateway.release()
                assert client.follow(run_id).text == "a"


def test_the_agent_sees_the_conversation() -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield ",".join(f"{row['role']}={row['text']}" for row in turn.history)

    with BlockingEmbeddedGateway(agent) as gateway, raw(gateway) as client:
        client.chat("s", "one")
        assert client.chat("s", "two").text == "user=one,assistant=user=one,user=two"
        assert [row["text"] for row in gateway.transcript("agent:main:s")][:2] == ["one", "user=one"]


def test_the_status_command_is_answered_with_one_final() -> None:
    for release in RELEASES:
        with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
            run = client.chat("s", "/status")
            assert [event["state"] for event in run.events] == ["final"]
            assert release in run.text


def test_a_message_that_nobody_asked_for() -> None:
    with BlockingEmbeddedGateway() as gateway, raw(gateway) as client:
        run_id = gateway.say("agent:main:s", "good morning")
        assert client.follow(run_id).text == "good morning"
        assert text_of(client.request("chat.history", {"sessionKey": "s"})["messages"][0]) == "good morning"


@pytest.mark.parametrize("release", RELEASES)
def test_session_methods(release: str) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway) as client:
        if release == "2026.2.17":
            with pytest.raises(RawError, match=r"unknown method: sessions\.subscribe"):
                client.request("sessions.subscribe", {})
            return
        assert client.request("sessions.subscribe", {}) == {"subscribed": True}
        client.chat_send("s", "hi")
        changed = client.next_event("sessions.changed")
        assert (changed["payload"]["sessionKey"], "seq" in changed) == ("agent:main:s", gateway.profile.targeted_seq)
        assert client.request("sessions.list", {})["sessions"][0]["key"] == "agent:main:s"


def test_unknown_methods_are_a_missing_scope_for_those_without_admin() -> None:
    with BlockingEmbeddedGateway() as gateway:
        with raw(gateway, scopes=["operator.write"]) as client, pytest.raises(RawError, match=r"operator\.admin"):
            client.request("no.such", {})
        with raw(gateway) as client, pytest.raises(RawError, match=r"unknown method: no\.such"):
            client.request("no.such", {})


def test_health_needs_a_scope_on_the_oldest_release_only() -> None:
    for release in RELEASES:
        with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway, scopes=[], **CLI) as client:
            if release == "2026.2.17":
                with pytest.raises(RawError, match=r"operator\.read"):
                    client.request("health")
            else:
                assert client.request("health")["ok"] is True


def test_gates_open_for_those_who_wait_and_those_who_come_later() -> None:
    async def scenario() -> None:
        gate = Gate()
        left = asyncio.create_task(gate.wait())
        stays = asyncio.create_task(gate.wait())
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])
        assert not stays.done()
        gate.open()
        await stays
        await gate.wait()
        assert gate.is_open

    asyncio.run(scenario())


def test_a_device_keeps_its_runs_over_a_reconnect() -> None:
    device, scopes = RawDevice(), ["operator.write"]
    with BlockingEmbeddedGateway(scripts.endless) as gateway:
        first = connected(gateway, device=device, scopes=scopes)
        run_id = first.chat_send("s", "go")
        first.close()
        with raw(gateway, device=device, scopes=scopes) as second:
            assert second.request("chat.abort", {"sessionKey": "s", "runId": run_id})["aborted"] is True
