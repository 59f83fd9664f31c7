"""Commands that need an approval: who is asked, what becomes of the run, and what is told, per release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from openclaw_client.errors import UsageError
from openclaw_client.testing import PROFILES, Agent, BlockingEmbeddedGateway, Turn, scripts
from openclaw_client.testing.asking import FOLLOW_UP, FOLLOW_UP_DENIED, HEADLESS
from tests.gateways.raw import RawDevice
from tests.testing.people import ADMIN, PLAIN, User
from tests.waiting import wait_until

RELEASES = tuple(PROFILES)
WAITING = tuple(release for release, profile in PROFILES.items() if profile.approval_run == "waits")
ENDING = tuple(release for release in RELEASES if release not in WAITING)
ASKED = tuple(release for release, profile in PROFILES.items() if profile.approval_caps)


def runs(command: str = "rm -r build", **options: Any) -> Agent:
    """Asks for an approval and answers with the decision."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield str(await turn.ask_approval(command, **options))

    return agent


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
def test_older_releases_end_the_run(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway) as user:
        run = user.answer(user.send())
        assert (run.state, len(gateway.pending_approvals)) == ("final", 1)
        ident = user.asked()["id"] if release == ENDING[0] else gateway.pending_approvals[0].id
        words = f"Approval required (id {ident[:8]})." if release == ENDING[0] else ""
        assert run.text.partition(" Approve")[0] == words
        assert user.results()[0].startswith(f"Approval required (id {ident[:8]}")


@pytest.mark.parametrize("release", ENDING[1:])
def test_what_an_allowed_command_leads_to_comes_in_a_run_of_its_own(release: str) -> None:
    agent = runs(then=scripts.says("It is ", "gone."))
    with BlockingEmbeddedGateway(agent, release=release) as gateway, User(gateway) as user:
        first = user.send()
        user.answer(first)
        [approval] = gateway.pending_approvals
        gateway.resolve(approval.id, "allow-once")
        later = user.later(first)
        assert later.text == "It is gone."
        assert later.run_id.startswith(f"exec-approval-followup:{approval.id}")


@pytest.mark.parametrize("release", ENDING[1:])
@pytest.mark.parametrize(("decision", "words"), [("allow-once", FOLLOW_UP), ("deny", FOLLOW_UP_DENIED)])
def test_without_words_of_the_agent_that_run_has_its_own(release: str, decision: Any, words: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway) as user:
        first = user.send()
        user.answer(first)
        gateway.resolve(gateway.pending_approvals[0].id, decision)
        assert user.later(first).text == words


def test_the_oldest_release_tells_it_without_chat_events() -> None:
    agent = runs(then=scripts.says("It is gone."))
    with BlockingEmbeddedGateway(agent, release=ENDING[0]) as gateway, User(gateway) as user:
        first = user.send()
        user.answer(first)
        user.asked()
        gateway.resolve(gateway.pending_approvals[0].id, "allow-once")
        wait_until(lambda: gateway.transcript("agent:main:s")[-1]["text"] == "It is gone." and not gateway.active_runs)
        assert user.agent_data("lifecycle")[-1]["phase"] == "end"
        assert {one["payload"]["runId"] for one in user.events if one["event"] == "chat"} == {first}


@pytest.mark.parametrize("release", ENDING[1:])
def test_that_run_waits_for_its_session(release: str) -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        if turn.message == "clean up":
            await turn.ask_approval("rm -r build")
        await turn.gate.wait()
        yield "done"

    with BlockingEmbeddedGateway(agent, release=release, settle_time=0.0) as gateway, User(gateway) as user:
        first = user.send()
        user.answer(first)
        wait_until(lambda: not gateway.active_runs)
        second = user.send("meanwhile")
        gateway.resolve(gateway.pending_approvals[0].id, "allow-once")
        third = wait_until(lambda: [one for one in gateway.active_runs if one != second])[0]
        gateway.release(second)
        assert user.answer(second).text == "done"
        assert user.answer(third).text == FOLLOW_UP


@pytest.mark.parametrize("release", WAITING)
def test_a_denied_command_is_told_as_the_result_of_the_tool(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        run_id = user.send()
        ident = user.asked()["id"]
        user.resolve(ident, "deny")
        assert user.answer(run_id).text == "deny"
        assert user.results() == [f"Exec denied (gateway id={ident}, user-denied): rm -r build"]
        [end] = user.agent_data("approval")
        assert (end["phase"], end["status"], end["message"]) == ("resolved", "denied", "rm -r build")
        errors = [one for one in user.events if one["event"] == "chat" and one["payload"]["state"] == "error"]
        assert len(errors) == (1 if release == "2026.7.35" else 0)


# Who is asked.


@pytest.mark.parametrize("release", RELEASES)
def test_who_sees_a_request_and_may_answer_it(release: str) -> None:
    profile = PROFILES[release]
    device = RawDevice()
    with (
        BlockingEmbeddedGateway(runs(), release=release) as gateway,
        User(gateway, device=device) as asker,
        User(gateway, device=device) as twin,
        User(gateway) as other,
        User(gateway, scopes=ADMIN) as admin,
        User(gateway, scopes=PLAIN[:2]) as stranger,
    ):
        asker.send()
        ident = admin.asked()["id"]
        device_too = profile.approval_viewers != "admin"
        seeing = {asker: device_too, twin: device_too, other: profile.approval_viewers == "scope", admin: True}
        for user, sees in seeing.items():
            assert user.names() == ["exec.approval.requested"] * sees
            if profile.approval_list:
                assert [one["id"] for one in user.call("exec.approval.list")] == [ident] * sees
            if not sees:
                refused = user.resolve(ident, "allow-once")
                assert refused["details"]["reason"] == "APPROVAL_NOT_FOUND"
        assert not stranger.names()
        assert "missing scope" in stranger.resolve(ident, "deny")["message"]
        last = asker if device_too else admin
        assert last.resolve(ident, "allow-once") == {"ok": True}
        for user, sees in seeing.items():
            assert user.names()[1:] == ["exec.approval.resolved"] * sees


@pytest.mark.parametrize("release", ASKED)
def test_newer_releases_refuse_at_once_where_nobody_may_be_asked(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, caps=("tool-events",)) as user:
        assert user.answer(user.send()).text == "deny"
        assert HEADLESS in user.results()[0]
        assert not user.names()
        assert not gateway.pending_approvals


@pytest.mark.parametrize("release", ASKED)
def test_newer_releases_ask_another_client_of_the_device(release: str) -> None:
    device = RawDevice()
    with (
        BlockingEmbeddedGateway(runs(), release=release) as gateway,
        User(gateway, device=device, caps=("tool-events",)) as user,
        User(gateway, device=device, caps=("exec-approvals",)) as twin,
    ):
        run_id = user.send()
        twin.resolve(twin.asked()["id"], "allow-once")
        assert user.answer(run_id).text == "allow-once"
        assert not user.names()


@pytest.mark.parametrize("release", ASKED)
@pytest.mark.parametrize("admin", [False, True])
def test_a_client_without_a_device_is_asked_as_admin_alone(release: str, admin: bool) -> None:
    options: dict[str, Any] = {"device": None, "scopes": ADMIN if admin else PLAIN}
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, **options) as user:
        run_id = user.send()
        if admin:
            user.resolve(user.asked()["id"], "allow-once")
        assert user.answer(run_id).text == ("allow-once" if admin else "deny")


@pytest.mark.parametrize("release", ASKED)
def test_a_client_without_the_scope_is_told_so_on_the_newest_release(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, scopes=PLAIN[:2]) as user:
        assert user.answer(user.send()).text == "deny"
        why = "missing scope: operator.approvals" if release == "2026.9.6" else HEADLESS
        assert why in user.results()[0]


# The end of a request.


@pytest.mark.parametrize("release", RELEASES)
def test_a_request_expires(release: str) -> None:
    profile = PROFILES[release]
    with (
        BlockingEmbeddedGateway(runs(), release=release, approval_seconds=0.3) as gateway,
        User(gateway, scopes=ADMIN) as user,
    ):
        run_id = user.send()
        request = user.asked()
        assert request["expiresAtMs"] - request["createdAtMs"] == 300
        if profile.approval_run == "waits":
            assert user.answer(run_id).text == "None"
            assert "approval-timeout" in user.results()[0]
        wait_until(lambda: not gateway.pending_approvals)
        assert user.resolve(request["id"], "allow-once")["message"].startswith("unknown")
        ends = [one["payload"] for one in user.events if one["event"] == "exec.approval.resolved"]
        assert [(one["decision"], one["resolvedBy"]) for one in ends] == [("deny", None)] * profile.approval_expiry_told
        if profile.approval_kinds:
            shown = user.call("approval.get", {"id": request["id"]})["approval"]
            assert (shown["status"], shown["reason"]) == ("expired", "timeout")


@pytest.mark.parametrize("release", WAITING)
def test_a_run_that_is_aborted_closes_its_request_on_newer_releases(release: str) -> None:
    profile = PROFILES[release]
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        run_id = user.send()
        ident = user.asked()["id"]
        user.call("chat.abort", {"sessionKey": "agent:main:s", "runId": run_id})
        assert user.answer(run_id).state == "aborted"
        if not profile.approval_abort_told:
            assert [one["id"] for one in user.call("exec.approval.list")] == [ident]
            assert user.resolve(ident, "allow-once") == {"ok": True}
            return
        end = user.told()
        assert (end["id"], end["decision"], end["resolvedBy"]) == (ident, "deny", "approval-scope-closed")
        assert user.resolve(ident, "allow-once")["details"] == {"reason": "APPROVAL_ALREADY_RESOLVED"}
        shown = user.call("approval.get", {"id": ident})["approval"]
        assert (shown["status"], shown["reason"]) == ("cancelled", "run-aborted")
        assert "decision" not in shown


@pytest.mark.parametrize("release", [one for one in WAITING if PROFILES[one].approval_viewers == "device"])
def test_a_request_outlives_the_connection_of_the_asker(release: str) -> None:
    device = RawDevice()
    with BlockingEmbeddedGateway(runs(), release=release) as gateway:
        with User(gateway, device=device) as user:
            run_id = user.send()
            ident = user.asked()["id"]
        with User(gateway, device=device) as user:
            [listed] = user.call("exec.approval.list")
            assert listed["id"] == ident
            assert listed["request"].get("runId", run_id) == run_id
            user.resolve(ident, "allow-once")
            assert user.answer(run_id).text == "allow-once"


@pytest.mark.parametrize("release", RELEASES)
def test_a_gateway_that_stops_says_nothing_of_what_waits(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        user.send()
        user.asked()
        gateway.stop()
        with pytest.raises(ConnectionClosed):
            user.told()
        gateway.start()
        assert not gateway.pending_approvals


# Answers.


@pytest.mark.parametrize("release", RELEASES)
def test_an_answer_that_comes_again(release: str) -> None:
    rule = PROFILES[release].approval_repeat
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        user.send()
        ident = user.asked()["id"]
        assert user.resolve(ident, "allow-once") == {"ok": True}
        again, other = user.resolve(ident, "allow-once"), user.resolve(ident, "deny")
        unknown = user.resolve("nope", "deny")
        if rule == "compared":
            assert again == {"ok": True}
            assert other["details"] == {"reason": "APPROVAL_ALREADY_RESOLVED"}
            assert unknown["details"]["remediation"]
        else:
            assert again == other == unknown
        if rule == "unknown":
            assert (unknown["message"], unknown.get("details")) == ("unknown approval id", None)
        else:
            assert unknown["details"]["reason"] == "APPROVAL_NOT_FOUND"
        assert user.resolve(ident, "perhaps")["message"] == "invalid decision"
        assert user.told()["decision"] == "allow-once"
        assert user.names() == ["exec.approval.requested", "exec.approval.resolved"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("ask", ["always", "on-miss"])
def test_allow_always_where_the_policy_lets_it(release: str, ask: Any) -> None:
    named = "allowedDecisions" in PROFILES[release].approval_fields
    with BlockingEmbeddedGateway(runs(ask=ask), release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        user.send()
        request = user.asked()
        taken = ask == "on-miss" or not named
        assert ("allow-always" in request["request"].get("allowedDecisions", ["allow-always"])) is taken
        answer = user.resolve(request["id"], "allow-always")
        if taken:
            assert answer == {"ok": True}
        else:
            assert answer["details"] == {"reason": "APPROVAL_ALLOW_ALWAYS_UNAVAILABLE"}
            with pytest.raises(UsageError, match="allow-always"):
                gateway.resolve(request["id"], "allow-always")


@pytest.mark.parametrize("release", RELEASES[1:])
def test_the_beginning_of_an_id_will_do(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        user.send()
        ident = user.asked()["id"]
        shown = user.call("exec.approval.get", {"id": ident[:8]})
        assert (shown["id"], shown["commandText"]) == (ident, "rm -r build")
        assert user.resolve(ident[:8], "deny") == {"ok": True}


@pytest.mark.parametrize("release", ASKED)
def test_the_methods_for_all_kinds(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway) as user, User(gateway) as other:
        run_id = user.send()
        ident = user.asked()["id"]
        waiting = user.call("approval.get", {"id": ident})["approval"]
        assert waiting["status"] == "pending"
        assert waiting["presentation"]["allowedDecisions"] == ["allow-once", "deny"]
        answer = {"id": ident, "kind": "exec", "decision": "allow-once"}
        for refused in (other.call("approval.get", {"id": ident}), other.call("approval.resolve", answer)):
            assert refused["details"] == {"reason": "APPROVAL_NOT_FOUND"}
        first, second = (user.call("approval.resolve", {**answer, "decision": one}) for one in ("allow-once", "deny"))
        assert (first["applied"], second["applied"]) == (True, False)
        assert first["approval"] == second["approval"]
        assert (first["approval"]["status"], first["approval"]["decision"]) == ("allowed", "allow-once")
        assert user.answer(run_id).text == "allow-once"


@pytest.mark.parametrize("release", ASKED)
def test_what_is_no_decision_counts_as_a_refusal(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway) as user:
        run_id = user.send()
        ident = user.asked()["id"]
        ended = user.call("approval.resolve", {"id": ident, "kind": "exec", "decision": "allow-always"})
        assert (ended["applied"], ended["approval"]["reason"]) == (True, "malformed-verdict")
        assert user.answer(run_id).text == "deny"


# What is told.


@pytest.mark.parametrize("release", RELEASES)
def test_the_fields_of_a_request(release: str) -> None:
    profile = PROFILES[release]
    agent = runs(cwd="/srv", warning="it removes files")
    with BlockingEmbeddedGateway(agent, release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        run_id = user.send()
        payload = user.asked()
        request = payload["request"]
        old = ("command", "cwd", "host", "security", "ask", "agentId", "resolvedPath", "sessionKey")
        assert set(request) == {*old, *profile.approval_fields}
        assert (request["cwd"], request["sessionKey"]) == ("/srv", "agent:main:s")
        assert ("approvalKind" in payload) is profile.approval_kinds
        assert request.get("warningText", "it removes files") == "it removes files"
        assert request.get("runId", run_id) == run_id
        [tool] = [data for data in user.agent_data("tool") if data["phase"] == "start"]
        assert request.get("toolCallId", tool["toolCallId"]) == tool["toolCallId"]
        assert tool["args"] == {"command": "rm -r build", "workdir": "/srv"}
        gateway.resolve(payload["id"], "deny", by="a person")
        end = user.told()
        assert end["resolvedBy"] == "a person"
        assert end.get("request") == (request if profile.approval_in_resolved else None)


@pytest.mark.parametrize("release", RELEASES)
def test_agent_events_about_a_request(release: str) -> None:
    profile = PROFILES[release]
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway, scopes=ADMIN) as user:
        run_id = user.send()
        ident = user.asked()["id"]
        if profile.approval_run == "waits":
            user.resolve(ident, "allow-once")
            user.answer(run_id)
        told = [data["approvalId"] for data in user.agent_data("approval")]
        assert told == [ident] * profile.approval_stream
        phases = [data["phase"] for data in user.agent_data("lifecycle") if data.get("approvalId") == ident]
        assert phases == (["waiting-approval", "approval-resolved"] if profile.approval_lifecycle else [])


@pytest.mark.parametrize("release", RELEASES)
def test_hello_names_what_there_is(release: str) -> None:
    with BlockingEmbeddedGateway(runs(), release=release) as gateway, User(gateway) as user:
        features = user.client.hello["features"]
        named = {name for name in features["methods"] if "approval" in name.split(".") and name[:7] != "plugin."}
        listed = {"exec.approval.get", "exec.approval.list"} if PROFILES[release].approval_list else set()
        kinds = {"approval.get", "approval.resolve"} if PROFILES[release].approval_kinds else set()
        assert named == {"exec.approval.resolve"} | listed | kinds
        assert {"exec.approval.requested", "exec.approval.resolved"} <= set(features["events"])
