"""The method `agent`: accepted, and answered under the same id when its run is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.contract.targets import Target
from tests.gateways.raw import Frame, RawClient, RawDevice, RawError, text_of

pytestmark = pytest.mark.release("2026.9.6")
"""The release whose answers are known."""

WAIT = 60.0
"""Seconds for what a real gateway does in a few."""


class Talk:
    """A connection that sees every frame that it gets."""

    def __init__(self, target: Target, **options: object) -> None:
        self.frames: list[Frame] = []
        self.client = RawClient(url=target.url, token=target.token, on_frame=self._saw, **options)  # type: ignore[arg-type]

    def _saw(self, way: str, frame: Frame) -> None:
        if way == "received":
            self.frames.append(frame)

    def send(self, method: str, **params: object) -> str:
        ident = uuid4().hex
        self.client.send({"type": "req", "id": ident, "method": method, "params": params})
        return ident

    def answers(self, ident: str, count: int) -> list[Frame]:
        """The first so many answers with this id, as soon as they are there."""
        return self.until(lambda: [one for one in self.frames if one.get("id") == ident], count)

    def until(self, found: Callable[[], list[Frame]], count: int = 1) -> list[Frame]:
        deadline = time.monotonic() + WAIT
        while len(found()) < count:
            self.client._receive(deadline)
        return found()

    def chat(self, run_id: str, state: str) -> list[Frame]:
        return [
            frame["payload"]
            for frame in self.frames
            if frame.get("event") == "chat"
            and (frame["payload"]["runId"], frame["payload"]["state"]) == (run_id, state)
        ]


@pytest.fixture
def talk(target: Target) -> Iterator[Talk]:
    talk = Talk(target)
    with talk.client:
        yield talk


def asked(talk: Talk, message: str, session: str, **more: object) -> tuple[str, str]:
    """The id of the request, and that of its run."""
    run_id = uuid4().hex
    return talk.send("agent", message=message, sessionKey=session, idempotencyKey=run_id, **more), run_id


def test_a_run_is_accepted_then_answered_and_written_down(talk: Talk, session: str) -> None:
    ident, run_id = asked(talk, "stub:echo two words", session)
    accepted, answered = (frame["payload"] for frame in talk.answers(ident, 2))
    key = f"agent:main:{session}"
    at = accepted.pop("acceptedAt")
    assert at == pytest.approx(time.time() * 1000, abs=WAIT * 1000)
    assert accepted == {"runId": run_id, "sessionKey": key, "agentId": "main", "status": "accepted"}
    assert (answered["runId"], answered["status"], answered["summary"]) == (run_id, "ok", "completed")
    assert answered["result"]["payloads"] == [{"text": "echo: two words", "mediaUrl": None}]
    meta = answered["result"]["meta"]
    assert (meta["aborted"], meta["finalAssistantVisibleText"]) == (False, "echo: two words")
    assert {"sessionId", "sessionFile", "provider", "model", "usage"} <= meta["agentMeta"].keys()
    assert [text_of(final["message"]) for final in talk.chat(run_id, "final")] == ["echo: two words"]
    assert talk.chat(run_id, "status") == []
    events = [frame["payload"] for frame in talk.frames if frame.get("event") == "agent"]
    said = [one["data"] for one in events if (one["runId"], one["stream"]) == (run_id, "assistant")]
    assert "".join(one["delta"] for one in said) == said[-1]["text"] == "echo: two words"
    rows = talk.client.request("chat.history", {"sessionKey": session})["messages"]
    assert [(row["role"], text_of(row)) for row in rows] == [
        ("user", "stub:echo two words"),
        ("assistant", "echo: two words"),
    ]
    assert rows[0]["idempotencyKey"] == f"{run_id}:user"


def test_a_known_key_is_answered_once_from_memory(talk: Talk, session: str) -> None:
    ident, run_id = asked(talk, "stub:slow 8 200", session)
    talk.answers(ident, 1)
    again = talk.send("agent", message="something else", sessionKey=session, idempotencyKey=run_id)
    (flying,) = talk.answers(again, 1)
    expected = {"runId": run_id, "status": "in_flight", "sessionKey": f"agent:main:{session}", "agentId": "main"}
    assert flying["payload"] == expected
    _, answered = talk.answers(ident, 2)
    late = talk.send("agent", message="something else", sessionKey=session, idempotencyKey=run_id)
    assert talk.answers(late, 1)[0]["payload"] == answered["payload"]


def test_it_waits_for_a_run_that_goes_on_and_both_are_answered(talk: Talk, session: str) -> None:
    first, one = asked(talk, "stub:slow 8 200", session)
    talk.until(lambda: talk.chat(one, "delta"))
    second, two = asked(talk, "stub:echo behind it", session)
    assert talk.answers(second, 1)[0]["payload"]["status"] == "accepted"
    assert [frame["payload"]["runId"] for frame in (*talk.answers(first, 2), *talk.answers(second, 2))] == [
        one, one, two, two,
    ]  # fmt: skip
    ends = [frame["payload"] for frame in talk.frames if frame.get("event") == "chat"]
    assert [end["runId"] for end in ends if end["state"] == "final"] == [one, two]


def test_a_stopped_run_is_answered_with_the_reason(talk: Talk, session: str) -> None:
    ident, run_id = asked(talk, "stub:slow 60 200", session)
    talk.until(lambda: talk.chat(run_id, "delta"))
    stopped = talk.client.request("chat.abort", {"sessionKey": session, "runId": run_id})
    assert stopped == {"ok": True, "aborted": True, "runIds": [run_id]}
    _, answered = talk.answers(ident, 2)
    expected = {"runId": run_id, "status": "timeout", "summary": "aborted", "stopReason": "rpc"}
    assert (answered["ok"], answered["payload"]) == (True, expected)
    assert len(talk.chat(run_id, "aborted")) == 1
    waited = talk.client.request("agent.wait", {"runId": run_id, "timeoutMs": 1000})
    assert (waited["status"], waited["stopReason"]) == ("error", "rpc")


def test_a_failed_run_is_an_error_and_one_event(talk: Talk, session: str) -> None:
    ident, run_id = asked(talk, "stub:fail 400", session)
    _, answered = talk.answers(ident, 2)
    why = answered["error"]["message"]
    assert (answered["ok"], answered["error"]["code"]) == (False, "UNAVAILABLE")
    assert answered["payload"] == {"runId": run_id, "status": "error", "summary": why}
    assert [event["errorMessage"] for event in talk.chat(run_id, "error")] == [why]


def test_a_model_that_says_nothing_is_a_payload_that_says_so(talk: Talk, session: str) -> None:
    ident, run_id = asked(talk, "stub:empty", session)
    _, answered = talk.answers(ident, 2)
    payload = answered["payload"]
    assert (answered["ok"], payload["status"], payload["summary"]) == (True, "error", "failed")
    (said,) = payload["result"]["payloads"]
    assert said["isError"] is True
    assert [event["errorMessage"] for event in talk.chat(run_id, "error")] == [said["text"]]
    assert talk.chat(run_id, "aborted") == []


def test_commands_of_chat_are_words_for_the_model(talk: Talk, session: str) -> None:
    ident, _ = asked(talk, "/status", session)
    assert talk.answers(ident, 2)[1]["payload"]["result"]["payloads"][0]["text"] == "echo: /status"


@pytest.mark.parametrize("by", ["agentId", "sessionId", "nothing"])
def test_which_session_is_meant(talk: Talk, by: str) -> None:
    run_id, session_id = uuid4().hex, str(uuid4())
    more = {"agentId": {"agentId": "main"}, "sessionId": {"sessionId": session_id}}.get(by, {})
    ident = talk.send("agent", message="stub:echo here", idempotencyKey=run_id, **more)
    accepted, _ = talk.answers(ident, 2)
    keys = {"agentId": "agent:main:main", "sessionId": f"agent:main:explicit:{session_id}"}
    key = keys.get(by, f"agent:main:explicit:{run_id}")
    assert accepted["payload"].get("sessionKey") == (key if by == "agentId" else None)
    assert {final["sessionKey"] for final in talk.chat(run_id, "final")} == {key}


def refusal(client: RawClient, **params: object) -> Frame:
    with pytest.raises(RawError) as refused:
        client.request("agent", {"message": "x", "idempotencyKey": uuid4().hex, **params})
    error: Frame = refused.value.response["error"]
    return error


def test_what_is_refused(talk: Talk, target: Target, session: str) -> None:
    said = {name: refusal(talk.client, sessionKey=session, **params)["message"] for name, params in REFUSED.items()}
    assert said == {
        "agent": 'Unknown agent id "nobody"',
        "empty": "invalid agent params: at /message: must not have fewer than 1 characters",
        "unknown": "invalid agent params: at root: unexpected property 'nope'",
    }
    cli = {"client_id": "cli", "client_mode": "cli", "scopes": ["operator.read", "operator.write"]}
    with Talk(target, device=RawDevice(), **cli).client as client:
        override = refusal(client, sessionKey=session, model="some/model")
    assert override["message"] == "provider/model overrides are not authorized for this caller."


REFUSED = {"agent": {"agentId": "nobody"}, "empty": {"message": ""}, "unknown": {"nope": 1}}


def test_white_space_is_accepted_and_then_an_error(talk: Talk, session: str) -> None:
    ident, run_id = asked(talk, "  ", session)
    first, second = talk.answers(ident, 2)
    assert (first["payload"]["status"], second["ok"], second["payload"]["status"]) == ("accepted", False, "error")
    assert second["error"]["code"] == "UNAVAILABLE"
    assert second["payload"]["runId"] == run_id
