"""Methods that a test gives the embedded gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw_client.errors import UsageError
from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, EmbeddedGateway, Gate, MethodCaller, Refusal
from openclaw_client.testing.registry import Method, joined
from openclaw_client.testing.release_methods import NODE_ROLE, scopes_of
from tests.gateways.raw import Frame, RawDevice, RawError
from tests.testing.helpers import CLI, RELEASES, raw


def jobs(params: Frame, caller: MethodCaller) -> Frame:
    return {"jobs": [], "asked": params, "by": caller.client_id, "device": caller.device_id, "scopes": caller.scopes}


def error_of(gateway: BlockingEmbeddedGateway, method: str, params: Any = None, **options: Any) -> Frame:
    """What a method answers, which is an error."""
    with raw(gateway, **options) as client, pytest.raises(RawError) as refused:
        client.request(method, params)
    error: Frame = refused.value.response["error"]
    return error


def test_a_method_of_the_test_is_served_and_advertised_also_after_a_restart() -> None:
    with BlockingEmbeddedGateway() as gateway:
        gateway.method("cron.list", jobs)
        device = RawDevice()
        gateway.restart()
        with raw(gateway, device=device, scopes=["operator.read"], **CLI) as client:
            assert "cron.list" in client.hello["features"]["methods"]
            answer = client.request("cron.list", {"a": 1})
        expected = {"asked": {"a": 1}, "by": "cli", "device": device.device_id, "scopes": ["operator.read"]}
        assert answer == {"jobs": [], **expected}


def test_it_replaces_one_of_the_gateway_with_another_scope_and_no_check_of_parameters() -> None:
    with BlockingEmbeddedGateway() as gateway:
        gateway.method("models.list", lambda params, _caller: {"models": [params]}, scope="operator.admin")
        with raw(gateway) as client:
            assert client.request("models.list", {"any": "thing"}) == {"models": [{"any": "thing"}]}
        error = error_of(gateway, "models.list", device=RawDevice(), scopes=["operator.read"], **CLI)
        assert error["message"] == "missing scope: operator.admin"


def test_without_a_scope_anybody_may_call_it() -> None:
    with BlockingEmbeddedGateway() as gateway:
        gateway.method("ours.open", lambda _params, _caller: {"open": True}, scope=None)
        with raw(gateway, device=RawDevice(), scopes=[], **CLI) as client:
            assert client.request("ours.open") == {"open": True}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_refusal_and_any_other_exception_are_answers(asynchronous: bool) -> None:
    def refuse(_params: Frame, _caller: MethodCaller) -> None:
        raise Refusal("NOT_FOUND", "no such job", {"job": 7})

    def broken(_params: Frame, _caller: MethodCaller) -> None:
        raise ValueError("a mistake in the test")

    def given(handler: Any) -> Any:
        async def later(params: Frame, caller: MethodCaller) -> None:
            await asyncio.sleep(0)
            handler(params, caller)

        return later if asynchronous else handler

    with BlockingEmbeddedGateway() as gateway:
        gateway.method("cron.run", given(refuse))
        gateway.method("cron.add", given(broken))
        refusal = {"code": "NOT_FOUND", "message": "no such job", "details": {"job": 7}}
        assert error_of(gateway, "cron.run") == refusal
        error = error_of(gateway, "cron.add")
        assert (error["code"], error["message"]) == ("UNAVAILABLE", "ValueError: a mistake in the test")


def test_what_is_no_json_is_an_error_of_the_handler() -> None:
    with BlockingEmbeddedGateway() as gateway:
        gateway.method("ours.odd", lambda _params, _caller: {"odd": object()})
        assert error_of(gateway, "ours.odd")["code"] == "UNAVAILABLE"


def test_an_async_handler_holds_up_nobody() -> None:
    gate = Gate()

    async def slow(_params: Frame, _caller: MethodCaller) -> Frame:
        await gate.wait()
        return {"slow": True}

    answers: list[str] = []
    with BlockingEmbeddedGateway() as gateway:
        gateway.method("ours.slow", slow)
        with raw(gateway, on_frame=lambda _way, frame: answers.append(frame.get("id", ""))) as client:
            client.send({"type": "req", "id": "slow", "method": "ours.slow"})
            client.request("status")
            assert answers.count("slow") == 1, "sent, and not answered"
            gate.open()
            while answers.count("slow") == 1:
                client.request("status")


@pytest.mark.parametrize("name", ["", "connect"])
def test_a_name_that_no_request_reaches_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        EmbeddedGateway().method(name, jobs)


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_served_has_the_scope_of_the_real_one(release: str) -> None:
    real = scopes_of(PROFILES[release])
    with BlockingEmbeddedGateway(release=release) as gateway, raw(gateway, scopes=[], **CLI) as nobody:
        scoped = [name for name in nobody.hello["features"]["methods"] if real[name] not in (None, NODE_ROLE)]
        assert {"chat.send", "sessions.list", "device.pair.list"} <= set(scoped)
        for name in scoped:
            with pytest.raises(RawError) as refused:
                nobody.request(name, {})
            assert refused.value.response["error"]["message"] == f"missing scope: {real[name]}"


def test_what_the_release_has_and_the_gateway_does_not_serve_says_so_to_who_may_call_it() -> None:
    with BlockingEmbeddedGateway() as gateway:
        lacking = error_of(gateway, "secrets.reload", device=RawDevice(), scopes=["operator.read"], **CLI)
        assert lacking["details"]["missingScope"] == "operator.admin"
        told = error_of(gateway, "secrets.reload")
        instead = "register it with gateway.method()"
        message = f"the embedded gateway does not serve secrets.reload; {instead}"
        assert told == {"code": "INVALID_REQUEST", "message": message}
        assert error_of(gateway, "node.invoke.result")["message"] == "unauthorized role: operator"
        assert error_of(gateway, "no.such")["message"] == "unknown method: no.such"
        with raw(gateway) as client:
            assert "secrets.reload" not in client.hello["features"]["methods"]


def test_a_release_does_not_know_what_came_later() -> None:
    with BlockingEmbeddedGateway(release="2026.2.17") as gateway:
        assert error_of(gateway, "tasks.list")["message"] == "unknown method: tasks.list"


def test_two_families_do_not_serve_the_same_method() -> None:
    first, second, third = (Method(lambda _caller, _params: None) for _ in range(3))
    assert joined([{"a": first}, {"b": second}]) == {"a": first, "b": second}
    with pytest.raises(ValueError, match="two families serve a"):
        joined([{"a": first}, {"b": second, "a": third}])
