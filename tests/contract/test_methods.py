"""Which methods a release has, and who may call them, those included that the embedded gateway does not serve."""

from __future__ import annotations

import pytest

from openclaw_client.testing.release_methods import NODE_ROLE, named_in_hello, scopes_of
from tests.contract.targets import Target
from tests.gateways.raw import RawClient, RawDevice, RawError

ASKED = (
    "agent",
    "agent.wait",
    "agents.files.list",
    "browser.request",
    "chat.inject",
    "config.get",
    "config.schema",
    "cron.list",
    "cron.add",
    "device.pair.list",
    "exec.approvals.get",
    "node.invoke.result",
    "no.such",
    "sessions.create",
    "sessions.delete",
    "sessions.patch",
    "sessions.preview",
    "sessions.resolve",
    "talk.mode",
    "users.self",
    "worktrees.create",
)
"""Of every scope, and those whose scope another release has otherwise."""


def test_what_hello_names_is_known(target: Target) -> None:
    with RawClient(url=target.url, token=target.token) as client:
        named = set(client.hello["features"]["methods"])
    known = named_in_hello(target.profile)
    if target.real:
        assert named == known
    else:
        assert named <= known


def test_without_any_scope_the_missing_one_is_told(target: Target) -> None:
    nobody = RawClient(
        url=target.url, token=target.token, scopes=[], device=RawDevice(), client_id="cli", client_mode="cli"
    )
    told, expected = {}, {}
    with nobody:
        for method in ASKED:
            with pytest.raises(RawError) as refused:
                nobody.request(method, {})
            told[method] = refused.value.response["error"]["message"]
            scope = scopes_of(target.profile).get(method, "operator.admin")
            expected[method] = "unauthorized role: operator" if scope == NODE_ROLE else f"missing scope: {scope}"
    assert told == expected


DEPENDS = {
    "sessions.patch": [({"label": "x"}, "write"), ({"model": "x"}, "write"), ({"verboseLevel": "on"}, "admin")],
    "sessions.create": [({}, "write"), ({"permissionMode": "full"}, "admin"), ({"execNode": "x"}, "admin")],
    "sessions.delete": [({}, "admin"), ({"deleteTranscript": False}, "admin"), ({"archivedOnly": True}, "write")],
    "agent": [({"message": "x"}, "write"), ({"message": "/new"}, "admin"), ({"message": "/reset"}, "admin")],
}
"""By method: parameters, and the scope that they take."""


@pytest.mark.release("2026.9.6")
@pytest.mark.parametrize("method", DEPENDS)
def test_the_scope_depends_on_what_is_asked_for(target: Target, method: str) -> None:
    nobody = RawClient(
        url=target.url, token=target.token, scopes=[], device=RawDevice(), client_id="cli", client_mode="cli"
    )
    with nobody:
        for params, scope in DEPENDS[method]:
            with pytest.raises(RawError) as refused:
                nobody.request(method, params)
            assert refused.value.response["error"]["message"] == f"missing scope: operator.{scope}"
