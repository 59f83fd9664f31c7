"""What an agent asks, over HTTP: whose it is, who may answer, and what becomes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.webchat import words
from examples.webchat.app import MAX_BODY
from examples.webchat.desk import CLOSED
from examples.webchat.server import session_key
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import wait_until
from tests.webchat.client import Told, browser, feed, ready, reply_to, send
from tests.webchat.site import Site

newest = pytest.mark.parametrize("gateway", ["2026.9.6"], indirect=True)

ANSWERS = {"drink": ["Tea"], "extras": ["Milk", "Sugar"]}
ALLOW = {"decision": "allow-once"}


@pytest.fixture
def ada(site: Site) -> Iterator[httpx.Client]:
    with browser(site, "ada") as client:
        yield client


@pytest.fixture
def grace(site: Site) -> Iterator[httpx.Client]:
    with browser(site, "grace") as client:
        yield client


def asked(told: Iterator[Told], state: str = "pending") -> dict[str, Any]:
    """The next card in this state."""
    return next(one.data for one in told if one.name == "ask" and one.data["state"] == state)


def ended(told: Iterator[Told], state: str, ident: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The card in this state and the reply at its end, whichever is told first."""
    found: dict[str, dict[str, Any]] = {}
    for one in told:
        if one.name == "ask" and one.data["state"] == state:
            found["card"] = one.data
        elif one.name == "entry" and one.data["id"] == ident and one.data["state"] not in ("waiting", "running"):
            found["reply"] = one.data
        if len(found) == 2:
            return found["card"], found["reply"]
    raise AssertionError(f"the feed ended: {found}")


def up_to_the_end_of(told: Iterator[Told], ident: str) -> list[Told]:
    """Everything until this reply has come."""
    seen = [next(told)]
    while (seen[-1].name, seen[-1].data.get("id"), seen[-1].data.get("state")) != ("entry", ident, "final"):
        seen.append(next(told))
    return seen


def pending(gateway: BlockingEmbeddedGateway) -> list[str]:
    return [one.id for one in (*gateway.pending_approvals, *gateway.pending_questions)]


def answers_seen(gateway: BlockingEmbeddedGateway) -> int:
    """How many answers came to the gateway, by whichever method."""
    return sum(count for method, count in gateway.seen.requests.items() if method.endswith(".resolve"))


@newest
@pytest.mark.parametrize(
    ("decision", "state", "outcome"),
    [
        ("allow-once", "allowed", "Allowed once."),
        ("allow-always", "allowed", "Allowed from now on."),
        ("deny", "denied", "Denied."),
    ],
)
def test_a_command_is_decided_upon(ada: httpx.Client, decision: str, state: str, outcome: str) -> None:
    with feed(ada) as told:
        ready(told)
        ident = send(ada, "command rm -rf build")
        card = asked(told)
        assert (card["kind"], card["command"], card["run_id"]) == ("approval", "rm -rf build", ident)
        assert card["cwd"] == "/srv/<i>project</i>"
        assert card["warnings"] == ["Deletes <b>files</b>."]
        assert [one for one, _ in card["choices"]] == ["allow-once", "allow-always", "deny"]
        answer = ada.post(f"/api/answers/{card['id']}", json={"decision": decision})
        assert (answer.status_code, answer.json()["status"]) == (200, "applied")
        over, reply = ended(told, state, ident)
        assert answer.json()["ask"] == over
        assert over["outcome"] == outcome
        assert reply["text"] == f"decided: {decision}"
        again = ada.post(f"/api/answers/{card['id']}", json={"decision": "deny"})
        assert (again.status_code, again.json()["status"]) == (200, "already")


@newest
def test_a_question_is_answered(ada: httpx.Client) -> None:
    with feed(ada) as told:
        ready(told)
        ident = send(ada, "question")
        card = asked(told)
        assert [(item["id"], item["multiple"]) for item in card["items"]] == [("drink", False), ("extras", True)]
        assert card["items"][0]["options"][0] == {"label": "Tea", "description": "Green"}
        answer = ada.post(f"/api/answers/{card['id']}", json={"answers": ANSWERS})
        assert answer.json()["status"] == "applied"
        over, reply = ended(told, "answered", ident)
        assert over["outcome"] == "Answered."
        assert reply["text"] == "answered: [['Tea'], ['Milk', 'Sugar']]"


@newest
def test_a_question_is_skipped(ada: httpx.Client) -> None:
    with feed(ada) as told:
        ready(told)
        ident = send(ada, "question")
        assert ada.post(f"/api/answers/{asked(told)['id']}", json={"skip": True}).json()["status"] == "applied"
        over, reply = ended(told, "skipped", ident)
        assert over["outcome"] == "Skipped."
        assert reply["text"] == "answered: None"


@newest
def test_a_secret_is_told_to_the_gateway_alone(ada: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="openclaw_client")
    with feed(ada) as told:
        place = ready(told).id
        ident = send(ada, "secret")
        card = asked(told)
        assert card["items"][0]["secret"]
        answer = ada.post(f"/api/answers/{card['id']}", json={"answers": {"pin": ["hush-4711"]}})
        assert "hush-4711" not in answer.text
        assert reply_to(told, ident)["text"] == "got it: True"
    with feed(ada, place) as told:
        assert "hush-4711" not in str(up_to_the_end_of(told, ident))
    with feed(ada) as told:
        assert "hush-4711" not in json.dumps(ready(told).data)
    assert "hush-4711" not in caplog.text


@pytest.mark.parametrize("gateway", ["2026.4.15", "2026.5.12"], indirect=True)
def test_a_release_whose_reply_ends_before_the_answer(ada: httpx.Client, grace: httpx.Client) -> None:
    with feed(ada) as told:
        ready(told)
        ident = send(ada, "command ls")
        card, reply = ended(told, "pending", ident)
        while reply["note"] != words.LATER:
            reply = reply_to(told, ident)
        # Everybody with the scope is told there: the wall is this program's.
        with feed(grace) as of_grace:
            assert ready(of_grace).data["asks"] == []
        assert grace.post(f"/api/answers/{card['id']}", json=ALLOW).status_code == 404
        assert ada.post(f"/api/answers/{card['id']}", json=ALLOW).json()["status"] == "applied"
        later = next(one.data for one in told if one.name == "entry" and one.data["source"])
        assert later["text"].startswith("An async command")


# How it ends without this user.


@newest
def test_somebody_else_was_quicker(ada: httpx.Client, gateway: BlockingEmbeddedGateway) -> None:
    with feed(ada) as told:
        ready(told)
        send(ada, "command ls")
        card = asked(told)
        gateway.resolve(card["id"], "deny")
        assert asked(told, "denied")["outcome"] == "Answered elsewhere: denied."
        late = ada.post(f"/api/answers/{card['id']}", json=ALLOW)
        assert (late.json()["status"], late.json()["ask"]["outcome"]) == ("already", "Answered elsewhere: denied.")
        send(ada, "question", key="another-key")
        card = asked(told)
        gateway.answer(card["id"], {name: list(texts) for name, texts in ANSWERS.items()})
        assert asked(told, "answered")["outcome"] == "Answered elsewhere."


@newest
def test_time_goes_by(ada: httpx.Client) -> None:
    with feed(ada) as told:
        ready(told)
        ident = send(ada, "brief")
        card = asked(told)
        over, reply = ended(told, "expired", ident)
        assert over["outcome"] == "Expired: nobody answered in time."
        assert reply["text"] == "decided: None"
        assert ada.post(f"/api/answers/{card['id']}", json=ALLOW).json()["status"] == "gone"


@newest
@pytest.mark.parametrize("what", ["command ls", "question"])
def test_a_stopped_reply_takes_back_what_it_asked(ada: httpx.Client, what: str) -> None:
    with feed(ada) as told:
        ready(told)
        ident = send(ada, what)
        asked(told)
        assert ada.post(f"/api/messages/{ident}/abort").json() == {"aborted": True}
        assert asked(told, "cancelled")["outcome"].startswith("Closed without an answer")


# Whose it is.


@newest
@pytest.mark.parametrize(("what", "answer"), [("command ls", ALLOW), ("question", {"answers": ANSWERS})])
def test_one_user_never_sees_nor_answers_what_another_is_asked(
    ada: httpx.Client, grace: httpx.Client, gateway: BlockingEmbeddedGateway, what: str, answer: dict[str, Any]
) -> None:
    with feed(ada) as of_ada, feed(grace) as of_grace:
        ready(of_ada), ready(of_grace)
        run = send(ada, what)
        card = asked(of_ada)
        for body in (answer, {"skip": True}, {"decision": "deny"}):
            refused = grace.post(f"/api/answers/{card['id']}", json=body)
            never = grace.post("/api/answers/never-was", json=body)
            assert (refused.status_code, refused.json()) == (never.status_code, never.json())
            assert refused.status_code == 404
        assert pending(gateway) == [card["id"]]
        assert answers_seen(gateway) == 0
        # What Grace is told up to the end of a message of her own has nothing of Ada's, before and after the answer.
        assert ada.post(f"/api/answers/{card['id']}", json=answer).json()["status"] == "applied"
        assert answers_seen(gateway) == 1
        reply_to(of_ada, run)
        ident = send(grace, "hello")
        seen = up_to_the_end_of(of_grace, ident)
    assert [one.name for one in seen if one.name in ("ask", "unasked")] == []
    assert card["id"] not in str(seen)
    with feed(grace) as of_grace:
        assert ready(of_grace).data["asks"] == []


@newest
def test_answers_need_what_every_request_needs(site: Site, ada: httpx.Client, gateway: BlockingEmbeddedGateway) -> None:
    with feed(ada) as told:
        ready(told)
        send(ada, "command ls")
        path = f"/api/answers/{asked(told)['id']}"
        with browser(site) as stranger:
            assert stranger.post(path, json=ALLOW).status_code == 401
        assert ada.post(path, json=ALLOW, headers={"Origin": "https://evil.example"}).status_code == 403
        assert ada.post(path, data=ALLOW).status_code == 415
        assert ada.get(path).status_code == 405
        json_type = {"Content-Type": "application/json"}
        assert ada.post(path, content=b"x" * (MAX_BODY + 1), headers=json_type).status_code == 413
        for body in (b"", b"no json", b"[]", b'{"decision": "allow"}', b'{"skip": true}', b'{"decision": null}'):
            assert ada.post(path, content=body, headers=json_type).status_code == 400
        assert len(pending(gateway)) == 1
        assert ada.post("/api/answers/", json=ALLOW).status_code == 404
        assert ada.post("/api/answers/a/b", json=ALLOW).status_code == 404
        assert ada.post(path, json=ALLOW, headers={"Origin": site.url}).json()["status"] == "applied"


# Pages and servers that come and go.


@newest
def test_what_is_pending_is_there_for_every_page(ada: httpx.Client) -> None:
    send(ada, "command ls")  # no page is open
    with feed(ada) as told:
        first = ready(told).data["asks"] or [asked(told)]
    with feed(ada) as told:
        snapshot = ready(told).data
        assert snapshot["asks"] == first
        assert abs(first[0]["expires"] - snapshot["now"] - 1_800_000) < 60_000
        assert ada.post(f"/api/answers/{first[0]['id']}", json=ALLOW).json()["status"] == "applied"
        assert asked(told, "allowed")["id"] == first[0]["id"]


@newest
@pytest.mark.parametrize(("what", "answer"), [("command ls", ALLOW), ("question", {"answers": ANSWERS})])
def test_what_is_pending_outlives_the_web_server(
    gateway: BlockingEmbeddedGateway, tmp_path: Path, what: str, answer: dict[str, Any]
) -> None:
    with Site(gateway, tmp_path) as site:
        with browser(site, "ada") as ada, feed(ada) as told:
            ready(told)
            send(ada, what)
            card = asked(told)
        site.stop()
        site.start()
        with browser(site, "ada") as ada, feed(ada) as told:
            assert asked(told)["id"] == card["id"]
            assert ada.post(f"/api/answers/{card['id']}", json=answer).json()["status"] == "applied"
    wait_until(lambda: not gateway.active_runs)
    assert len(gateway.transcript(session_key("ada"))) == 2


@newest
def test_a_connection_that_is_cut_loses_no_card(ada: httpx.Client, gateway: BlockingEmbeddedGateway) -> None:
    with feed(ada) as told:
        ready(told)
        ident = send(ada, "command ls")
        card = asked(told)
        gateway.faults.disconnect(1012, "service restart")
        states = (one.data["state"] for one in told if one.name == "connection")
        assert next(states) == "reconnecting"
        assert next(state for state in states if state == "connected")
        assert ada.post(f"/api/answers/{card['id']}", json=ALLOW).json()["status"] == "applied"
        assert reply_to(told, ident)["text"] == "decided: allow-once"


@newest
@pytest.mark.parametrize(("what", "answer"), [("command ls", ALLOW), ("question", {"answers": ANSWERS})])
def test_a_card_comes_back_with_the_next_connection(
    ada: httpx.Client, gateway: BlockingEmbeddedGateway, what: str, answer: dict[str, Any]
) -> None:
    with feed(ada) as told:
        ready(told)
        send(ada, what)
        card = asked(told)
        details = {"code": "AUTH_TOKEN_MISMATCH"}
        # More often than anybody tries before the client gives up.
        gateway.faults.refuse("unauthorized: gateway token mismatch", details=details, times=1000)
        gateway.faults.disconnect(1012, "service restart")
        assert next(one for one in told if one.name == "connection" and one.data["state"] == "paused")
        assert ada.post(f"/api/answers/{card['id']}", json=answer).json().get("status") != "applied"
        assert pending(gateway) == [card["id"]]
        gateway.faults.clear()
        assert ada.post("/api/reconnect").status_code == 202
        again = asked(told)
        assert again == card
        assert ada.post(f"/api/answers/{card['id']}", json=answer).json()["status"] == "applied"
    wait_until(lambda: not gateway.active_runs)


@newest
def test_only_the_last_ended_cards_are_kept(ada: httpx.Client) -> None:
    with feed(ada) as told:
        ready(told)
        first = ""
        for number in range(CLOSED + 1):
            ident = send(ada, "command ls", f"key-of-number-{number}")
            card = asked(told)
            first = first or card["id"]
            ada.post(f"/api/answers/{card['id']}", json=ALLOW)
            reply_to(told, ident)
        assert ada.post(f"/api/answers/{first}", json=ALLOW).status_code == 404
    with feed(ada) as told:
        assert len(ready(told).data["asks"]) == CLOSED
