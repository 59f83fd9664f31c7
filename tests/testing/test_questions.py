"""Questions of an agent: who is asked, which answers fit, and what is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from openclaw_client.errors import UsageError
from openclaw_client.testing import PROFILES, Agent, BlockingEmbeddedGateway, Turn
from openclaw_client.testing.asking import NO_PROFILE
from tests.gateways.raw import Frame
from tests.testing.people import PLAIN, User
from tests.waiting import wait_until

RELEASES = tuple(release for release, profile in PROFILES.items() if profile.questions)
OTHERS = tuple(release for release in PROFILES if release not in RELEASES)
NEWEST = RELEASES[-1]
SCOPES = (*PLAIN, "operator.questions")
DRINK = {"questionId": "drink", "header": "Drink", "question": "What may it be?", "options": ["Tea", "Coffee"]}


def asks(*questions: Frame, **options: Any) -> Agent:
    """Asks and answers with the answers."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield str(await turn.ask_question(questions or [DRINK], **options))

    return agent


def person(gateway: BlockingEmbeddedGateway, **options: Any) -> User:
    return User(gateway, **{"scopes": SCOPES, **options})


def answer(user: User, ident: str, answers: Any) -> Any:
    return user.call("question.resolve", {"id": ident, "answers": {"answers": answers}})


@pytest.mark.parametrize("release", RELEASES)
def test_a_question_is_answered_by_whoever_has_the_scope(release: str) -> None:
    """Other devices too, and all of them are told the answer."""
    with (
        BlockingEmbeddedGateway(asks(), release=release) as gateway,
        person(gateway) as user,
        person(gateway, caps=()) as other,
        User(gateway) as stranger,
    ):
        run_id = user.send()
        asked = user.next("question.requested")
        assert asked == other.next("question.requested")
        assert (asked["runId"], asked["sessionKey"], asked["agentId"]) == (run_id, "agent:main:s", "main")
        assert (asked["status"], asked["expiresAtMs"] - asked["createdAtMs"]) == ("pending", 900_000)
        [item] = asked["questions"]
        assert item == {**DRINK, "options": [{"label": "Tea"}, {"label": "Coffee"}], "isOther": True}
        assert other.call("question.list") == {"questions": [asked]}
        told = {"status": "answered", "answers": {"answers": {"drink": ["Tea"]}}}
        assert answer(other, asked["id"], {"drink": ["Tea"]}) == told
        assert user.next("question.resolved") == {"id": asked["id"], **told}
        assert user.answer(run_id).text == "{'drink': ['Tea']}"
        assert user.results()[0].startswith("Drink: Tea\n")
        assert other.names("question.") == ["question.requested", "question.resolved"]
        assert not stranger.names("question.")
        assert stranger.call("question.list")["details"]["missingScope"] == "operator.questions"


@pytest.mark.parametrize("release", RELEASES)
def test_a_question_is_cancelled_and_answered_once(release: str) -> None:
    with BlockingEmbeddedGateway(asks(), release=release) as gateway, person(gateway) as user:
        run_id = user.send()
        ident = user.next("question.requested")["id"]
        assert user.call("question.resolve", {"id": ident, "cancel": True}) == {"status": "cancelled"}
        assert user.next("question.resolved") == {"id": ident, "status": "cancelled"}
        assert user.answer(run_id).text == "None"
        again = answer(user, ident, {"drink": ["Tea"]})
        assert again["message"] == f"question '{ident}' is already cancelled"
        assert again["details"] == {"reason": "QUESTION_ALREADY_TERMINAL"}
        assert user.call("question.get", {"id": ident})["question"]["status"] == "cancelled"
        assert user.call("question.list") == {"questions": []}
        for method in ("question.get", "question.resolve"):
            unknown = user.call(method, {"id": "nope"} | ({"cancel": True} if method.endswith("resolve") else {}))
            assert unknown["details"] == {"reason": "QUESTION_NOT_FOUND"}


@pytest.mark.parametrize("release", RELEASES)
def test_a_question_expires(release: str) -> None:
    agent = asks(expires_in=0.1)
    with BlockingEmbeddedGateway(agent, release=release) as gateway, person(gateway) as user:
        run_id = user.send()
        assert user.next("question.resolved")["status"] == "expired"
        assert user.answer(run_id).text == "None"
        assert not gateway.pending_questions


@pytest.mark.parametrize("release", RELEASES)
def test_a_question_ends_with_its_run(release: str) -> None:
    with BlockingEmbeddedGateway(asks(), release=release) as gateway, person(gateway) as user:
        run_id = user.send()
        ident = user.next("question.requested")["id"]
        user.call("chat.abort", {"sessionKey": "s", "runId": run_id})
        assert user.next("question.resolved") == {"id": ident, "status": "cancelled"}
        assert user.call("question.get", {"id": ident})["question"]["resolvedBy"] == "requester-inactive"


@pytest.mark.parametrize("release", RELEASES)
def test_a_question_outlives_the_connection_of_the_asker(release: str) -> None:
    with BlockingEmbeddedGateway(asks(), release=release) as gateway:
        with person(gateway) as user:
            run_id = user.send()
            ident = user.next("question.requested")["id"]
        with person(gateway) as user:
            [listed] = user.call("question.list")["questions"]
            assert (listed["id"], listed["runId"]) == (ident, run_id)
            gateway.answer(ident, {"drink": ["Coffee"]})
            assert user.answer(run_id).text == "{'drink': ['Coffee']}"


@pytest.mark.parametrize("release", RELEASES)
def test_a_gateway_that_stops_says_nothing_of_what_waits(release: str) -> None:
    with BlockingEmbeddedGateway(asks(), release=release) as gateway, person(gateway) as user:
        user.send()
        user.next("question.requested")
        gateway.stop()
        with pytest.raises(ConnectionClosed):
            user.next("question.resolved")
        gateway.start()
        assert not gateway.pending_questions


FITTING = [
    ({}, ["Tea"], ["Tea"]),
    ({}, [" Tea "], ["Tea"]),
    ({}, ["Cocoa"], ["Cocoa"]),
    ({"multiSelect": True}, ["Tea", "Coffee"], ["Tea", "Coffee"]),
    ({"isSecret": True, "options": []}, ["sesame"], ["stored"]),
]
UNFITTING = [
    ({}, [], "requires an answer"),
    ({}, [" "], "contains an empty answer"),
    ({}, ["Tea", "Coffee"], "does not allow multiple answers"),
    ({"isOther": False}, ["Cocoa"], "contains an unknown option"),
]


@pytest.mark.parametrize(("more", "given", "taken"), FITTING)
def test_answers_that_fit(more: Frame, given: list[str], taken: list[str]) -> None:
    agent = asks({**DRINK, **more})
    with BlockingEmbeddedGateway(agent, release=NEWEST) as gateway, person(gateway) as user:
        run_id = user.send()
        ident = user.next("question.requested")["id"]
        assert answer(user, ident, {"drink": given})["answers"] == {"answers": {"drink": taken}}
        assert user.answer(run_id).text == str({"drink": taken})
        assert "sesame" not in str(user.events)


@pytest.mark.parametrize(("more", "given", "why"), UNFITTING)
def test_answers_that_do_not_fit(more: Frame, given: list[str], why: str) -> None:
    agent = asks({**DRINK, **more})
    with BlockingEmbeddedGateway(agent, release=NEWEST) as gateway, person(gateway) as user:
        user.send()
        ident = user.next("question.requested")["id"]
        refused = answer(user, ident, {"drink": given})
        assert refused["message"] == f"question 'drink' {why}"
        assert refused["details"] == {"reason": "QUESTION_INVALID_ANSWER"}
        with pytest.raises(UsageError, match=why):
            gateway.answer(ident, {"drink": given})
        assert [one.id for one in gateway.pending_questions] == [ident]


def test_parameters_that_are_none() -> None:
    with BlockingEmbeddedGateway(asks(), release=NEWEST) as gateway, person(gateway) as user:
        user.send()
        ident = user.next("question.requested")["id"]
        strange = answer(user, ident, {"drink": ["Tea"], "food": ["Cake"]})
        assert strange["message"] == "question 'food' is not part of this request"
        for params in ({"id": ident}, {"id": ident, "cancel": False}, {"id": ident, "cancel": True, "answers": {}}):
            assert user.call("question.resolve", params)["message"].startswith("invalid question.resolve params")
        assert answer(user, ident, {"drink": "Tea"})["message"].startswith("invalid question.resolve params")
        gateway.answer(ident, None)
        assert user.next("question.resolved")["status"] == "cancelled"


def test_an_asker_without_the_scope_cannot_be_asked_on_the_newest_release() -> None:
    with BlockingEmbeddedGateway(asks(), release=NEWEST) as gateway, User(gateway) as user:
        assert user.answer(user.send()).text == "None"
        assert NO_PROFILE in user.results()[0]


def test_an_asker_without_the_scope_is_asked_for_nothing_before() -> None:
    with BlockingEmbeddedGateway(asks(), release=RELEASES[0]) as gateway, User(gateway) as user:
        run_id = user.send()
        [question] = wait_until(lambda: gateway.pending_questions)
        assert not user.names("question.")
        gateway.answer(question.id, {"drink": ["Tea"]})
        assert user.answer(run_id).text == "{'drink': ['Tea']}"


@pytest.mark.parametrize("release", OTHERS)
def test_older_releases_have_none(release: str) -> None:
    with BlockingEmbeddedGateway(asks(), release=release) as gateway, User(gateway, scopes=SCOPES) as user:
        user.send()
        wait_until(lambda: not gateway.active_runs)
        assert not [name for name in user.client.hello["features"]["methods"] if "question" in name]
        assert user.call("question.list")["message"] == "missing scope: operator.admin"
        assert "cannot ask questions" in str([data.get("error") for data in user.agent_data("lifecycle")])


WRONG: list[list[Frame]] = [
    [],
    [DRINK] * 2,
    [{**DRINK, "questionId": str(number)} for number in range(4)],
    [{**DRINK, "options": ["Tea"]}],
    [{**DRINK, "isSecret": True}],
]


@pytest.mark.parametrize("questions", WRONG)
def test_questions_that_no_gateway_asks(questions: list[Frame]) -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        try:
            await turn.ask_question(questions)
        except UsageError:
            yield "refused"

    with BlockingEmbeddedGateway(agent, release=NEWEST) as gateway, person(gateway) as user:
        assert user.answer(user.send()).text == "refused"
        assert not gateway.pending_questions


@pytest.mark.parametrize("release", RELEASES)
def test_hello_names_what_there_is(release: str) -> None:
    with BlockingEmbeddedGateway(asks(), release=release) as gateway, person(gateway) as user:
        features = user.client.hello["features"]
        named = {name for name in features["methods"] if name.startswith("question.")}
        assert named == {"question.get", "question.list", "question.resolve"}
        assert {"question.requested", "question.resolved"} <= set(features["events"])
