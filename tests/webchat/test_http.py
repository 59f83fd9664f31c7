"""The application over HTTP: who is let in, what is refused, and a feed that can be taken up again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from examples.webchat.accounts import COOKIE, LIFETIME, Accounts
from examples.webchat.app import MAX_BODY, MAX_MESSAGE
from examples.webchat.conversation import WAITING
from examples.webchat.server import session_key
from openclaw_client import GatewayClient
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import wait_until
from tests.webchat.agent import agent
from tests.webchat.client import KEY, browser, events, feed, ready, reply_to, send, until_over
from tests.webchat.site import SECRET, USERS, Site


@pytest.fixture(scope="module")
def door() -> Iterator[Site]:
    """A site for tests that get no further than its door, which may share it."""
    with BlockingEmbeddedGateway(agent) as gateway, Site(gateway) as site:
        yield site


@pytest.fixture
def ada(site: Site) -> Iterator[httpx.Client]:
    with browser(site, "ada") as client:
        yield client


# Who is let in.


def test_strangers_see_who_they_may_be_and_nothing_else(door: Site) -> None:
    with browser(door) as client:
        page = client.get("/")
        assert "Who are you?" in page.text
        assert all(f'value="{user}"' in page.text for user in USERS)
        for path in ("/api/events", "/api/me"):
            assert client.get(path).status_code == 401
        for path in ("/api/messages", "/api/messages/x/abort", "/api/messages/x/again", "/api/reconnect"):
            assert client.post(path, json={"text": "hi", "key": KEY}).status_code == 401
        assert client.get("/openapi.json").status_code == client.get("/docs").status_code == 404


def test_signing_in_and_out(door: Site) -> None:
    with browser(door) as client:
        answer = client.post("/sign-in", data={"user": "ada"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        given = answer.headers["set-cookie"]
        assert "HttpOnly" in given
        assert "SameSite=strict" in given
        assert client.get("/api/me").json() == {"user": "ada"}
        assert 'class="chat"' in client.get("/").text
        assert client.post("/sign-out").status_code == 303
        assert client.get("/api/me").status_code == 401


@pytest.mark.parametrize("user", ["eve", "", "Ada", "ada ", "<script>alert(1)</script>", "ada\0", "é" * 9])
def test_somebody_who_is_not_on_the_list(door: Site, user: str) -> None:
    with browser(door) as client:
        answer = client.post("/sign-in", data={"user": user})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert "<script>alert" not in answer.text


GRACE = Accounts(USERS, SECRET).cookie("grace")


@pytest.mark.parametrize(
    "cookie",
    [
        "ada",
        "ada.9999999999.",
        "ada.9999999999." + "0" * 64,
        GRACE.replace("grace", "ada"),
        GRACE[:-1],
        Accounts(USERS, b"another secret").cookie("ada"),
        Accounts((*USERS, "eve"), SECRET).cookie("eve"),
        Accounts(USERS, SECRET, now=lambda: 1.0).cookie("ada"),
        "....",
        "\u00e9.1.\u00e9".encode("latin-1").decode("latin-1"),
    ],
    # Some have the time in them, and two processes that share the tests must call them alike.
    ids=["name", "no-proof", "zeros", "of-another", "cut", "other-secret", "no-user", "over", "dots", "no-ascii"],
)
def test_cookies_that_prove_nothing(door: Site, cookie: str) -> None:
    with browser(door) as client:
        headers = {"Cookie": f"{COOKIE}={cookie}".encode("latin-1")}
        assert client.get("/api/me", headers=headers).status_code == 401


def test_a_cookie_expires() -> None:
    now = 1_000_000.0
    accounts = Accounts(USERS, SECRET, now=lambda: now)
    cookie = accounts.cookie("ada")
    now += LIFETIME - 1
    assert accounts.who(cookie) == "ada"
    now += 1
    assert accounts.who(cookie) is None


@pytest.mark.parametrize("name", ["Ada", "", "a b", "a:b", "ada\n", "x" * 33, "1a"])
def test_names_that_a_session_key_cannot_hold(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        Accounts([name], SECRET)


# What is refused.


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"no json", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b"[]", 400),
        (b'{"text": "hi"}', 400),
        (b'{"text": "hi", "key": 5}', 400),
        (b'{"text": "hi", "key": "short"}', 400),
        (b'{"text": 5, "key": "0123456789"}', 400),
        (b'{"text": "", "key": "0123456789"}', 400),
        (b'{"text": " \\n\\t ", "key": "0123456789"}', 400),
        (b'{"text": "a\\u0000b", "key": "0123456789"}', 400),
        (b'{"text": "a\\ud800b", "key": "0123456789"}', 400),
        (json.dumps({"text": "x" * (MAX_MESSAGE + 1), "key": KEY}).encode(), 413),
        (b"x" * (MAX_BODY + 1), 413),
    ],
)
def test_messages_that_are_none(door: Site, body: bytes, status: int) -> None:
    with browser(door, "ada") as client:
        answer = client.post("/api/messages", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert door.gateway.seen.requests["chat.send"] == 0


def test_a_message_as_long_as_is_allowed_arrives(ada: httpx.Client, gateway: BlockingEmbeddedGateway) -> None:
    text = "\N{GRINNING FACE}" * MAX_MESSAGE
    with feed(ada) as told:
        ready(told)
        send(ada, text)
        assert until_over(told)[-1].data["text"] == f"echo: {text}"


def test_what_other_sites_make_a_browser_send(site: Site) -> None:
    with browser(site, "ada") as client:
        body = {"text": "hi", "key": KEY}
        foreign = client.post("/api/messages", json=body, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert client.post("/sign-out", headers={"Origin": "null"}).status_code == 403
        # What a form of another site can send without asking first.
        assert client.post("/api/messages", data=body).status_code == 415
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
        assert client.post("/api/messages", json=body, headers={"Origin": site.url}).status_code == 202


def test_what_every_answer_tells_the_browser(door: Site) -> None:
    with browser(door, "ada") as client:
        for path in ("/", "/static/app.js", "/api/me", "/nothing"):
            answer = client.get(path)
            assert "script-src 'self'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/static/../app.py").status_code == client.get("/static/%2e%2e/app.py").status_code == 404


def test_no_more_messages_than_anybody_types_ahead(ada: httpx.Client) -> None:
    send(ada, "endless", "key-of-number-0")
    for number in range(1, WAITING):
        send(ada, "next", f"key-of-number-{number}")
    answer = ada.post("/api/messages", json={"text": "one more", "key": KEY})
    assert answer.status_code == 429


# Whose is whose.


def test_a_key_is_one_message_of_one_user(site: Site, gateway: BlockingEmbeddedGateway) -> None:
    with browser(site, "ada") as ada, browser(site, "grace") as grace, feed(ada) as of_ada, feed(grace) as of_grace:
        ready(of_ada), ready(of_grace)
        first = send(ada, "of Ada")
        assert send(ada, "of Ada") == first
        assert send(grace, "of Grace") != first
        assert until_over(of_ada)[-1].data["text"] == "echo: of Ada"
        assert until_over(of_grace)[-1].data["text"] == "echo: of Grace"
    assert gateway.seen.requests["chat.send"] == 2
    said = [{"role": "user", "text": "of Ada"}, {"role": "assistant", "text": "echo: of Ada"}]
    assert gateway.transcript(session_key("ada")) == said


def test_nobody_stops_or_repeats_the_runs_of_another(site: Site, gateway: BlockingEmbeddedGateway) -> None:
    with browser(site, "ada") as ada, browser(site, "grace") as grace:
        with feed(ada) as told:
            ready(told)
            run = send(ada, "endless")
            next(one for one in told if one.name == "text")
            assert grace.post(f"/api/messages/{run}/abort").json() == {"aborted": False}
            assert grace.post(f"/api/messages/{run}/again").status_code == 409
            assert gateway.active_runs == [run]
            assert ada.post(f"/api/messages/{run}/abort").json() == {"aborted": True}
            assert until_over(told)[-1].data["state"] == "aborted"
        # The gateway tells of the end before it has put the run away.
        wait_until(lambda: not gateway.active_runs)
        assert ada.post(f"/api/messages/{run}/abort").json() == {"aborted": False}


# Several at once in one conversation.


@pytest.mark.parametrize("servers", [1, 2])
def test_two_tabs_of_one_user_get_each_its_own_answers(
    site: Site, gateway: BlockingEmbeddedGateway, servers: int
) -> None:
    with ExitStack() as stack:
        sites = [site, stack.enter_context(Site(gateway)) if servers == 2 else site]
        tabs = [stack.enter_context(browser(one, "ada")) for one in sites]
        feeds = [stack.enter_context(feed(tab)) for tab in tabs]
        for told in feeds:
            ready(told)
        for number in range(4):
            texts = [f"round {number} tab {tab}" for tab in range(2)]
            sent = [send(tab, text, f"a-key-of-{text}") for tab, text in zip(tabs, texts, strict=True)]
            for told, ident, text in zip(feeds, sent, texts, strict=True):
                assert reply_to(told, ident)["text"] == f"echo: {text}"
    said = [row["text"] for row in gateway.transcript(session_key("ada"))]
    asked = [f"round {number} tab {tab}" for number in range(4) for tab in range(2)]
    assert sorted(said) == sorted([*asked, *(f"echo: {text}" for text in asked)])


def test_a_message_waits_for_the_run_of_another_program(
    ada: httpx.Client, gateway: BlockingEmbeddedGateway, other: GatewayClient
) -> None:
    with feed(ada) as told:
        ready(told)
        with other.chat_stream(session_key=session_key("ada"), message="gated") as theirs:
            assert next(theirs.text_stream).startswith("gated")
            ident = send(ada, "mine")
            assert ("status", {"id": ident, "status": "waiting for another run"}) in (
                (one.name, one.data) for one in told
            )
            assert gateway.seen.requests["chat.send"] == 1
            gateway.release()
            mine = reply_to(told, ident)
        assert (mine["text"], mine["status"], mine["problem"]) == ("echo: mine", "", "")


def test_a_waiting_message_can_be_taken_back(
    ada: httpx.Client, gateway: BlockingEmbeddedGateway, other: GatewayClient
) -> None:
    with feed(ada) as told:
        ready(told)
        with other.chat_stream(session_key=session_key("ada"), message="gated") as theirs:
            assert next(theirs.text_stream).startswith("gated")
            ident = send(ada, "mine")
            next(one for one in told if one.name == "status" and one.data["id"] == ident)
            assert ada.post(f"/api/messages/{ident}/abort").json() == {"aborted": True}
            back = reply_to(told, ident)
            assert (back["state"], back["status"], back["problem"]) == ("aborted", "", "Taken back.")
            gateway.release()
            assert theirs.result().text == "gated: first half, second half."
    assert gateway.seen.requests["chat.send"] == 1


# The feed.


def test_a_page_that_comes_back_gets_what_it_missed(ada: httpx.Client) -> None:
    with feed(ada) as told:
        place = ready(told).id
        send(ada, "hello")
        all_of_it = until_over(told)
    for seen in range(len(all_of_it)):
        last_id = all_of_it[seen - 1].id if seen else place
        with feed(ada, last_id) as told:
            assert until_over(told) == all_of_it[seen:]


@pytest.mark.parametrize("last_id", ["", "nonsense", "0-0", "{epoch}-99999", "{epoch}--1", "{epoch}-x", "{epoch}-²"])
def test_a_page_from_nowhere_begins_anew(ada: httpx.Client, last_id: str) -> None:
    with feed(ada) as told:
        epoch = ready(told).id.partition("-")[0]
    given = last_id.format(epoch=epoch)
    with ada.stream("GET", "/api/events", params={"after": given}) as response:
        first = next(events(response.iter_lines()))
        assert (first.name, first.data["user"]) == ("snapshot", "ada")


def test_a_page_that_had_to_begin_anew_names_its_place_in_the_address(ada: httpx.Client) -> None:
    with feed(ada) as told:
        place = ready(told).id
        send(ada, "hello")
        until_over(told)
    with ada.stream("GET", "/api/events", params={"after": place}) as response:
        assert next(events(response.iter_lines())).name == "entry"


def test_no_page_is_needed_for_a_reply(ada: httpx.Client, gateway: BlockingEmbeddedGateway) -> None:
    send(ada, "nobody looks")
    wait_until(lambda: len(gateway.transcript(session_key("ada"))) == 2)
    with feed(ada) as told:
        snapshot = ready(told)
    assert [entry["text"] for entry in snapshot.data["entries"]] == ["nobody looks", "echo: nobody looks"]


@pytest.mark.parametrize("gateway", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"], indirect=True)
def test_what_came_while_the_gateway_was_away_is_there_afterwards(
    ada: httpx.Client, gateway: BlockingEmbeddedGateway, site: Site
) -> None:
    with feed(ada) as told:
        ready(told)
        send(ada, "hello")
        until_over(told)
        # More often than anybody tries before the message is there.
        gateway.faults.refuse_upgrade(503, times=1000)
        gateway.faults.disconnect(1012, "service restart")
        wait_until(lambda: gateway.open_connections == 0)
        site.say("ada", "Said to nobody.")
        gateway.faults.clear()
        # As a message of its own or with the history, whichever is there first.
        next(one for one in told if "Said to nobody." in json.dumps(one.data))
        send(ada, "still there?", key="another-key")
        wait_until(lambda: len(gateway.transcript(session_key("ada"))) == 5)
    with feed(ada) as told:
        again = ready(told)
    expected = ["hello", "echo: hello", "Said to nobody.", "still there?", "echo: still there?"]
    assert [entry["text"] for entry in again.data["entries"]] == expected


def test_a_gateway_that_does_not_let_us_in(gateway: BlockingEmbeddedGateway, site: Site) -> None:
    with browser(site, "ada") as ada:
        refusal = {"code": "AUTH_TOKEN_MISMATCH"}
        gateway.faults.refuse("unauthorized: gateway token mismatch", details=refusal)
        with feed(ada) as told:
            problem = next(one for one in told if one.name == "connection" and one.data["problem"])
            assert problem.data["problem"].startswith("The gateway does not let this server in.")
            assert "token" not in json.dumps(problem.data)
            gateway.faults.clear()
            assert ada.post("/api/reconnect").status_code == 202
            assert ready(told).data["connection"] == {"state": "connected", "problem": ""}


def test_a_server_that_stops_lets_its_pages_go(ada: httpx.Client, site: Site) -> None:
    with feed(ada) as told:
        ready(told)
        site.stop()
        assert [one.name for one in told if one.name != "connection"] == []
